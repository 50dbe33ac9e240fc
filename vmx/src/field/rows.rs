//! The rows of the fields.

use x86_virt_core::TableRow;

use super::{ALL, Access, FieldInfo};
use crate::control::AnyOf;

/// Visits every field, and the high half of every 64-bit field.
pub(crate) fn field_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    for info in ALL {
        row("vmcs_field", info.name, info.aliases, info.encoding.get(), info.encoding.width().bits(), info, visit);
    }
    for info in ALL {
        if let Some(high) = info.encoding.high_half() {
            row("vmcs_field_high", info.high_name(), info.high_aliases(), high.get(), u32::BITS, info, visit);
        }
    }
}

fn row(
    table: &'static str,
    name: &'static str,
    aliases: &[&str],
    encoding: u32,
    width_bits: u32,
    info: &FieldInfo,
    visit: &mut dyn FnMut(&TableRow<'_>),
) {
    visit(&TableRow {
        table,
        name,
        aliases,
        encoding: u64::from(encoding),
        width_bits,
        access: match info.access {
            Access::ReadOnly => "ro",
            Access::ReadWrite => "rw",
            Access::Sensitive => "sensitive",
        },
        group: &info.encoding.group(),
        requires: &AnyOf(info.requires),
        provisional: info.provisional,
    });
}

#[cfg(test)]
mod tests {
    use super::field_rows;

    #[test]
    fn there_are_210_fields_and_82_high_halves() {
        let (mut fields, mut halves, mut provisional) = (0, 0, 0);
        field_rows(&mut |row| {
            match row.table {
                "vmcs_field" => fields += 1,
                "vmcs_field_high" => halves += 1,
                other => panic!("{other}"),
            }
            provisional += u32::from(row.provisional);
            assert!(!row.aliases.contains(&row.name), "{row:?}");
        });
        let absent = if cfg!(feature = "provisional") { 0 } else { 5 };
        assert_eq!((fields, halves, provisional), (210 - absent, 82 - absent, 10 - 2 * absent));
    }

    #[test]
    fn a_row_says_what_the_processor_must_have() {
        let mut found = 0;
        field_rows(&mut |row| match row.name {
            "GUEST_IA32_PAT" => {
                found += 1;
                assert_eq!(row.requires.to_string(), "entry 14 LOAD_IA32_PAT or exit 18 SAVE_IA32_PAT");
                assert_eq!((row.access, row.group.to_string().as_str(), row.width_bits), ("rw", "guest-state", 64));
            }
            "EPT_POINTER_HIGH" => {
                found += 1;
                assert_eq!((row.encoding, row.width_bits, row.access), (0x201b, 32, "sensitive"));
            }
            "VIRTUAL_PROCESSOR_ID" => {
                found += 1;
                assert_eq!(row.requires.to_string(), "secondary 5 ENABLE_VPID");
                assert!(row.aliases.contains(&"VPID"));
            }
            _ => {}
        });
        assert_eq!(found, 3);
    }
}
