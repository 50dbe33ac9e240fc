//! CPUID values in a file.

use x86_virt_svm::RawCpuid;

use super::words::{Word, lines};
use super::{Machine, SvmMachine};
use crate::place::Place;
use crate::read::{ReadError, ReadErrorKind};

/// Reads CPUID values: what `cpuid -r` prints, or the four registers behind the number of a leaf. The first processor counts.
///
/// ```
/// use x86_virt_explain::{Machine, read_cpuid};
///
/// let machine = read_cpuid("CPU 0:\n   0x8000000a 0x00: eax=0x00000001 ebx=0x00008000 ecx=0x00000000 edx=0x119b9cff\n")?;
/// assert_eq!(read_cpuid("CPUID 8000000A: 00000001-00008000-00000000-119B9CFF")?, machine);
/// let Machine::Svm(machine) = machine else { panic!("no SVM") };
/// assert_eq!(machine.cpuid().leaf_8000_000a_ebx, 0x8000);
/// # Ok::<(), x86_virt_explain::ReadError>(())
/// ```
///
/// # Errors
///
/// [`ReadError`] with the place of what is no value, or if leaf 8000_000A is not there.
pub fn read_cpuid(source: &str) -> Result<Machine, ReadError> {
    let mut cpuid = RawCpuid::default();
    let (mut leaf_8000_0008_ebx, mut leaf_8000_0021_eax) = (None, None);
    let mut seen = Vec::new();
    for words in lines(source, ":=-[],") {
        let words = match words.split_first() {
            Some((first, rest)) if first.text.eq_ignore_ascii_case("cpuid") => rest,
            _ => words.as_slice(),
        };
        let Some((key, rest)) = words.split_first() else { continue };
        let Some(leaf) = key.hexadecimal().filter(|_| rest.len() >= 4) else { continue };
        let (subleaf, registers) = registers(key, rest)?;
        if seen.contains(&(leaf, subleaf)) {
            continue;
        }
        seen.push((leaf, subleaf));
        let [eax, ebx, ecx, edx] = registers;
        match (leaf, subleaf) {
            (1, _) => cpuid.leaf_1_ecx = ecx,
            (7, 0) => (cpuid.leaf_7_ebx, cpuid.leaf_7_ecx) = (ebx, ecx),
            (0x8000_0001, _) => (cpuid.leaf_8000_0001_ecx, cpuid.leaf_8000_0001_edx) = (ecx, edx),
            (0x8000_0008, _) => (cpuid.leaf_8000_0008_eax, leaf_8000_0008_ebx) = (eax, Some(ebx)),
            (0x8000_000a, _) => {
                cpuid.leaf_8000_000a_eax = eax;
                cpuid.leaf_8000_000a_ebx = ebx;
                cpuid.leaf_8000_000a_ecx = ecx;
                cpuid.leaf_8000_000a_edx = edx;
            }
            (0x8000_001f, _) => {
                cpuid.leaf_8000_001f_eax = eax;
                cpuid.leaf_8000_001f_ebx = ebx;
                cpuid.leaf_8000_001f_ecx = ecx;
                cpuid.leaf_8000_001f_edx = edx;
            }
            (0x8000_0021, _) => leaf_8000_0021_eax = Some(eax),
            _ => {}
        }
    }
    if !seen.iter().any(|(leaf, _)| *leaf == 0x8000_000a) {
        let reason = "no CPUID leaf 8000000A in this file".to_owned();
        return Err(ReadError { place: Place::START, kind: ReadErrorKind::Capability { reason } });
    }
    let source = format!("{} CPUID leaves of a file", seen.len());
    Ok(Machine::Svm(SvmMachine { cpuid, leaf_8000_0008_ebx, leaf_8000_0021_eax, source }))
}

/// The subleaf and the four registers behind the number of a leaf.
fn registers(key: &Word, rest: &[Word]) -> Result<(u64, [u32; 4]), ReadError> {
    let value = |word: &Word| {
        let number = word.hexadecimal().and_then(|number| u32::try_from(number).ok());
        number.ok_or_else(|| word.error("no hexadecimal number of 32 bits"))
    };
    let behind = |name: &str| {
        let at = rest.iter().position(|word| word.text.eq_ignore_ascii_case(name));
        at.map(|at| rest.get(at + 1).ok_or_else(|| key.error("a register without a value")).and_then(value)).transpose()
    };
    let subleaf = behind("sl")?;
    if let (Some(eax), Some(ebx), Some(ecx), Some(edx)) =
        (behind("eax")?, behind("ebx")?, behind("ecx")?, behind("edx")?)
    {
        let subleaf = rest.first().and_then(Word::hexadecimal).unwrap_or(0);
        return Ok((subleaf, [eax, ebx, ecx, edx]));
    }
    let [eax, ebx, ecx, edx, ..] = rest else { return Err(key.error("a leaf without four registers")) };
    Ok((u64::from(subleaf.unwrap_or(0)), [value(eax)?, value(ebx)?, value(ecx)?, value(edx)?]))
}

#[cfg(test)]
mod tests {
    use super::read_cpuid;
    use crate::machine::Machine;

    #[test]
    fn the_first_processor_counts() {
        let source =
            "CPU 0:\n 0x8000000a 0x00: eax=1 ebx=8 ecx=0 edx=3\nCPU 1:\n 0x8000000a 0x00: eax=1 ebx=9 ecx=0 edx=3";
        let Machine::Svm(machine) = read_cpuid(source).unwrap() else { panic!("no SVM") };
        assert_eq!(machine.cpuid().leaf_8000_000a_ebx, 8);
        let source = "CPUID 00000007: 1-2-3-4 [SL 00]\nCPUID 00000007: 5-6-7-8 [SL 01]\nCPUID 8000000A: 1-2-3-4";
        let Machine::Svm(machine) = read_cpuid(source).unwrap() else { panic!("no SVM") };
        assert_eq!((machine.cpuid().leaf_7_ebx, machine.cpuid().leaf_7_ecx), (2, 3));
    }

    #[test]
    fn errors_have_places() {
        for (source, expected) in [
            ("", "line 1, column 1: no CPUID leaf 8000000A in this file"),
            ("\n8000000A: 1-2-x-4", "line 2, column 15: `x`: no hexadecimal number of 32 bits"),
            (" 0x8000000a 0x00: eax=1 ebx=8 ecx=0 edx", "line 1, column 2: `0x8000000a`: a register without a value"),
        ] {
            assert_eq!(read_cpuid(source).unwrap_err().to_string(), expected, "{source}");
        }
    }
}
