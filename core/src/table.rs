//! Tables in memory.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::Hpa;
use crate::format::{Entry, Format};
use crate::frame::Frames;
use crate::span::ENTRIES;

/// In an entry that refers to a table: where the count of the entries that are used in that table starts. Hardware ignores
/// bits 61 to 52 there (contract of [`Format`]), and ten bits hold 0 to 512.
const USED_SHIFT: u32 = 52;

/// How many entries are used in the table that `entry` refers to.
#[inline]
pub(crate) fn used(entry: u64) -> usize {
    // Ten bits fit in any `usize`.
    usize::try_from((entry >> USED_SHIFT) & 0x3ff).unwrap_or(0)
}

/// What is to be added to an entry when `count` more entries are used in the table that it refers to.
#[inline]
pub(crate) fn used_field(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(0) << USED_SHIFT
}

/// A table of an address space.
///
/// Invariants: the frame at `hpa` is owned by the space and `entries` are its content; `level` is the level at which
/// processors read it; each entry that is [`Entry::Table`] at this level refers to a frame that is owned by the same space
/// as a table of `level - 1`, and that no other entry of a table of the space refers to. Code in this crate that stores
/// entries keeps the last one up: it takes the address of a table from a `Table`.
///
/// Entries are atomics: processors read them while they walk, and set accessed and dirty flags, at any time. All other
/// stores are made under the lock of the space. Processors take an aligned 64-bit entry as a whole, and x86 makes stores
/// visible in program order; the orderings keep the compiler from moving them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'s> {
    entries: &'s [AtomicU64; ENTRIES],
    hpa: Hpa,
    level: u8,
}

/// What an entry of a [`Table`] is.
#[derive(Debug)]
pub(crate) enum Node<'s> {
    Absent,
    /// A page, with the entry.
    Leaf(u64),
    /// A table, with the entry.
    Table(Table<'s>, u64),
}

impl<'s> Table<'s> {
    /// The table at `hpa`.
    ///
    /// # Safety
    ///
    /// - For all of `'s`, `hpa` is a frame from `frames` that the caller, an address space, owns.
    /// - It is a table of `level` that fulfils the invariants, or the caller writes all entries before it links the table.
    #[inline]
    #[expect(unsafe_code, reason = "reaches a table through the allocator's pointer")]
    pub(crate) unsafe fn new<A: Frames>(frames: &'s A, hpa: Hpa, level: u8) -> Self {
        // SAFETY: `Frames` promises that `pointer` is `Some` for a frame that is allocated, which `hpa` is.
        let pointer = unsafe { frames.pointer(hpa).unwrap_unchecked() };
        debug_assert!(pointer.cast::<[AtomicU64; ENTRIES]>().is_aligned(), "host paging keeps the low 12 bits");
        // SAFETY: `Frames` promises that the 4096 bytes are valid for reads and writes until the frame is freed, that is for
        // `'s`; the pointer is aligned since `hpa` is, and paging does not translate bits 11 to 0. Atomics may be shared with
        // processors, and any bytes are a value of them.
        let entries = unsafe { pointer.cast().as_ref() };
        Self { entries, hpa, level }
    }

    pub(crate) const fn hpa(self) -> Hpa {
        self.hpa
    }

    pub(crate) const fn level(self) -> u8 {
        self.level
    }

    /// The entry at `index`, which is below 512.
    #[inline]
    #[expect(unsafe_code, reason = "the index is masked")]
    pub(crate) fn slot(self, index: usize) -> &'s AtomicU64 {
        // SAFETY: the index is below 512 after the mask, and there are 512 entries.
        unsafe { self.entries.get_unchecked(index & (ENTRIES - 1)) }
    }

    /// The entries with these indices, which are at most 512.
    #[inline]
    pub(crate) fn slots(self, indices: Range<usize>) -> &'s [AtomicU64] {
        debug_assert!(indices.start <= indices.end && indices.end <= ENTRIES);
        self.entries.get(indices).unwrap_or_default()
    }

    /// What the entry at `index` is.
    #[inline]
    pub(crate) fn node<F: Format, A: Frames>(self, format: &F, frames: &'s A, index: usize) -> Node<'s> {
        let entry = self.slot(index).load(Ordering::Relaxed);
        match format.classify(entry, self.level) {
            Entry::Absent => Node::Absent,
            Entry::Leaf { .. } => Node::Leaf(entry),
            Entry::Table(hpa) => {
                // SAFETY: `hpa` is from an entry of this table.
                #[expect(unsafe_code, reason = "follows an entry")]
                let table = unsafe { self.below(frames, hpa) };
                Node::Table(table, entry)
            }
        }
    }

    /// The table at `hpa`, to which an entry of this table refers.
    ///
    /// # Safety
    ///
    /// An entry of this table is [`Entry::Table`] of `hpa`.
    #[inline]
    #[expect(unsafe_code, reason = "follows an entry")]
    pub(crate) unsafe fn below<A: Frames>(self, frames: &'s A, hpa: Hpa) -> Self {
        // SAFETY: the invariants of `self`: the entry refers to a table of the next lower level that the space owns. It is
        // detached or freed under the lock of the space only, which whoever holds a `Table` holds.
        unsafe { Table::new(frames, hpa, self.level - 1) }
    }

    /// Stores `entry`, `entry + step`, `entry + 2 * step`, ... at these indices.
    #[inline]
    pub(crate) fn fill(self, indices: Range<usize>, entry: u64, step: u64) {
        let mut entry = entry;
        for slot in self.slots(indices) {
            slot.store(entry, Ordering::Relaxed);
            entry = entry.wrapping_add(step);
        }
    }
}
