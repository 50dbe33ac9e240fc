//! Every exit, to test exit loops.

use x86_virt_core::{ExitKind, Gprs};

use super::FakeVmcs;
use crate::exit::{BasicExitReason, ExitReason, decode_exit};
use crate::field;

/// The fields that tell of an exit.
const FIELDS: [u32; 7] = [
    field::EXIT_QUALIFICATION.encoding().get(),
    field::EXIT_INSTRUCTION_INFORMATION.encoding().get(),
    field::EXIT_INTERRUPTION_INFORMATION.encoding().get(),
    field::EXIT_INTERRUPTION_ERROR_CODE.encoding().get(),
    field::IDT_VECTORING_INFORMATION.encoding().get(),
    field::GUEST_PHYSICAL_ADDRESS.encoding().get(),
    field::GUEST_LINEAR_ADDRESS.encoding().get(),
];

/// Calls `visit` with each basic exit reason, also with those that no manual lists, and with what it decodes to: with zeros and ones in
/// the fields and registers that tell of the exit, and for reasons that have a name with each pattern of their low bits, and each bit alone.
///
/// It is for tests of exit loops, with a `ScriptedVcpu` for instance: whatever comes, they must go on or give up.
///
/// ```
/// use x86_virt_core::ExitKind;
/// use x86_virt_vmx::testing::every_exit;
///
/// let mut unknown = 0;
/// every_exit(|reason, kind| {
///     if reason.basic().name().is_none() {
///         assert_eq!(kind, ExitKind::Vendor);
///         unknown += 1;
///     }
/// });
/// assert!(unknown > 65_000);
/// ```
pub fn every_exit(mut visit: impl FnMut(ExitReason, ExitKind)) {
    let mut vmcs = FakeVmcs::new();
    for number in 0..=u16::MAX {
        let basic = BasicExitReason::from_bits(number);
        let low = if basic.name().is_some() { 0..0x400 } else { 0..1 };
        let bits = if basic.name().is_some() { 10..u64::BITS } else { 0..0 };
        for word in low.chain(bits.map(|bit| 1 << bit)).chain([u64::MAX]) {
            for field in FIELDS {
                vmcs.set_raw(field, word);
            }
            visit(basic.into(), decode_exit(basic.into(), &vmcs, &Gprs::filled(word)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use x86_virt_core::ExitKind;

    use super::{BasicExitReason, every_exit};

    #[test]
    fn each_reason_comes_and_those_with_operands_in_many_kinds() {
        let mut kinds: BTreeMap<u16, BTreeSet<String>> = BTreeMap::new();
        every_exit(|reason, kind| {
            assert!(!kind.name().is_empty() && !reason.to_string().is_empty());
            let basic = reason.basic();
            if basic.name().is_some() {
                kinds.entry(basic.into_bits()).or_default().insert(format!("{kind:x?}"));
            } else {
                assert_eq!(kind, ExitKind::Vendor, "{reason}");
                kinds.entry(basic.into_bits()).or_default();
            }
        });
        assert_eq!(kinds.len(), 0x1_0000);
        let of = |reason: BasicExitReason| kinds[&reason.into_bits()].len();
        assert!(of(BasicExitReason::IO_INSTRUCTION) >= 3 * 2 * 2, "sizes, directions, strings");
        assert!(of(BasicExitReason::CONTROL_REGISTER_ACCESS) >= 5 * 2, "registers and directions");
        assert!(of(BasicExitReason::EXCEPTION_OR_NMI) >= 32, "vectors");
        assert!(of(BasicExitReason::EPT_VIOLATION) >= 8, "accesses");
        assert_eq!(of(BasicExitReason::HLT), 1);
    }
}
