#![doc = include_str!("../README.md")]
#![no_std]

// The derive of `Arbitrary` needs it.
#[cfg(feature = "arbitrary")]
extern crate std;

pub use x86_virt_core::*;

#[cfg(feature = "vmx")]
pub use x86_virt_ept as ept;
#[cfg(feature = "svm")]
pub use x86_virt_npt as npt;
#[cfg(feature = "svm")]
pub use x86_virt_svm as svm;
#[cfg(feature = "vmx")]
pub use x86_virt_vmx as vmx;

#[cfg(target_arch = "x86_64")]
mod apic;
#[cfg(target_arch = "x86_64")]
pub mod check;
#[cfg(target_arch = "x86_64")]
mod controls;
#[cfg(target_arch = "x86_64")]
mod debugger;
#[cfg(target_arch = "x86_64")]
mod parked;
#[cfg(target_arch = "x86_64")]
mod processor;
#[cfg(target_arch = "x86_64")]
mod root;
#[cfg(target_arch = "x86_64")]
mod space;
#[cfg(target_arch = "x86_64")]
mod time;
#[cfg(target_arch = "x86_64")]
mod vcpu;

#[cfg(target_arch = "x86_64")]
pub use apic::EnableApicError;
#[cfg(target_arch = "x86_64")]
pub use parked::{AnyParkedVcpu, LoadError, LoadRefused, UnloadError};
#[cfg(target_arch = "x86_64")]
pub use processor::{Processor, Vendor};
#[cfg(target_arch = "x86_64")]
pub use root::{CreateError, EnterError, Root, SpaceError, is_unsupported};
#[cfg(target_arch = "x86_64")]
pub use space::Space;
#[cfg(target_arch = "x86_64")]
pub use vcpu::{AnyVcpu, EntryError, Reason};

/// The examples of the guide.
#[cfg(all(doctest, feature = "vmx", feature = "svm"))]
#[doc = include_str!("../docs/guide/src/encodings.md")]
#[doc = include_str!("../docs/guide/src/refused-entry.md")]
#[doc = include_str!("../docs/guide/src/state.md")]
#[doc = include_str!("../docs/guide/src/time.md")]
#[doc = include_str!("../docs/guide/src/virtual-apic.md")]
pub mod guide {}

/// The example of the guide that needs the feature `testing`.
#[cfg(all(doctest, feature = "vmx", feature = "testing"))]
#[doc = include_str!("../docs/guide/src/testing-without-a-processor.md")]
pub mod testing_guide {}
