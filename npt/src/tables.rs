//! All tables of encodings of nested page tables, row by row.

use x86_virt_core::{TableRow, register_rows};

use crate::entry::NptEntry;

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<NptEntry>("npt_entry", "", visit);
}
