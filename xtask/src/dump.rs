//! Prints the tables of encodings, and writes the reference made from them.

mod format;

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};

use crate::cargo::Workspace;
use crate::tables::{self, Table};
use crate::{output, reference};

pub(crate) use format::{Format, markdown};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints every table of encodings
    Encodings {
        /// How
        #[arg(long, value_enum, default_value_t = Format::Csv)]
        format: Format,
        /// Only this table
        #[arg(long, value_name = "NAME")]
        table: Option<String>,
    },
    /// Writes the pages in docs/reference
    Reference {
        /// Write the pages; this is what happens without it, too
        #[arg(long, conflicts_with = "check")]
        write: bool,
        /// Only tell whether the pages are those of the tables
        #[arg(long)]
        check: bool,
    },
}

/// Dumps what is asked for.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.what {
        What::Encodings { format, table } => {
            let text = format.print(&select(tables::all(), table.as_deref())?)?;
            match io::stdout().lock().write_all(text.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                written => written.context("cannot write the dump")?,
            }
        }
        What::Reference { check: true, .. } => reference::check(workspace)?,
        What::Reference { .. } => {
            for page in reference::write(workspace)? {
                output::line(page);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn select(mut tables: Vec<Table>, name: Option<&str>) -> anyhow::Result<Vec<Table>> {
    let Some(name) = name else { return Ok(tables) };
    let names: Vec<_> = tables.iter().map(|table| table.name.clone()).collect();
    tables.retain(|table| table.name == name);
    if tables.is_empty() {
        bail!("no table is named {name}; there are\n  {}", names.join("\n  "));
    }
    Ok(tables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_can_be_chosen() {
        let chosen = select(tables::all(), Some("ept_entry")).unwrap();
        assert_eq!(chosen.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["ept_entry"]);
        let error = select(tables::all(), Some("ept")).unwrap_err().to_string();
        assert!(error.contains("\n  ept_entry"), "{error}");
    }
}
