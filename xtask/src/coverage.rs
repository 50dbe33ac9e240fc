//! Which rows of the tables of encodings were exercised, and on which processor.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use crate::tables::{self, Row};

/// Rows that an image says it has exercised: `covered TABLE: NAME NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Covered {
    table: String,
    names: Vec<String>,
}

impl Covered {
    /// What a line of the console tells.
    pub(crate) fn of(line: &str) -> Option<Self> {
        let (table, names) = line.strip_prefix("covered ")?.split_once(": ")?;
        Some(Self { table: table.to_owned(), names: names.split_whitespace().map(str::to_owned).collect() })
    }
}

/// What all machines have exercised.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    /// The machines, each with a letter.
    machines: Vec<String>,
    /// The machines by table and name.
    rows: BTreeMap<String, BTreeMap<String, BTreeSet<usize>>>,
}

impl Coverage {
    /// Adds what `machine` has exercised.
    pub(crate) fn add(&mut self, machine: &str, covered: &[Covered]) {
        if covered.is_empty() {
            return;
        }
        let number = self.machines.iter().position(|known| known == machine).unwrap_or_else(|| {
            self.machines.push(machine.to_owned());
            self.machines.len().saturating_sub(1)
        });
        for Covered { table, names } in covered {
            let rows = self.rows.entry(table.clone()).or_default();
            for name in names {
                rows.entry(name.clone()).or_default().insert(number);
            }
        }
    }
}

impl fmt::Display for Coverage {
    /// The machines, then each table: the rows that the same machines have exercised on one line, and those that none has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, machine) in self.machines.iter().enumerate() {
            writeln!(f, "  {}  {machine}", letter(number))?;
        }
        let tables = tables::all();
        for (name, rows) in &self.rows {
            let all: Vec<_> = tables
                .iter()
                .find(|table| table.name == *name)
                .map_or_else(Vec::new, |table| table.rows.iter().map(key).collect());
            writeln!(f, "{name}: {} of {} rows exercised", rows.len(), all.len())?;
            let mut by_machines: BTreeMap<String, Vec<&str>> = BTreeMap::new();
            for (row, machines) in rows {
                by_machines.entry(machines.iter().map(|&number| letter(number)).collect()).or_default().push(row);
            }
            for (machines, rows) in by_machines {
                writeln!(f, "  {machines}: {}", rows.join(" "))?;
            }
            let missing: Vec<_> = all.iter().filter(|row| !rows.contains_key(*row)).map(String::as_str).collect();
            writeln!(f, "  on none: {}", missing.join(" "))?;
        }
        Ok(())
    }
}

/// The name by which images print a row.
fn key(row: &Row) -> String {
    // Two words have controls of the same name.
    if row.table == "vmx_control" { format!("{}:{}", row.group, row.name) } else { row.name.clone() }
}

fn letter(number: usize) -> char {
    u32::try_from(number).ok().and_then(|number| char::from_digit(number.saturating_add(10), 36)).unwrap_or('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_listed_by_the_machines_that_exercised_them() {
        assert_eq!(Covered::of("test a ... ok"), None);
        let covered = |line| Covered::of(line).unwrap();
        let mut coverage = Coverage::default();
        coverage.add("one", &[covered("covered vmx_abort: SAVING_GUEST_MSRS MACHINE_CHECK")]);
        coverage.add("two", &[covered("covered vmx_abort: MACHINE_CHECK")]);
        coverage.add("three", &[]);
        let text = coverage.to_string();
        assert!(text.starts_with("  a  one\n  b  two\nvmx_abort: 2 of 6 rows exercised\n  a: SAVING"), "{text}");
        assert!(text.contains("  ab: MACHINE_CHECK\n  on none: "), "{text}");
    }
}
