//! Tables as text.

use core::fmt::Write as _;

use anyhow::Context as _;
use clap::ValueEnum;
use serde_json::Value;

use crate::tables::{COLUMNS, Row, Table};

/// How tables are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One line per row, under the names of the columns.
    Csv,
    /// One list of objects.
    Json,
    /// One section per table.
    Md,
}

impl Format {
    /// The text of `tables`.
    pub(crate) fn print(self, tables: &[Table]) -> anyhow::Result<String> {
        match self {
            Self::Csv => csv(tables),
            Self::Json => json(tables),
            Self::Md => Ok(tables.iter().map(markdown).collect::<Vec<_>>().join("\n")),
        }
    }
}

fn csv(tables: &[Table]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS)?;
    for row in tables.iter().flat_map(|table| &table.rows) {
        writer.write_record(row.record())?;
    }
    let bytes = writer.into_inner().context("cannot end the table")?;
    String::from_utf8(bytes).context("a row is not UTF-8")
}

fn json(tables: &[Table]) -> anyhow::Result<String> {
    let rows: Vec<Value> = tables.iter().flat_map(|table| &table.rows).map(Row::json).collect();
    let mut text = serde_json::to_string_pretty(&rows)?;
    text.push('\n');
    Ok(text)
}

/// Title of a column, and the text of a row in it.
type Column = (&'static str, fn(&Row) -> String);

/// The section of a table. Columns in which no row has anything are left out.
pub(crate) fn markdown(table: &Table) -> String {
    const ALWAYS: [Column; 3] = [
        ("encoding", |row| format!("`{}`", row.hex())),
        ("name", |row| format!("`{}`", row.name)),
        ("bits", |row| row.width_bits.to_string()),
    ];
    const SOMETIMES: [Column; 5] = [
        ("access", |row| row.access.clone()),
        ("group", |row| escape(&row.group)),
        ("requires", |row| escape(&row.requires)),
        ("also named", |row| row.aliases.iter().map(|alias| format!("`{alias}`")).collect::<Vec<_>>().join(" ")),
        ("provisional", |row| if row.provisional { "yes".to_owned() } else { String::new() }),
    ];
    let is_used = |(_, text): &Column| table.rows.iter().any(|row| !text(row).is_empty());
    let columns: Vec<Column> = ALWAYS.into_iter().chain(SOMETIMES.into_iter().filter(is_used)).collect();
    let mut text = format!("## {}\n\n", table.name);
    let titles: Vec<_> = columns.iter().map(|(title, _)| *title).collect();
    let mut line = |cells: &[String]| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    };
    line(&titles.iter().map(|&title| title.to_owned()).collect::<Vec<_>>());
    line(&titles.iter().map(|_| "---".to_owned()).collect::<Vec<_>>());
    for row in &table.rows {
        line(&columns.iter().map(|(_, cell)| cell(row)).collect::<Vec<_>>());
    }
    text
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::row;

    fn tables() -> Vec<Table> {
        let mut first = row("t", "a, \"b\"", "ONE", &["EIN"], 1, 32);
        first.requires = "X | Y".to_owned();
        first.provisional = true;
        vec![
            Table { name: "t".to_owned(), rows: vec![first, row("t", "", "TWO", &[], 0x12345, 1)] },
            Table { name: "u".to_owned(), rows: vec![row("u", "", "THREE", &[], 3, 8)] },
        ]
    }

    #[test]
    fn csv_quotes_and_has_its_header() {
        assert_eq!(
            Format::Csv.print(&tables()).unwrap(),
            "table,name,encoding,width_bits,access,group,requires,provisional\n\
             t,ONE,0x0001,32,,\"a, \"\"b\"\"\",X | Y,true\n\
             t,TWO,0x12345,1,,,,false\n\
             u,THREE,0x0003,8,,,,false\n"
        );
    }

    #[test]
    fn json_has_the_same_keys_and_the_aliases() {
        let value: Value = serde_json::from_str(&Format::Json.print(&tables()).unwrap()).unwrap();
        let first = value.pointer("/0").unwrap().as_object().unwrap();
        assert!(COLUMNS.iter().all(|&column| first.contains_key(column)));
        assert_eq!(first.len(), COLUMNS.len() + 1);
        assert_eq!(value.pointer("/0/aliases/0").unwrap(), "EIN");
        assert_eq!(value.pointer("/1/encoding").unwrap(), "0x12345");
        assert_eq!(value.pointer("/0/provisional").unwrap(), true);
    }

    #[test]
    fn markdown_leaves_out_what_no_row_has() {
        assert_eq!(
            Format::Md.print(&tables()).unwrap(),
            "## t\n\n\
             | encoding | name | bits | group | requires | also named | provisional |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n\
             | `0x0001` | `ONE` | 32 | a, \"b\" | X \\| Y | `EIN` | yes |\n\
             | `0x12345` | `TWO` | 1 |  |  |  |  |\n\n\
             ## u\n\n\
             | encoding | name | bits |\n\
             | --- | --- | --- |\n\
             | `0x0003` | `THREE` | 8 |\n"
        );
    }
}
