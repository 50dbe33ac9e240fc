//! The pointer to the root of extended page tables.

use x86_virt_core::register;
use x86_virt_core::{Hpa, MemoryType};

register! {
    /// An extended-page-table pointer (EPTP): where the root is and how the processor reads the tables.
    ///
    /// Intel SDM vol. 3, section 27.6.11, "Extended-Page-Table Pointer (EPTP)".
    ///
    /// ```
    /// use x86_virt_core::{Hpa, MemoryType};
    /// use x86_virt_ept::Eptp;
    ///
    /// let eptp = Eptp::new(Hpa::new(0x1234_5000), 4, MemoryType::WriteBack);
    /// assert_eq!(eptp.into_bits(), 0x1234_501e);
    /// assert_eq!(eptp.with_accessed_dirty(true).into_bits(), 0x1234_505e);
    /// ```
    pub struct Eptp(u64, new = false) {
        /// Bits 2:0: the memory type with which the processor reads the tables: 0 (UC) or 6 (WB).
        #[bits(3)]
        pub memory_type_encoding: u8,
        /// Bits 5:3: the page-walk length, less 1.
        #[bits(3)]
        pub page_walk_length_minus_1: u8,
        /// Bit 6: accessed and dirty flags are enabled.
        pub accessed_dirty: bool,
        /// Bit 7: access rights for supervisor shadow-stack pages are enforced.
        pub supervisor_shadow_stack: bool,
        #[bits(4)]
        _reserved8: u8,
        /// Bits 51:12: the address of the root. Bits from the physical-address width on are reserved.
        #[bits(40)]
        pub frame_number: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

impl Eptp {
    /// The pointer to the root at `root`, of which bits 51 to 12 count, of tables of `levels` levels, which the processor
    /// reads as memory of `memory_type`.
    #[must_use]
    pub const fn new(root: Hpa, levels: u8, memory_type: MemoryType) -> Self {
        Self::from_bits(0)
            .with_memory_type_encoding(memory_type.encoding())
            .with_page_walk_length_minus_1(levels.wrapping_sub(1) & 7)
            .with_frame_number((root.get() >> 12) & 0xff_ffff_ffff)
    }

    /// The address of the root.
    #[must_use]
    pub const fn root(self) -> Hpa {
        Hpa::new(self.frame_number() << 12)
    }

    /// How many levels of tables there are.
    #[must_use]
    pub const fn levels(self) -> u8 {
        self.page_walk_length_minus_1() + 1
    }

    /// The memory type, or `None` if its encoding is reserved.
    #[must_use]
    pub const fn memory_type(self) -> Option<MemoryType> {
        MemoryType::from_encoding(self.memory_type_encoding())
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Hpa, MemoryType};

    use super::Eptp;

    #[test]
    fn values_are_those_of_the_manual() {
        let table =
            [(4, MemoryType::WriteBack, 0x1e), (5, MemoryType::WriteBack, 0x26), (4, MemoryType::Uncacheable, 0x18)];
        for (levels, memory_type, low) in table {
            let eptp = Eptp::new(Hpa::new(0xa_bcde_f000), levels, memory_type);
            assert_eq!(eptp.into_bits(), 0xa_bcde_f000 | low);
            assert_eq!((eptp.root(), eptp.levels()), (Hpa::new(0xa_bcde_f000), levels));
            assert_eq!(eptp.memory_type(), Some(memory_type));
        }
    }

    #[test]
    fn an_address_cannot_spill_into_other_fields() {
        let eptp = Eptp::new(Hpa::new(u64::MAX), 4, MemoryType::WriteBack);
        assert_eq!(eptp.into_bits(), 0x000f_ffff_ffff_f01e);
    }
}
