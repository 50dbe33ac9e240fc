//! All tables of encodings of SVM, row by row.

use x86_virt_core::{TableRow, code_rows};

use crate::avic::avic_rows;
use crate::cpuid::cpuid_rows;
use crate::exit_code::exit_code_rows;
use crate::exit_info::exit_info_rows;
use crate::ghcb_msr::ghcb_msr_rows;
use crate::intercept::intercept_rows;
use crate::msr::msr_rows;
use crate::sev::sev_rows;
use crate::vmcb::{EventType, layout_rows};
use crate::vmgexit::vmgexit_rows;

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    layout_rows(visit);
    exit_code_rows(visit);
    intercept_rows(visit);
    exit_info_rows(visit);
    vmgexit_rows(visit);
    cpuid_rows(visit);
    msr_rows(visit);
    sev_rows(visit);
    ghcb_msr_rows(visit);
    avic_rows(visit);
    code_rows("svm_event_type", "", EventType::ALL, visit);
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::{BTreeMap, BTreeSet};
    use std::string::{String, ToString};

    use super::for_each_row;

    #[test]
    fn rows_are_visited_once() {
        let mut rows = BTreeSet::new();
        for_each_row(&mut |row| {
            assert!(!row.name.is_empty() && !row.aliases.contains(&row.name), "{row:?}");
            let group = row.group.to_string();
            assert!(rows.insert((row.table, group, row.encoding, row.name)), "{row:?}");
        });
    }

    #[test]
    fn tables_of_codes_are_complete() {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for_each_row(&mut |row| *counts.entry(row.table.into()).or_default() += usize::from(!row.provisional));
        for (table, count) in [
            ("svm_exit_code", 175),
            ("svm_intercept", 167),
            ("svm_software_exit_code", 1),
            ("svm_vc_error_code", 2),
            ("svm_vmgexit_code", 16),
            ("svm_ghcb_msr_code", 18),
            ("svm_msr", 22),
        ] {
            assert_eq!(counts.get(table), Some(&count), "{table}");
        }
    }
}
