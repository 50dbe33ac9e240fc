//! Guest memory with the memory types of the host: no page has two.
#![cfg(test)]
#![expect(unsafe_code, reason = "makes physical memory from host memory")]

use core::alloc::Layout;
use core::ptr::NonNull;
use std::alloc::{alloc_zeroed, dealloc};

use x86_virt_core::{
    Access, AddressSpace, DirectMap, FramePool, Gpa, Hpa, Mapping, MemoryType, Mtrrs, PageSize, RawMtrrs,
};
use x86_virt_ept::{EptCapabilities, EptFormat};

const FRAMES: usize = 16;

#[test]
fn each_part_has_its_type_and_pages_that_fit() {
    let layout = Layout::from_size_align(FRAMES * 4096, 4096).unwrap();
    // SAFETY: the size is not zero.
    let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    let offset = u64::try_from(memory.as_ptr().expose_provenance()).unwrap();
    let end = Hpa::new(u64::try_from(FRAMES * 4096).unwrap());
    // SAFETY: the memory is used through the pool only.
    let pool = FramePool::<FRAMES>::new(Hpa::new(0), unsafe { DirectMap::new(offset, end) });
    // SAFETY: as above.
    unsafe { pool.donate(Hpa::new(0)..end) }.unwrap();

    // Write-back; 1 GiB at 3 GiB is uncacheable, and 64 KiB in a page of 2 MiB are write-through.
    let mut raw = RawMtrrs { capabilities: 2, default_type: 0x806, ..RawMtrrs::default() };
    raw.variable[0] = (0xc000_0000, 0x3f_c000_0800);
    raw.variable[1] = (0x4021_0004, 0x3f_ffff_0800);
    let mtrrs = Mtrrs::from_raw(raw);

    let format = EptFormat::new(EptCapabilities::from_bits(0x3_40c1), 46).unwrap();
    let space = AddressSpace::new(format, &pool).unwrap();
    for part in mtrrs.parts(Gpa::new(0)..Gpa::new(8 << 30), Hpa::new(0)) {
        // SAFETY: no processor uses the tables.
        let mapped =
            unsafe { space.map_physical(part.gpa, part.hpa, Mapping::new(Access::ALL).memory_type(part.memory_type)) };
        mapped.unwrap();
    }
    for (gpa, memory_type, size) in [
        (0, MemoryType::WriteBack, PageSize::Size1G),
        (0x401f_ffff, MemoryType::WriteBack, PageSize::Size2M),
        (0x4020_0000, MemoryType::WriteBack, PageSize::Size4K),
        (0x4021_0000, MemoryType::WriteThrough, PageSize::Size4K),
        (0x4021_ffff, MemoryType::WriteThrough, PageSize::Size4K),
        (0x4022_0000, MemoryType::WriteBack, PageSize::Size4K),
        (0x4040_0000, MemoryType::WriteBack, PageSize::Size2M),
        (0x8000_0000, MemoryType::WriteBack, PageSize::Size1G),
        (0xffff_ffff, MemoryType::Uncacheable, PageSize::Size1G),
        (0x1_0000_0000, MemoryType::WriteBack, PageSize::Size1G),
    ] {
        let to = space.translate(Gpa::new(gpa)).unwrap();
        assert_eq!((to.hpa.get(), to.memory_type, to.size), (gpa, memory_type, size));
    }
    drop(space);
    // SAFETY: allocated above with this layout, and the space has ended.
    unsafe { dealloc(memory.as_ptr(), layout) };
}
