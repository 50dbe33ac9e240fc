//! Format, clippy, documentation, and the reference made from the tables.

use std::process::ExitCode;

use anyhow::bail;

use crate::cargo::Workspace;
use crate::process::Process;
use crate::{fuzz, output, reference, setup};

/// Runs every check, also after one has failed.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<ExitCode> {
    setup::compilers()?;
    let mut doc = workspace.cargo(["doc", "--no-deps"]);
    doc.env("RUSTDOCFLAGS", "-Dwarnings");
    let mut fuzz_clippy = fuzz::cargo(workspace, ["clippy", "--all-targets"]);
    fuzz_clippy.args(["--", "-D", "warnings"]);
    let checks = [
        ("format", workspace.cargo(["fmt", "--all", "--check"])),
        ("clippy", workspace.cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])),
        (
            "clippy with every feature",
            workspace.cargo([
                "clippy",
                "-p",
                "x86-virt",
                "--all-targets",
                "--features",
                "decode,arbitrary,provisional,testing",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        ("format of the fuzz targets", workspace.cargo(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"])),
        ("clippy of the fuzz targets", fuzz_clippy),
        ("documentation", doc),
    ];
    let mut failed = Vec::new();
    for (name, mut command) in checks {
        output::progress(format_args!("lint: {name}"));
        if !Process::start(&mut command)?.wait()?.success() {
            failed.push(name);
        }
    }
    output::progress("lint: reference");
    if let Err(error) = reference::check(workspace) {
        output::progress(format_args!("error: {error:#}"));
        failed.push("reference");
    }
    if !failed.is_empty() {
        bail!("lint failed: {}", failed.join(", "));
    }
    output::line("lint: all clean");
    Ok(ExitCode::SUCCESS)
}
