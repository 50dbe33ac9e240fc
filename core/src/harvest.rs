//! The accessed and dirty flags that processors set in the tables.

use core::fmt;
use core::ops::{BitOr, Range};
use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{Gpa, PageSize};
use crate::dirty_log::LogMethod;
use crate::format::{Entry, Format, Unsupported};
use crate::frame::{Frames, Reach};
use crate::invalidation::Invalidation;
use crate::map_error::MapError;
use crate::space::AddressSpace;
use crate::space_edit::SpaceEdit;
use crate::span::{Span, index};
use crate::table::{Node, Table};
use crate::tree::Tree;

/// A set of the flags that a processor sets in the entry of a page.
///
/// ```
/// use x86_virt_core::PageFlags;
///
/// let both = PageFlags::ACCESSED | PageFlags::DIRTY;
/// assert!(both.contains(PageFlags::DIRTY));
/// assert_eq!(both.to_string(), "AD");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub struct PageFlags(u8);

impl PageFlags {
    /// The page was used.
    pub const ACCESSED: Self = Self(1);
    /// The page was written.
    pub const DIRTY: Self = Self(2);

    /// Whether all flags in `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The flags that are set in `entry`.
    fn of<F: Format>(format: &F, entry: u64) -> Self {
        let accessed = format.flags_mask() & !format.dirty_mask();
        let flag = |mask, flag: Self| if entry & mask == 0 { 0 } else { flag.0 };
        Self(flag(accessed, Self::ACCESSED) | flag(format.dirty_mask(), Self::DIRTY))
    }

    /// The bits in an entry.
    fn mask<F: Format>(self, format: &F) -> u64 {
        let accessed = if self.contains(Self::ACCESSED) { format.flags_mask() & !format.dirty_mask() } else { 0 };
        accessed | if self.contains(Self::DIRTY) { format.dirty_mask() } else { 0 }
    }
}

impl BitOr for PageFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl fmt::Display for PageFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (flag, letter) in [(Self::ACCESSED, "A"), (Self::DIRTY, "D")] {
            f.write_str(if self.contains(flag) { letter } else { "-" })?;
        }
        Ok(())
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for PageFlags {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        u8::arbitrary(bytes).map(|bits| Self(bits & 3))
    }
}

/// A page that a guest has used.
///
/// From [`AddressSpace::harvest`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct UsedPage {
    /// Where the page starts.
    pub gpa: Gpa,
    /// Its size.
    pub size: PageSize,
    /// Which of the flags that were asked for were set.
    pub flags: PageFlags,
}

impl<F: Format, A: Frames> AddressSpace<'_, F, A> {
    /// Clears the accessed and dirty flags, or those of them that are in `flags`, of the pages in the range, and calls `visit` for
    /// each page in which one of them was set, in ascending order. What is not mapped is left out; a page that is partly in the
    /// range counts.
    ///
    /// The flags of ACCESSED alone tell which memory a guest works with. To know which pages were written, from a processor
    /// without flags too, keep a [dirty log](Self::start_dirty_log); if there is one, it takes note of the dirty flags that are
    /// cleared here.
    ///
    /// A processor that has cached an entry with a flag set does not set it again. So until a vCPU has invalidated, what it
    /// uses may be missing from the next harvest: see [`Invalidation`].
    ///
    /// The space is locked meanwhile: `visit` cannot use it.
    ///
    /// # Errors
    ///
    /// [`MapError`] if the tables do not translate the range, or [`Unsupported::Flags`] if the processor sets no flags.
    ///
    /// Intel SDM vol. 3, section 31.3.5, "Accessed and Dirty Flags for EPT"; AMD APM vol. 2, section 15.25.5, "Nested Table
    /// Walk".
    ///
    /// ```
    /// use x86_virt_core::{AddressSpace, Format, Frames, Gpa, MapError, PageFlags};
    ///
    /// /// How many bytes of the first GiB the guest has used since this was last asked.
    /// fn working_set<F: Format, A: Frames>(space: &AddressSpace<'_, F, A>) -> Result<u64, MapError> {
    ///     let mut bytes = 0;
    ///     let range = Gpa::new(0)..Gpa::new(1 << 30);
    ///     // An estimate: no vCPU is made to leave the guest for it.
    ///     space.harvest(range, PageFlags::ACCESSED, |page| bytes += page.size.bytes())?.at_next_entry();
    ///     Ok(bytes)
    /// }
    /// ```
    pub fn harvest(
        &self,
        gpa: Range<Gpa>,
        flags: PageFlags,
        visit: impl FnMut(UsedPage),
    ) -> Result<Invalidation, MapError> {
        self.edit_once().harvest(gpa, flags, visit)
    }
}

impl<F: Format, A: Frames> SpaceEdit<'_, '_, F, A> {
    /// See [`AddressSpace::harvest`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn harvest(
        &mut self,
        gpa: Range<Gpa>,
        flags: PageFlags,
        mut visit: impl FnMut(UsedPage),
    ) -> Result<Invalidation, MapError> {
        let (space, tree) = (self.space(), self.tree());
        let span = tree.span(&gpa)?;
        if tree.format.log_method() == LogMethod::WriteProtection {
            return Err(Unsupported::Flags.into());
        }
        let (format, mask) = (tree.format, flags.mask(tree.format));
        let mut is_changed = false;
        tree.leaves_with(span, mask, &mut |piece, size, slot| {
            let flags = PageFlags::of(format, clear(slot, mask) & mask);
            let start = piece.start().align_down(size);
            if flags.contains(PageFlags::DIRTY) {
                space.mark_dirty(start..Gpa::new(start.get() + size.bytes()));
            }
            is_changed = true;
            visit(UsedPage { gpa: start, size, flags });
        });
        Ok(space.invalidation_if(is_changed))
    }
}

/// Clears bits of an entry, and returns what it was.
///
/// One atomic operation: the processor may set flags meanwhile. It is a barrier too, so that what is read of the page after it
/// was written before, or the flag is set again.
pub(crate) fn clear(slot: &AtomicU64, mask: u64) -> u64 {
    slot.fetch_and(!mask, Ordering::AcqRel)
}

impl<'s, F: Format, A: Frames> Tree<'s, F, A> {
    /// Calls `visit` for each page that translates a part of `span`, and in whose entry a bit of `mask` is set, in ascending
    /// order: with that part, the size and the entry.
    pub(crate) fn leaves_with(&self, span: Span, mask: u64, visit: &mut impl FnMut(Span, PageSize, &AtomicU64)) {
        leaves_with(self.format, self.reach, self.root, span, mask, visit);
    }

    /// The entry of the page that translates `gpa`, if it is mapped, and the size of the page.
    pub(crate) fn leaf_of(&self, gpa: Gpa) -> Option<(&'s AtomicU64, PageSize)> {
        let mut table = self.root;
        loop {
            let at = index(gpa, table.level());
            match table.node(self.format, self.reach, at) {
                Node::Table(next, _) => table = next,
                Node::Leaf(_) => return Some((table.slot(at), PageSize::of_level(table.level())?)),
                Node::Absent | Node::Invalid(_) => return None,
            }
        }
    }
}

fn leaves_with<F: Format, A: Frames>(
    format: &F,
    reach: Reach<'_, A>,
    table: Table<'_>,
    span: Span,
    mask: u64,
    visit: &mut impl FnMut(Span, PageSize, &AtomicU64),
) {
    let level = table.level();
    if level == 1 {
        let first = span.index(1);
        for (piece, slot) in span.pieces(1).zip(table.slots(first..first + span.entries(1))) {
            let entry = slot.load(Ordering::Relaxed);
            if entry & mask != 0 && matches!(format.classify(entry, 1), Entry::Leaf { .. }) {
                visit(piece, PageSize::Size4K, slot);
            }
        }
        return;
    }
    for piece in span.pieces(level) {
        let at = piece.index(level);
        match (table.node(format, reach, at), PageSize::of_level(level)) {
            (Node::Table(next, _), _) => leaves_with(format, reach, next, piece, mask, visit),
            (Node::Leaf(entry), Some(size)) if entry & mask != 0 => visit(piece, size, table.slot(at)),
            _ => {}
        }
    }
}
