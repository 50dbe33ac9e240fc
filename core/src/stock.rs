//! The frames of an address space that are in no tree, and the count of those that are.

use core::sync::atomic::Ordering;

use crate::addr::{Hpa, PageSize};
use crate::frame::{Frames, OutOfFrames};
use crate::table::Table;

/// Levels of tables that can be spare: all but the root's, which is 5 at most.
const SPARE_LEVELS: usize = 4;

/// How many tables of each level an operation will take; index 0 is level 1.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Needs([usize; SPARE_LEVELS]);

impl Needs {
    pub(crate) fn add(&mut self, level: u8, count: usize) {
        if let Some(need) = self.0.get_mut(usize::from(level) - 1) {
            *need += count;
        }
    }

    fn is_none(&self) -> bool {
        self.0 == [0; SPARE_LEVELS]
    }
}

/// Frames that are linked through their own first entries.
///
/// A link is a multiple of 4096, so a processor that still walks the frame takes it for an entry that maps nothing
/// (contract of [`Format`](crate::Format)).
#[derive(Clone, Copy, Default, Debug)]
struct List {
    /// Meaningless while `count` is 0.
    head: Hpa,
    count: usize,
}

impl List {
    #[inline]
    fn push(&mut self, table: Table<'_>) {
        table.slot(0).store(self.head.get(), Ordering::Relaxed);
        self.head = table.hpa();
        self.count += 1;
    }

    /// Takes a frame, to be a table of `level`.
    ///
    /// # Safety
    ///
    /// The list is of frames from `frames` that the caller, an address space, owns for `'s`.
    #[expect(unsafe_code, reason = "reaches frames through the allocator's pointer")]
    unsafe fn pop<'s, A: Frames>(&mut self, frames: &'s A, level: u8) -> Option<Table<'s>> {
        self.count = self.count.checked_sub(1)?;
        // SAFETY: the caller promises that the frame is owned. `Stock` hands it out to be written before it is linked, or frees it.
        let table = unsafe { Table::new(frames, self.head, level) };
        // Bits 11 to 0 are no part of the link: a processor may have been about to set accessed and dirty flags there.
        self.head = Hpa::new(table.slot(0).load(Ordering::Relaxed)).align_down(PageSize::Size4K);
        Some(table)
    }
}

/// The spare frames of an address space.
///
/// A processor in the guest may hold, in its paging-structure caches, a pointer to a table that was detached, and go on
/// walking it as a table of its level. So a detached frame is used again only as a table of the *same level* of the same
/// space: whatever such a processor finds there is then an entry of that level that the space wrote, and leads to memory
/// that the space maps. At another level it would not be so: an entry that refers to a table has the form of a page one level
/// down, and would lay the tables open to the guest.
///
/// Invariants: the frames of all lists are owned by the space, from its allocator, and in no tree. Those of `spare` were
/// tables of their level; those of `fresh` were never seen by a processor, and there are none between two changes.
///
/// Intel SDM vol. 3, section 31.4.1, "Information That May Be Cached"; AMD APM vol. 2, section 5.5, "Translation-Lookaside
/// Buffer (TLB)".
#[derive(Default, Debug)]
pub(crate) struct Stock {
    spare: [List; SPARE_LEVELS],
    fresh: List,
    tables: usize,
}

impl Stock {
    /// A stock for a space that has a root, and nothing else.
    pub(crate) fn with_root() -> Self {
        Self { tables: 1, ..Self::default() }
    }

    /// How many tables are in the tree, the root included.
    pub(crate) const fn tables(&self) -> usize {
        self.tables
    }

    /// How many frames are in no tree.
    pub(crate) fn spare(&self) -> usize {
        self.spare.iter().map(|list| list.count).sum::<usize>() + self.fresh.count
    }

    /// Makes sure that `needs` can be taken, or changes nothing.
    #[expect(unsafe_code, reason = "frees and reaches frames")]
    pub(crate) fn reserve<A: Frames>(&mut self, needs: &Needs, frames: &A, width: u8) -> Result<(), OutOfFrames> {
        if needs.is_none() {
            return Ok(());
        }
        let missing = needs.0.iter().zip(&self.spare).map(|(need, list)| need.saturating_sub(list.count)).sum();
        while self.fresh.count < missing {
            let Some(hpa) = allocate(frames, width) else {
                self.free_fresh(frames);
                return Err(OutOfFrames { count: 1 });
            };
            // SAFETY: the frame is ours from here on, and in no tree.
            self.fresh.push(unsafe { Table::new(frames, hpa, 1) });
        }
        Ok(())
    }

    /// A frame for a table of `level`, with any content, that was [reserved](Self::reserve). The caller links it.
    #[expect(unsafe_code, reason = "reaches frames")]
    pub(crate) fn take<'s, A: Frames>(&mut self, frames: &'s A, level: u8) -> Table<'s> {
        let table = self.spare.get_mut(usize::from(level) - 1).and_then(|list| {
            // SAFETY: the invariants of `Stock`; `'s` is a borrow of the allocator in the space, which frees frames only in
            // `free_spare` and when it is dropped.
            unsafe { list.pop(frames, level) }
        });
        let table = table.or_else(|| {
            // SAFETY: as above.
            unsafe { self.fresh.pop(frames, level) }
        });
        self.tables += 1;
        table.expect("as many frames were reserved as the plan counted")
    }

    /// Puts by a table that was in the tree and that no entry refers to any more.
    #[inline]
    pub(crate) fn put_by(&mut self, table: Table<'_>) {
        self.tables -= 1;
        if let Some(list) = self.spare.get_mut(usize::from(table.level()) - 1) {
            list.push(table);
        }
    }

    /// Frees all frames that are in no tree, and says how many those were.
    ///
    /// # Safety
    ///
    /// No processor walks tables that were detached.
    #[expect(unsafe_code, reason = "frees frames")]
    pub(crate) unsafe fn free_spare<A: Frames>(&mut self, frames: &A) -> usize {
        let mut freed = self.free_fresh(frames);
        for list in &mut self.spare {
            // SAFETY: the invariants of `Stock`.
            while let Some(table) = unsafe { list.pop(frames, 1) } {
                // SAFETY: allocated by `reserve`, owned since, in no list any more, and walked by nobody (contract).
                unsafe { frames.free(table.hpa(), 1) };
                freed += 1;
            }
        }
        freed
    }

    /// Frees what was reserved and not taken.
    #[expect(unsafe_code, reason = "frees frames")]
    pub(crate) fn free_fresh<A: Frames>(&mut self, frames: &A) -> usize {
        let freed = self.fresh.count;
        // SAFETY: the invariants of `Stock`.
        while let Some(table) = unsafe { self.fresh.pop(frames, 1) } {
            // SAFETY: allocated by `reserve`, owned since, in no list any more, and never seen by a processor.
            unsafe { frames.free(table.hpa(), 1) };
        }
        freed
    }
}

/// A frame whose address has at most `width` bits: more do not fit in an entry.
#[expect(unsafe_code, reason = "gives back a frame that cannot be used")]
pub(crate) fn allocate<A: Frames>(frames: &A, width: u8) -> Option<Hpa> {
    let hpa = frames.allocate(1)?;
    if hpa.get().checked_shr(u32::from(width)).unwrap_or(0) == 0 {
        return Some(hpa);
    }
    // SAFETY: just allocated, and used by nobody.
    unsafe { frames.free(hpa, 1) };
    None
}
