//! The usual cases, in few instructions: one page of 4 KiB, below tables that are there.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::Format;
use crate::frame::{Frames, Reach};
use crate::mapping::{Mapping, Translation};
use crate::span::{ENTRIES, index, shift};
use crate::table::{Entries, Table, slot, used_field};
use crate::tree::Tree;
use crate::walk::in_page;

/// Stands for a table in which nothing is.
static EMPTY: Entries = [const { AtomicU64::new(0) }; ENTRIES];

/// A way into the tables of a space, past those above level 3, for the first 512 GiB: most guests have all of their memory there.
#[derive(Debug)]
pub(crate) struct Shortcut<'s, F, A> {
    format: F,
    reach: Reach<'s, A>,
    /// Bits that the host-physical address of a page does not have: those below 12, and those from the width on.
    not_host: u64,
    /// The table of level 3 for the first addresses, which fulfils the invariants of [`Table`]; [`EMPTY`] if there is none.
    low: &'s Entries,
}

/// What came of mapping a page by the shortcut.
#[derive(Debug)]
pub(crate) enum Quick<'s> {
    Mapped,
    /// There is no table of level 1 for the leaf; the entries of levels 3 and 2 are there.
    NoTable {
        leaf: u64,
        high: &'s AtomicU64,
        middle: &'s AtomicU64,
    },
    /// Something else is not as usual.
    No,
}

/// An entry that shows no table, or no page, and its level; 0 if there was no entry.
pub(crate) type Stop = (u64, u8);

impl<'s, F: Format, A: Frames> Shortcut<'s, F, A> {
    /// Nothing but a place for a shortcut.
    #[inline(always)]
    pub(crate) fn new(tree: &Tree<'s, F, A>) -> Self {
        let not_host = !((1 << tree.format.address_width()) - 1) | (PageSize::Size4K.bytes() - 1);
        Self { format: tree.format, reach: tree.reach, not_host, low: &EMPTY }
    }

    /// The table of level 3 for the first addresses.
    #[inline(always)]
    pub(crate) fn find(tree: &Tree<'s, F, A>) -> &'s Entries {
        let mut table = tree.root;
        while table.level() > 3 {
            let entry = table.slot(0).load(Ordering::Relaxed);
            let Some(next) = table.follow(&tree.format, tree.reach, entry) else {
                return &EMPTY;
            };
            table = next;
        }
        table.entries()
    }

    /// Goes by what [`find`](Self::find) has found in the same tree, from now on and while no table is put by.
    #[inline(always)]
    pub(crate) const fn set(&mut self, found: &'s Entries) {
        self.low = found;
    }

    /// Whether there is no such table.
    #[inline(always)]
    pub(crate) fn is_none(&self) -> bool {
        core::ptr::eq(self.low, &raw const EMPTY)
    }

    /// Maps one page where the tables are there and nothing is in the way.
    #[inline(always)]
    pub(crate) fn map(&self, gpa: Gpa, hpa: Hpa, mapping: Mapping) -> Quick<'s> {
        if hpa.get() & self.not_host != 0 || !gpa.is_aligned(PageSize::Size4K) || mapping.smallest != PageSize::Size4K {
            return Quick::No;
        }
        let Ok(leaf) = self.format.leaf(Hpa::new(0), PageSize::Size4K, mapping.access, mapping.memory_type) else {
            return Quick::No;
        };
        let leaf = leaf | hpa.get();
        let Ok((high, middle)) = self.middle(gpa) else {
            return Quick::No;
        };
        match self.below(middle, 2, gpa) {
            Ok(slot) => {
                if slot.load(Ordering::Relaxed) != 0 {
                    return Quick::No;
                }
                slot.store(leaf, Ordering::Relaxed);
                // An atomic addition: the processor may set the accessed flag meanwhile.
                middle.fetch_add(used_field(1), Ordering::Relaxed);
                Quick::Mapped
            }
            Err((0, _)) => Quick::NoTable { leaf, high, middle },
            Err(_) => Quick::No,
        }
    }

    /// What `gpa` is mapped to, or the last entry on the way.
    #[inline(always)]
    pub(crate) fn translate(&self, gpa: Gpa) -> Result<Translation, Stop> {
        let slot = self.lowest(gpa)?;
        let entry = slot.load(Ordering::Relaxed);
        let (hpa, access, memory_type) = self.format.page(entry).ok_or((entry, 1))?;
        Ok(in_page(gpa, hpa, PageSize::Size4K, access, memory_type))
    }

    /// The entry of level 1 for `gpa`, or the last one on the way.
    #[inline(always)]
    fn lowest(&self, gpa: Gpa) -> Result<&'s AtomicU64, Stop> {
        let (_, middle) = self.middle(gpa)?;
        self.below(middle, 2, gpa)
    }

    /// The entries of levels 3 and 2 for `gpa`, or the last one on the way.
    #[inline(always)]
    fn middle(&self, gpa: Gpa) -> Result<(&'s AtomicU64, &'s AtomicU64), Stop> {
        let at = usize::try_from(gpa.get() >> shift(3)).unwrap_or(usize::MAX);
        let high = self.low.get(at).ok_or((0, 3))?;
        Ok((high, self.below(high, 3, gpa)?))
    }

    /// The entry for `gpa` one level below `slot`, which is of `level`; or what is in the slot, if few bits of it show no table.
    #[inline(always)]
    #[expect(unsafe_code, reason = "follows an entry")]
    fn below(&self, at: &'s AtomicU64, level: u8, gpa: Gpa) -> Result<&'s AtomicU64, Stop> {
        let entry = at.load(Ordering::Relaxed);
        let hpa = self.format.follow(entry, level).ok_or((entry, level))?;
        // SAFETY: the slot is of a table that fulfils the invariants of `Table`, so that the entry, which is a table by the
        // contract of `Format`, refers to a frame that the space owns, and that is freed only when nobody borrows it; the borrow
        // of the allocator is one of the space. `EMPTY` has no such entry.
        let entries = unsafe { Table::<'s>::entries_at(self.reach, hpa) };
        Ok(slot(entries, index(gpa, level - 1)))
    }
}
