//! Words of protection: page-fault error codes, control-flow enforcement, speculation.

use crate::register;

register! {
    /// The error code of a page fault.
    ///
    /// Intel SDM vol. 3, section 5.7, "Page-Fault Exceptions"; AMD APM vol. 2, section 8.4.2, "Page-Fault Error Code".
    ///
    /// ```
    /// use x86_virt_core::PageFaultErrorCode;
    ///
    /// assert_eq!(PageFaultErrorCode::from_bits(6).to_string(), "0x00000006 WR US");
    /// ```
    pub struct PageFaultErrorCode(u32) {
        /// The page was present.
        pub p: bool,
        /// The access was a write.
        pub wr: bool,
        /// The access was one of user mode.
        pub us: bool,
        /// A reserved bit was set in an entry.
        pub rsvd: bool,
        /// The access was an instruction fetch.
        pub id: bool,
        /// Protection keys.
        pub pk: bool,
        /// The access was to a shadow stack.
        pub ss: bool,
        /// There was no HLAT translation (Intel).
        pub hlat: bool,
        #[bits(7)]
        _reserved8: u8,
        /// SGX (Intel).
        pub sgx: bool,
        #[bits(15)]
        _reserved16: u16,
        /// The reverse map table did not allow the access (AMD).
        pub rmp: bool,
    }
}

register! {
    /// IA32_S_CET: control-flow enforcement at privilege levels 0 to 2.
    ///
    /// Intel SDM vol. 1, section 17.2.3, "Supervisor Shadow Stack" and the MSRs of chapter 17, "Control-flow Enforcement Technology
    /// (CET)"; AMD APM vol. 2, chapter 18, "Shadow Stacks".
    ///
    /// ```
    /// use x86_virt_core::SupervisorCet;
    ///
    /// assert!(SupervisorCet::from_bits(0x800).tracker());
    /// ```
    pub struct SupervisorCet(u64) {
        /// Shadow stacks.
        pub sh_stk_en: bool,
        /// WRSS.
        pub wr_shstk_en: bool,
        /// Indirect-branch tracking.
        pub endbr_en: bool,
        /// Legacy code is compatible by a bitmap.
        pub leg_iw_en: bool,
        /// The no-track prefix.
        pub no_track_en: bool,
        /// Tracking cannot be suppressed.
        pub suppress_dis: bool,
        #[bits(4)]
        _reserved6: u8,
        /// Tracking is suppressed.
        pub suppress: bool,
        /// State of the tracker: WAIT_FOR_ENDBRANCH.
        pub tracker: bool,
        /// Bits 63:12 of the bitmap's address.
        #[bits(52)]
        pub eb_leg_bitmap_base: u64,
    }
}

register! {
    /// IA32_SPEC_CTRL.
    ///
    /// Intel SDM vol. 4, chapter 2, "Model-Specific Registers (MSRs)" (IA32_SPEC_CTRL); AMD APM vol. 2, section 3.2.9,
    /// "Speculation Control MSRs".
    ///
    /// ```
    /// use x86_virt_core::SpecCtrl;
    ///
    /// assert_eq!(SpecCtrl::from_bits(5).to_string(), "0x0000000000000005 IBRS SSBD");
    /// ```
    pub struct SpecCtrl(u64) {
        /// Indirect-branch restricted speculation.
        pub ibrs: bool,
        /// Single-thread indirect-branch predictors.
        pub stibp: bool,
        /// Speculative-store bypass disable.
        pub ssbd: bool,
        /// Indirect-branch prediction is disabled in user mode.
        pub ipred_dis_u: bool,
        /// Indirect-branch prediction is disabled in supervisor mode.
        pub ipred_dis_s: bool,
        /// Alternate return prediction is disabled in user mode.
        pub rrsba_dis_u: bool,
        /// Alternate return prediction is disabled in supervisor mode.
        pub rrsba_dis_s: bool,
        /// Fast store forwarding prediction is disabled.
        pub psfd: bool,
        /// Data-dependent prefetching is disabled in user mode.
        pub ddpd_u: bool,
        _reserved9: bool,
        /// Branch-history influence is disabled in supervisor mode.
        pub bhi_dis_s: bool,
        #[bits(53)]
        _reserved11: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::{PageFaultErrorCode, SpecCtrl, SupervisorCet};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        assert_eq!(PageFaultErrorCode::new().with_ss(true).with_sgx(true).with_rmp(true).into_bits(), 0x8000_8040);
        assert_eq!(SupervisorCet::new().with_suppress(true).with_suppress_dis(true).into_bits(), 0x420);
        assert_eq!(SupervisorCet::new().with_eb_leg_bitmap_base(1).into_bits(), 0x1000);
        assert_eq!(SpecCtrl::new().with_bhi_dis_s(true).with_psfd(true).into_bits(), 0x480);
    }
}
