//! What the guest's accesses to MSRs do: a table to change.
//!
//! Intel SDM vol. 4, chapter 2, "Model-Specific Registers (MSRs)"; AMD APM vol. 2, appendix A, "MSR Cross-Reference".

use x86_virt::{Efer, SwitchedMsr};

use crate::local_apic;

/// What an MSR is to the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Msr {
    /// IA32_APIC_BASE.
    ApicBase,
    /// A register of the x2APIC.
    Apic,
    /// IA32_TSC_DEADLINE.
    Deadline,
    /// The time-stamp counter, which can be read.
    Counter,
    /// EFER.
    Efer,
    /// It has this value, and writes are ignored.
    Constant(u64),
}

/// Where the guest finds what. Any other MSR gives it #GP and is counted, but for [those that it has](switched).
const TABLE: &[(u32, Msr)] = &[
    (0x0000_0010, Msr::Counter),
    // IA32_PLATFORM_ID.
    (0x0000_0017, Msr::Constant(0)),
    (0x0000_001b, Msr::ApicBase),
    // IA32_BIOS_SIGN_ID: the revision of the microcode.
    (0x0000_008b, Msr::Constant(0)),
    // IA32_MISC_ENABLE: fast string operations.
    (0x0000_01a0, Msr::Constant(1)),
    (0x0000_06e0, Msr::Deadline),
    (0xc000_0080, Msr::Efer),
    // HWCR: nothing of it.
    (0xc001_0015, Msr::Constant(0)),
    // DE_CFG: LFENCE waits for what is before it.
    (0xc001_1029, Msr::Constant(1 << 1)),
];

/// What the guest accesses itself, since the library switches it. CPUID offers it neither SPEC_CTRL nor RDTSCP.
pub fn switched() -> impl Iterator<Item = SwitchedMsr> {
    SwitchedMsr::ALL.into_iter().filter(|msr| !matches!(msr, SwitchedMsr::SpecCtrl | SwitchedMsr::TscAux))
}

/// What the MSR with this number is to the guest.
#[must_use]
pub fn of(number: u32) -> Option<Msr> {
    if (local_apic::FIRST_MSR..=local_apic::LAST_MSR).contains(&number) {
        return Some(Msr::Apic);
    }
    TABLE.iter().find(|(of, _)| *of == number).map(|&(_, msr)| msr)
}

/// EFER after a write of `value`. `None` if the guest gets #GP: bits that it has not, or LME while paging is on.
#[must_use]
pub fn write_efer(before: Efer, value: u64, is_paging: bool) -> Option<Efer> {
    let own = Efer::new().with_sce(true).with_lme(true).with_lma(true).with_nxe(true).into_bits();
    if value & !own != 0 {
        return None;
    }
    let after = Efer::from(value).with_lma(before.lma());
    (!is_paging || after.lme() == before.lme()).then_some(after)
}

#[cfg(test)]
mod tests {
    use x86_virt::Efer;

    use super::{Msr, of, write_efer};

    #[test]
    fn msrs_that_are_not_in_the_table_are_nothing() {
        assert_eq!(of(0x1b), Some(Msr::ApicBase));
        assert_eq!((of(0x7ff), of(0x800), of(0x8ff), of(0x900)), (None, Some(Msr::Apic), Some(Msr::Apic), None));
        // IA32_FEATURE_CONTROL, IA32_VMX_BASIC, VM_CR, VM_HSAVE_PA, IA32_DEBUGCTL: the host's.
        for number in [0x3a, 0x480, 0xc001_0114, 0xc001_0117, 0x1d9, u32::MAX] {
            assert_eq!(of(number), None, "{number:#x}");
        }
    }

    #[test]
    fn efer_changes_as_a_processor_allows() {
        let long = Efer::new().with_lme(true).with_lma(true);
        let nx = 1 << 11 | 1 << 8 | 1;
        assert_eq!(write_efer(long, nx, true).map(Efer::into_bits), Some(nx | 1 << 10), "LMA stays");
        assert_eq!(write_efer(long, 1 << 12, true), None, "SVME");
        assert_eq!(write_efer(long, 0, true), None, "LME cannot change now");
        assert_eq!(write_efer(Efer::new(), 1 << 8, false).map(Efer::into_bits), Some(1 << 8));
    }
}
