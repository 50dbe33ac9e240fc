//! Non-maskable interrupts that do not depend on what any processor does: the PC's timer, by the I/O APIC.

use crate::{apic, ioapic, pit};

/// The pin of the I/O APIC to which the timer leads, on both chipsets.
const TIMER_PIN: u8 = 2;

/// Sends an NMI to `processor` after every `divisor` ticks of the timer of 1.193 MHz; 0 stands for 65,536 ticks.
///
/// # Panics
///
/// If there can be no such processor.
pub fn start(processor: usize, divisor: u16) {
    ioapic::send_nmi_to(TIMER_PIN, apic::id_of(processor));
    pit::start(divisor);
}

/// Ends that. One NMI may still be on its way.
pub fn stop() {
    ioapic::mask(TIMER_PIN);
    pit::stop();
}
