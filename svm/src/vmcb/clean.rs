//! VMCB clean bits.

use core::ops::BitOr;

use x86_virt_core::register;

use crate::vmcb::{VmcbFieldInfo, control, save};

register! {
    /// Groups of VMCB fields that have not changed since the last VMRUN, so that the processor may use its own copy.
    ///
    /// AMD APM vol. 2, section 15.15.3, "VMCB Clean Bits Field".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::CleanBits;
    ///
    /// assert_eq!((CleanBits::CRX | CleanBits::SEG).into_bits(), 0x120);
    /// assert!(CleanBits::ALL.contains(CleanBits::NP));
    /// assert_eq!(CleanBits::DT.to_string(), "0x00000080 DT");
    /// let mut fields = CleanBits::DT.fields().map(|field| field.name);
    /// assert_eq!((fields.next(), fields.next(), fields.next()), (Some("GDTR"), Some("IDTR"), None));
    /// ```
    pub struct CleanBits(u32) {
        /// I: intercepts, TSC offset, pause filter.
        pub i: bool,
        /// IOPM: the addresses of both permission maps.
        pub iopm: bool,
        /// ASID.
        pub asid: bool,
        /// TPR: virtual interrupt control.
        pub tpr: bool,
        /// NP: nested paging and the guest's PAT.
        pub np: bool,
        /// CRx: CR0, CR3, CR4, EFER.
        pub crx: bool,
        /// DRx: DR6, DR7.
        pub drx: bool,
        /// DT: GDTR, IDTR.
        pub dt: bool,
        /// SEG: CS, DS, SS, ES and CPL.
        pub seg: bool,
        /// CR2.
        pub cr2: bool,
        /// LBR: debug control and last branches.
        pub lbr: bool,
        /// AVIC: its addresses.
        pub avic: bool,
        /// CET: S_CET, SSP, ISST_ADDR.
        pub cet: bool,
        #[bits(18)]
        _reserved13: u32,
        /// For the use of the hypervisor that this one runs on.
        pub software: bool,
    }
}

/// Defines the sets of one group each, and their table.
macro_rules! groups {
    ($($name:ident = $with:ident aka $alias:literal;)*) => {
        impl CleanBits {
            $(
                #[doc = concat!("The group ", stringify!($name), " alone.")]
                #[doc(alias = $alias)]
                pub const $name: Self = Self::new().$with(true);
            )*

            /// One set for each group, with the names that others give it: first those of the processor, from bit 0 on.
            pub(crate) const GROUPS: &[(&str, Self, &[&str])] = &[$((stringify!($name), Self::$name, &[$alias])),*];
        }
    };
}

groups! {
    I = with_i aka "VMCB_INTERCEPTS";
    IOPM = with_iopm aka "VMCB_PERM_MAP";
    ASID = with_asid aka "VMCB_ASID";
    TPR = with_tpr aka "VMCB_INTR";
    NP = with_np aka "VMCB_NPT";
    CRX = with_crx aka "VMCB_CR";
    DRX = with_drx aka "VMCB_DR";
    DT = with_dt aka "VMCB_DT";
    SEG = with_seg aka "VMCB_SEG";
    CR2 = with_cr2 aka "VMCB_CR2";
    LBR = with_lbr aka "VMCB_LBR";
    AVIC = with_avic aka "VMCB_AVIC";
    CET = with_cet aka "VMCB_CET";
    SOFTWARE = with_software aka "VMCB_SW";
}

impl CleanBits {
    /// No group.
    pub const NONE: Self = Self::new();
    /// All groups that a processor without CET for guests knows.
    pub const ALL: Self = Self::from_bits(0xfff);

    /// Whether no group is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.into_bits() == 0
    }

    /// Whether all groups of `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.into_bits() & other.into_bits() == other.into_bits()
    }

    /// The set without the groups of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self::from_bits(self.into_bits() & !other.into_bits())
    }

    /// The fields of the VMCB that belong to the groups in the set.
    pub fn fields(self) -> impl Iterator<Item = &'static VmcbFieldInfo> {
        let all = control::ALL.iter().chain(save::ALL);
        all.filter(move |field| field.clean.into_bits() & self.into_bits() != 0)
    }
}

impl BitOr for CleanBits {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self::from_bits(self.into_bits() | other.into_bits())
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Register as _;

    use super::CleanBits;

    #[test]
    fn thirteen_groups_are_the_processors() {
        assert_eq!(CleanBits::GROUPS.len(), CleanBits::FIELDS.len());
        for (&(name, set, _), field) in CleanBits::GROUPS.iter().zip(CleanBits::FIELDS) {
            assert_eq!((name, set.into_bits(), field.width), (field.name, 1 << field.offset, 1));
        }
        let [architectural @ .., (_, software, _)] = CleanBits::GROUPS else { panic!("no groups") };
        assert_eq!((architectural.len(), *software), (13, CleanBits::from_bits(1 << 31)));
        let all = architectural.iter().fold(CleanBits::NONE, |all, (_, set, _)| all | *set);
        assert_eq!((all.into_bits(), all.without(CleanBits::CET)), (0x1fff, CleanBits::ALL));
    }

    #[test]
    fn groups_cover_the_fields_that_the_manual_lists() {
        for (group, names) in [
            (CleanBits::IOPM, &["IOPM_BASE_PA", "MSRPM_BASE_PA"][..]),
            (CleanBits::ASID, &["GUEST_ASID"]),
            (CleanBits::TPR, &["VIRTUAL_INTERRUPT_CONTROL"]),
            (CleanBits::NP, &["NESTED_CTL", "N_CR3", "G_PAT"]),
            (CleanBits::CRX, &["EFER", "CR4", "CR3", "CR0"]),
            (CleanBits::DRX, &["DR7", "DR6"]),
            (CleanBits::SEG, &["ES", "CS", "SS", "DS", "CPL"]),
            (CleanBits::CR2, &["CR2"]),
            (CleanBits::LBR, &["VIRT_EXT", "DBGCTL", "BR_FROM", "BR_TO", "LAST_EXCP_FROM", "LAST_EXCP_TO"]),
            (
                CleanBits::AVIC,
                &["AVIC_APIC_BAR", "AVIC_APIC_BACKING_PAGE", "AVIC_LOGICAL_TABLE", "AVIC_PHYSICAL_TABLE"],
            ),
            (CleanBits::CET, &["S_CET", "SSP", "ISST_ADDR"]),
            (CleanBits::SOFTWARE, &["HOST_SW_RESERVED"]),
        ] {
            assert!(group.fields().map(|field| field.name).eq(names.iter().copied()), "{group}");
        }
        assert_eq!(CleanBits::I.fields().count(), 11);
    }
}
