//! VMX root operation.
#![expect(unsafe_code, reason = "changes the mode of the processor")]

use core::marker::PhantomData;

use x86_virt_core::{CpuPin, Cr4, Frame, Frames, Host, OutOfFrames};

use crate::capability::{Capabilities, FeatureControl, Unsupported, has_vmx};
use crate::instruction_error::VmFail;
use crate::instructions::{self, Outcome};
use crate::vmcs::{self, CurrentVmcs, Vmcs};
use crate::vpid::{FlushCounts, Translations};

/// This processor in VMX root operation, until it is dropped.
///
/// It cannot go to another thread, and cannot be dropped while a VMCS is current.
///
/// Intel SDM vol. 3, section 26.7, "Enabling and Entering VMX Operation".
#[derive(Debug)]
pub struct VmxRoot<'p, A: Frames> {
    host: Host<'p>,
    capabilities: Capabilities,
    /// CR0 and CR4 as they were.
    cr0: u64,
    cr4: u64,
    frames: A,
    translations: Translations,
    /// `Some` until VMXOFF.
    region: Option<Frame<A>>,
    _here: PhantomData<*mut ()>,
}

impl<'p, A: Frames> VmxRoot<'p, A> {
    /// Enters VMX root operation: allows VMXON in IA32_FEATURE_CONTROL where firmware left it open, sets the bits of CR0 and
    /// CR4 that VMX requires, and executes VMXON.
    ///
    /// IA32_FEATURE_CONTROL is locked then, until reset; nothing else stays when the root is dropped.
    ///
    /// # Errors
    ///
    /// [`EnterError`]; then the processor is as before, except for IA32_FEATURE_CONTROL.
    pub fn enter<P: CpuPin + ?Sized>(pin: &'p P, frames: A) -> Result<Self, EnterError> {
        let host = Host::new(pin);
        if !has_vmx() {
            return Err(Unsupported::Vmx.into());
        }
        if Cr4::from(host.cr4()).vmxe() {
            return Err(EnterError::InUse);
        }
        allow_vmxon(host)?;
        let capabilities = Capabilities::read(host)?;
        let region = vmcs::region(&capabilities, &frames)?;
        if capabilities.basic().addresses_32_bit() && region.hpa().get() >> 32 != 0 {
            return Err(EnterError::FrameTooHigh { hpa: region.hpa() });
        }
        let (cr0, cr4) = (host.cr0(), host.cr4());
        let raw = capabilities.raw();
        // SAFETY: adds the bits that VMX requires (NE, and others that are always 1 in 64-bit mode) and takes off those
        // that it forbids; none of them changes how the host's code runs, and `CpuPin` allows the change.
        unsafe { host.set_cr0((cr0 | raw.cr0_fixed0) & raw.cr0_fixed1) };
        // SAFETY: adds VMXE; `CpuPin` leaves it to us. The other bits stay: VMX allows every bit that the processor has.
        unsafe { host.set_cr4(cr4 | raw.cr4_fixed0) };
        // SAFETY: privilege level 0 (`CpuPin`), CR4.VMXE is 1, IA32_FEATURE_CONTROL allows it, and the region is ours until
        // VMXOFF in `Drop`, or for ever if `self` is leaked.
        let outcome = unsafe { instructions::vmxon(region.hpa()) };
        if outcome != Outcome::Succeed {
            restore(host, cr0, cr4);
            return Err(EnterError::Vmxon { hpa: region.hpa() });
        }
        let translations = Translations::new(capabilities.ept());
        Ok(Self { host, capabilities, cr0, cr4, frames, translations, region: Some(region), _here: PhantomData })
    }

    /// What the processor can do.
    #[must_use]
    pub const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// The allocator.
    #[must_use]
    pub const fn frames(&self) -> &A {
        &self.frames
    }

    /// The processor.
    pub(crate) const fn host(&self) -> Host<'p> {
        self.host
    }

    /// Makes `vmcs` current and active. It stays so, and the root borrowed, until it is unloaded or dropped.
    ///
    /// # Errors
    ///
    /// The VMCS and how VMCLEAR or VMPTRLD failed.
    pub fn load(&mut self, vmcs: Vmcs<A>) -> Result<CurrentVmcs<'_, A>, (Vmcs<A>, VmFail)> {
        // SAFETY: VMX operation lasts as long as `self`, which the result borrows mutably: no other VMCS can be loaded.
        unsafe { vmcs.load() }
    }

    /// The same, with what the processor keeps of translations.
    pub(crate) fn load_parts(&mut self, vmcs: Vmcs<A>) -> Result<LoadedParts<'_, A>, (Vmcs<A>, VmFail)> {
        // SAFETY: VMX operation lasts as long as `self`, which is borrowed mutably as long as the VMCS lives: no other VMCS can be
        // loaded.
        unsafe { vmcs.load() }.map(|vmcs| (vmcs, &mut self.translations))
    }

    /// How often the processor has invalidated, for all virtual processors that were loaded.
    #[must_use]
    pub const fn flush_counts(&self) -> FlushCounts {
        self.translations.counts()
    }

    /// Leaves VMX operation and makes CR0 and CR4 as they were. Dropping does the same.
    pub fn leave(self) {}
}

/// A VMCS that is current on a processor, and what that keeps of translations.
type LoadedParts<'r, A> = (CurrentVmcs<'r, A>, &'r mut Translations);

impl<A: Frames> Drop for VmxRoot<'_, A> {
    fn drop(&mut self) {
        // SAFETY: in VMX root operation since `enter`. No `CurrentVmcs` lives, since it would borrow `self`; one that was
        // leaked keeps its memory for ever.
        let outcome = unsafe { instructions::vmxoff() };
        if outcome == Outcome::Succeed {
            restore(self.host, self.cr0, self.cr4);
        } else {
            // Still in VMX operation (dual-monitor treatment of SMM): the processor goes on using the region.
            core::mem::forget(self.region.take());
        }
    }
}

/// Lets IA32_FEATURE_CONTROL allow VMXON.
fn allow_vmxon(host: Host<'_>) -> Result<(), EnterError> {
    // SAFETY: CPUID reports VMX.
    let control = unsafe { FeatureControl::read(host) };
    match (control.locked(), control.vmxon_outside_smx()) {
        (true, true) => Ok(()),
        (true, false) => Err(Unsupported::DisabledByFirmware { feature_control: control.into_bits() }.into()),
        (false, _) => {
            // SAFETY: CPUID reports VMX, and the register is not locked.
            unsafe { control.with_vmxon_outside_smx(true).with_locked(true).write(host) };
            Ok(())
        }
    }
}

fn restore(host: Host<'_>, cr0: u64, cr4: u64) {
    // SAFETY: the value that the host had. The bits of CR4 but VMXE may have changed meanwhile (`CpuPin`): they stay.
    unsafe { host.set_cr4(Cr4::from(host.cr4()).with_vmxe(Cr4::from(cr4).vmxe()).into_bits()) };
    // SAFETY: NE as the host had it; the other bits that VMX fixes are fixed in 64-bit mode anyway.
    unsafe { host.set_cr0(host.cr0() & !NUMERIC_ERROR | cr0 & NUMERIC_ERROR) };
}

/// CR0.NE, the only bit of CR0 that 64-bit mode leaves open and VMX requires.
const NUMERIC_ERROR: u64 = x86_virt_core::Cr0::new().with_ne(true).into_bits();

/// Why VMX operation could not be entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EnterError {
    /// The processor cannot.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// CR4.VMXE is 1 already: another hypervisor uses VMX on this processor.
    #[error("VMX is in use on this processor: CR4.VMXE is 1")]
    InUse,
    /// There is no frame for the VMXON region.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
    /// The processor wants VMX structures below 4 GiB.
    #[error("the frame at {hpa} is above 4 GiB, where this processor takes no VMX structure")]
    FrameTooHigh {
        /// The address.
        hpa: x86_virt_core::Hpa,
    },
    /// VMXON failed.
    #[error("VMXON of the region at {hpa} failed")]
    Vmxon {
        /// The address of the region.
        hpa: x86_virt_core::Hpa,
    },
}
