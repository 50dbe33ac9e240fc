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
