//! The local APIC of a guest, of the vendor that the processor has.

use x86_virt_core::{ApicError, ApicState, ApicVirtualization, Frames, GuestApic, GuestRam, OutOfFrames};

use crate::root::Root;
use crate::vcpu::{AnyVcpu, either};

impl<A: Frames> Root<'_, A> {
    /// Whether the processor can virtualize a local APIC so.
    ///
    /// # Errors
    ///
    /// [`ApicError`] with what is missing. This version of the library does not use AVIC of SVM.
    pub fn check_apic_virtualization(&self, wanted: ApicVirtualization) -> Result<(), ApicError> {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(root) => root.capabilities().check_apic_virtualization(wanted),
            #[cfg(feature = "svm")]
            Self::Svm(_) => {
                let _ = wanted;
                Err(NO_AVIC)
            }
        }
    }
}

#[cfg(feature = "svm")]
const NO_AVIC: ApicError = ApicError::Missing { needs: "a virtual APIC that the library uses: AVIC is none" };

impl<'m, A: Frames> AnyVcpu<'_, '_, 'm, A> {
    /// Lets the processor virtualize the guest's local APIC. `access_page` is memory of which the first 4096 bytes are mapped, in a page of
    /// 4 KiB, where the guest has the registers; see [`vmx::VirtualApic`](crate::vmx::VirtualApic).
    ///
    /// It takes one frame.
    ///
    /// # Errors
    ///
    /// [`EnableApicError`] with what is missing; then nothing is changed. This version of the library does not use AVIC of SVM.
    pub fn enable_virtual_apic(
        &mut self,
        frames: &A,
        access_page: Option<&GuestRam<'m>>,
        virtualization: ApicVirtualization,
    ) -> Result<(), EnableApicError> {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(vcpu) => {
                let apic = x86_virt_vmx::VirtualApic::new(frames)?;
                let apic = match access_page {
                    Some(page) => apic.with_access_page(page),
                    None => apic,
                };
                Ok(vcpu.set_virtual_apic(apic, virtualization)?)
            }
            #[cfg(feature = "svm")]
            Self::Svm(_) => {
                let (_, _, _) = (frames, access_page, virtualization);
                Err(NO_AVIC.into())
            }
        }
    }
}

impl<A: Frames> GuestApic for AnyVcpu<'_, '_, '_, A> {
    fn apic_virtualization(&self) -> Option<ApicVirtualization> {
        either!(self, vcpu => vcpu.apic_virtualization())
    }

    fn check_apic_virtualization(&self, wanted: ApicVirtualization) -> Result<(), ApicError> {
        either!(self, vcpu => vcpu.check_apic_virtualization(wanted))
    }

    fn set_apic_virtualization(&mut self, wanted: ApicVirtualization) -> Result<(), ApicError> {
        either!(self, vcpu => vcpu.set_apic_virtualization(wanted))
    }

    fn apic_register(&self, offset: u16) -> Option<u64> {
        either!(self, vcpu => vcpu.apic_register(offset))
    }

    fn set_apic_register(&mut self, offset: u16, value: u64) -> Result<(), ApicError> {
        either!(self, vcpu => vcpu.set_apic_register(offset, value))
    }

    fn raise_interrupt(&mut self, vector: u8) -> Result<(), ApicError> {
        either!(self, vcpu => vcpu.raise_interrupt(vector))
    }

    fn deliverable_interrupt(&self) -> Option<u8> {
        either!(self, vcpu => vcpu.deliverable_interrupt())
    }

    fn set_eoi_exits(&mut self, vectors: [u64; 4]) -> Result<(), ApicError> {
        either!(self, vcpu => vcpu.set_eoi_exits(vectors))
    }

    fn apic_state(&self) -> Option<ApicState> {
        either!(self, vcpu => vcpu.apic_state())
    }

    fn set_apic_state(&mut self, state: &ApicState) -> Result<(), ApicError> {
        either!(self, vcpu => vcpu.set_apic_state(state))
    }
}

/// Why the processor cannot virtualize a guest's local APIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EnableApicError {
    /// The processor lacks something, or there is no APIC-access page.
    #[error(transparent)]
    Apic(#[from] ApicError),
    /// There is no frame for the page of the registers.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
}
