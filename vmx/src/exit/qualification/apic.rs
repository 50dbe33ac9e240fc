//! Accesses to the APIC, and what its virtualization reports.

use x86_virt_core::{codes, register};

codes! {
    /// How the APIC-access page was accessed.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for APIC-Access VM Exits from
    /// Linear Accesses and Guest-Physical Accesses").
    pub struct ApicAccessType(u8 & 0xf) {
        /// Linear access: an instruction read data.
        LINEAR_READ = 0 aka "TYPE_LINEAR_APIC_INST_READ";
        /// Linear access: an instruction wrote data.
        LINEAR_WRITE = 1 aka "TYPE_LINEAR_APIC_INST_WRITE";
        /// Linear access: an instruction was fetched.
        LINEAR_FETCH = 2 aka "TYPE_LINEAR_APIC_INST_FETCH";
        /// Linear access: a read or a write in the delivery of an event.
        LINEAR_EVENT_DELIVERY = 3 aka "TYPE_LINEAR_APIC_EVENT";
        /// Linear access: for monitoring.
        LINEAR_MONITORING = 4;
        /// Guest-physical access: in the delivery of an event.
        GUEST_PHYSICAL_EVENT_DELIVERY = 10 aka "TYPE_PHYSICAL_APIC_EVENT";
        /// Guest-physical access: for monitoring or trace.
        GUEST_PHYSICAL_MONITORING = 11;
        /// Guest-physical access: an instruction was fetched or executed.
        GUEST_PHYSICAL_INSTRUCTION = 15 aka "TYPE_PHYSICAL_APIC_INST";
    }
}

register! {
    /// Exit qualification of an APIC access.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for APIC-Access VM Exits from
    /// Linear Accesses and Guest-Physical Accesses").
    pub struct ApicAccessQualification(u64) {
        /// Offset in the APIC page, of a linear access.
        #[bits(12)]
        pub offset: u16,
        /// The kind of the access.
        #[bits(4)]
        pub access_type: ApicAccessType,
        /// The access was asynchronous to instructions, and not part of the delivery of an event.
        pub asynchronous: bool,
        #[bits(47)]
        _reserved17: u64,
    }
}

register! {
    /// Exit qualification of an APIC write.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct ApicWriteQualification(u64) {
        /// Offset in the virtual-APIC page.
        #[bits(12)]
        pub offset: u16,
        #[bits(52)]
        _reserved12: u64,
    }
}

register! {
    /// Exit qualification of a virtualized end of interrupt.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct VirtualizedEoiQualification(u64) {
        /// Vector of the interrupt that ended.
        pub vector: u8,
        #[bits(56)]
        _reserved8: u64,
    }
}

register! {
    /// Exit qualification of a start-up IPI.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    pub struct StartupIpiQualification(u64) {
        /// The vector: the number of the page in which the processor is to start.
        pub vector: u8,
        #[bits(56)]
        _reserved8: u64,
    }
}
