//! Memory of the machine: the files that were loaded with the image, the guest's RAM, and frames for the library.
#![expect(unsafe_code, reason = "promises about the machine's memory")]

use core::slice;

use machine::memory;
use x86_virt::{CpuPin, DirectMap, FramePool, GuestRam, GuestRamError, Hpa};

/// How many frames the library has: tables for 3 GiB in large pages, and control structures of 8 processors.
const POOL_FRAMES: usize = 1024;
/// Where they are: after the heap of the machine.
const POOL_BASE: u64 = 0x200_0000;
const POOL_BYTES: usize = POOL_FRAMES * 4096;
const LARGE_PAGE: usize = 0x20_0000;

// SAFETY: `machine` maps the first 4 GiB one to one for ever, and address 0 is neither in the pool nor given to a guest.
static POOL: FramePool<POOL_FRAMES> =
    FramePool::new(Hpa::new(POOL_BASE), unsafe { DirectMap::new(0, Hpa::new(1 << 32)) });

/// The allocator that the library takes frames from.
pub(crate) type Frames = &'static FramePool<POOL_FRAMES>;

/// Gives memory to the allocator.
pub(crate) fn frames() -> Option<Frames> {
    let region = memory::take_at(POOL_BASE, POOL_BYTES)?;
    let range = Hpa::new(region.address())..Hpa::new(region.address().checked_add(u64::try_from(POOL_BYTES).ok()?)?);
    // SAFETY: `machine` gives the region to nobody else.
    unsafe { POOL.donate(range) }.ok()?;
    Some(&POOL)
}

/// This processor: `machine` runs one context on each, for ever.
#[derive(Debug)]
pub(crate) struct ThisProcessor;

// SAFETY: the code runs at privilege level 0 in 64-bit mode, and `machine` never moves it. Nothing else on the machine uses
// virtualization or changes the registers that the contract names after the start. CR0.TS and EM are 0. NMIs have a stack of
// their own, and their handler, a few lines of assembly, only counts.
unsafe impl CpuPin for ThisProcessor {}

/// A file that the launcher has put into memory. `None` if that memory is not RAM, or taken.
pub(crate) fn file(address: u64, bytes: usize) -> Option<&'static [u8]> {
    if bytes == 0 {
        return Some(&[]);
    }
    let region = memory::take_at(address, bytes)?;
    // SAFETY: RAM that is mapped and nobody else's for ever; the launcher has filled it, and nobody writes it any more.
    Some(unsafe { slice::from_raw_parts(region.as_ptr().as_ptr(), region.len()) })
}

/// Takes `bytes` of memory for the guest, aligned to 2 MiB. `None` if there is not that much.
pub(crate) fn guest_ram(bytes: u64) -> Option<Result<GuestRam<'static>, GuestRamError>> {
    let region = memory::take(usize::try_from(bytes).ok()?, LARGE_PAGE)?;
    // SAFETY: `machine` gives the region to nobody else, and maps it one to one for ever.
    Some(unsafe { GuestRam::new(region.as_ptr(), Hpa::new(region.address()), bytes) })
}
