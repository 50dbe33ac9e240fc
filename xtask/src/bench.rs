//! What the library costs, its nested tables beside those of other crates. `docs/performance.md` says how it is measured.

#[cfg(test)]
mod assembly;
mod callgrind;
mod check;
mod exit;
mod goal;
mod report;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::cargo::Workspace;
use crate::process::Process;
use crate::{output, setup};

/// What the program in `benches/` compares. The first is what the others are compared with.
const IMPLEMENTATIONS: [&str; 8] = [
    "limit",
    "x86-virt-ept",
    "x86-virt-npt",
    "x86-virt-ept-list",
    "x86-virt-npt-list",
    "x86_64",
    "page_table_multiarch",
    "aarch64-paging",
];
const WORKLOADS: [&str; 7] = ["w1", "w2", "w3", "w4", "w5", "w6", "w7"];

/// Instructions as a hypervisor has them, whose target is without vectors.
const SCALAR: &str = "-Cno-vectorize-loops -Cno-vectorize-slp";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// Nested page tables: to map, translate, split and unmap
    Paging(Paging),
    /// Checks of VM entries: instructions of a whole check
    Check(check::Arguments),
    /// Exits: accesses, instructions and stub of a round trip
    Exit(exit::Arguments),
}

#[derive(Debug, Args)]
struct Paging {
    /// Prints a list in JSON
    #[arg(long)]
    json: bool,
    /// Only this workload
    #[arg(long, value_parser = WORKLOADS)]
    workload: Option<String>,
    /// Only this implementation, beside the limit
    #[arg(long, value_name = "NAME", value_parser = IMPLEMENTATIONS)]
    implementation: Option<String>,
    /// How often each is timed
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// One workload of one implementation.
#[derive(Debug, Clone, PartialEq)]
struct Measurement {
    workload: String,
    implementation: String,
    instructions_per_entry: f64,
    loads_per_entry: f64,
    /// In the default build, which has vectors.
    default: Time,
    /// In the build without vectors.
    scalar: Time,
}

/// Medians of the ratios of all rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Time {
    vs_limit: f64,
    /// Absent where `x86_64` was not run.
    times_faster_than_x86_64: Option<f64>,
}

/// Measures, and prints what came of it. It succeeds whether or not the goals are met: times depend on the machine.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    match &arguments.suite {
        Suite::Paging(options) => {
            let measurements = measure(workspace, options)?;
            if options.json {
                output::line(report::json(&measurements));
            } else {
                report::table(&measurements).into_iter().for_each(output::line);
            }
        }
        Suite::Check(options) => check::run(workspace, options)?,
        Suite::Exit(options) => exit::run(workspace, options)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn measure(workspace: &Workspace, options: &Paging) -> anyhow::Result<Vec<Measurement>> {
    setup::run_for("valgrind", "valgrind")?;
    let folder = workspace.lock_folder()?;
    let folder = folder.path().join("bench");
    let default = build(workspace, "paging", &folder.join("default"), "")?;
    let scalar = build(workspace, "paging", &folder.join("scalar"), SCALAR)?;
    output::progress("timing, with vectors");
    let default = times(&default, options)?;
    output::progress("timing, without vectors");
    let times = times(&scalar, options)?;
    output::progress("counting instructions");
    let counts = counts(&scalar, &folder.join("callgrind"), options)?;
    if default.len() != counts.len() || times.len() != counts.len() {
        bail!("the runs have different numbers of results");
    }
    let together = counts.into_iter().zip(default).zip(times);
    let together = together.map(|((count, default), scalar)| Measurement { default, scalar, ..count });
    Ok(together.collect())
}

/// Builds a program with these flags; all crates as one unit, so that nobody pays for calls between crates.
fn build(workspace: &Workspace, program: &str, target: &Path, flags: &str) -> anyhow::Result<PathBuf> {
    output::progress(format_args!("building benches {program} {flags}"));
    let mut command =
        workspace.cargo(["build", "--quiet", "--release", "-p", "benches", "--bin", program, "--target-dir"]);
    command.arg(target).env_remove("CARGO_ENCODED_RUSTFLAGS").env("RUSTFLAGS", flags);
    command.envs([("CARGO_PROFILE_RELEASE_LTO", "fat"), ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")]);
    let status = Process::start(&mut command).context("cannot run cargo build")?.wait()?;
    if !status.success() {
        bail!("cannot build benches ({status})");
    }
    Ok(target.join("release").join(program))
}

fn times(program: &Path, options: &Paging) -> anyhow::Result<Vec<Time>> {
    let mut command = Command::new(program);
    command.args(["time", "--rounds"]).arg(options.rounds.to_string());
    let lines = results(filter(&mut command, options))?;
    let time = |line: &Value| {
        Ok(Time {
            vs_limit: number(line, "time_vs_limit")?,
            times_faster_than_x86_64: number(line, "times_faster_than_x86_64").ok(),
        })
    };
    lines.iter().map(time).collect()
}

/// The counts of instructions and loads; times are left open.
fn counts(program: &Path, folder: &Path, options: &Paging) -> anyhow::Result<Vec<Measurement>> {
    let mut command = callgrind::command(program, folder)?;
    let lines = results(filter(command.arg("count"), options))?;
    let dumps = callgrind::dumps(folder)?;
    let measurement = |line: &Value| {
        let name = text(line, "dump")?;
        let counts = dumps.get(&name).with_context(|| format!("callgrind wrote no dump {name}"))?;
        let entries = number(line, "entries")?;
        let open = Time { vs_limit: f64::NAN, times_faster_than_x86_64: None };
        Ok(Measurement {
            workload: text(line, "workload")?,
            implementation: text(line, "implementation")?,
            instructions_per_entry: counts.instructions / entries,
            loads_per_entry: counts.loads / entries,
            default: open,
            scalar: open,
        })
    };
    lines.iter().map(measurement).collect()
}

/// Passes the choice of workloads and implementations on.
fn filter<'a>(command: &'a mut Command, options: &Paging) -> &'a mut Command {
    for (option, value) in [("--workload", &options.workload), ("--implementation", &options.implementation)] {
        if let Some(value) = value {
            command.args([option, value]);
        }
    }
    command
}

/// Runs the program; one object for each line that it prints.
fn results(command: &mut Command) -> anyhow::Result<Vec<Value>> {
    let mut process = Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()))
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    let stdout = process.take_stdout().context("benches has no standard output")?;
    let lines: Vec<_> = BufReader::new(stdout).lines().collect::<Result<_, _>>()?;
    let status = process.wait()?;
    if !status.success() {
        bail!("benches failed ({status})");
    }
    lines.iter().map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
}

fn number(line: &Value, key: &str) -> anyhow::Result<f64> {
    line.get(key).and_then(Value::as_f64).with_context(|| format!("no number {key} in {line}"))
}

fn text(line: &Value, key: &str) -> anyhow::Result<String> {
    line.get(key).and_then(Value::as_str).map(str::to_owned).with_context(|| format!("no text {key} in {line}"))
}
