//! The crate `x86_64`. It changes page by page, and has no split: large pages are unmapped, and mapped again.
#![expect(unsafe_code, reason = "the crate's functions are")]

use core::ptr::with_exposed_provenance_mut;

use x86_64::structures::paging::{
    FrameAllocator, MappedPageTable, Mapper, Page, PageTable, PageTableFlags, PhysFrame, Size1GiB, Size2MiB, Size4KiB,
    Translate,
    mapper::{PageTableFrameMapping, TranslateResult},
};
use x86_64::{PhysAddr, VirtAddr};
use x86_virt::PageSize;

use super::Tables;
use crate::arena::{Arena, arena, usize_from};

/// Tables of four levels.
#[derive(Debug)]
pub(crate) struct Mapped {
    tables: MappedPageTable<'static, Identity>,
    frames: FramesOf,
}

/// Physical addresses are virtual ones. It takes fewer instructions than the crate's `OffsetPageTable`.
#[derive(Debug)]
struct Identity;

// SAFETY: so it is in the arena.
unsafe impl PageTableFrameMapping for Identity {
    #[inline]
    fn frame_to_pointer(&self, frame: PhysFrame) -> *mut PageTable {
        with_exposed_provenance_mut(usize_from(frame.start_address().as_u64()))
    }
}

#[derive(Debug)]
struct FramesOf(&'static Arena);

// SAFETY: the arena gives each frame out once.
unsafe impl FrameAllocator<Size4KiB> for FramesOf {
    #[inline]
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        Some(PhysFrame::containing_address(PhysAddr::new(self.0.take(1)?)))
    }
}

const READ_EXECUTE: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::USER_ACCESSIBLE);
const ALL: PageTableFlags = READ_EXECUTE.union(PageTableFlags::WRITABLE);

/// Maps pages of one size. A macro: the methods for each size are those of another trait.
macro_rules! map {
    ($self:ident, $size:ty, $flags:expr, $gpa:expr, $hpa:expr, $bytes:expr) => {{
        let flags = $flags;
        let (start, offset) = ($gpa, $hpa.wrapping_sub($gpa));
        let mut gpa = start;
        while gpa < start + $bytes {
            let page = Page::<$size>::containing_address(VirtAddr::new(gpa));
            let frame = PhysFrame::containing_address(PhysAddr::new(gpa.wrapping_add(offset)));
            // SAFETY: no processor uses the tables.
            let mapped = unsafe { $self.tables.map_to(page, frame, flags, &mut $self.frames) };
            mapped.expect("nothing is mapped, and there are frames").ignore();
            gpa += page.size();
        }
    }};
}

impl Tables for Mapped {
    fn new() -> Self {
        let root = arena().take(1).expect("there are frames");
        // SAFETY: the frame is ours, and is a table once it is zeroed.
        let root = unsafe { &mut *with_exposed_provenance_mut::<PageTable>(usize_from(root)) };
        root.zero();
        // SAFETY: all tables are in the arena, where `Identity` finds them.
        let tables = unsafe { MappedPageTable::new(root, Identity) };
        Self { tables, frames: FramesOf(arena()) }
    }

    fn map(&mut self, gpa: u64, hpa: u64, bytes: u64, size: PageSize) {
        match size {
            PageSize::Size4K => map!(self, Size4KiB, ALL, gpa, hpa, bytes),
            PageSize::Size2M => map!(self, Size2MiB, ALL | PageTableFlags::HUGE_PAGE, gpa, hpa, bytes),
            PageSize::Size1G => map!(self, Size1GiB, ALL | PageTableFlags::HUGE_PAGE, gpa, hpa, bytes),
        }
    }

    fn map_page(&mut self, gpa: u64, hpa: u64) {
        let page = Page::<Size4KiB>::containing_address(VirtAddr::new(gpa));
        let frame = PhysFrame::containing_address(PhysAddr::new(hpa));
        // SAFETY: no processor uses the tables.
        let mapped = unsafe { self.tables.map_to(page, frame, ALL, &mut self.frames) };
        mapped.expect("it is not mapped, and there are frames").ignore();
    }

    fn translate(&self, gpa: u64) -> Option<u64> {
        self.tables.translate_addr(VirtAddr::new(gpa)).map(PhysAddr::as_u64)
    }

    fn is_writable(&self, gpa: u64) -> bool {
        let result = self.tables.translate(VirtAddr::new(gpa));
        matches!(result, TranslateResult::Mapped { flags, .. } if flags.contains(PageTableFlags::WRITABLE))
    }

    fn protect_page(&mut self, gpa: u64, hpa: u64) {
        let page = Page::<Size4KiB>::containing_address(VirtAddr::new(gpa));
        let large = Page::<Size2MiB>::containing_address(VirtAddr::new(gpa));
        let (_, flush) = self.tables.unmap(large).expect("it is mapped");
        flush.ignore();
        let start = large.start_address().as_u64();
        map!(self, Size4KiB, ALL, start, (hpa - (gpa - start)), PageSize::Size2M.bytes());
        // SAFETY: no processor uses the tables.
        let updated = unsafe { self.tables.update_flags(page, READ_EXECUTE) };
        updated.expect("it is mapped").ignore();
    }

    fn unmap(&mut self, gpa: u64, bytes: u64) {
        let start = Page::<Size4KiB>::containing_address(VirtAddr::new(gpa));
        for page in Page::range(start, start + bytes / PageSize::Size4K.bytes()) {
            let (_, flush) = self.tables.unmap(page).expect("it is mapped");
            flush.ignore();
        }
    }
}
