//! Every exit, to test exit loops.

use x86_virt_core::{AddressSize, ExitKind, Gprs};

use crate::exit::{ExitContext, SvmExit, decode_exit};
use crate::exit_code::ExitCode;

/// Calls `visit` with each exit code up to FFFH, with those above that have a name, with each bit alone and with the highest ones, and
/// with what they decode to: with zeros and ones in the words and registers that tell of the exit, and for codes that have a name with each
/// pattern of their low bits, each bit alone, and the highest with the number of a register. No decoder helps, and the processor has
/// decode assists or has them not.
///
/// It is for tests of exit loops, with a `ScriptedVcpu` for instance: whatever comes, they must go on or give up.
///
/// ```
/// use x86_virt_core::ExitKind;
/// use x86_virt_svm::testing::every_exit;
///
/// let mut unknown = 0;
/// every_exit(|exit, kind| {
///     if exit.code.name().is_none() {
///         assert_eq!(kind, ExitKind::Vendor);
///         unknown += 1;
///     }
/// });
/// assert!(unknown > 3000);
/// ```
pub fn every_exit(mut visit: impl FnMut(SvmExit, ExitKind)) {
    let named = ExitCode::ALL.iter().map(|code| code.value).filter(|code| *code > 0xfff);
    let bits = (12..u64::BITS).map(|bit| 1 << bit);
    for code in (0..=0xfff).chain(named).chain(bits).chain(u64::MAX - 0xf..=u64::MAX) {
        let code = ExitCode::from_bits(code);
        let low = if code.name().is_some() { 0..0x400 } else { 0..1 };
        let bits = if code.name().is_some() { 10..u64::BITS } else { 0..0 };
        // Bit 63 says that the word has the number of a register.
        let registers = if code.name().is_some() { 0..0x10 } else { 0..0 };
        let words = low.chain(bits.map(|bit| 1 << bit)).chain(registers.map(|number| 1 << 63 | number));
        for word in words.chain([u64::MAX]) {
            let exit = SvmExit { code, info1: word, info2: word };
            for is_told in [false, true] {
                let context = ExitContext {
                    gprs: &Gprs::filled(word),
                    is_protected: is_told,
                    default_address_size: AddressSize::Bits64,
                    has_decode_assists: is_told,
                    is_delivering: !is_told,
                };
                visit(exit, decode_exit(exit, context, || None));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use x86_virt_core::ExitKind;

    use super::{ExitCode, every_exit};

    #[test]
    fn each_code_comes_and_those_with_operands_in_many_kinds() {
        let mut kinds: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
        every_exit(|exit, kind| {
            assert!(!kind.name().is_empty() && !exit.to_string().is_empty());
            if exit.code.name().is_none() {
                assert_eq!(kind, ExitKind::Vendor, "{exit}");
            }
            kinds.entry(exit.code.into_bits()).or_default().insert(format!("{kind:x?}"));
        });
        assert!(ExitCode::ALL.iter().all(|code| kinds.contains_key(&code.value)), "each that has a name");
        assert!((0..=0xfff).all(|code| kinds.contains_key(&code)));
        let of = |code: ExitCode| kinds[&code.into_bits()].len();
        assert!(of(ExitCode::IOIO) >= 3 * 2 * 2, "sizes, directions, strings");
        assert!(of(ExitCode::NPF) >= 8, "accesses");
        assert!(of(ExitCode::CR0_WRITE) >= 16, "registers");
        assert!(of(ExitCode::MSR) >= 3, "directions, and neither");
        assert_eq!(of(ExitCode::HLT), 1);
    }
}
