//! A hint to the processor that an entry will be used.

use core::sync::atomic::AtomicU64;

/// Fetches the line of the cache that the entry is in, or does nothing.
///
/// An instruction of its own: what the compiler offers is left out for a target without vectors.
///
/// Intel SDM vol. 2, "PREFETCHh"; AMD APM vol. 3, "PREFETCHlevel".
#[inline(always)]
#[expect(unsafe_code, reason = "an instruction of the processor")]
#[cfg(target_arch = "x86_64")]
pub(crate) fn prefetch(entry: &AtomicU64) {
    // SAFETY: a hint, which changes nothing that a program sees, raises no fault for any address, and is there wherever 64-bit
    // mode is.
    unsafe {
        core::arch::asm!("prefetcht0 [{}]", in(reg) entry.as_ptr(), options(readonly, nostack, preserves_flags));
    }
}

/// Does nothing.
#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn prefetch(_entry: &AtomicU64) {}
