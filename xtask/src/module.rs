//! The kernel module of `examples/linux-module`: built for Debian's kernel, and loaded there on emulated machines.

mod boot;
mod build;
mod check;
mod cpio;
mod freestanding;
mod kernel;
mod memory_image;
mod relax;
#[cfg(test)]
mod sample;

use std::process::ExitCode;

use clap::Args;

use crate::cargo::Workspace;
use crate::machine::{Choice, Machine, Vendor};
use crate::parallel::each;
use crate::tally::Tally;
use crate::{output, setup};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice,
    /// Builds the module, and boots nothing
    #[arg(long)]
    build_only: bool,
    /// Builds the library for x86_64-unknown-none instead
    #[arg(long, conflicts_with_all = ["vendor", "cpu", "cpus", "build_only"])]
    freestanding: bool,
}

/// Builds the module, boots Linux with it, and shows what the program in user space prints.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let machines = arguments.choice.machines()?;
    setup::run()?;
    let folder = workspace.lock_folder()?;
    let folder = folder.path().join("module");
    if arguments.freestanding {
        return freestanding::build(workspace, &folder).map(|()| ExitCode::SUCCESS);
    }
    let kernel = kernel::obtain(&folder)?;
    let built = build::build(workspace, &kernel, &folder)?;
    output::line(built.module.display());
    if arguments.build_only {
        return Ok(ExitCode::SUCCESS);
    }
    boot::write_archive(&kernel, &built, &folder)?;
    let mut code = ExitCode::SUCCESS;
    for machine in &machines {
        output::line(format_args!(
            "==== Linux {} on {machine} ({}), {} ====",
            kernel.version,
            machine.vendor,
            processors(arguments.choice.cpus)
        ));
        let run = boot::boot(&kernel, machine, arguments.choice.cpus, &folder, |line| output::line(line))?;
        match run.verdict {
            Ok(()) => output::line(format_args!("passed, {:.2} s", run.took.as_secs_f64())),
            Err(why) => {
                output::line(format_args!("FAILED, {:.2} s: {why}", run.took.as_secs_f64()));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

fn processors(count: u8) -> String {
    if count == 1 { "1 processor".to_owned() } else { format!("{count} processors") }
}

/// How the module is tested: the machine, and the number of its processors. The longest run comes first.
fn runs() -> [(Machine, u8); 3] {
    [
        (Machine::bochs("corei7_haswell_4770", Vendor::Intel), 1),
        (Machine::qemu("EPYC,+svm,+npt"), 2),
        (Machine::qemu("max"), 1),
    ]
}

/// Begins the names of the runs with the module, for `cargo xtask test --filter`.
pub(crate) const FILTER: &str = "module";

/// Builds the module, and loads it on machines of both vendors; and builds the library for the target without an operating system.
pub(crate) fn test(workspace: &Workspace, filter: Option<&str>, tally: &mut Tally) -> anyhow::Result<()> {
    let runs: Vec<_> = runs()
        .into_iter()
        .filter(|(machine, _)| filter.is_none_or(|filter| format!("{FILTER} {machine}").contains(filter)))
        .collect();
    if runs.is_empty() {
        return Ok(());
    }
    let folder = workspace.lock_folder()?;
    let folder = folder.path().join("module");
    let kernel = kernel::obtain(&folder)?;
    let built = match build::build(workspace, &kernel, &folder) {
        Ok(built) => built,
        Err(error) => {
            tally.add(Err(format!("the kernel module: {error:#}")));
            return Ok(());
        }
    };
    boot::write_archive(&kernel, &built, &folder)?;
    let name = |machine: &Machine, cpus| format!("Linux {} on {machine}, {}", kernel.version, processors(cpus));
    let results = each(&runs, |(machine, cpus)| {
        let run = boot::boot(&kernel, machine, *cpus, &folder, |_| ())?;
        let word = if run.verdict.is_ok() { "pass" } else { "FAIL" };
        output::line(format_args!("{word}  {}  {:.2} s", name(machine, *cpus), run.took.as_secs_f64()));
        anyhow::Ok(run)
    });
    for ((machine, cpus), run) in runs.iter().zip(results) {
        let (name, run) = (name(machine, *cpus), run?);
        for test in run.tests {
            tally.add(test.outcome.map_err(|why| format!("{name}: {}: {why}", test.name)));
        }
        tally.add(run.verdict.map_err(|why| format!("{name}: {why}")));
    }
    // It boots nothing, so that a machine's name leaves it out.
    if filter.is_none_or(|filter| filter == FILTER) {
        tally.add(freestanding::build(workspace, &folder).map_err(|error| format!("{error:#}")));
    }
    Ok(())
}
