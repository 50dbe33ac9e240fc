//! Reading the capability MSRs of this processor.

use x86::msr::IA32_FEATURE_CONTROL;
use x86_virt_core::Host;

use super::{Capabilities, CapabilityMsr, FeatureControl, Unsupported};

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
        // SAFETY: a processor with VMX has every MSR that `from_msrs` asks for. Reading them has no side effect.
        let read = |msr: CapabilityMsr| unsafe { host.msr(msr.into_bits()) };
        Ok(Self::from_msrs(physical_address_width(), read))
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
        Self::from_bits(unsafe { host.msr(IA32_FEATURE_CONTROL) })
    }

    /// Writes IA32_FEATURE_CONTROL, which must not be locked.
    ///
    /// # Safety
    ///
    /// The processor has VMX, and the register is not locked.
    #[expect(unsafe_code, reason = "writes an MSR")]
    pub unsafe fn write(self, host: Host<'_>) {
        // SAFETY: the caller promises that the MSR exists and can be written.
        unsafe { host.set_msr(IA32_FEATURE_CONTROL, self.into_bits()) };
    }
}
