//! The tables of encodings against sources that are not ours: the headers of Linux, and the crate `x86`.
//!
//! The sources are read where they are; nothing of them is kept. A name that a source and a table have in common, as name or as
//! alias, must have one number in both.

mod c;
mod compare;
mod differences;
mod names;
mod obtain;
mod rule;
mod rules;
mod rust;
mod symbol;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use self::compare::{Report, compare};
use self::rule::Rule;
use self::symbol::Symbol;
use crate::cargo::Workspace;
use crate::output;
use crate::tables::{self, Row};
use crate::tally::Tally;

/// The files and how many of their names must agree at least: the least of Linux 6.1 and 6.12. Rows and aliases only become more,
/// so these numbers only rise.
const MINIMUMS: [(&str, usize); 9] = [
    ("linux asm/vmx.h", 382),
    ("linux asm/vmxfeatures.h", 56),
    ("linux asm/svm.h", 348),
    ("linux asm/msr-index.h", 62),
    ("linux uapi/asm/vmx.h", 67),
    ("linux uapi/asm/svm.h", 110),
    ("libc asm/vmx.h", 67),
    ("libc asm/svm.h", 110),
    ("crate x86", 291),
];

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Lists the names that have no counterpart, too
    #[arg(long)]
    verbose: bool,
}

/// Compares, and prints what came of it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut failed = false;
    for (source, report) in reports(workspace)? {
        output::line(format_args!("{source}: {report}"));
        if arguments.verbose {
            for name in &report.missing {
                output::line(format_args!("  no counterpart: {name}"));
            }
        }
        if let Err(failure) = judge(source, &report) {
            output::line(format_args!("FAILED  {failure}"));
            failed = true;
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Compares as a part of the tests; each source counts as one test.
pub(crate) fn test(workspace: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    output::progress("compare headers");
    for (source, report) in reports(workspace)? {
        output::line(format_args!("headers: {source}: {report}"));
        tally.add(judge(source, &report));
    }
    Ok(())
}

/// Why a source does not pass.
fn judge(source: &str, report: &Report) -> Result<(), String> {
    let minimum = MINIMUMS.iter().find(|(name, _)| *name == source).map_or(usize::MAX, |&(_, minimum)| minimum);
    if !report.mismatches.is_empty() {
        return Err(format!("{source}:\n  {}", report.mismatches.join("\n  ")));
    }
    if report.agreed < minimum {
        return Err(format!("{source}: {} names agree, and at least {minimum} must", report.agreed));
    }
    Ok(())
}

/// Compares with every source.
fn reports(workspace: &Workspace) -> anyhow::Result<Vec<(&'static str, Report)>> {
    let folder = workspace.lock_folder()?;
    let headers = folder.path().join("headers");
    let kernel = headers_of("linux ", &obtain::kernel(&headers)?)?;
    let programs = headers_of("libc ", &obtain::programs(&headers)?)?;
    let x86 = crate_x86(&workspace.package_folder("x86")?)?;
    let rows: Vec<Row> = tables::all().into_iter().flat_map(|table| table.rows).collect();
    let report = |source: &str| {
        let (symbols, rules): (&[Symbol], &[Rule]) = match source.split_once(' ') {
            Some(("linux", _)) => (&kernel, rules::LINUX),
            Some(("libc", _)) => (&programs, rules::LINUX),
            _ => (&x86, rules::X86),
        };
        let of_source: Vec<Symbol> =
            symbols.iter().filter(|symbol| source == "crate x86" || symbol.file == source).cloned().collect();
        compare(&of_source, rules, &rows)
    };
    Ok(MINIMUMS.iter().map(|&(source, _)| (source, report(source))).collect())
}

/// The names in the files of [`MINIMUMS`] that begin with `kind`, in `include`.
fn headers_of(kind: &str, include: &Path) -> anyhow::Result<Vec<Symbol>> {
    output::progress(format_args!("headers: {kind}in {}", include.display()));
    let mut unit = c::Unit::default();
    for (source, _) in MINIMUMS {
        if let Some(file) = source.strip_prefix(kind) {
            unit.load(source, &read(&include.join(file))?);
        }
    }
    // Others refer to what is in here; Linux 6.1 has it elsewhere.
    if let Ok(text) = fs::read_to_string(include.join("asm/trapnr.h")) {
        unit.load("asm/trapnr.h", &text);
    }
    Ok(unit.into_symbols())
}

fn crate_x86(folder: &Path) -> anyhow::Result<Vec<Symbol>> {
    let mut symbols = Vec::new();
    for file in ["src/vmx/vmcs.rs", "src/msr.rs"] {
        symbols.extend(rust::symbols(&format!("x86 {file}"), &read(&folder.join(file))?));
    }
    Ok(symbols)
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_passes_without_mismatch_and_with_enough_names() {
        let (source, minimum) = MINIMUMS[0];
        let report = |agreed, mismatches: &[&str]| Report {
            agreed,
            mismatches: mismatches.iter().map(|&text| text.to_owned()).collect(),
            ..Report::default()
        };
        assert_eq!(judge(source, &report(minimum, &[])), Ok(()));
        assert_eq!(judge(source, &report(minimum, &["a", "b"])), Err(format!("{source}:\n  a\n  b")));
        if let Some(fewer) = minimum.checked_sub(1) {
            assert!(judge(source, &report(fewer, &[])).is_err());
        }
        assert!(judge("unknown", &report(1000, &[])).is_err());
    }
}
