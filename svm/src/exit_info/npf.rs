//! Nested page faults.

use x86_virt_core::{Access, NestedFaultCause, register};

register! {
    /// EXITINFO1 of a nested page fault.
    ///
    /// AMD APM vol. 2, section 15.25.6, "Nested versus Guest Page Faults, Fault Ordering", section 15.36.10, "RMP and VMPL
    /// Access Checks", and section 15.36.21.4, "Guest APIC Backing Page".
    ///
    /// ```
    /// use x86_virt_core::{Access, NestedFaultCause};
    /// use x86_virt_svm::NpfInfo;
    ///
    /// let info = NpfInfo::from_bits(0x1_0000_0007);
    /// assert_eq!((info.access(), info.cause()), (Access::WRITE, NestedFaultCause::Permission));
    /// ```
    pub struct NpfInfo(u64) {
        /// P: the page was present.
        pub p: bool,
        /// RW: the access was a write.
        pub rw: bool,
        /// US: the access was one of a user, as all accesses of a guest are.
        pub us: bool,
        /// RSV: a reserved bit of a nested entry was set.
        pub rsv: bool,
        /// ID: the access was an instruction fetch.
        pub id: bool,
        _reserved5: bool,
        /// SS: the access was one to a shadow stack.
        pub ss: bool,
        #[bits(24)]
        _reserved7: u32,
        /// RMP: the reverse map did not allow it.
        pub rmp: bool,
        /// The fault was in the translation of the final guest-physical address.
        pub final_address: bool,
        /// The fault was in the translation of a table of the guest.
        pub table_walk: bool,
        /// ENC: the guest-physical address was encrypted.
        pub enc: bool,
        /// SIZEM: page sizes of the nested entry and of the reverse map differ.
        pub sizem: bool,
        /// VMPL: the VM permission level did not allow it.
        pub vmpl: bool,
        /// SSS: supervisor shadow-stack restriction.
        pub sss: bool,
        #[bits(25)]
        _reserved38: u32,
        /// The access was one of AVIC hardware to the backing page of a guest with Secure AVIC. The exit cannot be restarted.
        pub not_restartable: bool,
    }
}

impl NpfInfo {
    /// What the guest, or the processor on its behalf, wanted to do.
    #[must_use]
    pub const fn access(self) -> Access {
        if self.rw() {
            Access::WRITE
        } else if self.id() {
            Access::EXECUTE
        } else {
            Access::READ
        }
    }

    /// Why it could not.
    #[must_use]
    pub const fn cause(self) -> NestedFaultCause {
        if self.rsv() {
            NestedFaultCause::Misconfiguration
        } else if self.p() {
            NestedFaultCause::Permission
        } else {
            NestedFaultCause::NotMapped
        }
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Access, NestedFaultCause, Register};

    use super::NpfInfo;

    #[test]
    fn npf_bits_are_where_the_manual_has_them() {
        let not_mapped = NpfInfo::from_bits(0x1_0000_0004);
        assert_eq!((not_mapped.access(), not_mapped.cause()), (Access::READ, NestedFaultCause::NotMapped));
        assert!(not_mapped.final_address() && !not_mapped.table_walk());
        let walk = NpfInfo::from_bits(0x2_0000_0006);
        assert_eq!((walk.access(), walk.table_walk()), (Access::WRITE, true));
        let fetch = NpfInfo::from_bits(0x1_0000_0015);
        assert_eq!((fetch.access(), fetch.cause()), (Access::EXECUTE, NestedFaultCause::Permission));
        assert_eq!(NpfInfo::from_bits(0xd).cause(), NestedFaultCause::Misconfiguration);
        assert!(NpfInfo::from_bits(1 << 31).rmp() && NpfInfo::from_bits(1 << 37).sss());
        assert!(NpfInfo::from_bits(1 << 36).vmpl() && NpfInfo::from_bits(1 << 63).not_restartable());
        assert_eq!(NpfInfo::FIELDS.len(), 14);
    }
}
