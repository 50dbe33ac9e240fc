//! Nested paging and other extensions.

use x86_virt_core::register;

/// Defines the register with these bits 63:8.
macro_rules! nested_control {
    ($($high:tt)*) => {
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
                #[doc(alias = "SVM_NESTED_CTL_NP_ENABLE")]
                pub np_enable: bool,
                /// Secure Encrypted Virtualization.
                #[doc(alias = "SVM_NESTED_CTL_SEV_ENABLE")]
                pub sev: bool,
                /// Encrypted state for Secure Encrypted Virtualization.
                #[doc(alias = "SVM_NESTED_CTL_SEV_ES_ENABLE")]
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
                $($high)*
            }
        }
    };
}

#[cfg(not(feature = "provisional"))]
nested_control! {
    #[bits(56)]
    _reserved8: u64,
}

#[cfg(feature = "provisional")]
nested_control! {
    #[bits(3)]
    _reserved8: u8,
    /// Page-modification logging. Provisional: patches of Linux, 2025.
    pub pml: bool,
    #[bits(52)]
    _reserved12: u64,
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
        #[doc(alias = "LBR_CTL_ENABLE_MASK")]
        pub lbr_virtualization_enable: bool,
        /// VMLOAD and VMSAVE of the guest take guest-physical addresses.
        #[doc(alias = "VIRTUAL_VMLOAD_VMSAVE_ENABLE_MASK")]
        pub virtual_vmload_vmsave: bool,
        /// Instruction-based sampling is switched.
        pub ibs_virtualization_enable: bool,
        /// Performance counters are switched.
        pub pmc_virtualization_enable: bool,
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

#[cfg(test)]
mod tests {
    use super::{NestedControl, RapControl, VirtualExtensions};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let names = "NP_ENABLE SEV SEV_ES GMET SSS_CHECK VTE ROGPT INVLPGB_TLBSYNC";
        assert_eq!(NestedControl::from_bits(0xff).to_string(), format!("0x00000000000000ff {names}"));
        let above = NestedControl::from_bits(!0xff).to_string();
        assert_eq!(above, if cfg!(feature = "provisional") { "0xffffffffffffff00 PML" } else { "0xffffffffffffff00" });
        let names =
            "LBR_VIRTUALIZATION_ENABLE VIRTUAL_VMLOAD_VMSAVE IBS_VIRTUALIZATION_ENABLE PMC_VIRTUALIZATION_ENABLE";
        assert_eq!(VirtualExtensions::from_bits(0x1f).to_string(), format!("0x000000000000001f {names}"));
        assert_eq!(RapControl::from_bits(0xff).to_string(), "0xff ALLOW_LARGER_RAP CLEAR_RAP");
    }

    #[cfg(feature = "provisional")]
    #[test]
    fn page_modification_logging_is_bit_11() {
        assert_eq!(NestedControl::new().with_pml(true).into_bits(), 1 << 11);
    }
}
