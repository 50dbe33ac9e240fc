//! Why a mapping cannot be changed.

use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::Unsupported;
use crate::frame::OutOfFrames;
use crate::ram::GuestRamError;

/// Why [`AddressSpace`](crate::AddressSpace) refuses a change. Nothing has been changed then.
///
/// ```
/// use x86_virt_core::{Gpa, MapError};
///
/// let error = MapError::AlreadyMapped { gpa: Gpa::new(0xa000), level: 1 };
/// assert_eq!(error.to_string(), "guest page 0xa000 is mapped already, by an entry of level 1");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum MapError {
    /// The range does not start and end at a multiple of 4 KiB.
    #[error("guest address {gpa} is not aligned to 4 KiB")]
    MisalignedGuest {
        /// The address.
        gpa: Gpa,
    },
    /// The host address is not a multiple of 4 KiB.
    #[error("host address {hpa} is not aligned to 4 KiB")]
    MisalignedHost {
        /// The address.
        hpa: Hpa,
    },
    /// The range ends where it starts, or before.
    #[error("the range from {start} to {end} is empty")]
    EmptyRange {
        /// The first address.
        start: Gpa,
        /// The address after the last one.
        end: Gpa,
    },
    /// The range reaches beyond what the tables translate.
    #[error("the range ends at {end}, and guest-physical addresses have {width} bits")]
    BeyondGuestWidth {
        /// The address after the last one.
        end: Gpa,
        /// How many bits a guest-physical address can have.
        width: u8,
    },
    /// The host range reaches beyond what the processor addresses.
    #[error("{bytes:#x} bytes at {hpa}: host-physical addresses have {width} bits")]
    BeyondHostWidth {
        /// Where the range starts.
        hpa: Hpa,
        /// How long it is.
        bytes: u64,
        /// How many bits a host-physical address has.
        width: u8,
    },
    /// The range is not inside the guest memory.
    #[error(transparent)]
    Ram(#[from] GuestRamError),
    /// A page of the range is mapped.
    #[error("guest page {gpa} is mapped already, by an entry of level {level}")]
    AlreadyMapped {
        /// The first such page.
        gpa: Gpa,
        /// The level of the table whose entry maps it: 1 for a page of 4 KiB, 2 for 2 MiB, 3 for 1 GiB.
        level: u8,
    },
    /// A page of the range is not mapped.
    #[error("guest page {gpa} is not mapped: there is no entry of level {level}")]
    NotMapped {
        /// The first such page.
        gpa: Gpa,
        /// The level of the lowest table that is there for it, in which its entry is absent.
        level: u8,
    },
    /// An entry has reserved bits, or is misconfigured, and no entry of this library is so. It was not followed.
    #[error("the entry {entry:#x} of level {level} for guest address {gpa} is invalid")]
    InvalidEntry {
        /// The first address that the entry translates, of those that were asked for.
        gpa: Gpa,
        /// The level of the table that the entry is in; 1 is the lowest.
        level: u8,
        /// The entry.
        entry: u64,
    },
    /// The range cannot be mapped in pages of this size or larger: it is not aligned to it, host and guest addresses differ by no
    /// multiple of it, or neither the processor nor the mapping has such pages.
    #[error("no pages of {size} are possible from guest address {gpa} on")]
    PageSize {
        /// Where the range starts.
        gpa: Gpa,
        /// The size that was asked for.
        size: PageSize,
    },
    /// Pages cannot be split so: there are none that are larger, or the range does not start and end at a multiple of the size.
    #[error("guest range from {start} to {end}: pages cannot be split to {size}")]
    CannotSplit {
        /// Where the range starts.
        start: Gpa,
        /// The address after the last one.
        end: Gpa,
        /// The size that was asked for.
        size: PageSize,
    },
    /// The allocator has given out a frame that cannot be a table: it is misaligned, beyond the width of host-physical addresses, or in
    /// use as the root or as the frame given out before. It has broken the contract of [`Frames`](crate::Frames). Other frames that are in
    /// use are not recognized: a search of the tables for each new frame would cost more than the tables.
    #[error("the allocator gave out {hpa}, which cannot be a table")]
    BadFrame {
        /// The frame.
        hpa: Hpa,
    },
    /// The entry format cannot express the mapping.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// There is no frame for a table.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
}
