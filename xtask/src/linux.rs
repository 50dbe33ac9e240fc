//! An unmodified Linux as the guest of the example hypervisor.

mod bad;
mod cpio;
mod files;
mod guest;
mod judge;
mod shell;
mod test;
mod timeline;

pub(crate) use self::test::{FILTER, test};

use core::time::Duration;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use self::files::Kernel;
use self::guest::{Apics, Files, Guest, Interface};
use crate::boot::Time;
use crate::cargo::Workspace;
use crate::console;
use crate::machine::{Choice, Emulator, Machine};
use crate::tally::Tally;
use crate::{output, setup};

/// How many exits a timeline has.
const SLICES: u32 = 60_000;
/// The guest's memory in MiB, and the limit of a boot in seconds, unless other values are given.
const MEMORY_MIB: u64 = 128;
const TIMEOUT: u32 = 600;
/// Where a timeline goes that has no name.
const TIMELINE: &str = "linux.trace.json";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice,
    /// The guest's memory in MiB
    #[arg(long, value_name = "MIB", default_value_t = MEMORY_MIB)]
    memory: u64,
    /// The kernel: `cloud`, `stock`, or the file of a bzImage
    #[arg(long, value_name = "KERNEL", default_value = "cloud")]
    kernel: Kernel,
    /// The first file system, in place of the one with the tests
    #[arg(long, value_name = "FILE")]
    initrd: Option<PathBuf>,
    /// More parameters for the kernel
    #[arg(long, value_name = "PARAMETERS", default_value = "")]
    append: String,
    /// Leaves you in a shell of the guest; Ctrl-] leaves it
    #[arg(long, conflicts_with_all = ["trace", "boots"])]
    shell: bool,
    /// Writes a timeline of the exits, for Perfetto
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = TIMELINE)]
    trace: Option<PathBuf>,
    /// The kernel says what it does
    #[arg(long)]
    verbose: bool,
    /// The local APIC has its registers in memory, never in MSRs
    #[arg(long)]
    xapic: bool,
    /// Whether the processor virtualizes the local APICs: if it can, always, or never
    #[arg(long, value_enum, default_value_t = Apics::Auto)]
    apic: Apics,
    /// QEMU's time is the host's, and its processors run side by side: no run is like another
    #[arg(long)]
    real_time: bool,
    /// Boots so often
    #[arg(long, value_name = "N", default_value_t = 1)]
    boots: u32,
    /// Boots every guest that there is a test for, on both vendors' processors; each test in a guest counts
    #[arg(long, conflicts_with_all = ["shell", "trace", "boots", "kernel", "initrd", "cpus", "memory"])]
    tests: bool,
    /// The time limit of each boot
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT)]
    timeout: u32,
}

impl Arguments {
    /// Those of `cargo xtask linux` without options, on these machines.
    pub(crate) fn of(choice: &Choice) -> Self {
        Self {
            choice: choice.clone(),
            memory: MEMORY_MIB,
            kernel: Kernel::Cloud,
            initrd: None,
            append: String::new(),
            shell: false,
            trace: None,
            verbose: false,
            xapic: false,
            apic: Apics::Auto,
            real_time: false,
            boots: 1,
            tests: false,
            timeout: TIMEOUT,
        }
    }
}

/// Boots Linux and shows its console.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let machines = arguments.choice.machines()?;
    setup::run()?;
    if arguments.tests {
        let mut tally = Tally::default();
        test::on(workspace, &machines, &mut tally)?;
        for failure in tally.failures() {
            output::line(format_args!("FAILED  {failure}"));
        }
        output::line(&tally);
        return Ok(if tally.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let folder = workspace.lock_folder()?;
    let files = Files::obtain(workspace, folder.path(), &arguments.kernel, arguments.initrd.as_deref())?;
    let elf = guest::build(workspace)?;
    let mut summary = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for machine in &machines {
        for boot in 1..=arguments.boots {
            let guest = arguments.guest(machine);
            output::line(format_args!("\n==== {guest}, boot {boot} of {} ====", arguments.boots));
            let image = files.image(&elf, &guest.image_name(), folder.path())?;
            if arguments.shell {
                shell::run(&image, &guest, arguments.limit())?;
                continue;
            }
            let run = guest.boot(&image, arguments.limit(), show)?;
            if let Some(file) = &arguments.trace {
                let exits = timeline::write(&run.lines, file)?;
                output::line(format_args!("timeline: {exits} exits, {}", file.display()));
            }
            let outcome =
                if arguments.initrd.is_some() { run.judge() } else { judge::judge(&run, arguments.choice.cpus) };
            let title = format!("{guest}, {:.1} s", run.took.as_secs_f64());
            summary.push(match outcome {
                Ok(()) => format!("passed: {title}"),
                Err(reason) => {
                    output::progress(format_args!("error: {guest}: {reason}\n{}", run.describe()));
                    code = ExitCode::FAILURE;
                    format!("FAILED: {title}: {reason}")
                }
            });
        }
    }
    output::line("");
    summary.iter().for_each(output::line);
    Ok(code)
}

impl Arguments {
    fn guest<'a>(&'a self, machine: &'a Machine) -> Guest<'a> {
        Guest {
            machine,
            cpus: self.choice.cpus,
            memory_mib: self.memory,
            kernel: &self.kernel,
            append: &self.append,
            time: if self.real_time || self.shell { Time::Real } else { Time::Counted },
            interface: if self.xapic { Interface::Memory } else { Interface::MemoryOrMsrs },
            apics: self.apic,
            is_verbose: self.verbose,
            has_shell: self.shell,
            slices: if self.trace.is_some() { SLICES } else { 0 },
        }
    }

    fn limit(&self) -> Duration {
        Duration::from_secs(self.timeout.into())
    }
}

/// Prints a line of the console, but for those of a timeline.
fn show(line: &str) {
    if !timeline::is_slice(line) {
        output::line(line);
    }
}

/// Bochs cannot have more.
const BOCHS_MIB: u64 = 2048;

/// Checks what the machine would not say clearly.
fn check(machine: &Machine, memory_mib: u64) -> anyhow::Result<()> {
    if machine.emulator == Emulator::Bochs && memory_mib > BOCHS_MIB {
        bail!("Bochs has at most {BOCHS_MIB} MiB of memory, and {memory_mib} are needed for this guest");
    }
    Ok(())
}

/// The text of a guest's line of the console.
fn guest_line(line: &str) -> Option<&str> {
    line.strip_prefix("| ").or((line == "|").then_some(""))
}

/// The test that a line of the guest reports.
fn test_of(line: &str) -> Option<console::Test> {
    guest_line(line).and_then(console::test)
}

/// A number as a size of memory.
fn bytes_of(contents: &[u8]) -> anyhow::Result<u64> {
    u64::try_from(contents.len()).context("a file is too large")
}
