//! What the exit loop needs of the machine that it runs on.

use crate::clock::Ticks;

/// The processor that a virtual processor runs on, with interrupts off but where a method says so.
pub trait Host {
    /// The time-stamp counter.
    fn now(&self) -> Ticks;

    /// Interrupts the processor at the time, or not any more.
    fn set_alarm(&mut self, at: Option<Ticks>);

    /// Lets the interrupts in that have come.
    fn take_interrupts(&mut self);

    /// Halts until an interrupt comes, or one that has come already is in.
    fn sleep(&mut self);

    /// Interrupts another processor.
    fn tell(&self, processor: usize);

    /// Shows what the guest has sent to its console, which one processor does at a time.
    fn send(&mut self, bytes: &[u8]);

    /// A byte from the console for the guest.
    fn receive(&mut self) -> Option<u8>;
}
