//! Dumps of a VMCS: their text reads back as the same, and any other text is one or tells its first wrong line.
#![no_main]

use fuzz::text::{Token, write_all};
use libfuzzer_sys::fuzz_target;
use x86_virt::vmx::field::{self, Encoding, FieldInfo};
use x86_virt::vmx::{FakeVmcs, InstructionError, VmFail, VmcsDump, VmcsRead};

const HEADINGS: [&str; 4] = ["controls:", "read-only data:", "guest state:", "host state:"];

#[derive(Clone, Debug, arbitrary::Arbitrary)]
enum Input {
    /// All fields.
    Whole { values: Vec<(u16, u64)>, missing: Vec<u16>, changed: u16 },
    /// The text of some fields.
    Lines(Vec<(u16, u64)>),
    /// A field with a number, which may not fit.
    Number { row: u16, value: u64, shift: u8 },
    /// Any text.
    Text(Vec<Token>),
}

/// A processor that does not have some of the fields.
struct Partial {
    vmcs: FakeVmcs,
    missing: Vec<Encoding>,
}

impl VmcsRead for Partial {
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        if self.missing.contains(&field) {
            return Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD));
        }
        self.vmcs.read_raw(field)
    }
}

fn row(number: u16) -> &'static FieldInfo {
    let row = field::ALL.get(usize::from(number) % field::ALL.len());
    row.unwrap_or_else(|| panic!("there are no fields"))
}

/// The bits that a field has.
fn kept(info: &FieldInfo, value: u64) -> u64 {
    value & u64::MAX >> (64 - info.encoding.width().bits())
}

fuzz_target!(|input: Input| {
    match input {
        Input::Whole { values, missing, changed } => whole(&values, &missing, changed),
        Input::Lines(lines) => some(&lines),
        Input::Number { row, value, shift } => one(row, value >> (shift % 64)),
        Input::Text(tokens) => any(&text(&tokens)),
    }
});

/// Where the text is read back as a whole, which takes a hundred times as long as the rest.
const WHOLE: u16 = 0x5a5a;

fn whole(values: &[(u16, u64)], missing: &[u16], changed: u16) {
    let mut partial = Partial { vmcs: FakeVmcs::new(), missing: Vec::new() };
    for (number, value) in values {
        partial.vmcs.set_raw(row(*number).encoding.get(), *value);
    }
    partial.missing = missing.iter().map(|number| row(*number).encoding).collect();
    let dump = partial.dump();
    for (info, value) in dump.fields() {
        assert_eq!(value, partial.read_raw(info.encoding).ok(), "{}", info.name);
    }
    if changed == WHOLE {
        assert_eq!(VmcsDump::parse(&dump.to_string()).as_ref(), Ok(&dump));
    }

    let info = row(changed);
    let before = dump.get_raw(info.encoding);
    partial.vmcs.set_raw(info.encoding.get(), before.unwrap_or(0) ^ 1);
    let after = partial.dump();
    let mut differences = after.differences(&dump).map(|(info, new, old)| (info.name, new, old));
    let expected = before.map(|value| (info.name, Some(value ^ 1), Some(value)));
    assert_eq!((differences.next(), differences.next()), (expected, None));
}

/// The first line for a field counts, and a second one is an error there.
fn some(lines: &[(u16, u64)]) {
    let lines = lines.get(..16).unwrap_or(lines);
    let mut text = String::new();
    let mut seen: Vec<(Encoding, u64)> = Vec::new();
    let mut twice = None;
    for (number, (at, value)) in (1..).zip(lines) {
        let info = row(*at);
        let value = kept(info, *value);
        text += &format!("  {} = {}\n", info.name, info.text(value));
        if seen.iter().any(|(encoding, _)| *encoding == info.encoding) {
            twice = twice.or(Some(number));
        }
        seen.push((info.encoding, value));
    }
    match VmcsDump::parse(&text) {
        Ok(dump) => {
            assert_eq!(twice, None);
            assert!(seen.iter().all(|(encoding, value)| dump.get_raw(*encoding) == Some(*value)), "{text}");
            assert_eq!(dump.fields().filter(|(_, value)| value.is_some()).count(), seen.len());
        }
        Err(error) => assert_eq!((Some(error.line), error.column), (twice, 3), "{text}"),
    }
}

/// A number fits, or the error is where it is.
fn one(number: u16, value: u64) {
    let info = row(number);
    match VmcsDump::parse(&format!("{} = {value:#x}", info.name)) {
        Ok(dump) => assert_eq!(dump.get_raw(info.encoding), Some(kept(info, value)).filter(|kept| *kept == value)),
        Err(error) => {
            assert_ne!(kept(info, value), value);
            assert_eq!((error.line, error.column), (1, info.name.len() + " = ".len() + 1));
        }
    }
}

fn text(tokens: &[Token]) -> String {
    write_all(
        tokens,
        |number| row(number).name,
        &["unsupported", "controls", "read-only data", "guest state", "host state"],
    )
}

/// What a plain reader makes of a line: nothing, or a field and perhaps its value.
fn plain(line: &str) -> Option<Option<(&'static FieldInfo, Option<u64>)>> {
    let line = line.trim();
    if line.is_empty() || HEADINGS.contains(&line) {
        return Some(None);
    }
    let (name, rest) = line.split_at(line.find(" = ")?);
    let info = field::ALL.iter().find(|info| info.name == name)?;
    let word = rest.strip_prefix(" = ")?.split(' ').next()?;
    if word == "unsupported" {
        return Some(Some((info, None)));
    }
    let mut value: u128 = 0;
    for digit in word.strip_prefix("0x").filter(|digits| !digits.is_empty())?.chars() {
        value = (value * 16 + u128::from(digit.to_digit(16)?)).min(u128::MAX >> 8);
    }
    let value = u64::try_from(value).ok().filter(|value| kept(info, *value) == *value)?;
    Some(Some((info, Some(value))))
}

fn any(text: &str) {
    let mut seen: Vec<(Encoding, Option<u64>)> = Vec::new();
    let mut wrong = None;
    for (number, line) in (1..).zip(text.lines()) {
        match plain(line) {
            Some(None) => {}
            Some(Some((info, value))) if seen.iter().all(|(encoding, _)| *encoding != info.encoding) => {
                seen.push((info.encoding, value));
            }
            _ => {
                wrong = Some((number, line.len()));
                break;
            }
        }
    }
    match (VmcsDump::parse(text), wrong) {
        (Ok(dump), None) => {
            assert!(seen.iter().all(|(encoding, value)| dump.get_raw(*encoding) == *value), "{text}");
            let values = seen.iter().filter(|(_, value)| value.is_some()).count();
            assert_eq!(dump.fields().filter(|(_, value)| value.is_some()).count(), values);
        }
        (Err(error), Some((line, length))) => {
            assert_eq!(error.line, line, "{text}");
            assert!((1..=length + 1).contains(&error.column), "{error}: {text}");
        }
        (result, wrong) => panic!("{result:?}, and a plain reader says {wrong:?}: {text}"),
    }
}
