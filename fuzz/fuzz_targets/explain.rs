//! Dumps as people paste them: any text is read, or the error is at a place in it; what the library prints reads back.
#![no_main]

use fuzz::text::{Token, write_all};
use libfuzzer_sys::fuzz_target;
use x86_virt::svm::VmcbDump;
use x86_virt::vmx::field::{self, FieldInfo};
use x86_virt_explain::{Machine, Report, State, profiles, read};

#[derive(Clone, Debug, arbitrary::Arbitrary)]
enum Input {
    /// Lines of a dump that somebody pasted, with changes.
    Pasted { file: u8, first: u16, edits: Vec<Edit> },
    /// Any text.
    Text(Vec<Token>),
    /// A VMCS as the library prints it.
    Vmcs(Vec<(u16, u64)>),
    /// A VMCB as the library prints it.
    Vmcb { first: u8, bytes: Vec<(u16, u8)> },
}

#[derive(Clone, Debug, arbitrary::Arbitrary)]
enum Edit {
    Insert(u16, char),
    Delete(u16, u8),
    Replace(u16, u8),
    Prefix(u8),
    Break(u16),
    Twice(u16),
}

/// What loggers and mail put before lines.
const PREFIXES: [&str; 6] =
    ["> ", "[ 1524.416884] ", "Nov 23 00:41:08 host kernel: ", "(XEN) ", "kvm_intel: ", "<4>[    7.1] kvm_amd: "];

/// The dumps of the tests of `explain`.
macro_rules! dumps {
    ($($name:literal)*) => { [$(include_str!(concat!("../../explain/tests/dumps/", $name, ".txt"))),*] };
}

const DUMPS: [&str; 14] = dumps! {
    "linux-4-syslog-cut" "linux-5-mail" "linux-6-exit" "linux-6-fred" "linux-6-svsm-error-7" "linux-cr4-reserved"
    "linux-two-vcpus" "linux-vmcb-invalid" "linux-vmcb-sev-snp" "xen-4.12-quoted-error-7" "xen-4.12-wrapped-mail"
    "xen-4.4" "xen-4.8-msr-loading" "linux-6-fred"
};

/// Lines of a dump that are looked at.
const LINES: usize = 6;

fuzz_target!(|input: (u16, Input)| {
    let (machine, input) = input;
    match input {
        Input::Pasted { file, first, edits } => any(&pasted(file, first, &edits), machine),
        Input::Text(tokens) => any(&text(&tokens), machine),
        Input::Vmcs(values) => vmcs(&values),
        Input::Vmcb { first, bytes } => vmcb(first, &bytes),
    }
});

fn pasted(file: u8, first: u16, edits: &[Edit]) -> String {
    let dump = DUMPS.get(usize::from(file) % DUMPS.len()).copied().unwrap_or_default();
    let count = dump.lines().count().max(1);
    let lines: Vec<&str> = dump.lines().skip(usize::from(first) % count).take(LINES).collect();
    let mut text: Vec<char> = lines.join("\n").chars().collect();
    for edit in edits.iter().take(8) {
        let at = |place: u16| usize::from(place) % text.len().max(1);
        match edit {
            Edit::Insert(place, character) => text.insert(at(*place), *character),
            Edit::Delete(place, count) => {
                let start = at(*place);
                let end = (start + usize::from(*count)).min(text.len());
                text.drain(start..end);
            }
            Edit::Replace(place, byte) => {
                let at = at(*place);
                if let Some(character) = text.get_mut(at) {
                    *character = char::from(*byte);
                }
            }
            Edit::Prefix(number) => {
                let prefix = PREFIXES.get(usize::from(*number) % PREFIXES.len()).copied().unwrap_or_default();
                let whole: String = text.iter().collect();
                text = whole.lines().flat_map(|line| [prefix, line, "\n"]).flat_map(str::chars).collect();
            }
            Edit::Break(place) => text.insert(at(*place), '\n'),
            Edit::Twice(place) => {
                let (_, end) = text.split_at(at(*place));
                let again = end.to_vec();
                text.extend(again);
            }
        }
        text.truncate(2000);
    }
    text.into_iter().collect()
}

fn text(tokens: &[Token]) -> String {
    let words = [
        "CR0: actual=",
        "*** Guest State ***",
        "RSP",
        "sel=",
        "attr=",
        "VMCB Control Area:",
        "efer:",
        "Interruptibility",
        "*** Host State ***",
        "reason=",
        "qualification=",
        "KVM: entry failed, hardware error ",
        "controls:",
        "unsupported",
        "PinBased=",
        "=3D",
    ];
    write_all(tokens, |number| row(number).name, &words)
}

fn row(number: u16) -> &'static FieldInfo {
    let row = field::ALL.get(usize::from(number) % field::ALL.len());
    row.unwrap_or_else(|| panic!("there are no fields"))
}

/// Every tenth text is explained, too: that takes ten times as long.
const EXPLAINED: u16 = 10;

fn any(text: &str, machine: u16) {
    match read(text) {
        Ok(dumps) => {
            assert!(!dumps.is_empty());
            for dump in dumps.into_iter().take(2).filter(|_| machine.is_multiple_of(EXPLAINED)) {
                let is_vmcs = matches!(dump.state, State::Vmcs(_));
                let known = usize::from(machine / EXPLAINED);
                let names: Vec<&str> = profiles().map(|(name, _)| name).collect();
                let name = names.get(known % (names.len() + 1)).copied().unwrap_or_default();
                let machine = match Machine::of_profile(name) {
                    Some(machine @ Machine::Vmx(_)) if is_vmcs => machine,
                    Some(machine @ Machine::Svm(_)) if !is_vmcs => machine,
                    _ => Machine::Unknown,
                };
                let report = Report::new(dump, &machine);
                let shown = report.to_string();
                for finding in report.violated() {
                    assert!(shown.contains(finding.rule), "{shown}");
                }
                assert!(!report.outcome().is_exit() || report.violated().next().is_none(), "{shown}");
            }
        }
        Err(error) => {
            let line = error.place.line.checked_sub(1).and_then(|line| text.split('\n').nth(line));
            let Some(line) = line else { panic!("{error}: there is no such line in {text:?}") };
            assert!((1..=line.chars().count() + 1).contains(&error.place.column), "{error}: {text:?}");
            assert!(
                error.to_string().starts_with(&format!("line {}, column {}", error.place.line, error.place.column))
            );
        }
    }
}

fn vmcs(values: &[(u16, u64)]) {
    let mut text = String::new();
    let mut seen: Vec<(&FieldInfo, u64)> = Vec::new();
    for (number, value) in values.iter().take(16) {
        let info = row(*number);
        let value = value & u64::MAX >> (64 - info.encoding.width().bits());
        if seen.iter().all(|(other, _)| other.encoding != info.encoding) {
            text += &format!("  {} = {}\n", info.name, info.text(value));
            seen.push((info, value));
        }
    }
    if seen.is_empty() {
        return;
    }
    let dumps = read(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let [dump] = dumps.as_slice() else { panic!("{} dumps in {text}", dumps.len()) };
    let State::Vmcs(fields) = &dump.state else { panic!("no VMCS: {text}") };
    for (info, value) in &seen {
        assert_eq!(fields.raw(info.encoding), Some(*value), "{text}");
    }
    assert_eq!(fields.len(), seen.len(), "{text}");
}

fn vmcb(first: u8, places: &[(u16, u8)]) {
    let mut bytes = [0; 4096];
    for (place, value) in places {
        if let Some(byte) = bytes.get_mut(usize::from(*place) % 0x700) {
            *byte = *value;
        }
    }
    let dump = VmcbDump::from_bytes(bytes);
    let lines: Vec<_> = dump.entries().skip(usize::from(first)).take(8).filter(|entry| entry.field.is_some()).collect();
    if lines.is_empty() {
        return;
    }
    let text: String = lines.iter().map(|entry| format!("{entry}\n")).collect();
    let dumps = read(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let [read] = dumps.as_slice() else { panic!("{} dumps in {text}", dumps.len()) };
    let State::Vmcb(image) = &read.state else { panic!("no VMCB: {text}") };
    assert_eq!(image.len(), lines.len(), "{text}");
}
