//! The secondary processor-based VM-execution controls.

use super::{EntryControls, ExitControls, PinControls, PrimaryControls};

control_word! {
    /// Secondary processor-based VM-execution controls.
    ///
    /// Intel SDM vol. 3, section 27.6.2, "Processor-Based VM-Execution Controls".
    pub struct SecondaryControls(u32), Secondary {
        /// Accesses to the APIC-access page are virtualized.
        VIRTUALIZE_APIC_ACCESSES = 0
            aka "SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES" "VMX_FEATURE_VIRT_APIC_ACCESSES" "CPU_VIRT_APIC_ACCS";
        /// Extended page tables are used.
        ENABLE_EPT = 1 aka "SECONDARY_EXEC_ENABLE_EPT" "VMX_FEATURE_EPT" "EPT_ENABLE" "CPU_EPT";
        /// Accesses to descriptor-table registers end a run.
        DESCRIPTOR_TABLE_EXITING = 2
            aka "SECONDARY_EXEC_DESC" "VMX_FEATURE_DESC_EXITING" "DESCRIPTOR_TABLE_VMEXIT" "CPU_DESC_TABLE";
        /// The guest has RDTSCP.
        ENABLE_RDTSCP = 3 aka "SECONDARY_EXEC_ENABLE_RDTSCP" "VMX_FEATURE_RDTSCP" "RDTSCP" "CPU_RDTSCP";
        /// RDMSR and WRMSR of the x2APIC are virtualized.
        VIRTUALIZE_X2APIC_MODE = 4
            needs [PrimaryControls::USE_TPR_SHADOW]
            excludes [SecondaryControls::VIRTUALIZE_APIC_ACCESSES]
            aka "SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE" "VMX_FEATURE_VIRTUAL_X2APIC" "CPU_VIRT_X2APIC";
        /// Linear translations are tagged.
        ENABLE_VPID = 5 aka "SECONDARY_EXEC_ENABLE_VPID" "VMX_FEATURE_VPID" "VPID_ENABLE" "CPU_VPID";
        /// WBINVD ends a run.
        WBINVD_EXITING = 6
            aka "SECONDARY_EXEC_WBINVD_EXITING" "VMX_FEATURE_WBINVD_EXITING" "WBINVD_VMEXIT" "CPU_WBINVD";
        /// The guest may run in real mode and without paging.
        UNRESTRICTED_GUEST = 7
            needs [SecondaryControls::ENABLE_EPT]
            aka "SECONDARY_EXEC_UNRESTRICTED_GUEST" "VMX_FEATURE_UNRESTRICTED_GUEST" "CPU_URG";
        /// Reads of most APIC registers need no exit.
        APIC_REGISTER_VIRTUALIZATION = 8
            needs [PrimaryControls::USE_TPR_SHADOW]
            aka "SECONDARY_EXEC_APIC_REGISTER_VIRT" "VMX_FEATURE_APIC_REGISTER_VIRT" "VIRTUALIZE_APIC_REGISTERS"
                "CPU_VIRT_APIC_REGS";
        /// Virtual interrupts are evaluated and delivered.
        VIRTUAL_INTERRUPT_DELIVERY = 9
            needs [PrimaryControls::USE_TPR_SHADOW, PinControls::EXTERNAL_INTERRUPT_EXITING]
            aka "SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY" "VMX_FEATURE_VIRT_INTR_DELIVERY" "VIRTUAL_INT_DELIVERY"
                "CPU_VIRT_INTR";
        /// PAUSE in a loop ends a run.
        PAUSE_LOOP_EXITING = 10
            aka "SECONDARY_EXEC_PAUSE_LOOP_EXITING" "VMX_FEATURE_PAUSE_LOOP_EXITING" "PAUSE_LOOP_VMEXIT"
                "CPU_PAUSE_LOOP";
        /// RDRAND ends a run.
        RDRAND_EXITING = 11
            aka "SECONDARY_EXEC_RDRAND_EXITING" "VMX_FEATURE_RDRAND_EXITING" "RDRAND_VMEXIT" "CPU_RDRAND";
        /// The guest has INVPCID.
        ENABLE_INVPCID = 12 aka "SECONDARY_EXEC_ENABLE_INVPCID" "VMX_FEATURE_INVPCID" "INVPCID" "CPU_INVPCID";
        /// The guest has VMFUNC.
        ENABLE_VM_FUNCTIONS = 13 aka "SECONDARY_EXEC_ENABLE_VMFUNC" "VMX_FEATURE_VMFUNC" "VMFUNC_ENABLE" "CPU_VMFUNC";
        /// VMREAD and VMWRITE of the guest use a shadow VMCS.
        VMCS_SHADOWING = 14 aka "SECONDARY_EXEC_SHADOW_VMCS" "VMX_FEATURE_SHADOW_VMCS" "CPU_VMCS_SHADOW";
        /// ENCLS may end a run.
        ENABLE_ENCLS_EXITING = 15
            aka "SECONDARY_EXEC_ENCLS_EXITING" "VMX_FEATURE_ENCLS_EXITING" "SGX_ENCLS_VMEXIT" "CPU_ENCLS";
        /// RDSEED ends a run.
        RDSEED_EXITING = 16
            aka "SECONDARY_EXEC_RDSEED_EXITING" "VMX_FEATURE_RDSEED_EXITING" "RDSEED_VMEXIT" "CPU_RDSEED";
        /// Modified pages are logged.
        ENABLE_PML = 17
            needs [SecondaryControls::ENABLE_EPT]
            aka "SECONDARY_EXEC_ENABLE_PML" "VMX_FEATURE_PAGE_MOD_LOGGING" "PML_ENABLE" "CPU_PML";
        /// EPT violations may become exceptions in the guest.
        EPT_VIOLATION_VE = 18
            aka "SECONDARY_EXEC_EPT_VIOLATION_VE" "VMX_FEATURE_EPT_VIOLATION_VE" "EPT_VIOLATION_EXCEPTION" "CPU_EPT_VE";
        /// Processor traces do not show VMX.
        CONCEAL_VMX_FROM_PT = 19
            aka "SECONDARY_EXEC_PT_CONCEAL_VMX" "VMX_FEATURE_PT_CONCEAL_VMX" "SUPPRESS_GUEST_VMX_TRACE"
                "CPU_CONCEAL_NONROOT";
        /// The guest has XSAVES and XRSTORS.
        ENABLE_XSAVES = 20
            aka "SECONDARY_EXEC_ENABLE_XSAVES" "VMX_FEATURE_XSAVES" "SECONDARY_EXEC_XSAVES" "XSAVES_XRSTORS"
                "CPU_XSAVES_XRSTORS";
        /// Process address-space identifiers of ENQCMD and ENQCMDS are translated.
        PASID_TRANSLATION = 21 aka "CPU_PASID";
        /// EPT has an execute permission for user-mode addresses.
        MODE_BASED_EXECUTE_CONTROL = 22
            needs [SecondaryControls::ENABLE_EPT]
            aka "SECONDARY_EXEC_MODE_BASED_EPT_EXEC" "VMX_FEATURE_MODE_BASED_EPT_EXEC" "MBE_CTRL" "CPU_MBEC";
        /// EPT has write permissions for parts of a page.
        SUB_PAGE_WRITE_PERMISSIONS = 23 needs [SecondaryControls::ENABLE_EPT] aka "SUBPAGE_WR_PROTECT_CTRL" "CPU_SPP";
        /// Addresses of processor tracing are guest-physical.
        PT_USES_GUEST_PHYSICAL_ADDRESSES = 24
            needs [SecondaryControls::ENABLE_EPT, EntryControls::LOAD_IA32_RTIT_CTL, ExitControls::CLEAR_IA32_RTIT_CTL]
            aka "SECONDARY_EXEC_PT_USE_GPA" "VMX_FEATURE_PT_USE_GPA" "PROCESSOR_TRACE_USE_GPA" "CPU_PT2GPA";
        /// The TSC multiplier is used.
        USE_TSC_SCALING = 25 aka "SECONDARY_EXEC_TSC_SCALING" "VMX_FEATURE_TSC_SCALING" "TSC_SCALING" "CPU_TSC_SCALING";
        /// The guest has TPAUSE, UMONITOR and UMWAIT.
        ENABLE_USER_WAIT_AND_PAUSE = 26
            aka "SECONDARY_EXEC_ENABLE_USR_WAIT_PAUSE" "VMX_FEATURE_USR_WAIT_PAUSE" "UMWAIT_TPAUSE_VMEXIT" "CPU_UWAIT";
        /// The guest has PCONFIG.
        ENABLE_PCONFIG = 27 aka "PCONFIG_ENABLE" "CPU_PCONFIG";
        /// ENCLV may end a run.
        ENABLE_ENCLV_EXITING = 28 aka "VMX_FEATURE_ENCLV_EXITING" "SGX_ENCLV_VMEXIT" "CPU_ENCLV";
        /// The guest has the actions of SGX that virtualize the enclave page cache.
        EPC_VIRTUALIZATION_ACTIONS = 29 aka "CPU_EPC_VIRT";
        /// Bus locks end a run.
        BUS_LOCK_DETECTION = 30
            aka "SECONDARY_EXEC_BUS_LOCK_DETECTION" "VMX_FEATURE_BUS_LOCK_DETECTION" "VMM_BUS_LOCK_DETECTION"
                "CPU_BUS_LOCK";
        /// A run ends when no instruction ends for too long.
        INSTRUCTION_TIMEOUT = 31
            aka "SECONDARY_EXEC_NOTIFY_VM_EXITING" "VMX_FEATURE_NOTIFY_VM_EXITING" "CPU_INST_TIMEOUT";
    }
}
