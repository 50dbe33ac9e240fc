//! What processors are told: interrupts, INIT and start-up.

use super::{Board, Processor};
use crate::interrupt::{Delivery, Message};
use crate::power::Request;

/// What a virtual processor does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Activity {
    /// It waits for a start-up signal.
    WaitsForStart,
    /// It begins in real mode at this page of the first MiB.
    Starts(u8),
    /// It executes instructions, or halts.
    Running,
}

/// What comes to a processor next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A non-maskable interrupt.
    Nmi,
    /// The interrupt with this vector, from the local APIC.
    Interrupt(u8),
    /// The interrupt with this vector, from the PC's interrupt controller.
    External(u8),
}

/// The numbers of processors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told(u32);

impl Iterator for Told {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let number = self.0.trailing_zeros();
        self.0 &= self.0.checked_sub(1)?;
        usize::try_from(number).ok()
    }
}

/// How a guest ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It switched the power off.
    PowerOff,
    /// It wanted to begin anew.
    Reset,
    /// A triple fault.
    Shutdown,
    /// All its processors halt with interrupts off.
    Stopped,
    /// Something came that the hypervisor does not know.
    Failed,
}

impl From<Request> for Ending {
    fn from(request: Request) -> Self {
        match request {
            Request::PowerOff => Self::PowerOff,
            Request::Reset => Self::Reset,
        }
    }
}

impl Processor {
    pub(super) fn signal(&mut self, message: Message) {
        match message.delivery {
            Delivery::Fixed | Delivery::LowestPriority => self.apic.request(message.vector, message.trigger),
            Delivery::Nmi => self.has_nmi = true,
            Delivery::Init => {
                self.apic.init();
                self.activity = Activity::WaitsForStart;
                self.has_nmi = false;
            }
            Delivery::StartUp if self.activity == Activity::WaitsForStart => {
                self.activity = Activity::Starts(message.vector);
            }
            Delivery::StartUp | Delivery::Smi | Delivery::External | Delivery::Reserved => {}
        }
    }
}

impl Board {
    /// What a processor does. One that begins runs afterwards.
    pub fn take_activity(&mut self, processor: usize) -> Activity {
        let Some(processor) = self.processors.get_mut(processor) else { return Activity::WaitsForStart };
        let activity = processor.activity;
        if matches!(activity, Activity::Starts(_)) {
            processor.activity = Activity::Running;
            processor.is_stopped = false;
        }
        activity
    }

    /// What comes to a processor next, if anything does.
    #[must_use]
    pub fn signal(&self, processor: usize) -> Option<Signal> {
        let of = self.processors.get(processor)?;
        if of.has_nmi {
            return Some(Signal::Nmi);
        }
        if let Some(vector) = of.apic.pending() {
            return Some(Signal::Interrupt(vector));
        }
        let takes_external = processor == 0 && of.apic.takes_external();
        self.pic.pending().filter(|_| takes_external).map(Signal::External)
    }

    /// A processor has taken a signal.
    pub fn accept(&mut self, processor: usize, signal: Signal) {
        let Some(of) = self.processors.get_mut(processor) else { return };
        match signal {
            Signal::Nmi => of.has_nmi = false,
            Signal::Interrupt(vector) => of.apic.accept(vector),
            Signal::External(_) => {
                let _vector = self.pic.acknowledge();
            }
        }
    }

    /// The processors that something came to from elsewhere, since the last call. Each is to be told.
    pub fn take_told(&mut self) -> Told {
        let mut told = Told(0);
        for (number, of) in (0..).zip(&mut self.processors) {
            if core::mem::take(&mut of.is_told) {
                told.0 |= 1 << number;
            }
        }
        told
    }

    pub(super) fn tell_first(&mut self) {
        if let Some(first) = self.processors.first_mut() {
            first.is_told = true;
        }
    }

    /// Takes note of whether a processor halts with interrupts off. True if all that run do: then nothing will ever happen.
    pub fn set_stopped(&mut self, processor: usize, is_stopped: bool) -> bool {
        if let Some(of) = self.processors.get_mut(processor) {
            of.is_stopped = is_stopped;
        }
        self.processors.iter().all(|of| of.is_stopped || of.activity == Activity::WaitsForStart)
    }
}
