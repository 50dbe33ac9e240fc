//! The time-stamp counter.

#![expect(unsafe_code, reason = "RDTSC")]

use x86::{fence::lfence, time::rdtsc};

/// The time-stamp counter after all instructions before: on Bochs, and on QEMU with `-icount shift=0`, their number.
pub fn tsc() -> u64 {
    lfence();
    // SAFETY: every processor with 64-bit mode has RDTSC, and CR4.TSD does not matter at CPL 0.
    unsafe { rdtsc() }
}
