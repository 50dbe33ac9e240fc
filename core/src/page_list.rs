//! Lists of pages that are not adjacent, mapped in one call.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::Format;
use crate::frame::Frames;
use crate::map_error::MapError;
use crate::mapping::Mapping;
use crate::prefetch::prefetch;
use crate::ram::GuestRam;
use crate::space::AddressSpace;
use crate::space_edit::SpaceEdit;
use crate::table::use_more;

/// How many pages are looked up before the first of them is mapped: about as many lines as a processor fetches at a time.
const AHEAD: usize = 16;

/// Stands for the entry of a page that is to be mapped by [`SpaceEdit::map`].
static NOT_FOUND: AtomicU64 = AtomicU64::new(u64::MAX);

/// A page of the list that was looked up.
#[derive(Clone, Copy, Debug)]
struct Found<'s, T> {
    gpa: Gpa,
    to: T,
    /// The entry of level 1 for the page, and that of level 2 above it; or [`NOT_FOUND`].
    slot: &'s AtomicU64,
    middle: &'s AtomicU64,
}

impl<'m, F: Format, A: Frames> AddressSpace<'m, F, A> {
    /// Maps pages of 4 KiB, each to the page of `ram` at the offset beside it.
    ///
    /// For pages that are here and there, on either side: those of a working set that is known before the guest touches it, of a snapshot, or
    /// of host memory that comes page by page. A range is mapped faster by [`map`](Self::map).
    ///
    /// It is one `map` after the other, in order, under one lock, and faster than these, since the entries of the pages to come are
    /// fetched into the cache meanwhile.
    ///
    /// # Errors
    ///
    /// [`MapPagesError`] at the first page that cannot be mapped. That page, and those after it, are as before; those before it are
    /// mapped, and stay so.
    ///
    /// ```
    /// use x86_virt_core::{Access, AddressSpace, Format, Frames, Gpa, GuestRam, MapPagesError};
    ///
    /// /// Gives the guest the pages that it used before it was suspended; `ram` has them in this order.
    /// fn resume<'m, F: Format, A: Frames>(
    ///     space: &AddressSpace<'m, F, A>,
    ///     working_set: &[Gpa],
    ///     ram: &GuestRam<'m>,
    /// ) -> Result<(), MapPagesError> {
    ///     let offsets = (0..).step_by(0x1000);
    ///     space.map_pages(working_set.iter().copied().zip(offsets), ram, Access::ALL)
    /// }
    /// ```
    pub fn map_pages(
        &self,
        pages: impl IntoIterator<Item = (Gpa, u64)>,
        ram: &GuestRam<'m>,
        mapping: impl Into<Mapping>,
    ) -> Result<(), MapPagesError> {
        self.edit().map_pages(pages, ram, mapping)
    }

    /// Maps pages of 4 KiB as [`map_pages`](Self::map_pages) does, each to the physical page beside it.
    ///
    /// # Errors
    ///
    /// [`MapPagesError`], as there.
    ///
    /// # Safety
    ///
    /// As [`map_physical`](Self::map_physical), for each page.
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn map_physical_pages(
        &self,
        pages: impl IntoIterator<Item = (Gpa, Hpa)>,
        mapping: impl Into<Mapping>,
    ) -> Result<(), MapPagesError> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.edit().map_physical_pages(pages, mapping) }
    }
}

impl<'s, 'm, F: Format, A: Frames> SpaceEdit<'s, 'm, F, A> {
    /// See [`AddressSpace::map_pages`].
    ///
    /// # Errors
    ///
    /// [`MapPagesError`], as there.
    pub fn map_pages(
        &mut self,
        pages: impl IntoIterator<Item = (Gpa, u64)>,
        ram: &GuestRam<'m>,
        mapping: impl Into<Mapping>,
    ) -> Result<(), MapPagesError> {
        let mapping = mapping.into();
        let map = |edit: &mut Self, gpa, offset| edit.map(page(gpa), ram, offset, mapping);
        self.map_list(pages, mapping, |offset| ram.frame(offset), map)
    }

    /// See [`AddressSpace::map_physical_pages`].
    ///
    /// # Errors
    ///
    /// [`MapPagesError`], as there.
    ///
    /// # Safety
    ///
    /// As [`AddressSpace::map_physical`], for each page.
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn map_physical_pages(
        &mut self,
        pages: impl IntoIterator<Item = (Gpa, Hpa)>,
        mapping: impl Into<Mapping>,
    ) -> Result<(), MapPagesError> {
        let mapping = mapping.into();
        let map = |edit: &mut Self, gpa, hpa| {
            // SAFETY: the caller's promise is the same for each page.
            unsafe { edit.map_physical(page(gpa), hpa, mapping) }
        };
        self.map_list(pages, mapping, Some, map)
    }

    /// Maps the pages to what `frame` says, or by `map` where that or an entry is missing.
    #[inline(always)]
    fn map_list<T: Copy + Default>(
        &mut self,
        pages: impl IntoIterator<Item = (Gpa, T)>,
        mapping: Mapping,
        frame: impl Fn(T) -> Option<Hpa>,
        map: impl Fn(&mut Self, Gpa, T) -> Result<(), MapError>,
    ) -> Result<(), MapPagesError> {
        let leaf = self.shortcut().leaf_of(mapping);
        let absent = self.space().format().absent();
        let mut pages = pages.into_iter();
        let mut batch = [Found { gpa: Gpa::new(0), to: T::default(), slot: &NOT_FOUND, middle: &NOT_FOUND }; AHEAD];
        let mut mapped = 0;
        loop {
            let shortcut = *self.shortcut();
            let mut count = 0;
            for found in &mut batch {
                let Some((gpa, to)) = pages.next() else { break };
                (found.gpa, found.to) = (gpa, to);
                match shortcut.entries(gpa) {
                    Some((slot, middle)) => {
                        prefetch(slot);
                        (found.slot, found.middle) = (slot, middle);
                    }
                    None => found.slot = &NOT_FOUND,
                }
                count += 1;
            }
            for (nth, found) in batch.iter().enumerate().take(count) {
                let entry = leaf.zip(frame(found.to)).and_then(|(leaf, hpa)| shortcut.with_address(leaf, hpa));
                match entry {
                    Some(entry) if found.slot.load(Ordering::Relaxed) == absent => {
                        found.slot.store(entry, Ordering::Relaxed);
                        use_more(found.middle, 1);
                    }
                    // Its table is missing, or was when the page was looked up; or it cannot be mapped.
                    _ => {
                        map(self, found.gpa, found.to).map_err(|error| MapPagesError { mapped: mapped + nth, error })?
                    }
                }
            }
            mapped += count;
            if count < AHEAD {
                return Ok(());
            }
        }
    }
}

/// The page of 4 KiB that starts at `gpa`; empty, and so refused, at the end of all addresses.
fn page(gpa: Gpa) -> core::ops::Range<Gpa> {
    gpa..Gpa::new(gpa.get().wrapping_add(PageSize::Size4K.bytes()))
}

/// Why a page of a list cannot be mapped.
///
/// ```
/// use x86_virt_core::{Gpa, MapError, MapPagesError};
///
/// let error = MapPagesError { mapped: 3, error: MapError::AlreadyMapped { gpa: Gpa::new(0x5000), level: 1 } };
/// assert_eq!(error.to_string(), "after 3 pages: guest page 0x5000 is mapped already, by an entry of level 1");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error("after {mapped} pages: {error}")]
pub struct MapPagesError {
    /// How many pages were mapped: all before this one.
    pub mapped: usize,
    /// What is wrong with this one.
    pub error: MapError,
}
