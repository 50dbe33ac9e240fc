//! The text of what was found.

use core::fmt;

use x86_virt_vmx::field::Group;

use crate::check::{Checked, check};
use crate::dump::{Dump, Message, MessageMeaning, MsrArea, State};
use crate::finding::{Class, Finding, Needed, Verdict};
use crate::machine::Machine;
use crate::outcome::{Outcome, Recorded};
use crate::prediction::{Fit, Prediction, contradicts};

/// Where lists of names are wrapped.
const WIDTH: usize = 120;
/// How many names are listed.
const MOST_NAMES: usize = 40;
/// How many rules are listed that need the same.
const MOST_RULES: usize = 4;
/// How many fields are listed that rules need.
const MOST_FIELDS: usize = 12;

/// What a dump says about an entry: what was read, what is recorded, and which rules are violated.
///
/// Its text in the alternate form, `{:#}`, lists every rule that could not be decided.
///
/// ```
/// use x86_virt_explain::{Machine, Report, read};
///
/// let text = "CR4: actual=0x0000000000000020, shadow=0x0000000000000000, gh_mask=0000000000000000\n\
///             KVM: entry failed, hardware error 0x80000021\n";
/// let dumps = read(text)?;
/// let machine = Machine::of_profile("haswell").unwrap();
/// let report = Report::new(dumps[0].clone(), &machine);
/// assert_eq!(report.violated().map(|finding| finding.rule).collect::<Vec<_>>(), ["VMX-GUEST-CR4-FIXED-0"]);
/// # Ok::<(), x86_virt_explain::ReadError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    dump: Dump,
    machine: Machine,
    outcome: Outcome,
    checked: Checked,
}

impl Report {
    /// Checks `dump` against what `machine` can do.
    #[must_use]
    pub fn new(dump: Dump, machine: &Machine) -> Self {
        let outcome = Outcome::of(&dump);
        let checked = check(&dump, machine);
        Self { dump, machine: machine.clone(), outcome, checked }
    }

    /// Checks `dump` with the number that KVM or Xen reported for the failed entry.
    #[must_use]
    pub fn with_error(mut dump: Dump, machine: &Machine, number: u64) -> Self {
        dump.message = Some(Message { number, meaning: MessageMeaning::HardwareError, place: None });
        Self::new(dump, machine)
    }

    /// The dump.
    #[must_use]
    pub const fn dump(&self) -> &Dump {
        &self.dump
    }

    /// What is recorded about the entry.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What the rules say that the processor does.
    #[must_use]
    pub const fn prediction(&self) -> Prediction {
        self.checked.prediction
    }

    /// Violated rules that the processor reports as it is recorded. None if the entry did not fail.
    pub fn violated(&self) -> impl Iterator<Item = &Finding> {
        let outcome = self.outcome;
        self.findings(move |finding| finding.verdict == Verdict::Violated && outcome.accuses(finding.class))
    }

    /// Violated rules that the processor did not report, or would report otherwise. None if the entry did not fail.
    pub fn misfits(&self) -> impl Iterator<Item = &Finding> {
        let outcome = self.outcome;
        self.findings(move |finding| finding.verdict == Verdict::Violated && !outcome.accuses(finding.class))
    }

    /// Rules that can be why the entry failed, and of which the dump or what is known of the processor does not say it.
    pub fn cannot_tell(&self) -> impl Iterator<Item = &Finding> {
        let outcome = self.outcome;
        self.findings(move |finding| matches!(finding.verdict, Verdict::CannotTell(_)) && outcome.names(finding.class))
    }

    /// Rules that are not kept and can be why the entry failed, but of which the manual does not say that they are checked.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        let outcome = self.outcome;
        self.findings(move |finding| finding.verdict == Verdict::Open && outcome.accuses(finding.class))
    }

    /// What the processor changes or ignores in silence, and what it takes where one may not expect it.
    pub fn taken(&self) -> impl Iterator<Item = &Finding> {
        self.findings(move |finding| finding.verdict == Verdict::Taken)
    }

    fn findings(&self, is_wanted: impl Fn(&Finding) -> bool) -> impl Iterator<Item = &Finding> {
        let is_exit = self.outcome.is_exit();
        self.checked.findings.iter().filter(move |finding| !is_exit && is_wanted(finding))
    }

    /// Whether a rule that the processor did not report is one that it found kept.
    fn contradicts(&self, finding: &Finding) -> bool {
        match finding.class {
            Class::Vmx(class) => contradicts(class, self.outcome),
            Class::Svm(_) => true,
        }
    }

    /// Writes what the rules predict, and how that fits what is recorded.
    fn predicted(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prediction = self.prediction();
        write!(f, "predicted: {prediction}")?;
        let why = if self.cannot_tell().next().is_some() {
            "\n  a rule that is listed under \"cannot tell\" can be why it failed as recorded"
        } else if self.open().next().is_some() {
            "\n  a rule that is not kept, though the manual does not say that it is checked, can be why it failed as recorded"
        } else {
            "\n  no rule says why it failed as recorded; do dump and capabilities belong together?"
        };
        let fit = match prediction.fit(self.outcome) {
            Fit::AsRecorded => "; as recorded",
            Fit::TooEarly => {
                "\n  the processor would not have come as far as is recorded; do dump and capabilities belong together?"
            }
            Fit::Otherwise | Fit::TooLate => why,
            Fit::Unknown => "",
        };
        writeln!(f, "{fit}")
    }

    /// Writes what rules need that could not be decided.
    fn needed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut facts: Vec<(String, Vec<&str>)> = Vec::new();
        let (mut fields, mut rules): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        for finding in self.cannot_tell() {
            match &finding.verdict {
                Verdict::CannotTell(Needed::Field(name)) => {
                    rules.push(finding.rule);
                    if !fields.contains(&name.as_str()) {
                        fields.push(name);
                    }
                }
                Verdict::CannotTell(needed) => {
                    let fact = needed.to_string();
                    match facts.iter_mut().find(|(known, _)| *known == fact) {
                        Some((_, rules)) => rules.push(finding.rule),
                        None => facts.push((fact, vec![finding.rule])),
                    }
                }
                _ => {}
            }
        }
        if facts.is_empty() && rules.is_empty() {
            return Ok(());
        }
        writeln!(f, "\ncannot tell (--all lists the rules):")?;
        for (fact, rules) in &facts {
            needs(f, fact, rules)?;
        }
        match fields.as_slice() {
            [] => Ok(()),
            [field] => needs(f, &format!("the field {field}"), &rules),
            _ if fields.len() <= MOST_FIELDS => {
                list(f, &format!("  {} rules need fields that the dump does not have", rules.len()), &fields)
            }
            _ => needs(f, &format!("{} fields that the dump does not have", fields.len()), &rules),
        }
    }

    /// Writes which fields an entry uses and the dump does not have: their names, or how many there are of each group.
    fn missing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State::Vmcs(fields) = &self.dump.state else { return Ok(()) };
        let missing: Vec<_> = fields.missing().collect();
        if missing.len() <= MOST_NAMES {
            let names: Vec<_> = missing.iter().map(|info| info.name).collect();
            return list(f, "missing, of what an entry uses", &names);
        }
        write!(f, "missing, of what an entry uses: {} fields", missing.len())?;
        let mut separator = ": ";
        for group in Group::ALL {
            let count = missing.iter().filter(|info| info.encoding.group() == group).count();
            if count > 0 {
                write!(f, "{separator}{count} {group}")?;
                separator = ", ";
            }
        }
        writeln!(f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dump, machine, outcome, checked } = self;
        writeln!(f, "{}, from {} on", dump.kind, dump.place)?;
        let fields = match &dump.state {
            State::Vmcs(fields) => fields.len(),
            State::Vmcb(image) => image.len(),
        };
        write!(f, "read: {fields} fields")?;
        for (area, title) in
            [(MsrArea::EntryLoad, "entry load"), (MsrArea::ExitStore, "exit store"), (MsrArea::ExitLoad, "exit load")]
        {
            let entries = dump.msrs.iter().filter(|entry| entry.area == area).count();
            if entries > 0 {
                write!(f, ", MSRs of VM {title}: {entries}")?;
            }
        }
        writeln!(f)?;
        writeln!(f, "recorded: {}", Recorded { outcome: *outcome, dump })?;
        writeln!(f, "capabilities: {machine}")?;
        for doubt in &dump.doubts {
            writeln!(f, "note: {doubt}")?;
        }
        for note in &checked.notes {
            writeln!(f, "note: {note}")?;
        }
        for (name, place) in &dump.cut {
            writeln!(f, "cut: {name} ({place})")?;
        }
        self.missing(f)?;
        if outcome.is_exit() {
            return writeln!(f, "\nNothing is accused.");
        }
        self.predicted(f)?;
        section(f, "violated", self.violated())?;
        section(
            f,
            "violated, but not what the processor reported; do dump and capabilities belong together?",
            self.misfits().filter(|finding| self.contradicts(finding)),
        )?;
        section(
            f,
            "violated too; the processor reported something else that it checks before, or at the same time",
            self.misfits().filter(|finding| !self.contradicts(finding)),
        )?;
        section(f, "not kept, and the manual does not say what happens then", self.open())?;
        if f.alternate() {
            section(f, "cannot tell", self.cannot_tell())?;
        } else {
            self.needed(f)?;
        }
        section(f, "taken, changed or ignored in silence", self.taken())?;
        if self.violated().next().is_none() {
            writeln!(f, "\nNo rule that fits is violated.")?;
        }
        Ok(())
    }
}

fn section<'f>(f: &mut fmt::Formatter<'_>, title: &str, findings: impl Iterator<Item = &'f Finding>) -> fmt::Result {
    let mut findings = findings.peekable();
    if findings.peek().is_none() {
        return Ok(());
    }
    writeln!(f, "\n{title}:")?;
    findings.try_for_each(|finding| writeln!(f, "{finding}"))
}

/// Writes how many `rules` need something, and which, if they are few.
fn needs(f: &mut fmt::Formatter<'_>, what: &str, rules: &[&str]) -> fmt::Result {
    let (noun, verb) = if rules.len() == 1 { ("rule", "needs") } else { ("rules", "need") };
    let title = format!("  {} {noun} {verb} {what}", rules.len());
    if rules.len() <= MOST_RULES { list(f, &title, rules) } else { writeln!(f, "{title}") }
}

/// Writes names behind a title, wrapped.
fn list(f: &mut fmt::Formatter<'_>, title: &str, names: &[&str]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    write!(f, "{title}:")?;
    let mut column = title.len() + 1;
    for name in names {
        if column + 1 + name.len() > WIDTH {
            write!(f, "\n ")?;
            column = 1;
        }
        write!(f, " {name}")?;
        column += 1 + name.len();
    }
    writeln!(f)
}
