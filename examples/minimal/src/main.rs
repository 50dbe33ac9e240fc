//! The smallest useful hypervisor on the bare machine: the promises that it makes.
#![no_std]
#![no_main]
#![expect(unsafe_code, reason = "promises about the machine")]

extern crate alloc;

mod verdict;
use minimal::run;
use x86_virt::{CpuPin, DirectMap, FramePool, GuestRam, Hpa};

const POOL: core::ops::Range<Hpa> = Hpa::new(0x200_0000)..Hpa::new(0x204_0000);
// SAFETY: `machine` maps the first 4 GiB one to one for ever, and address 0 is neither in the pool nor given to a guest.
static FRAMES: FramePool<64> = FramePool::new(POOL.start, unsafe { DirectMap::new(0, Hpa::new(1 << 32)) });

struct ThisProcessor;
// SAFETY: at privilege level 0 in 64-bit mode, and never moved; nothing else here uses virtualization or changes what the
// contract names; CR0.TS and EM are 0; the handler of NMIs has a stack of its own and counts, no more.
unsafe impl CpuPin for ThisProcessor {}

machine::entry!(main);

fn main() -> machine::Verdict {
    machine::memory::take_at(POOL.start.get(), 64 * 4096).expect("the memory is there");
    // SAFETY: it is RAM, and taken: nobody else uses it.
    unsafe { FRAMES.donate(POOL) }.expect("it is the window of the pool");
    let region = machine::memory::take_zeroed(0x20_0000, 0x20_0000).expect("the memory is there");
    // SAFETY: as above, and mapped one to one for ever.
    let ram = unsafe { GuestRam::new(region.as_ptr(), Hpa::new(region.address()), 0x20_0000) }.expect("it is aligned");
    verdict::of(run(&ThisProcessor, &FRAMES, ram), "hello from real mode")
}
