//! Every table of encodings of the library, as rows that outlive the visit.

use serde_json::{Map, Value};
use x86_virt::{TableRow, ept, npt, svm, vmx};

/// A row of a table of encodings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) encoding: u64,
    pub(crate) width_bits: u32,
    pub(crate) access: String,
    pub(crate) group: String,
    pub(crate) requires: String,
    pub(crate) provisional: bool,
}

/// The names of the columns of a dump.
pub(crate) const COLUMNS: [&str; 8] =
    ["table", "name", "encoding", "width_bits", "access", "group", "requires", "provisional"];

impl Row {
    fn new(row: &TableRow<'_>) -> Self {
        Self {
            table: row.table.to_owned(),
            name: row.name.to_owned(),
            aliases: row.aliases.iter().map(|&alias| alias.to_owned()).collect(),
            encoding: row.encoding,
            width_bits: row.width_bits,
            access: row.access.to_owned(),
            group: row.group.to_string(),
            requires: row.requires.to_string(),
            provisional: row.provisional,
        }
    }

    /// The encoding as it is printed.
    pub(crate) fn hex(&self) -> String {
        format!("{:#06x}", self.encoding)
    }

    /// The row as the values of [`COLUMNS`].
    pub(crate) fn record(&self) -> [String; 8] {
        [
            self.table.clone(),
            self.name.clone(),
            self.hex(),
            self.width_bits.to_string(),
            self.access.clone(),
            self.group.clone(),
            self.requires.clone(),
            self.provisional.to_string(),
        ]
    }

    /// The row as an object, with the aliases.
    pub(crate) fn json(&self) -> Value {
        let mut object = Map::new();
        for (column, text) in COLUMNS.into_iter().zip(self.record()) {
            let value = match column {
                "width_bits" => Value::from(self.width_bits),
                "provisional" => Value::from(self.provisional),
                _ => Value::from(text),
            };
            object.insert(column.to_owned(), value);
        }
        object.insert("aliases".to_owned(), Value::from(self.aliases.clone()));
        Value::Object(object)
    }
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) rows: Vec<Row>,
}

/// Every table, in the order of their first rows.
pub(crate) fn all() -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for visit_rows in [vmx::for_each_row, ept::for_each_row, svm::for_each_row, npt::for_each_row] {
        visit_rows(&mut |row| {
            let row = Row::new(row);
            match tables.iter_mut().find(|table| table.name == row.table) {
                Some(table) => table.rows.push(row),
                None => tables.push(Table { name: row.table.clone(), rows: vec![row] }),
            }
        });
    }
    tables
}

/// A row for tests.
#[cfg(test)]
pub(crate) fn row(table: &str, group: &str, name: &str, aliases: &[&str], encoding: u64, width_bits: u32) -> Row {
    Row {
        table: table.to_owned(),
        name: name.to_owned(),
        aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
        encoding,
        width_bits,
        access: String::new(),
        group: group.to_owned(),
        requires: String::new(),
        provisional: false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_in_a_group_of_a_table() {
        let mut names = BTreeSet::new();
        for row in all().iter().flat_map(|table| &table.rows) {
            assert!(
                names.insert((row.table.clone(), row.group.clone(), row.name.clone())),
                "{} has {} twice in group {:?}",
                row.table,
                row.name,
                row.group
            );
        }
        assert!(names.len() > 50, "{}", names.len());
    }

    #[test]
    fn rows_are_well_formed() {
        for row in all().iter().flat_map(|table| &table.rows) {
            assert!(["", "rw", "ro", "sensitive"].contains(&row.access.as_str()), "{row:?}");
            assert!(!row.name.is_empty() && row.width_bits > 0, "{row:?}");
            assert!(!row.aliases.contains(&row.name), "{row:?}");
            let is_lower = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
            assert!(row.table.chars().all(is_lower), "{row:?}");
        }
    }

    #[test]
    fn provisional_rows_come_with_the_feature_only() {
        let provisional = all().iter().flat_map(|table| &table.rows).any(|row| row.provisional);
        assert!(!provisional || cfg!(feature = "provisional"));
    }

    #[test]
    fn an_encoding_has_four_digits_or_more() {
        assert_eq!(row("t", "", "A", &[], 0x2a, 1).hex(), "0x002a");
        assert_eq!(row("t", "", "A", &[], 0xc001_0114, 32).hex(), "0xc0010114");
    }
}
