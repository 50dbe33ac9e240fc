//! Why a mapping cannot be changed.

use crate::addr::{Gpa, Hpa};
use crate::format::Unsupported;
use crate::frame::OutOfFrames;
use crate::ram::GuestRamError;

/// Why [`AddressSpace`](crate::AddressSpace) refuses a change. Nothing has been changed then.
///
/// ```
/// use x86_virt_core::{Gpa, MapError};
///
/// let error = MapError::AlreadyMapped { gpa: Gpa::new(0xa000) };
/// assert_eq!(error.to_string(), "guest page 0xa000 is mapped already");
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
    #[error("guest page {gpa} is mapped already")]
    AlreadyMapped {
        /// The first such page.
        gpa: Gpa,
    },
    /// A page of the range is not mapped.
    #[error("guest page {gpa} is not mapped")]
    NotMapped {
        /// The first such page.
        gpa: Gpa,
    },
    /// The entry format cannot express the mapping.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// There is no frame for a table.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
}
