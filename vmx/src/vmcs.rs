//! The VMCS and its life cycle.
#![expect(unsafe_code, reason = "owns memory that the processor uses")]

use core::cell::Cell;
use core::marker::PhantomData;

use static_assertions::{assert_impl_all, assert_not_impl_any};
use x86_virt_core::{Frame, Frames, Hpa, OutOfFrames};

use crate::access::{FieldError, VmcsRead, VmcsWrite};
use crate::capability::Capabilities;
use crate::field::{self, Encoding};
use crate::instruction_error::VmFail;
use crate::instructions::{self, Outcome};

/// A VMCS that is clear: no processor has it active, so that it may move to another.
///
/// Intel SDM vol. 3, section 27.11.1, "Software Use of Virtual-Machine Control Structures".
#[derive(Debug)]
pub struct Vmcs<A: Frames> {
    frame: Frame<A>,
}

impl<A: Frames> Vmcs<A> {
    /// A new VMCS with the revision identifier of the processor.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`]: it takes one frame.
    pub fn new(capabilities: &Capabilities, frames: &A) -> Result<Self, OutOfFrames> {
        Ok(Self { frame: region(capabilities, frames)? })
    }

    /// The address of the region.
    #[must_use]
    pub const fn hpa(&self) -> Hpa {
        self.frame.hpa()
    }

    /// Makes the VMCS clear, current and active.
    ///
    /// # Safety
    ///
    /// The processor is in VMX root operation for all of `'r`, and no other VMCS becomes current while the result lives.
    pub(crate) unsafe fn load<'r>(self) -> Result<CurrentVmcs<'r, A>, (Self, VmFail)> {
        // SAFETY: in VMX root operation (contract above); a `Vmcs` is active on no processor.
        let clear = unsafe { instructions::vmclear(self.frame.hpa()) };
        // SAFETY: in VMX root operation (contract above); the frame stays ours, and `CurrentVmcs` clears it on drop.
        let load = || unsafe { instructions::vmptrld(self.frame.hpa()) };
        let outcome = if clear == Outcome::Succeed { load() } else { clear };
        match check(outcome) {
            Ok(()) => {
                let fault = Cell::new(None);
                Ok(CurrentVmcs { vmcs: Some(self), launched: false, fault, _root: PhantomData })
            }
            Err(fail) => Err((self, fail)),
        }
    }
}

/// A frame with the revision identifier in its first four bytes, as VMXON and VMPTRLD require.
///
/// Intel SDM vol. 3, section 27.2, "Format of the VMCS Region".
pub(crate) fn region<A: Frames>(capabilities: &Capabilities, frames: &A) -> Result<Frame<A>, OutOfFrames> {
    let frame = Frame::zeroed(frames, 1)?;
    // SAFETY: the frame is 4096 bytes, aligned, and ours.
    unsafe { frame.pointer().cast::<u32>().write(capabilities.basic().revision()) };
    Ok(frame)
}

/// The VMCS that is current on this processor. It borrows the root, so that there is only one, and VMX operation goes on.
///
/// Dropping it makes the VMCS clear.
#[derive(Debug)]
pub struct CurrentVmcs<'r, A: Frames> {
    /// `Some` until it is unloaded or dropped.
    vmcs: Option<Vmcs<A>>,
    launched: bool,
    fault: Cell<Option<FieldError>>,
    _root: PhantomData<(&'r mut (), *mut ())>,
}

impl<A: Frames> CurrentVmcs<'_, A> {
    /// Whether VMLAUNCH has been executed, so that VMRESUME is due.
    #[must_use]
    pub const fn is_launched(&self) -> bool {
        self.launched
    }

    pub(crate) const fn set_launched(&mut self) {
        self.launched = true;
    }

    /// The address that the processor has for the current VMCS (VMPTRST): always this one's.
    #[must_use]
    pub fn current_pointer(&self) -> Hpa {
        // SAFETY: the processor is in VMX root operation while this lives.
        unsafe { instructions::vmptrst() }
    }

    /// Makes the VMCS clear, so that it may move to another processor.
    ///
    /// # Errors
    ///
    /// How VMCLEAR fails, which a valid VMCS never makes it do.
    pub fn unload(mut self) -> Result<Vmcs<A>, VmFail> {
        let vmcs = self.vmcs.take().ok_or(VmFail::Invalid)?;
        clear(&vmcs)?;
        Ok(vmcs)
    }

    /// The first access to a field that failed since this was last asked.
    #[inline]
    pub(crate) fn take_fault(&self) -> Option<FieldError> {
        if self.fault.get().is_none() { None } else { self.fault.take() }
    }
}

impl<A: Frames> Drop for CurrentVmcs<'_, A> {
    fn drop(&mut self) {
        if let Some(vmcs) = self.vmcs.take()
            && clear(&vmcs).is_err()
        {
            // The processor may still use the memory: keep it from everyone.
            core::mem::forget(vmcs);
        }
    }
}

fn clear<A: Frames>(vmcs: &Vmcs<A>) -> Result<(), VmFail> {
    // SAFETY: called for the VMCS inside a `CurrentVmcs`, during whose life the processor is in VMX root operation, and
    // which is active on this processor only.
    check(unsafe { instructions::vmclear(vmcs.hpa()) })
}

impl<A: Frames> VmcsRead for CurrentVmcs<'_, A> {
    #[inline]
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        // SAFETY: the processor is in VMX root operation while this lives.
        match unsafe { instructions::vmread(field.get()) } {
            Some(value) => Ok(value),
            // SAFETY: as above.
            None => Err(check(unsafe { instructions::vmread_failure(field.get()) }).err().unwrap_or(VmFail::Invalid)),
        }
    }

    #[cold]
    fn note(&self, failure: FieldError) {
        if self.fault.get().is_none() {
            self.fault.set(Some(failure));
        }
    }
}

impl<A: Frames> VmcsWrite for CurrentVmcs<'_, A> {
    #[inline]
    unsafe fn write_raw(&mut self, field: Encoding, value: u64) -> Result<(), VmFail> {
        // SAFETY: the processor is in VMX root operation while this lives; the caller promises that the value is right.
        check(unsafe { instructions::vmwrite(field.get(), value) })
    }
}

/// The error of an instruction that needs a current VMCS to tell it.
#[inline]
pub(crate) fn check(outcome: Outcome) -> Result<(), VmFail> {
    match outcome {
        Outcome::Succeed => Ok(()),
        Outcome::FailInvalid => Err(VmFail::Invalid),
        Outcome::FailValid => Err(VmFail::Valid(last_error())),
    }
}

/// The VM-instruction error of the current VMCS.
#[cold]
pub(crate) fn last_error() -> crate::InstructionError {
    // SAFETY: only called after a VMX instruction failed with VMfailValid, which it does in VMX root operation only.
    let number = unsafe { instructions::vmread(field::VM_INSTRUCTION_ERROR.encoding().get()) };
    crate::field::FieldValue::from_raw(number.unwrap_or(0))
}

/// An allocator of no frames, to state what is `Send`.
#[derive(Clone, Debug)]
struct NoFrames;

// SAFETY: it never returns a frame.
unsafe impl Frames for NoFrames {
    fn allocate(&self, _count: usize) -> Option<Hpa> {
        None
    }

    unsafe fn free(&self, _hpa: Hpa, _count: usize) {}

    fn pointer(&self, _hpa: Hpa) -> Option<core::ptr::NonNull<u8>> {
        None
    }
}

assert_impl_all!(Vmcs<NoFrames>: Send);
assert_not_impl_any!(CurrentVmcs<'static, NoFrames>: Send, Sync);
