//! What AVIC did not do itself.

use x86_virt_core::register;

use crate::avic::{AvicIpiFailure, AvicRegister};

register! {
    /// EXITINFO1 of an IPI that AVIC did not deliver in full: the interrupt command register.
    ///
    /// AMD APM vol. 2, section 15.29.9.1, "AVIC IPI Delivery Not Completed".
    ///
    /// ```
    /// use x86_virt_svm::AvicIcr;
    ///
    /// let icr = AvicIcr::from_bits(0x0100_0000_0000_00f0);
    /// assert_eq!((icr.icrl(), icr.icrh()), (0xf0, 0x0100_0000));
    /// ```
    pub struct AvicIcr(u64) {
        /// ICRL: the low half of the interrupt command register.
        pub icrl: u32,
        /// ICRH: its high half.
        pub icrh: u32,
    }
}

register! {
    /// EXITINFO2 of an IPI that AVIC did not deliver in full: why, and to whom.
    ///
    /// AMD APM vol. 2, section 15.29.9.1, "AVIC IPI Delivery Not Completed".
    ///
    /// ```
    /// use x86_virt_svm::{AvicIpiFailure, AvicIpiInfo};
    ///
    /// let info = AvicIpiInfo::from_bits(1 << 32 | 3);
    /// assert_eq!((info.id(), info.index()), (AvicIpiFailure::TARGET_NOT_RUNNING, 3));
    /// ```
    pub struct AvicIpiInfo(u64) {
        /// Index: the entry of the physical or logical table, for IDs 1 to 3.
        #[bits(12)]
        pub index: u16,
        #[bits(20)]
        _reserved12: u32,
        /// ID: why the IPI was not delivered.
        #[bits(32)]
        pub id: AvicIpiFailure,
    }
}

register! {
    /// EXITINFO1 of an access to a register of the virtual APIC that AVIC does not accelerate.
    ///
    /// AMD APM vol. 2, section 15.29.9.2, "AVIC Access to Un-accelerated vAPIC register".
    ///
    /// ```
    /// use x86_virt_svm::{AvicAccessInfo, AvicRegister};
    ///
    /// let info = AvicAccessInfo::from_bits(1 << 32 | 0x320);
    /// assert!(info.rw() && info.register() == AvicRegister::LVT_TIMER);
    /// ```
    pub struct AvicAccessInfo(u64) {
        #[bits(4)]
        _reserved0: u8,
        /// APIC_Offset bits 11:4. The register is [`register`](Self::register).
        #[doc(alias = "AVIC_UNACCEL_ACCESS_OFFSET_MASK")]
        pub apic_offset: u8,
        #[bits(20)]
        _reserved12: u32,
        /// R/W: the access was a write.
        pub rw: bool,
        #[bits(31)]
        _reserved33: u32,
    }
}

impl AvicAccessInfo {
    /// The register at the offset.
    #[must_use]
    pub fn register(self) -> AvicRegister {
        AvicRegister::from_bits(u16::from(self.apic_offset()) << 4)
    }
}

register! {
    /// EXITINFO2 of an access to a register of the virtual APIC that AVIC does not accelerate.
    ///
    /// AMD APM vol. 2, section 15.29.9.2, "AVIC Access to Un-accelerated vAPIC register".
    ///
    /// ```
    /// use x86_virt_svm::AvicEoiInfo;
    ///
    /// assert_eq!(AvicEoiInfo::from_bits(0x31).vector(), 0x31);
    /// ```
    pub struct AvicEoiInfo(u64) {
        /// Vector of the interrupt that an EOI is for. Undefined for other registers.
        pub vector: u8,
        #[bits(56)]
        _reserved8: u64,
    }
}
