//! The local APIC of the calling processor, in xAPIC mode: its timer, and interrupts to other processors.

#![expect(unsafe_code, reason = "reads and writes the registers of a device in memory")]

use core::{hint, ptr};

use crate::MAX_PROCESSORS;

/// Where it is after a reset.
const BASE: usize = 0xFEE0_0000;
/// The address of the register EOI; `interrupts.s` writes it.
pub(crate) const END_OF_INTERRUPT: usize = BASE + 0xB0;

/// The vector of an interrupt that went away before the processor took it.
const SPURIOUS: u8 = 0xFF;
/// Spurious-interrupt vector register: the APIC takes part.
const ENABLED: u32 = 1 << 8;
/// Local vector table: no interrupt from here.
const MASKED: u32 = 1 << 16;
/// Local vector table, timer: starts again from the initial count.
const PERIODIC: u32 = 1 << 17;
/// Divide configuration register.
const DIVIDE_BY_1: u32 = 0b1011;
/// Interrupt command register: delivery modes.
const NMI: u32 = 4 << 8;
const INIT: u32 = 5 << 8;
const START_UP: u32 = 6 << 8;
/// Interrupt command register: any but an INIT that ends a reset.
const ASSERT: u32 = 1 << 14;
/// Interrupt command register: not sent yet.
const PENDING: u32 = 1 << 12;

/// The registers in use, by their offset.
#[derive(Clone, Copy)]
enum Register {
    Id,
    SpuriousVector,
    CommandLow,
    CommandHigh,
    LvtTimer,
    LvtLint0,
    LvtLint1,
    InitialCount,
    CurrentCount,
    DivideConfiguration,
}

impl Register {
    const fn offset(self) -> usize {
        match self {
            Self::Id => 0x20,
            Self::SpuriousVector => 0xF0,
            Self::CommandLow => 0x300,
            Self::CommandHigh => 0x310,
            Self::LvtTimer => 0x320,
            Self::LvtLint0 => 0x350,
            Self::LvtLint1 => 0x360,
            Self::InitialCount => 0x380,
            Self::CurrentCount => 0x390,
            Self::DivideConfiguration => 0x3E0,
        }
    }

    fn read(self) -> u32 {
        let register = ptr::with_exposed_provenance::<u32>(BASE + self.offset());
        // SAFETY: an aligned register of the local APIC, which is mapped there; none has an effect when read.
        unsafe { register.read_volatile() }
    }

    fn write(self, value: u32) {
        let register = ptr::with_exposed_provenance_mut::<u32>(BASE + self.offset());
        // SAFETY: an aligned register of the local APIC, which is mapped there. It can make this or another processor
        // take a vector that has an entry, or start at the trampoline; the latter only by `send_start_up`.
        unsafe { register.write_volatile(value) };
    }
}

/// Turns it on, with nothing that interrupts.
pub(crate) fn enable() {
    Register::SpuriousVector.write(ENABLED | u32::from(SPURIOUS));
    for entry in [Register::LvtTimer, Register::LvtLint0, Register::LvtLint1] {
        entry.write(MASKED);
    }
}

/// The identifier of the calling processor's APIC: the processor's index.
pub fn id() -> u8 {
    let [.., id] = Register::Id.read().to_le_bytes();
    id
}

/// Makes the timer of the calling processor interrupt it with `vector` after every `period` ticks of the bus clock.
///
/// # Panics
///
/// If `vector` is that of an exception, or `period` is 0.
pub fn start_timer(vector: u8, period: u32) {
    assert_interrupt(vector);
    assert_ne!(period, 0, "a timer with period 0 stands still");
    Register::DivideConfiguration.write(DIVIDE_BY_1);
    Register::LvtTimer.write(PERIODIC | u32::from(vector));
    Register::InitialCount.write(period);
}

/// Makes the timer of the calling processor interrupt it once with `vector`, after `ticks` ticks of the bus clock, of which
/// [`Speeds::apic_hertz`](crate::time::Speeds::apic_hertz) are a second. 0 stops it.
///
/// # Panics
///
/// If `vector` is that of an exception.
pub fn start_one_shot(vector: u8, ticks: u32) {
    assert_interrupt(vector);
    Register::DivideConfiguration.write(DIVIDE_BY_1);
    Register::LvtTimer.write(u32::from(vector));
    Register::InitialCount.write(ticks);
}

/// Lets the timer count down from its highest value, and interrupt nobody.
pub(crate) fn start_count() {
    Register::DivideConfiguration.write(DIVIDE_BY_1);
    Register::LvtTimer.write(MASKED);
    Register::InitialCount.write(u32::MAX);
}

/// How many ticks have passed since [`start_count`].
pub(crate) fn count() -> u32 {
    u32::MAX - Register::CurrentCount.read()
}

/// Stops the timer of the calling processor. An interrupt from before may still be pending.
pub fn stop_timer() {
    Register::LvtTimer.write(MASKED);
    Register::InitialCount.write(0);
}

/// Sends an interrupt to a processor, which may be the calling one.
///
/// # Panics
///
/// If `vector` is that of an exception, or there can be no such processor.
pub fn send_interrupt(processor: usize, vector: u8) {
    assert_interrupt(vector);
    send(processor, ASSERT | u32::from(vector));
}

/// Sends a non-maskable interrupt to a processor, which may be the calling one.
///
/// # Panics
///
/// If there can be no such processor.
pub fn send_nmi(processor: usize) {
    send(processor, ASSERT | NMI);
}

/// Sends INIT to a processor: outside of virtualization, it is reset, and then waits for a [start-up signal](send_start_up).
///
/// # Panics
///
/// If there can be no such processor.
pub fn send_init(processor: usize) {
    send(processor, ASSERT | INIT);
}

/// Sends a start-up signal. A processor that waits for it starts in real-address mode at page `page` of the first MiB; others
/// discard it.
///
/// # Panics
///
/// If there can be no such processor.
pub fn send_start_up(processor: usize, page: u8) {
    send(processor, ASSERT | START_UP | u32::from(page));
}

/// The APIC identifier of a processor.
pub(crate) fn id_of(processor: usize) -> u8 {
    assert!(processor < MAX_PROCESSORS, "there is no processor {processor}");
    u8::try_from(processor).expect("MAX_PROCESSORS is small")
}

/// Sends a command, and waits until it has left. No handler sends any, so none comes between the two halves.
fn send(processor: usize, command: u32) {
    Register::CommandHigh.write(u32::from(id_of(processor)) << 24);
    Register::CommandLow.write(command);
    while Register::CommandLow.read() & PENDING != 0 {
        hint::spin_loop();
    }
}

fn assert_interrupt(vector: u8) {
    assert!(vector >= 32, "vector {vector} belongs to an exception");
}
