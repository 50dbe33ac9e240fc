//! The tree of tables of an address space: what is done under its lock.

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{Gpa, Hpa, PageSize};
use crate::edit::{Edit, fill_pages, split_page};
use crate::format::{Entry, Format};
use crate::frame::{Frames, Reach};
use crate::leaves::{Leaves, Update};
use crate::map_error::MapError;
use crate::mapped_range::{Collector, MappedRange};
use crate::mapping::{Mapping, Translation};
use crate::operation::Operation;
use crate::plan::{Full, Plan};
use crate::span::{ENTRIES, Span, guest_width, index};
use crate::stock::{FrameRules, Needs, Stock};
use crate::table::{Table, use_more, used_field};
use crate::walk;

/// The tables of a space, for whoever has locked it.
#[derive(Debug)]
pub(crate) struct Tree<'s, F, A> {
    pub(crate) format: &'s F,
    pub(crate) reach: Reach<'s, A>,
    pub(crate) root: Table<'s>,
}

/// A change of what a range maps.
#[derive(Debug)]
pub(crate) enum Work {
    Map(Leaves),
    Unmap,
    Update(Update),
    Merge,
}

impl Work {
    /// Maps `span` to `hpa` and so on.
    pub(crate) fn map<F: Format>(format: &F, span: Span, hpa: Hpa, mapping: Mapping) -> Result<Self, MapError> {
        Ok(Self::Map(Leaves::new(format, span, hpa, mapping)?))
    }

    /// Splits the pages of `span` to `size`.
    pub(crate) fn split(span: Span, size: PageSize) -> Result<Self, MapError> {
        let (start, end) = (span.start(), span.end());
        if size == PageSize::Size1G || !start.is_aligned(size) || !end.is_aligned(size) {
            return Err(MapError::CannotSplit { start, end, size });
        }
        Ok(Self::Update(Update::Size(size)))
    }
}

impl<'s, F: Format, A: Frames> Tree<'s, F, A> {
    /// What `gpa` is mapped to, or why it is not.
    pub(crate) fn lookup(&self, gpa: Gpa) -> Result<Translation, MapError> {
        let width = guest_width(self.format.levels());
        if gpa.get() >> width != 0 {
            return Err(MapError::BeyondGuestWidth { end: gpa, width });
        }
        walk::lookup(self.format, self.reach, self.root, gpa)
    }

    /// The first range that is mapped at `gpa` or above it, or the error for an invalid entry; and where it ends.
    pub(crate) fn range_from(&self, gpa: Gpa) -> Option<(Result<MappedRange, MapError>, Gpa)> {
        let end = Gpa::new(1 << guest_width(self.format.levels()));
        let mut collector = Collector::new(self.format);
        let mut visit = |piece: Span, level, entry| collector.take(piece.start()..piece.end(), level, entry);
        let _ = walk::leaves(self.format, self.reach, self.root, Span::new(&(gpa..end)), &mut visit);
        collector.found()
    }

    /// How many tables the operation takes.
    pub(crate) fn needs(&self, gpa: &Range<Gpa>, operation: Operation) -> Result<Needs, MapError> {
        let span = self.span(gpa)?;
        let work = match operation {
            Operation::Map { hpa, mapping } => {
                self.check_host(span, hpa)?;
                Work::map(self.format, span, hpa, mapping)?
            }
            Operation::Remap { hpa } => {
                self.check_host(span, hpa)?;
                Work::Update(Update::address(span, hpa))
            }
            Operation::Unmap => Work::Unmap,
            // What is written does not matter.
            Operation::Protect | Operation::SetMemoryType => Work::Update(Update::bits([(0, 0); 3])),
            Operation::SetAttributes { attributes } => Work::Update(Update::attributes(self.format, attributes)?),
            Operation::Split { size } => Work::split(span, size)?,
            Operation::Merge => Work::Merge,
            Operation::StartDirtyLog { largest } => return self.split_needs(span, largest),
        };
        self.plan(self.root, span, &work)
    }

    /// Maps the page at `gpa` by `leaf` where `middle`, the entry of level 2 for it, is absent, and `high` is that of level 3; if
    /// there is a frame for the table.
    #[inline(always)]
    pub(crate) fn map_in_new_table(
        &self,
        stock: &mut Stock,
        (high, middle): (&AtomicU64, &AtomicU64),
        gpa: Gpa,
        leaf: u64,
    ) -> Result<(), MapError> {
        let table = stock.take_one(self.reach, self.rules())?;
        table.clear(0..ENTRIES, self.format.absent());
        table.slot(index(gpa, 1)).store(leaf, Ordering::Relaxed);
        // Release: whoever sees the entry sees the table.
        let entry = self.format.table(table.hpa()) | used_field(1);
        middle.store(entry, Ordering::Release);
        use_more(high, 1);
        Ok(())
    }

    /// Plans `work`, takes the frames that it needs, and does it; or changes nothing.
    pub(crate) fn change(&self, stock: &mut Stock, span: Span, work: &Work) -> Result<(), MapError> {
        let (table, parent) = match work {
            Work::Map(_) | Work::Update(_) => walk::descend(self.format, self.reach, self.root, span),
            // These may put by the table that covers the span.
            Work::Unmap | Work::Merge => (self.root, None),
        };
        let needs = self.plan(table, span, work)?;
        let (rules, prepared) = (self.rules(), stock.fresh());
        stock.reserve(&needs, self.reach, rules)?;
        let mut edit = Edit { format: self.format, reach: self.reach, stock: &mut *stock };
        match work {
            Work::Map(leaves) => {
                let added = if table.level() == 1 {
                    fill_pages(table, span, leaves);
                    span.entries(1)
                } else {
                    edit.map(table, span, leaves)
                };
                if let Some((parent, index)) = parent {
                    use_more(parent.slot(index), added);
                }
            }
            Work::Unmap => {
                edit.unmap(table, span);
                // A table that was detached at the start of the range may have served for a split at its end.
                stock.free_fresh(prepared, self.reach);
            }
            Work::Update(update) => edit.update(table, span, update),
            Work::Merge => edit.merge(table, span),
        }
        Ok(())
    }

    /// Makes the update where `span` is a part, but not all, of a page of 2 MiB, and says whether it is. That takes one table, and can
    /// fail for nothing else.
    #[inline]
    pub(crate) fn update_part(&self, stock: &mut Stock, span: Span, update: &Update) -> Result<bool, MapError> {
        if span.is_whole(2) || span.entries(2) != 1 {
            return Ok(false);
        }
        let Some(table) = walk::middle(self.format, self.reach, self.root, span.start()) else { return Ok(false) };
        let entry = table.slot(span.index(2)).load(Ordering::Relaxed);
        if !matches!(self.format.classify(entry, 2), Entry::Leaf { .. }) {
            return Ok(false);
        }
        let next = stock.take_one(self.reach, self.rules())?;
        split_page(self.format, table, entry, next, span, update);
        Ok(true)
    }

    /// How many tables `work` takes in `span`, which is inside what `table` covers, or why it cannot be done.
    fn plan(&self, table: Table<'s>, span: Span, work: &Work) -> Result<Needs, MapError> {
        let mut plan = Plan::new(self.format, self.reach);
        match work {
            Work::Map(leaves) => plan.map(table, span, leaves.level())?,
            Work::Unmap => plan.change(table, span, PageSize::Size1G.level(), Full::Trusted)?,
            Work::Update(update) => plan.change(table, span, update.level(), Full::Read)?,
            Work::Merge => plan.valid(table, span)?,
        }
        Ok(plan.needs)
    }

    /// The range, if tables can translate it.
    pub(crate) fn span(&self, gpa: &Range<Gpa>) -> Result<Span, MapError> {
        for gpa in [gpa.start, gpa.end] {
            if !gpa.is_aligned(PageSize::Size4K) {
                return Err(MapError::MisalignedGuest { gpa });
            }
        }
        if gpa.start >= gpa.end {
            return Err(MapError::EmptyRange { start: gpa.start, end: gpa.end });
        }
        let width = guest_width(self.format.levels());
        if gpa.end.get() > 1 << width {
            return Err(MapError::BeyondGuestWidth { end: gpa.end, width });
        }
        Ok(Span::new(gpa))
    }

    /// Whether the pages of `span` can be at `hpa`.
    pub(crate) fn check_host(&self, span: Span, hpa: Hpa) -> Result<(), MapError> {
        if !hpa.is_aligned(PageSize::Size4K) {
            return Err(MapError::MisalignedHost { hpa });
        }
        let (bytes, width) = (span.bytes(), self.format.address_width());
        if hpa.checked_add(bytes).is_none_or(|end| end.get() > 1 << width) {
            return Err(MapError::BeyondHostWidth { hpa, bytes, width });
        }
        Ok(())
    }

    /// What frames must be like.
    #[inline]
    pub(crate) fn rules(&self) -> FrameRules {
        FrameRules::new(self.format.address_width(), Some(self.root.hpa()))
    }
}
