//! Guest-physical memory without the name of a vendor.

use core::ops::Range;
use core::ptr::NonNull;

use crate::access::Access;
use crate::addr::{Gpa, Hpa, PageSize};
use crate::bytes;
use crate::format::Format;
use crate::frame::{FRAME_BYTES, Frames};
use crate::invalidation::Invalidation;
use crate::map_error::MapError;
use crate::mapping::{Mapping, Translation};
use crate::ram::GuestRam;
use crate::space::AddressSpace;

/// Guest-physical memory as the guest sees it: what decoding and emulating an instruction needs, whatever the format of the
/// tables.
///
/// The methods are those of [`AddressSpace`](crate::AddressSpace), whose documentation has the details.
///
/// ```
/// use x86_virt_core::{AccessError, Gpa, GuestMemory};
///
/// fn read_u32(memory: &dyn GuestMemory, gpa: Gpa) -> Result<u32, AccessError> {
///     let mut bytes = [0; 4];
///     memory.read(gpa, &mut bytes)?;
///     Ok(u32::from_le_bytes(bytes))
/// }
/// ```
pub trait GuestMemory {
    /// Copies guest memory at `gpa` to `buffer`.
    ///
    /// # Errors
    ///
    /// [`AccessError`], with the first address that cannot be read. What is below it has been copied.
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError>;

    /// Copies `data` to guest memory at `gpa`.
    ///
    /// # Errors
    ///
    /// [`AccessError`], with the first address that cannot be written. What is below it has been copied.
    fn write(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError>;

    /// Replaces the 4 bytes at `gpa`, which are `old`, by `new`, in one locked operation, as a processor sets flags in an entry of the
    /// guest's tables. False if they are others.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the memory cannot be written, or `gpa` is not a multiple of 4.
    fn compare_exchange_u32(&self, gpa: Gpa, old: u32, new: u32) -> Result<bool, AccessError>;

    /// Replaces the 8 bytes at `gpa`, which are `old`, by `new`, in one locked operation. False if they are others.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the memory cannot be written, or `gpa` is not a multiple of 8.
    fn compare_exchange_u64(&self, gpa: Gpa, old: u64, new: u64) -> Result<bool, AccessError>;

    /// What `gpa` is mapped to.
    fn translate(&self, gpa: Gpa) -> Option<Translation>;
}

/// Guest-physical memory that can be mapped: what an exit loop needs to handle a nested page fault, whatever the format of the
/// tables. `'m` is for how long the guest memory lasts that may be mapped.
///
/// The methods are those of [`AddressSpace`](crate::AddressSpace), whose documentation has the details.
///
/// ```
/// use x86_virt_core::{Access, Gpa, GuestMappings, GuestRam, MapError, Mapping};
///
/// /// Maps the page that the guest touched to the page of `ram` at the same offset.
/// fn map_on_demand<'m>(guest: &dyn GuestMappings<'m>, ram: &GuestRam<'m>, touched: Gpa) -> Result<(), MapError> {
///     let page = Gpa::new(touched.get() & !0xfff);
///     let end = Gpa::new(page.get() + 0x1000);
///     guest.map(page..end, ram, page.get(), Mapping::new(Access::ALL))
/// }
/// ```
pub trait GuestMappings<'m>: GuestMemory {
    /// Maps the range to `ram` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    fn map(&self, gpa: Range<Gpa>, ram: &GuestRam<'m>, offset: u64, mapping: Mapping) -> Result<(), MapError>;

    /// Unmaps the range.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    fn unmap(&self, gpa: Range<Gpa>) -> Result<Invalidation, MapError>;

    /// Allows `access`, and no more, in the range.
    ///
    /// # Errors
    ///
    /// [`MapError`]; nothing is changed then.
    fn protect(&self, gpa: Range<Gpa>, access: Access) -> Result<Invalidation, MapError>;
}

/// Why the host cannot read or write guest memory as the guest would.
///
/// ```
/// use x86_virt_core::{Access, AccessError, Gpa};
///
/// let error = AccessError::Denied { gpa: Gpa::new(0xf_0000), allowed: Access::RX };
/// assert_eq!(error.to_string(), "guest address 0xf0000 allows r-x only");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum AccessError {
    /// The address is not mapped, or beyond what the tables translate.
    #[error("guest address {gpa} is not mapped")]
    NotMapped {
        /// The address.
        gpa: Gpa,
    },
    /// The mapping does not allow the access.
    #[error("guest address {gpa} allows {allowed} only")]
    Denied {
        /// The address.
        gpa: Gpa,
        /// What is allowed.
        allowed: Access,
    },
    /// The address is not a multiple of the size of the access, which has to be.
    #[error("guest address {gpa} is not aligned")]
    Misaligned {
        /// The address.
        gpa: Gpa,
    },
    /// The host has no pointer to the memory.
    #[error("guest address {gpa} is at {hpa}, which the host has no pointer to")]
    Unreachable {
        /// The address.
        gpa: Gpa,
        /// Where it is mapped to.
        hpa: Hpa,
    },
}

impl<F: Format, A: Frames> AddressSpace<'_, F, A> {
    /// Copies guest memory at `gpa` to `buffer`, across borders of pages.
    ///
    /// # Errors
    ///
    /// [`AccessError`], with the first address that the guest could not read. What is below it has been copied.
    #[expect(unsafe_code, reason = "reads guest memory")]
    pub fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        self.for_each_part(gpa, buffer.len(), Access::READ, |source, part| {
            // SAFETY: `for_each_part` gives a pointer to that many bytes of guest memory.
            unsafe { bytes::load(source, buffer.get_mut(part).unwrap_or_default()) };
        })
    }

    /// Copies `data` to guest memory at `gpa`, across borders of pages. The [dirty log](Self::start_dirty_log) takes note of it.
    ///
    /// To fill memory that the guest may only read, write to the [`GuestRam`].
    ///
    /// # Errors
    ///
    /// [`AccessError`], with the first address that the guest could not write. What is below it has been copied.
    #[expect(unsafe_code, reason = "writes guest memory")]
    pub fn write(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError> {
        let written = self.for_each_part(gpa, data.len(), Access::WRITE, |target, part| {
            // SAFETY: `for_each_part` gives a pointer to that many bytes of guest memory.
            unsafe { bytes::store(target, data.get(part).unwrap_or_default()) };
        });
        if self.dirty_log_method().is_some() {
            // Also if only a part was written.
            let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
            self.mark_dirty(gpa..Gpa::new(gpa.get().saturating_add(bytes)));
        }
        written
    }

    /// Replaces the 4 bytes at `gpa`, which are `old`, by `new`, in one locked operation. False if they are others.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the guest could not write the memory, or `gpa` is not a multiple of 4.
    #[expect(unsafe_code, reason = "writes guest memory")]
    pub fn compare_exchange_u32(&self, gpa: Gpa, old: u32, new: u32) -> Result<bool, AccessError> {
        // SAFETY: `exchange` gives an aligned pointer to that many bytes of guest memory.
        self.exchange(gpa, 4, |target| unsafe { bytes::compare_exchange_u32(target, old, new) })
    }

    /// Replaces the 8 bytes at `gpa`, which are `old`, by `new`, in one locked operation. False if they are others.
    ///
    /// # Errors
    ///
    /// [`AccessError`] if the guest could not write the memory, or `gpa` is not a multiple of 8.
    #[expect(unsafe_code, reason = "writes guest memory")]
    pub fn compare_exchange_u64(&self, gpa: Gpa, old: u64, new: u64) -> Result<bool, AccessError> {
        // SAFETY: `exchange` gives an aligned pointer to that many bytes of guest memory.
        self.exchange(gpa, 8, |target| unsafe { bytes::compare_exchange_u64(target, old, new) })
    }

    /// Calls `exchange` with the host's pointer to the `length` bytes at `gpa`, which is a multiple of that.
    fn exchange(&self, gpa: Gpa, length: usize, exchange: impl Fn(NonNull<u8>) -> bool) -> Result<bool, AccessError> {
        let mut is_done = Err(AccessError::Misaligned { gpa });
        if usize::try_from(gpa.get()).is_ok_and(|address| address.is_multiple_of(length)) {
            self.for_each_part(gpa, length, Access::WRITE, |target, _| {
                // A multiple of 4096 away from an aligned address, unless the allocator maps frames askew.
                if target.addr().get().is_multiple_of(length) {
                    is_done = Ok(exchange(target));
                }
            })?;
        }
        is_done
    }

    /// Calls `copy` for each part of the `length` bytes at `gpa` that is in one 4 KiB page, with the host's pointer to it.
    ///
    /// The lock is held meanwhile: when `unmap` returns, nothing is copied any more.
    fn for_each_part(
        &self,
        gpa: Gpa,
        length: usize,
        access: Access,
        mut copy: impl FnMut(NonNull<u8>, Range<usize>),
    ) -> Result<(), AccessError> {
        let mut done = 0;
        while done < length {
            let offset = u64::try_from(done).unwrap_or(u64::MAX);
            let gpa = gpa.checked_add(offset).ok_or(AccessError::NotMapped { gpa })?;
            let edit = self.edit();
            let to = edit.translate(gpa).ok_or(AccessError::NotMapped { gpa })?;
            if !to.access.contains(access) {
                return Err(AccessError::Denied { gpa, allowed: to.access });
            }
            let pointer = self.frames.pointer(to.hpa).ok_or(AccessError::Unreachable { gpa, hpa: to.hpa })?;
            let in_page = usize::try_from(to.hpa.page_offset(PageSize::Size4K)).unwrap_or(0);
            let end = length.min(done + (FRAME_BYTES - in_page));
            copy(pointer, done..end);
            done = end;
        }
        Ok(())
    }
}

impl<F: Format, A: Frames> GuestMemory for AddressSpace<'_, F, A> {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        self.read(gpa, buffer)
    }

    fn write(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError> {
        self.write(gpa, data)
    }

    fn compare_exchange_u32(&self, gpa: Gpa, old: u32, new: u32) -> Result<bool, AccessError> {
        self.compare_exchange_u32(gpa, old, new)
    }

    fn compare_exchange_u64(&self, gpa: Gpa, old: u64, new: u64) -> Result<bool, AccessError> {
        self.compare_exchange_u64(gpa, old, new)
    }

    fn translate(&self, gpa: Gpa) -> Option<Translation> {
        self.translate(gpa)
    }
}

impl<'m, F: Format, A: Frames> GuestMappings<'m> for AddressSpace<'m, F, A> {
    fn map(&self, gpa: Range<Gpa>, ram: &GuestRam<'m>, offset: u64, mapping: Mapping) -> Result<(), MapError> {
        self.map(gpa, ram, offset, mapping)
    }

    fn unmap(&self, gpa: Range<Gpa>) -> Result<Invalidation, MapError> {
        self.unmap(gpa)
    }

    fn protect(&self, gpa: Range<Gpa>, access: Access) -> Result<Invalidation, MapError> {
        self.protect(gpa, access)
    }
}
