//! The 8254 timer of the PC: channel 0, which counts at 1.193 MHz.

#![expect(unsafe_code, reason = "reads and writes ports")]

use core::hint;

use x86::io::{inb, outb};

/// How many ticks are a second.
pub(crate) const HERTZ: u64 = 1_193_182;

const CHANNEL_0: u16 = 0x40;
const COMMAND: u16 = 0x43;
/// Channel 0, low byte then high byte of the count, mode 2: a pulse at the end of every period.
const RATE_GENERATOR: u8 = 0x34;
/// Channel 0, low byte then high byte, mode 0: waits for a count.
const IDLE: u8 = 0x30;

/// Makes an edge on the interrupt line after every `divisor` ticks; 0 stands for 65,536.
pub(crate) fn start(divisor: u16) {
    let [low, high] = divisor.to_le_bytes();
    for (port, byte) in [(COMMAND, RATE_GENERATOR), (CHANNEL_0, low), (CHANNEL_0, high)] {
        write(port, byte);
    }
}

/// Ends that.
pub(crate) fn stop() {
    write(COMMAND, IDLE);
}

/// Waits until the timer has counted `ticks`, by looking.
pub(crate) fn wait(ticks: u16) {
    /// Latch the status of channel 0. Its highest bit is the output.
    const READ_BACK: u8 = 0xe2;
    let [low, high] = ticks.to_le_bytes();
    for (port, byte) in [(COMMAND, IDLE), (CHANNEL_0, low), (CHANNEL_0, high)] {
        write(port, byte);
    }
    loop {
        write(COMMAND, READ_BACK);
        // SAFETY: CPL 0; reading the timer changes nothing but what is latched.
        if unsafe { inb(CHANNEL_0) } & 0x80 != 0 {
            break;
        }
        hint::spin_loop();
    }
}

fn write(port: u16, byte: u8) {
    // SAFETY: CPL 0; the timer only drives its interrupt line, and every interrupt has an entry.
    unsafe { outb(port, byte) };
}
