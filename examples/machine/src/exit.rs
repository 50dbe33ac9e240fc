//! The end of the run: ports by which the emulators stop with a status.

#![expect(unsafe_code, reason = "writes ports and halts")]

use core::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use x86::io::{outb, outl};

use crate::{console, processor};

/// How the run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// QEMU ends with status 33, Bochs with 0.
    Pass,
    /// QEMU ends with status 35, Bochs with 1.
    Fail,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
        })
    }
}

/// QEMU's device isa-debug-exit: the status of QEMU is twice the value written, plus one.
const DEBUG_EXIT: u16 = 0xF4;
/// Bochs's port of its own: `D` stops in its debugger, the word `Shutdown` ends it as a failure.
const BOCHS: u16 = 0x8900;

/// Prints the verdict as the last line and ends the run on all processors.
pub fn exit(verdict: Verdict) -> ! {
    exit_with(verdict, format_args!(""))
}

/// Prints `lines`, which end with a line feed unless empty, and the verdict, then ends the run on all processors.
///
/// The first processor that comes here does it, any other stops. Where printing `lines` leads back to here, the first
/// time prints the verdict alone, and any after that nothing.
pub(crate) fn exit_with(verdict: Verdict, lines: fmt::Arguments<'_>) -> ! {
    const NOBODY: usize = usize::MAX;
    static FIRST: AtomicUsize = AtomicUsize::new(NOBODY);
    static RETURNS: AtomicUsize = AtomicUsize::new(0);

    let processor = processor();
    match FIRST.compare_exchange(NOBODY, processor, Relaxed, Relaxed) {
        Ok(_) => console::finish(format_args!("{lines}VERDICT {verdict}\n")),
        Err(first) if first != processor => halt(),
        Err(_) if RETURNS.fetch_add(1, Relaxed) == 0 => console::finish(format_args!("VERDICT {verdict}\n")),
        Err(_) => (),
    }
    let (status, word): (u32, &[u8]) = match verdict {
        Verdict::Pass => (0x10, b"D"),
        Verdict::Fail => (0x11, b"Shutdown"),
    };
    // SAFETY: CPL 0; nothing but QEMU's device, if any, listens on this port.
    unsafe { outl(DEBUG_EXIT, status) };
    for byte in word {
        // SAFETY: CPL 0; nothing but Bochs, if any, listens on this port.
        unsafe { outb(BOCHS, *byte) };
    }
    halt()
}

/// Stops this processor for good.
pub(crate) fn halt() -> ! {
    loop {
        // SAFETY: CPL 0; interrupts may stay off since nothing is left to do.
        unsafe { x86::irq::disable() };
        // SAFETY: CPL 0.
        unsafe { x86::halt() };
    }
}
