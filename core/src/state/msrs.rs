//! The values of the MSRs that the library switches.

use crate::permission::SwitchedMsr;

/// The value of each MSR that the library switches between host and guest, but FS_BASE and GS_BASE, which are the bases of the segment
/// registers.
///
/// ```
/// use x86_virt_core::{Msrs, SwitchedMsr};
///
/// let mut msrs = Msrs::new();
/// assert_eq!(msrs.get(SwitchedMsr::Pat), Some(0x0007_0406_0007_0406), "as after reset");
/// msrs.set(SwitchedMsr::Lstar, 0xffff_ffff_8100_0000);
/// assert_eq!(msrs.get(SwitchedMsr::FsBase), None, "a base of a segment");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Msrs {
    /// In the order of [`SwitchedMsr::ALL`]. The places of the bases of segments are 0.
    values: [u64; SwitchedMsr::ALL.len()],
}

impl Msrs {
    /// The values after reset: 0, and the memory types of PAT.
    ///
    /// Intel SDM vol. 3, section 13.12.4, "Programming the PAT".
    #[must_use]
    pub fn new() -> Self {
        let mut msrs = Self { values: [0; SwitchedMsr::ALL.len()] };
        msrs.set(SwitchedMsr::Pat, 0x0007_0406_0007_0406);
        msrs
    }

    /// Those that have a place here.
    pub fn held() -> impl Iterator<Item = SwitchedMsr> {
        SwitchedMsr::ALL.into_iter().filter(|msr| is_held(*msr))
    }

    /// The value of `msr`, or `None` for FS_BASE and GS_BASE.
    #[must_use]
    pub fn get(&self, msr: SwitchedMsr) -> Option<u64> {
        index(msr).and_then(|index| self.values.get(index).copied())
    }

    /// Sets `msr`. False for FS_BASE and GS_BASE, which have no place here.
    pub fn set(&mut self, msr: SwitchedMsr, value: u64) -> bool {
        let slot = index(msr).and_then(|index| self.values.get_mut(index));
        slot.map(|slot| *slot = value).is_some()
    }
}

const fn is_held(msr: SwitchedMsr) -> bool {
    !matches!(msr, SwitchedMsr::FsBase | SwitchedMsr::GsBase)
}

fn index(msr: SwitchedMsr) -> Option<usize> {
    SwitchedMsr::ALL.iter().position(|held| *held == msr && is_held(msr))
}

impl Default for Msrs {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Msrs {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut msrs = Self::new();
        for msr in Self::held() {
            msrs.set(msr, bytes.arbitrary()?);
        }
        Ok(msrs)
    }
}

#[cfg(test)]
mod tests {
    use super::Msrs;
    use crate::permission::SwitchedMsr;

    #[test]
    fn each_has_a_place_but_the_bases_of_segments() {
        let mut msrs = Msrs::default();
        for msr in SwitchedMsr::ALL {
            let is_held = !matches!(msr, SwitchedMsr::FsBase | SwitchedMsr::GsBase);
            assert_eq!(msrs.set(msr, u64::from(msr.number())), is_held);
        }
        for msr in Msrs::held() {
            assert_eq!(msrs.get(msr), Some(u64::from(msr.number())));
        }
        assert_eq!(Msrs::held().count(), SwitchedMsr::ALL.len() - 2);
    }
}
