//! The usual cases, in few instructions: one page of 4 KiB, below tables that are there.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::Format;
use crate::frame::{Frames, Reach};
use crate::mapping::{Mapping, Translation};
use crate::span::{index, shift};
use crate::table::{Table, slot, use_more};
use crate::tree::Tree;
use crate::walk::in_page;

/// A way into the tables of a space, past those above level 3, for the first 512 GiB: most guests have all of their memory there.
#[derive(Debug)]
pub(crate) struct Shortcut<'s, F, A> {
    format: F,
    reach: Reach<'s, A>,
    /// Bits that the host-physical address of a page does not have: those below 12, and those from the width on.
    not_host: u64,
    /// The entries of the table of level 3 for the first addresses, which fulfils the invariants of [`Table`]; none if there is no such
    /// table. With a length that the compiler does not know, one comparison says that an address is below 512 GiB and that there is one.
    low: &'s [AtomicU64],
}

impl<F: Copy, A> Clone for Shortcut<'_, F, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Copy, A> Copy for Shortcut<'_, F, A> {}

impl<'s, F: Format, A: Frames> Shortcut<'s, F, A> {
    /// Nothing but a place for a shortcut.
    #[inline(always)]
    pub(crate) fn none(tree: &Tree<'s, F, A>) -> Self {
        Self::new(tree, &[])
    }

    /// By what [`find`](Self::find) has found in the same tree, while no table is put by.
    #[inline(always)]
    pub(crate) fn new(tree: &Tree<'s, F, A>, low: &'s [AtomicU64]) -> Self {
        let not_host = !((1 << tree.format.address_width()) - 1) | (PageSize::Size4K.bytes() - 1);
        Self { format: *tree.format, reach: tree.reach, not_host, low }
    }

    /// The table of level 3 for the first addresses.
    #[inline(always)]
    pub(crate) fn find(tree: &Tree<'s, F, A>) -> &'s [AtomicU64] {
        let mut table = tree.root;
        while table.level() > 3 {
            let entry = table.slot(0).load(Ordering::Relaxed);
            let Some(next) = table.follow(tree.format, tree.reach, entry) else {
                return &[];
            };
            table = next;
        }
        table.entries()
    }

    /// What this goes by.
    pub(crate) const fn low(&self) -> &'s [AtomicU64] {
        self.low
    }

    /// Goes by what [`find`](Self::find) has found in the same tree, from now on and while no table is put by.
    #[inline(always)]
    pub(crate) const fn set(&mut self, found: &'s [AtomicU64]) {
        self.low = found;
    }

    /// Whether there is no such table.
    #[inline(always)]
    pub(crate) const fn is_none(&self) -> bool {
        self.low.is_empty()
    }

    /// Maps one page, if the tables are there and nothing is in the way; or says that it did not.
    #[inline(always)]
    pub(crate) fn map(&self, gpa: Gpa, hpa: Hpa, mapping: Mapping) -> bool {
        let Some(leaf) = self.leaf(hpa, mapping) else { return false };
        let page = page_number(gpa);
        let Some(middle) = self.high(page >> 18).and_then(|high| self.below(high, 3, page >> 9)) else { return false };
        let Some(slot) = self.below(middle, 2, page) else { return false };
        if slot.load(Ordering::Relaxed) != self.format.absent() {
            return false;
        }
        slot.store(leaf, Ordering::Relaxed);
        use_more(middle, 1);
        true
    }

    /// The entry of level 1 for the page at `gpa`, and that of level 2 above it, if the tables are there.
    #[inline(always)]
    pub(crate) fn entries(&self, gpa: Gpa) -> Option<(&'s AtomicU64, &'s AtomicU64)> {
        let page = page_number(gpa);
        let high = self.high(page >> 18)?;
        let middle = self.below(high, 3, page >> 9)?;
        let slot = self.below(middle, 2, page)?;
        Some((slot, middle))
    }

    /// The leaf for one page, and the entries of levels 3 and 2 above it, if all that is missing is a table of level 1.
    #[inline(always)]
    pub(crate) fn missing_table(
        &self,
        gpa: Gpa,
        hpa: Hpa,
        mapping: Mapping,
    ) -> Option<(u64, &'s AtomicU64, &'s AtomicU64)> {
        let page = page_number(gpa);
        let leaf = self.leaf(hpa, mapping)?;
        let high = self.high(page >> 18)?;
        let middle = self.below(high, 3, page >> 9)?;
        (middle.load(Ordering::Relaxed) == self.format.absent()).then_some((leaf, high, middle))
    }

    /// What `gpa` is mapped to, if that is a page of 4 KiB as most are.
    #[inline(always)]
    pub(crate) fn translate(&self, gpa: Gpa) -> Option<Translation> {
        let high = self.high(usize::try_from(gpa.get() >> shift(3)).unwrap_or(usize::MAX))?;
        let middle = self.below(high, 3, index(gpa, 2))?;
        let slot = self.below(middle, 2, index(gpa, 1))?;
        let (hpa, access, memory_type) = self.format.page(slot.load(Ordering::Relaxed))?;
        Some(in_page(gpa, hpa, PageSize::Size4K, access, memory_type))
    }

    /// The leaf for one page of 4 KiB, if it can be one.
    #[inline(always)]
    fn leaf(&self, hpa: Hpa, mapping: Mapping) -> Option<u64> {
        let leaf = self.leaf_of(mapping)?;
        self.with_address(leaf, hpa)
    }

    /// The leaf of a page of 4 KiB at address 0, if `mapping` can have one.
    #[inline(always)]
    pub(crate) fn leaf_of(&self, mapping: Mapping) -> Option<u64> {
        if mapping.smallest != PageSize::Size4K {
            return None;
        }
        let leaf = self.format.leaf(Hpa::new(0), PageSize::Size4K, mapping.access, mapping.memory_type).ok()?;
        let attributes = self.format.attribute_bits(mapping.attributes).ok()?;
        Some(leaf | attributes)
    }

    /// The leaf with the address `hpa`, if a page can be there.
    #[inline(always)]
    pub(crate) fn with_address(&self, leaf: u64, hpa: Hpa) -> Option<u64> {
        (hpa.get() & self.not_host == 0).then_some(leaf | hpa.get())
    }

    /// The entry of level 3 at `index`, if that is below 512 and there is one.
    #[inline(always)]
    fn high(&self, index: usize) -> Option<&'s AtomicU64> {
        self.low.get(index)
    }

    /// The entry one level below the slot, which is of `level`, at `index`, of which nine bits count; if few bits of what is in the
    /// slot show a table.
    #[inline(always)]
    #[expect(unsafe_code, reason = "follows an entry")]
    fn below(&self, at: &'s AtomicU64, level: u8, index: usize) -> Option<&'s AtomicU64> {
        let hpa = self.format.follow(at.load(Ordering::Relaxed), level)?;
        // SAFETY: the slot is of a table that fulfils the invariants of `Table`, so that the entry, which is a table by the
        // contract of `Format`, refers to a frame that the space owns, and that is freed only when nobody borrows it; the borrow
        // of the allocator is one of the space.
        let entries = unsafe { Table::<'s>::entries_at(self.reach, hpa) };
        Some(slot(entries, index))
    }
}

/// The number of the page of 4 KiB at `gpa`; beyond all numbers, and so beyond the first 512 GiB, if none starts there.
#[inline(always)]
fn page_number(gpa: Gpa) -> usize {
    // The low bits of what is no start of a page are high ones now.
    let page = gpa.get().rotate_right(PageSize::Size4K.shift());
    usize::try_from(page).unwrap_or(usize::MAX)
}
