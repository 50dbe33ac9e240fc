//! The crate `page_table_multiarch`, with the tables of x86-64. It changes page by page inside, and has no split: large pages are unmapped,
//! and mapped again.

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::x86_64::X64PageTable;
use page_table_multiarch::{MappingFlags, PageSize as Size, PagingHandler};
use x86_virt::PageSize;

use super::Tables;
use crate::arena::{arena, usize_from};

/// Tables of four levels.
pub(crate) struct Multiarch(X64PageTable<Handler>);

struct Handler;

impl PagingHandler for Handler {
    #[inline]
    fn alloc_frames(num: usize, _: usize) -> Option<PhysAddr> {
        let first = arena().take(u64::try_from(num).ok()?)?;
        Some(PhysAddr::from(usize_from(first)))
    }

    #[inline]
    fn dealloc_frames(_: PhysAddr, _: usize) {}

    #[inline]
    fn phys_to_virt(paddr: PhysAddr) -> VirtAddr {
        VirtAddr::from(paddr.as_usize())
    }
}

const READ_EXECUTE: MappingFlags = MappingFlags::READ.union(MappingFlags::EXECUTE).union(MappingFlags::USER);
const ALL: MappingFlags = READ_EXECUTE.union(MappingFlags::WRITE);

fn virt(gpa: u64) -> VirtAddr {
    VirtAddr::from(usize_from(gpa))
}

impl Multiarch {
    fn map_region(&mut self, gpa: u64, hpa: u64, bytes: u64) {
        let offset = usize_from(hpa.wrapping_sub(gpa));
        let target = |at: VirtAddr| PhysAddr::from(at.as_usize().wrapping_add(offset));
        // It takes the largest page that the address and the length allow.
        let mapped = self.0.cursor().map_region(virt(gpa), target, usize_from(bytes), ALL, true);
        mapped.expect("nothing is mapped, and there are frames");
    }
}

impl Tables for Multiarch {
    fn new() -> Self {
        Self(X64PageTable::try_new().expect("there are frames"))
    }

    fn map(&mut self, gpa: u64, hpa: u64, bytes: u64, _: PageSize) {
        self.map_region(gpa, hpa, bytes);
    }

    fn map_page(&mut self, gpa: u64, hpa: u64) {
        let hpa = PhysAddr::from(usize_from(hpa));
        let mapped = self.0.cursor().map(virt(gpa), hpa, Size::Size4K, ALL);
        mapped.expect("it is not mapped, and there are frames");
    }

    fn translate(&self, gpa: u64) -> Option<u64> {
        let (hpa, ..) = self.0.query(virt(gpa)).ok()?;
        u64::try_from(hpa.as_usize()).ok()
    }

    fn is_writable(&self, gpa: u64) -> bool {
        self.0.query(virt(gpa)).is_ok_and(|(_, flags, _)| flags.contains(MappingFlags::WRITE))
    }

    fn protect_page(&mut self, gpa: u64, hpa: u64) {
        let offset = usize_from(hpa.wrapping_sub(gpa));
        let start = virt(gpa & !(PageSize::Size2M.bytes() - 1));
        let target = |at: VirtAddr| PhysAddr::from(at.as_usize().wrapping_add(offset));
        let mut cursor = self.0.cursor();
        cursor.unmap(start).expect("it is mapped");
        let bytes = usize_from(PageSize::Size2M.bytes());
        cursor.map_region(start, target, bytes, ALL, false).expect("it was unmapped, and there are frames");
        cursor.protect(virt(gpa), READ_EXECUTE).expect("it is mapped");
    }

    fn unmap(&mut self, gpa: u64, bytes: u64) {
        self.0.cursor().unmap_region(virt(gpa), usize_from(bytes)).expect("it is mapped");
    }
}
