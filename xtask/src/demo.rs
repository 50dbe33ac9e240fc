//! An example on an Intel and on an AMD processor, live.

use core::time::Duration;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::boot::{Boot, Hardware};
use crate::cargo::{Profile, Workspace};
use crate::image::Image;
use crate::machine::{Choice, Machine};
use crate::{linux, output, setup};

/// The last step, whose guest needs files.
const LINUX: &str = "linux";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    choice: Choice,
    /// Prints every exit
    #[arg(long)]
    trace: bool,
    /// The example's package
    #[arg(long, value_name = "NAME", default_value = "demo")]
    example: String,
    /// Builds without optimization
    #[arg(long)]
    debug: bool,
    /// The time limit of each machine
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u32,
}

/// Builds the example, boots it and shows its console.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.example == LINUX {
        return linux::run(workspace, &linux::Arguments::of(&arguments.choice));
    }
    let machines = arguments.choice.machines()?;
    setup::run()?;
    let profile = if arguments.debug { Profile::Debug } else { Profile::Release };
    output::progress(format_args!("building {} ({profile})", arguments.example));
    let built = workspace.build_images(&[&arguments.example], profile)?;
    let elf =
        built.into_iter().next().flatten().with_context(|| format!("no image of {} was built", arguments.example))?;
    let folder = workspace.lock_folder()?;
    let image = Image::convert(&elf, &arguments.example, profile, folder.path())?;
    let summary =
        machines.iter().map(|machine| boot(&image, machine, arguments)).collect::<anyhow::Result<Vec<_>>>()?;
    output::line("");
    let mut code = ExitCode::SUCCESS;
    for (machine, (outcome, took)) in machines.iter().zip(summary) {
        let title = format!("{} on {machine} ({}), {}", image.name, machine.vendor, cpus(arguments.choice.cpus));
        match outcome {
            Ok(()) => output::line(format_args!("passed: {title}, {:.2} s", took.as_secs_f64())),
            Err(reason) => {
                output::line(format_args!("FAILED: {title}, {:.2} s: {reason}", took.as_secs_f64()));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// One machine: why it failed, and how long it took.
fn boot(image: &Image, machine: &Machine, arguments: &Arguments) -> anyhow::Result<(Result<(), String>, Duration)> {
    output::line(format_args!(
        "\n==== {} on {machine} ({}), {} ====",
        image.name,
        machine.vendor,
        cpus(arguments.choice.cpus)
    ));
    let trace: &[&str] = if arguments.trace { &["trace"] } else { &[] };
    let limit = Duration::from_secs(arguments.timeout.into());
    let (cpus, hardware) = (arguments.choice.cpus, Hardware::default());
    let run = Boot { image, machine, cpus, take: 0, arguments: trace, carried: None, limit, hardware }
        .run(|line| output::line(line))?;
    let outcome = run.judge();
    if let Err(reason) = &outcome {
        output::progress(format_args!("error: {} on {machine}: {reason}\n{}", image.name, run.describe()));
    }
    Ok((outcome, run.took))
}

fn cpus(number: u8) -> String {
    format!("{number} {}", if number == 1 { "processor" } else { "processors" })
}
