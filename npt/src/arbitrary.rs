//! `Arbitrary` for the types that not every value makes.

use x86_virt_core::arbitrary::{Arbitrary, Error, Result, Unstructured};

use crate::format::{NptFormat, NptUnsupported};
use crate::pat::Pat;

impl<'a> Arbitrary<'a> for Pat {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        bytes.arbitrary().map(Self::new)
    }
}

impl<'a> Arbitrary<'a> for NptFormat {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let pat = bytes.arbitrary()?;
        let format = Self::new(pat, bytes.int_in_range(32..=52)?).map_err(|_| Error::IncorrectFormat)?;
        let format = if bytes.arbitrary()? { format.with_1g_pages() } else { format };
        let format = if bytes.arbitrary()? { format.with_no_execute() } else { format };
        let format = if bytes.arbitrary()? { format.with_five_levels() } else { format };
        let format = format.with_controls(bytes.arbitrary()?);
        let trapping = format.with_guest_mode_execute_trap().unwrap_or(format);
        let format = if bytes.arbitrary()? { trapping } else { format };
        let restricted = format.with_supervisor_shadow_stack().unwrap_or(format);
        Ok(if bytes.arbitrary()? { restricted } else { format })
    }
}

impl<'a> Arbitrary<'a> for NptUnsupported {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match bytes.int_in_range(0..=2)? {
            0 => Self::GuestModeExecuteTrap,
            1 => Self::SupervisorShadowStack,
            _ => Self::AddressWidth { width: bytes.arbitrary()? },
        })
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Format;
    use x86_virt_core::arbitrary::{Arbitrary, Unstructured};

    use super::{NptFormat, NptUnsupported, Pat};
    use crate::{Ncr3, NptControls, NptEntry, NptRules};

    /// Makes one of each from the bytes, and formats it.
    fn make_all(bytes: &[u8]) -> [String; 7] {
        macro_rules! make {
            ($($value:ident)*) => {
                [$(format!("{:?}", $value::arbitrary(&mut Unstructured::new(bytes)).unwrap())),*]
            };
        }
        make! { Ncr3 NptControls NptEntry NptFormat NptRules NptUnsupported Pat }
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
            let format = NptFormat::arbitrary(&mut bytes).unwrap();
            assert!(matches!(format.levels(), 4 | 5) && (32..=52).contains(&format.address_width()), "{format:?}");
            NptUnsupported::arbitrary(&mut bytes).unwrap();
            Pat::arbitrary(&mut bytes).unwrap();
        }
    }
}
