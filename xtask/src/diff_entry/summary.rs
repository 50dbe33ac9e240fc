//! What came of all states.

use core::fmt;
use core::time::Duration;

use serde_json::{Value, json};

use crate::diff_entry::chunk::Part;
use crate::diff_entry::messages::Messages;
use crate::machine::Machine;

/// What came of all states on a machine.
#[derive(Debug)]
pub(crate) struct Summary {
    machine: Machine,
    messages: Messages,
    pub(crate) took: Duration,
    all: Part,
}

impl Summary {
    pub(crate) fn new(machine: &Machine) -> Self {
        Self { machine: machine.clone(), messages: Messages::of(machine), took: Duration::ZERO, all: Part::default() }
    }

    pub(crate) fn add(&mut self, part: Part) {
        self.all.add(part);
    }

    pub(crate) fn unexplained(&self) -> usize {
        self.all.unexplained.len()
    }

    /// Whether the processor did what the checker said, or what a row of departures says, each time.
    pub(crate) fn is_explained(&self) -> bool {
        self.all.unexplained.is_empty() && self.all.cases > 0
    }

    /// The numbers in a line.
    pub(crate) fn line(&self) -> String {
        let Part { cases, agree, explained, .. } = &self.all;
        format!(
            "{:32} diff-entry  {cases} states, {agree} agree, {explained} explained, {} rules, {} messages, {:.2} s",
            self.machine,
            self.all.rules_reached(),
            self.all.messages.len(),
            self.took.as_secs_f64(),
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "cases": self.all.cases,
            "agree": self.all.agree,
            "explained": self.all.explained,
            "unexplained": self.unexplained(),
            "rules_reached": self.all.rules_reached(),
            "messages_reached": self.all.messages.len(),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Part { cases, agree, explained, undecided, not_tried, refused, .. } = &self.all;
        writeln!(
            f,
            "{}: {cases} states, {refused} refused, in {:.0} s\n  agree        {agree}\n  explained    {explained}\n  \
             undecided    {undecided}\n  not tried    {not_tried}\n  unexplained  {}",
            self.machine,
            self.took.as_secs_f64(),
            self.unexplained(),
        )?;
        writeln!(f, "rules broken by some state: {}", self.all.rules_reached())?;
        for (title, rows) in [("departures of the emulator", &self.all.departures), ("not tried", &self.all.stops)] {
            writeln!(f, "{title}:")?;
            for (text, count) in rows {
                writeln!(f, "  {count:>9}  {text}")?;
            }
        }
        let messages = self.messages.rows();
        if !messages.is_empty() {
            let mapped = messages.iter().filter(|message| !message.rules.is_empty()).count();
            writeln!(
                f,
                "messages of Bochs: {}, {mapped} of them stand for rules, {} came",
                messages.len(),
                self.all.messages.len(),
            )?;
            let missing = messages.iter().enumerate().filter(|(number, _)| !self.all.messages.contains_key(number));
            for (_, message) in missing.filter(|(_, message)| message.note.is_empty()) {
                writeln!(f, "  never came: {message}")?;
            }
        }
        for text in &self.all.unexplained {
            writeln!(f, "UNEXPLAINED  {text}")?;
        }
        Ok(())
    }
}
