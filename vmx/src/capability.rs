//! What a processor can do: the capability MSRs.

use x86_virt_core::register;
use x86_virt_ept::{EptCapabilities, EptFormat, EptUnsupported};

use crate::control::{ControlCapability, UnsupportedControl};

register! {
    /// IA32_VMX_BASIC.
    ///
    /// Intel SDM vol. 3, appendix A.1, "Basic VMX Information".
    pub struct Basic(u64) {
        /// Revision identifier of VMCSs.
        #[bits(31)]
        pub revision: u32,
        _reserved31: bool,
        /// Bytes of a VMXON region or VMCS, at most 4096.
        #[bits(13)]
        pub region_bytes: u16,
        #[bits(3)]
        _reserved45: u8,
        /// Addresses of VMX structures have at most 32 bits.
        pub addresses_32_bit: bool,
        /// Dual-monitor treatment of SMIs.
        pub dual_monitor: bool,
        /// Memory type of VMX structures: 0 UC, 6 WB.
        #[bits(4)]
        pub memory_type: u8,
        /// Exits of INS and OUTS come with instruction information.
        pub ins_outs_information: bool,
        /// Controls that are 1 by default can be cleared, as the TRUE MSRs say.
        pub true_controls: bool,
        /// Hardware exceptions can be injected with or without an error code.
        pub any_error_code: bool,
        _reserved57: bool,
        /// Nested exceptions are reported and injected.
        pub nested_exception: bool,
        #[bits(5)]
        _reserved59: u8,
    }
}

register! {
    /// IA32_FEATURE_CONTROL.
    ///
    /// Intel SDM vol. 3, section 26.7, "Enabling and Entering VMX Operation".
    pub struct FeatureControl(u64) {
        /// The register cannot be written until reset.
        pub locked: bool,
        /// VMXON is allowed in SMX operation.
        pub vmxon_in_smx: bool,
        /// VMXON is allowed outside of SMX operation.
        pub vmxon_outside_smx: bool,
        #[bits(61)]
        _other3: u64,
    }
}

/// The values of the capability MSRs, as a processor has them, or made up for a test.
///
/// Intel SDM vol. 3, appendix A, "VMX Capability Reporting Facility".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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
    /// IA32_VMX_MISC.
    pub misc: u64,
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

/// What a processor can do.
///
/// ```
/// use x86_virt_vmx::{Capabilities, RawCapabilities};
///
/// let capabilities = Capabilities::from_raw(RawCapabilities { basic: 0x00da_0400_0000_0004, ..Default::default() });
/// assert_eq!(capabilities.basic().revision(), 4);
/// assert!(capabilities.basic().true_controls());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities {
    raw: RawCapabilities,
}

impl Capabilities {
    /// Capabilities with these values.
    #[must_use]
    pub const fn from_raw(raw: RawCapabilities) -> Self {
        Self { raw }
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

    /// What the pin-based controls can be.
    #[must_use]
    pub const fn pin(&self) -> ControlCapability {
        self.either(self.raw.true_pin, self.raw.pin)
    }

    /// What the primary processor-based controls can be.
    #[must_use]
    pub const fn primary(&self) -> ControlCapability {
        self.either(self.raw.true_primary, self.raw.primary)
    }

    /// What the secondary processor-based controls can be.
    #[must_use]
    pub const fn secondary(&self) -> ControlCapability {
        ControlCapability::new(self.raw.secondary)
    }

    /// What the primary VM-exit controls can be.
    #[must_use]
    pub const fn exit(&self) -> ControlCapability {
        self.either(self.raw.true_exit, self.raw.exit)
    }

    /// What the VM-entry controls can be.
    #[must_use]
    pub const fn entry(&self) -> ControlCapability {
        self.either(self.raw.true_entry, self.raw.entry)
    }

    /// What EPT and VPID can do.
    #[must_use]
    pub const fn ept(&self) -> EptCapabilities {
        EptCapabilities::from_bits(self.raw.ept_vpid)
    }

    /// The format of extended page tables for this processor, with 4 levels.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] if the processor has no EPT, or not what the library needs of it.
    pub fn ept_format(&self) -> Result<EptFormat, Unsupported> {
        if self.raw.ept_vpid == 0 {
            return Err(Unsupported::Ept);
        }
        Ok(EptFormat::new(self.ept(), self.raw.physical_address_width)?)
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

    const fn either(&self, true_controls: u64, controls: u64) -> ControlCapability {
        ControlCapability::new(if self.basic().true_controls() { true_controls } else { controls })
    }
}

/// What the library needs and this processor does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
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
    /// A control cannot be as the library needs it.
    #[error(transparent)]
    Control(#[from] UnsupportedControl),
}

#[cfg(target_arch = "x86_64")]
mod hardware {
    use x86::msr;
    use x86_virt_core::Host;

    use super::{Capabilities, FeatureControl, RawCapabilities, Unsupported};
    use crate::control::{PrimaryControls, SecondaryControls};

    /// Whether CPUID reports VMX. Any code may ask.
    ///
    /// Intel SDM vol. 3, section 26.6, "Discovering Support for VMX".
    #[must_use]
    pub fn has_vmx() -> bool {
        x86::cpuid::CpuId::new().get_feature_info().is_some_and(|features| features.has_vmx())
    }

    /// Bits 7:0 of EAX of CPUID leaf 80000008H, or 36 if there is no such leaf.
    fn physical_address_width() -> u8 {
        x86::cpuid::CpuId::new()
            .get_processor_capacity_feature_info()
            .map_or(36, |capacity| capacity.physical_address_bits())
    }

    impl Capabilities {
        /// Reads the capability MSRs of this processor.
        ///
        /// # Errors
        ///
        /// [`Unsupported::Vmx`] if it has none.
        #[expect(unsafe_code, reason = "reads MSRs")]
        pub fn read(host: Host<'_>) -> Result<Self, Unsupported> {
            if !has_vmx() {
                return Err(Unsupported::Vmx);
            }
            // SAFETY: a processor with VMX has the MSRs that are read without a condition, and the others as the
            // conditions below say (Intel SDM vol. 3, appendix A). Reading them has no side effect.
            let read = |number| unsafe { host.msr(number) };
            let mut capabilities = Self::from_raw(RawCapabilities {
                basic: read(msr::IA32_VMX_BASIC),
                pin: read(msr::IA32_VMX_PINBASED_CTLS),
                primary: read(msr::IA32_VMX_PROCBASED_CTLS),
                exit: read(msr::IA32_VMX_EXIT_CTLS),
                entry: read(msr::IA32_VMX_ENTRY_CTLS),
                misc: read(msr::IA32_VMX_MISC),
                cr0_fixed0: read(msr::IA32_VMX_CR0_FIXED0),
                cr0_fixed1: read(msr::IA32_VMX_CR0_FIXED1),
                cr4_fixed0: read(msr::IA32_VMX_CR4_FIXED0),
                cr4_fixed1: read(msr::IA32_VMX_CR4_FIXED1),
                physical_address_width: physical_address_width(),
                ..RawCapabilities::default()
            });
            if capabilities.basic().true_controls() {
                capabilities.raw.true_pin = read(msr::IA32_VMX_TRUE_PINBASED_CTLS);
                capabilities.raw.true_primary = read(msr::IA32_VMX_TRUE_PROCBASED_CTLS);
                capabilities.raw.true_exit = read(msr::IA32_VMX_TRUE_EXIT_CTLS);
                capabilities.raw.true_entry = read(msr::IA32_VMX_TRUE_ENTRY_CTLS);
            }
            let primary = PrimaryControls::from_bits(capabilities.primary().may_be_one());
            if primary.contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS) {
                capabilities.raw.secondary = read(msr::IA32_VMX_PROCBASED_CTLS2);
            }
            let secondary = SecondaryControls::from_bits(capabilities.secondary().may_be_one());
            if secondary.contains(SecondaryControls::ENABLE_EPT) || secondary.contains(SecondaryControls::ENABLE_VPID) {
                capabilities.raw.ept_vpid = read(msr::IA32_VMX_EPT_VPID_CAP);
            }
            Ok(capabilities)
        }
    }

    impl FeatureControl {
        /// Reads IA32_FEATURE_CONTROL.
        ///
        /// # Safety
        ///
        /// The processor has VMX or SMX.
        #[must_use]
        #[expect(unsafe_code, reason = "not every processor has the MSR")]
        pub unsafe fn read(host: Host<'_>) -> Self {
            // SAFETY: the caller promises that the MSR exists.
            Self::from_bits(unsafe { host.msr(msr::IA32_FEATURE_CONTROL) })
        }

        /// Writes IA32_FEATURE_CONTROL, which must not be locked.
        ///
        /// # Safety
        ///
        /// The processor has VMX, and the register is not locked.
        #[expect(unsafe_code, reason = "writes an MSR")]
        pub unsafe fn write(self, host: Host<'_>) {
            // SAFETY: the caller promises that the MSR exists and can be written.
            unsafe { host.set_msr(msr::IA32_FEATURE_CONTROL, self.into_bits()) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use hardware::has_vmx;

#[cfg(test)]
mod tests {
    use super::{Basic, Capabilities, FeatureControl, RawCapabilities, Unsupported};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let basic = Basic::from_bits(0x00da_0400_0000_0004);
        assert_eq!((basic.revision(), basic.region_bytes(), basic.memory_type()), (4, 0x400, 6));
        assert!(basic.true_controls() && basic.ins_outs_information() && !basic.addresses_32_bit());
        assert!(Basic::from_bits(1 << 48).addresses_32_bit());
        assert!(Basic::from_bits(1 << 56).any_error_code());
        assert!(Basic::from_bits(1 << 58).nested_exception());
        assert_eq!(FeatureControl::new().with_locked(true).with_vmxon_outside_smx(true).into_bits(), 5);
    }

    #[test]
    fn true_controls_are_used_where_they_exist() {
        let raw = RawCapabilities { primary: 1, true_primary: 2, ..RawCapabilities::default() };
        assert_eq!(Capabilities::from_raw(raw).primary().must_be_one(), 1);
        let raw = RawCapabilities { basic: 1 << 55, ..raw };
        assert_eq!(Capabilities::from_raw(raw).primary().must_be_one(), 2);
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
}
