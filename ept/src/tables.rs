//! All tables of encodings of extended page tables, row by row.

use x86_virt_core::{Register, TableRow, register_rows};

use crate::capabilities::EptCapabilities;
use crate::entry::{self, EptEntry};
use crate::eptp::{self, Eptp};
use crate::hlat::{HlatEntry, Hlatp};
use crate::spp::{SppEntry, Spptp};

/// Visits every row of every table.
pub fn for_each_row(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<EptCapabilities>("ept_capability", "", visit);
    noted_rows::<EptEntry>("ept_entry", &entry::NOTES, visit);
    noted_rows::<Eptp>("eptp", &eptp::NOTES, visit);
    register_rows::<Spptp>("spp_entry", "pointer", visit);
    register_rows::<SppEntry>("spp_entry", "table", visit);
    visit(&TableRow {
        table: "spp_entry",
        name: "WRITABLE",
        aliases: &[],
        encoding: 0,
        width_bits: u64::BITS,
        access: "",
        group: &"vector: every second bit",
        requires: &"",
        provisional: false,
    });
    register_rows::<Hlatp>("hlatp", "pointer", visit);
    register_rows::<HlatEntry>("hlatp", "paging entry", visit);
}

/// What a table says of a field of a register beyond its bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    name: &'static str,
    group: &'static str,
    requires: &'static str,
}

impl Note {
    /// The note on the field `name`.
    pub(crate) const fn of(name: &'static str) -> Self {
        Self { name, group: "", requires: "" }
    }

    /// The same with the group of rows.
    pub(crate) const fn group(self, group: &'static str) -> Self {
        Self { group, ..self }
    }

    /// The same with what a processor must have.
    pub(crate) const fn requires(self, requires: &'static str) -> Self {
        Self { requires, ..self }
    }
}

/// Visits the fields of `R` with what `notes` say of them.
fn noted_rows<R: Register>(table: &'static str, notes: &[Note], visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<R>(table, "", &mut |row| match notes.iter().find(|note| note.name == row.name) {
        Some(note) => visit(&TableRow { group: &note.group, requires: &note.requires, ..*row }),
        None => visit(row),
    });
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Register;

    use super::for_each_row;
    use crate::{EptEntry, Eptp, entry, eptp};

    #[test]
    fn notes_are_on_fields() {
        assert!(entry::NOTES.iter().map(|note| note.name).eq(EptEntry::FIELDS.iter().map(|field| field.name)));
        assert!(eptp::NOTES.iter().all(|note| Eptp::FIELDS.iter().any(|field| field.name == note.name)));
    }

    #[test]
    fn rows_of_a_table_differ_and_stand_together() {
        let mut rows = Vec::new();
        for_each_row(&mut |row| rows.push((row.table, row.group.to_string(), row.name, row.encoding)));
        let count = |table| rows.iter().filter(|row| row.0 == table).count();
        assert_eq!(["ept_capability", "ept_entry", "eptp", "spp_entry", "hlatp"].map(count), [19, 15, 5, 4, 4]);
        let mut tables: Vec<_> = rows.iter().map(|row| row.0).collect();
        tables.dedup();
        assert_eq!(tables.len(), 5);
        assert!(rows.iter().enumerate().all(|(index, row)| !rows[..index].contains(row)));
    }
}
