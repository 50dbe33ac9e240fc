//! The tests of the bare machine on one emulated processor, with words for their command line.

use core::time::Duration;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;

use crate::boot::{Boot, Hardware};
use crate::cargo::{Profile, Workspace};
use crate::image::Image;
use crate::machine::Machine;
use crate::runs::{self, Single};
use crate::tally::Tally;
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
    /// Boots so often, on two machines at a time, where each goes on with the number (first=F) at which the one before ends (runs=R)
    #[arg(long, value_name = "N", default_value_t = 1)]
    pieces: u8,
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
    let limit = Duration::from_secs(arguments.limit);
    if arguments.pieces > 1 {
        return run_pieces(&image, &machine, arguments, limit);
    }
    let words: Vec<_> = arguments.words.iter().map(String::as_str).collect();
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

/// Boots the image again and again.
fn run_pieces(image: &Image, machine: &Machine, arguments: &Arguments, limit: Duration) -> anyhow::Result<ExitCode> {
    let single = |words: Vec<String>| Single {
        title: format!("{machine}  {}", words.join(" ")),
        image,
        machine,
        cpus: arguments.cpus,
        words,
        hardware: Hardware::default(),
        limit,
        judge: Box::new(|run| vec![run.judge()]),
    };
    let runs: Vec<_> = pieces(&arguments.words, arguments.pieces)?.into_iter().map(single).collect();
    let mut tally = Tally::default();
    runs::perform(&runs, &mut tally);
    output::line(&tally);
    Ok(if tally.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The words of each of `count` boots that go on where the one before ends.
fn pieces(words: &[String], count: u8) -> anyhow::Result<Vec<Vec<String>>> {
    let number = |name: &str| words.iter().find_map(|word| word.strip_prefix(name)).map(str::parse::<u64>).transpose();
    let runs = number("runs=")?.context("pieces need a word such as runs=5000")?;
    let first = number("first=")?.unwrap_or(0);
    let others = words.iter().filter(|word| !word.starts_with("first="));
    let piece = |number: u8| {
        let first = first + u64::from(number) * runs;
        others.clone().cloned().chain([format!("first={first}")]).collect()
    };
    Ok((0..count).map(piece).collect())
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_go_on_where_the_one_before_ends() {
        let words = ["only=a", "first=7", "runs=100"].map(str::to_owned);
        let expected = [["only=a", "runs=100", "first=7"], ["only=a", "runs=100", "first=107"]];
        assert_eq!(pieces(&words, 2).unwrap(), expected);
        assert_eq!(pieces(&words[2..], 1).unwrap(), [["runs=100", "first=0"]]);
        assert!(pieces(&words[..2], 2).is_err());
    }
}
