//! Exceptions and software interrupts.

use x86_virt_core::register;

register! {
    /// EXITINFO1 of an exception.
    ///
    /// AMD APM vol. 2, section 15.12, "Exception Intercepts". Undefined if the exception has no error code.
    ///
    /// ```
    /// use x86_virt_svm::ExceptionInfo;
    ///
    /// assert_eq!(ExceptionInfo::from_bits(6).error_code(), 6);
    /// ```
    pub struct ExceptionInfo(u64) {
        /// The error code that the exception would have pushed.
        pub error_code: u32,
        _reserved32: u32,
    }
}

register! {
    /// EXITINFO1 of `INT n`, with decode assists.
    ///
    /// AMD APM vol. 2, section 15.8.2, "INTn Intercepts".
    ///
    /// ```
    /// use x86_virt_svm::SwintInfo;
    ///
    /// assert_eq!(SwintInfo::from_bits(0x80).vector(), 0x80);
    /// ```
    pub struct SwintInfo(u64) {
        /// Software interrupt number.
        pub vector: u8,
        #[bits(56)]
        _reserved8: u64,
    }
}
