//! The code of guests that are written in assembly.
#![expect(unsafe_code, reason = "symbols of the assembly")]

use core::arch::global_asm;

global_asm!(include_str!("guests/world_switch.s"), options(att_syntax));

/// Fills registers, and checks them after each CPUID.
pub(crate) fn world_switch() -> &'static [u8] {
    unsafe extern "C" {
        static world_switch_start: u8;
        static world_switch_end: u8;
    }
    let (start, end) = (&raw const world_switch_start, &raw const world_switch_end);
    // SAFETY: both symbols are in one section of the image, the second after the first.
    let length = unsafe { end.byte_offset_from_unsigned(start) };
    // SAFETY: the bytes between them are read-only data of the image.
    unsafe { core::slice::from_raw_parts(start, length) }
}
