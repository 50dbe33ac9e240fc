//! A panic on any processor ends the run as a failure.

#![expect(unsafe_code, reason = "defines symbols which the precompiled libraries refer to")]

use core::panic::PanicInfo;

use crate::{
    Verdict,
    exit::{exit_with, halt},
    processor,
};

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (processor, message) = (processor(), info.message());
    match info.location() {
        Some(place) => exit_with(Verdict::Fail, format_args!("PANIC on processor {processor} at {place}: {message}\n")),
        None => exit_with(Verdict::Fail, format_args!("PANIC on processor {processor}: {message}\n")),
    }
}

// SAFETY: no other code in an image defines this symbol. `core` refers to it, and calls it only to unwind.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    halt()
}

// SAFETY: no other code in an image defines this symbol. `alloc` refers to it, and calls it only to unwind.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    halt()
}
