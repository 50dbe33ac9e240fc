//! The values of the capability MSRs.

use super::CapabilityMsr;

/// The values of the capability MSRs, as a processor has them, or made up for a test.
///
/// Intel SDM vol. 3, appendix A, "VMX Capability Reporting Facility".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct RawCapabilities {
    /// IA32_VMX_BASIC.
    pub basic: u64,
    /// IA32_VMX_PINBASED_CTLS.
    pub pin: u64,
    /// IA32_VMX_PROCBASED_CTLS.
    pub primary: u64,
    /// IA32_VMX_EXIT_CTLS.
    pub exit: u64,
    /// IA32_VMX_ENTRY_CTLS.
    pub entry: u64,
    /// IA32_VMX_TRUE_PINBASED_CTLS, if bit 55 of IA32_VMX_BASIC is 1.
    pub true_pin: u64,
    /// IA32_VMX_TRUE_PROCBASED_CTLS, if bit 55 of IA32_VMX_BASIC is 1.
    pub true_primary: u64,
    /// IA32_VMX_TRUE_EXIT_CTLS, if bit 55 of IA32_VMX_BASIC is 1.
    pub true_exit: u64,
    /// IA32_VMX_TRUE_ENTRY_CTLS, if bit 55 of IA32_VMX_BASIC is 1.
    pub true_entry: u64,
    /// IA32_VMX_PROCBASED_CTLS2, or 0 if there are no secondary controls.
    pub secondary: u64,
    /// IA32_VMX_PROCBASED_CTLS3, or 0 if there are no tertiary controls.
    pub tertiary: u64,
    /// IA32_VMX_EXIT_CTLS2, or 0 if there are no secondary VM-exit controls.
    pub secondary_exit: u64,
    /// IA32_VMX_VMFUNC, or 0 if there are no VM functions.
    pub vm_functions: u64,
    /// IA32_VMX_MISC.
    pub misc: u64,
    /// IA32_VMX_VMCS_ENUM.
    pub vmcs_enum: u64,
    /// IA32_VMX_CR0_FIXED0.
    pub cr0_fixed0: u64,
    /// IA32_VMX_CR0_FIXED1.
    pub cr0_fixed1: u64,
    /// IA32_VMX_CR4_FIXED0.
    pub cr4_fixed0: u64,
    /// IA32_VMX_CR4_FIXED1.
    pub cr4_fixed1: u64,
    /// IA32_VMX_EPT_VPID_CAP, or 0 if there is neither EPT nor VPID.
    pub ept_vpid: u64,
    /// Bits of a physical address: bits 7:0 of EAX of CPUID leaf 80000008H.
    pub physical_address_width: u8,
}

/// Maps the MSRs to the fields.
macro_rules! raw_fields {
    ($($msr:ident => $field:ident,)*) => {
        impl RawCapabilities {
            /// No value at all.
            pub const NONE: Self = Self { $($field: 0,)* physical_address_width: 0 };

            /// The value of `msr`. `None` if it is not one of the capability MSRs.
            #[must_use]
            pub const fn get(&self, msr: CapabilityMsr) -> Option<u64> {
                Some(match msr {
                    $(CapabilityMsr::$msr => self.$field,)*
                    _ => return None,
                })
            }

            /// A reference to the value of `msr`. `None` if it is not one of the capability MSRs.
            #[must_use]
            pub const fn get_mut(&mut self, msr: CapabilityMsr) -> Option<&mut u64> {
                Some(match msr {
                    $(CapabilityMsr::$msr => &mut self.$field,)*
                    _ => return None,
                })
            }
        }
    };
}

raw_fields! {
    IA32_VMX_BASIC => basic,
    IA32_VMX_PINBASED_CTLS => pin,
    IA32_VMX_PROCBASED_CTLS => primary,
    IA32_VMX_EXIT_CTLS => exit,
    IA32_VMX_ENTRY_CTLS => entry,
    IA32_VMX_MISC => misc,
    IA32_VMX_CR0_FIXED0 => cr0_fixed0,
    IA32_VMX_CR0_FIXED1 => cr0_fixed1,
    IA32_VMX_CR4_FIXED0 => cr4_fixed0,
    IA32_VMX_CR4_FIXED1 => cr4_fixed1,
    IA32_VMX_VMCS_ENUM => vmcs_enum,
    IA32_VMX_PROCBASED_CTLS2 => secondary,
    IA32_VMX_EPT_VPID_CAP => ept_vpid,
    IA32_VMX_TRUE_PINBASED_CTLS => true_pin,
    IA32_VMX_TRUE_PROCBASED_CTLS => true_primary,
    IA32_VMX_TRUE_EXIT_CTLS => true_exit,
    IA32_VMX_TRUE_ENTRY_CTLS => true_entry,
    IA32_VMX_VMFUNC => vm_functions,
    IA32_VMX_PROCBASED_CTLS3 => tertiary,
    IA32_VMX_EXIT_CTLS2 => secondary_exit,
}

#[cfg(test)]
mod tests {
    use super::{CapabilityMsr, RawCapabilities};

    #[test]
    fn every_msr_has_a_field_of_its_own() {
        let mut raw = RawCapabilities::default();
        for row in CapabilityMsr::ALL {
            *raw.get_mut(CapabilityMsr::from_bits(row.value)).unwrap() = u64::from(row.value);
        }
        for row in CapabilityMsr::ALL {
            assert_eq!(raw.get(CapabilityMsr::from_bits(row.value)), Some(u64::from(row.value)), "{}", row.name);
        }
        assert_eq!(raw.get(CapabilityMsr::from_bits(0x494)), None);
        assert_eq!((raw.basic, raw.secondary, raw.secondary_exit), (0x480, 0x48b, 0x493));
    }
}
