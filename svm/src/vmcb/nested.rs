//! Nested paging and other extensions.

use x86_virt_core::register;

register! {
    /// Nested paging and encryption, offset 090h.
    ///
    /// AMD APM vol. 2, section 15.25.3, "Enabling Nested Paging", and appendix B, "VMCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::NestedControl;
    ///
    /// assert_eq!(NestedControl::new().with_np_enable(true).into_bits(), 1);
    /// ```
    pub struct NestedControl(u64) {
        /// NP_ENABLE: nested paging.
        pub np_enable: bool,
        /// Secure Encrypted Virtualization.
        pub sev: bool,
        /// Encrypted state for Secure Encrypted Virtualization.
        pub sev_es: bool,
        /// Guest mode execute trap.
        pub gmet: bool,
        /// SSSCheck: supervisor shadow-stack restrictions.
        pub sss_check: bool,
        /// Virtual transparent encryption. Used only with SEV, and without SEV-ES.
        pub vte: bool,
        /// Read-only guest page tables.
        pub rogpt: bool,
        /// The guest may execute INVLPGB and TLBSYNC.
        pub invlpgb_tlbsync: bool,
        #[bits(56)]
        _reserved8: u64,
    }
}

register! {
    /// Virtualization of last branches and others, offset 0b8h.
    ///
    /// AMD APM vol. 2, section 15.23.2, "LBR Virtualization CPUID Feature Detection", and appendix B, "VMCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::VirtualExtensions;
    ///
    /// assert_eq!(VirtualExtensions::new().with_virtual_vmload_vmsave(true).into_bits(), 2);
    /// ```
    pub struct VirtualExtensions(u64) {
        /// Last-branch records are switched between host and guest.
        pub lbr: bool,
        /// VMLOAD and VMSAVE of the guest take guest-physical addresses.
        pub virtual_vmload_vmsave: bool,
        /// Instruction-based sampling is switched.
        pub ibs: bool,
        /// Performance counters are switched.
        pub pmc: bool,
        #[bits(60)]
        _reserved4: u64,
    }
}

register! {
    /// Return-address predictor, offset 05dh.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::RapControl;
    ///
    /// assert!(RapControl::from_bits(2).clear_rap());
    /// ```
    pub struct RapControl(u8) {
        /// ALLOW_LARGER_RAP.
        pub allow_larger_rap: bool,
        /// CLEAR_RAP: a VMRUN clears the predictor.
        pub clear_rap: bool,
        #[bits(6)]
        _reserved2: u8,
    }
}
