//! Values of MSRs in a file.

use std::collections::BTreeSet;

use x86_virt_vmx::{CapabilityMsr, RawCapabilities};

use super::words::{Word, lines};
use super::{Machine, VmxMachine, set};
use crate::place::Place;
use crate::read::{ReadError, ReadErrorKind};

/// Reads the values of capability MSRs: lines with number or name and value, or what `rdmsr` prints behind its command line.
///
/// ```
/// use x86_virt_explain::{Machine, read_msrs};
/// use x86_virt_vmx::CapabilityMsr;
///
/// let machine = read_msrs("0x480 0x00da040000000004\n# rdmsr -a\n$ rdmsr -a 0x488\n2000\n2000\nIA32_VMX_CR4_FIXED1: 3767ff\n")?;
/// let Machine::Vmx(machine) = machine else { panic!("no VMX") };
/// assert_eq!(machine.get(CapabilityMsr::IA32_VMX_CR4_FIXED0), Some(0x2000));
/// assert_eq!(machine.get(CapabilityMsr::IA32_VMX_CR4_FIXED1), Some(0x37_67ff));
/// assert_eq!(machine.get(CapabilityMsr::IA32_VMX_MISC), None);
///
/// let error = read_msrs("0x480 0x00da040000000004\n0x481 0xghi\n").unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column 7: `0xghi`: no hexadecimal number of 64 bits");
/// # Ok::<(), x86_virt_explain::ReadError>(())
/// ```
///
/// # Errors
///
/// [`ReadError`] with the place of what is no MSR or no value, or if processors differ, or if there is no capability MSR.
pub fn read_msrs(source: &str) -> Result<Machine, ReadError> {
    let mut raw = RawCapabilities::NONE;
    let mut known = BTreeSet::new();
    let mut current = None;
    for words in lines(source, ":=[],") {
        let words = match words.split_first() {
            Some((first, rest)) if first.text.eq_ignore_ascii_case("msr") && !rest.is_empty() => rest,
            _ => words.as_slice(),
        };
        if let Some(command) = words.iter().position(|word| word.text.ends_with("rdmsr")) {
            let number = words.get(command + 1..).unwrap_or_default().last();
            current = Some(number.and_then(command_number).ok_or_else(|| match number.or(words.last()) {
                Some(word) => word.error("not the number of an MSR"),
                None => none(),
            })?);
            continue;
        }
        let (number, value) = match words {
            [value] => match current {
                Some(number) => (number, value),
                None => return Err(value.error("a value without the number of its MSR before it")),
            },
            [key, .., value] if key.text.eq_ignore_ascii_case("maxphyaddr") => {
                raw.physical_address_width =
                    value.text.parse().map_err(|_| value.error("no number of bits of a physical address"))?;
                continue;
            }
            [key, .., value] => {
                current = None;
                (key_number(key).ok_or_else(|| key.error("neither the number nor the name of an MSR"))?, value)
            }
            [] => continue,
        };
        let content = value.hexadecimal().ok_or_else(|| value.error("no hexadecimal number of 64 bits"))?;
        let msr = CapabilityMsr::from_bits(number);
        let Some(before) = raw.get(msr) else { continue };
        if !known.insert(number) && before != content {
            return Err(value.error(&format!("another processor has {before:#x}")));
        }
        set(&mut raw, msr, content);
    }
    if known.is_empty() {
        return Err(none());
    }
    let source = format!("{} capability MSRs of a file", known.len());
    Ok(Machine::Vmx(VmxMachine { raw, known, source }))
}

fn none() -> ReadError {
    let reason = "no VMX capability MSR (0x480 to 0x493) in this file".to_owned();
    ReadError { place: Place::START, kind: ReadErrorKind::Capability { reason } }
}

/// The number of an MSR at the start of a line.
fn key_number(word: &Word) -> Option<u32> {
    let named = CapabilityMsr::ALL
        .iter()
        .find(|row| row.name.eq_ignore_ascii_case(&word.text) || row.aliases.contains(&word.text.as_str()));
    named.map(|row| row.value).or_else(|| u32::try_from(word.hexadecimal()?).ok())
}

/// The number of an MSR as rdmsr takes it: in hexadecimal with `0x`, else in decimal.
fn command_number(word: &Word) -> Option<u32> {
    if word.text.starts_with("0x") { u32::try_from(word.hexadecimal()?).ok() } else { word.text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use x86_virt_vmx::CapabilityMsr;

    use super::read_msrs;
    use crate::machine::Machine;

    #[test]
    fn errors_have_places() {
        for (source, expected) in [
            ("da04", "line 1, column 1: `da04`: a value without the number of its MSR before it"),
            ("0x480 1\nhello world", "line 2, column 1: `hello`: neither the number nor the name of an MSR"),
            ("rdmsr -a 0x480\n1\n2", "line 3, column 1: `2`: another processor has 0x1"),
            ("rdmsr -a", "line 1, column 7: `-a`: not the number of an MSR"),
            ("maxphyaddr x", "line 1, column 12: `x`: no number of bits of a physical address"),
            ("0x10 5", "line 1, column 1: no VMX capability MSR (0x480 to 0x493) in this file"),
            ("", "line 1, column 1: no VMX capability MSR (0x480 to 0x493) in this file"),
            ("0x480 +1", "line 1, column 7: `+1`: no hexadecimal number of 64 bits"),
        ] {
            assert_eq!(read_msrs(source).unwrap_err().to_string(), expected, "{source}");
        }
    }

    #[test]
    fn forms_are_equal() {
        let expected = read_msrs("0x486 0x80000021").unwrap();
        for source in [
            "486 80000021",
            "MSR[00000486]: 0000000080000021",
            "IA32_VMX_CR0_FIXED0 = 0x80000021",
            "MSR_IA32_VMX_CR0_FIXED0 0x486 0x80000021",
            "$ sudo rdmsr -a 1158\n80000021\n80000021",
            "root@host:~# x\n0x486 0x80000021".strip_prefix("root@host:~# x\n").unwrap(),
        ] {
            assert_eq!(read_msrs(source).unwrap(), expected, "{source}");
        }
        let Machine::Vmx(machine) = read_msrs("maxphyaddr 39\n0x480 1").unwrap() else { panic!("no VMX") };
        assert_eq!((machine.raw.physical_address_width, machine.get(CapabilityMsr::IA32_VMX_BASIC)), (39, Some(1)));
    }
}
