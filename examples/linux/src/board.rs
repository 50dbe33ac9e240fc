//! The board: all devices, and the lines between them and the processors.

mod ports;
mod signal;

use alloc::vec::Vec;

use crate::clock::{Clock, Ticks};
use crate::interrupt::{Delivery, Destination, Message};
use crate::ioapic::{self, IoApic};
use crate::local_apic::{self, Effect, Interface, LocalApic, Refused};
use crate::pci::Pci;
use crate::pic::Pic;
use crate::pit::Pit;
use crate::power::Power;
use crate::rtc::Rtc;
use crate::serial::Serial;

pub use signal::{Activity, Ending, Signal, Told};

/// Inputs of the interrupt controllers.
const TIMER: u8 = 0;
const TIMER_AT_IOAPIC: u8 = 2;
const SERIAL: u8 = 4;

/// How the board is made.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The number of processors.
    pub processors: u8,
    /// What their local APICs can be.
    pub interface: Interface,
    /// How fast time passes.
    pub clock: Clock,
    /// The time of day, in seconds since 1970, at `now`.
    pub seconds: u64,
    /// The time now.
    pub now: Ticks,
}

/// One processor, as the others and the devices see it.
#[derive(Debug)]
struct Processor {
    apic: LocalApic,
    activity: Activity,
    has_nmi: bool,
    /// Something came from elsewhere that it may not have seen.
    is_told: bool,
    /// It halts, and no interrupt can wake it.
    is_stopped: bool,
}

/// The board.
#[derive(Debug)]
pub struct Board {
    serial: Serial,
    pic: Pic,
    pit: Pit,
    rtc: Rtc,
    pci: Pci,
    power: Power,
    ioapic: IoApic,
    processors: Vec<Processor>,
    ending: Option<Ending>,
    sent: Vec<u8>,
}

impl Board {
    /// A board after a reset: the first processor runs, the others wait to be started.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let processor = |id: u8| Processor {
            apic: LocalApic::new(id.into(), setup.interface, setup.clock),
            activity: if id == 0 { Activity::Running } else { Activity::WaitsForStart },
            has_nmi: false,
            is_told: false,
            is_stopped: false,
        };
        Self {
            serial: Serial::default(),
            pic: Pic::default(),
            pit: Pit::new(setup.clock),
            rtc: Rtc::new(setup.clock, setup.seconds, setup.now),
            pci: Pci::default(),
            power: Power::new(setup.clock),
            ioapic: IoApic::default(),
            processors: (0..setup.processors).map(processor).collect(),
            ending: None,
            sent: Vec::new(),
        }
    }

    /// What the guest has sent on its serial port since the last call.
    pub fn take_sent(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.sent)
    }

    /// Whether the serial port has room for a byte.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.serial.has_room()
    }

    /// A byte comes to the serial port.
    pub fn receive(&mut self, byte: u8) {
        self.serial.receive(byte);
        self.set_serial_line();
    }

    /// How the guest has ended, if it has.
    #[must_use]
    pub const fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// The guest ends so, unless it has ended already. Every processor is to be told.
    pub fn end(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
        for processor in &mut self.processors {
            processor.is_told = true;
        }
    }

    /// Lets time pass for the devices and for the timer of `processor`.
    pub fn run_timers(&mut self, processor: usize, now: Ticks) {
        if let Some(processor) = self.processors.get_mut(processor) {
            processor.apic.run_timer(now);
        }
        if self.pit.take_interrupt(now) {
            self.pulse(TIMER, TIMER_AT_IOAPIC);
        }
    }

    /// When something happens next of which `processor` has to know. The first one takes care of the devices.
    #[must_use]
    pub fn next_event(&self, processor: usize) -> Option<Ticks> {
        let own = self.processors.get(processor).and_then(|processor| processor.apic.next_event());
        let devices = if processor == 0 { self.pit.next_interrupt() } else { None };
        own.into_iter().chain(devices).min()
    }

    /// A guest's access to memory that is not RAM: reads 4 bytes. `None` where there is nothing.
    #[must_use]
    pub fn read_memory(&self, processor: usize, gpa: u64, now: Ticks) -> Option<u32> {
        match gpa & !0xfff {
            ioapic::BASE => Some(self.ioapic.read(gpa & 0xfff)),
            local_apic::BASE => self.processors.get(processor)?.apic.read(gpa & 0xfff, now),
            _ => None,
        }
    }

    /// A guest's access to memory that is not RAM: writes 4 bytes. False where there is nothing.
    pub fn write_memory(&mut self, processor: usize, gpa: u64, value: u32, now: Ticks) -> bool {
        match gpa & !0xfff {
            ioapic::BASE => {
                let mut messages = Vec::new();
                self.ioapic.write(gpa & 0xfff, value, &mut |message| messages.push(message));
                self.send_all(messages);
            }
            local_apic::BASE => {
                let Some(apic) = self.apic(processor) else { return false };
                let effect = apic.write(gpa & 0xfff, value, now);
                self.perform(processor, effect);
            }
            _ => return false,
        }
        true
    }

    /// Reads a register of the processor's x2APIC.
    ///
    /// # Errors
    ///
    /// [`Refused`] if there is none.
    pub fn read_apic(&self, processor: usize, msr: u32, now: Ticks) -> Result<u64, Refused> {
        self.processors.get(processor).ok_or(Refused)?.apic.read_msr(msr, now)
    }

    /// Writes a register of the processor's x2APIC.
    ///
    /// # Errors
    ///
    /// [`Refused`] if there is none, or it does not take the value.
    pub fn write_apic(&mut self, processor: usize, msr: u32, value: u64, now: Ticks) -> Result<(), Refused> {
        let effect = self.apic(processor).ok_or(Refused)?.write_msr(msr, value, now)?;
        self.perform(processor, effect);
        Ok(())
    }

    /// The local APIC of a processor.
    pub fn apic(&mut self, processor: usize) -> Option<&mut LocalApic> {
        self.processors.get_mut(processor).map(|processor| &mut processor.apic)
    }

    /// The interrupt with this vector, which was a level, is over at a local APIC.
    pub fn end_level(&mut self, vector: u8) {
        let mut messages = Vec::new();
        self.ioapic.end(vector, &mut |message| messages.push(message));
        self.send_all(messages);
    }

    fn perform(&mut self, sender: usize, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Send(message) => self.send(Some(sender), message),
            Effect::End(vector) => self.end_level(vector),
        }
    }

    fn send_all(&mut self, messages: Vec<Message>) {
        for message in messages {
            self.send(None, message);
        }
    }

    /// Delivers a message to every local APIC that it is for.
    fn send(&mut self, sender: Option<usize>, message: Message) {
        let id = sender.and_then(|sender| u32::try_from(sender).ok());
        for (number, processor) in self.processors.iter_mut().enumerate() {
            if !processor.apic.is_addressed(message.destination, id) {
                continue;
            }
            processor.signal(message);
            processor.is_told |= sender != Some(number);
            if message.delivery == Delivery::LowestPriority && message.destination != Destination::All {
                break;
            }
        }
    }

    fn set_line(&mut self, input: u8, at_ioapic: u8, is_up: bool) {
        self.pic.set_line(input, is_up);
        let mut messages = Vec::new();
        self.ioapic.set_line(at_ioapic, is_up, &mut |message| messages.push(message));
        self.send_all(messages);
        if is_up && self.pic.interrupts() {
            self.tell_first();
        }
    }

    fn pulse(&mut self, input: u8, at_ioapic: u8) {
        self.set_line(input, at_ioapic, true);
        self.set_line(input, at_ioapic, false);
    }

    fn set_serial_line(&mut self) {
        let is_up = self.serial.interrupts();
        self.set_line(SERIAL, SERIAL, is_up);
    }
}

#[cfg(test)]
mod tests;
