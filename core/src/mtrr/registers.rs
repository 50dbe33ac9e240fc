//! Words of the MSRs.

use crate::register;

register! {
    /// IA32_MTRRCAP (0FEH).
    ///
    /// Intel SDM vol. 3, section 13.11.1, "MTRR Feature Identification"; AMD APM vol. 2, section 7.7.2, "MTRRs".
    pub struct MtrrCapabilities(u64) {
        /// VCNT: how many variable ranges there are.
        pub vcnt: u8,
        /// FIX: there are fixed ranges.
        pub fix: bool,
        _reserved9: bool,
        /// WC: there is the memory type write-combining.
        pub wc: bool,
        /// SMRR: there is a range for system-management memory.
        pub smrr: bool,
        #[bits(52)]
        _other12: u64,
    }
}

register! {
    /// IA32_MTRR_DEF_TYPE (2FFH).
    ///
    /// Intel SDM vol. 3, section 13.11.2.1, "IA32_MTRR_DEF_TYPE MSR"; AMD APM vol. 2, section 7.7.2, "MTRRs".
    pub struct MtrrDefaultType(u64) {
        /// Type of what no range covers.
        pub r#type: u8,
        #[bits(2)]
        _reserved8: u8,
        /// FE: the fixed ranges are enabled.
        pub fe: bool,
        /// E: the MTRRs are enabled. If it is clear, all memory is uncacheable.
        pub e: bool,
        #[bits(52)]
        _reserved12: u64,
    }
}

register! {
    /// IA32_MTRR_PHYSBASEn (200H, 202H, ...).
    ///
    /// Intel SDM vol. 3, section 13.11.2.3, "Variable Range MTRRs"; AMD APM vol. 2, section 7.7.2, "MTRRs".
    pub struct MtrrPhysBase(u64) {
        /// Type of the range.
        pub r#type: u8,
        #[bits(4)]
        _reserved8: u8,
        /// PhysBase: bits 51:12 of the address.
        #[bits(40)]
        pub physbase: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

register! {
    /// IA32_MTRR_PHYSMASKn (201H, 203H, ...).
    ///
    /// Intel SDM vol. 3, section 13.11.2.3, "Variable Range MTRRs"; AMD APM vol. 2, section 7.7.2, "MTRRs".
    pub struct MtrrPhysMask(u64) {
        #[bits(11)]
        _reserved0: u16,
        /// V: the pair is in use.
        pub v: bool,
        /// PhysMask: which of bits 51:12 of an address are those of PhysBase if it is in the range.
        #[bits(40)]
        pub physmask: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}
