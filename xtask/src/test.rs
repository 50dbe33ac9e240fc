//! All tests: on this host, against sources that are not ours, then on the emulated machines.

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;

use crate::cargo::Workspace;
use crate::tally::Tally;
use crate::{emulated, fuzz, headers, host, ladder, linux, module, output, setup};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only the tests on this host
    #[arg(long, conflicts_with_all = ["emulated_only", "filter"])]
    host_only: bool,
    /// Only the emulated machines
    #[arg(long)]
    emulated_only: bool,
    /// Of the emulated machines, only those whose names contain this; `ladder`, or `ladder qemu`, means those with the steps to a guest,
    /// `linux` those with Linux as the guest, and `module` those with the kernel module
    #[arg(long, value_name = "MACHINE")]
    filter: Option<String>,
    /// Of the emulated machines' tests, only those whose names contain this
    #[arg(long, value_name = "NAME", requires = "emulated_only")]
    only: Option<String>,
}

/// Runs the tests. The last line printed is the number of those that passed and failed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let mut tally = Tally::default();
    if let Err(error) = perform(workspace, arguments, &mut tally) {
        tally.add(Err(format!("{error:#}")));
    }
    output::line("");
    for failure in tally.failures() {
        output::line(format_args!("FAILED  {failure}"));
    }
    output::line(format_args!("total time {:.1} s", began.elapsed().as_secs_f64()));
    output::line(&tally);
    Ok(if tally.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn perform(workspace: &Workspace, arguments: &Arguments, tally: &mut Tally) -> anyhow::Result<()> {
    setup::run()?;
    if !arguments.emulated_only {
        host::run(workspace, tally)?;
        fuzz::replay(workspace, tally)?;
        headers::test(workspace, tally)?;
    }
    if !arguments.host_only {
        let (filter, only) = (arguments.filter.as_deref(), arguments.only.as_deref());
        let is_of = |word: &str| filter.is_some_and(|filter| filter.starts_with(word));
        let (is_of_ladder, is_of_linux, is_of_module) =
            (is_of(ladder::FILTER), is_of(linux::FILTER), is_of(module::FILTER));
        let is_of_machine = !is_of_ladder && !is_of_linux && !is_of_module;
        let is_all = filter.is_none() && only.is_none();
        if is_of_machine {
            emulated::run(workspace, filter, only, tally)?;
        }
        if is_of_ladder || is_of_machine && only.is_none() {
            ladder::test(workspace, filter, tally)?;
        }
        if is_of_linux || is_all {
            linux::test(workspace, filter, tally)?;
        }
        if is_of_module || is_all {
            module::test(workspace, filter, tally)?;
        }
    }
    Ok(())
}
