//! VMX aborts.

use x86_virt_core::codes;

codes! {
    /// A VMX-abort indicator: why the processor shut down in a VM exit. It is in bytes 4 to 7 of the VMCS region.
    ///
    /// Intel SDM vol. 3, chapter 30, "VMX Aborts"; section 27.2, "Format of the VMCS Region".
    ///
    /// ```
    /// use x86_virt_vmx::AbortIndicator;
    ///
    /// assert_eq!(AbortIndicator::from_bits(4), AbortIndicator::LOADING_HOST_MSRS);
    /// ```
    pub struct AbortIndicator(u32) {
        /// MSRs of the guest could not be saved.
        SAVING_GUEST_MSRS = 1 aka "VMX_ABORT_SAVE_GUEST_MSR_FAIL";
        /// The host's page-directory-pointer-table entries failed their checks.
        HOST_PDPTES = 2 aka "VMX_ABORT_LOAD_HOST_PDPTE_FAIL";
        /// The current VMCS was corrupted by writes to its region, and the exit cannot be completed.
        CORRUPTED_VMCS = 3;
        /// MSRs of the host could not be loaded.
        LOADING_HOST_MSRS = 4 aka "VMX_ABORT_LOAD_HOST_MSR_FAIL";
        /// There was a machine check in the exit.
        MACHINE_CHECK = 5;
        /// The processor was in IA-32e mode, and the VM-exit control "host address-space size" was 0.
        HOST_ADDRESS_SPACE_SIZE = 6;
    }
}

#[cfg(test)]
mod tests {
    use super::AbortIndicator;

    #[test]
    fn six_causes_are_numbered_from_1() {
        assert!(AbortIndicator::ALL.iter().map(|code| code.value).eq(1..=6));
        assert_eq!(AbortIndicator::from_bits(0).name(), None);
    }
}
