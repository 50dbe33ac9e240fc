//! An entry of an extended page table.

use x86_virt_core::register;
use x86_virt_core::{Access, Hpa, MemoryType, PageAttributes};

use crate::tables::Note;

register! {
    /// An entry of an extended page table, of any level.
    ///
    /// In an entry that refers to a table only READ, WRITE, EXECUTE, ACCESSED, EXECUTE_USER and the address mean something; bits 7
    /// to 3 are reserved there, and bits 63 to 52 ignored. What is reserved by level says
    /// [`reserved_bits`](Self::reserved_bits).
    ///
    /// Intel SDM vol. 3, section 31.3.2, "EPT Translation Mechanism", tables 31-1 to 31-7.
    ///
    /// ```
    /// use x86_virt_core::Access;
    /// use x86_virt_ept::EptEntry;
    ///
    /// let entry = EptEntry::from_bits(0x1f00_0037);
    /// assert_eq!(entry.access(), Access::ALL);
    /// assert_eq!(entry.hpa().get(), 0x1f00_0000);
    /// ```
    pub struct EptEntry(u64) {
        /// Bit 0: R, data may be read.
        #[doc(alias = "VMX_EPT_READABLE_MASK")]
        pub read: bool,
        /// Bit 1: W, data may be written.
        #[doc(alias = "VMX_EPT_WRITABLE_MASK")]
        pub write: bool,
        /// Bit 2: X, instructions may be fetched; with mode-based execute control, from supervisor-mode addresses.
        #[doc(alias = "VMX_EPT_EXECUTABLE_MASK")]
        pub execute: bool,
        /// Bits 5:3 of a page: EPT memory type. Reserved in an entry that refers to a table.
        #[doc(alias = "VMX_EPT_MT_EPTE_SHIFT")]
        #[doc(alias = "VMX_EPT_MT_MASK")]
        #[bits(3)]
        pub memory_type_encoding: u8,
        /// Bit 6 of a page: the guest's PAT is ignored. Reserved in an entry that refers to a table.
        #[doc(alias = "VMX_EPT_IPAT_BIT")]
        pub ignore_pat: bool,
        /// Bit 7: set in a 1 GiB or 2 MiB page; clear in an entry that refers to a table; ignored in a 4 KiB page.
        pub large: bool,
        /// Bit 8: A, the entry was used, if the EPTP enables accessed and dirty flags.
        #[doc(alias = "VMX_EPT_ACCESS_BIT")]
        pub accessed: bool,
        /// Bit 9 of a page: D, the page was written, if the EPTP enables accessed and dirty flags.
        #[doc(alias = "VMX_EPT_DIRTY_BIT")]
        pub dirty: bool,
        /// Bit 10: instructions may be fetched from user-mode addresses, with mode-based execute control.
        #[doc(alias = "VMX_EPT_USER_EXECUTABLE_MASK")]
        pub execute_user: bool,
        _ignored11: bool,
        /// Bits 51:12: the address. Bits from the physical-address width on are reserved, and so are bits 29:12 of a 1 GiB page and
        /// 20:12 of a 2 MiB page.
        #[bits(40)]
        pub frame_number: u64,
        #[bits(5)]
        _ignored52: u8,
        /// Bit 57 of a page: verify guest paging, with that control.
        pub verify_guest_paging: bool,
        /// Bit 58 of a page: paging-write access, with that control.
        pub paging_write: bool,
        _ignored59: bool,
        /// Bit 60 of a page: supervisor shadow stack, if the EPTP enables it.
        pub supervisor_shadow_stack: bool,
        /// Bit 61 of a 4 KiB page: sub-page write permissions, with that control.
        pub sub_page_write: bool,
        _ignored62: bool,
        /// Bit 63 of a page, or of an entry that is not present: suppress #VE.
        #[doc(alias = "VMX_EPT_SUPPRESS_VE_BIT")]
        pub suppress_ve: bool,
    }
}

impl EptEntry {
    /// The address of the page or the table.
    #[must_use]
    pub const fn hpa(self) -> Hpa {
        Hpa::new(self.frame_number() << 12)
    }

    /// The same with the address `hpa`, of which bits 51 to 12 count.
    #[must_use]
    pub const fn with_hpa(self, hpa: Hpa) -> Self {
        self.with_frame_number((hpa.get() >> 12) & 0xff_ffff_ffff)
    }

    /// What READ, WRITE and EXECUTE allow without mode-based execute control: EXECUTE counts for both modes.
    #[must_use]
    #[inline]
    pub const fn access(self) -> Access {
        let [low, ..] = self.into_bits().to_le_bytes();
        // READ, WRITE and EXECUTE are the lowest bits of `Access` too; EXECUTE_USER is next to EXECUTE_SUPERVISOR.
        Access::from_bits_truncate(low & 7 | (low & 4) << 1)
    }

    /// What READ, WRITE, EXECUTE and EXECUTE_USER allow with mode-based execute control.
    #[must_use]
    #[inline]
    pub const fn mode_based_access(self) -> Access {
        let [low, high, ..] = self.into_bits().to_le_bytes();
        Access::from_bits_truncate(low & 7 | (high & 4) << 1)
    }

    /// The same with READ, WRITE and EXECUTE as `access` says; EXECUTE is set if supervisor mode may execute.
    #[must_use]
    pub const fn with_access(self, access: Access) -> Self {
        self.with_read(access.contains(Access::READ))
            .with_write(access.contains(Access::WRITE))
            .with_execute(access.contains(Access::EXECUTE_SUPERVISOR))
    }

    /// The same with VERIFY_GUEST_PAGING, SUB_PAGE_WRITE and SUPPRESS_VE as `attributes` say.
    #[must_use]
    pub const fn with_attributes(self, attributes: PageAttributes) -> Self {
        self.with_verify_guest_paging(attributes.contains(PageAttributes::VERIFY_GUEST_PAGING))
            .with_sub_page_write(attributes.contains(PageAttributes::SUB_PAGE_WRITE))
            .with_suppress_ve(attributes.contains(PageAttributes::SUPPRESS_VE))
    }

    /// The memory type, or `None` if its encoding is reserved.
    #[must_use]
    pub const fn memory_type(self) -> Option<MemoryType> {
        match MemoryType::from_encoding(self.memory_type_encoding()) {
            Some(MemoryType::UncacheableMinus) => None,
            known => known,
        }
    }

    /// The same with `memory_type`, of which UC- is reserved.
    #[must_use]
    pub const fn with_memory_type(self, memory_type: MemoryType) -> Self {
        self.with_memory_type_encoding(memory_type.encoding())
    }
}

const BOTH: &str = "both";
const PAGE: &str = "page";

/// Where each field means something, and what it needs.
pub(crate) const NOTES: [Note; 15] = [
    Note::of("READ").group(BOTH),
    Note::of("WRITE").group(BOTH),
    Note::of("EXECUTE").group(BOTH),
    Note::of("MEMORY_TYPE_ENCODING").group(PAGE),
    Note::of("IGNORE_PAT").group(PAGE),
    Note::of("LARGE").group("2 MiB and 1 GiB page").requires("EPT_VPID_CAP.PAGES_2M or PAGES_1G"),
    Note::of("ACCESSED").group(BOTH).requires("EPTP.ACCESSED_DIRTY"),
    Note::of("DIRTY").group(PAGE).requires("EPTP.ACCESSED_DIRTY"),
    Note::of("EXECUTE_USER").group(BOTH).requires("MODE_BASED_EXECUTE_CONTROL"),
    Note::of("FRAME_NUMBER").group(BOTH),
    Note::of("VERIFY_GUEST_PAGING").group(PAGE).requires("GUEST_PAGING_VERIFICATION"),
    Note::of("PAGING_WRITE").group(PAGE).requires("EPT_PAGING_WRITE_CONTROL"),
    Note::of("SUPERVISOR_SHADOW_STACK").group(PAGE).requires("EPTP.SUPERVISOR_SHADOW_STACK"),
    Note::of("SUB_PAGE_WRITE").group("4 KiB page").requires("SUB_PAGE_WRITE_PERMISSIONS"),
    Note::of("SUPPRESS_VE").group("page or not present").requires("EPT_VIOLATION_VE"),
];

#[cfg(test)]
mod tests {
    use super::EptEntry;

    type Flag = fn(&EptEntry) -> bool;

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let table: [(u32, Flag); 13] = [
            (0, EptEntry::read),
            (1, EptEntry::write),
            (2, EptEntry::execute),
            (6, EptEntry::ignore_pat),
            (7, EptEntry::large),
            (8, EptEntry::accessed),
            (9, EptEntry::dirty),
            (10, EptEntry::execute_user),
            (57, EptEntry::verify_guest_paging),
            (58, EptEntry::paging_write),
            (60, EptEntry::supervisor_shadow_stack),
            (61, EptEntry::sub_page_write),
            (63, EptEntry::suppress_ve),
        ];
        for (bit, has) in table {
            assert!(has(&EptEntry::from_bits(1 << bit)), "bit {bit}");
            assert!(!has(&EptEntry::from_bits(!(1 << bit))), "bit {bit}");
        }
        assert_eq!(EptEntry::from_bits(0b11_1000).memory_type_encoding(), 7);
        assert_eq!(EptEntry::from_bits(u64::MAX).hpa().get(), 0x000f_ffff_ffff_f000);
    }
}
