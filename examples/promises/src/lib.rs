//! What the steps of the ladder promise about the bare machine: all the unsafe code that they need.
#![no_std]
#![expect(unsafe_code, reason = "promises about the machine")]

extern crate alloc;

use alloc::boxed::Box;
use core::error::Error;

use machine::{Verdict, memory, println};
use spin::Once;
use x86_virt::{CpuPin, DirectMap, FramePool, GuestRam, GuestRamError, Hpa};

const POOL: core::ops::Range<Hpa> = Hpa::new(0x200_0000)..Hpa::new(0x210_0000);
const FRAMES: usize = 256;
const LARGE_PAGE: usize = 0x20_0000;

// SAFETY: `machine` maps the first 4 GiB one to one for ever, and address 0 is neither in the pool nor given to a guest.
static POOL_OF_FRAMES: FramePool<FRAMES> = FramePool::new(POOL.start, unsafe { DirectMap::new(0, Hpa::new(1 << 32)) });

/// The allocator that the library takes frames from.
pub type Frames = &'static FramePool<FRAMES>;

/// This processor: `machine` runs one context on each, for ever.
#[derive(Debug)]
pub struct ThisProcessor;

// SAFETY: at privilege level 0 in 64-bit mode, and never moved; nothing else here uses virtualization or changes what the
// contract names; CR0.TS and EM are 0; the handler of NMIs has a stack of its own and counts, no more.
unsafe impl CpuPin for ThisProcessor {}

/// 1 MiB of memory for the library, the same for all processors.
///
/// # Panics
///
/// If another part of the image has taken this memory.
pub fn frames() -> Frames {
    static IS_DONATED: Once<()> = Once::new();
    IS_DONATED.call_once(|| {
        memory::take_at(POOL.start.get(), FRAMES * 4096).expect("the memory is there");
        // SAFETY: it is RAM, and taken: nobody else uses it.
        unsafe { POOL_OF_FRAMES.donate(POOL) }.expect("it is the window of the pool");
    });
    &POOL_OF_FRAMES
}

/// 2 MiB of memory for a guest, all zero.
///
/// # Panics
///
/// If there is none left.
pub fn guest_ram() -> GuestRam<'static> {
    // They are at an address of their own, which must not be taken before.
    frames();
    let region = memory::take_zeroed(LARGE_PAGE, LARGE_PAGE).expect("the memory is there");
    let hpa = Hpa::new(region.address());
    // SAFETY: `machine` gives the region to nobody else, and maps it one to one for ever.
    unsafe { GuestRam::new(region.as_ptr(), hpa, 0x20_0000) }.expect("it is aligned")
}

/// Writes code to `offset` of the guest's memory and makes it the handler of `vector` in real mode.
///
/// Intel SDM vol. 3, section 22.1.4, "Interrupt and Exception Handling".
///
/// # Errors
///
/// [`GuestRamError`] if the memory ends before.
pub fn write_handler(ram: &GuestRam<'_>, vector: u8, offset: u16, code: &[u8]) -> Result<(), GuestRamError> {
    ram.write(offset.into(), code)?;
    // Offset and segment.
    let [low, high] = offset.to_le_bytes();
    ram.write(4 * u64::from(vector), &[low, high, 0, 0])
}

/// The verdict of a step: it passes if it came to its end, or if the machine was expected to lack something.
pub fn verdict(result: Result<(), Box<dyn Error>>) -> Verdict {
    match result {
        Ok(()) if machine::arg("expect").is_none() => Verdict::Pass,
        Ok(()) => Verdict::Fail,
        Err(error) if machine::arg("expect") == Some("unsupported") && x86_virt::is_unsupported(&*error) => {
            Verdict::Pass
        }
        Err(error) => {
            println!("FAILED: {error}");
            Verdict::Fail
        }
    }
}
