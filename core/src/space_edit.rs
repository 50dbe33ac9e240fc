//! An address space that is locked, to look at it or change it more than once.

use core::ops::Range;
use core::sync::atomic::AtomicU64;

use spin::MutexGuard;

use crate::access::Access;
use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::Format;
use crate::frame::Frames;
use crate::invalidation::Invalidation;
use crate::leaves::Update;
use crate::map_error::MapError;
use crate::mapped_range::MappedRange;
use crate::mapping::{Mapping, MemoryType, Translation};
use crate::mtrr::Mtrrs;
use crate::operation::Operation;
use crate::page_attributes::PageAttributes;
use crate::ram::GuestRam;
use crate::shortcut::Shortcut;
use crate::space::AddressSpace;
use crate::span::Span;
use crate::stock::Stock;
use crate::tree::{Tree, Work};

/// An [`AddressSpace`] that is locked for as long as this lives, to look at it or change it more than once.
///
/// Each method is that of the space, without the cost of the lock, and its documentation is there. Meanwhile no other
/// processor, and no other handle, looks at the space or changes it; a method of the space itself, called by the owner of this,
/// waits for ever. Leaking this leaves the space locked.
///
/// ```
/// use x86_virt_core::{Access, AddressSpace, Format, Frames, Gpa, GuestRam, MapError};
///
/// /// Maps the pages at these addresses to those of `ram` from its start on.
/// fn map_scattered<'m, F: Format, A: Frames>(
///     space: &AddressSpace<'m, F, A>,
///     ram: &GuestRam<'m>,
///     pages: &[Gpa],
/// ) -> Result<(), MapError> {
///     let mut edit = space.edit();
///     for (page, offset) in pages.iter().zip((0..).step_by(0x1000)) {
///         edit.map(*page..Gpa::new(page.get() + 0x1000), ram, offset, Access::ALL)?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use = "the space is locked for as long as this lives"]
pub struct SpaceEdit<'s, 'm, F: Format, A: Frames> {
    space: &'s AddressSpace<'m, F, A>,
    stock: MutexGuard<'s, Stock>,
    /// To the tables of the space, of which none has been put by since.
    shortcut: Shortcut<'s, F, A>,
}

impl<'s, 'm, F: Format, A: Frames> SpaceEdit<'s, 'm, F, A> {
    /// For whoever has taken the lock of the space, whose `stock` is.
    #[inline]
    pub(crate) fn new(space: &'s AddressSpace<'m, F, A>, stock: MutexGuard<'s, Stock>) -> Self {
        let mut edit = Self::once(space, stock);
        edit.shortcut.set(Shortcut::find(&edit.tree()));
        edit
    }

    /// The same for one operation that takes no shortcut.
    #[inline]
    pub(crate) fn once(space: &'s AddressSpace<'m, F, A>, stock: MutexGuard<'s, Stock>) -> Self {
        let shortcut = Shortcut::none(&space.tree(&stock));
        Self { space, stock, shortcut }
    }

    /// See [`AddressSpace::map`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    #[inline(always)]
    pub fn map(
        &mut self,
        gpa: Range<Gpa>,
        ram: &GuestRam<'m>,
        offset: u64,
        mapping: impl Into<Mapping>,
    ) -> Result<(), MapError> {
        let mapping = mapping.into();
        if is_page(&gpa)
            && let Some(hpa) = ram.frame(offset)
            && self.shortcut.map(gpa.start, hpa, mapping)
        {
            return Ok(());
        }
        let mapped = map_ram(self.space, &mut self.stock, self.shortcut.low(), gpa, ram, offset, mapping);
        self.find_shortcut();
        mapped
    }

    /// See [`AddressSpace::map_physical`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// As [`AddressSpace::map_physical`].
    #[inline(always)]
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn map_physical(
        &mut self,
        gpa: Range<Gpa>,
        hpa: Hpa,
        mapping: impl Into<Mapping>,
    ) -> Result<(), MapError> {
        let mapping = mapping.into();
        if is_page(&gpa) && self.shortcut.map(gpa.start, hpa, mapping) {
            return Ok(());
        }
        let mapped = map_else(self.space, &mut self.stock, self.shortcut.low(), gpa, hpa, mapping);
        self.find_shortcut();
        mapped
    }

    /// See [`AddressSpace::map_with_types`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn map_with_types(
        &mut self,
        gpa: Range<Gpa>,
        ram: &GuestRam<'m>,
        offset: u64,
        mapping: impl Into<Mapping>,
        mtrrs: &Mtrrs,
    ) -> Result<(), MapError> {
        let span = self.tree().span(&gpa)?;
        let part = ram.slice(offset, span.bytes())?;
        self.map_types_to(span, part.hpa(), mapping.into(), mtrrs)
    }

    /// See [`AddressSpace::map_physical_with_types`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// As [`AddressSpace::map_physical`].
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn map_physical_with_types(
        &mut self,
        gpa: Range<Gpa>,
        hpa: Hpa,
        mapping: impl Into<Mapping>,
        mtrrs: &Mtrrs,
    ) -> Result<(), MapError> {
        let span = self.tree().span(&gpa)?;
        self.map_types_to(span, hpa, mapping.into(), mtrrs)
    }

    /// See [`AddressSpace::remap`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn remap(&mut self, gpa: Range<Gpa>, ram: &GuestRam<'m>, offset: u64) -> Result<Invalidation, MapError> {
        let span = self.tree().span(&gpa)?;
        let part = ram.slice(offset, span.bytes())?;
        self.remap_to(span, part.hpa())
    }

    /// See [`AddressSpace::remap_physical`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// As [`AddressSpace::map_physical`].
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn remap_physical(&mut self, gpa: Range<Gpa>, hpa: Hpa) -> Result<Invalidation, MapError> {
        let span = self.tree().span(&gpa)?;
        self.remap_to(span, hpa)
    }

    /// See [`AddressSpace::unmap`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn unmap(&mut self, gpa: Range<Gpa>) -> Result<Invalidation, MapError> {
        let span = self.tree().span(&gpa)?;
        self.change(span, &Work::Unmap)
    }

    /// See [`AddressSpace::protect`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn protect(&mut self, gpa: Range<Gpa>, access: Access) -> Result<Invalidation, MapError> {
        let span = self.tree().span(&gpa)?;
        let update = Update::access(self.space.format(), access)?;
        self.change(span, &Work::Update(update))
    }

    /// See [`AddressSpace::set_memory_type`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn set_memory_type(&mut self, gpa: Range<Gpa>, memory_type: MemoryType) -> Result<Invalidation, MapError> {
        let span = self.tree().span(&gpa)?;
        let update = Update::memory_type(self.space.format(), memory_type)?;
        self.change(span, &Work::Update(update))
    }

    /// See [`AddressSpace::set_memory_types`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn set_memory_types(&mut self, gpa: Range<Gpa>, mtrrs: &Mtrrs) -> Result<Invalidation, MapError> {
        let tree = self.tree();
        tree.set_host_types(&mut self.stock, tree.span(&gpa)?, mtrrs)?;
        self.space.log_typed();
        Ok(self.space.invalidation())
    }

    /// See [`AddressSpace::set_attributes`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn set_attributes(&mut self, gpa: Range<Gpa>, attributes: PageAttributes) -> Result<Invalidation, MapError> {
        let span = self.tree().span(&gpa)?;
        let update = Update::attributes(self.space.format(), attributes)?;
        self.change(span, &Work::Update(update))
    }

    /// See [`AddressSpace::split`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn split(&mut self, gpa: Range<Gpa>, size: PageSize) -> Result<Invalidation, MapError> {
        let span = self.tree().span(&gpa)?;
        self.change(span, &Work::split(span, size)?)
    }

    /// See [`AddressSpace::merge`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn merge(&mut self, gpa: Range<Gpa>) -> Result<Invalidation, MapError> {
        let span = self.tree().span(&gpa)?;
        self.change(span, &Work::Merge)
    }

    /// See [`AddressSpace::translate`].
    #[inline(always)]
    pub fn translate(&self, gpa: Gpa) -> Option<Translation> {
        self.shortcut.translate(gpa).or_else(|| lookup(self.space, &self.stock, gpa))
    }

    /// See [`AddressSpace::lookup`].
    ///
    /// # Errors
    ///
    /// [`MapError::NotMapped`], [`MapError::InvalidEntry`] or [`MapError::BeyondGuestWidth`].
    pub fn lookup(&self, gpa: Gpa) -> Result<Translation, MapError> {
        self.tree().lookup(gpa)
    }

    /// See [`AddressSpace::frames_needed`].
    ///
    /// # Errors
    ///
    /// [`MapError`], as the operation itself.
    pub fn frames_needed(&self, gpa: Range<Gpa>, operation: Operation) -> Result<usize, MapError> {
        let needs = self.tree().needs(&gpa, operation)?;
        Ok(self.stock.missing(&needs))
    }

    /// See [`AddressSpace::prepare`].
    ///
    /// # Errors
    ///
    /// [`MapError::OutOfFrames`] or [`MapError::BadFrame`]; nothing is changed then.
    pub fn prepare(&mut self, count: usize) -> Result<(), MapError> {
        let tree = self.tree();
        self.stock.prepare(count, tree.reach, tree.rules())
    }

    /// The first range that is mapped at `gpa` or above it, or the error for an invalid entry; and where it ends.
    pub(crate) fn range_from(&self, gpa: Gpa) -> Option<(Result<MappedRange, MapError>, Gpa)> {
        self.tree().range_from(gpa)
    }

    fn map_types_to(&mut self, span: Span, hpa: Hpa, mapping: Mapping, mtrrs: &Mtrrs) -> Result<(), MapError> {
        let mapped = self.tree().map_host_types(&mut self.stock, span, hpa, mapping, mtrrs);
        self.find_shortcut();
        mapped.inspect(|()| self.space.log_typed())
    }

    fn remap_to(&mut self, span: Span, hpa: Hpa) -> Result<Invalidation, MapError> {
        self.tree().check_host(span, hpa)?;
        self.change(span, &Work::Update(Update::address(span, hpa)))
    }

    /// Does `work`, and moves the generation on.
    fn change(&mut self, span: Span, work: &Work) -> Result<Invalidation, MapError> {
        let changed = self.space.change(&mut self.stock, span, work);
        if matches!(work, Work::Unmap | Work::Merge) {
            // Tables may have been put by.
            self.shortcut.set(Shortcut::find(&self.tree()));
        }
        changed
    }

    #[inline(always)]
    pub(crate) const fn shortcut(&self) -> &Shortcut<'s, F, A> {
        &self.shortcut
    }

    #[inline]
    pub(crate) const fn space(&self) -> &'s AddressSpace<'m, F, A> {
        self.space
    }

    pub(crate) fn stock(&mut self) -> &mut Stock {
        &mut self.stock
    }

    pub(crate) fn tree(&self) -> Tree<'s, F, A> {
        self.space.tree(&self.stock)
    }

    /// Looks for the shortcut, if there was none: nothing has been put by, but a table may have been made.
    #[inline(always)]
    fn find_shortcut(&mut self) {
        if self.shortcut.is_none() {
            self.shortcut.set(find(self.space, &self.stock));
        }
    }
}

/// The table that the shortcut leads to.
#[cold]
#[inline(never)]
fn find<'s, F: Format, A: Frames>(space: &'s AddressSpace<'_, F, A>, stock: &Stock) -> &'s [AtomicU64] {
    Shortcut::find(&space.tree(stock))
}

#[cold]
#[inline(never)]
fn map_ram<'s, 'm, F: Format, A: Frames>(
    space: &'s AddressSpace<'m, F, A>,
    stock: &mut Stock,
    low: &'s [AtomicU64],
    gpa: Range<Gpa>,
    ram: &GuestRam<'m>,
    offset: u64,
    mapping: Mapping,
) -> Result<(), MapError> {
    let span = space.tree(stock).span(&gpa)?;
    let part = ram.slice(offset, span.bytes())?;
    map_else(space, stock, low, gpa, part.hpa(), mapping)
}

/// Maps the range where the shortcut did not.
#[cold]
#[inline(never)]
fn map_else<'s, F: Format, A: Frames>(
    space: &'s AddressSpace<'_, F, A>,
    stock: &mut Stock,
    low: &'s [AtomicU64],
    gpa: Range<Gpa>,
    hpa: Hpa,
    mapping: Mapping,
) -> Result<(), MapError> {
    let tree = space.tree(stock);
    if is_page(&gpa)
        && let Some((leaf, high, middle)) = Shortcut::new(&tree, low).missing_table(gpa.start, hpa, mapping)
    {
        return tree.map_in_new_table(stock, (high, middle), gpa.start, leaf);
    }
    map_to(space, stock, gpa, hpa, mapping)
}

#[inline(never)]
fn map_to<F: Format, A: Frames>(
    space: &AddressSpace<'_, F, A>,
    stock: &mut Stock,
    gpa: Range<Gpa>,
    hpa: Hpa,
    mapping: Mapping,
) -> Result<(), MapError> {
    let tree = space.tree(stock);
    let span = tree.span(&gpa)?;
    tree.check_host(span, hpa)?;
    let work = Work::map(tree.format, span, hpa, mapping)?;
    tree.change(stock, span, &work)?;
    space.log_change(span, &work);
    Ok(())
}

/// What `gpa` is mapped to, where the shortcut does not say it.
#[cold]
#[inline(never)]
fn lookup<F: Format, A: Frames>(space: &AddressSpace<'_, F, A>, stock: &Stock, gpa: Gpa) -> Option<Translation> {
    space.tree(stock).lookup(gpa).ok()
}

/// Whether the range is as long as a 4 KiB page.
#[inline]
fn is_page(gpa: &Range<Gpa>) -> bool {
    gpa.end.get() == gpa.start.get().wrapping_add(PageSize::Size4K.bytes())
}
