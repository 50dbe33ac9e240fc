//! Entry format of AMD's nested page tables: bits and conversions, no memory.
//!
//! [`NptFormat`] makes an [`AddressSpace`](x86_virt_core::AddressSpace) one for SVM. Citations are of the AMD64 Architecture
//! Programmer's Manual (APM), volume 2, publication 24593, revision 3.42.
#![cfg_attr(not(test), no_std)]

// The derive of `Arbitrary` needs it.
#[cfg(feature = "arbitrary")]
extern crate std;

#[cfg(feature = "arbitrary")]
mod arbitrary;
mod controls;
mod entry;
mod format;
mod ncr3;
mod pat;
mod reserved;
mod tables;

pub use controls::NptControls;
pub use entry::NptEntry;
pub use format::{NptFormat, NptUnsupported};
pub use ncr3::Ncr3;
pub use pat::Pat;
pub use reserved::NptRules;
pub use tables::for_each_row;
