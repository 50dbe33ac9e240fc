//! VM_CR.

use x86_virt_core::register;

register! {
    /// VM_CR: global controls of SVM.
    ///
    /// AMD APM vol. 2, section 15.30.1, "VM_CR MSR (C001_0114h)".
    ///
    /// ```
    /// use x86_virt_svm::VmCr;
    ///
    /// assert!(VmCr::from_bits(0x18).svmdis() && VmCr::from_bits(0x18).lock());
    /// ```
    pub struct VmCr(u64) {
        /// DPD: debug port disabled.
        pub dpd: bool,
        /// R_INIT: INIT is redirected to #SX.
        pub r_init: bool,
        /// DIS_A20M: A20 masking is disabled.
        pub dis_a20m: bool,
        /// LOCK: LOCK and SVMDIS cannot be written.
        #[doc(alias = "SVM_VM_CR_SVM_LOCK_MASK")]
        pub lock: bool,
        /// SVMDIS: EFER.SVME cannot be set.
        #[doc(alias = "SVM_VM_CR_SVM_DIS_MASK")]
        pub svmdis: bool,
        #[bits(59)]
        _reserved5: u64,
    }
}
