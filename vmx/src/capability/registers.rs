//! Registers of capabilities, with their bits.

use x86_virt_core::register;

register! {
    /// IA32_VMX_BASIC.
    ///
    /// Intel SDM vol. 3, appendix A.1, "Basic VMX Information".
    pub struct Basic(u64) {
        /// Revision identifier of VMCSs.
        #[bits(31)]
        pub revision: u32,
        _reserved31: bool,
        /// Bytes of a VMXON region or VMCS, at most 4096.
        #[doc(alias = "VMX_BASIC_VMCS_SIZE_SHIFT")]
        #[bits(13)]
        pub region_bytes: u16,
        #[bits(3)]
        _reserved45: u8,
        /// Addresses of VMX structures have at most 32 bits.
        #[doc(alias = "VMX_BASIC_32BIT_PHYS_ADDR_ONLY")]
        #[doc(alias = "VMX_BASIC_64")]
        pub addresses_32_bit: bool,
        /// Dual-monitor treatment of SMIs.
        #[doc(alias = "VMX_BASIC_DUAL_MONITOR_TREATMENT")]
        pub dual_monitor: bool,
        /// Memory type of VMX structures: 0 UC, 6 WB.
        #[doc(alias = "VMX_BASIC_MEM_TYPE_MASK")]
        #[doc(alias = "VMX_BASIC_MEM_TYPE_SHIFT")]
        #[bits(4)]
        pub memory_type: u8,
        /// Exits of INS and OUTS come with instruction information.
        #[doc(alias = "VMX_BASIC_INOUT")]
        pub ins_outs_information: bool,
        /// Controls that are 1 by default can be cleared, as the TRUE MSRs say.
        #[doc(alias = "VMX_BASIC_TRUE_CTLS")]
        pub true_controls: bool,
        /// Hardware exceptions can be injected with or without an error code.
        pub any_error_code: bool,
        _reserved57: bool,
        /// Nested exceptions are reported and injected.
        pub nested_exception: bool,
        #[bits(5)]
        _reserved59: u8,
    }
}

register! {
    /// IA32_VMX_MISC.
    ///
    /// Intel SDM vol. 3, appendix A.6, "Miscellaneous Data".
    pub struct Misc(u64) {
        /// The preemption timer counts each time that this bit of the time-stamp counter changes.
        #[doc(alias = "MSR_IA32_VMX_MISC_PREEMPTION_TIMER_SCALE")]
        #[doc(alias = "VMX_MISC_PREEMPTION_TIMER_RATE_MASK")]
        #[bits(5)]
        pub preemption_timer_rate: u8,
        /// VM exits store EFER.LMA to the control "IA-32e mode guest".
        #[doc(alias = "VMX_MISC_SAVE_EFER_LMA")]
        pub store_efer_lma: bool,
        /// A guest may be in the activity state HLT.
        #[doc(alias = "VMX_MISC_ACTIVITY_HLT")]
        pub activity_hlt: bool,
        /// A guest may be in the activity state shutdown.
        #[doc(alias = "VMX_MISC_ACTIVITY_SHUTDOWN")]
        pub activity_shutdown: bool,
        /// A guest may be in the activity state wait-for-SIPI.
        #[doc(alias = "VMX_MISC_ACTIVITY_WAIT_SIPI")]
        pub activity_wait_for_sipi: bool,
        #[bits(5)]
        _reserved9: u8,
        /// Processor tracing can be used in VMX operation.
        #[doc(alias = "MSR_IA32_VMX_MISC_INTEL_PT")]
        #[doc(alias = "VMX_MISC_INTEL_PT")]
        pub intel_pt_in_vmx: bool,
        /// RDMSR reads IA32_SMBASE in SMM.
        #[doc(alias = "VMX_MISC_RDMSR_IN_SMM")]
        pub rdmsr_smbase_in_smm: bool,
        /// How many CR3-target values there are.
        #[bits(9)]
        pub cr3_target_count: u16,
        /// An MSR list should have at most 512 entries times this plus 1.
        #[bits(3)]
        pub msr_list_maximum: u8,
        /// VMXOFF can be made to leave SMIs blocked.
        #[doc(alias = "VMX_MISC_VMXOFF_BLOCK_SMI")]
        pub vmxoff_smi_block: bool,
        /// VMWRITE writes every field, also those of exit information.
        #[doc(alias = "MSR_IA32_VMX_MISC_VMWRITE_SHADOW_RO_FIELDS")]
        #[doc(alias = "VMX_MISC_VMWRITE_SHADOW_RO_FIELDS")]
        pub vmwrite_any_field: bool,
        /// Software events can be injected with an instruction length of 0.
        #[doc(alias = "VMX_MISC_ZERO_LEN_INS")]
        pub zero_length_injection: bool,
        _reserved31: bool,
        /// The revision identifier of the monitor segment of SMM.
        pub mseg_revision: u32,
    }
}

register! {
    /// IA32_VMX_VMCS_ENUM.
    ///
    /// Intel SDM vol. 3, appendix A.9, "VMCS Enumeration".
    pub struct VmcsEnum(u64) {
        _reserved0: bool,
        /// The highest index of a field that the processor has.
        #[bits(9)]
        pub highest_index: u16,
        #[bits(54)]
        _reserved10: u64,
    }
}

register! {
    /// IA32_FEATURE_CONTROL.
    ///
    /// Intel SDM vol. 3, section 26.7, "Enabling and Entering VMX Operation".
    pub struct FeatureControl(u64) {
        /// The register cannot be written until reset.
        #[doc(alias = "FEAT_CTL_LOCKED")]
        pub locked: bool,
        /// VMXON is allowed in SMX operation.
        #[doc(alias = "FEAT_CTL_VMX_ENABLED_INSIDE_SMX")]
        pub vmxon_in_smx: bool,
        /// VMXON is allowed outside of SMX operation.
        #[doc(alias = "FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX")]
        pub vmxon_outside_smx: bool,
        #[bits(5)]
        _reserved3: u8,
        /// Functions of GETSEC\[SENTER\] that are enabled one by one.
        #[bits(7)]
        pub senter_local_functions: u8,
        /// GETSEC\[SENTER\] is enabled.
        pub senter_global: bool,
        _reserved16: bool,
        /// The keys of SGX launch control can be written.
        #[doc(alias = "FEAT_CTL_SGX_LC_ENABLED")]
        pub sgx_launch_control: bool,
        /// SGX is enabled.
        #[doc(alias = "FEAT_CTL_SGX_ENABLED")]
        pub sgx_global: bool,
        _reserved19: bool,
        /// Machine checks may be signalled to one processor alone.
        #[doc(alias = "FEAT_CTL_LMCE_ENABLED")]
        pub lmce_on: bool,
        #[bits(43)]
        _reserved21: u64,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Basic, FeatureControl, Misc, VmcsEnum};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let basic = Basic::from_bits(0x00da_0400_0000_0004);
        assert_eq!((basic.revision(), basic.region_bytes(), basic.memory_type()), (4, 0x400, 6));
        assert!(basic.true_controls() && basic.ins_outs_information() && !basic.addresses_32_bit());
        assert!(Basic::from_bits(1 << 48).addresses_32_bit());
        assert!(Basic::from_bits(1 << 56).any_error_code());
        assert!(Basic::from_bits(1 << 58).nested_exception());
        assert_eq!(FeatureControl::new().with_locked(true).with_vmxon_outside_smx(true).into_bits(), 5);
        let feature_control = FeatureControl::from_bits(0x0016_ff07);
        assert!(feature_control.lmce_on() && feature_control.sgx_global() && feature_control.sgx_launch_control());
        assert!(feature_control.senter_global() && feature_control.senter_local_functions() == 0x7f);
    }

    #[test]
    fn misc_of_a_skylake() {
        let misc = Misc::from_bits(0x7004_c1e7);
        assert_eq!((misc.preemption_timer_rate(), misc.cr3_target_count(), misc.msr_list_maximum()), (7, 4, 0));
        assert!(misc.store_efer_lma() && misc.activity_hlt() && misc.activity_shutdown());
        assert!(misc.activity_wait_for_sipi() && misc.intel_pt_in_vmx() && misc.rdmsr_smbase_in_smm());
        assert!(misc.vmxoff_smi_block() && misc.vmwrite_any_field() && misc.zero_length_injection());
        assert_eq!(Misc::from_bits(0x1234_5678_0e00_0000).mseg_revision(), 0x1234_5678);
        assert_eq!(Misc::from_bits(0x0e00_0000).msr_list_maximum(), 7);
        assert_eq!(VmcsEnum::from_bits(0x2e).highest_index(), 23);
    }

    proptest! {
        #[test]
        fn no_bit_is_lost(bits in any::<u64>()) {
            assert_eq!(Basic::from_bits(bits).into_bits(), bits);
            assert_eq!(Misc::from_bits(bits).into_bits(), bits);
            assert_eq!(VmcsEnum::from_bits(bits).into_bits(), bits);
            assert_eq!(FeatureControl::from_bits(bits).into_bits(), bits);
        }
    }
}
