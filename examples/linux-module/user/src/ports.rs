//! The ports of the emulated machine: a console for every byte, and its end.
#![expect(unsafe_code, reason = "port I/O")]

use core::arch::asm;

use anyhow::bail;

/// The console of Bochs (`port_e9_hack`) and of QEMU (`-debugcon`).
const CONSOLE: u16 = 0xe9;
/// QEMU's device isa-debug-exit.
const DEBUG_EXIT: u16 = 0xf4;
/// Bochs's port of its own: `D` stops in its debugger, the word `Shutdown` ends it as a failure.
const BOCHS: u16 = 0x8900;

/// Lets this program use all ports.
pub(crate) fn allow() -> anyhow::Result<()> {
    const SYS_IOPL: u64 = 172;
    let result: i64;
    // SAFETY: the system call changes what this process may do, and nothing else.
    unsafe {
        asm!("syscall", inlateout("rax") SYS_IOPL => result, in("rdi") 3_u64, out("rcx") _, out("r11") _, options(nostack));
    }
    if result != 0 {
        bail!("iopl: error {result}");
    }
    Ok(())
}

pub(crate) fn out_byte(port: u16, value: u8) {
    // SAFETY: `allow` was called first, and the ports are those of devices of emulators that only print or end, or of the PC's timer. None of them
    // reaches memory.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}

fn out_dword(port: u16, value: u32) {
    // SAFETY: as above.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags)) };
}

/// Prints a line as images for bare machines do, which `xtask` reads.
pub(crate) fn line(text: &str) {
    for byte in b"@ ".iter().copied().chain(text.bytes()).chain([b'\n']) {
        out_byte(CONSOLE, byte);
    }
}

/// Ends the emulator.
pub(crate) fn end(has_passed: bool) -> ! {
    line(if has_passed { "VERDICT PASS" } else { "VERDICT FAIL" });
    let (status, word): (u32, &[u8]) = if has_passed { (0x10, b"D") } else { (0x11, b"Shutdown") };
    for &byte in word {
        out_byte(BOCHS, byte);
    }
    out_dword(DEBUG_EXIT, status);
    loop {
        std::thread::park();
    }
}
