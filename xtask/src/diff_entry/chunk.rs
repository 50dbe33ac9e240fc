//! One run of an emulator: a piece of the states.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::BufReader;

use anyhow::{Context as _, bail};
use x86_virt::{svm, vmx};

use crate::boot::{Boot, Hardware};
use crate::diff_entry::LIMIT;
use crate::diff_entry::messages::{self, Messages};
use crate::image::Image;
use crate::machine::{Machine, Vendor};
use crate::{bochs, output};

/// How many states with a wrong message are made smaller.
const SHRUNK: usize = 5;

/// A piece of the states.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chunk<'a> {
    pub(crate) image: &'a Image,
    pub(crate) machine: &'a Machine,
    pub(crate) seed: u64,
    pub(crate) first: u64,
    pub(crate) cases: u64,
    pub(crate) worker: u8,
    /// Whether the states come first that are made on purpose.
    pub(crate) is_directed: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) cases: u64,
    pub(crate) agree: u64,
    pub(crate) explained: u64,
    pub(crate) undecided: u64,
    pub(crate) not_tried: u64,
    pub(crate) refused: u64,
    /// How often each rule was violated.
    pub(crate) rules: BTreeMap<String, u64>,
    pub(crate) departures: BTreeMap<String, u64>,
    pub(crate) stops: BTreeMap<String, u64>,
    /// How often each message came.
    pub(crate) messages: BTreeMap<usize, u64>,
    /// What nothing explains.
    pub(crate) unexplained: Vec<String>,
}

/// A state that was refused.
#[derive(Debug)]
struct Refused {
    number: u64,
    /// The time before and after the entry.
    time: (u64, u64),
    /// The rules that it breaks, and those that are checked here beyond the manual.
    rules: Vec<&'static str>,
}

impl Chunk<'_> {
    /// Runs it and reads what it prints.
    pub(crate) fn run(&self, messages: &Messages) -> anyhow::Result<Part> {
        let has_messages = !messages.rows().is_empty();
        let mut more = Vec::new();
        if has_messages {
            more.push("log");
        }
        if self.is_directed {
            more.push("directed");
        }
        let (lines, folder) = self.boot(&more)?;
        let mut part = Part::default();
        let mut refused = Vec::new();
        for line in &lines {
            if let Some(rest) = line.strip_prefix("refused ") {
                refused.extend(
                    Refused::parse_all(rest, self.machine.vendor).with_context(|| format!("cannot read {line}"))?,
                );
            } else if let Some(rest) = line.strip_prefix("differ ") {
                part.read(rest);
            }
        }
        if part.cases == 0 {
            bail!("{} printed no result", self.machine);
        }
        if has_messages {
            let log = File::open(folder.join(bochs::LOG_FILE)).context("cannot read the log of Bochs")?;
            for (index, wrong) in compare(messages, &refused, BufReader::new(log), &mut part)?.iter().enumerate() {
                let text = if index < SHRUNK && wrong.number < self.first.saturating_add(self.cases) {
                    self.minimal(messages, wrong)?
                } else {
                    format!("seed={} case={} {wrong}", self.seed, wrong.number)
                };
                part.agree = part.agree.saturating_sub(1);
                part.unexplained.push(text);
            }
        }
        Ok(part)
    }

    fn boot(&self, more: &[&str]) -> anyhow::Result<(Vec<String>, std::path::PathBuf)> {
        let only = match self.machine.vendor {
            Vendor::Intel => "only=check_vmx::",
            Vendor::Amd => "only=check_svm::",
        };
        let (seed, first, cases) =
            (format!("seed={}", self.seed), format!("first={}", self.first), format!("cases={}", self.cases));
        let mut arguments = vec![only, &seed, &first, &cases];
        arguments.extend(more);
        let boot = Boot {
            image: self.image,
            machine: self.machine,
            cpus: 1,
            take: self.worker,
            arguments: &arguments,
            carried: None,
            limit: LIMIT,
            hardware: Hardware::default(),
        };
        let run = boot.run(|_| ())?;
        // A failure of the test is what the lines tell of, any other is one of the run.
        if let Err(reason) = run.judge()
            && !run.lines.iter().any(|line| line.starts_with("differ [cpu"))
        {
            output::progress(run.describe());
            bail!("{} with {}: {reason}", self.machine, arguments.join(" "));
        }
        Ok((run.lines, run.folder))
    }

    /// What of a state's changes is enough for the message that names another rule.
    fn minimal(&self, messages: &Messages, wrong: &Wrong) -> anyhow::Result<String> {
        let alone = Chunk { first: wrong.number, cases: 1, ..*self };
        let (lines, folder) = alone.boot(&["log", "subsets"])?;
        let mut states = Vec::new();
        let mut refused = Vec::new();
        let mut state = None;
        for line in &lines {
            if let Some(text) = line.strip_prefix("differ case=") {
                state = text.split_once(' ').map(|(_, text)| text.to_owned());
            } else if let Some(rest) = line.strip_prefix("refused ") {
                for one in
                    Refused::parse_all(rest, self.machine.vendor).with_context(|| format!("cannot read {line}"))?
                {
                    refused.push(one);
                    states.push(state.clone().unwrap_or_default());
                }
            }
        }
        let log = File::open(folder.join(bochs::LOG_FILE)).context("cannot read the log of Bochs")?;
        let mut part = Part::default();
        let found = compare(messages, &refused, BufReader::new(log), &mut part)?;
        // The smallest comes first.
        let text = found.first().map_or_else(
            || format!("{wrong} (not again)"),
            |smallest| format!("{}: {smallest}", states.get(smallest.place).map_or("", String::as_str)),
        );
        Ok(format!("seed={} case={} {text}", self.seed, wrong.number))
    }
}

/// A message that names no rule of those that the state breaks.
#[derive(Debug)]
struct Wrong {
    number: u64,
    place: usize,
    message: String,
    rules: Vec<&'static str>,
}

impl core::fmt::Display for Wrong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the message is {:?}, violated: {}", self.message, self.rules.join(" "))
    }
}

/// Finds the message of each refused state in a log, which is read line by line.
fn compare(
    messages: &Messages,
    refused: &[Refused],
    log: impl std::io::BufRead,
    part: &mut Part,
) -> anyhow::Result<Vec<Wrong>> {
    let mut wrong = Vec::new();
    let mut states = refused.iter().enumerate().peekable();
    let mut has_message = false;
    for line in log.split(b'\n') {
        let line = line.context("cannot read the log of Bochs")?;
        let line = String::from_utf8_lossy(&line);
        let Some((time, text)) = messages::line(&line) else { continue };
        while let Some((place, state)) = states.next_if(|(_, state)| time > state.time.1) {
            if !has_message && !messages.may_be_silent(&state.rules) {
                wrong.push(state.wrong(place, "none"));
            }
            has_message = false;
        }
        let Some((place, state)) = states.peek().copied().filter(|(_, state)| time > state.time.0) else { continue };
        let Some((number, message)) = messages.find(text) else { continue };
        // Messages that stand for no rule come with others, or of other instructions.
        if has_message || message.rules.is_empty() {
            continue;
        }
        has_message = true;
        let count = part.messages.entry(number).or_default();
        *count = count.saturating_add(1);
        if !message.rules.iter().any(|rule| state.rules.contains(rule)) {
            wrong.push(state.wrong(place, text));
        }
    }
    for (place, state) in states {
        if !core::mem::take(&mut has_message) && !messages.may_be_silent(&state.rules) {
            wrong.push(state.wrong(place, "none"));
        }
    }
    Ok(wrong)
}

impl Refused {
    /// The states of a line: see `tests/emulated/src/differential/log.rs`.
    fn parse_all(line: &str, vendor: Vendor) -> Option<Vec<Self>> {
        let mut last = (0, 0);
        line.split_whitespace().map(|text| Self::parse(text, vendor, &mut last)).collect()
    }

    /// `NUMBER,TIME,DURATION,RULE,RULE,+RULE`, the first two beyond `last`, which they become.
    fn parse(text: &str, vendor: Vendor, last: &mut (u64, u64)) -> Option<Self> {
        let mut words = text.split(',');
        let mut number = || u64::from_str_radix(words.next()?, 16).ok();
        let (state, after, took) = (number()?.checked_add(last.0)?, number()?.checked_add(last.1)?, number()?);
        let place = |word: &str| usize::from_str_radix(word.trim_start_matches('+'), 16).ok();
        let rules = words.map(|word| rule(vendor, place(word)?)).collect::<Option<_>>()?;
        *last = (state, after);
        Some(Self { number: state, time: (after.saturating_sub(took), after), rules })
    }

    fn wrong(&self, place: usize, message: &str) -> Wrong {
        Wrong { number: self.number, place, message: message.to_owned(), rules: self.rules.clone() }
    }
}

impl Part {
    /// Reads a line of the tally.
    fn read(&mut self, line: &str) {
        let counted = |rest: &str| {
            let (count, text) = rest.split_once(' ')?;
            Some((text.to_owned(), count.parse().ok()?))
        };
        if let Some(rest) = line.strip_prefix("rule ") {
            self.rules.extend(rest.split_once(' ').and_then(|(id, count)| Some((id.to_owned(), count.parse().ok()?))));
        } else if let Some(rest) = line.strip_prefix("departure ") {
            self.departures.extend(counted(rest));
        } else if let Some(rest) = line.strip_prefix("not tried ") {
            self.stops.extend(counted(rest));
        } else if let Some(text) = line.strip_prefix("DISAGREE ") {
            self.unexplained.push(text.to_owned());
        } else if line.starts_with("[cpu") {
            let value = |name: &str| {
                let mut words = line.split_whitespace().filter_map(|word| word.split_once('='));
                words.find(|(key, _)| *key == name).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
            };
            self.cases = value("cases");
            self.agree = value("agree");
            self.explained = value("explained");
            self.undecided = value("undecided");
            self.not_tried = value("not_tried");
            self.refused = value("refused");
        }
    }

    /// Adds another part.
    pub(crate) fn add(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.cases, other.cases),
            (&mut self.agree, other.agree),
            (&mut self.explained, other.explained),
            (&mut self.undecided, other.undecided),
            (&mut self.not_tried, other.not_tried),
            (&mut self.refused, other.refused),
        ] {
            *sum = sum.saturating_add(more);
        }
        merge(&mut self.rules, other.rules);
        merge(&mut self.departures, other.departures);
        merge(&mut self.stops, other.stops);
        merge(&mut self.messages, other.messages);
        self.unexplained.extend(other.unexplained);
    }

    /// The rules that were violated.
    pub(crate) fn rules_reached(&self) -> usize {
        self.rules.keys().collect::<BTreeSet<_>>().len()
    }
}

fn merge<K: Ord>(all: &mut BTreeMap<K, u64>, more: BTreeMap<K, u64>) {
    for (key, count) in more {
        let sum = all.entry(key).or_default();
        *sum = sum.saturating_add(count);
    }
}

/// The identifier of a rule by its place in the vendor's list.
fn rule(vendor: Vendor, place: usize) -> Option<&'static str> {
    match vendor {
        Vendor::Intel => vmx::check::RULES.get(place).map(|rule| rule.id),
        Vendor::Amd => svm::check::RULES.get(place).map(|rule| rule.id),
    }
}

#[cfg(test)]
mod tests {
    use super::{Refused, rule};
    use crate::machine::Vendor;

    #[test]
    fn states_of_a_line_are_counted_on() {
        let all = Refused::parse_all("1f,100,10,2,+a 20,5,3,0", Vendor::Amd).unwrap();
        let numbers: Vec<_> = all.iter().map(|one| (one.number, one.time)).collect();
        assert_eq!(numbers, [(0x1f, (0xf0, 0x100)), (0x3f, (0x102, 0x105))]);
        let rules = [2, 10].map(|place| rule(Vendor::Amd, place).unwrap());
        assert_eq!(all.first().map(|one| one.rules.clone()), Some(rules.to_vec()));
        for wrong in ["1,2", "1,2,3,ffff", "1,2,3,x", "g,2,3"] {
            assert!(Refused::parse_all(wrong, Vendor::Intel).is_none(), "{wrong}");
        }
    }
}
