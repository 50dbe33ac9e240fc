//! Entry format of Intel's extended page tables: bits and conversions, no memory.
//!
//! [`EptFormat`] makes an [`AddressSpace`](x86_virt_core::AddressSpace) one for VMX; [`Eptp`] is the pointer to its root.
//! Citations are of the Intel Software Developer's Manual (SDM), edition of 2025 and later, where chapter 31 is "VMX Support
//! for Address Translation".
#![cfg_attr(not(test), no_std)]

// The derive of `Arbitrary` needs it.
#[cfg(feature = "arbitrary")]
extern crate std;

#[cfg(feature = "arbitrary")]
mod arbitrary;
mod capabilities;
mod controls;
mod entry;
mod eptp;
mod format;
mod hlat;
mod misconfiguration;
mod spp;
mod sub_pages;
mod tables;
mod unsupported;

pub use capabilities::EptCapabilities;
pub use controls::EptControls;
pub use entry::EptEntry;
pub use eptp::{Eptp, InvalidEptp};
pub use format::EptFormat;
pub use hlat::{HlatEntry, Hlatp};
pub use misconfiguration::{EptMisconfiguration, EptRules};
pub use spp::{SppEntry, SppVector, Spptp, SubPage};
pub use sub_pages::{SppFault, SubPageError, SubPageTable};
pub use tables::for_each_row;
pub use unsupported::EptUnsupported;
