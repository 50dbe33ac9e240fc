//! `Arbitrary` for the types that not every value makes, or that are made from their bytes.

use x86_virt_core::arbitrary::{Arbitrary, Error, Result, Unstructured};

use crate::capability::{Capabilities, RawCpuid};
use crate::ghcb::{self, Ghcb};
use crate::profile::{self, Profile};
use crate::vmcb::{ControlArea, SaveArea, Vmcb, VmcbFieldInfo, control, save};
use crate::vmsa::{self, Vmsa};

impl<'a> Arbitrary<'a> for Capabilities {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut cpuid = RawCpuid::arbitrary(bytes)?;
        // SVM, nested paging, and an identifier for a guest.
        cpuid.leaf_8000_0001_ecx |= 1 << 2;
        cpuid.leaf_8000_000a_edx |= 1;
        cpuid.leaf_8000_000a_ebx |= 2;
        Self::new(cpuid).map_err(|_| Error::IncorrectFormat)
    }
}

impl<'a> Arbitrary<'a> for Profile {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        bytes.choose(profile::ALL).copied()
    }
}

impl<'a> Arbitrary<'a> for VmcbFieldInfo {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let tables = [control::ALL, save::ALL, vmsa::ALL, ghcb::ALL];
        let table = *bytes.choose(&tables)?;
        bytes.choose(table).copied()
    }
}

/// Any bytes in memory are one.
macro_rules! from_bytes {
    ($($structure:ident)*) => {
        $(impl<'a> Arbitrary<'a> for $structure {
            fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
                let mut memory = [0; size_of::<Self>()];
                bytes.fill_buffer(&mut memory)?;
                Ok(Self::from_bytes(&memory))
            }
        })*
    };
}

from_bytes! { ControlArea SaveArea Vmcb Vmsa Ghcb }
