//! Failed entries.

use x86_virt_core::codes;

codes! {
    /// Which check of the guest state failed an entry: its exit qualification.
    ///
    /// Intel SDM vol. 3, chapter 29, "VM-Entry Failures During or After Loading Guest State".
    pub struct EntryFailureCause(u64) {
        /// A check that has no number of its own.
        OTHER = 0 aka "ENTRY_FAIL_DEFAULT" "VMENTER_ERR_NO_ERROR";
        /// Loading the page-directory-pointer-table entries.
        PDPTE_LOADING = 2 aka "ENTRY_FAIL_PDPTE" "VMENTER_ERR_GUEST_STATE_PDPTR_LOADING";
        /// Injection of an event that the interruptibility state blocks.
        BLOCKED_INJECTION = 3 aka "ENTRY_FAIL_NMI" "VMENTER_ERR_GUEST_STATE_INJECT_NMI_BLOCKING_EVENTS";
        /// The VMCS link pointer.
        VMCS_LINK_POINTER = 4 aka "ENTRY_FAIL_VMCS_LINK_PTR" "VMENTER_ERR_GUEST_STATE_LINK_POINTER";
    }
}
