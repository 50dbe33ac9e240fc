//! `Arbitrary` for the types that not every value makes.

use x86_virt_core::Gpr;
use x86_virt_core::arbitrary::{Arbitrary, Result, Unstructured};

use crate::access::VmcsRead;
use crate::capability::{CapabilityMsr, MsrExistence};
use crate::control::{
    ControlCapability, ControlInfo, ControlWord, EntryControls, ExitControls, PinControls, PrimaryControls,
    SecondaryControls, SecondaryExitControls, TertiaryControls, VmFunctionControls,
};
use crate::dump::VmcsDump;
use crate::exit::{ExitQualification, ExitReason, InstructionInformation, MemoryOperand};
use crate::field::{self, Encoding, FieldInfo};
use crate::instruction_error::{InstructionError, VmFail};
use crate::memory::{EntryIndex, Pasid};
use crate::profile::{self, Profile};
use crate::testing::FakeVmcs;

/// What a processor can do with a control word comes from an MSR.
macro_rules! capabilities {
    ($($word:ident)*) => {
        $(impl<'a> Arbitrary<'a> for ControlCapability<$word> {
            fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
                bytes.arbitrary().map(Self::new)
            }
        })*
    };
}

capabilities! {
    PinControls PrimaryControls SecondaryControls TertiaryControls ExitControls SecondaryExitControls EntryControls
    VmFunctionControls
}

impl<'a> Arbitrary<'a> for ControlInfo {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        bytes.choose(&ControlWord::ALL).and_then(|word| bytes.choose(word.controls())).copied()
    }
}

impl<'a> Arbitrary<'a> for FieldInfo {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        bytes.choose(field::ALL).copied()
    }
}

impl<'a> Arbitrary<'a> for Profile {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        bytes.choose(profile::ALL).copied()
    }
}

impl<'a> Arbitrary<'a> for MsrExistence {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        bytes.choose(CapabilityMsr::ALL).map(|row| CapabilityMsr::from_bits(row.value).existence())
    }
}

impl<'a> Arbitrary<'a> for ExitQualification {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(reason(bytes)?, bytes.arbitrary()?, bytes.arbitrary()?))
    }
}

impl<'a> Arbitrary<'a> for InstructionInformation {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self::new(reason(bytes)?, bytes.arbitrary()?))
    }
}

/// A reason that is often one of those that have a format.
fn reason(bytes: &mut Unstructured<'_>) -> Result<ExitReason> {
    bytes.arbitrary().map(|number: u8| ExitReason::from_bits(u32::from(number % 96)))
}

impl<'a> Arbitrary<'a> for MemoryOperand {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let index: Option<Gpr> = bytes.arbitrary()?;
        let scaling = bytes.int_in_range(0..=3)?;
        Ok(Self {
            segment: bytes.arbitrary()?,
            base: bytes.arbitrary()?,
            index: index.map(|register| (register, 1 << scaling)),
            displacement: bytes.arbitrary()?,
            address_size: bytes.arbitrary()?,
        })
    }
}

impl<'a> Arbitrary<'a> for EntryIndex {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        bytes.int_in_range(0..=511).map(|index| Self::new(index).unwrap_or(Self::LAST))
    }
}

impl<'a> Arbitrary<'a> for Pasid {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        // Always a number of 20 bits.
        bytes.arbitrary().map(|bits: u32| Self::new(bits >> 12).unwrap_or(Self::LAST))
    }
}

impl<'a> Arbitrary<'a> for FakeVmcs {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let mut vmcs = Self::new();
        for info in field::ALL {
            vmcs.set_raw(info.encoding.get(), bytes.arbitrary()?);
        }
        Ok(vmcs)
    }
}

/// A processor that has some of the fields.
struct Partial {
    vmcs: FakeVmcs,
    /// One bit for each field, in the order of the table.
    missing: [u8; field::ALL.len().div_ceil(8)],
}

impl VmcsRead for Partial {
    fn read_raw(&self, field: Encoding) -> core::result::Result<u64, VmFail> {
        let index = FieldInfo::index(field).unwrap_or(usize::MAX);
        if self.missing.get(index / 8).is_some_and(|bits| bits >> (index % 8) & 1 == 1) {
            return Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD));
        }
        self.vmcs.read_raw(field)
    }
}

impl<'a> Arbitrary<'a> for VmcsDump {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let missing = bytes.arbitrary()?;
        Ok(Partial { missing, vmcs: bytes.arbitrary()? }.dump())
    }
}
