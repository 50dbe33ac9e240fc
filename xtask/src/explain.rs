//! Why a VM entry was refused.

use std::env;
use std::process::{ExitCode, Stdio};

use anyhow::Context as _;
use clap::Args;

use crate::cargo::Workspace;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What x86-virt-explain takes: a file with a dump, and what the processor can do
    #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    arguments: Vec<String>,
}

/// Builds the program and runs it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let status = workspace
        .cargo(["run", "--quiet", "-p", "x86-virt-explain", "--features", "provisional", "--"])
        .args(&arguments.arguments)
        .current_dir(env::current_dir()?)
        .stdin(Stdio::inherit())
        .status()
        .context("cannot run cargo run")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
