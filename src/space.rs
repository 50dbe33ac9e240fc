//! Guest-physical memory in the format of the processor.

use core::ops::Range;

use x86_virt_core::{
    Access, AccessError, AddressSpace, Frames, Gpa, GuestMappings, GuestMemory, GuestRam, Hpa, Invalidation, MapError,
    Mapping, Translation,
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

    /// What `gpa` is mapped to. See [`AddressSpace::translate`].
    pub fn translate(&self, gpa: Gpa) -> Option<Translation> {
        either!(self, space => space.translate(gpa))
    }

    /// How many frames the tables take. See [`AddressSpace::frames_in_use`].
    pub fn frames_in_use(&self) -> usize {
        either!(self, space => space.frames_in_use())
    }
}

impl<A: Frames> GuestMemory for Space<'_, A> {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        either!(self, space => space.read(gpa, buffer))
    }

    fn write(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError> {
        either!(self, space => space.write(gpa, data))
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
