//! The names that are compared, and the tables that they are compared with.
//!
//! Where several rules claim a name, the first that knows a row for it decides.

use super::rule::From::{Constant, Group, Structure};
use super::rule::Meaning::{Bits, Code, Feature, Number, Offset};
use super::rule::Rule;

/// Names of Linux's headers. Our rows have them as names or as aliases.
pub(crate) const LINUX: &[Rule] = &[
    // The fields of the VMCS.
    Rule::new(Group("vmcs_field"), "", &["vmcs_field"], Number(0)),
    Rule::new(Group("vmcs_field"), "", &["vmcs_field_high"], Number(0)).ends("_HIGH"),
    // VMX controls and capabilities.
    Rule::new(Constant, "VMX_FEATURE_", &["vmx_control"], Feature),
    Rule::new(Constant, "PIN_BASED_", CONTROL, Bits(0)).group("pin"),
    Rule::new(Constant, "CPU_BASED_", CONTROL, Bits(0)).group("primary"),
    Rule::new(Constant, "SECONDARY_EXEC_", CONTROL, Bits(0)).group("secondary"),
    Rule::new(Constant, "TERTIARY_EXEC_", CONTROL, Bits(0)).group("tertiary"),
    Rule::new(Constant, "VM_EXIT_", CONTROL, Bits(0)).group("exit"),
    Rule::new(Constant, "VM_ENTRY_", CONTROL, Bits(0)).group("entry"),
    Rule::new(Constant, "VMX_VMFUNC_", CONTROL, Bits(0)).group("vm-function"),
    Rule::new(Constant, "MSR_IA32_VMX_MISC_", &["vmx_misc"], Bits(0)),
    Rule::new(Constant, "MSR_IA32_VMX_", &["vmx_capability_msr"], Number(0)),
    Rule::new(Constant, "FEAT_CTL_", &["vmx_feature_control"], Bits(0)),
    Rule::new(Constant, "VMX_BASIC_", &["vmx_basic"], Number(0)).ends("_SHIFT"),
    Rule::new(Constant, "VMX_BASIC_", &["vmx_basic"], Bits(0)),
    Rule::new(Constant, "VMX_MISC_", &["vmx_misc"], Bits(0)),
    Rule::new(Constant, "VMX_VPID_", EPT_CAPABILITY, Bits(32)).ends("_BIT"),
    Rule::new(Constant, "VMX_EPT_EXTENT_", EPT_CAPABILITY, Bits(0)).ends("_BIT"),
    Rule::new(Constant, "VMX_EPT_", &["ept_entry"], Bits(0)).ends("_MASK"),
    Rule::new(Constant, "VMX_EPT_", &["ept_capability", "ept_entry"], Bits(0)).ends("_BIT"),
    Rule::new(Constant, "VMX_EPTP_", &["ept_capability", "eptp"], Bits(0)).ends("_BIT"),
    Rule::new(Constant, "VMX_EPTP_", &["eptp"], Bits(0)).ends("_MASK"),
    // VMX exits, entries and instructions.
    Rule::new(Constant, "EXIT_REASON_", &["vmx_exit_reason"], Number(0)),
    Rule::new(Constant, "VMX_EXIT_REASONS_", &["vmx_exit_reason_flag"], Bits(0)),
    Rule::new(Group("vm_instruction_error_number"), "VMXERR_", &["vmx_instruction_error"], Number(0)),
    Rule::new(Group("vm_entry_failure_code"), "ENTRY_FAIL_", &["vmx_entry_failure_cause"], Number(0)),
    Rule::new(Constant, "VMX_ABORT_", &["vmx_abort"], Number(0)),
    Rule::new(Constant, "VMX_VPID_EXTENT_", &["vmx_invvpid_type"], Number(0)),
    Rule::new(Constant, "VMX_EPT_EXTENT_", &["vmx_invept_type"], Number(0)),
    Rule::new(Constant, "INTR_INFO_", &["vmx_entry_interruption", "vmx_exit_interruption"], Bits(0)),
    Rule::new(Constant, "VECTORING_INFO_", &["vmx_idt_vectoring"], Bits(0)),
    Rule::new(Constant, "INTR_TYPE_", &["vmx_event_type"], Code(8)),
    Rule::new(Constant, "GUEST_INTR_STATE_", &["vmx_interruptibility_state"], Bits(0)),
    Rule::new(Constant, "GUEST_ACTIVITY_", &["vmx_activity_state"], Number(0)),
    Rule::new(Constant, "EPT_VIOLATION_", QUALIFICATION, Number(0)).ends("_BIT").group("EPT violation"),
    Rule::new(Constant, "EPT_VIOLATION_", QUALIFICATION, Bits(0)).group("EPT violation"),
    Rule::new(Constant, "CONTROL_REG_ACCESS_", QUALIFICATION, Bits(0)).group("control-register access"),
    Rule::new(Constant, "DEBUG_REG_ACCESS_", QUALIFICATION, Bits(0)).group("MOV DR"),
    Rule::new(Constant, "LMSW_SOURCE_DATA", QUALIFICATION, Bits(0)).group("control-register access"),
    Rule::new(Constant, "NOTIFY_VM_CONTEXT_INVALID", QUALIFICATION, Bits(0)).group("instruction timeout"),
    Rule::new(Constant, "TYPE_LINEAR_APIC_", &["vmx_apic_access_type"], Code(12)),
    Rule::new(Constant, "TYPE_PHYSICAL_APIC_", &["vmx_apic_access_type"], Code(12)),
    // SVM exits and intercepts.
    Rule::new(Constant, "SVM_EXIT_", &["svm_exit_code", "svm_software_exit_code"], Number(0)),
    Rule::new(Constant, "SVM_VMGEXIT_", &["svm_vmgexit_code"], Number(0)),
    Rule::new(Group(""), "INTERCEPT_", &["svm_intercept"], Number(0)),
    Rule::new(Group(""), "TRAP_", &["svm_intercept"], Number(0)),
    Rule::new(Group(""), "VMCB_", &["svm_clean_bit", "svm_clean_bit_software"], Number(0)),
    Rule::new(Constant, "SVM_IOIO_", EXIT_INFO, Bits(0)).ends("_MASK").group("IOIO EXITINFO1"),
    Rule::new(Constant, "SVM_IOIO_", EXIT_INFO, Number(0)).ends("_SHIFT").group("IOIO EXITINFO1"),
    Rule::new(Constant, "SVM_EXITINFOSHIFT_", EXIT_INFO, Number(0)).group("TASK_SWITCH EXITINFO2"),
    Rule::new(Constant, "SVM_EXITINFO_REG_MASK", EXIT_INFO, Bits(0)).group("MOV_CR EXITINFO1"),
    // The VMCB and what is beside it.
    Rule::new(Structure("vmcb_control_area"), "", &["vmcb_control"], Offset(0)),
    Rule::new(Structure("vmcb_save_area"), "", &["vmcb_save"], Offset(0x400)),
    Rule::new(Structure("sev_es_save_area"), "", &["vmsa"], Offset(0)),
    Rule::new(Structure("ghcb_save_area"), "", &["ghcb"], Offset(0)),
    Rule::new(Structure("ghcb"), "", &["ghcb"], Offset(0)),
    Rule::new(Constant, "V_", INTERRUPT_CONTROL, Bits(0)).ends("_MASK"),
    Rule::new(Constant, "V_", INTERRUPT_CONTROL, Number(0)).ends("_SHIFT"),
    Rule::new(Constant, "AVIC_ENABLE_", INTERRUPT_CONTROL, Bits(0)).ends("_MASK"),
    Rule::new(Constant, "AVIC_ENABLE_", INTERRUPT_CONTROL, Number(0)).ends("_SHIFT"),
    Rule::new(Constant, "X2APIC_MODE_", INTERRUPT_CONTROL, Bits(0)).ends("_MASK"),
    Rule::new(Constant, "X2APIC_MODE_", INTERRUPT_CONTROL, Number(0)).ends("_SHIFT"),
    Rule::new(Constant, "SVM_INTERRUPT_SHADOW_MASK", &["svm_interrupt_state"], Bits(0)).ends("_MASK"),
    Rule::new(Constant, "SVM_GUEST_INTERRUPT_MASK", &["svm_interrupt_state"], Bits(0)),
    Rule::new(Constant, "LBR_CTL_ENABLE_MASK", VIRT_EXT, Bits(0)).ends("_MASK"),
    Rule::new(Constant, "VIRTUAL_VMLOAD_VMSAVE_ENABLE_MASK", VIRT_EXT, Bits(0)).ends("_MASK"),
    Rule::new(Constant, "SVM_NESTED_CTL_", &["svm_nested_control"], Bits(0)),
    Rule::new(Constant, "TLB_CONTROL_", &["svm_tlb_control"], Number(0)),
    Rule::new(Constant, "SVM_EVTINJ_TYPE_MASK", EVENT, Bits(0)).ends("_MASK"),
    Rule::new(Constant, "SVM_EXITINTINFO_TYPE_MASK", EVENT, Bits(0)).ends("_MASK"),
    Rule::new(Constant, "SVM_EVTINJ_TYPE_", &["svm_event_type"], Code(8)),
    Rule::new(Constant, "SVM_EXITINTINFO_TYPE_", &["svm_event_type"], Code(8)),
    Rule::new(Constant, "SVM_EVTINJ_V", EVENT, Bits(0)),
    Rule::new(Constant, "SVM_EXITINTINFO_V", EVENT, Bits(0)),
    // AVIC, encrypted guests, MSRs.
    Rule::new(Constant, "AVIC_LOGICAL_ID_ENTRY_", &["avic_logical_entry"], Bits(0)).ends("_MASK"),
    Rule::new(Constant, "AVIC_LOGICAL_ID_ENTRY_", &["avic_logical_entry"], Number(0)).ends("_BIT"),
    Rule::new(Constant, "AVIC_PHYSICAL_ID_ENTRY_", &["avic_physical_entry"], Bits(0)).ends("_MASK"),
    Rule::new(Constant, "AVIC_PHYSICAL_MAX_INDEX_", &["avic_physical_table"], Bits(0)).ends("_MASK"),
    Rule::new(Constant, "AVIC_DOORBELL_", &["avic_doorbell"], Bits(0)).ends("_MASK"),
    Rule::new(Constant, "AVIC_UNACCEL_ACCESS_", EXIT_INFO, Bits(0)).ends("_MASK").group("AVIC_NOACCEL EXITINFO1"),
    Rule::new(Group("avic_ipi_failure_cause"), "AVIC_IPI_FAILURE_", &["avic_ipi_failure"], Number(0)),
    Rule::new(Constant, "SVM_SEV_FEAT_", &["svm_sev_feature"], Bits(0)),
    Rule::new(Constant, "MSR_AMD64_SEV_", MSR_BIT, Number(0)).ends("_BIT").group("SEV_STATUS"),
    Rule::new(Constant, "MSR_AMD64_SNP_", MSR_BIT, Number(0)).ends("_BIT").group("SEV_STATUS"),
    Rule::new(Constant, "MSR_AMD64_SEV_", MSR_BIT, Bits(0)).ends("_ENABLED").group("SEV_STATUS"),
    Rule::new(Constant, "MSR_AMD64_SNP_", MSR_BIT, Bits(0)).group("SEV_STATUS"),
    Rule::new(Constant, "SVM_VM_CR_", MSR_BIT, Bits(0)).ends("_MASK").group("VM_CR"),
    Rule::new(Constant, "MSR_VM_", &["svm_msr"], Number(0)),
    Rule::new(Constant, "MSR_AMD64_SVM_", &["svm_msr"], Number(0)),
    Rule::new(Constant, "MSR_AMD64_RMP_", &["svm_msr"], Number(0)),
    Rule::new(Constant, "MSR_AMD64_TSC_RATIO", &["svm_msr"], Number(0)),
    Rule::new(Constant, "MSR_AMD64_SEV", &["svm_msr"], Number(0)).ends("SEV"),
    Rule::new(Constant, "MSR_AMD64_SEV_ES_GHCB", &["svm_msr"], Number(0)),
];

/// Names of the crate `x86`.
pub(crate) const X86: &[Rule] = &[
    Rule::new(Group("control"), "", FIELD, Number(1)).ends("_HIGH").renames(""),
    Rule::new(Group("control"), "", FIELD, Number(0)).ends("_FULL").renames(""),
    Rule::new(Group("control"), "", FIELD, Number(0)),
    Rule::new(Group("guest"), "", FIELD, Number(1)).ends("_HIGH").renames("GUEST_"),
    Rule::new(Group("guest"), "", FIELD, Number(0)).ends("_FULL").renames("GUEST_"),
    Rule::new(Group("guest"), "", FIELD, Number(0)).renames("GUEST_"),
    Rule::new(Group("host"), "", FIELD, Number(1)).ends("_HIGH").renames("HOST_"),
    Rule::new(Group("host"), "", FIELD, Number(0)).ends("_FULL").renames("HOST_"),
    Rule::new(Group("host"), "", FIELD, Number(0)).renames("HOST_"),
    Rule::new(Group("ro"), "", FIELD, Number(1)).ends("_HIGH").renames(""),
    Rule::new(Group("ro"), "", FIELD, Number(0)).ends("_FULL").renames(""),
    Rule::new(Group("ro"), "", FIELD, Number(0)),
    Rule::new(Group("PinbasedControls"), "", CONTROL, Bits(0)).group("pin"),
    Rule::new(Group("PrimaryControls"), "", CONTROL, Bits(0)).group("primary"),
    Rule::new(Group("SecondaryControls"), "", CONTROL, Bits(0)).group("secondary"),
    Rule::new(Group("ExitControls"), "", CONTROL, Bits(0)).group("exit"),
    Rule::new(Group("EntryControls"), "", CONTROL, Bits(0)).group("entry"),
    Rule::new(Constant, "IA32_VMX_", &["vmx_capability_msr"], Number(0)),
];

const FIELD: &[&str] = &["vmcs_field"];
const CONTROL: &[&str] = &["vmx_control"];
const EPT_CAPABILITY: &[&str] = &["ept_capability"];
const QUALIFICATION: &[&str] = &["vmx_qualification"];
const EXIT_INFO: &[&str] = &["svm_exit_info"];
const INTERRUPT_CONTROL: &[&str] = &["svm_virtual_interrupt_control"];
const VIRT_EXT: &[&str] = &["svm_virtual_extensions"];
const EVENT: &[&str] = &["svm_event_injection"];
const MSR_BIT: &[&str] = &["svm_msr_bit"];
