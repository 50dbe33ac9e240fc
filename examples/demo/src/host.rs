//! What the hypervisor needs of the machine under it: the only module with unsafe code.
#![expect(unsafe_code, reason = "promises about the machine")]

use machine::memory::{self, Region};
use x86_virt::{CpuPin, DirectMap, FramePool, GuestRam, GuestRamError, Hpa};

/// Where the frames for tables and control structures are.
const POOL_BASE: Hpa = Hpa::new(0x0200_0000);
/// How many there are: a guest of 4 GiB in pages of 4 KiB takes 2,053.
const POOL_FRAMES: usize = 4096;

/// The machine's memory is mapped one to one.
///
/// SAFETY: `machine` maps the first 4 GiB one to one for ever, and RAM ends at 512 MiB.
const DIRECT_MAP: DirectMap = unsafe { DirectMap::new(0, Hpa::new(0x2000_0000)) };

static POOL: FramePool<POOL_FRAMES> = FramePool::new(POOL_BASE, DIRECT_MAP);

/// The allocator that the library takes frames from.
pub(crate) type Frames = &'static FramePool<POOL_FRAMES>;

/// Gives the memory for frames to the allocator.
pub(crate) fn frames() -> Frames {
    let bytes = POOL_FRAMES * 4096;
    let region = memory::take_at(POOL_BASE.get(), bytes).expect("the machine has this memory");
    let end = Hpa::new(region.address() + 0x0100_0000);
    // SAFETY: `machine` gives the region to nobody else.
    unsafe { POOL.donate(POOL_BASE..end) }.expect("the range is the pool's");
    &POOL
}

/// This processor: `machine` runs one context on each, for ever.
pub(crate) struct ThisProcessor;

// SAFETY: the code runs at privilege level 0 in 64-bit mode, and `machine` never moves it. Nothing else on the machine uses
// virtualization or changes the registers that the contract names after the start. CR0.TS and EM are 0. NMIs have a stack of
// their own, and their handler, a few lines of assembly, only counts.
unsafe impl CpuPin for ThisProcessor {}

/// Takes `bytes` of memory for a guest, aligned to 2 MiB and filled with zeros.
pub(crate) fn guest_ram(bytes: usize) -> Result<GuestRam<'static>, GuestRamError> {
    let region = memory::take_zeroed(bytes, 0x20_0000).expect("the machine has enough memory");
    ram(&region)
}

/// Takes the memory at `address` for a guest.
pub(crate) fn guest_ram_at(address: u64, bytes: usize) -> Result<GuestRam<'static>, GuestRamError> {
    let region = memory::take_at(address, bytes).expect("the machine has this memory");
    ram(&region)
}

fn ram(region: &Region) -> Result<GuestRam<'static>, GuestRamError> {
    let bytes = u64::try_from(region.len()).unwrap_or(0);
    // SAFETY: `machine` gives the region to nobody else, and maps it one to one for ever.
    unsafe { GuestRam::new(region.as_ptr(), Hpa::new(region.address()), bytes) }
}
