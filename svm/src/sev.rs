//! Encrypted guests: what a guest has of SEV.

use x86_virt_core::{TableRow, register, register_rows};

register! {
    /// SEV_FEATURES of the VMSA: what a guest with SEV-ES or SEV-SNP uses. GUEST_SEV_FEATURES of the VMCB has the same form.
    ///
    /// AMD APM vol. 2, section 15.36.2, "Enabling SEV-SNP", and appendix B, "VMCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::SevFeatures;
    ///
    /// assert!(SevFeatures::from_bits(0x21).snp_active() && SevFeatures::from_bits(0x21).debug_virtualization());
    /// ```
    pub struct SevFeatures(u64) {
        /// SNPActive: secure nested paging.
        #[doc(alias = "SVM_SEV_FEAT_SNP_ACTIVE")]
        pub snp_active: bool,
        /// vTOM: a virtual top of memory, not the page tables, says what is private.
        pub vtom: bool,
        /// ReflectVC: #VC is an exit of this level.
        pub reflect_vc: bool,
        /// RestrictedInjection: the host injects #HV only.
        #[doc(alias = "SVM_SEV_FEAT_RESTRICTED_INJECTION")]
        pub restricted_injection: bool,
        /// AlternateInjection: events are injected by way of the VMSA.
        #[doc(alias = "SVM_SEV_FEAT_ALTERNATE_INJECTION")]
        pub alternate_injection: bool,
        /// DebugVirtualization: debug registers are switched. DebugSwap in Linux.
        #[doc(alias = "SVM_SEV_FEAT_DEBUG_SWAP")]
        pub debug_virtualization: bool,
        /// PreventHostIBS: the host must not sample the guest.
        pub prevent_host_ibs: bool,
        /// BTBIsolation: nobody else trains the branch target buffer.
        pub btb_isolation: bool,
        /// VmplSSS: VMPL supervisor shadow stack.
        pub vmpl_sss: bool,
        /// SecureTSC: secure TSC.
        pub secure_tsc: bool,
        /// VmgexitParameter: VMGEXIT gives RAX and CPL.
        pub vmgexit_parameter: bool,
        /// PmcVirtualization: performance counters are virtualized. It must be allowed by ALLOWED_SEV_FEATURES.
        pub pmc_virtualization: bool,
        /// IbsVirtualization: instruction-based sampling is virtualized.
        pub ibs_virtualization: bool,
        /// GuestInterceptCtl: the guest controls intercepts of its lower levels. It must be allowed by ALLOWED_SEV_FEATURES.
        pub guest_intercept_ctl: bool,
        /// VmsaRegProt: registers in the VMSA are obfuscated.
        pub vmsa_reg_prot: bool,
        /// SmtProtection: the sibling thread must be idle.
        pub smt_protection: bool,
        /// SecureAvic: Secure AVIC. It must be allowed by ALLOWED_SEV_FEATURES.
        pub secure_avic: bool,
        #[bits(4)]
        _reserved17: u8,
        /// IbpbOnEntry: VMRUN is an indirect-branch prediction barrier.
        pub ibpb_on_entry: bool,
        #[bits(42)]
        _reserved22: u64,
    }
}

register! {
    /// ALLOWED_SEV_FEATURES, VMCB offset 138h: which features VMRUN lets a guest have.
    ///
    /// AMD APM vol. 2, section 15.36.20, "Allowed SEV Features".
    ///
    /// ```
    /// use x86_virt_svm::{AllowedSevFeatures, SevFeatures};
    ///
    /// let allowed = AllowedSevFeatures::allow(SevFeatures::new().with_snp_active(true));
    /// assert_eq!(allowed.into_bits(), 1 << 63 | 1);
    /// assert!(!allowed.permits(SevFeatures::new().with_secure_avic(true)));
    /// ```
    pub struct AllowedSevFeatures(u64) {
        /// ALLOWED_SEV_FEATURES_MASK. As features it is [`features`](Self::features).
        #[bits(62)]
        pub allowed_sev_features_mask: u64,
        _reserved62: bool,
        /// ALLOWED_SEV_FEATURES_EN: the mask is used.
        pub allowed_sev_features_en: bool,
    }
}

impl AllowedSevFeatures {
    /// These features are allowed, and no other.
    #[must_use]
    pub const fn allow(features: SevFeatures) -> Self {
        const MASK: u64 = (1 << 62) - 1;
        Self::new().with_allowed_sev_features_mask(features.into_bits() & MASK).with_allowed_sev_features_en(true)
    }

    /// The features that are allowed, if the mask is used.
    #[must_use]
    pub const fn features(self) -> Option<SevFeatures> {
        if self.allowed_sev_features_en() {
            Some(SevFeatures::from_bits(self.allowed_sev_features_mask()))
        } else {
            None
        }
    }

    /// Whether VMRUN lets a guest have `features`, as far as this register is concerned.
    ///
    /// Some features need a mask that allows them.
    #[must_use]
    pub const fn permits(self, features: SevFeatures) -> bool {
        const NEED_MASK: SevFeatures =
            SevFeatures::new().with_pmc_virtualization(true).with_guest_intercept_ctl(true).with_secure_avic(true);
        match self.features() {
            Some(allowed) => features.into_bits() & !allowed.into_bits() == 0,
            None => features.into_bits() & NEED_MASK.into_bits() == 0,
        }
    }
}

register! {
    /// SEV_STATUS, which a guest reads: what of SEV was on at its last VMRUN.
    ///
    /// AMD APM vol. 2, section 15.34.10, "SEV_STATUS MSR".
    ///
    /// ```
    /// use x86_virt_svm::SevStatus;
    ///
    /// let status = SevStatus::from_bits(7);
    /// assert!(status.sev_enabled() && status.snp_active() && status.features().snp_active());
    /// ```
    pub struct SevStatus(u64) {
        /// SEV_Enabled: SEV.
        #[doc(alias = "MSR_AMD64_SEV_ENABLED")]
        #[doc(alias = "MSR_AMD64_SEV_ENABLED_BIT")]
        pub sev_enabled: bool,
        /// SEV_ES_Enabled: SEV-ES.
        #[doc(alias = "MSR_AMD64_SEV_ES_ENABLED")]
        #[doc(alias = "MSR_AMD64_SEV_ES_ENABLED_BIT")]
        pub sev_es_enabled: bool,
        /// SNP_Active: SEV_FEATURES bit 0.
        #[doc(alias = "MSR_AMD64_SEV_SNP_ENABLED")]
        #[doc(alias = "MSR_AMD64_SEV_SNP_ENABLED_BIT")]
        pub snp_active: bool,
        /// vTOM_Active: SEV_FEATURES bit 1.
        #[doc(alias = "MSR_AMD64_SNP_VTOM")]
        #[doc(alias = "MSR_AMD64_SNP_VTOM_BIT")]
        pub vtom_active: bool,
        /// ReflectVC_Active: SEV_FEATURES bit 2.
        #[doc(alias = "MSR_AMD64_SNP_REFLECT_VC")]
        #[doc(alias = "MSR_AMD64_SNP_REFLECT_VC_BIT")]
        pub reflect_vc_active: bool,
        /// RestrictedInjection_Active: SEV_FEATURES bit 3.
        #[doc(alias = "MSR_AMD64_SNP_RESTRICTED_INJ")]
        #[doc(alias = "MSR_AMD64_SNP_RESTRICTED_INJ_BIT")]
        pub restricted_injection_active: bool,
        /// AlternateInjection_Active: SEV_FEATURES bit 4.
        #[doc(alias = "MSR_AMD64_SNP_ALT_INJ")]
        #[doc(alias = "MSR_AMD64_SNP_ALT_INJ_BIT")]
        pub alternate_injection_active: bool,
        /// DebugVirtualization_Active: SEV_FEATURES bit 5.
        #[doc(alias = "MSR_AMD64_SNP_DEBUG_SWAP")]
        #[doc(alias = "MSR_AMD64_SNP_DEBUG_SWAP_BIT")]
        pub debug_virtualization_active: bool,
        /// PreventHostIBS_Active: SEV_FEATURES bit 6.
        #[doc(alias = "MSR_AMD64_SNP_PREVENT_HOST_IBS")]
        #[doc(alias = "MSR_AMD64_SNP_PREVENT_HOST_IBS_BIT")]
        pub prevent_host_ibs_active: bool,
        /// SNPBTBIsolation_Active: SEV_FEATURES bit 7.
        #[doc(alias = "MSR_AMD64_SNP_BTB_ISOLATION")]
        #[doc(alias = "MSR_AMD64_SNP_BTB_ISOLATION_BIT")]
        pub snp_btb_isolation_active: bool,
        /// VmplSSS_Active: SEV_FEATURES bit 8.
        #[doc(alias = "MSR_AMD64_SNP_VMPL_SSS")]
        #[doc(alias = "MSR_AMD64_SNP_VMPL_SSS_BIT")]
        pub vmpl_sss_active: bool,
        /// SecureTsc_Active: SEV_FEATURES bit 9.
        #[doc(alias = "MSR_AMD64_SNP_SECURE_TSC")]
        #[doc(alias = "MSR_AMD64_SNP_SECURE_TSC_BIT")]
        pub secure_tsc_active: bool,
        /// VmgexitParameter_Active: SEV_FEATURES bit 10.
        #[doc(alias = "MSR_AMD64_SNP_VMGEXIT_PARAM")]
        #[doc(alias = "MSR_AMD64_SNP_VMGEXIT_PARAM_BIT")]
        pub vmgexit_parameter_active: bool,
        /// PmcVirtualization_Active: SEV_FEATURES bit 11.
        pub pmc_virtualization_active: bool,
        /// IbsVirtualization_Active: SEV_FEATURES bit 12.
        #[doc(alias = "MSR_AMD64_SNP_IBS_VIRT")]
        #[doc(alias = "MSR_AMD64_SNP_IBS_VIRT_BIT")]
        pub ibs_virtualization_active: bool,
        /// GuestInterceptCtl_Active: SEV_FEATURES bit 13.
        pub guest_intercept_ctl_active: bool,
        /// VmsaRegProt_Active: SEV_FEATURES bit 14.
        #[doc(alias = "MSR_AMD64_SNP_VMSA_REG_PROT")]
        #[doc(alias = "MSR_AMD64_SNP_VMSA_REG_PROT_BIT")]
        #[doc(alias = "MSR_AMD64_SNP_VMSA_REG_PROTECTION")]
        pub vmsa_reg_prot_active: bool,
        /// SmtProtection_Active: SEV_FEATURES bit 15.
        #[doc(alias = "MSR_AMD64_SNP_SMT_PROT")]
        #[doc(alias = "MSR_AMD64_SNP_SMT_PROT_BIT")]
        #[doc(alias = "MSR_AMD64_SNP_SMT_PROTECTION")]
        pub smt_protection_active: bool,
        /// SecureAVIC_Active: SEV_FEATURES bit 16.
        pub secure_avic_active: bool,
        #[bits(4)]
        _reserved19: u8,
        /// IbpbOnEntry_Active: SEV_FEATURES bit 21.
        #[doc(alias = "MSR_AMD64_SNP_IBPB_ON_ENTRY")]
        #[doc(alias = "MSR_AMD64_SNP_IBPB_ON_ENTRY_BIT")]
        pub ibpb_on_entry_active: bool,
        #[bits(40)]
        _reserved24: u64,
    }
}

impl SevStatus {
    /// The features that are on.
    #[must_use]
    pub const fn features(self) -> SevFeatures {
        SevFeatures::from_bits(self.into_bits() >> 2)
    }
}

/// Visits the bits as rows.
pub(crate) fn sev_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<SevFeatures>("svm_sev_feature", "SEV_FEATURES", visit);
    register_rows::<AllowedSevFeatures>("svm_sev_feature", "ALLOWED_SEV_FEATURES", visit);
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Register;

    use super::{AllowedSevFeatures, SevFeatures, SevStatus};

    #[test]
    fn status_is_features_and_two_bits_more() {
        let features = SevFeatures::FIELDS.iter().map(|field| field.offset + 2);
        assert!(SevStatus::FIELDS.iter().skip(2).map(|field| field.offset).eq(features));
        assert!(SevStatus::from_bits(1 << 23).features().ibpb_on_entry());
    }

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let bit = |bit: u32| SevFeatures::from_bits(1 << bit);
        assert!(bit(1).vtom() && bit(5).debug_virtualization() && bit(9).secure_tsc() && bit(13).guest_intercept_ctl());
        assert!(bit(16).secure_avic() && bit(21).ibpb_on_entry());
        assert_eq!(SevFeatures::FIELDS.len(), 18);
    }

    #[test]
    fn some_features_need_a_mask() {
        let (off, snp) = (AllowedSevFeatures::new(), SevFeatures::from_bits(1));
        assert!(off.permits(snp) && !off.permits(snp.with_secure_avic(true)));
        let on = AllowedSevFeatures::allow(snp.with_secure_avic(true));
        assert!(on.permits(snp.with_secure_avic(true)) && !on.permits(snp.with_vtom(true)));
        assert_eq!(AllowedSevFeatures::allow(SevFeatures::from_bits(u64::MAX)).into_bits(), !(1 << 62));
    }
}
