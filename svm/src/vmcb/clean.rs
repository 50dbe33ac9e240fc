//! VMCB clean bits.

use core::ops::BitOr;

/// Groups of VMCB fields that have not changed since the last VMRUN, so that the processor may use its own copy.
///
/// AMD APM vol. 2, section 15.15.3, "VMCB Clean Bits Field".
///
/// ```
/// use x86_virt_svm::vmcb::CleanBits;
///
/// assert_eq!((CleanBits::CRX | CleanBits::SEG).bits(), 0x120);
/// assert!(CleanBits::ALL.contains(CleanBits::NP));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(transparent)]
pub struct CleanBits(u32);

impl CleanBits {
    /// No group.
    pub const NONE: Self = Self(0);
    /// I: intercepts, TSC offset, pause filter.
    pub const I: Self = Self(1 << 0);
    /// IOPM: the addresses of both permission maps.
    pub const IOPM: Self = Self(1 << 1);
    /// ASID.
    pub const ASID: Self = Self(1 << 2);
    /// TPR: virtual interrupt control.
    pub const TPR: Self = Self(1 << 3);
    /// NP: nested paging and the guest's PAT.
    pub const NP: Self = Self(1 << 4);
    /// CRx: CR0, CR3, CR4, EFER.
    pub const CRX: Self = Self(1 << 5);
    /// DRx: DR6, DR7.
    pub const DRX: Self = Self(1 << 6);
    /// DT: GDTR, IDTR.
    pub const DT: Self = Self(1 << 7);
    /// SEG: CS, DS, SS, ES and CPL.
    pub const SEG: Self = Self(1 << 8);
    /// CR2.
    pub const CR2: Self = Self(1 << 9);
    /// LBR: debug control and last branches.
    pub const LBR: Self = Self(1 << 10);
    /// AVIC: its addresses.
    pub const AVIC: Self = Self(1 << 11);
    /// CET: S_CET, SSP, ISST_ADDR.
    pub const CET: Self = Self(1 << 12);
    /// For the use of the hypervisor that this one runs on.
    pub const SOFTWARE: Self = Self(1 << 31);
    /// All groups that a processor without CET for guests knows.
    pub const ALL: Self = Self(0xfff);

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether no group is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all groups of `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set without the groups of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for CleanBits {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
