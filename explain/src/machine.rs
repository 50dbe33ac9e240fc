//! What the processor can do on which the entry was tried.

mod cpuid;
mod msrs;
mod words;

use core::fmt;
use std::collections::BTreeSet;

use x86_virt_svm::{RawCpuid, profile as svm_profile};
use x86_virt_vmx::{Capabilities, CapabilityMsr, RawCapabilities, profile as vmx_profile};

pub use cpuid::read_cpuid;
pub use msrs::read_msrs;

/// What the processor can do on which the entry was tried.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Machine {
    /// It is not known.
    #[default]
    Unknown,
    /// A processor with VMX.
    Vmx(VmxMachine),
    /// A processor with SVM.
    Svm(SvmMachine),
}

impl Machine {
    /// The processor of the profile with this name, of either vendor.
    ///
    /// ```
    /// use x86_virt_explain::Machine;
    ///
    /// assert!(matches!(Machine::of_profile("haswell"), Some(Machine::Vmx(_))));
    /// assert!(matches!(Machine::of_profile("milan"), Some(Machine::Svm(_))));
    /// assert_eq!(Machine::of_profile("z80"), None);
    /// ```
    #[must_use]
    pub fn of_profile(name: &str) -> Option<Self> {
        if let Some(profile) = vmx_profile::find(name) {
            let source = format!("profile {name} ({})", profile.processor);
            return Some(Self::Vmx(VmxMachine { known: known_of(&profile.raw), raw: profile.raw, source }));
        }
        let profile = svm_profile::find(name)?;
        let source = format!("profile {name} ({})", profile.processor);
        Some(Self::Svm(SvmMachine { cpuid: profile.raw, leaf_8000_0008_ebx: None, leaf_8000_0021_eax: None, source }))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "not given",
            Self::Vmx(machine) => &machine.source,
            Self::Svm(machine) => &machine.source,
        })
    }
}

/// Names of all profiles, with the processor of each.
pub fn profiles() -> impl Iterator<Item = (&'static str, &'static str)> {
    let vmx = vmx_profile::ALL.iter().map(|profile| (profile.name, profile.processor));
    vmx.chain(svm_profile::ALL.iter().map(|profile| (profile.name, profile.processor)))
}

/// A processor with VMX.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VmxMachine {
    pub(crate) raw: RawCapabilities,
    pub(crate) known: BTreeSet<u32>,
    pub(crate) source: String,
}

/// A processor with SVM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SvmMachine {
    pub(crate) cpuid: RawCpuid,
    pub(crate) leaf_8000_0008_ebx: Option<u32>,
    pub(crate) leaf_8000_0021_eax: Option<u32>,
    pub(crate) source: String,
}

impl SvmMachine {
    /// The CPUID values.
    #[must_use]
    pub const fn cpuid(&self) -> RawCpuid {
        self.cpuid
    }
}

impl VmxMachine {
    /// The value of a capability MSR, if it is known.
    #[must_use]
    pub fn get(&self, msr: CapabilityMsr) -> Option<u64> {
        self.raw.get(msr).filter(|_| self.known.contains(&msr.into_bits()))
    }

    /// All values, with 0 for those that are not known.
    #[must_use]
    pub const fn capabilities(&self) -> Capabilities {
        Capabilities::from_raw(self.raw)
    }
}

/// The MSRs of a profile that are known: 0 stands for those that are not.
fn known_of(raw: &RawCapabilities) -> BTreeSet<u32> {
    CapabilityMsr::ALL
        .iter()
        .map(|row| row.value)
        .filter(|number| raw.get(CapabilityMsr::from_bits(*number)).is_some_and(|value| value != 0))
        .collect()
}

/// Sets the value of a capability MSR.
fn set(raw: &mut RawCapabilities, msr: CapabilityMsr, value: u64) {
    let field = match msr {
        CapabilityMsr::IA32_VMX_BASIC => &mut raw.basic,
        CapabilityMsr::IA32_VMX_PINBASED_CTLS => &mut raw.pin,
        CapabilityMsr::IA32_VMX_PROCBASED_CTLS => &mut raw.primary,
        CapabilityMsr::IA32_VMX_EXIT_CTLS => &mut raw.exit,
        CapabilityMsr::IA32_VMX_ENTRY_CTLS => &mut raw.entry,
        CapabilityMsr::IA32_VMX_MISC => &mut raw.misc,
        CapabilityMsr::IA32_VMX_CR0_FIXED0 => &mut raw.cr0_fixed0,
        CapabilityMsr::IA32_VMX_CR0_FIXED1 => &mut raw.cr0_fixed1,
        CapabilityMsr::IA32_VMX_CR4_FIXED0 => &mut raw.cr4_fixed0,
        CapabilityMsr::IA32_VMX_CR4_FIXED1 => &mut raw.cr4_fixed1,
        CapabilityMsr::IA32_VMX_VMCS_ENUM => &mut raw.vmcs_enum,
        CapabilityMsr::IA32_VMX_PROCBASED_CTLS2 => &mut raw.secondary,
        CapabilityMsr::IA32_VMX_EPT_VPID_CAP => &mut raw.ept_vpid,
        CapabilityMsr::IA32_VMX_TRUE_PINBASED_CTLS => &mut raw.true_pin,
        CapabilityMsr::IA32_VMX_TRUE_PROCBASED_CTLS => &mut raw.true_primary,
        CapabilityMsr::IA32_VMX_TRUE_EXIT_CTLS => &mut raw.true_exit,
        CapabilityMsr::IA32_VMX_TRUE_ENTRY_CTLS => &mut raw.true_entry,
        CapabilityMsr::IA32_VMX_VMFUNC => &mut raw.vm_functions,
        CapabilityMsr::IA32_VMX_PROCBASED_CTLS3 => &mut raw.tertiary,
        CapabilityMsr::IA32_VMX_EXIT_CTLS2 => &mut raw.secondary_exit,
        _ => return,
    };
    *field = value;
}

#[cfg(test)]
mod tests {
    use x86_virt_vmx::{CapabilityMsr, RawCapabilities};

    use super::{Machine, profiles, set};

    #[test]
    fn every_msr_can_be_set() {
        let mut raw = RawCapabilities::NONE;
        for row in CapabilityMsr::ALL {
            let msr = CapabilityMsr::from_bits(row.value);
            set(&mut raw, msr, u64::from(row.value));
            assert_eq!(raw.get(msr), Some(u64::from(row.value)), "{}", row.name);
        }
    }

    #[test]
    fn a_profile_does_not_know_what_no_source_has() {
        let Some(Machine::Vmx(machine)) = Machine::of_profile("haswell") else { panic!("no profile") };
        assert!(machine.get(CapabilityMsr::IA32_VMX_CR4_FIXED0).is_some());
        assert_eq!(machine.get(CapabilityMsr::IA32_VMX_PROCBASED_CTLS3), None);
        assert!(profiles().all(|(name, _)| Machine::of_profile(name).is_some()));
    }
}
