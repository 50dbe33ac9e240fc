//! Accesses to guest-physical memory.

use x86_virt_core::register;

register! {
    /// Exit qualification of an EPT violation.
    ///
    /// Bits 9 to 11 need advanced information about EPT violations, bit 22 of IA32_VMX_EPT_VPID_CAP.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for EPT Violations").
    pub struct EptViolationQualification(u64) {
        /// The access was a data read.
        #[doc(alias = "EPT_VIOLATION_ACC_READ")]
        #[doc(alias = "EPT_VIOLATION_ACC_READ_BIT")]
        pub read: bool,
        /// The access was a data write.
        #[doc(alias = "EPT_VIOLATION_ACC_WRITE")]
        #[doc(alias = "EPT_VIOLATION_ACC_WRITE_BIT")]
        pub write: bool,
        /// The access was an instruction fetch.
        #[doc(alias = "EPT_VIOLATION_ACC_INSTR")]
        #[doc(alias = "EPT_VIOLATION_ACC_INSTR_BIT")]
        pub fetch: bool,
        /// The guest-physical address is readable.
        pub readable: bool,
        /// The guest-physical address is writable.
        pub writable: bool,
        /// The guest-physical address is executable.
        pub executable: bool,
        /// The guest-physical address is executable for user-mode linear addresses.
        pub user_executable: bool,
        /// The guest linear address is valid.
        #[doc(alias = "EPT_VIOLATION_GVA_IS_VALID")]
        #[doc(alias = "EPT_VIOLATION_GVA_IS_VALID_BIT")]
        pub linear_address_valid: bool,
        /// The access was to the translation of the linear address, not to a paging structure.
        #[doc(alias = "EPT_VIOLATION_GVA_TRANSLATED")]
        #[doc(alias = "EPT_VIOLATION_GVA_TRANSLATED_BIT")]
        pub final_translation: bool,
        /// The linear address is a user-mode address.
        pub user_linear_address: bool,
        /// The linear address is writable.
        pub linear_writable: bool,
        /// The linear address is not executable.
        pub linear_execute_disable: bool,
        /// IRET had ended the blocking of NMIs.
        pub nmi_unblocking_due_to_iret: bool,
        /// The access was to a shadow stack.
        pub shadow_stack: bool,
        /// The page is a supervisor shadow-stack page.
        pub supervisor_shadow_stack: bool,
        /// Guest-paging verification failed.
        pub guest_paging_verification: bool,
        /// The access was asynchronous to instructions.
        pub asynchronous: bool,
        #[bits(47)]
        _reserved17: u64,
    }
}

register! {
    /// Exit qualification of a full page-modification log.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct PageModificationLogFullQualification(u64) {
        #[bits(12)]
        _undefined0: u16,
        /// IRET had ended the blocking of NMIs.
        pub nmi_unblocking_due_to_iret: bool,
        #[bits(3)]
        _undefined13: u8,
        /// The access was asynchronous to instructions.
        pub asynchronous: bool,
        #[bits(47)]
        _undefined17: u64,
    }
}

register! {
    /// Exit qualification of an event of sub-page write permissions.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct SppQualification(u64) {
        #[bits(11)]
        _undefined0: u16,
        /// The table has no entry: an SPP miss. Without this bit, an SPP misconfiguration.
        pub spp_miss: bool,
        /// IRET had ended the blocking of NMIs.
        pub nmi_unblocking_due_to_iret: bool,
        #[bits(3)]
        _undefined13: u8,
        /// The access was asynchronous to instructions.
        pub asynchronous: bool,
        #[bits(47)]
        _undefined17: u64,
    }
}

register! {
    /// Exit qualification of an instruction timeout.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct InstructionTimeoutQualification(u64) {
        /// The guest's context in the VMCS is not valid: the guest cannot go on.
        #[doc(alias = "NOTIFY_VM_CONTEXT_INVALID")]
        pub context_invalid: bool,
        #[bits(11)]
        _undefined1: u16,
        /// IRET had ended the blocking of NMIs.
        pub nmi_unblocking_due_to_iret: bool,
        #[bits(51)]
        _undefined13: u64,
    }
}
