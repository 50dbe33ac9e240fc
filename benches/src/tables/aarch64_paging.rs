//! The crate `aarch64-paging`, with the stage-2 tables of Arm. They have the same shape, and other bits.
#![expect(unsafe_code, reason = "gives the crate memory")]

use core::ptr::{NonNull, with_exposed_provenance_mut};

use aarch64_paging::descriptor::{PhysicalAddress, Stage2Attributes};
use aarch64_paging::paging::{Constraints, MemoryRegion, PageTable, RootTable, Stage2 as Regime, Translation};
use x86_virt::PageSize;

use super::Tables;
use crate::arena::{arena, usize_from};

/// Tables of four levels.
#[derive(Debug)]
pub(crate) struct Stage2(RootTable<Regime, FromArena>);

#[derive(Debug)]
struct FromArena;

type Table = PageTable<Stage2Attributes>;

fn pointer(address: usize) -> NonNull<Table> {
    NonNull::new(with_exposed_provenance_mut(address)).expect("the arena is not at 0")
}

impl Translation<Stage2Attributes> for FromArena {
    #[inline]
    fn allocate_table(&mut self) -> (NonNull<Table>, PhysicalAddress) {
        let address = usize_from(arena().take(1).expect("there are frames"));
        let table = pointer(address);
        // SAFETY: the frame is ours, aligned and as long as a table.
        unsafe { table.write_bytes(0, 1) };
        (table, PhysicalAddress(address))
    }

    #[inline]
    unsafe fn deallocate_table(&mut self, _: NonNull<Table>) {}

    #[inline]
    fn physical_to_virtual(&self, pa: PhysicalAddress) -> NonNull<Table> {
        pointer(pa.0)
    }
}

/// Write-back memory that can be read and executed.
const READ_EXECUTE: Stage2Attributes = Stage2Attributes::VALID
    .union(Stage2Attributes::MEMATTR_NORMAL_INNER_WB)
    .union(Stage2Attributes::MEMATTR_NORMAL_OUTER_WB)
    .union(Stage2Attributes::S2AP_ACCESS_RO)
    .union(Stage2Attributes::SH_INNER)
    .union(Stage2Attributes::ACCESS_FLAG);
const ALL: Stage2Attributes = READ_EXECUTE.union(Stage2Attributes::S2AP_ACCESS_RW);

fn region(gpa: u64, bytes: u64) -> MemoryRegion {
    MemoryRegion::new(usize_from(gpa), usize_from(gpa + bytes))
}

impl Stage2 {
    fn set(&mut self, gpa: u64, hpa: u64, bytes: u64, attributes: Stage2Attributes) {
        let hpa = PhysicalAddress(usize_from(hpa));
        self.0.map_range(&region(gpa, bytes), hpa, attributes, Constraints::empty()).expect("the range is one");
    }

    /// The address and the attributes of the page that `gpa` is in.
    fn find(&self, gpa: u64) -> Option<(u64, Stage2Attributes)> {
        let mut found = None;
        let mut look = |region: &MemoryRegion, entry: &_, level: usize| {
            let entry: &aarch64_paging::descriptor::Descriptor<Stage2Attributes> = entry;
            if entry.is_valid() {
                // Level 3 is the lowest. The chunk is the page of 4 KiB that was asked for.
                let below = (1_usize << (12 + 9 * (3 - level))) - 1;
                found = Some((entry.output_address().0 + (region.start().0 & below), entry.flags()));
            }
            Ok(())
        };
        self.0.walk_range(&region(gpa & !0xfff, PageSize::Size4K.bytes()), &mut look).ok()?;
        let (hpa, attributes) = found?;
        Some((u64::try_from(hpa).ok()? + (gpa & 0xfff), attributes))
    }
}

impl Tables for Stage2 {
    fn new() -> Self {
        Self(RootTable::new(FromArena, 0, Regime))
    }

    fn map(&mut self, gpa: u64, hpa: u64, bytes: u64, _: PageSize) {
        self.set(gpa, hpa, bytes, ALL);
    }

    fn map_page(&mut self, gpa: u64, hpa: u64) {
        self.set(gpa, hpa, PageSize::Size4K.bytes(), ALL);
    }

    fn translate(&self, gpa: u64) -> Option<u64> {
        self.find(gpa).map(|(hpa, _)| hpa)
    }

    fn is_writable(&self, gpa: u64) -> bool {
        self.find(gpa).is_some_and(|(_, attributes)| attributes.contains(Stage2Attributes::S2AP_ACCESS_RW))
    }

    fn protect_page(&mut self, gpa: u64, hpa: u64) {
        self.set(gpa, hpa, PageSize::Size4K.bytes(), READ_EXECUTE);
    }

    fn unmap(&mut self, gpa: u64, bytes: u64) {
        self.set(gpa, 0, bytes, Stage2Attributes::empty());
    }
}
