//! What can be wrong with sub-page write permissions.

use x86_virt_core::{Gpa, Hpa, OutOfFrames};

use crate::unsupported::EptUnsupported;

/// Why a [`SubPageTable`](crate::SubPageTable) cannot be made, or changed.
///
/// ```
/// use x86_virt_core::Gpa;
/// use x86_virt_ept::SubPageError;
///
/// let error = SubPageError::MisalignedGuest { gpa: Gpa::new(0x1080) };
/// assert_eq!(error.to_string(), "guest address 0x1080 is not aligned to 4 KiB");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum SubPageError {
    /// The entries of the address space have no sub-page write permissions.
    #[error(transparent)]
    Unsupported(EptUnsupported),
    /// The range does not start and end at a multiple of 4 KiB.
    #[error("guest address {gpa} is not aligned to 4 KiB")]
    MisalignedGuest {
        /// The address.
        gpa: Gpa,
    },
    /// The range ends where it starts, or before.
    #[error("the range from {start} to {end} is empty")]
    EmptyRange {
        /// The first address.
        start: Gpa,
        /// The address after the last one.
        end: Gpa,
    },
    /// The table has four levels, so that only addresses of 48 bits have a vector.
    #[error("the range ends at {end}, and the table translates addresses of 48 bits")]
    BeyondWidth {
        /// The address after the last one.
        end: Gpa,
    },
    /// Odd bits of the vector are set.
    #[error("the vector has reserved bits set: {bits:#x}")]
    ReservedBits {
        /// The bits.
        bits: u64,
    },
    /// An entry has reserved bits, and this library writes no such entry. It was not followed.
    #[error("the entry {entry:#x} of level {level} for guest address {gpa} is invalid")]
    InvalidEntry {
        /// The first address that the entry translates, of those that were asked for.
        gpa: Gpa,
        /// The level of the table that the entry is in; 1 is the lowest.
        level: u8,
        /// The entry.
        entry: u64,
    },
    /// The allocator has given out a frame that cannot be a table: it is misaligned, beyond the width of host-physical addresses,
    /// without a pointer, or in use. It has broken the contract of [`Frames`](x86_virt_core::Frames).
    #[error("the allocator gave out {hpa}, which cannot be a table")]
    BadFrame {
        /// The frame.
        hpa: Hpa,
    },
    /// There is no frame for a table.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
}

/// Why a processor finds no vector for a write to a page with sub-page write permissions. The run ends.
///
/// Intel SDM vol. 3, section 31.3.4, "Sub-Page Write Permissions".
///
/// ```
/// use x86_virt_core::Gpa;
/// use x86_virt_ept::SppFault;
///
/// assert_eq!(SppFault::Miss { gpa: Gpa::new(0x5080), level: 4 }.to_string(), "no table of level 3 for 0x5080");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum SppFault {
    /// SPP miss: an entry is not valid.
    #[error("no table of level {} for {gpa}", level.saturating_sub(1))]
    Miss {
        /// The address that was to be written.
        gpa: Gpa,
        /// The level of the entry, 4 to 2.
        level: u8,
    },
    /// SPP misconfiguration: an entry, or the vector, has reserved bits set.
    #[error("the entry {entry:#x} of level {level} for {gpa} has reserved bits set")]
    Misconfiguration {
        /// The address that was to be written.
        gpa: Gpa,
        /// The level of the entry; 1 is that of vectors.
        level: u8,
        /// The entry.
        entry: u64,
    },
}
