//! MOV to and from control and debug registers.

use x86_virt_core::register;

register! {
    /// EXITINFO1 of an access to a control register, with decode assists.
    ///
    /// AMD APM vol. 2, section 15.8.1, "MOV CRx/DRx Intercepts".
    ///
    /// ```
    /// use x86_virt_svm::MoveInfo;
    ///
    /// let info = MoveInfo::from_bits(1 << 63 | 3);
    /// assert!(info.is_move() && info.gpr() == 3);
    /// ```
    pub struct MoveInfo(u64) {
        /// GPR number: the general-purpose register.
        #[doc(alias = "SVM_EXITINFO_REG_MASK")]
        #[bits(4)]
        pub gpr: u8,
        #[bits(59)]
        _reserved4: u64,
        /// The instruction was MOV, not CLTS, LMSW or SMSW.
        pub is_move: bool,
    }
}

register! {
    /// EXITINFO1 of a MOV to or from a debug register, with decode assists.
    ///
    /// AMD APM vol. 2, section 15.8.1, "MOV CRx/DRx Intercepts".
    ///
    /// ```
    /// use x86_virt_svm::MoveDrInfo;
    ///
    /// assert_eq!(MoveDrInfo::from_bits(11).gpr(), 11);
    /// ```
    pub struct MoveDrInfo(u64) {
        /// GPR number: the general-purpose register.
        #[bits(4)]
        pub gpr: u8,
        #[bits(60)]
        _reserved4: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::{MoveDrInfo, MoveInfo};

    #[test]
    fn move_bits_are_where_the_manual_has_them() {
        assert!(MoveInfo::from_bits(1 << 63).is_move());
        assert_eq!(MoveInfo::from_bits(0xf).gpr(), 15);
        assert_eq!(MoveDrInfo::from_bits(u64::MAX).gpr(), 15);
    }
}
