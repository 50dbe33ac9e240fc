//! Names of the crate `x86` whose rows have another name. They are compared, but are no aliases: the crate is not among those whose
//! names the library gives, and these have lost an end (`_FULL`, `_HIGH`) or got the group of guest and host state as beginning.

/// Names of the crate, as pairs with the names of our rows.
type Pairs = &'static [(&'static str, &'static str)];

/// The name of our row in `table`, where that is another.
pub(crate) fn other_name(name: &str, table: &str) -> Option<&'static str> {
    let tables = OTHER_NAMES.iter().filter(|&&(own, _)| own == table);
    tables.flat_map(|&(_, pairs)| pairs).find(|&&(own, _)| own == name).map(|&(_, ours)| ours)
}

/// The tables, and the names in them.
const OTHER_NAMES: &[(&str, Pairs)] = &[
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
