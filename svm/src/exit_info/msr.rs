//! RDMSR and WRMSR.

use x86_virt_core::register;

register! {
    /// EXITINFO1 of an MSR exit. The number of the MSR is in the guest's ECX.
    ///
    /// AMD APM vol. 2, section 15.11, "MSR Intercepts".
    ///
    /// ```
    /// use x86_virt_svm::MsrInfo;
    ///
    /// assert!(MsrInfo::from_bits(1).wrmsr());
    /// ```
    pub struct MsrInfo(u64) {
        /// The instruction was WRMSR, not RDMSR.
        pub wrmsr: bool,
        #[bits(63)]
        _reserved1: u64,
    }
}
