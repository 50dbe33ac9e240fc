//! The tables in memory by which AVIC finds the targets of interrupts.

use x86_virt_core::{Hpa, register};

/// Bits of an address below the number of its page.
const PAGE_SHIFT: u32 = 12;

register! {
    /// An entry of the physical APIC ID table: where a virtual processor's registers are, and where it runs.
    ///
    /// AMD APM vol. 2, section 15.29.5.2, "Physical APIC ID Table".
    ///
    /// ```
    /// use x86_virt_core::Hpa;
    /// use x86_virt_svm::AvicPhysicalEntry;
    ///
    /// let entry = AvicPhysicalEntry::new().with_v(true).with_backing_page(Hpa::new(0x1234_5000));
    /// assert_eq!(entry.into_bits(), 0x8000_0000_1234_5000);
    /// assert_eq!(entry.backing_page(), Hpa::new(0x1234_5000));
    /// ```
    pub struct AvicPhysicalEntry(u64) {
        /// Host physical APIC ID: where the virtual processor runs. Of no meaning unless `ir` is set.
        #[doc(alias = "AVIC_PHYSICAL_ID_ENTRY_HOST_PHYSICAL_ID_MASK")]
        #[bits(12)]
        pub host_physical_apic_id: u16,
        /// Backing page pointer, bits 51:12. The address is [`backing_page`](Self::backing_page).
        #[doc(alias = "AVIC_PHYSICAL_ID_ENTRY_BACKING_PAGE_MASK")]
        #[bits(40)]
        pub backing_page_pointer: u64,
        #[bits(10)]
        _reserved52: u16,
        /// IR: the virtual processor runs on a physical one.
        #[doc(alias = "AVIC_PHYSICAL_ID_ENTRY_IS_RUNNING_MASK")]
        pub ir: bool,
        /// V: the entry has a backing page.
        #[doc(alias = "AVIC_PHYSICAL_ID_ENTRY_VALID_MASK")]
        pub v: bool,
    }
}

impl AvicPhysicalEntry {
    /// The address of the backing page.
    #[must_use]
    pub const fn backing_page(self) -> Hpa {
        Hpa::new(self.backing_page_pointer() << PAGE_SHIFT)
    }

    /// The entry with the backing page that holds `page`.
    #[must_use]
    pub const fn with_backing_page(self, page: Hpa) -> Self {
        const ADDRESS: u64 = (1 << 52) - 1;
        self.with_backing_page_pointer((page.get() & ADDRESS) >> PAGE_SHIFT)
    }
}

register! {
    /// An entry of the logical APIC ID table: which virtual processor has a logical ID.
    ///
    /// AMD APM vol. 2, section 15.29.5.3, "Logical APIC ID Table".
    ///
    /// ```
    /// use x86_virt_svm::AvicLogicalEntry;
    ///
    /// let entry = AvicLogicalEntry::new().with_guest_physical_apic_id(3).with_v(true);
    /// assert_eq!(entry.into_bits(), 0x8000_0003);
    /// ```
    pub struct AvicLogicalEntry(u32) {
        /// Guest physical APIC ID.
        #[doc(alias = "AVIC_LOGICAL_ID_ENTRY_GUEST_PHYSICAL_ID_MASK")]
        pub guest_physical_apic_id: u8,
        #[bits(23)]
        _reserved8: u32,
        /// V: the entry has an ID.
        #[doc(alias = "AVIC_LOGICAL_ID_ENTRY_VALID_BIT")]
        #[doc(alias = "AVIC_LOGICAL_ID_ENTRY_VALID_MASK")]
        pub v: bool,
    }
}

impl AvicLogicalEntry {
    /// The index of the entry of a logical ID in flat mode. `None` unless one bit of the ID is set.
    ///
    /// AMD APM vol. 2, section 15.29.5.3, "Logical APIC ID Table".
    ///
    /// ```
    /// use x86_virt_svm::AvicLogicalEntry;
    ///
    /// assert_eq!(AvicLogicalEntry::flat_index(0x80), Some(7));
    /// assert_eq!(AvicLogicalEntry::flat_index(0x03), None);
    /// ```
    #[must_use]
    pub const fn flat_index(logical_id: u8) -> Option<u32> {
        if logical_id.is_power_of_two() { Some(logical_id.trailing_zeros()) } else { None }
    }

    /// The index of the entry of a logical ID in cluster mode. `None` unless one of bits 3:0 is set, and in cluster 15.
    ///
    /// AMD APM vol. 2, section 15.29.5.3, "Logical APIC ID Table".
    ///
    /// ```
    /// use x86_virt_svm::AvicLogicalEntry;
    ///
    /// assert_eq!(AvicLogicalEntry::cluster_index(0x24), Some(10));
    /// assert_eq!(AvicLogicalEntry::cluster_index(0xf1), None);
    /// ```
    #[must_use]
    pub fn cluster_index(logical_id: u8) -> Option<u32> {
        let (cluster, index) = (u32::from(logical_id >> 4), logical_id & 0xf);
        (cluster != 15 && index.is_power_of_two()).then(|| cluster * 4 + index.trailing_zeros())
    }
}

register! {
    /// The pointer to the physical APIC ID table, VMCB offset 0f8h.
    ///
    /// AMD APM vol. 2, section 15.29.4.2, "AVIC VMCB Fields".
    ///
    /// ```
    /// use x86_virt_core::Hpa;
    /// use x86_virt_svm::AvicPhysicalTable;
    ///
    /// let table = AvicPhysicalTable::new().with_table(Hpa::new(0x5000)).with_avic_physical_max_index(3);
    /// assert_eq!(table.into_bits(), 0x5003);
    /// ```
    pub struct AvicPhysicalTable(u64) {
        /// AVIC_PHYSICAL_MAX_INDEX: the last entry of the table. At most 255 without x2AVIC, 511 with x2AVIC, and 4095 with
        /// x2AVIC_EXT.
        #[bits(12)]
        pub avic_physical_max_index: u16,
        /// Physical APIC table pointer, bits 51:12. The address is [`table`](Self::table).
        #[bits(40)]
        pub physical_table_pointer: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

impl AvicPhysicalTable {
    /// The address of the table.
    #[must_use]
    pub const fn table(self) -> Hpa {
        Hpa::new(self.physical_table_pointer() << PAGE_SHIFT)
    }

    /// The pointer to the table in the page that holds `table`.
    #[must_use]
    pub const fn with_table(self, table: Hpa) -> Self {
        const ADDRESS: u64 = (1 << 52) - 1;
        self.with_physical_table_pointer((table.get() & ADDRESS) >> PAGE_SHIFT)
    }
}

register! {
    /// The doorbell, MSR C001_011Bh: a write tells a physical processor that the guest on it has an interrupt.
    ///
    /// AMD APM vol. 2, section 15.29.8.2, "Doorbell Mechanism".
    ///
    /// ```
    /// use x86_virt_svm::AvicDoorbell;
    ///
    /// assert_eq!(AvicDoorbell::new().with_physical_apic_id(5).into_bits(), 5);
    /// ```
    pub struct AvicDoorbell(u64) {
        /// Physical APIC ID of the processor.
        #[doc(alias = "AVIC_DOORBELL_PHYSICAL_ID_MASK")]
        #[bits(12)]
        pub physical_apic_id: u16,
        #[bits(52)]
        _reserved12: u64,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use x86_virt_core::Hpa;

    use super::{AvicLogicalEntry, AvicPhysicalEntry, AvicPhysicalTable};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let entry = AvicPhysicalEntry::from_bits(0xc00f_ffff_ffff_f123);
        assert!(entry.v() && entry.ir());
        assert_eq!((entry.backing_page(), entry.host_physical_apic_id()), (Hpa::new(0x000f_ffff_ffff_f000), 0x123));
        assert_eq!(AvicPhysicalTable::from_bits(0x1fff).avic_physical_max_index(), 0xfff);
    }

    #[test]
    fn offsets_of_logical_entries_are_those_of_the_manual() {
        let flat: std::vec::Vec<_> = (0..=u8::MAX).filter_map(AvicLogicalEntry::flat_index).map(|i| i * 4).collect();
        assert_eq!(flat, [0, 4, 8, 12, 16, 20, 24, 28]);
        for (cluster, index, offset) in [(0, 1, 0), (0, 8, 12), (1, 1, 16), (14, 8, 236)] {
            assert_eq!(AvicLogicalEntry::cluster_index(cluster << 4 | index).map(|i| i * 4), Some(offset));
        }
        let all: BTreeSet<_> = (0..=u8::MAX).filter_map(AvicLogicalEntry::cluster_index).collect();
        assert!(all.into_iter().eq(0..60));
    }

    proptest! {
        #[test]
        fn pages_come_back(page in 0..1_u64 << 40, bits: u64) {
            let page = Hpa::new(page << 12);
            prop_assert_eq!(AvicPhysicalEntry::from_bits(bits).with_backing_page(page).backing_page(), page);
            prop_assert_eq!(AvicPhysicalTable::from_bits(bits).with_table(page).table(), page);
            prop_assert_eq!(AvicPhysicalEntry::from_bits(bits).into_bits(), bits);
        }
    }
}
