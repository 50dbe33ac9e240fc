//! The processor under a virtual one: its timer, its interrupts, its console.
#![expect(unsafe_code, reason = "reads the ports of the serial port")]

use core::sync::atomic::{AtomicBool, Ordering};

use linux::clock::{Clock, Ticks};
use linux::host::Host;
use machine::console::print_together;
use machine::{apic, interrupts};

/// The vectors of the timer, and of an interrupt from another processor.
const ALARM: u8 = 0x40;
const TOLD: u8 = 0x41;

/// The serial port of the machine, from which the guest's input comes.
const SERIAL: u16 = 0x3f8;
const LINE_STATUS: u16 = SERIAL + 5;
const DATA_READY: u8 = 1;
/// How often a second the port is looked at: it interrupts nobody.
const LOOKS: u64 = 100;

/// Where the console shows a line of the guest, it begins so.
const MARK: &str = "| ";

/// The last thing that any processor has shown was the end of a line.
static IS_AT_START: AtomicBool = AtomicBool::new(true);

/// The calling processor.
#[derive(Debug)]
pub(crate) struct ThisMachine {
    clock: Clock,
    apic_hertz: u64,
    /// When the timer interrupts, if it does.
    alarm: Option<Ticks>,
    has_input: bool,
}

impl ThisMachine {
    pub(crate) fn new(clock: Clock, apic_hertz: u64, has_input: bool) -> Self {
        Self { clock, apic_hertz, alarm: None, has_input }
    }
}

impl Host for ThisMachine {
    fn now(&self) -> Ticks {
        machine::tsc()
    }

    fn set_alarm(&mut self, at: Option<Ticks>) {
        let now = self.now();
        let at = if self.has_input {
            // An alarm that is already set for the next look stays.
            let look = self.alarm.filter(|alarm| *alarm > now).unwrap_or(now + self.clock.hertz() / LOOKS);
            Some(at.map_or(look, |at| at.min(look)))
        } else {
            at
        };
        if at == self.alarm && at.is_none_or(|at| at > now) {
            return;
        }
        self.alarm = at;
        let ticks = match at {
            None => 0,
            // One that is over interrupts as soon as can be. One that is far away interrupts too early, and is set again.
            Some(at) => self.clock.periods(at.saturating_sub(now), self.apic_hertz).clamp(1, u64::from(u32::MAX)),
        };
        apic::start_one_shot(ALARM, u32::try_from(ticks).unwrap_or(u32::MAX));
    }

    fn take_interrupts(&mut self) {
        interrupts::take_pending();
        // The alarm may have been among them, before its time by the rounding.
        self.alarm = None;
    }

    fn sleep(&mut self) {
        interrupts::wait();
        self.alarm = None;
    }

    fn tell(&self, processor: usize) {
        apic::send_interrupt(processor, TOLD);
    }

    fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\r' {
                continue;
            }
            if IS_AT_START.swap(byte == b'\n', Ordering::Relaxed) {
                print_together(format_args!("{MARK}"));
            }
            print_together(format_args!("{}", char::from(byte)));
        }
    }

    fn receive(&mut self) -> Option<u8> {
        if !self.has_input {
            return None;
        }
        // SAFETY: CPL 0; nothing else uses the port.
        let status = unsafe { x86::io::inb(LINE_STATUS) };
        if status == 0xff || status & DATA_READY == 0 {
            return None;
        }
        // SAFETY: as above.
        Some(unsafe { x86::io::inb(SERIAL) })
    }
}
