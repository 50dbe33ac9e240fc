//! An entry of a nested page table.

use x86_virt_core::register;
use x86_virt_core::{Access, Hpa};

register! {
    /// An entry of a nested page table, of any level: the entry of the host's own long-mode paging.
    ///
    /// AMD APM vol. 2, section 5.3, "Long-Mode Page Translation", section 5.4, "Page-Translation-Table Entry Fields", and section
    /// 15.25.5, "Nested Table Walk".
    ///
    /// ```
    /// use x86_virt_core::Access;
    /// use x86_virt_npt::NptEntry;
    ///
    /// let entry = NptEntry::from_bits(0x8000_0000_1f00_0005);
    /// assert_eq!(entry.access(), Access::READ);
    /// assert_eq!(entry.hpa().get(), 0x1f00_0000);
    /// ```
    pub struct NptEntry(u64) {
        /// Bit 0: P, present, and so readable.
        #[doc(alias = "PT_PRESENT_MASK")]
        pub present: bool,
        /// Bit 1: R/W, data may be written.
        #[doc(alias = "PT_WRITABLE_MASK")]
        pub writable: bool,
        /// Bit 2: U/S. Every access of a guest is one of a user, so it is set wherever a guest may go. With guest mode execute
        /// trap (GMET), instructions of a guest's supervisor mode cannot be fetched from such a page.
        #[doc(alias = "PT_USER_MASK")]
        pub user: bool,
        /// Bit 3: PWT, bit 0 of the PAT index.
        #[doc(alias = "PT_PWT_MASK")]
        pub pwt: bool,
        /// Bit 4: PCD, bit 1 of the PAT index.
        #[doc(alias = "PT_PCD_MASK")]
        pub pcd: bool,
        /// Bit 5: A, the entry was used.
        #[doc(alias = "PT_ACCESSED_MASK")]
        pub accessed: bool,
        /// Bit 6 of a page: D, the page was written.
        #[doc(alias = "PT_DIRTY_MASK")]
        pub dirty: bool,
        /// Bit 7: PS at levels 2 and 3, set in a page; PAT at level 1, bit 2 of the PAT index.
        #[doc(alias = "PT_PAGE_SIZE_MASK")]
        #[doc(alias = "PT_PAT_MASK")]
        pub page_size_or_pat: bool,
        /// Bit 8 of a page: G.
        #[doc(alias = "PT_GLOBAL_MASK")]
        pub global: bool,
        #[bits(3)]
        _available9: u8,
        /// Bits 51:12: the address. Bits from the physical-address width on are reserved. In a 2 MiB or 1 GiB page, bit 12 is PAT
        /// and the bits from there to 20 or 29 are reserved.
        #[bits(40)]
        pub frame_number: u64,
        #[bits(7)]
        _available52: u8,
        /// Bits 62:59 of a page: MPK, protection key.
        #[bits(4)]
        pub protection_key: u8,
        /// Bit 63: NX, instructions may not be fetched. Reserved while EFER.NXE of the host is 0.
        #[doc(alias = "PT64_NX_MASK")]
        pub no_execute: bool,
    }
}

/// Bit 12 of a 2 MiB or 1 GiB page: PAT, bit 2 of the PAT index.
pub(crate) const LARGE_PAT: u64 = 1 << 12;

impl NptEntry {
    /// The address of the page or the table. Bit 12 of a large page is not part of it: see [`PAT`](Self::pat_index).
    #[must_use]
    pub const fn hpa(self) -> Hpa {
        Hpa::new(self.frame_number() << 12)
    }

    /// The same with the address `hpa`, of which bits 51 to 12 count.
    #[must_use]
    pub const fn with_hpa(self, hpa: Hpa) -> Self {
        self.with_frame_number((hpa.get() >> 12) & 0xff_ffff_ffff)
    }

    /// What the entry allows a guest: nothing unless it is present and for users.
    #[must_use]
    pub const fn access(self) -> Access {
        if !self.present() || !self.user() {
            return Access::NONE;
        }
        let access = if self.writable() { Access::RW } else { Access::READ };
        if self.no_execute() { access } else { access.union(Access::EXECUTE) }
    }

    /// What the entry of a page allows a guest with guest mode execute trap (GMET): U/S counts for execution only.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout", offset 090h.
    #[must_use]
    pub const fn trapped_access(self) -> Access {
        if !self.present() {
            return Access::NONE;
        }
        let access = if self.writable() { Access::RW } else { Access::READ };
        if self.no_execute() {
            access
        } else if self.user() {
            access.union(Access::EXECUTE_USER)
        } else {
            access.union(Access::EXECUTE)
        }
    }

    /// Whether, with guest mode execute trap (GMET), a fetch at privilege levels 0 to 2 of the guest from this page is a
    /// nested page fault: it is a page of user mode, or of no instructions.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout", offset 090h.
    #[must_use]
    pub const fn traps_supervisor_fetch(self) -> bool {
        self.user() || self.no_execute()
    }

    /// Whether, with supervisor shadow stack restrictions (SSSCheckEn), the page is a supervisor shadow stack: it has the
    /// encoding of shadow-stack pages, D set and R/W clear.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout", offset 090h.
    #[must_use]
    pub const fn is_supervisor_shadow_stack(self) -> bool {
        self.present() && self.dirty() && !self.writable()
    }

    /// The index in the PAT that a page has, which is large or of 4 KiB.
    #[must_use]
    pub fn pat_index(self, is_large: bool) -> u8 {
        let pat = if is_large { self.into_bits() & LARGE_PAT != 0 } else { self.page_size_or_pat() };
        u8::from(self.pwt()) | u8::from(self.pcd()) << 1 | u8::from(pat) << 2
    }
}

/// The group and the requirement of a field.
pub(crate) fn note(field: &str) -> (&'static str, &'static str) {
    match field {
        "PRESENT" | "WRITABLE" | "USER" | "PWT" | "PCD" | "ACCESSED" | "FRAME_NUMBER" => ("both", ""),
        "DIRTY" | "PAGE_SIZE_OR_PAT" | "GLOBAL" => ("page", ""),
        "PROTECTION_KEY" => ("page", "CR4.PKE of the host"),
        "NO_EXECUTE" => ("both", "EFER.NXE of the host"),
        _ => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};
    use x86_virt_core::{Access, Hpa, Register};

    use super::{NptEntry, note};

    type Flag = fn(&NptEntry) -> bool;

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let table: [(u32, Flag); 10] = [
            (0, NptEntry::present),
            (1, NptEntry::writable),
            (2, NptEntry::user),
            (3, NptEntry::pwt),
            (4, NptEntry::pcd),
            (5, NptEntry::accessed),
            (6, NptEntry::dirty),
            (7, NptEntry::page_size_or_pat),
            (8, NptEntry::global),
            (63, NptEntry::no_execute),
        ];
        for (bit, has) in table {
            assert!(has(&NptEntry::from_bits(1 << bit)), "bit {bit}");
            assert!(!has(&NptEntry::from_bits(!(1 << bit))), "bit {bit}");
        }
        assert_eq!(NptEntry::from_bits(0xf << 59).protection_key(), 0xf);
        assert_eq!(NptEntry::from_bits(u64::MAX).hpa().get(), 0x000f_ffff_ffff_f000);
    }

    #[test]
    fn there_is_a_note_on_every_field() {
        assert_eq!(NptEntry::FIELDS.len(), 12);
        assert!(NptEntry::FIELDS.iter().all(|field| !note(field.name).0.is_empty()));
    }

    #[test]
    fn user_pages_trap_supervisor_fetches() {
        let table = [(0x5, true), (0x7, true), (0x1, false), (1 << 63 | 0x1, true)];
        for (bits, traps) in table {
            assert_eq!(NptEntry::from_bits(bits).traps_supervisor_fetch(), traps, "{bits:#x}");
        }
    }

    #[test]
    fn user_pages_are_executed_in_user_mode_only_with_the_trap() {
        let table = [
            (0x2, Access::NONE),
            (0x3, Access::ALL),
            (0x1, Access::RX),
            (0x5, Access::READ.union(Access::EXECUTE_USER)),
            (1 << 63 | 0x7, Access::RW),
            (1 << 63 | 0x3, Access::RW),
        ];
        for (bits, access) in table {
            let entry = NptEntry::from_bits(bits);
            assert_eq!(entry.trapped_access(), access, "{bits:#x}");
            let supervisor = access.contains(Access::EXECUTE_SUPERVISOR);
            assert!(!entry.present() || supervisor != entry.traps_supervisor_fetch());
        }
    }

    #[test]
    fn dirty_pages_that_are_read_only_are_shadow_stacks() {
        for (bits, is_shadow_stack) in [(0x45, true), (0x47, false), (0x05, false), (0x44, false)] {
            assert_eq!(NptEntry::from_bits(bits).is_supervisor_shadow_stack(), is_shadow_stack, "{bits:#x}");
        }
    }

    proptest! {
        #[test]
        fn the_address_spills_into_no_other_field(bits in any::<u64>(), hpa in any::<u64>()) {
            let entry = NptEntry::from_bits(bits).with_hpa(Hpa::new(hpa));
            let address = 0x000f_ffff_ffff_f000;
            prop_assert_eq!(entry.into_bits(), bits & !address | hpa & address);
        }
    }

    #[test]
    fn the_pat_bit_is_12_in_a_large_page_and_7_in_a_small_one() {
        let entry = NptEntry::from_bits(1 << 12 | 1 << 3);
        assert_eq!((entry.pat_index(true), entry.pat_index(false)), (5, 1));
        let entry = NptEntry::from_bits(1 << 7 | 1 << 4);
        assert_eq!((entry.pat_index(true), entry.pat_index(false)), (2, 6));
    }
}
