//! The code of guests that are written in assembly.
#![expect(unsafe_code, reason = "symbols of the assembly")]

use core::arch::global_asm;

global_asm!(include_str!("guests/shared.s"), options(att_syntax));
global_asm!(include_str!("guests/state.s"), options(att_syntax));
global_asm!(include_str!("guests/views.s"), options(att_syntax));
global_asm!(include_str!("guests/world_switch.s"), options(att_syntax));

/// Defines functions that return the bytes between two symbols.
macro_rules! code {
    ($($(#[$doc:meta])* $name:ident: $start:ident, $end:ident;)*) => {
        $(
            $(#[$doc])*
            pub(crate) fn $name() -> &'static [u8] {
                unsafe extern "C" {
                    static $start: u8;
                    static $end: u8;
                }
                let (start, end) = (&raw const $start, &raw const $end);
                // SAFETY: both symbols are in one section of the image, the second after the first.
                let length = unsafe { end.byte_offset_from_unsigned(start) };
                // SAFETY: the bytes between them are read-only data of the image.
                unsafe { core::slice::from_raw_parts(start, length) }
            }
        )*
    };
}

code! {
    /// Uses a bit of everything, in 16-bit code.
    state_real: state_real_start, state_real_end;
    /// The same in 32-bit code.
    state_protected: state_protected_start, state_protected_end;
    /// The same in 64-bit code.
    state_long: state_long_start, state_long_end;
    /// Fills registers, and checks them after each CPUID.
    world_switch: world_switch_start, world_switch_end;
    /// Reads two words for ever, the second of which must not be less than the first.
    shared_reader: shared_reader_start, shared_reader_end;
    /// Adds what it reads in each of three address spaces, which it switches between.
    views_sum: views_sum_start, views_sum_end;
    /// Reads a page that is in another address space, where the handler of #VE takes it.
    views_fault: views_fault_start, views_fault_end;
    /// Calls and reads pages for ever, which say their number.
    shared_caller: shared_caller_start, shared_caller_end;
}
