//! Tables in memory.

use core::ops::Range;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use crate::addr::Hpa;
use crate::format::{Entry, Format};
use crate::frame::{Frames, Reach};
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

/// Whether all entries are used in the table that `entry` refers to: of 0 to 512, only 512 has bit 9.
#[inline]
pub(crate) fn is_full(entry: u64) -> bool {
    entry & (1 << (USED_SHIFT + 9)) != 0
}

/// What is to be added to an entry when `count` more entries are used in the table that it refers to.
#[inline]
pub(crate) fn used_field(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(0) << USED_SHIFT
}

/// Records in the slot that `count` more entries are used in the table that its entry refers to.
///
/// A store of bits 63:48 alone, since a locked addition waits for all stores before it: the processor sets the accessed flag,
/// below these bits, in a locked access of its own, so that neither is lost.
///
/// Intel SDM vol. 3, section 10.1.2.1, "Automatic Locking"; AMD APM vol. 2, section 5.4.2, "Notes on Accessed and Dirty
/// Bits".
#[inline(always)]
pub(crate) fn use_more(slot: &AtomicU64, count: usize) {
    let high = high_bits(slot);
    high.store(high.load(Ordering::Relaxed).wrapping_add(high_field(count)), Ordering::Relaxed);
}

/// Records that `count` fewer are, of which there are that many.
#[inline]
pub(crate) fn use_fewer(slot: &AtomicU64, count: usize) {
    let high = high_bits(slot);
    high.store(high.load(Ordering::Relaxed).wrapping_sub(high_field(count)), Ordering::Relaxed);
}

/// The count as it is in bits 63:48.
#[inline(always)]
fn high_field(count: usize) -> u16 {
    // Ten bits and four fit.
    u16::try_from(count << (USED_SHIFT - 48)).unwrap_or(0)
}

/// Bits 63:48 of the slot.
#[inline(always)]
#[expect(unsafe_code, reason = "a part of an atomic")]
fn high_bits(slot: &AtomicU64) -> &AtomicU16 {
    const { assert!(cfg!(target_endian = "little"), "bits 63:48 are the last two bytes") };
    // SAFETY: bytes 6 and 7 of the eight that the slot has.
    let high = unsafe { slot.as_ptr().cast::<u16>().add(3) };
    // SAFETY: valid for as long as the slot, and aligned since that is. No other thread accesses the slot at the same time: all
    // do so under the lock of the space. Processors walk the table too, but are no threads of the program.
    unsafe { AtomicU16::from_ptr(high) }
}

/// The entries of a table.
pub(crate) type Entries = [AtomicU64; ENTRIES];

/// The entry at `index`, of which nine bits count.
#[inline(always)]
#[expect(unsafe_code, reason = "the index is masked")]
pub(crate) fn slot(entries: &Entries, index: usize) -> &AtomicU64 {
    // SAFETY: the index is below 512 after the mask, and there are 512 entries.
    unsafe { entries.get_unchecked(index & (ENTRIES - 1)) }
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
    entries: &'s Entries,
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
    /// An entry that the processor refuses.
    Invalid(u64),
}

impl<'s> Table<'s> {
    /// The table at `hpa`.
    ///
    /// # Safety
    ///
    /// - For all of `'s`, `hpa` is a frame from the allocator of `reach` that the caller, an address space, owns.
    /// - It is a table of `level` that fulfils the invariants, or the caller writes all entries before it links the table.
    #[inline(always)]
    #[expect(unsafe_code, reason = "reaches a table through the allocator's pointer")]
    pub(crate) unsafe fn new<A: Frames>(reach: Reach<'s, A>, hpa: Hpa, level: u8) -> Self {
        // SAFETY: the caller promises that the space owns the frame.
        let entries = unsafe { Self::entries_at(reach, hpa) };
        Self { entries, hpa, level }
    }

    /// The entries of a table at `hpa`.
    ///
    /// # Safety
    ///
    /// For all of `'s`, `hpa` is a frame from the allocator of `reach` that the caller, an address space, owns.
    #[inline(always)]
    #[expect(unsafe_code, reason = "reaches a table through the allocator's pointer")]
    pub(crate) unsafe fn entries_at<A: Frames>(reach: Reach<'s, A>, hpa: Hpa) -> &'s Entries {
        // SAFETY: the caller promises that the frame is allocated.
        let pointer = unsafe { reach.pointer(hpa) };
        debug_assert!(pointer.cast::<Entries>().is_aligned(), "host paging keeps the low 12 bits");
        // SAFETY: `Frames` promises that the 4096 bytes are valid for reads and writes until the frame is freed, that is for
        // `'s`; the pointer is aligned since `hpa` is, and paging does not translate bits 11 to 0. Atomics may be shared with
        // processors, and any bytes are a value of them.
        unsafe { pointer.cast().as_ref() }
    }

    pub(crate) const fn entries(self) -> &'s Entries {
        self.entries
    }

    pub(crate) const fn hpa(self) -> Hpa {
        self.hpa
    }

    pub(crate) const fn level(self) -> u8 {
        self.level
    }

    /// The entry at `index`, which is below 512.
    #[inline(always)]
    pub(crate) fn slot(self, index: usize) -> &'s AtomicU64 {
        slot(self.entries, index)
    }

    /// The entries with these indices, which are at most 512.
    #[inline]
    pub(crate) fn slots(self, indices: Range<usize>) -> &'s [AtomicU64] {
        debug_assert!(indices.start <= indices.end && indices.end <= ENTRIES);
        self.entries.get(indices).unwrap_or_default()
    }

    /// What the entry at `index` is.
    #[inline]
    pub(crate) fn node<F: Format, A: Frames>(self, format: &F, reach: Reach<'s, A>, index: usize) -> Node<'s> {
        let entry = self.slot(index).load(Ordering::Relaxed);
        if let Some(table) = self.follow(format, reach, entry) {
            return Node::Table(table, entry);
        }
        match format.classify(entry, self.level) {
            Entry::Absent => Node::Absent,
            Entry::Invalid => Node::Invalid(entry),
            Entry::Leaf { .. } => Node::Leaf(entry),
            Entry::Table(hpa) => {
                // SAFETY: `hpa` is from an entry of this table.
                #[expect(unsafe_code, reason = "follows an entry")]
                let table = unsafe { self.below(reach, hpa) };
                Node::Table(table, entry)
            }
        }
    }

    /// The table that `entry`, just read from this table, refers to, where [`Format::follow`] shows it.
    #[inline(always)]
    pub(crate) fn follow<F: Format, A: Frames>(self, format: &F, reach: Reach<'s, A>, entry: u64) -> Option<Self> {
        if self.level < 2 {
            return None;
        }
        let hpa = format.follow(entry, self.level)?;
        // SAFETY: the format says that the entry, which is of this table, is `Entry::Table` of `hpa`.
        #[expect(unsafe_code, reason = "follows an entry")]
        let table = unsafe { self.below(reach, hpa) };
        Some(table)
    }

    /// The table that `entry`, just read from this table, refers to, if it is one.
    #[cold]
    pub(crate) fn below_entry<F: Format, A: Frames>(self, format: &F, reach: Reach<'s, A>, entry: u64) -> Option<Self> {
        let Entry::Table(hpa) = format.classify(entry, self.level) else {
            return None;
        };
        // SAFETY: the entry is of this table.
        #[expect(unsafe_code, reason = "follows an entry")]
        let table = unsafe { self.below(reach, hpa) };
        Some(table)
    }

    /// The table at `hpa`, to which an entry of this table refers.
    ///
    /// # Safety
    ///
    /// An entry of this table is [`Entry::Table`] of `hpa`.
    #[inline(always)]
    #[expect(unsafe_code, reason = "follows an entry")]
    pub(crate) unsafe fn below<A: Frames>(self, reach: Reach<'s, A>, hpa: Hpa) -> Self {
        // SAFETY: the invariants of `self`: the entry refers to a table of the next lower level that the space owns. It is
        // detached or freed under the lock of the space only, which whoever holds a `Table` holds.
        unsafe { Table::new(reach, hpa, self.level - 1) }
    }

    /// Stores `entry`, `entry + STEP`, `entry + 2 * STEP`, ... at these indices.
    #[inline]
    pub(crate) fn fill<const STEP: u64>(self, indices: Range<usize>, entry: u64) {
        store_each::<STEP>(self.slots(indices), entry, |slot, entry| slot.store(entry, Ordering::Relaxed));
    }

    /// Stores no entries at these indices: `absent`.
    #[inline]
    pub(crate) fn clear(self, indices: Range<usize>, absent: u64) {
        self.fill::<0>(indices, absent);
    }
}

/// Calls `store` with `entry`, `entry + STEP`, `entry + 2 * STEP`, ... for the slots: 32 at a time, whose distances from the
/// first are constants.
#[inline]
fn store_each<const STEP: u64>(slots: &[AtomicU64], entry: u64, store: impl Fn(&AtomicU64, u64)) {
    let (groups, rest) = slots.as_chunks::<32>();
    let mut entry = entry;
    for group in groups {
        for (slot, nth) in group.iter().zip(0..) {
            store(slot, entry.wrapping_add(STEP * nth));
        }
        entry = entry.wrapping_add(STEP * 32);
    }
    for slot in rest {
        store(slot, entry);
        entry = entry.wrapping_add(STEP);
    }
}

/// A frame that is to be a table, and to which no entry refers yet.
///
/// Invariant: if `is_fresh`, no processor has seen the frame since it was allocated; no other thread uses it, under the lock of the
/// space.
#[derive(Debug)]
pub(crate) struct Blank<'s> {
    table: Table<'s>,
    is_fresh: bool,
}

impl<'s> Blank<'s> {
    /// A frame that was a table of the same level before.
    pub(crate) const fn used(table: Table<'s>) -> Self {
        Self { table, is_fresh: false }
    }

    /// A frame just allocated.
    ///
    /// # Safety
    ///
    /// No processor has seen the frame since it was allocated, and nobody else uses it before it is linked.
    #[expect(unsafe_code, reason = "the caller's promise")]
    pub(crate) const unsafe fn fresh(table: Table<'s>) -> Self {
        Self { table, is_fresh: true }
    }

    /// Stores `entry`, `entry + STEP`, `entry + 2 * STEP`, ... at these indices.
    #[inline]
    #[expect(unsafe_code, reason = "plain stores, which the compiler may widen")]
    pub(crate) fn fill<const STEP: u64>(&self, indices: Range<usize>, entry: u64) {
        if !self.is_fresh {
            return self.table.fill::<STEP>(indices, entry);
        }
        // SAFETY: the pointer is that of an atomic of the table, and by the invariant nobody reads or writes it meanwhile.
        store_each::<STEP>(self.table.slots(indices), entry, |slot, entry| unsafe { slot.as_ptr().write(entry) });
    }

    /// Stores no entries at these indices: `absent`.
    #[inline]
    #[expect(unsafe_code, reason = "plain stores, which the compiler may widen")]
    pub(crate) fn clear(&self, indices: Range<usize>, absent: u64) {
        if !self.is_fresh || absent != 0 {
            return self.table.clear(indices, absent);
        }
        for slot in self.table.slots(indices) {
            // SAFETY: as in `fill`.
            unsafe { slot.as_ptr().write(0) };
        }
    }

    /// Where the table is.
    pub(crate) const fn hpa(&self) -> Hpa {
        self.table.hpa
    }

    /// The level that the table will have.
    pub(crate) const fn level(&self) -> u8 {
        self.table.level
    }

    /// The entry at `index`, to store one more entry before the table is linked.
    pub(crate) fn slot(&self, index: usize) -> &'s AtomicU64 {
        self.table.slot(index)
    }

    /// The table, all of whose entries are written, to be linked.
    pub(crate) const fn table(self) -> Table<'s> {
        self.table
    }
}
