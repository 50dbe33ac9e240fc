//! VMGEXIT: what a guest with SEV-ES asks the host for.

use x86_virt_core::{TableRow, code_rows, codes};

codes! {
    /// SW_EXITCODE of the GHCB where it is not an exit code: an event that the protocol defines.
    ///
    /// Guest-Hypervisor Communication Block Standardization (publication 56421), chapter 4, table "List of Supported
    /// Non-Automatic Events".
    ///
    /// ```
    /// use x86_virt_svm::VmgexitCode;
    ///
    /// assert_eq!(VmgexitCode::MMIO_READ.into_bits(), 0x8000_0001);
    /// assert_eq!(VmgexitCode::from_bits(0x72).name(), None);
    /// ```
    pub struct VmgexitCode(u64) {
        /// Read of memory-mapped I/O.
        MMIO_READ = 0x8000_0001 aka "SVM_VMGEXIT_MMIO_READ";
        /// Write of memory-mapped I/O.
        MMIO_WRITE = 0x8000_0002 aka "SVM_VMGEXIT_MMIO_WRITE";
        /// The handler of an NMI is done.
        NMI_COMPLETE = 0x8000_0003 aka "SVM_VMGEXIT_NMI_COMPLETE";
        /// Hold this processor until the next INIT and SIPI.
        AP_RESET_HOLD = 0x8000_0004 aka "SVM_VMGEXIT_AP_HLT_LOOP" "SVM_EXIT_AP_RESET_HOLD";
        /// Address of the table by which application processors start.
        AP_JUMP_TABLE = 0x8000_0005 aka "SVM_VMGEXIT_AP_JUMP_TABLE";
        /// Change the state of pages.
        SNP_PAGE_STATE_CHANGE = 0x8000_0010 aka "SVM_VMGEXIT_PSC" "SVM_EXIT_SNP_PAGE_STATE_CHANGE";
        /// A message to the secure processor.
        SNP_GUEST_REQUEST = 0x8000_0011 aka "SVM_VMGEXIT_GUEST_REQUEST";
        /// A message to the secure processor, with certificates.
        SNP_EXTENDED_GUEST_REQUEST = 0x8000_0012 aka "SVM_VMGEXIT_EXT_GUEST_REQUEST";
        /// Create a processor.
        SNP_AP_CREATION = 0x8000_0013 aka "SVM_VMGEXIT_AP_CREATION" "SVM_EXIT_SNP_AP_CREATION";
        /// The page in which the host leaves events for #HV.
        HV_DOORBELL_PAGE = 0x8000_0014 aka "SVM_VMGEXIT_HVDB_PAGE";
        /// Send an IPI.
        HV_IPI = 0x8000_0015 aka "SVM_VMGEXIT_HV_IPI";
        /// The APIC IDs of all processors.
        APIC_ID_LIST = 0x8000_0017 aka "SVM_EXIT_GET_APIC_IDS" "SVM_VMGEXIT_GET_APIC_IDS";
        /// Run another VM permission level.
        SNP_RUN_VMPL = 0x8000_0018 aka "SVM_VMGEXIT_SNP_RUN_VMPL";
        /// The backing page of Secure AVIC.
        ///
        /// Provisional: one source, Linux.
        SECURE_AVIC = 0x8000_001a aka "SVM_VMGEXIT_SAVIC" if feature = "provisional";
        /// How interrupts are injected.
        ///
        /// Provisional: one source, Coconut SVSM, where the number has changed.
        CONFIGURE_INTERRUPT_INJECTION = 0x8000_001b aka "CONFIGURE_INT_INJ" if feature = "provisional";
        /// No more alternate injection.
        ///
        /// Provisional: one source, Coconut SVSM, where the number has changed.
        DISABLE_ALTERNATE_INJECTION = 0x8000_001c aka "DISABLE_ALT_INJ" if feature = "provisional";
        /// End of one interrupt.
        ///
        /// Provisional: one source, Coconut SVSM, where the number has changed.
        SPECIFIC_EOI = 0x8000_001d if feature = "provisional";
        /// The features of the host.
        HYPERVISOR_FEATURES = 0x8000_fffd aka "SVM_VMGEXIT_HV_FEATURES" "SVM_EXIT_HYPERVISOR_FEATURES";
        /// End the guest.
        TERMINATION_REQUEST = 0x8000_fffe aka "SVM_VMGEXIT_TERM_REQUEST";
        /// The guest had an event that it cannot handle.
        UNSUPPORTED_EVENT = 0x8000_ffff aka "SVM_VMGEXIT_UNSUPPORTED_EVENT" "SVM_EXIT_UNSUPPORTED";
    }
}

/// Visits the codes as rows.
pub(crate) fn vmgexit_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    code_rows("svm_vmgexit_code", "", VmgexitCode::ALL, visit);
}

#[cfg(test)]
mod tests {
    use super::VmgexitCode;

    #[test]
    fn there_are_16_codes_and_four_that_are_provisional() {
        assert_eq!(VmgexitCode::ALL.iter().filter(|code| !code.provisional).count(), 16);
        assert_eq!(VmgexitCode::ALL.len(), if cfg!(feature = "provisional") { 20 } else { 16 });
    }

    #[test]
    fn codes_are_apart_from_exit_codes() {
        assert!(VmgexitCode::ALL.iter().all(|code| code.value >> 16 == 0x8000));
        assert_eq!(VmgexitCode::SNP_AP_CREATION.into_bits(), 0x8000_0013);
        assert_eq!(VmgexitCode::UNSUPPORTED_EVENT.into_bits(), 0x8000_ffff);
    }
}
