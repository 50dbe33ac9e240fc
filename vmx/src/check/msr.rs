//! What the manual requires of MSRs and control registers wherever a VMCS holds them.

use super::view::{Missing, View};

/// Bits of IA32_EFER that no Intel processor has: all but SCE, LME, LMA and NXE.
pub(super) const EFER_RESERVED: u64 = !0xd01;

/// Bits 9:6 of IA32_S_CET.
const S_CET_RESERVED: u64 = 0x3c0;
/// IA32_S_CET.SUPPRESS and TRACKER.
const S_CET_SUPPRESS_AND_TRACKER: u64 = 0xc00;

/// Bits of IA32_FRED_CONFIG that are reserved below its address.
const FRED_CONFIG_RESERVED: u64 = 1 << 2 | 3 << 4 | 1 << 11;

/// CR0.NW and CR0.CD, which no entry checks.
pub(super) const CR0_UNCHECKED: u64 = 1 << 29 | 1 << 30;

/// CR0.PE and CR0.PG.
pub(super) const CR0_PE_PG: u64 = 1 << 31 | 1;

/// Bits 62:61 of CR3: linear-address masking.
const CR3_LAM: u64 = 3 << 61;

/// CR4.LAM_SUP, which tells whether the processor has linear-address masking.
const CR4_LAM_SUP: u64 = 1 << 28;

/// Whether all eight memory types of IA32_PAT exist.
pub(super) const fn is_pat(pat: u64) -> bool {
    let [a, b, c, d, e, f, g, h] = pat.to_le_bytes();
    is_memory_type(a)
        && is_memory_type(b)
        && is_memory_type(c)
        && is_memory_type(d)
        && is_memory_type(e)
        && is_memory_type(f)
        && is_memory_type(g)
        && is_memory_type(h)
}

const fn is_memory_type(encoding: u8) -> bool {
    matches!(encoding, 0 | 1 | 4..=7)
}

/// Whether IA32_S_CET has no reserved bit, and not SUPPRESS and TRACKER both.
pub(super) const fn is_s_cet(value: u64) -> bool {
    value & S_CET_RESERVED == 0 && value & S_CET_SUPPRESS_AND_TRACKER != S_CET_SUPPRESS_AND_TRACKER
}

/// Whether CR3 has no bit beyond the physical-address width but those of linear-address masking.
pub(super) fn is_cr3(v: &View<'_>, cr3: u64) -> Result<bool, Missing> {
    if !v.entry.intel_64 || cr3 >> 32 == 0 {
        return Ok(true);
    }
    let beyond = v.beyond_physical()? & cr3;
    Ok(beyond == 0 || beyond & !CR3_LAM == 0 && v.can_set_cr4(CR4_LAM_SUP)?)
}

/// Whether IA32_FRED_CONFIG has no reserved bit and a canonical address.
pub(super) fn is_fred_config(v: &View<'_>, value: u64) -> Result<bool, Missing> {
    if value & FRED_CONFIG_RESERVED != 0 {
        return Ok(false);
    }
    v.are_canonical(&[value])
}

/// Whether all `addresses` are canonical and multiples of `alignment`.
pub(super) fn are_stacks(v: &View<'_>, addresses: &[u64], alignment: u64) -> Result<bool, Missing> {
    if addresses.iter().any(|address| address & (alignment - 1) != 0) {
        return Ok(false);
    }
    v.are_canonical(addresses)
}

/// An MSR whose bits differ from processor to processor.
pub(super) struct ModelMsr {
    /// Bits that some processor has.
    pub(super) some: u64,
    /// Bits that every processor has that has the MSR.
    pub(super) every: u64,
    /// What must be known otherwise.
    pub(super) fact: &'static str,
}

pub(super) const DEBUGCTL: ModelMsr = ModelMsr { some: 0xffc7, every: 3, fact: "which bits IA32_DEBUGCTL has" };

pub(super) const PERF_GLOBAL_CTRL: ModelMsr =
    ModelMsr { some: 0x0001_ffff_ffff_ffff, every: 0, fact: "which bits IA32_PERF_GLOBAL_CTRL has" };

pub(super) const RTIT_CTL: ModelMsr =
    ModelMsr { some: 0x0180_ffff_8f7b_ffff, every: 0, fact: "which bits IA32_RTIT_CTL has" };

pub(super) const LBR_CTL: ModelMsr = ModelMsr { some: 0x7f_000f, every: 0, fact: "which bits IA32_LBR_CTL has" };

#[cfg(feature = "provisional")]
pub(super) const SPEC_CTRL: ModelMsr = ModelMsr { some: 0x5ff, every: 0, fact: "which bits IA32_SPEC_CTRL has" };

impl ModelMsr {
    /// Whether the processor, which has `bits` as far as known, has all bits of `value`.
    pub(super) fn takes(&self, value: u64, bits: Option<u64>) -> Result<bool, Missing> {
        match bits {
            Some(bits) => Ok(value & !bits == 0),
            None if value & !self.every == 0 => Ok(true),
            None if value & !self.some != 0 => Ok(false),
            None => Err(Missing::Fact(self.fact)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ModelMsr, is_pat, is_s_cet};
    use crate::check::Missing;

    #[test]
    fn memory_types_of_the_pat() {
        assert!(is_pat(0x0007_0406_0007_0406) && is_pat(0x0105_0406_0007_0406));
        for reserved in [2, 3, 8, 0x80, 0xff] {
            assert!((0..8).all(|index| !is_pat(reserved << (index * 8))), "{reserved:#x}");
        }
    }

    #[test]
    fn bits_of_control_flow_enforcement() {
        assert!(is_s_cet(0xffff_8000_0000_0000 | 0x43f & !0x3c0) && is_s_cet(0x800));
        assert!(!is_s_cet(0xc00) && !is_s_cet(0x40) && !is_s_cet(0x200));
    }

    #[test]
    fn bits_that_models_differ_in_are_unknown() {
        let msr = ModelMsr { some: 0xff, every: 1, fact: "bits" };
        assert_eq!(msr.takes(1, None), Ok(true));
        assert_eq!(msr.takes(0x101, None), Ok(false));
        assert_eq!(msr.takes(3, None), Err(Missing::Fact("bits")));
        assert_eq!((msr.takes(3, Some(3)), msr.takes(3, Some(1))), (Ok(true), Ok(false)));
    }
}
