//! Names of the sources whose rows have another name, and no alias: bits of words cannot have one, and the names of the crate `x86`
//! are compared, but are none of ours.

/// Names of a source, as pairs with the names of our rows.
type Pairs = &'static [(&'static str, &'static str)];

/// The name of our row in `table`, where that is another.
pub(crate) fn other_name(name: &str, table: &str) -> Option<&'static str> {
    let tables = OTHER_NAMES.iter().filter(|&&(own, _)| own == table);
    tables.flat_map(|&(_, pairs)| pairs).find(|&&(own, _)| own == name).map(|&(_, ours)| ours)
}

/// The tables, and the names in them.
const OTHER_NAMES: &[(&str, Pairs)] = &[
    // Linux.
    (
        "vmx_basic",
        &[
            ("VMX_BASIC_32BIT_PHYS_ADDR_ONLY", "ADDRESSES_32_BIT"),
            ("VMX_BASIC_DUAL_MONITOR_TREATMENT", "DUAL_MONITOR"),
            ("VMX_BASIC_INOUT", "INS_OUTS_INFORMATION"),
            ("VMX_BASIC_TRUE_CTLS", "TRUE_CONTROLS"),
            // Linux 6.1.
            ("VMX_BASIC_64", "ADDRESSES_32_BIT"),
            ("VMX_BASIC_VMCS_SIZE_SHIFT", "REGION_BYTES"),
            ("VMX_BASIC_MEM_TYPE_SHIFT", "MEMORY_TYPE"),
            ("VMX_BASIC_MEM_TYPE_MASK", "MEMORY_TYPE"),
        ],
    ),
    (
        "vmx_misc",
        &[
            ("VMX_MISC_SAVE_EFER_LMA", "STORE_EFER_LMA"),
            ("VMX_MISC_ACTIVITY_WAIT_SIPI", "ACTIVITY_WAIT_FOR_SIPI"),
            ("VMX_MISC_INTEL_PT", "INTEL_PT_IN_VMX"),
            ("VMX_MISC_RDMSR_IN_SMM", "RDMSR_SMBASE_IN_SMM"),
            ("VMX_MISC_VMXOFF_BLOCK_SMI", "VMXOFF_SMI_BLOCK"),
            ("VMX_MISC_VMWRITE_SHADOW_RO_FIELDS", "VMWRITE_ANY_FIELD"),
            ("VMX_MISC_ZERO_LEN_INS", "ZERO_LENGTH_INJECTION"),
            // Linux 6.1.
            ("VMX_MISC_PREEMPTION_TIMER_RATE_MASK", "PREEMPTION_TIMER_RATE"),
            ("MSR_IA32_VMX_MISC_INTEL_PT", "INTEL_PT_IN_VMX"),
            ("MSR_IA32_VMX_MISC_VMWRITE_SHADOW_RO_FIELDS", "VMWRITE_ANY_FIELD"),
            ("MSR_IA32_VMX_MISC_PREEMPTION_TIMER_SCALE", "PREEMPTION_TIMER_RATE"),
        ],
    ),
    (
        "vmx_feature_control",
        &[
            ("FEAT_CTL_VMX_ENABLED_INSIDE_SMX", "VMXON_IN_SMX"),
            ("FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX", "VMXON_OUTSIDE_SMX"),
            ("FEAT_CTL_SGX_LC_ENABLED", "SGX_LAUNCH_CONTROL"),
            ("FEAT_CTL_SGX_ENABLED", "SGX_GLOBAL"),
            ("FEAT_CTL_LMCE_ENABLED", "LMCE_ON"),
        ],
    ),
    (
        "ept_capability",
        &[
            ("VMX_EPT_EXECUTE_ONLY_BIT", "EXECUTE_ONLY"),
            ("VMX_EPT_PAGE_WALK_4_BIT", "PAGE_WALK_LENGTH_4"),
            ("VMX_EPT_PAGE_WALK_5_BIT", "PAGE_WALK_LENGTH_5"),
            ("VMX_EPTP_UC_BIT", "TABLES_UNCACHEABLE"),
            ("VMX_EPTP_WB_BIT", "TABLES_WRITE_BACK"),
            ("VMX_EPT_2MB_PAGE_BIT", "PAGES_2M"),
            ("VMX_EPT_1GB_PAGE_BIT", "PAGES_1G"),
            ("VMX_EPT_AD_BIT", "ACCESSED_DIRTY"),
            ("VMX_EPT_EXTENT_CONTEXT_BIT", "INVEPT_SINGLE_CONTEXT"),
            ("VMX_EPT_EXTENT_GLOBAL_BIT", "INVEPT_ALL_CONTEXTS"),
            ("VMX_VPID_EXTENT_INDIVIDUAL_ADDR_BIT", "INVVPID_INDIVIDUAL_ADDRESS"),
            ("VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT", "INVVPID_SINGLE_CONTEXT"),
            ("VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT", "INVVPID_ALL_CONTEXTS"),
            ("VMX_VPID_EXTENT_SINGLE_NON_GLOBAL_BIT", "INVVPID_SINGLE_CONTEXT_RETAINING_GLOBALS"),
        ],
    ),
    (
        "eptp",
        &[
            ("VMX_EPTP_PWL_MASK", "PAGE_WALK_LENGTH_MINUS_1"),
            ("VMX_EPTP_AD_ENABLE_BIT", "ACCESSED_DIRTY"),
            ("VMX_EPTP_MT_MASK", "MEMORY_TYPE_ENCODING"),
        ],
    ),
    (
        "ept_entry",
        &[
            ("VMX_EPT_READABLE_MASK", "READ"),
            ("VMX_EPT_WRITABLE_MASK", "WRITE"),
            ("VMX_EPT_EXECUTABLE_MASK", "EXECUTE"),
            ("VMX_EPT_MT_MASK", "MEMORY_TYPE_ENCODING"),
            ("VMX_EPT_IPAT_BIT", "IGNORE_PAT"),
            ("VMX_EPT_ACCESS_BIT", "ACCESSED"),
        ],
    ),
    (
        "vmx_abort",
        &[
            ("VMX_ABORT_SAVE_GUEST_MSR_FAIL", "SAVING_GUEST_MSRS"),
            ("VMX_ABORT_LOAD_HOST_PDPTE_FAIL", "HOST_PDPTES"),
            ("VMX_ABORT_LOAD_HOST_MSR_FAIL", "LOADING_HOST_MSRS"),
        ],
    ),
    ("vmx_activity_state", &[("GUEST_ACTIVITY_WAIT_SIPI", "WAIT_FOR_SIPI")]),
    (
        "vmx_apic_access_type",
        &[
            ("TYPE_LINEAR_APIC_INST_READ", "LINEAR_READ"),
            ("TYPE_LINEAR_APIC_INST_WRITE", "LINEAR_WRITE"),
            ("TYPE_LINEAR_APIC_INST_FETCH", "LINEAR_FETCH"),
            ("TYPE_LINEAR_APIC_EVENT", "LINEAR_EVENT_DELIVERY"),
            ("TYPE_PHYSICAL_APIC_EVENT", "GUEST_PHYSICAL_EVENT_DELIVERY"),
            ("TYPE_PHYSICAL_APIC_INST", "GUEST_PHYSICAL_INSTRUCTION"),
        ],
    ),
    (
        "vmx_entry_failure_cause",
        &[
            ("ENTRY_FAIL_DEFAULT", "OTHER"),
            ("ENTRY_FAIL_PDPTE", "PDPTE_LOADING"),
            ("ENTRY_FAIL_NMI", "BLOCKED_INJECTION"),
            ("ENTRY_FAIL_VMCS_LINK_PTR", "VMCS_LINK_POINTER"),
        ],
    ),
    (
        "vmx_entry_interruption",
        &[
            ("INTR_INFO_VECTOR_MASK", "VECTOR"),
            ("INTR_INFO_INTR_TYPE_MASK", "EVENT_TYPE"),
            ("INTR_INFO_DELIVER_CODE_MASK", "DELIVER_ERROR_CODE"),
            ("INTR_INFO_VALID_MASK", "VALID"),
        ],
    ),
    (
        "vmx_event_type",
        &[
            ("INTR_TYPE_EXT_INTR", "EXTERNAL_INTERRUPT"),
            ("INTR_TYPE_NMI_INTR", "NMI"),
            ("INTR_TYPE_HARD_EXCEPTION", "HARDWARE_EXCEPTION"),
            ("INTR_TYPE_SOFT_INTR", "SOFTWARE_INTERRUPT"),
            ("INTR_TYPE_PRIV_SW_EXCEPTION", "PRIVILEGED_SOFTWARE_EXCEPTION"),
            ("INTR_TYPE_SOFT_EXCEPTION", "SOFTWARE_EXCEPTION"),
            ("INTR_TYPE_OTHER_EVENT", "OTHER"),
        ],
    ),
    (
        "vmx_exit_interruption",
        &[
            ("INTR_INFO_VECTOR_MASK", "VECTOR"),
            ("INTR_INFO_INTR_TYPE_MASK", "EVENT_TYPE"),
            ("INTR_INFO_DELIVER_CODE_MASK", "ERROR_CODE_VALID"),
            ("INTR_INFO_UNBLOCK_NMI", "NMI_UNBLOCKING_DUE_TO_IRET"),
            ("INTR_INFO_VALID_MASK", "VALID"),
        ],
    ),
    (
        "vmx_exit_reason_flag",
        &[("VMX_EXIT_REASONS_FAILED_VMENTRY", "ENTRY_FAILURE"), ("VMX_EXIT_REASONS_SGX_ENCLAVE_MODE", "ENCLAVE_MODE")],
    ),
    (
        "vmx_idt_vectoring",
        &[
            ("VECTORING_INFO_VECTOR_MASK", "VECTOR"),
            ("VECTORING_INFO_TYPE_MASK", "EVENT_TYPE"),
            ("VECTORING_INFO_DELIVER_CODE_MASK", "ERROR_CODE_VALID"),
            ("VECTORING_INFO_VALID_MASK", "VALID"),
        ],
    ),
    (
        "vmx_interruptibility_state",
        &[
            ("GUEST_INTR_STATE_STI", "BLOCKING_BY_STI"),
            ("GUEST_INTR_STATE_MOV_SS", "BLOCKING_BY_MOV_SS"),
            ("GUEST_INTR_STATE_SMI", "BLOCKING_BY_SMI"),
            ("GUEST_INTR_STATE_NMI", "BLOCKING_BY_NMI"),
            ("GUEST_INTR_STATE_ENCLAVE_INTR", "ENCLAVE_INTERRUPTION"),
        ],
    ),
    ("vmx_invept_type", &[("VMX_EPT_EXTENT_CONTEXT", "SINGLE_CONTEXT"), ("VMX_EPT_EXTENT_GLOBAL", "GLOBAL")]),
    (
        "vmx_invvpid_type",
        &[
            ("VMX_VPID_EXTENT_INDIVIDUAL_ADDR", "INDIVIDUAL_ADDRESS"),
            ("VMX_VPID_EXTENT_ALL_CONTEXT", "ALL_CONTEXTS"),
            ("VMX_VPID_EXTENT_SINGLE_NON_GLOBAL", "SINGLE_CONTEXT_RETAINING_GLOBALS"),
        ],
    ),
    (
        "vmx_qualification",
        &[
            ("CONTROL_REG_ACCESS_TYPE", "ACCESS_TYPE"),
            ("CONTROL_REG_ACCESS_REG", "GPR"),
            ("DEBUG_REG_ACCESS_NUM", "NUMBER"),
            ("DEBUG_REG_ACCESS_TYPE", "READ"),
            ("LMSW_SOURCE_DATA", "LMSW_SOURCE"),
            ("EPT_VIOLATION_ACC_READ_BIT", "READ"),
            ("EPT_VIOLATION_ACC_WRITE_BIT", "WRITE"),
            ("EPT_VIOLATION_ACC_INSTR_BIT", "FETCH"),
            ("EPT_VIOLATION_GVA_IS_VALID_BIT", "LINEAR_ADDRESS_VALID"),
            ("EPT_VIOLATION_GVA_TRANSLATED_BIT", "FINAL_TRANSLATION"),
            ("EPT_VIOLATION_ACC_READ", "READ"),
            ("EPT_VIOLATION_ACC_WRITE", "WRITE"),
            ("EPT_VIOLATION_ACC_INSTR", "FETCH"),
            ("EPT_VIOLATION_GVA_IS_VALID", "LINEAR_ADDRESS_VALID"),
            ("EPT_VIOLATION_GVA_TRANSLATED", "FINAL_TRANSLATION"),
        ],
    ),
    ("avic_doorbell", &[("AVIC_DOORBELL_PHYSICAL_ID_MASK", "PHYSICAL_APIC_ID")]),
    (
        "avic_logical_entry",
        &[
            ("AVIC_LOGICAL_ID_ENTRY_GUEST_PHYSICAL_ID_MASK", "GUEST_PHYSICAL_APIC_ID"),
            ("AVIC_LOGICAL_ID_ENTRY_VALID_BIT", "V"),
            ("AVIC_LOGICAL_ID_ENTRY_VALID_MASK", "V"),
        ],
    ),
    (
        "avic_physical_entry",
        &[
            ("AVIC_PHYSICAL_ID_ENTRY_HOST_PHYSICAL_ID_MASK", "HOST_PHYSICAL_APIC_ID"),
            ("AVIC_PHYSICAL_ID_ENTRY_BACKING_PAGE_MASK", "BACKING_PAGE_POINTER"),
            ("AVIC_PHYSICAL_ID_ENTRY_IS_RUNNING_MASK", "IR"),
            ("AVIC_PHYSICAL_ID_ENTRY_VALID_MASK", "V"),
        ],
    ),
    (
        "svm_event_injection",
        &[
            ("SVM_EVTINJ_VEC_MASK", "VECTOR"),
            ("SVM_EVTINJ_TYPE_MASK", "EVENT_TYPE"),
            ("SVM_EVTINJ_VALID", "V"),
            ("SVM_EVTINJ_VALID_ERR", "EV"),
            ("SVM_EXITINTINFO_VEC_MASK", "VECTOR"),
            ("SVM_EXITINTINFO_TYPE_MASK", "EVENT_TYPE"),
            ("SVM_EXITINTINFO_VALID", "V"),
            ("SVM_EXITINTINFO_VALID_ERR", "EV"),
        ],
    ),
    (
        "svm_event_type",
        &[
            ("SVM_EVTINJ_TYPE_INTR", "INTERRUPT"),
            ("SVM_EVTINJ_TYPE_EXEPT", "EXCEPTION"),
            ("SVM_EVTINJ_TYPE_SOFT", "SOFTWARE_INTERRUPT"),
            ("SVM_EXITINTINFO_TYPE_INTR", "INTERRUPT"),
            ("SVM_EXITINTINFO_TYPE_EXEPT", "EXCEPTION"),
            ("SVM_EXITINTINFO_TYPE_SOFT", "SOFTWARE_INTERRUPT"),
        ],
    ),
    (
        "svm_exit_info",
        &[
            ("SVM_IOIO_TYPE_MASK", "IS_IN"),
            ("SVM_IOIO_SIZE_SHIFT", "SZ8"),
            ("SVM_IOIO_ASIZE_SHIFT", "A16"),
            ("SVM_EXITINFOSHIFT_TS_REASON_IRET", "IRET"),
            ("SVM_EXITINFOSHIFT_TS_REASON_JMP", "JMP"),
            ("SVM_EXITINFOSHIFT_TS_HAS_ERROR_CODE", "EV"),
            ("SVM_EXITINFO_REG_MASK", "GPR"),
            ("AVIC_UNACCEL_ACCESS_OFFSET_MASK", "APIC_OFFSET"),
        ],
    ),
    ("svm_msr", &[("MSR_AMD64_SEV", "SEV_STATUS")]),
    (
        "svm_msr_bit",
        &[
            ("SVM_VM_CR_SVM_LOCK_MASK", "LOCK"),
            ("SVM_VM_CR_SVM_DIS_MASK", "SVMDIS"),
            ("MSR_AMD64_SEV_ENABLED_BIT", "SEV_ENABLED"),
            ("MSR_AMD64_SEV_ES_ENABLED_BIT", "SEV_ES_ENABLED"),
            ("MSR_AMD64_SEV_SNP_ENABLED_BIT", "SNP_ACTIVE"),
            ("MSR_AMD64_SNP_VTOM_BIT", "VTOM_ACTIVE"),
            ("MSR_AMD64_SNP_REFLECT_VC_BIT", "REFLECT_VC_ACTIVE"),
            ("MSR_AMD64_SNP_RESTRICTED_INJ_BIT", "RESTRICTED_INJECTION_ACTIVE"),
            ("MSR_AMD64_SNP_ALT_INJ_BIT", "ALTERNATE_INJECTION_ACTIVE"),
            ("MSR_AMD64_SNP_DEBUG_SWAP_BIT", "DEBUG_VIRTUALIZATION_ACTIVE"),
            ("MSR_AMD64_SNP_PREVENT_HOST_IBS_BIT", "PREVENT_HOST_IBS_ACTIVE"),
            ("MSR_AMD64_SNP_BTB_ISOLATION_BIT", "SNP_BTB_ISOLATION_ACTIVE"),
            ("MSR_AMD64_SNP_VMPL_SSS_BIT", "VMPL_SSS_ACTIVE"),
            ("MSR_AMD64_SNP_SECURE_TSC_BIT", "SECURE_TSC_ACTIVE"),
            ("MSR_AMD64_SNP_VMGEXIT_PARAM_BIT", "VMGEXIT_PARAMETER_ACTIVE"),
            ("MSR_AMD64_SNP_IBS_VIRT_BIT", "IBS_VIRTUALIZATION_ACTIVE"),
            ("MSR_AMD64_SNP_VMSA_REG_PROT_BIT", "VMSA_REG_PROT_ACTIVE"),
            ("MSR_AMD64_SNP_VMSA_REG_PROTECTION_BIT", "VMSA_REG_PROT_ACTIVE"),
            ("MSR_AMD64_SNP_SMT_PROT_BIT", "SMT_PROTECTION_ACTIVE"),
            ("MSR_AMD64_SNP_SMT_PROTECTION_BIT", "SMT_PROTECTION_ACTIVE"),
            ("MSR_AMD64_SNP_IBPB_ON_ENTRY_BIT", "IBPB_ON_ENTRY_ACTIVE"),
        ],
    ),
    ("svm_nested_control", &[("SVM_NESTED_CTL_SEV_ENABLE", "SEV"), ("SVM_NESTED_CTL_SEV_ES_ENABLE", "SEV_ES")]),
    ("svm_sev_feature", &[("SVM_SEV_FEAT_DEBUG_SWAP", "DEBUG_VIRTUALIZATION")]),
    (
        "svm_virtual_extensions",
        &[
            ("LBR_CTL_ENABLE_MASK", "LBR_VIRTUALIZATION_ENABLE"),
            ("VIRTUAL_VMLOAD_VMSAVE_ENABLE_MASK", "VIRTUAL_VMLOAD_VMSAVE"),
        ],
    ),
    // Linux 6.1.
    ("vmsa", &[("vmpl0_ssp", "PL0_SSP"), ("vmpl1_ssp", "PL1_SSP"), ("vmpl2_ssp", "PL2_SSP"), ("vmpl3_ssp", "PL3_SSP")]),
    (
        "svm_virtual_interrupt_control",
        &[
            ("V_GIF_SHIFT", "VGIF"),
            ("V_GIF_MASK", "VGIF"),
            ("V_NMI_PENDING_SHIFT", "V_NMI"),
            ("V_NMI_PENDING_MASK", "V_NMI"),
            ("V_NMI_BLOCKING_SHIFT", "V_NMI_MASK"),
            ("V_NMI_BLOCKING_MASK", "V_NMI_MASK"),
            ("V_GIF_ENABLE_SHIFT", "VGIF_ENABLE"),
            ("V_GIF_ENABLE_MASK", "VGIF_ENABLE"),
            ("X2APIC_MODE_SHIFT", "X2AVIC_ENABLE"),
            ("X2APIC_MODE_MASK", "X2AVIC_ENABLE"),
        ],
    ),
    // The crate `x86`, without `_FULL` and `_HIGH`, and with the group of guest and host state.
    (
        "vmcs_field",
        &[
            ("IO_BITMAP_A_ADDR", "IO_BITMAP_A"),
            ("IO_BITMAP_B_ADDR", "IO_BITMAP_B"),
            ("MSR_BITMAPS_ADDR", "MSR_BITMAPS"),
            ("VMEXIT_MSR_STORE_ADDR", "EXIT_MSR_STORE_ADDRESS"),
            ("VMEXIT_MSR_LOAD_ADDR", "EXIT_MSR_LOAD_ADDRESS"),
            ("VMENTRY_MSR_LOAD_ADDR", "ENTRY_MSR_LOAD_ADDRESS"),
            ("EXECUTIVE_VMCS_PTR", "EXECUTIVE_VMCS_POINTER"),
            ("PML_ADDR", "PML_ADDRESS"),
            ("VIRT_APIC_ADDR", "VIRTUAL_APIC_ADDRESS"),
            ("POSTED_INTERRUPT_DESC_ADDR", "POSTED_INTERRUPT_DESCRIPTOR_ADDRESS"),
            ("EOI_EXIT0", "EOI_EXIT_BITMAP_0"),
            ("EOI_EXIT1", "EOI_EXIT_BITMAP_1"),
            ("EOI_EXIT2", "EOI_EXIT_BITMAP_2"),
            ("EOI_EXIT3", "EOI_EXIT_BITMAP_3"),
            ("EPTP_LIST_ADDR", "EPTP_LIST_ADDRESS"),
            ("VMREAD_BITMAP_ADDR", "VMREAD_BITMAP_ADDRESS"),
            ("VMWRITE_BITMAP_ADDR", "VMWRITE_BITMAP_ADDRESS"),
            ("VIRT_EXCEPTION_INFO_ADDR", "VIRTUALIZATION_EXCEPTION_ADDRESS"),
            ("SUBPAGE_PERM_TABLE_PTR", "SUB_PAGE_PERMISSION_TABLE_POINTER"),
            ("PINBASED_EXEC_CONTROLS", "PIN_CONTROLS"),
            ("PRIMARY_PROCBASED_EXEC_CONTROLS", "PRIMARY_CONTROLS"),
            ("PAGE_FAULT_ERR_CODE_MASK", "PAGE_FAULT_ERROR_CODE_MASK"),
            ("PAGE_FAULT_ERR_CODE_MATCH", "PAGE_FAULT_ERROR_CODE_MATCH"),
            ("VMEXIT_CONTROLS", "EXIT_CONTROLS"),
            ("VMEXIT_MSR_STORE_COUNT", "EXIT_MSR_STORE_COUNT"),
            ("VMEXIT_MSR_LOAD_COUNT", "EXIT_MSR_LOAD_COUNT"),
            ("VMENTRY_CONTROLS", "ENTRY_CONTROLS"),
            ("VMENTRY_MSR_LOAD_COUNT", "ENTRY_MSR_LOAD_COUNT"),
            ("VMENTRY_INTERRUPTION_INFO_FIELD", "ENTRY_INTERRUPTION_INFORMATION"),
            ("VMENTRY_EXCEPTION_ERR_CODE", "ENTRY_EXCEPTION_ERROR_CODE"),
            ("VMENTRY_INSTRUCTION_LEN", "ENTRY_INSTRUCTION_LENGTH"),
            ("SECONDARY_PROCBASED_EXEC_CONTROLS", "SECONDARY_CONTROLS"),
            ("GUEST_LINK_PTR", "VMCS_LINK_POINTER"),
            ("VMEXIT_INSTRUCTION_LEN", "EXIT_INSTRUCTION_LENGTH"),
        ],
    ),
    (
        "vmx_control",
        &[
            ("VMX_PREEMPTION_TIMER", "ACTIVATE_PREEMPTION_TIMER"),
            ("POSTED_INTERRUPTS", "PROCESS_POSTED_INTERRUPTS"),
            ("UNCOND_IO_EXITING", "UNCONDITIONAL_IO_EXITING"),
            ("VIRTUALIZE_APIC", "VIRTUALIZE_APIC_ACCESSES"),
            ("DTABLE_EXITING", "DESCRIPTOR_TABLE_EXITING"),
            ("VIRTUALIZE_X2APIC", "VIRTUALIZE_X2APIC_MODE"),
            ("VIRTUALIZE_APIC_REGISTER", "APIC_REGISTER_VIRTUALIZATION"),
            ("ENCLS_EXITING", "ENABLE_ENCLS_EXITING"),
            ("ENABLE_XSAVES_XRSTORS", "ENABLE_XSAVES"),
            ("MODE_BASED_EPT", "MODE_BASED_EXECUTE_CONTROL"),
            ("SUB_PAGE_EPT", "SUB_PAGE_WRITE_PERMISSIONS"),
            ("INTEL_PT_GUEST_PHYSICAL", "PT_USES_GUEST_PHYSICAL_ADDRESSES"),
            ("ENABLE_USER_WAIT_PAUSE", "ENABLE_USER_WAIT_AND_PAUSE"),
            ("ENCLV_EXITING", "ENABLE_ENCLV_EXITING"),
            ("DEACTIVATE_DUAL_MONITOR", "DEACTIVATE_DUAL_MONITOR_TREATMENT"),
            ("ACK_INTERRUPT_ON_EXIT", "ACKNOWLEDGE_INTERRUPT_ON_EXIT"),
            ("SAVE_VMX_PREEMPTION_TIMER", "SAVE_PREEMPTION_TIMER"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::tables;

    #[test]
    fn every_name_is_listed_once_and_stands_for_a_row() {
        let mut names = BTreeSet::new();
        let tables = tables::all();
        for &(table, pairs) in OTHER_NAMES {
            for &(name, ours) in pairs {
                assert!(names.insert((table, name)), "{table} has {name} twice");
                if let Some(table) = tables.iter().find(|own| own.name == table) {
                    assert!(table.rows.iter().any(|row| row.name == ours), "{name}: {}.{ours}", table.name);
                }
            }
        }
    }
}
