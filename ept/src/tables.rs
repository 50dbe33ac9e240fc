//! All tables of encodings of extended page tables, row by row.

use x86_virt_core::{TableRow, register_rows};

use crate::capabilities::EptCapabilities;
use crate::entry::EptEntry;
use crate::eptp::Eptp;

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<EptCapabilities>("ept_capability", "", visit);
    register_rows::<EptEntry>("ept_entry", "", visit);
    register_rows::<Eptp>("eptp", "", visit);
}
