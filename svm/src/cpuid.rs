//! CPUID leaves of SVM and of memory encryption.

use x86_virt_core::{TableRow, register, register_rows};

register! {
    /// Revision of SVM: CPUID Fn8000_000A EAX.
    ///
    /// AMD APM vol. 3, appendix E.4.9, "Function 8000_000Ah: SVM Features".
    ///
    /// ```
    /// use x86_virt_svm::SvmRevision;
    ///
    /// assert_eq!(SvmRevision::from_bits(1).svm_rev(), 1);
    /// ```
    pub struct SvmRevision(u32) {
        /// SvmRev: the revision.
        pub svm_rev: u8,
        #[bits(24)]
        _reserved8: u32,
    }
}

register! {
    /// Features of SVM: CPUID Fn8000_000A EDX.
    ///
    /// AMD APM vol. 3, appendix E.4.9, "Function 8000_000Ah: SVM Features" (table "CPUID Fn8000_000A_EDX SVM Feature
    /// Identification").
    ///
    /// ```
    /// use x86_virt_svm::SvmFeatures;
    ///
    /// // QEMU 7.2, `-cpu max`.
    /// let features = SvmFeatures::from_bits(0x1001_0001);
    /// assert!(features.np() && features.vgif() && !features.nrips());
    /// ```
    pub struct SvmFeatures(u32) {
        /// NP: nested paging.
        pub np: bool,
        /// LbrVirt: LBR virtualization.
        pub lbr_virt: bool,
        /// SVML: SVM lock.
        pub svml: bool,
        /// NRIPS: RIP of the next instruction is saved.
        pub nrips: bool,
        /// TscRateMsr: MSR-based TSC rate.
        pub tsc_rate_msr: bool,
        /// VmcbClean: VMCB clean bits.
        pub vmcb_clean: bool,
        /// FlushByAsid: flush by ASID.
        pub flush_by_asid: bool,
        /// DecodeAssists: decode assists.
        pub decode_assists: bool,
        /// PmcVirt: performance counters are virtualized.
        pub pmc_virt: bool,
        /// SseIsa10Compat: reserved, and named so in the manual.
        pub sse_isa10_compat: bool,
        /// PauseFilter: PAUSE filter.
        pub pause_filter: bool,
        _reserved11: bool,
        /// PauseFilterThreshold: PAUSE filter threshold.
        pub pause_filter_threshold: bool,
        /// AVIC: advanced virtual interrupt controller.
        pub avic: bool,
        _reserved14: bool,
        /// VMSAVEvirt: VMSAVE and VMLOAD are virtualized.
        pub vmsave_virt: bool,
        /// VGIF: virtual GIF.
        pub vgif: bool,
        /// GMET: guest mode execute trap.
        pub gmet: bool,
        /// x2AVIC.
        pub x2avic: bool,
        /// SSSCheck: supervisor shadow-stack check.
        pub sss_check: bool,
        /// SpecCtrl: SPEC_CTRL is virtualized.
        pub spec_ctrl: bool,
        /// ROGPT: read-only guest page tables.
        pub rogpt: bool,
        _reserved22: bool,
        /// HOST_MCE_OVERRIDE: a machine check of the host is intercepted whatever the guest's CR4.MCE is.
        pub host_mce_override: bool,
        /// TlbiCtl: INVLPGB and TLBSYNC of a guest.
        pub tlbi_ctl: bool,
        /// VNMI: virtual NMI.
        pub vnmi: bool,
        /// IbsVirt: instruction-based sampling is virtualized.
        pub ibs_virt: bool,
        /// ExtLvtAvicAccessChg: how AVIC treats the extended LVT registers.
        pub ext_lvt_avic_access_chg: bool,
        /// NestedVirtVmcbAddrChk: VMCB addresses of guests are checked.
        pub nested_virt_vmcb_addr_chk: bool,
        /// BusLockThreshold.
        pub bus_lock_threshold: bool,
        /// IdleHltIntercept.
        pub idle_hlt_intercept: bool,
        _reserved31: bool,
    }
}

register! {
    /// More features of SVM: CPUID Fn8000_000A ECX.
    ///
    /// AMD APM vol. 2, section 15.29.4.3, "Physical Address Pointer Restrictions".
    ///
    /// ```
    /// use x86_virt_svm::SvmExtendedFeatures;
    ///
    /// assert!(SvmExtendedFeatures::from_bits(0x40).x2avic_ext());
    /// ```
    pub struct SvmExtendedFeatures(u32) {
        #[bits(6)]
        _reserved0: u8,
        /// x2AVIC_EXT: the physical APIC ID table of x2AVIC may have 4096 entries.
        pub x2avic_ext: bool,
        #[bits(25)]
        _reserved7: u32,
    }
}

register! {
    /// Features of memory encryption: CPUID Fn8000_001F EAX.
    ///
    /// AMD APM vol. 3, appendix E.4.17, "Function 8000_001Fh: Encrypted Memory Capabilities".
    ///
    /// ```
    /// use x86_virt_svm::EncryptionFeatures;
    ///
    /// assert!(EncryptionFeatures::from_bits(0x1f).sev_snp());
    /// ```
    pub struct EncryptionFeatures(u32) {
        /// SME: secure memory encryption.
        pub sme: bool,
        /// SEV: secure encrypted virtualization.
        pub sev: bool,
        /// PageFlushMsr: MSR C001_011Eh, VM_PAGE_FLUSH.
        pub page_flush_msr: bool,
        /// SEV-ES: encrypted state.
        pub sev_es: bool,
        /// SEV-SNP: secure nested paging.
        pub sev_snp: bool,
        /// VMPL: VM permission levels.
        pub vmpl: bool,
        /// RMPQUERY: the instruction.
        pub rmpquery: bool,
        /// VmplSSS: VMPL supervisor shadow stack.
        pub vmpl_sss: bool,
        /// SecureTsc: secure TSC.
        pub secure_tsc: bool,
        /// TscAuxVirtualization: TSC_AUX is virtualized.
        pub tsc_aux_virtualization: bool,
        /// HwEnfCacheCoh: caches are coherent across encryption domains.
        pub hw_enf_cache_coh: bool,
        /// 64BitHost: a guest with SEV needs a host in 64-bit mode.
        pub host_64_bit: bool,
        /// RestrictedInjection.
        pub restricted_injection: bool,
        /// AlternateInjection.
        pub alternate_injection: bool,
        /// DebugVirt: debug registers are switched. DebugSwap in Linux.
        pub debug_virt: bool,
        /// PreventHostIbs: the host cannot sample a guest.
        pub prevent_host_ibs: bool,
        /// VTE: virtual transparent encryption.
        pub vte: bool,
        /// VmgexitParameter: VMGEXIT gives RAX and CPL.
        pub vmgexit_parameter: bool,
        /// VirtualTomMsr: MSR C001_0135h, VIRTUAL_TOM.
        pub virtual_tom_msr: bool,
        /// IbsVirtGuestCtl: instruction-based sampling is virtualized for SEV-ES guests.
        pub ibs_virt_guest_ctl: bool,
        /// PmcVirtGuestCtl: performance counters are virtualized for SEV-ES guests.
        pub pmc_virt_guest_ctl: bool,
        /// RMPREAD: the instruction.
        pub rmpread: bool,
        /// GuestInterceptCtl: a guest controls intercepts of its lower levels.
        pub guest_intercept_ctl: bool,
        /// SegmentedRmp: the reverse map may be segmented.
        pub segmented_rmp: bool,
        /// VmsaRegProt: registers in the VMSA are obfuscated.
        pub vmsa_reg_prot: bool,
        /// SmtProtection: a guest may need an idle sibling thread.
        pub smt_protection: bool,
        /// SecureAvic.
        pub secure_avic: bool,
        /// AllowedSevFeatures: ALLOWED_SEV_FEATURES of the VMCB.
        pub allowed_sev_features: bool,
        /// SvsmCommPageMsr: MSR C001_F000h of an SVSM.
        pub svsm_comm_page_msr: bool,
        /// NestedVirtSnpMsr: MSRs C001_F001h and C001_F002h of a hypervisor under another.
        pub nested_virt_snp_msr: bool,
        /// HvInUseWrAllowed: writes to pages of the hypervisor that are in use are allowed.
        pub hv_in_use_wr_allowed: bool,
        /// IbpbOnEntry: an indirect-branch prediction barrier at VMRUN.
        pub ibpb_on_entry: bool,
    }
}

register! {
    /// Parameters of memory encryption: CPUID Fn8000_001F EBX.
    ///
    /// AMD APM vol. 3, appendix E.4.17, "Function 8000_001Fh: Encrypted Memory Capabilities".
    ///
    /// ```
    /// use x86_virt_svm::EncryptionParameters;
    ///
    /// assert_eq!(EncryptionParameters::from_bits(0x4173).cbit_position(), 51);
    /// ```
    pub struct EncryptionParameters(u32) {
        /// CbitPosition: the bit of a page-table entry that encrypts.
        #[bits(6)]
        pub cbit_position: u8,
        /// PhysAddrReduction: how many bits fewer a physical address has while encryption is on.
        #[bits(6)]
        pub phys_addr_reduction: u8,
        /// NumVMPL: how many VM permission levels there are.
        #[bits(4)]
        pub num_vmpl: u8,
        #[bits(15)]
        _reserved16: u16,
        /// COHERENCY_SFW_NO: coherency needs no work of software.
        pub coherency_sfw_no: bool,
    }
}

/// Visits the bits of CPUID as rows.
pub(crate) fn cpuid_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<SvmRevision>("svm_feature", "CPUID 8000000AH, EAX", visit);
    register_rows::<SvmExtendedFeatures>("svm_feature", "CPUID 8000000AH, ECX", visit);
    register_rows::<SvmFeatures>("svm_feature", "CPUID 8000000AH, EDX", visit);
    register_rows::<EncryptionFeatures>("svm_feature", "CPUID 8000001FH, EAX", visit);
    register_rows::<EncryptionParameters>("svm_feature", "CPUID 8000001FH, EBX", visit);
    for (name, group) in [
        ("NASID", "CPUID 8000000AH, EBX"),
        ("NUM_ENCRYPTED_GUESTS", "CPUID 8000001FH, ECX"),
        ("MIN_SEV_NO_ES_ASID", "CPUID 8000001FH, EDX"),
    ] {
        visit(&TableRow {
            table: "svm_feature",
            name,
            aliases: &[],
            encoding: 0,
            width_bits: u32::BITS,
            access: "",
            group: &group,
            requires: &"",
            provisional: false,
        });
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Register;

    use super::{EncryptionFeatures, SvmFeatures, cpuid_rows};

    #[test]
    fn feature_bits_are_where_the_manual_has_them() {
        let bochs = SvmFeatures::from_bits(0x44f);
        assert!(bochs.np() && bochs.lbr_virt() && bochs.svml() && bochs.nrips());
        assert!(bochs.flush_by_asid() && bochs.pause_filter() && !bochs.vmcb_clean() && !bochs.decode_assists());
        let qemu = SvmFeatures::from_bits(0x1001_0001);
        assert!(qemu.np() && qemu.vgif() && qemu.nested_virt_vmcb_addr_chk());
        assert!(SvmFeatures::from_bits(1 << 13).avic() && SvmFeatures::from_bits(1 << 15).vmsave_virt());
        assert!(SvmFeatures::from_bits(1 << 23).host_mce_override() && SvmFeatures::from_bits(1 << 25).vnmi());
        assert!(SvmFeatures::from_bits(1 << 30).idle_hlt_intercept());
    }

    #[test]
    fn encryption_bits_are_where_the_manual_has_them() {
        let bit = |bit: u32| EncryptionFeatures::from_bits(1 << bit);
        assert!(bit(2).page_flush_msr() && bit(4).sev_snp() && bit(7).vmpl_sss() && bit(11).host_64_bit());
        assert!(bit(14).debug_virt() && bit(19).ibs_virt_guest_ctl() && bit(24).vmsa_reg_prot());
        assert!(bit(25).smt_protection() && bit(28).svsm_comm_page_msr() && bit(31).ibpb_on_entry());
    }

    #[test]
    fn every_named_bit_has_a_row() {
        let mut rows = 0;
        cpuid_rows(&mut |_| rows += 1);
        assert_eq!((SvmFeatures::FIELDS.len(), EncryptionFeatures::FIELDS.len()), (28, 32));
        assert_eq!(rows, 1 + 1 + 28 + 32 + 4 + 3);
    }
}
