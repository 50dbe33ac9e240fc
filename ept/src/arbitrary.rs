//! `Arbitrary` for the types that not every value makes.

use x86_virt_core::arbitrary::{Arbitrary, Result, Unstructured};

use crate::capabilities::EptCapabilities;
use crate::format::EptFormat;
use crate::spp::{SppVector, SubPage};
use crate::unsupported::EptUnsupported;

/// What every format needs of the processor.
const NEEDED: EptCapabilities = EptCapabilities::new().with_page_walk_length_4(true).with_tables_write_back(true);

impl<'a> Arbitrary<'a> for EptFormat {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let any = EptCapabilities::arbitrary(bytes)?.into_bits();
        let width = bytes.int_in_range(32..=52)?;
        let format = Self::new(EptCapabilities::from_bits(any | NEEDED.into_bits()), width)
            .map_err(|_| x86_virt_core::arbitrary::Error::IncorrectFormat)?;
        let mut format = format.with_controls(bytes.arbitrary()?);
        for with in [
            Self::with_five_levels,
            Self::with_accessed_dirty,
            Self::with_page_modification_log,
            Self::with_mode_based_execute,
            Self::with_supervisor_shadow_stack,
            Self::with_paging_write,
            Self::with_guest_paging_verification,
            Self::with_sub_page_write,
            Self::with_suppress_ve,
            Self::with_absent_suppress_ve,
        ] {
            if bytes.arbitrary()? {
                format = with(format).unwrap_or(format);
            }
        }
        Ok(format)
    }
}

impl<'a> Arbitrary<'a> for EptUnsupported {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match bytes.int_in_range(0..=9)? {
            0 => Self::PageWalkLength { length: bytes.arbitrary()? },
            1 => Self::WriteBackTables,
            2 => Self::AccessedDirty,
            3 => Self::SupervisorShadowStack,
            4 => Self::ModeBasedExecute,
            5 => Self::ViolationVe,
            6 => Self::SubPageWrite,
            7 => Self::PagingWrite,
            8 => Self::GuestPagingVerification,
            _ => Self::AddressWidth { width: bytes.arbitrary()? },
        })
    }
}

impl<'a> Arbitrary<'a> for SppVector {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        bytes.arbitrary().map(Self::from_bits)
    }
}

impl<'a> Arbitrary<'a> for SubPage {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        // The part of any address is one.
        bytes.arbitrary().map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Format;
    use x86_virt_core::arbitrary::{Arbitrary, Unstructured};

    use super::{EptFormat, EptUnsupported, SppVector, SubPage};
    use crate::{
        EptCapabilities, EptControls, EptEntry, EptMisconfiguration, EptRules, Eptp, HlatEntry, Hlatp, InvalidEptp,
        SppEntry, Spptp,
    };

    /// Makes one of each from the bytes, and formats it.
    fn make_all(bytes: &[u8]) -> [String; 15] {
        macro_rules! make {
            ($($value:ident)*) => {
                [$(format!("{:?}", $value::arbitrary(&mut Unstructured::new(bytes)).unwrap())),*]
            };
        }
        make! {
            EptCapabilities EptControls EptEntry EptFormat EptMisconfiguration EptRules EptUnsupported Eptp HlatEntry Hlatp
            InvalidEptp SppEntry SppVector Spptp SubPage
        }
    }

    #[test]
    fn any_bytes_make_every_value() {
        for seed in 0..=u8::MAX {
            let bytes: [u8; 32] = core::array::from_fn(|at| seed.wrapping_mul(29).wrapping_add(at.to_le_bytes()[0]));
            assert_eq!(make_all(&bytes), make_all(&bytes));
            make_all(&bytes[..usize::from(seed % 32)]);
        }
    }

    #[test]
    fn any_bytes_make_a_format_that_a_processor_can_have() {
        for seed in 0..=u8::MAX {
            let bytes: [u8; 32] = core::array::from_fn(|at| seed.wrapping_mul(31).wrapping_add(at.to_le_bytes()[0]));
            let mut bytes = Unstructured::new(&bytes);
            let format = EptFormat::arbitrary(&mut bytes).unwrap();
            assert!(matches!(format.levels(), 4 | 5) && (32..=52).contains(&format.address_width()), "{format:?}");
            assert!(format.levels() == 4 || format.capabilities().page_walk_length_5());
            EptUnsupported::arbitrary(&mut bytes).unwrap();
        }
    }
}
