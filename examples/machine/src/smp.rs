//! The processors: their number, their start, and work for all of them.

#![expect(unsafe_code, reason = "copies the trampoline to where a start-up interrupt finds it, reads a port")]

use core::{
    arch::global_asm,
    hint, ptr,
    sync::atomic::{
        AtomicU32, AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use spin::Mutex;
use x86::io::inb;

use crate::{apic, arg, gdt, interrupts};

/// How many processors the machine may have.
pub const MAX_PROCESSORS: usize = 8;

/// Where the trampoline runs: the number of a page, which is the vector of a start-up interrupt.
const TRAMPOLINE_PAGE: u8 = 8;
const TRAMPOLINE: usize = 0x1000 * 8;

/// The vector that tells an application processor of work. It comes once for each and starts it, rather than anything in
/// memory, so that it is never still pending when the work runs.
const WAKE: u8 = 0xFE;

/// A port that nothing listens on; reading it takes about a microsecond.
const DELAY: u16 = 0x80;
/// From a reset to the start-up interrupt.
const RESET_MICROSECONDS: u32 = 200;
/// From the start-up interrupt to the arrival.
const START_MICROSECONDS: u32 = 5_000_000;

global_asm!(
    include_str!("smp.s"),
    trampoline = const TRAMPOLINE,
    starting = sym STARTING,
    options(att_syntax),
);

unsafe extern "C" {
    static machine_trampoline: u8;
    static machine_trampoline_end: u8;
}

/// The index of the processor that starts now; `smp.s` reads it.
static STARTING: AtomicU32 = AtomicU32::new(0);
/// How many processors have come to [`serve`], with the bootstrap processor.
static ARRIVED: AtomicUsize = AtomicUsize::new(1);
/// What the processors run.
static WORK: Mutex<fn(usize)> = Mutex::new(|_| ());
/// How many processors still run it.
static WORKING: AtomicUsize = AtomicUsize::new(0);

/// How many processors the machine has: what the word `cpus=` of the command line says, else 1.
///
/// # Panics
///
/// If the word is not a number from 1 to [`MAX_PROCESSORS`].
pub fn processors() -> usize {
    let Some(value) = arg("cpus") else { return 1 };
    match value.parse() {
        Ok(number @ 1..=MAX_PROCESSORS) => number,
        _ => panic!("cpus={value} is not a number from 1 to {MAX_PROCESSORS}"),
    }
}

/// The index of the calling processor; the bootstrap processor's is 0.
pub fn processor() -> usize {
    gdt::index()
}

/// Runs `f` on every processor at the same time, with the processor's index, and returns when all have returned.
///
/// The first call starts the application processors. Between calls they sleep with interrupts on, and vector `0xFE` tells
/// them of work; `f` starts with interrupts off on them, and as they are on the bootstrap processor.
///
/// # Panics
///
/// If the caller is not the bootstrap processor outside of `f`, or a processor does not start.
pub fn on_every_processor(f: fn(usize)) {
    assert_eq!(processor(), 0, "only the bootstrap processor gives work");
    assert_eq!(WORKING.load(Relaxed), 0, "work inside of work");
    let processors = processors();
    start_processors(processors);

    *WORK.lock() = f;
    WORKING.store(processors, Relaxed);
    for index in 1..processors {
        apic::send_interrupt(index, WAKE);
    }
    f(0);
    WORKING.fetch_sub(1, Release);
    while WORKING.load(Acquire) != 0 {
        hint::spin_loop();
    }
}

/// Starts those application processors that do not run yet, one after the other.
fn start_processors(processors: usize) {
    for index in ARRIVED.load(Relaxed)..processors {
        copy_trampoline();
        STARTING.store(u32::try_from(index).expect("index is below MAX_PROCESSORS"), Release);
        apic::send_init(index);
        wait(RESET_MICROSECONDS, || false);
        apic::send_start_up(index, TRAMPOLINE_PAGE);
        let has_arrived = wait(START_MICROSECONDS, || ARRIVED.load(Acquire) > index);
        assert!(has_arrived, "processor {index} of {processors} does not start");
    }
}

/// Waits for a condition, but not for ever. Returns whether it holds.
fn wait(microseconds: u32, condition: impl Fn() -> bool) -> bool {
    (0..microseconds).any(|_| {
        // SAFETY: CPL 0; nothing listens on this port.
        let _ = unsafe { inb(DELAY) };
        // QEMU with `-icount` runs another processor only after this.
        hint::spin_loop();
        condition()
    })
}

fn copy_trampoline() {
    let from = &raw const machine_trampoline;
    let length = (&raw const machine_trampoline_end).addr() - from.addr();
    let to = ptr::with_exposed_provenance_mut::<u8>(TRAMPOLINE);
    // SAFETY: `from` is `length` bytes of the image which nobody writes, `to` is RAM below the image, mapped and in no
    // use but this one: the processor started before has left it, since it has arrived.
    unsafe { from.copy_to_nonoverlapping(to, length) };
}

/// The life of an application processor.
pub(crate) fn serve(index: usize) -> ! {
    assert_eq!(usize::from(apic::id()), index, "the local APICs are not numbered from 0");
    let mut done = 0;
    ARRIVED.fetch_add(1, Release);
    loop {
        interrupts::disable();
        while interrupts::count(WAKE) == done {
            interrupts::wait();
        }
        done = interrupts::count(WAKE);
        let work = *WORK.lock();
        work(index);
        WORKING.fetch_sub(1, Release);
    }
}
