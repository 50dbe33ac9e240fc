//! Hypervisor-managed linear-address translation (HLAT).

use x86_virt_core::{Gpa, register};

use crate::misconfiguration::beyond;

register! {
    /// An HLAT pointer (HLATP): where the root of the paging structures is that the hypervisor manages.
    ///
    /// With the HLAT prefix size 0 it counts for every linear address.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields", "Fields Related to Hypervisor-Managed Linear-Address
    /// Translation".
    ///
    /// ```
    /// use x86_virt_core::Gpa;
    /// use x86_virt_ept::Hlatp;
    ///
    /// let hlatp = Hlatp::new().with_root(Gpa::new(0x1234_5000)).with_pcd(true);
    /// assert_eq!(hlatp.into_bits(), 0x1234_5010);
    /// assert_eq!(Hlatp::from_bits(0x1234_5021).reserved_bits(46), 0x21);
    /// ```
    pub struct Hlatp(u64) {
        #[bits(3)]
        _reserved0: u8,
        /// Bit 3: PWT, the page-level write-through flag of accesses to the root.
        pub pwt: bool,
        /// Bit 4: PCD, the page-level cache-disable flag of accesses to the root.
        pub pcd: bool,
        #[bits(7)]
        _reserved5: u8,
        /// Bits 51:12: the guest-physical address of the root. Bits from the physical-address width on are reserved.
        #[bits(40)]
        pub frame_number: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

impl Hlatp {
    /// The address of the root.
    #[must_use]
    pub const fn root(self) -> Gpa {
        Gpa::new(self.frame_number() << 12)
    }

    /// The same with the root at `root`, of which bits 51 to 12 count.
    #[must_use]
    pub const fn with_root(self, root: Gpa) -> Self {
        self.with_frame_number((root.get() >> 12) & 0xff_ffff_ffff)
    }

    /// The reserved bits that are set, on a processor with physical addresses of `address_width` bits.
    #[must_use]
    pub const fn reserved_bits(self, address_width: u8) -> u64 {
        self.into_bits() & (0xfe7 | 0xfff << 52 | beyond(address_width))
    }
}

register! {
    /// An entry of the paging structures that [`Hlatp`] leads to, of any level.
    ///
    /// All but one of its bits are those of the guest's ordinary paging.
    ///
    /// Intel SDM vol. 3, section 5.5, "4-Level Paging and 5-Level Paging".
    ///
    /// ```
    /// use x86_virt_ept::HlatEntry;
    ///
    /// assert_eq!(HlatEntry::new().with_restart(true).into_bits(), 0x800);
    /// ```
    pub struct HlatEntry(u64) {
        #[bits(11)]
        _paging0: u16,
        /// Bit 11: R, the translation starts again with ordinary paging, from CR3. Ignored in ordinary paging.
        pub restart: bool,
        #[bits(52)]
        _paging12: u64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};
    use x86_virt_core::Gpa;

    use super::{HlatEntry, Hlatp};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        assert!(Hlatp::from_bits(1 << 3).pwt());
        assert!(Hlatp::from_bits(1 << 4).pcd());
        assert!(HlatEntry::from_bits(1 << 11).restart());
        assert!(!HlatEntry::from_bits(!(1 << 11)).restart());
        assert_eq!(Hlatp::from_bits(u64::MAX).root(), Gpa::new(0x000f_ffff_ffff_f000));
        assert_eq!(Hlatp::from_bits(u64::MAX).reserved_bits(52), 0xfff0_0000_0000_0fe7);
        assert_eq!(Hlatp::from_bits(u64::MAX).reserved_bits(39), 0xffff_ff80_0000_0fe7);
    }

    proptest! {
        #[test]
        fn the_root_spills_into_no_other_field(bits in any::<u64>(), root in any::<u64>()) {
            let hlatp = Hlatp::from_bits(bits).with_root(Gpa::new(root));
            let address = 0x000f_ffff_ffff_f000;
            prop_assert_eq!(hlatp.into_bits(), bits & !address | root & address);
        }
    }
}
