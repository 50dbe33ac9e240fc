//! What a processor can do: the capability MSRs.

#[cfg(target_arch = "x86_64")]
mod hardware;
mod msr;
mod raw;
mod registers;

use x86_virt_core::InterceptError;
use x86_virt_ept::{EptCapabilities, EptControls, EptFormat, EptUnsupported};

use crate::control::{
    Control, ControlCapability, ControlWord, EntryControls, ExitControls, PinControls, PrimaryControls,
    SecondaryControls, SecondaryExitControls, TertiaryControls, UnsupportedControl, VmFunctionControls,
};

#[cfg(target_arch = "x86_64")]
pub use hardware::has_vmx;
pub(crate) use msr::capability_msr_rows;
pub use msr::{CapabilityMsr, MsrExistence};
pub use raw::RawCapabilities;
pub use registers::{Basic, FeatureControl, Misc, VmcsEnum};

/// What a processor can do.
///
/// ```
/// use x86_virt_vmx::{Capabilities, RawCapabilities, SecondaryControls};
///
/// let raw = RawCapabilities { basic: 0x00da_0400_0000_0004, secondary: 2 << 32, ..Default::default() };
/// let capabilities = Capabilities::from_raw(raw);
/// assert_eq!(capabilities.basic().revision(), 4);
/// assert!(capabilities.basic().true_controls());
/// assert!(capabilities.secondary().may_be_one().contains(SecondaryControls::ENABLE_EPT));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Capabilities {
    raw: RawCapabilities,
}

/// Each word's capability.
macro_rules! capability {
    ($(#[$doc:meta])* $name:ident, $word:ident) => {
        $(#[$doc])*
        #[must_use]
        pub const fn $name(&self) -> ControlCapability<$word> {
            ControlCapability::<$word>::new(self.raw.$name)
        }
    };
    ($(#[$doc:meta])* $name:ident or $true_name:ident, $word:ident) => {
        $(#[$doc])*
        #[must_use]
        pub const fn $name(&self) -> ControlCapability<$word> {
            let true_controls = self.basic().true_controls();
            ControlCapability::<$word>::new(if true_controls { self.raw.$true_name } else { self.raw.$name })
        }
    };
}

impl Capabilities {
    /// Capabilities with these values.
    #[must_use]
    pub const fn from_raw(raw: RawCapabilities) -> Self {
        Self { raw }
    }

    /// Capabilities with the values that `read` gives. It is asked only for MSRs that a processor with the values read before
    /// has.
    pub(crate) fn from_msrs(physical_address_width: u8, mut read: impl FnMut(CapabilityMsr) -> u64) -> Self {
        /// Which MSRs exist on the first, the second and the third look. Later ones build on what the earlier ones read.
        const PASSES: [fn(&Capabilities, MsrExistence) -> bool; 3] = [
            |_, existence| existence == MsrExistence::Always,
            |known, existence| existence == MsrExistence::TrueControls && known.basic().true_controls(),
            |known, existence| {
                let MsrExistence::AnyOf(controls) = existence else { return false };
                controls.iter().any(|control| known.supports(*control))
            },
        ];
        let mut known = Self::from_raw(RawCapabilities { physical_address_width, ..RawCapabilities::default() });
        for exists in PASSES {
            for row in CapabilityMsr::ALL {
                let msr = CapabilityMsr::from_bits(row.value);
                if exists(&known, msr.existence())
                    && let Some(value) = known.raw.get_mut(msr)
                {
                    *value = read(msr);
                }
            }
        }
        known
    }

    /// The values.
    #[must_use]
    pub const fn raw(&self) -> &RawCapabilities {
        &self.raw
    }

    /// IA32_VMX_BASIC.
    #[must_use]
    pub const fn basic(&self) -> Basic {
        Basic::from_bits(self.raw.basic)
    }

    /// IA32_VMX_MISC.
    #[must_use]
    pub const fn misc(&self) -> Misc {
        Misc::from_bits(self.raw.misc)
    }

    /// IA32_VMX_VMCS_ENUM.
    #[must_use]
    pub const fn vmcs_enum(&self) -> VmcsEnum {
        VmcsEnum::from_bits(self.raw.vmcs_enum)
    }

    capability! {
        /// What the pin-based controls can be.
        pin or true_pin, PinControls
    }

    capability! {
        /// What the primary processor-based controls can be.
        primary or true_primary, PrimaryControls
    }

    capability! {
        /// What the secondary processor-based controls can be.
        secondary, SecondaryControls
    }

    capability! {
        /// What the tertiary processor-based controls can be.
        tertiary, TertiaryControls
    }

    capability! {
        /// What the primary VM-exit controls can be.
        exit or true_exit, ExitControls
    }

    capability! {
        /// What the secondary VM-exit controls can be.
        secondary_exit, SecondaryExitControls
    }

    capability! {
        /// What the VM-entry controls can be.
        entry or true_entry, EntryControls
    }

    capability! {
        /// What the VM-function controls can be.
        vm_functions, VmFunctionControls
    }

    /// Whether `control` may be 1.
    #[must_use]
    pub fn supports(&self, control: Control) -> bool {
        has_bit(self.bits(control.word).1, control)
    }

    /// Whether `control` must be 1.
    #[must_use]
    pub fn must_be_one(&self, control: Control) -> bool {
        has_bit(self.bits(control.word).0, control)
    }

    /// The bits of a word that must be 1, and those that may be.
    pub(crate) fn bits(&self, word: ControlWord) -> (u64, u64) {
        /// The values of both words, as 64 bits.
        macro_rules! pair {
            ($capability:expr) => {
                ($capability.must_be_one().into_bits().into(), $capability.may_be_one().into_bits().into())
            };
        }
        match word {
            ControlWord::Pin => pair!(self.pin()),
            ControlWord::Primary => pair!(self.primary()),
            ControlWord::Secondary => pair!(self.secondary()),
            ControlWord::Tertiary => pair!(self.tertiary()),
            ControlWord::Exit => pair!(self.exit()),
            ControlWord::SecondaryExit => pair!(self.secondary_exit()),
            ControlWord::Entry => pair!(self.entry()),
            ControlWord::VmFunction => pair!(self.vm_functions()),
        }
    }

    /// What EPT and VPID can do.
    #[must_use]
    pub const fn ept(&self) -> EptCapabilities {
        EptCapabilities::from_bits(self.raw.ept_vpid)
    }

    /// The format of extended page tables for this processor, with 4 levels; with accessed and dirty flags, and page-modification
    /// logging, where the processor has them; and without what else needs a control: see the functions of [`EptFormat`], which refuse
    /// what the processor lacks.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the processor has no EPT, or not what the library needs of it.
    pub fn ept_format(&self) -> Result<EptFormat, Unsupported> {
        if self.raw.ept_vpid == 0 {
            return Err(Unsupported::Ept);
        }
        let format = EptFormat::new(self.ept(), self.raw.physical_address_width)?.with_controls(self.ept_controls());
        let has_log = self.secondary().may_be_one().contains(SecondaryControls::ENABLE_PML);
        Ok(match self.ept().accessed_dirty() {
            true if has_log => format.with_page_modification_log()?,
            true => format.with_accessed_dirty()?,
            false => format,
        })
    }

    /// The controls that give entries of extended page tables more meaning.
    #[must_use]
    pub fn ept_controls(&self) -> EptControls {
        let (secondary, tertiary) = (self.secondary().may_be_one(), self.tertiary().may_be_one());
        EptControls::new()
            .with_mode_based_execute(secondary.contains(SecondaryControls::MODE_BASED_EXECUTE_CONTROL))
            .with_violation_ve(secondary.contains(SecondaryControls::EPT_VIOLATION_VE))
            .with_sub_page_write(secondary.contains(SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS))
            .with_paging_write(tertiary.contains(TertiaryControls::EPT_PAGING_WRITE_CONTROL))
            .with_guest_paging_verification(tertiary.contains(TertiaryControls::GUEST_PAGING_VERIFICATION))
    }

    /// Bits of CR0 that are not as VMX operation requires in `value`.
    ///
    /// Intel SDM vol. 3, appendix A.7, "VMX-Fixed Bits in CR0".
    #[must_use]
    pub const fn invalid_cr0(&self, value: u64) -> u64 {
        self.raw.cr0_fixed0 & !value | value & !self.raw.cr0_fixed1
    }

    /// Bits of CR4 that are not as VMX operation requires in `value`.
    ///
    /// Intel SDM vol. 3, appendix A.8, "VMX-Fixed Bits in CR4".
    #[must_use]
    pub const fn invalid_cr4(&self, value: u64) -> u64 {
        self.raw.cr4_fixed0 & !value | value & !self.raw.cr4_fixed1
    }
}

/// Whether the bit of `control` is set in `bits`.
fn has_bit(bits: u64, control: Control) -> bool {
    bits.checked_shr(u32::from(control.bit)).is_some_and(|bits| bits & 1 == 1)
}

/// What the library needs and this processor does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Unsupported {
    /// CPUID.1:ECX.VMX is 0.
    #[error("this processor has no VMX")]
    Vmx,
    /// IA32_FEATURE_CONTROL is locked without VMXON outside of SMX operation.
    #[error("firmware disabled VMX and locked IA32_FEATURE_CONTROL = {feature_control:#x}")]
    DisabledByFirmware {
        /// The value of the MSR.
        feature_control: u64,
    },
    /// Secondary control "enable EPT" cannot be 1.
    #[error("this processor has no extended page tables (EPT)")]
    Ept,
    /// Secondary control "unrestricted guest" cannot be 1.
    #[error("this processor has no unrestricted guest: a guest cannot run in real mode or without paging")]
    UnrestrictedGuest,
    /// Bit 54 of IA32_VMX_BASIC is 0. Every processor with unrestricted guest has it set.
    #[error("this processor does not report the operands of INS and OUTS")]
    InsOutsInformation,
    /// The processor has no INVEPT.
    #[error("this processor has no INVEPT")]
    Invept,
    /// The processor's EPT lacks something.
    #[error(transparent)]
    EptFormat(#[from] EptUnsupported),
    /// VMX has no control for what shall end a run.
    #[error(transparent)]
    Intercept(#[from] InterceptError),
    /// A control cannot be as the library needs it.
    #[error(transparent)]
    Control(#[from] UnsupportedControl),
}

#[cfg(test)]
mod tests {
    use super::{Capabilities, CapabilityMsr, RawCapabilities, Unsupported};
    use crate::control::{Control, ControlWord, PinControls, PrimaryControls, SecondaryControls, TertiaryControls};

    #[test]
    fn true_controls_are_used_where_they_exist() {
        let raw = RawCapabilities { primary: 1, true_primary: 2, ..RawCapabilities::default() };
        assert_eq!(Capabilities::from_raw(raw).primary().must_be_one().into_bits(), 1);
        let raw = RawCapabilities { basic: 1 << 55, ..raw };
        assert_eq!(Capabilities::from_raw(raw).primary().must_be_one().into_bits(), 2);
    }

    #[test]
    fn a_processor_without_ept_says_so() {
        let capabilities = Capabilities::from_raw(RawCapabilities::default());
        assert_eq!(capabilities.ept_format().unwrap_err(), Unsupported::Ept);
    }

    #[test]
    fn fixed_bits_are_named() {
        let raw = RawCapabilities { cr0_fixed0: 0x8000_0021, cr0_fixed1: 0xffff_ffff, ..RawCapabilities::default() };
        let capabilities = Capabilities::from_raw(raw);
        assert_eq!(capabilities.invalid_cr0(0x8000_0001), 0x20);
        assert_eq!(capabilities.invalid_cr0(0x1_8000_0021), 0x1_0000_0000);
        assert_eq!(capabilities.invalid_cr0(0x8005_0033), 0);
    }

    #[test]
    fn controls_are_asked_for_one_by_one() {
        let raw = RawCapabilities {
            pin: 0x0000_007f_0000_0016,
            secondary: 0x0000_0002_0000_0000,
            tertiary: 1 << 4,
            ..RawCapabilities::default()
        };
        let capabilities = Capabilities::from_raw(raw);
        let supports = |control: Option<Control>| capabilities.supports(control.unwrap());
        assert!(supports(SecondaryControls::ENABLE_EPT.control()) && supports(PinControls::VIRTUAL_NMIS.control()));
        assert!(!supports(SecondaryControls::ENABLE_VPID.control()));
        assert!(supports(TertiaryControls::IPI_VIRTUALIZATION.control()));
        assert!(capabilities.must_be_one(Control { word: ControlWord::Pin, bit: 4 }));
        assert!(!capabilities.must_be_one(Control { word: ControlWord::Pin, bit: 0 }));
        assert!(!capabilities.supports(Control { word: ControlWord::Pin, bit: 64 }), "no such bit");
    }

    /// The MSRs that are read of a processor with these values, which are no others than it has.
    fn read(values: &[(CapabilityMsr, u64)]) -> Vec<u32> {
        let mut asked = Vec::new();
        Capabilities::from_msrs(40, |msr| {
            asked.push(msr.into_bits());
            values.iter().find(|(number, _)| *number == msr).map_or(0, |(_, value)| *value)
        });
        asked
    }

    #[test]
    fn only_msrs_that_exist_are_read() {
        let always: Vec<_> = (0x480..0x48b).collect();
        assert_eq!(read(&[]), always);
        let with = |more: &[u32]| [always.as_slice(), more].concat();
        let basic = (CapabilityMsr::IA32_VMX_BASIC, 1 << 55);
        assert_eq!(read(&[basic]), with(&[0x48d, 0x48e, 0x48f, 0x490]));
        let both = PrimaryControls::ACTIVATE_SECONDARY_CONTROLS | PrimaryControls::ACTIVATE_TERTIARY_CONTROLS;
        let both = u64::from(both.into_bits()) << 32;
        // Without the TRUE MSRs, and with them.
        let primary = (CapabilityMsr::IA32_VMX_PROCBASED_CTLS, both);
        assert_eq!(read(&[primary]), with(&[0x48b, 0x492]));
        let primary = (CapabilityMsr::IA32_VMX_TRUE_PROCBASED_CTLS, both);
        let secondary = SecondaryControls::ENABLE_VPID | SecondaryControls::ENABLE_VM_FUNCTIONS;
        let secondary = (CapabilityMsr::IA32_VMX_PROCBASED_CTLS2, u64::from(secondary.into_bits()) << 32);
        let exit = (CapabilityMsr::IA32_VMX_TRUE_EXIT_CTLS, 1 << 63);
        assert_eq!(
            read(&[basic, primary, secondary, exit]),
            with(&[0x48d, 0x48e, 0x48f, 0x490, 0x48b, 0x48c, 0x491, 0x492, 0x493])
        );
    }
}
