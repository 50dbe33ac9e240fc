//! An entry of a PID-pointer table.

use x86_virt_core::{Hpa, TableRow, register, register_rows};

register! {
    /// An entry of a PID-pointer table: where the posted-interrupt descriptor (PID) of a virtual processor is. Its virtual APIC
    /// ID is the index.
    ///
    /// Intel SDM vol. 3, section 32.1.6, "IPI Virtualization".
    ///
    /// ```
    /// use x86_virt_core::Hpa;
    /// use x86_virt_vmx::PidPointer;
    ///
    /// let pointer = PidPointer::new().with_valid(true).with_descriptor(Hpa::new(0x1_2340));
    /// assert_eq!(pointer.into_bits(), 0x1_2341);
    /// assert_eq!(pointer.descriptor(), Hpa::new(0x1_2340));
    /// ```
    pub struct PidPointer(u64) {
        /// Bit 0: the entry is valid.
        #[doc(alias = "PID_TABLE_ENTRY_VALID")]
        pub valid: bool,
        #[bits(5)]
        _reserved1: u8,
        /// Bits 63:6: the address of the descriptor, in units of 64 bytes.
        #[bits(58)]
        pub descriptor_number: u64,
    }
}

impl PidPointer {
    /// The address of the descriptor.
    #[must_use]
    pub const fn descriptor(self) -> Hpa {
        Hpa::new(self.descriptor_number() << 6)
    }

    /// The same with the descriptor at `descriptor`, of which bits 63 to 6 count.
    #[must_use]
    pub const fn with_descriptor(self, descriptor: Hpa) -> Self {
        self.with_descriptor_number(descriptor.get() >> 6)
    }

    /// The reserved bits that are set: 5:1, and those of the address that a processor with physical addresses of
    /// `address_width` bits does not have.
    #[must_use]
    pub const fn reserved_bits(self, address_width: u8) -> u64 {
        let high = if address_width >= 64 { 0 } else { u64::MAX << address_width };
        self.into_bits() & (0x3e | high)
    }
}

/// Visits the rows of an entry.
pub(super) fn rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<PidPointer>(super::TABLE, "PID-pointer table entry", visit);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};
    use x86_virt_core::Hpa;

    use super::PidPointer;

    #[test]
    fn bits_are_where_the_manual_has_them() {
        assert!(PidPointer::from_bits(1).valid());
        assert_eq!(PidPointer::from_bits(u64::MAX).descriptor(), Hpa::new(u64::MAX - 63));
        assert_eq!(PidPointer::from_bits(u64::MAX).reserved_bits(52), 0xfff0_0000_0000_003e);
    }

    proptest! {
        #[test]
        fn the_address_spills_into_no_other_field(bits in any::<u64>(), descriptor in any::<u64>()) {
            let pointer = PidPointer::from_bits(bits).with_descriptor(Hpa::new(descriptor));
            prop_assert_eq!(pointer.into_bits(), bits & 0x3f | descriptor & !0x3f);
        }
    }
}
