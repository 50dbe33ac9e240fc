//! Bytes of the instruction that the processor has fetched.

use x86_virt_core::register;

register! {
    /// How many bytes of the instruction are in INSN_BYTES, offset 0d0h.
    ///
    /// AMD APM vol. 2, section 15.8, "Decode Assists", and appendix B, "VMCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::FetchedBytes;
    ///
    /// assert_eq!(FetchedBytes::from_bits(0xf2).number_of_bytes_fetched(), 2);
    /// ```
    pub struct FetchedBytes(u8) {
        /// Number of bytes fetched, 0 to 15.
        #[bits(4)]
        pub number_of_bytes_fetched: u8,
        #[bits(4)]
        _reserved4: u8,
    }
}
