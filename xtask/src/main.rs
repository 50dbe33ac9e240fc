//! Demo, tests, lints, dumps and set-up: the one tool for people and for CI.

mod bench;
mod bochs;
mod boot;
mod cargo;
mod carry;
mod console;
mod coverage;
mod demo;
mod diff_entry;
mod dump;
mod emulate;
mod emulated;
mod explain;
mod fuzz;
mod headers;
mod host;
mod image;
mod job;
mod ladder;
mod levels;
mod lint;
mod linux;
mod machine;
mod matrix;
mod module;
mod output;
mod packages;
mod parallel;
mod process;
mod qemu;
mod reference;
mod runs;
mod setup;
mod tables;
mod tally;
mod test;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cargo::Workspace;

#[derive(Debug, Parser)]
#[command(name = "xtask", bin_name = "cargo xtask", about, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Boots an example on an Intel and on an AMD processor and shows what it prints.
    Demo(demo::Arguments),
    /// Boots an unmodified Linux as the guest, on an Intel and on an AMD processor.
    Linux(linux::Arguments),
    /// Runs the tests on this host, then the images on every emulated machine.
    Test(test::Arguments),
    /// Fuzzes, with the corpus in the repository as a start; needs neither nightly Rust nor cargo-fuzz.
    Fuzz(fuzz::Arguments),
    /// Compares the tables of encodings with Linux's headers and the crate `x86`; a part of `test`.
    Headers(headers::Arguments),
    /// Prints the tables of encodings, or writes the reference made from them.
    Dump(dump::Arguments),
    /// Measures what the library costs, beside other crates.
    Bench(bench::Arguments),
    /// Compares the checkers of entries with emulated processors, over states made by chance.
    DiffEntry(diff_entry::Arguments),
    /// Runs the tests of the bare machine on one emulated processor, some of them or for longer.
    Emulate(emulate::Arguments),
    /// Says why a VM entry was refused, from a dump of a VMCS or a VMCB.
    Explain(explain::Arguments),
    /// Builds the kernel module of the examples, and runs it in Debian's kernel.
    Module(module::Arguments),
    /// Checks format, clippy, documentation and the reference.
    Lint,
    /// Installs the emulators and the linker, where they are missing.
    Setup,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    perform(&arguments.task).unwrap_or_else(|error| {
        output::progress(format_args!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

fn perform(task: &Task) -> anyhow::Result<ExitCode> {
    process::end_children_on_signals()?;
    let workspace = Workspace::find()?;
    match task {
        Task::Demo(arguments) => demo::run(&workspace, arguments),
        Task::Linux(arguments) => linux::run(&workspace, arguments),
        Task::Test(arguments) => test::run(&workspace, arguments),
        Task::Fuzz(arguments) => fuzz::run(&workspace, arguments),
        Task::Headers(arguments) => headers::run(&workspace, arguments),
        Task::Dump(arguments) => dump::run(&workspace, arguments),
        Task::Bench(arguments) => bench::run(&workspace, arguments),
        Task::DiffEntry(arguments) => diff_entry::run(&workspace, arguments),
        Task::Emulate(arguments) => emulate::run(&workspace, arguments),
        Task::Explain(arguments) => explain::run(&workspace, arguments),
        Task::Module(arguments) => module::run(&workspace, arguments),
        Task::Lint => lint::run(&workspace),
        Task::Setup => setup::run().map(|()| ExitCode::SUCCESS),
    }
}
