//! Why Bochs refused an entry: its messages, and the rules that they stand for.

use core::fmt;
use std::collections::{BTreeSet, HashMap};

use crate::machine::{Emulator, Machine, Vendor};

/// The messages of Bochs 2.7 about VMX that end an entry or another instruction, and the rules of each.
const VMX: &str = include_str!("messages.csv");

/// Those about VMRUN.
const SVM: &str = include_str!("messages_svm.csv");

/// How the messages of both tables begin.
const MARKS: [&str; 12] = [
    "VMFAIL",
    "VMENTER FAIL",
    "FAIL: VMCS",
    "VMENTER: EPT Guest State",
    "VMENTER: Guest State",
    "VMX LoadMSRs",
    "VMX StoreMSRs",
    "VMABORT",
    "VMEXIT: Error",
    "VMRUN: ",
    "VMRUN():",
    "SVM: VMRUN ",
];

/// The messages that a machine can log.
#[derive(Debug)]
pub(crate) struct Messages {
    rows: Vec<Message>,
    /// By their text, those that are the same each time.
    fixed: HashMap<&'static str, usize>,
}

/// A message.
#[derive(Debug)]
pub(crate) struct Message {
    /// The text, with the directives of `printf`.
    pub(crate) text: &'static str,
    /// What of the text is fixed.
    pieces: Vec<&'static str>,
    /// The rules that it may stand for.
    pub(crate) rules: Vec<&'static str>,
    /// Why no entry here can make it, or nothing.
    pub(crate) note: &'static str,
}

impl Messages {
    /// Those of the machine's emulator.
    pub(crate) fn of(machine: &Machine) -> Self {
        match (machine.emulator, machine.vendor) {
            (Emulator::Bochs, Vendor::Intel) => Self::parse(&[VMX]),
            (Emulator::Bochs, Vendor::Amd) => Self::parse(&[SVM]),
            (Emulator::Qemu, _) => Self::parse(&[]),
        }
    }

    /// Those of Bochs about both.
    pub(crate) fn all() -> Self {
        Self::parse(&[VMX, SVM])
    }

    fn parse(tables: &[&'static str]) -> Self {
        let rows: Vec<_> = tables.iter().flat_map(|table| table.lines().skip(1).filter_map(Message::parse)).collect();
        let fixed = rows.iter().enumerate().filter(|(_, row)| row.pieces.len() == 1);
        let fixed = fixed.map(|(number, row)| (row.text, number)).collect();
        Self { rows, fixed }
    }

    /// All of them.
    pub(crate) fn rows(&self) -> &[Message] {
        &self.rows
    }

    /// The message that a line is, without what comes before the text, and its number.
    pub(crate) fn find(&self, text: &str) -> Option<(usize, &Message)> {
        let variable = || self.rows.iter().position(|row| row.pieces.len() > 1 && row.is(text));
        let number = self.fixed.get(text).copied().or_else(variable)?;
        self.rows.get(number).map(|row| (number, row))
    }

    /// Whether a refusal without a message is right for a state that breaks these rules: Bochs says nothing about events that
    /// VMRUN refuses. Of VMX it logs each refusal.
    pub(crate) fn may_be_silent(&self, rules: &[&str]) -> bool {
        let is_silent = |rule: &&str| rule.starts_with("SVM-") && self.rows.iter().all(|row| !row.rules.contains(rule));
        rules.iter().any(is_silent)
    }

    /// The messages about entries in a program, as far as this table does not have them, and those of the table that it does not
    /// have.
    pub(crate) fn differences(&self, program: &[u8]) -> Vec<String> {
        let mut differences = Vec::new();
        let is_message = |text: &&str| MARKS.iter().any(|mark| text.starts_with(mark)) && !text.contains('\n');
        let strings = program.split(|byte| *byte == 0).filter_map(|bytes| core::str::from_utf8(bytes).ok());
        let found: BTreeSet<_> = strings.filter(is_message).collect();
        let known: BTreeSet<_> = self.rows.iter().map(|row| row.text).collect();
        differences.extend(found.difference(&known).map(|text| format!("not in the table: {text}")));
        differences.extend(known.difference(&found).map(|text| format!("not in the program: {text}")));
        differences
    }
}

impl Message {
    /// A row: `text;rules between spaces;note`.
    fn parse(row: &'static str) -> Option<Self> {
        let mut columns = row.split(';');
        let (text, rules, note) = (columns.next()?, columns.next()?, columns.next()?);
        Some(Self { text, pieces: pieces(text), rules: rules.split_whitespace().collect(), note })
    }

    fn is(&self, text: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else { return false };
        let Some(mut text) = text.strip_prefix(first) else { return false };
        for (index, piece) in rest.iter().enumerate() {
            let is_last = index.saturating_add(1) == rest.len();
            let found = if is_last {
                text.ends_with(piece).then_some("")
            } else {
                text.split_once(piece).map(|(_, rest)| rest)
            };
            let Some(rest) = found else { return false };
            text = rest;
        }
        true
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

/// What is between the directives of `printf`.
fn pieces(text: &'static str) -> Vec<&'static str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        pieces.push(before);
        let length = behind
            .find(|c: char| c.is_ascii_alphabetic() && c != 'l')
            .map_or(behind.len(), |end| end.saturating_add(1));
        rest = behind.get(length..).unwrap_or_default();
    }
    pieces.push(rest);
    pieces
}

/// The time of a line of the log and its text: `00002241640e[CPU0  ] text`.
pub(crate) fn line(line: &str) -> Option<(u64, &str)> {
    let (prefix, text) = line.split_once("] ")?;
    let (time, _) = prefix.split_once('[')?;
    let time = time.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    Some((time.parse().ok()?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVM_MESSAGES: usize = 23;

    fn intel() -> Messages {
        Messages::of(&Machine::bochs("tigerlake", Vendor::Intel))
    }

    #[test]
    fn messages_are_found_with_and_without_numbers() {
        let messages = intel();
        let text = |line| messages.find(line).map(|(_, message)| message.text);
        assert_eq!(text("VMENTER FAIL: VMCS guest invalid CR0"), Some("VMENTER FAIL: VMCS guest invalid CR0"));
        assert_eq!(text("VMENTER FAIL: VMCS guest DS not segment"), Some("VMENTER FAIL: VMCS guest %s not segment"));
        assert_eq!(
            text("VMFAIL: VMCS link pointer incorrect revision ID 43 != 4"),
            Some("VMFAIL: VMCS link pointer incorrect revision ID %d != %d")
        );
        assert_eq!(
            text("VMFAIL: VMCS host state invalid CR4 0x0000000000002021"),
            Some("VMFAIL: VMCS host state invalid CR4 0x%016lx")
        );
        assert_eq!(text("VMEXIT: Guest State Checks Failed"), None);
    }

    #[test]
    fn only_rules_of_vmrun_without_a_message_are_silent() {
        let amd = Messages::of(&Machine::bochs("ryzen", Vendor::Amd));
        assert!(amd.may_be_silent(&["SVM-VMRUN-CR0-NW", "SVM-VMRUN-EVENTINJ-TYPE"]));
        assert!(!amd.may_be_silent(&["SVM-VMRUN-CR0-NW"]) && !amd.may_be_silent(&[]));
        assert!(!intel().may_be_silent(&["VMX-GUEST-RIP-64"]));
    }

    #[test]
    fn lines_of_the_log_have_a_time() {
        assert_eq!(line("00002241640e[CPU0  ] VMFAIL: x"), Some((2_241_640, "VMFAIL: x")));
        assert_eq!(line("no line of the log"), None);
    }

    #[test]
    fn each_message_has_rules_or_says_why_not() {
        let messages = intel();
        assert_eq!(messages.rows().len(), 179);
        for message in messages.rows() {
            assert!(!message.rules.is_empty() || !message.note.is_empty(), "{message}");
        }
        let amd = Messages::of(&Machine::bochs("ryzen", Vendor::Amd));
        assert_eq!(amd.rows().len(), SVM_MESSAGES);
        for message in amd.rows() {
            assert!(!message.rules.is_empty() || !message.note.is_empty(), "{message}");
        }
    }

    #[cfg(feature = "provisional")]
    #[test]
    fn the_rules_of_messages_exist() {
        for message in intel().rows() {
            for rule in &message.rules {
                assert!(x86_virt::vmx::check::Rule::find(rule).is_some(), "{message}: {rule}");
            }
        }
        for message in Messages::of(&Machine::bochs("ryzen", Vendor::Amd)).rows() {
            for rule in &message.rules {
                assert!(x86_virt::svm::check::Rule::find(rule).is_some(), "{message}: {rule}");
            }
        }
    }

    #[test]
    fn a_program_with_other_messages_differs() {
        let messages = Messages::all();
        let mut program = messages.rows().iter().map(|row| row.text).collect::<Vec<_>>().join("\0").into_bytes();
        assert_eq!(messages.differences(&program), [""; 0]);
        program.extend(b"\0VMFAIL: new\0");
        assert_eq!(messages.differences(&program), ["not in the table: VMFAIL: new"]);
        assert_eq!(messages.differences(b"").len(), 179 + SVM_MESSAGES);
    }
}
