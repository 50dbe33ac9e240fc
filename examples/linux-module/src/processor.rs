//! Roots: one for each processor, from the time that it comes online to the time that it goes.
#![expect(unsafe_code, reason = "promises about the processor")]

use alloc::boxed::Box;
use core::ffi::c_void;
use core::ptr::NonNull;

use x86_virt::{CpuPin, EnterError, Root};

use crate::frames::KernelFrames;
use crate::kernel::Pinned;

/// The root of one processor.
pub(crate) type KernelRoot = Root<'static, KernelFrames>;

/// Belongs to one processor: code has a [`KernelRoot`] only while it is kept there.
struct ThisProcessor;

// SAFETY: roots, and what is loaded in them, are used by the callbacks of hotplug, suspend and reboot, and by `with_root`: all at privilege level 0
// in 64-bit mode, on the processor that the root belongs to, with interrupts disabled. Condition by condition:
//
// - KVM and this module look whether VMX or SVM is in use before they enter it, and Linux itself uses neither.
// - CR4.VMXE: Linux writes CR4 from a copy, which `enter` of the shim brings up to date.
// - While a virtual processor is loaded, nothing runs but this thread, NMIs and machine checks: `with_root` keeps interrupts disabled from the load
//   to the unload. So tables, segment registers, the MSRs (KERNEL_GS_BASE is the thread's before and after) and XCR0 stay. A handler of NMIs
//   that changes DEBUGCTL, as that of perf does, has put it back when it returns.
// - Linux sets CR0.TS and CR0.EM never, and EFER.FFXSR only where it uses XSAVE.
// - Interrupts are disabled and the kernel's memory does not fault, so no fault is interrupted by a run.
// - All memory of the kernel is in supervisor pages.
// - Handlers of NMIs and machine checks have stacks of their own (IST), keep CR2 and the debug registers, use no FPU (Linux's `irq_fpu_usable` says no)
//   and find out by the GS base whether it is the kernel's (`paranoid_entry`). They do not use the library.
unsafe impl CpuPin for ThisProcessor {}

static THIS_PROCESSOR: ThisProcessor = ThisProcessor;

/// Makes the processor a host. The caller stays on it with interrupts disabled, until the call returns.
pub(crate) fn enter() -> Result<NonNull<c_void>, EnterError> {
    let root: KernelRoot = Root::enter(&THIS_PROCESSOR, KernelFrames::new())?;
    Ok(NonNull::from(Box::leak(Box::new(root))).cast())
}

/// Ends that.
///
/// # Safety
///
/// - `slot` is from [`enter`] on this processor, and this is its end.
/// - The caller stays on the processor with interrupts disabled, until the call returns.
pub(crate) unsafe fn leave(slot: NonNull<c_void>) {
    // SAFETY: `enter` made it of a box of this type, and nobody uses it any more.
    drop(unsafe { Box::from_raw(slot.cast::<KernelRoot>().as_ptr()) });
}

/// There is no root on this processor.
#[derive(Debug)]
pub(crate) struct NoRoot;

/// Runs `with` with the root of the processor that the thread is on, and the processor's number. Interrupts are disabled meanwhile, and the thread
/// may be on another processor afterwards.
pub(crate) fn with_root<R>(with: impl FnOnce(&mut KernelRoot, u32) -> R) -> Result<R, NoRoot> {
    let pinned = Pinned::new();
    let mut slot = pinned.slot.ok_or(NoRoot)?.cast::<KernelRoot>();
    // SAFETY: the slot of this processor is from `enter`, on this processor, and stays while interrupts are disabled. Nobody else uses it now: other
    // threads would have to be on this processor, and callbacks, too. A thread that has panicked in here never runs again, so that its borrow is as good
    // as ended (`docs/soundness.md`, "Safe code may leak anything").
    let root = unsafe { slot.as_mut() };
    let result = with(root, pinned.processor);
    drop(pinned);
    Ok(result)
}
