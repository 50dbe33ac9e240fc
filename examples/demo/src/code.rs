//! The code of the guests, in assembly.
#![expect(unsafe_code, reason = "symbols of the assembly")]

use core::arch::global_asm;
use core::ops::Range;

global_asm!(include_str!("guests/real_mode.s"), options(att_syntax));
global_asm!(include_str!("guests/long_mode.s"), options(att_syntax));
global_asm!(include_str!("guests/reader.s"), options(att_syntax));

/// Defines a function that returns the bytes between two symbols of one assembly file.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident = $start:ident..$end:ident) => {
        $(#[$doc])*
        pub(crate) fn $name() -> &'static [u8] {
            unsafe extern "C" {
                static $start: u8;
                static $end: u8;
            }
            bytes(&raw const $start..&raw const $end)
        }
    };
}

code! {
    /// Starts in real mode at 0000:7C00.
    real_mode = real_mode_start..real_mode_end
}

code! {
    /// Starts in 64-bit mode.
    long_mode = long_mode_start..long_mode_end
}

code! {
    /// Starts in 64-bit mode.
    reader = reader_start..reader_end
}

fn bytes(range: Range<*const u8>) -> &'static [u8] {
    // SAFETY: both symbols are in one section of the image, the second after the first.
    let length = unsafe { range.end.byte_offset_from_unsigned(range.start) };
    // SAFETY: the bytes between them are read-only data of the image.
    unsafe { core::slice::from_raw_parts(range.start, length) }
}
