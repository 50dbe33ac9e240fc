//! The capability MSRs.

use core::fmt;

use x86_virt_core::{TableRow, codes};

use crate::control::{AnyOf, Control, ControlWord, SecondaryControls};

codes! {
    /// A capability MSR, by its number.
    ///
    /// Intel SDM vol. 3, appendix A, "VMX Capability Reporting Facility".
    pub struct CapabilityMsr(u32) {
        /// Basic information.
        IA32_VMX_BASIC = 0x480 aka "MSR_IA32_VMX_BASIC";
        /// Pin-based controls.
        IA32_VMX_PINBASED_CTLS = 0x481 aka "MSR_IA32_VMX_PINBASED_CTLS";
        /// Primary processor-based controls.
        IA32_VMX_PROCBASED_CTLS = 0x482 aka "MSR_IA32_VMX_PROCBASED_CTLS";
        /// Primary VM-exit controls.
        IA32_VMX_EXIT_CTLS = 0x483 aka "MSR_IA32_VMX_EXIT_CTLS";
        /// VM-entry controls.
        IA32_VMX_ENTRY_CTLS = 0x484 aka "MSR_IA32_VMX_ENTRY_CTLS";
        /// Miscellaneous data.
        IA32_VMX_MISC = 0x485 aka "MSR_IA32_VMX_MISC";
        /// Bits of CR0 that must be 1.
        IA32_VMX_CR0_FIXED0 = 0x486 aka "MSR_IA32_VMX_CR0_FIXED0";
        /// Bits of CR0 that may be 1.
        IA32_VMX_CR0_FIXED1 = 0x487 aka "MSR_IA32_VMX_CR0_FIXED1";
        /// Bits of CR4 that must be 1.
        IA32_VMX_CR4_FIXED0 = 0x488 aka "MSR_IA32_VMX_CR4_FIXED0";
        /// Bits of CR4 that may be 1.
        IA32_VMX_CR4_FIXED1 = 0x489 aka "MSR_IA32_VMX_CR4_FIXED1";
        /// The highest index of a field.
        IA32_VMX_VMCS_ENUM = 0x48a aka "MSR_IA32_VMX_VMCS_ENUM";
        /// Secondary processor-based controls.
        IA32_VMX_PROCBASED_CTLS2 = 0x48b aka "MSR_IA32_VMX_PROCBASED_CTLS2";
        /// What EPT and VPID can do.
        IA32_VMX_EPT_VPID_CAP = 0x48c aka "MSR_IA32_VMX_EPT_VPID_CAP";
        /// Pin-based controls, of which more may be 0.
        IA32_VMX_TRUE_PINBASED_CTLS = 0x48d aka "MSR_IA32_VMX_TRUE_PINBASED_CTLS";
        /// Primary processor-based controls, of which more may be 0.
        IA32_VMX_TRUE_PROCBASED_CTLS = 0x48e aka "MSR_IA32_VMX_TRUE_PROCBASED_CTLS";
        /// Primary VM-exit controls, of which more may be 0.
        IA32_VMX_TRUE_EXIT_CTLS = 0x48f aka "MSR_IA32_VMX_TRUE_EXIT_CTLS";
        /// VM-entry controls, of which more may be 0.
        IA32_VMX_TRUE_ENTRY_CTLS = 0x490 aka "MSR_IA32_VMX_TRUE_ENTRY_CTLS";
        /// VM functions.
        IA32_VMX_VMFUNC = 0x491 aka "MSR_IA32_VMX_VMFUNC";
        /// Tertiary processor-based controls.
        IA32_VMX_PROCBASED_CTLS3 = 0x492 aka "MSR_IA32_VMX_PROCBASED_CTLS3";
        /// Secondary VM-exit controls.
        IA32_VMX_EXIT_CTLS2 = 0x493;
    }
}

impl CapabilityMsr {
    /// What a processor with VMX must have for the MSR to exist.
    #[must_use]
    pub const fn existence(self) -> MsrExistence {
        /// The MSR exists if one of the controls may be 1.
        const fn with(controls: &'static [Control]) -> MsrExistence {
            MsrExistence::AnyOf(controls)
        }
        /// The MSR exists if the control that activates the word may be 1.
        macro_rules! activation {
            ($word:ident) => {
                with(
                    const {
                        match ControlWord::$word.activation() {
                            Some(control) => &[control],
                            None => &[],
                        }
                    },
                )
            };
        }
        match self {
            Self::IA32_VMX_TRUE_PINBASED_CTLS
            | Self::IA32_VMX_TRUE_PROCBASED_CTLS
            | Self::IA32_VMX_TRUE_EXIT_CTLS
            | Self::IA32_VMX_TRUE_ENTRY_CTLS => MsrExistence::TrueControls,
            Self::IA32_VMX_PROCBASED_CTLS2 => activation!(Secondary),
            Self::IA32_VMX_PROCBASED_CTLS3 => activation!(Tertiary),
            Self::IA32_VMX_EXIT_CTLS2 => activation!(SecondaryExit),
            Self::IA32_VMX_VMFUNC => activation!(VmFunction),
            Self::IA32_VMX_EPT_VPID_CAP => {
                with(const { &[SecondaryControls::ENABLE_EPT.single(), SecondaryControls::ENABLE_VPID.single()] })
            }
            _ => MsrExistence::Always,
        }
    }
}

/// What a processor with VMX must have for a capability MSR to exist.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MsrExistence {
    /// Nothing else.
    Always,
    /// Bit 55 of IA32_VMX_BASIC.
    TrueControls,
    /// One of these controls may be 1.
    AnyOf(&'static [Control]),
}

impl fmt::Display for MsrExistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => Ok(()),
            Self::TrueControls => f.write_str("IA32_VMX_BASIC[55]"),
            Self::AnyOf(controls) => AnyOf(controls).fmt(f),
        }
    }
}

/// Visits every capability MSR.
pub(crate) fn capability_msr_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    for row in CapabilityMsr::ALL {
        visit(&TableRow {
            table: "vmx_capability_msr",
            name: row.name,
            aliases: row.aliases,
            encoding: u64::from(row.value),
            width_bits: u64::BITS,
            access: "ro",
            group: &"",
            requires: &CapabilityMsr::from_bits(row.value).existence(),
            provisional: row.provisional,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{CapabilityMsr, capability_msr_rows};

    #[test]
    fn there_are_20_without_a_hole() {
        let numbers: Vec<_> = CapabilityMsr::ALL.iter().map(|row| row.value).collect();
        assert_eq!(numbers, (0x480..0x494).collect::<Vec<_>>());
        let mut rows = 0;
        capability_msr_rows(&mut |_| rows += 1);
        assert_eq!(rows, 20);
    }

    #[test]
    fn existence_follows_the_controls() {
        let text = |msr: CapabilityMsr| msr.existence().to_string();
        assert_eq!(text(CapabilityMsr::IA32_VMX_VMCS_ENUM), "");
        assert_eq!(text(CapabilityMsr::IA32_VMX_TRUE_EXIT_CTLS), "IA32_VMX_BASIC[55]");
        assert_eq!(text(CapabilityMsr::IA32_VMX_PROCBASED_CTLS2), "primary 31 ACTIVATE_SECONDARY_CONTROLS");
        assert_eq!(text(CapabilityMsr::IA32_VMX_PROCBASED_CTLS3), "primary 17 ACTIVATE_TERTIARY_CONTROLS");
        assert_eq!(text(CapabilityMsr::IA32_VMX_EXIT_CTLS2), "exit 31 ACTIVATE_SECONDARY_CONTROLS");
        assert_eq!(text(CapabilityMsr::IA32_VMX_VMFUNC), "secondary 13 ENABLE_VM_FUNCTIONS");
        assert_eq!(text(CapabilityMsr::IA32_VMX_EPT_VPID_CAP), "secondary 1 ENABLE_EPT or secondary 5 ENABLE_VPID");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn numbers_are_those_of_the_crate_x86() {
        use x86::msr;
        for (ours, theirs) in [
            (CapabilityMsr::IA32_VMX_BASIC, msr::IA32_VMX_BASIC),
            (CapabilityMsr::IA32_VMX_MISC, msr::IA32_VMX_MISC),
            (CapabilityMsr::IA32_VMX_VMCS_ENUM, msr::IA32_VMX_VMCS_ENUM),
            (CapabilityMsr::IA32_VMX_PROCBASED_CTLS2, msr::IA32_VMX_PROCBASED_CTLS2),
            (CapabilityMsr::IA32_VMX_EPT_VPID_CAP, msr::IA32_VMX_EPT_VPID_CAP),
            (CapabilityMsr::IA32_VMX_TRUE_ENTRY_CTLS, msr::IA32_VMX_TRUE_ENTRY_CTLS),
        ] {
            assert_eq!(ours.into_bits(), theirs);
        }
    }
}
