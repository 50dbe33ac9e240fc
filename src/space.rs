//! Guest-physical memory in the format of the processor.

use core::fmt;
use core::ops::Range;

use x86_virt_core::{
    Access, AccessError, AddressSpace, DirtyLog, DirtyPages, Frames, Gpa, GuestMappings, GuestMemory, GuestRam, Hpa,
    Invalidation, LogError, LogMethod, MapError, Mapping, MemoryType, Mtrrs, Operation, PageAttributes, PageFlags,
    PageSize, Translation, UsedPage,
};

/// Guest-physical memory: extended page tables or nested page tables, whichever the processor has.
///
/// [`Root::address_space`](crate::Root::address_space) makes it. Its methods are those of [`AddressSpace`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Space<'m, A: Frames> {
    /// Extended page tables.
    #[cfg(feature = "vmx")]
    Ept(AddressSpace<'m, crate::ept::EptFormat, A>),
    /// Nested page tables.
    #[cfg(feature = "svm")]
    Npt(AddressSpace<'m, crate::npt::NptFormat, A>),
}

/// Does the same with either format.
macro_rules! either {
    ($self:expr, $space:ident => $body:expr) => {
        match $self {
            #[cfg(feature = "vmx")]
            Space::Ept($space) => $body,
            #[cfg(feature = "svm")]
            Space::Npt($space) => $body,
        }
    };
}

impl<'m, A: Frames> Space<'m, A> {
    /// Maps the range to `ram` from `offset` on. See [`AddressSpace::map`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn map(
        &self,
        gpa: Range<Gpa>,
        ram: &GuestRam<'m>,
        offset: u64,
        mapping: impl Into<Mapping>,
    ) -> Result<(), MapError> {
        either!(self, space => space.map(gpa, ram, offset, mapping))
    }

    /// Maps the range to the physical addresses from `hpa` on. See [`AddressSpace::map_physical`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// As [`AddressSpace::map_physical`].
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn map_physical(&self, gpa: Range<Gpa>, hpa: Hpa, mapping: impl Into<Mapping>) -> Result<(), MapError> {
        // SAFETY: the caller's promise is the same.
        either!(self, space => unsafe { space.map_physical(gpa, hpa, mapping) })
    }

    /// Unmaps the range. See [`AddressSpace::unmap`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn unmap(&self, gpa: Range<Gpa>) -> Result<Invalidation, MapError> {
        either!(self, space => space.unmap(gpa))
    }

    /// Allows `access`, and no more, in the range. See [`AddressSpace::protect`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn protect(&self, gpa: Range<Gpa>, access: Access) -> Result<Invalidation, MapError> {
        either!(self, space => space.protect(gpa, access))
    }

    /// Changes what the range is mapped to. See [`AddressSpace::remap`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn remap(&self, gpa: Range<Gpa>, ram: &GuestRam<'m>, offset: u64) -> Result<Invalidation, MapError> {
        either!(self, space => space.remap(gpa, ram, offset))
    }

    /// Changes the memory type of the range. See [`AddressSpace::set_memory_type`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn set_memory_type(&self, gpa: Range<Gpa>, memory_type: MemoryType) -> Result<Invalidation, MapError> {
        either!(self, space => space.set_memory_type(gpa, memory_type))
    }

    /// Gives the range these attributes. See [`AddressSpace::set_attributes`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn set_attributes(&self, gpa: Range<Gpa>, attributes: PageAttributes) -> Result<Invalidation, MapError> {
        either!(self, space => space.set_attributes(gpa, attributes))
    }

    /// Maps the range with the memory types of the host. See [`AddressSpace::map_with_types`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn map_with_types(
        &self,
        gpa: Range<Gpa>,
        ram: &GuestRam<'m>,
        offset: u64,
        mapping: impl Into<Mapping>,
        mtrrs: &Mtrrs,
    ) -> Result<(), MapError> {
        either!(self, space => space.map_with_types(gpa, ram, offset, mapping, mtrrs))
    }

    /// Maps the range to the physical addresses from `hpa` on with the memory types of the host. See
    /// [`AddressSpace::map_physical_with_types`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    ///
    /// # Safety
    ///
    /// As [`AddressSpace::map_physical_with_types`].
    #[expect(unsafe_code, reason = "any physical address, on the caller's word")]
    pub unsafe fn map_physical_with_types(
        &self,
        gpa: Range<Gpa>,
        hpa: Hpa,
        mapping: impl Into<Mapping>,
        mtrrs: &Mtrrs,
    ) -> Result<(), MapError> {
        // SAFETY: the caller's promise is the same.
        either!(self, space => unsafe { space.map_physical_with_types(gpa, hpa, mapping, mtrrs) })
    }

    /// Gives the range the memory types of the host. See [`AddressSpace::set_memory_types`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn set_memory_types(&self, gpa: Range<Gpa>, mtrrs: &Mtrrs) -> Result<Invalidation, MapError> {
        either!(self, space => space.set_memory_types(gpa, mtrrs))
    }

    /// Splits larger pages of the range into pages of `size`. See [`AddressSpace::split`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn split(&self, gpa: Range<Gpa>, size: PageSize) -> Result<Invalidation, MapError> {
        either!(self, space => space.split(gpa, size))
    }

    /// Maps the range with the largest pages that map the same. See [`AddressSpace::merge`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn merge(&self, gpa: Range<Gpa>) -> Result<Invalidation, MapError> {
        either!(self, space => space.merge(gpa))
    }

    /// Clears accessed and dirty flags, and calls `visit` for each page that had one. See [`AddressSpace::harvest`].
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    pub fn harvest(
        &self,
        gpa: Range<Gpa>,
        flags: PageFlags,
        visit: impl FnMut(UsedPage),
    ) -> Result<Invalidation, MapError> {
        either!(self, space => space.harvest(gpa, flags, visit))
    }

    /// Starts to log which pages are written. See [`AddressSpace::start_dirty_log`].
    ///
    /// # Errors
    ///
    /// [`LogError`]; nothing is changed then.
    pub fn start_dirty_log(&self, log: DirtyLog<'m>) -> Result<Invalidation, LogError> {
        either!(self, space => space.start_dirty_log(log))
    }

    /// The pages that were written since this was last called. See [`AddressSpace::collect_dirty`].
    ///
    /// # Errors
    ///
    /// [`LogError`]; nothing is changed then.
    pub fn collect_dirty<'b>(&self, bits: &'b mut [u64]) -> Result<(DirtyPages<'b>, Invalidation), LogError> {
        either!(self, space => space.collect_dirty(bits))
    }

    /// Ends the log. See [`AddressSpace::stop_dirty_log`].
    ///
    /// # Errors
    ///
    /// [`LogError::NotStarted`].
    pub fn stop_dirty_log(&self) -> Result<(), LogError> {
        either!(self, space => space.stop_dirty_log())
    }

    /// Adds pages to the log. See [`AddressSpace::mark_dirty`].
    pub fn mark_dirty(&self, gpa: Range<Gpa>) {
        either!(self, space => space.mark_dirty(gpa));
    }

    /// How the log is kept. See [`AddressSpace::dirty_log_method`].
    #[must_use]
    pub fn dirty_log_method(&self) -> Option<LogMethod> {
        either!(self, space => space.dirty_log_method())
    }

    /// How many frames the operation would take. See [`AddressSpace::frames_needed`].
    ///
    /// # Errors
    ///
    /// [`MapError`]: the operation would fail with it.
    pub fn frames_needed(&self, gpa: Range<Gpa>, operation: Operation) -> Result<usize, MapError> {
        either!(self, space => space.frames_needed(gpa, operation))
    }

    /// Puts so many frames aside. See [`AddressSpace::prepare`].
    ///
    /// # Errors
    ///
    /// [`MapError`] if the allocator has too few.
    pub fn prepare(&self, count: usize) -> Result<(), MapError> {
        either!(self, space => space.prepare(count))
    }

    /// What is mapped, as text. See [`AddressSpace::dump`].
    pub fn dump(&self) -> impl fmt::Display {
        Dumped(self)
    }

    /// What `gpa` is mapped to. See [`AddressSpace::translate`].
    pub fn translate(&self, gpa: Gpa) -> Option<Translation> {
        either!(self, space => space.translate(gpa))
    }

    /// How many frames the tables take. See [`AddressSpace::frames_in_use`].
    pub fn frames_in_use(&self) -> usize {
        either!(self, space => space.frames_in_use())
    }
}

/// [`Space::dump`].
struct Dumped<'s, 'm, A: Frames>(&'s Space<'m, A>);

impl<A: Frames> fmt::Display for Dumped<'_, '_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self.0, space => fmt::Display::fmt(&space.dump(), f))
    }
}

impl<A: Frames> GuestMemory for Space<'_, A> {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        either!(self, space => space.read(gpa, buffer))
    }

    fn write(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError> {
        either!(self, space => space.write(gpa, data))
    }

    fn compare_exchange_u32(&self, gpa: Gpa, old: u32, new: u32) -> Result<bool, AccessError> {
        either!(self, space => space.compare_exchange_u32(gpa, old, new))
    }

    fn compare_exchange_u64(&self, gpa: Gpa, old: u64, new: u64) -> Result<bool, AccessError> {
        either!(self, space => space.compare_exchange_u64(gpa, old, new))
    }

    fn translate(&self, gpa: Gpa) -> Option<Translation> {
        either!(self, space => space.translate(gpa))
    }
}

impl<'m, A: Frames> GuestMappings<'m> for Space<'m, A> {
    fn map(&self, gpa: Range<Gpa>, ram: &GuestRam<'m>, offset: u64, mapping: Mapping) -> Result<(), MapError> {
        Space::map(self, gpa, ram, offset, mapping)
    }

    fn unmap(&self, gpa: Range<Gpa>) -> Result<Invalidation, MapError> {
        Space::unmap(self, gpa)
    }

    fn protect(&self, gpa: Range<Gpa>, access: Access) -> Result<Invalidation, MapError> {
        Space::protect(self, gpa, access)
    }
}
