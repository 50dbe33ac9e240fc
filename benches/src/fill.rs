//! A mapping of many pages in each format, alone: its machine code is what a hypervisor gets.
//!
//! A test of `xtask` looks for the loop that stores the entries.
#![expect(unsafe_code, reason = "the functions are found by their names")]

use core::hint::black_box;
use core::ptr::NonNull;

use x86_virt::ept::{EptCapabilities, EptFormat};
use x86_virt::npt::{NptFormat, Pat};
use x86_virt::{Access, AddressSpace, DirectMap, Format, FramePool, Gpa, Hpa, MapError};

type Pool = FramePool<16>;

fn map<F: Format>(space: &AddressSpace<'static, F, &Pool>) -> Result<(), MapError> {
    // SAFETY: no processor uses the tables.
    unsafe { space.map_physical(Gpa::new(0)..Gpa::new(1 << 23), Hpa::new(0x1000), Access::ALL) }
}

fn main() {
    let memory: NonNull<[u8; 17 * 4096]> = Box::leak(Box::new([0; 17 * 4096])).into();
    let start = u64::try_from(memory.as_ptr().expose_provenance()).unwrap_or(0).next_multiple_of(4096);
    let end = Hpa::new(start + 16 * 4096);
    // SAFETY: the memory is mapped at its own address, and used through the pool only.
    let pool = Pool::new(Hpa::new(start), unsafe { DirectMap::new(0, end) });
    // SAFETY: as above.
    unsafe { pool.donate(Hpa::new(start)..end) }.expect("it is the window of the pool");
    let ept = EptFormat::new(EptCapabilities::from_bits(0x4040), 52).expect("the capabilities suffice");
    let npt = NptFormat::new(Pat::RESET, 52).expect("it is a width");
    let ept = AddressSpace::new(ept, &pool).expect("there are frames");
    map(black_box(&ept)).expect("nothing is mapped, and there are frames");
    let npt = AddressSpace::new(npt, &pool).expect("there are frames");
    map(black_box(&npt)).expect("nothing is mapped, and there are frames");
}
