//! The tests of the bare machine on one emulated processor, with words for their command line.

use core::time::Duration;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::boot::{Boot, Hardware};
use crate::cargo::{Profile, Workspace};
use crate::image::Image;
use crate::machine::Machine;
use crate::{output, setup};

/// The image.
const IMAGE: &str = "emulated-tests";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The processor: a model of Bochs, or what QEMU takes for -cpu
    #[arg(long, value_name = "MODEL", default_value = "corei7_haswell_4770")]
    cpu: String,
    /// How many processors
    #[arg(long, value_name = "N", default_value_t = 1)]
    cpus: u8,
    /// The time limit in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    limit: u64,
    /// Without optimization, with overflow checks
    #[arg(long)]
    debug: bool,
    /// For the image, such as only=events or exits=1000000
    words: Vec<String>,
}

/// Runs the image, and shows what it prints.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let machine = Machine::choose(None, Some(&arguments.cpu))?
        .into_iter()
        .next()
        .with_context(|| format!("no machine has the processor {}", arguments.cpu))?;
    setup::run()?;
    let profile = if arguments.debug { Profile::Debug } else { Profile::Release };
    output::progress(format_args!("building {IMAGE} ({profile})"));
    let built = workspace.build_images(&[IMAGE], profile)?;
    let elf = built.into_iter().next().flatten().context("the image was not built")?;
    let folder = workspace.lock_folder()?;
    let image = Image::convert(&elf, IMAGE, profile, folder.path())?;
    let words: Vec<_> = arguments.words.iter().map(String::as_str).collect();
    let limit = Duration::from_secs(arguments.limit);
    let boot = Boot {
        image: &image,
        machine: &machine,
        cpus: arguments.cpus,
        take: 0,
        arguments: &words,
        carried: None,
        limit,
        hardware: Hardware::default(),
    };
    let run = boot.run(|line| output::line(line))?;
    output::line(format_args!("{machine}, {} processors: {:.1} s", arguments.cpus, run.took.as_secs_f64()));
    match run.judge() {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(reason) => {
            output::line(format_args!("FAILED  {reason}\n{}", run.describe()));
            Ok(ExitCode::FAILURE)
        }
    }
}
