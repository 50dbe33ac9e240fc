//! TLB control.

use x86_virt_core::codes;

codes! {
    /// What a VMRUN flushes.
    ///
    /// AMD APM vol. 2, section 15.16.1, "TLB Flush".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::TlbControl;
    ///
    /// assert_eq!(TlbControl::FLUSH_GUEST.into_bits(), 3);
    /// assert_eq!(TlbControl::FLUSH_ALL.to_string(), "FLUSH_ALL");
    /// ```
    pub struct TlbControl(u8) {
        /// Nothing.
        NOTHING = 0 aka "TLB_CONTROL_DO_NOTHING";
        /// The entire TLB: all ASIDs, the host's too.
        FLUSH_ALL = 1 aka "TLB_CONTROL_FLUSH_ALL_ASID";
        /// What belongs to the guest's ASID. Needs the feature FlushByAsid.
        FLUSH_GUEST = 3 aka "TLB_CONTROL_FLUSH_ASID";
        /// What belongs to the guest's ASID and is not global. Needs the feature FlushByAsid.
        FLUSH_GUEST_NON_GLOBAL = 7 aka "TLB_CONTROL_FLUSH_ASID_LOCAL";
    }
}

#[cfg(test)]
mod tests {
    use super::TlbControl;

    #[test]
    fn values_are_those_of_the_manual() {
        assert_eq!(TlbControl::ALL.iter().map(|code| code.value).sum::<u8>(), 1 + 3 + 7);
        assert_eq!(TlbControl::from_bits(2).name(), None);
    }
}
