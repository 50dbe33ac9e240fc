//! What a processor can do with extended page tables.

use x86_virt_core::register;

register! {
    /// The value of the MSR `IA32_VMX_EPT_VPID_CAP`.
    ///
    /// Intel SDM vol. 3, appendix A.10, "VPID and EPT Capabilities".
    ///
    /// ```
    /// use x86_virt_ept::EptCapabilities;
    ///
    /// let capabilities = EptCapabilities::from_bits(0xf01_0633_4141);
    /// assert!(capabilities.execute_only() && capabilities.page_walk_length_4() && capabilities.pages_1g());
    /// assert!(!capabilities.page_walk_length_5());
    /// ```
    pub struct EptCapabilities(u64) {
        /// Bit 0: pages that can be executed but not read.
        #[doc(alias = "VMX_EPT_EXECUTE_ONLY_BIT")]
        pub execute_only: bool,
        #[bits(5)]
        _reserved1: u8,
        /// Bit 6: 4 levels.
        #[doc(alias = "VMX_EPT_PAGE_WALK_4_BIT")]
        pub page_walk_length_4: bool,
        /// Bit 7: 5 levels.
        #[doc(alias = "VMX_EPT_PAGE_WALK_5_BIT")]
        pub page_walk_length_5: bool,
        /// Bit 8: tables can be read as uncacheable memory.
        #[doc(alias = "VMX_EPTP_UC_BIT")]
        pub tables_uncacheable: bool,
        #[bits(5)]
        _reserved9: u8,
        /// Bit 14: tables can be read as write-back memory.
        #[doc(alias = "VMX_EPTP_WB_BIT")]
        pub tables_write_back: bool,
        _reserved15: bool,
        /// Bit 16: 2 MiB pages.
        #[doc(alias = "VMX_EPT_2MB_PAGE_BIT")]
        pub pages_2m: bool,
        /// Bit 17: 1 GiB pages.
        #[doc(alias = "VMX_EPT_1GB_PAGE_BIT")]
        pub pages_1g: bool,
        #[bits(2)]
        _reserved18: u8,
        /// Bit 20: the INVEPT instruction.
        #[doc(alias = "VMX_EPT_INVEPT_BIT")]
        pub invept: bool,
        /// Bit 21: accessed and dirty flags.
        #[doc(alias = "VMX_EPT_AD_BIT")]
        pub accessed_dirty: bool,
        /// Bit 22: advanced information about EPT violations.
        pub advanced_violation_information: bool,
        /// Bit 23: control of supervisor shadow stacks.
        pub supervisor_shadow_stack: bool,
        _reserved24: bool,
        /// Bit 25: single-context INVEPT.
        #[doc(alias = "VMX_EPT_EXTENT_CONTEXT_BIT")]
        pub invept_single_context: bool,
        /// Bit 26: all-context INVEPT.
        #[doc(alias = "VMX_EPT_EXTENT_GLOBAL_BIT")]
        pub invept_all_contexts: bool,
        #[bits(5)]
        _reserved27: u8,
        /// Bit 32: the INVVPID instruction.
        #[doc(alias = "VMX_VPID_INVVPID_BIT")]
        pub invvpid: bool,
        #[bits(7)]
        _reserved33: u8,
        /// Bit 40: individual-address INVVPID.
        #[doc(alias = "VMX_VPID_EXTENT_INDIVIDUAL_ADDR_BIT")]
        pub invvpid_individual_address: bool,
        /// Bit 41: single-context INVVPID.
        #[doc(alias = "VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT")]
        pub invvpid_single_context: bool,
        /// Bit 42: all-context INVVPID.
        #[doc(alias = "VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT")]
        pub invvpid_all_contexts: bool,
        /// Bit 43: single-context INVVPID that retains global translations.
        #[doc(alias = "VMX_VPID_EXTENT_SINGLE_NON_GLOBAL_BIT")]
        pub invvpid_single_context_retaining_globals: bool,
        #[bits(4)]
        _reserved44: u8,
        /// Bits 53:48: the longest HLAT prefix.
        #[bits(6)]
        pub maximum_hlat_prefix: u8,
        #[bits(10)]
        _reserved54: u16,
    }
}

#[cfg(test)]
mod tests {
    use super::EptCapabilities;

    type Flag = fn(&EptCapabilities) -> bool;

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let table: [(u32, Flag); 18] = [
            (0, EptCapabilities::execute_only),
            (6, EptCapabilities::page_walk_length_4),
            (7, EptCapabilities::page_walk_length_5),
            (8, EptCapabilities::tables_uncacheable),
            (14, EptCapabilities::tables_write_back),
            (16, EptCapabilities::pages_2m),
            (17, EptCapabilities::pages_1g),
            (20, EptCapabilities::invept),
            (21, EptCapabilities::accessed_dirty),
            (22, EptCapabilities::advanced_violation_information),
            (23, EptCapabilities::supervisor_shadow_stack),
            (25, EptCapabilities::invept_single_context),
            (26, EptCapabilities::invept_all_contexts),
            (32, EptCapabilities::invvpid),
            (40, EptCapabilities::invvpid_individual_address),
            (41, EptCapabilities::invvpid_single_context),
            (42, EptCapabilities::invvpid_all_contexts),
            (43, EptCapabilities::invvpid_single_context_retaining_globals),
        ];
        for (bit, has) in table {
            assert!(has(&EptCapabilities::from_bits(1 << bit)), "bit {bit}");
            assert!(!has(&EptCapabilities::from_bits(!(1 << bit))), "bit {bit}");
        }
        assert_eq!(EptCapabilities::from_bits(0x25 << 48).maximum_hlat_prefix(), 0x25);
    }
}
