//! All tables of encodings of nested page tables, row by row.

use x86_virt_core::{TableRow, register_rows};

use crate::entry::{self, NptEntry};
use crate::ncr3::Ncr3;

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<NptEntry>("npt_entry", "", &mut |row| {
        let (group, requires) = entry::note(row.name);
        visit(&TableRow { group: &group, requires: &requires, ..*row });
    });
    register_rows::<Ncr3>("ncr3", "", visit);
}

#[cfg(test)]
mod tests {
    use super::for_each_row;

    #[test]
    fn every_field_is_a_row() {
        let mut rows = Vec::new();
        for_each_row(&mut |row| rows.push((row.table, row.name)));
        let count = |table| rows.iter().filter(|row| row.0 == table).count();
        assert_eq!((count("npt_entry"), count("ncr3")), (12, 3));
    }
}
