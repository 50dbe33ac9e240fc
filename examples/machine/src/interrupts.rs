//! Interrupts: each vector counts, and does nothing else.
//!
//! So do the NMI and #BP. Any other exception ends the run as a failure.

#![expect(unsafe_code, reason = "writes RFLAGS.IF, halts")]

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use x86::bits64::rflags::{self, RFlags};

use crate::{MAX_PROCESSORS, processor};

/// By processor and vector. `interrupts.s` counts here, each processor in its own row.
pub(crate) static COUNTS: [[AtomicU64; 256]; MAX_PROCESSORS] =
    [const { [const { AtomicU64::new(0) }; 256] }; MAX_PROCESSORS];

/// Where the last NMI or #BP of any processor came.
pub(crate) static INTERRUPTED: AtomicU64 = AtomicU64::new(0);

/// RIP that the last NMI or #BP has interrupted, of whichever processor that was.
pub fn interrupted() -> u64 {
    INTERRUPTED.load(Relaxed)
}

/// How often the calling processor has taken this vector.
pub fn count(vector: u8) -> u64 {
    COUNTS.get(processor()).and_then(|row| row.get(usize::from(vector))).map_or(0, |count| count.load(Relaxed))
}

/// Lets the calling processor take interrupts.
pub fn enable() {
    // SAFETY: CPL 0; every vector has an entry which leaves all registers as they were.
    unsafe { x86::irq::enable() };
}

/// Keeps interrupts off the calling processor.
pub fn disable() {
    // SAFETY: CPL 0.
    unsafe { x86::irq::disable() };
}

/// Takes the interrupts that are pending. They are off before and after.
pub fn take_pending() {
    // SAFETY: CPL 0; every vector has an entry which leaves all registers as they were, on a stack of its own. The instruction
    // after STI is executed before any interrupt.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Halts until an interrupt. They are off before and after: one that is pending already ends the halt.
pub fn wait() {
    // SAFETY: as above; no interrupt comes between STI and HLT.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}

/// Whether the calling processor takes interrupts.
pub fn are_enabled() -> bool {
    rflags::read().contains(RFlags::FLAGS_IF)
}
