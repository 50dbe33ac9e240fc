//! SVM instructions outside the world switch: one per function.
//!
//! AMD APM vol. 3, chapter 4, "System Instruction Reference".

use core::arch::asm;

use x86_virt_core::Hpa;

/// VMSAVE: stores FS, GS, TR, LDTR with their hidden parts, KERNEL_GS_BASE, STAR, LSTAR, CSTAR, SFMASK and the SYSENTER MSRs
/// in the VMCB at `vmcb`.
///
/// # Safety
///
/// - EFER.SVME is 1, at privilege level 0.
/// - `vmcb` is the physical address of a frame that the caller owns.
#[expect(unsafe_code, reason = "an instruction that writes to a physical address")]
pub(crate) unsafe fn vmsave(vmcb: Hpa) {
    // SAFETY: the caller promises that the instruction is enabled, and may write to the frame.
    unsafe { asm!("vmsave rax", in("rax") vmcb.get(), options(nostack, preserves_flags)) };
}

/// VMLOAD: loads what [`vmsave`] stores.
///
/// # Safety
///
/// - EFER.SVME is 1, at privilege level 0.
/// - At `vmcb` is what VMSAVE stored, in a frame that the caller owns. The host works with it from here on.
#[expect(unsafe_code, reason = "an instruction that loads segments and MSRs")]
pub(crate) unsafe fn vmload(vmcb: Hpa) {
    // SAFETY: the caller promises that the instruction is enabled, and the values are the host's.
    unsafe { asm!("vmload rax", in("rax") vmcb.get(), options(nostack, preserves_flags)) };
}

/// STGI: sets the global interrupt flag. What is pending comes here.
///
/// # Safety
///
/// EFER.SVME is 1, at privilege level 0, and the host's handlers find its own state.
#[expect(unsafe_code, reason = "lets interrupts in")]
pub(crate) unsafe fn stgi() {
    // SAFETY: the caller promises that the instruction is enabled. A handler brings all registers back.
    unsafe { asm!("stgi", options(nostack, preserves_flags)) };
}
