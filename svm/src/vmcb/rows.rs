//! The rows of the layouts and of their words, for the tables of encodings.

use core::fmt;

use x86_virt_core::{TableRow, code_rows, register_rows};

use crate::vmcb::{
    CleanBits, EventInjection, FetchedBytes, InterruptState, NestedControl, RapControl, SegmentAttributes, TlbControl,
    UpdateIrr, VirtualExtensions, VirtualInterruptControl, VmcbFieldInfo, control, save,
};
use crate::vmsa::VmsaVirtualInterrupt;
use crate::{ghcb, vmsa};

/// Visits the rows of the VMCB, the VMSA and the GHCB, and those of the words in them.
pub(crate) fn layout_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    field_rows("vmcb_control", control::ALL, visit);
    field_rows("vmcb_save", save::ALL, visit);
    field_rows("vmsa", vmsa::ALL, visit);
    field_rows("ghcb", ghcb::ALL, visit);
    clean_rows(visit);
    code_rows("svm_tlb_control", "", TlbControl::ALL, visit);
    register_rows::<RapControl>("svm_rap_control", "RAP_CONTROL", visit);
    register_rows::<VirtualInterruptControl>("svm_virtual_interrupt_control", "VIRTUAL_INTERRUPT_CONTROL", visit);
    register_rows::<InterruptState>("svm_interrupt_state", "INTERRUPT_STATE", visit);
    register_rows::<NestedControl>("svm_nested_control", "NESTED_CTL", &mut |row| {
        visit(&TableRow { provisional: row.name == "PML", ..*row });
    });
    register_rows::<VirtualExtensions>("svm_virtual_extensions", "VIRT_EXT", visit);
    register_rows::<EventInjection>("svm_event_injection", "EVENTINJ EXITINTINFO", visit);
    register_rows::<FetchedBytes>("svm_fetched_bytes", "INSN_LEN", visit);
    register_rows::<UpdateIrr>("svm_update_irr", "UPDATE_IRR", visit);
    register_rows::<SegmentAttributes>("svm_segment_attributes", "", visit);
    register_rows::<VmsaVirtualInterrupt>("svm_vmsa_virtual_interrupt", "VINTR_CTRL", visit);
}

/// Visits `fields` as rows of `table`, with the offset as encoding and the clean bit as group.
fn field_rows(table: &'static str, fields: &[VmcbFieldInfo], visit: &mut dyn FnMut(&TableRow<'_>)) {
    for field in fields {
        let group = CleanBits::GROUPS.iter().find(|(_, set, _)| *set == field.clean);
        visit(&TableRow {
            table,
            name: field.name,
            aliases: field.aliases,
            encoding: u64::try_from(field.offset).unwrap_or_default(),
            width_bits: u32::try_from(field.bytes * 8).unwrap_or_default(),
            access: field.access.name(),
            group: &group.map_or("", |(name, ..)| name),
            requires: &"",
            provisional: field.provisional,
        });
    }
}

/// Visits the clean bits, with what they cover as group.
fn clean_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    for &(name, set, aliases) in CleanBits::GROUPS {
        visit(&TableRow {
            table: if set == CleanBits::SOFTWARE { "svm_clean_bit_software" } else { "svm_clean_bit" },
            name,
            aliases,
            encoding: u64::from(set.into_bits().trailing_zeros()),
            width_bits: 1,
            access: "",
            group: &Covered(set),
            requires: &"",
            provisional: false,
        });
    }
}

/// The names of the fields that belong to the groups in the set.
struct Covered(CleanBits);

impl fmt::Display for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for field in self.0.fields() {
            write!(f, "{separator}{}", field.name)?;
            separator = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::BTreeMap;
    use std::string::{String, ToString as _};
    use std::vec::Vec;

    use super::layout_rows;

    #[test]
    fn every_table_has_all_its_rows() {
        let mut counts = BTreeMap::new();
        layout_rows(&mut |row| *counts.entry(row.table).or_insert(0_usize) += 1);
        let proposed = |count| if cfg!(feature = "provisional") { count } else { 0 };
        for (table, count) in [
            ("vmcb_control", 44 + proposed(4)),
            ("vmcb_save", 68 + proposed(11)),
            ("vmsa", 142 + proposed(12)),
            ("ghcb", 30),
            ("svm_clean_bit", 13),
            ("svm_clean_bit_software", 1),
            ("svm_tlb_control", 4),
            ("svm_rap_control", 2),
            ("svm_virtual_interrupt_control", 13),
            ("svm_interrupt_state", 2),
            ("svm_nested_control", 8 + proposed(1)),
            ("svm_virtual_extensions", 4),
            ("svm_event_injection", 5),
            ("svm_fetched_bytes", 1),
            ("svm_update_irr", 1),
            ("svm_segment_attributes", 8),
            ("svm_vmsa_virtual_interrupt", 11),
        ] {
            assert_eq!(counts.remove(table), Some(count), "{table}");
        }
        assert!(counts.is_empty(), "{counts:?}");
    }

    #[test]
    fn rows_say_who_writes_and_which_clean_bit() {
        let mut rows = Vec::<String>::new();
        layout_rows(&mut |row| {
            let text = [row.name, row.access, &row.group.to_string()].join(",");
            rows.push(std::format!("{},{text},{:#x},{}", row.table, row.encoding, row.width_bits));
        });
        for row in [
            "vmcb_control,N_CR3,sensitive,NP,0xb0,64",
            "vmcb_control,EXITCODE,ro,,0x70,64",
            "vmcb_save,RIP,rw,,0x578,64",
            "vmcb_save,CS,rw,SEG,0x410,128",
            "vmsa,RIP,rw,,0x178,64",
            "ghcb,SHARED_BUFFER,rw,,0x800,16256",
            "svm_clean_bit,IOPM,,IOPM_BASE_PA MSRPM_BASE_PA,0x1,1",
            "svm_clean_bit_software,SOFTWARE,,HOST_SW_RESERVED,0x1f,1",
        ] {
            assert!(rows.iter().any(|other| other == row), "{row}");
        }
    }
}
