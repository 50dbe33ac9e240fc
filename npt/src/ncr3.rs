//! The pointer to the root of nested page tables.

use x86_virt_core::{Hpa, register};

use crate::reserved::beyond;

register! {
    /// The field N_CR3 of a VMCB: the CR3 with which the processor walks nested page tables.
    ///
    /// AMD APM vol. 2, section 15.25.3, "Enabling Nested Paging", and section 5.3.2, "CR3".
    ///
    /// ```
    /// use x86_virt_core::Hpa;
    /// use x86_virt_npt::Ncr3;
    ///
    /// let ncr3 = Ncr3::new().with_root(Hpa::new(0x1234_5000));
    /// assert_eq!(ncr3.into_bits(), 0x1234_5000);
    /// assert_eq!(ncr3.must_be_zero_bits(48), 0);
    /// ```
    pub struct Ncr3(u64) {
        #[bits(3)]
        _reserved0: u8,
        /// Bit 3: PWT, the page-level write-through flag of accesses to the root.
        pub pwt: bool,
        /// Bit 4: PCD, the page-level cache-disable flag of accesses to the root.
        pub pcd: bool,
        #[bits(7)]
        _reserved5: u8,
        /// Bits 51:12: the address of the root. Bits from the physical-address width on must be zero.
        #[bits(40)]
        pub frame_number: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

impl Ncr3 {
    /// The address of the root.
    #[must_use]
    pub const fn root(self) -> Hpa {
        Hpa::new(self.frame_number() << 12)
    }

    /// The same with the root at `root`, of which bits 51 to 12 count.
    #[must_use]
    pub const fn with_root(self, root: Hpa) -> Self {
        self.with_frame_number((root.get() >> 12) & 0xff_ffff_ffff)
    }

    /// The bits that are set and must be zero, on a processor with physical addresses of `address_width` bits: VMRUN
    /// refuses them. Bits 11:5 and 2:0 are reserved, and not checked.
    ///
    /// AMD APM vol. 2, section 15.5.1, "Basic Operation".
    #[must_use]
    pub const fn must_be_zero_bits(self, address_width: u8) -> u64 {
        self.into_bits() & (0xfff << 52 | beyond(address_width))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};
    use x86_virt_core::Hpa;

    use super::Ncr3;

    #[test]
    fn bits_are_where_the_manual_has_them() {
        assert!(Ncr3::from_bits(1 << 3).pwt());
        assert!(Ncr3::from_bits(1 << 4).pcd());
        let ones = Ncr3::from_bits(u64::MAX);
        assert_eq!(ones.root(), Hpa::new(0x000f_ffff_ffff_f000));
        assert_eq!(ones.must_be_zero_bits(52), 0xfff0_0000_0000_0000);
        assert_eq!(ones.must_be_zero_bits(48), 0xffff_0000_0000_0000);
    }

    proptest! {
        #[test]
        fn the_root_spills_into_no_other_field(bits in any::<u64>(), root in any::<u64>()) {
            let ncr3 = Ncr3::from_bits(bits).with_root(Hpa::new(root));
            let address = 0x000f_ffff_ffff_f000;
            prop_assert_eq!(ncr3.into_bits(), bits & !address | root & address);
        }
    }
}
