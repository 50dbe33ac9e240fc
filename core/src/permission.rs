//! Which MSRs and ports a guest accesses itself.

use core::ops::RangeInclusive;

use crate::addr::Gva;
use crate::state::StateError;

/// MSRs that the library switches between host and guest, so that a guest may have them for itself.
///
/// Intel SDM vol. 4, section 2.1, "Architectural MSRs"; AMD APM vol. 2, appendix A, "MSR Cross-Reference".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u32)]
#[expect(missing_docs, reason = "the names are the registers")]
pub enum SwitchedMsr {
    SpecCtrl = 0x48,
    SysenterCs = 0x174,
    SysenterEsp = 0x175,
    SysenterEip = 0x176,
    Pat = 0x277,
    Star = 0xc000_0081,
    Lstar = 0xc000_0082,
    Cstar = 0xc000_0083,
    Sfmask = 0xc000_0084,
    FsBase = 0xc000_0100,
    GsBase = 0xc000_0101,
    KernelGsBase = 0xc000_0102,
    TscAux = 0xc000_0103,
}

impl SwitchedMsr {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::SpecCtrl,
        Self::SysenterCs,
        Self::SysenterEsp,
        Self::SysenterEip,
        Self::Pat,
        Self::Star,
        Self::Lstar,
        Self::Cstar,
        Self::Sfmask,
        Self::FsBase,
        Self::GsBase,
        Self::KernelGsBase,
        Self::TscAux,
    ];

    /// The number of the MSR.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the discriminants are the numbers")]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// Checks that a processor with linear addresses of `width` bits takes `value`.
    ///
    /// # Errors
    ///
    /// [`StateError`] for an address that is not canonical, a memory type in PAT that there is not, and bits that are
    /// reserved.
    pub fn check(self, value: u64, width: u32) -> Result<(), StateError> {
        let bits = match self {
            Self::Star => 0,
            Self::SpecCtrl => value & !SPEC_CTRL_BITS,
            Self::SysenterCs | Self::Sfmask | Self::TscAux => value & !0xffff_ffff,
            Self::Pat => invalid_pat(value),
            _ if Gva::new(value).is_canonical(width) => 0,
            _ => return Err(StateError::NonCanonical { register: self.name(), value }),
        };
        if bits == 0 { Ok(()) } else { Err(StateError::Bits { register: self.name(), value, bits }) }
    }

    /// The manual's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpecCtrl => "SPEC_CTRL",
            Self::SysenterCs => "SYSENTER_CS",
            Self::SysenterEsp => "SYSENTER_ESP",
            Self::SysenterEip => "SYSENTER_EIP",
            Self::Pat => "PAT",
            Self::Star => "STAR",
            Self::Lstar => "LSTAR",
            Self::Cstar => "CSTAR",
            Self::Sfmask => "SFMASK",
            Self::FsBase => "FS_BASE",
            Self::GsBase => "GS_BASE",
            Self::KernelGsBase => "KERNEL_GS_BASE",
            Self::TscAux => "TSC_AUX",
        }
    }
}

/// The bits of [`SpecCtrl`](crate::SpecCtrl) that a processor may have. Which it has depends on CPUID.
const SPEC_CTRL_BITS: u64 = 0x5ff;

/// The bytes of `pat` that are no memory type, as a mask.
///
/// Intel SDM vol. 3, section 13.12.2, "IA32_PAT MSR".
fn invalid_pat(pat: u64) -> u64 {
    let types = pat.to_le_bytes();
    u64::from_le_bytes(types.map(|kind| if matches!(kind, 0 | 1 | 4..=7) { 0 } else { 0xff }))
}

/// A direction of access to an MSR.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum MsrAccess {
    /// RDMSR.
    Read,
    /// WRMSR.
    Write,
    /// Both.
    ReadWrite,
}

impl MsrAccess {
    /// Whether reads are meant.
    #[must_use]
    pub const fn reads(self) -> bool {
        matches!(self, Self::Read | Self::ReadWrite)
    }

    /// Whether writes are meant.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Write | Self::ReadWrite)
    }
}

/// A bitmap that says which accesses to MSRs end a run.
pub trait MsrBitmap {
    /// Whether an access to `msr` ends a run. An MSR that the bitmap does not cover always does.
    fn is_intercepted(&self, msr: u32, access: MsrAccess) -> bool;

    /// Makes accesses to `msr` end a run, or not.
    ///
    /// # Errors
    ///
    /// [`MsrRangeError`] if the bitmap does not cover the MSR.
    fn set(&mut self, msr: u32, access: MsrAccess, permission: Permission) -> Result<(), MsrRangeError>;
}

/// A bitmap that says which accesses to ports end a run.
pub trait PortBitmap {
    /// Whether an access to `port` ends a run.
    fn is_intercepted(&self, port: u16) -> bool;

    /// Makes accesses to `ports` end a run, or not.
    fn set(&mut self, ports: RangeInclusive<u16>, permission: Permission);
}

/// What happens at an access of the guest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Permission {
    /// The run ends.
    Intercept,
    /// The guest accesses the real thing.
    PassThrough,
}

impl Permission {
    /// `byte` with the bits of `mask` set to intercept or cleared to pass through.
    #[must_use]
    pub const fn apply(self, byte: u8, mask: u8) -> u8 {
        match self {
            Self::Intercept => byte | mask,
            Self::PassThrough => byte & !mask,
        }
    }
}

/// The MSR is in none of the ranges that the processor's bitmap covers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error("the MSR bitmap does not cover MSR {msr:#x}")]
pub struct MsrRangeError {
    /// The number of the MSR.
    pub msr: u32,
}

#[cfg(test)]
mod tests {
    use super::{MsrAccess, SwitchedMsr};
    use crate::state::StateError;

    #[test]
    fn values_that_a_processor_refuses_are_refused() {
        assert_eq!(SwitchedMsr::Pat.check(0x0007_0406_0007_0406, 48), Ok(()));
        let pat = SwitchedMsr::Pat.check(0x0207_0406_0007_0306, 48);
        assert_eq!(
            pat,
            Err(StateError::Bits { register: "PAT", value: 0x0207_0406_0007_0306, bits: 0xff00_0000_0000_ff00 })
        );
        let address = SwitchedMsr::KernelGsBase.check(1 << 47, 48);
        assert_eq!(address, Err(StateError::NonCanonical { register: "KERNEL_GS_BASE", value: 1 << 47 }));
        assert_eq!(SwitchedMsr::KernelGsBase.check(1 << 47, 57), Ok(()));
        assert!(SwitchedMsr::Sfmask.check(1 << 32, 48).is_err());
        assert_eq!(SwitchedMsr::Star.check(u64::MAX, 48), Ok(()));
    }

    #[test]
    fn both_directions_are_both() {
        assert!(MsrAccess::ReadWrite.reads() && MsrAccess::ReadWrite.writes() && !MsrAccess::Read.writes());
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_numbers_are_those_of_the_x86_crate() {
        assert_eq!(SwitchedMsr::Pat.number(), x86::msr::IA32_PAT);
        assert_eq!(SwitchedMsr::Star.number(), x86::msr::IA32_STAR);
        assert_eq!(SwitchedMsr::Lstar.number(), x86::msr::IA32_LSTAR);
        assert_eq!(SwitchedMsr::Cstar.number(), x86::msr::IA32_CSTAR);
        assert_eq!(SwitchedMsr::Sfmask.number(), x86::msr::IA32_FMASK);
        assert_eq!(SwitchedMsr::FsBase.number(), x86::msr::IA32_FS_BASE);
        assert_eq!(SwitchedMsr::GsBase.number(), x86::msr::IA32_GS_BASE);
        assert_eq!(SwitchedMsr::KernelGsBase.number(), x86::msr::IA32_KERNEL_GSBASE);
        assert_eq!(SwitchedMsr::TscAux.number(), x86::msr::IA32_TSC_AUX);
        assert_eq!(SwitchedMsr::SysenterCs.number(), x86::msr::IA32_SYSENTER_CS);
        assert_eq!(SwitchedMsr::SysenterEsp.number(), x86::msr::IA32_SYSENTER_ESP);
        assert_eq!(SwitchedMsr::SysenterEip.number(), x86::msr::IA32_SYSENTER_EIP);
    }
}
