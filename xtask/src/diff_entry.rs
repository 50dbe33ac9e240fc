//! The checkers of entries against emulated processors: many states, each by its seed and number.

mod chunk;
mod messages;
mod summary;

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::env;
use std::fs;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};

use crate::cargo::{Profile, Workspace};
use crate::diff_entry::chunk::Chunk;
use crate::diff_entry::messages::Messages;
use crate::diff_entry::summary::Summary;
use crate::image::Image;
use crate::machine::{Emulator, Machine, Vendor};
use crate::tally::Tally;
use crate::{bochs, output, setup};

/// The image with the comparison.
const IMAGE: &str = "emulated-tests";
/// How many emulators run at a time: each takes one core.
const WORKERS: u8 = 2;
/// The most states that one run of an emulator tries.
const CHUNK: u64 = 20_000;
/// The time limit of a run.
const LIMIT: Duration = Duration::from_secs(600);
/// After so many disagreements no more states are tried.
const ENOUGH: usize = 100;

/// The processors that `cargo xtask test` compares with, how many states on each, and which.
const TESTED: [&str; 6] = ["corei7_haswell_4770", "corei7_skylake_x", "corei7_icelake_u", "tigerlake", "ryzen", "max"];
const TESTED_CASES: u64 = 2_000;
const TESTED_SEED: u64 = 2;

/// What emulates the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Program {
    Bochs,
    Qemu,
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Whose checker
    #[arg(long, default_value = "intel")]
    vendor: Vendor,
    /// The emulator; without it, the one that has the processor
    #[arg(long)]
    machine: Option<Program>,
    /// The processor: a model of Bochs, or what QEMU takes for -cpu
    #[arg(long, value_name = "MODEL")]
    cpu: Option<String>,
    /// Which states
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// How many states
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    cases: u64,
    /// The number of the first state
    #[arg(long, value_name = "F", default_value_t = 0)]
    first: u64,
    /// How many emulators run at a time
    #[arg(long, value_name = "W", default_value_t = WORKERS, value_parser = clap::value_parser!(u8).range(1..=8))]
    workers: u8,
    /// Prints one object
    #[arg(long)]
    json: bool,
}

/// Which states are tried.
#[derive(Debug, Clone, Copy)]
struct States {
    seed: u64,
    /// The number of the first.
    first: u64,
    cases: u64,
}

/// Runs the comparison. Fails where something is left that no row explains.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let machine = choose(arguments)?;
    setup::run()?;
    output::progress(format_args!("building {IMAGE} ({})", Profile::Release));
    let built = workspace.build_images(&[IMAGE], Profile::Release)?;
    let elf = built.into_iter().next().flatten().context("the image was not built")?;
    let folder = workspace.lock_folder()?;
    let image = Image::convert(&elf, IMAGE, Profile::Release, folder.path())?;
    let Arguments { seed, first, cases, workers, .. } = *arguments;
    let summary = compare(&image, &machine, States { seed, first, cases }, workers)?;
    if arguments.json {
        output::line(summary.json());
    } else {
        output::line(&summary);
    }
    Ok(if summary.is_explained() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The machine that a user means.
fn choose(arguments: &Arguments) -> anyhow::Result<Machine> {
    let usual = match (arguments.vendor, arguments.machine) {
        (Vendor::Intel, _) => "corei7_haswell_4770",
        (Vendor::Amd, Some(Program::Qemu)) => "max",
        (Vendor::Amd, _) => "ryzen",
    };
    let cpu = arguments.cpu.as_deref().unwrap_or(usual);
    let machine = Machine::choose(Some(arguments.vendor), Some(cpu))?
        .into_iter()
        .next()
        .with_context(|| format!("no machine has the processor {cpu}"))?;
    let program = match machine.emulator {
        Emulator::Bochs => Program::Bochs,
        Emulator::Qemu => Program::Qemu,
    };
    if arguments.machine.is_some_and(|wanted| wanted != program) {
        bail!("{cpu} is a processor of the other emulator");
    }
    Ok(machine)
}

/// Tries `states` in pieces, as many at a time as there are workers.
fn compare(image: &Image, machine: &Machine, states: States, workers: u8) -> anyhow::Result<Summary> {
    let States { seed, first, cases } = states;
    let messages = Messages::of(machine);
    let began = Instant::now();
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let is_over = AtomicBool::new(false);
    let summary = Mutex::new(Summary::new(machine));
    let piece = CHUNK.min(cases.div_ceil(u64::from(workers))).max(1);
    let work = |worker: u8| -> anyhow::Result<()> {
        while !is_over.load(Ordering::Relaxed) {
            let start = next.fetch_add(1, Ordering::Relaxed).saturating_mul(piece);
            if start >= cases {
                break;
            }
            let count = piece.min(cases.saturating_sub(start));
            let first = first.saturating_add(start);
            let chunk = Chunk { image, machine, seed, first, cases: count, worker, is_directed: start == 0 };
            let part = chunk.run(&messages)?;
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.add(part);
            is_over.fetch_or(summary.unexplained() > ENOUGH, Ordering::Relaxed);
            let all = done.fetch_add(count, Ordering::Relaxed).saturating_add(count);
            output::progress(format_args!(
                "{machine}: {all} of {cases} states, {} unexplained, {:.0} s",
                summary.unexplained(),
                began.elapsed().as_secs_f64()
            ));
        }
        Ok(())
    };
    thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..workers).map(|worker| scope.spawn(move || work(worker))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| bail!("a worker panicked")))
    })?;
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.took = began.elapsed();
    Ok(summary)
}

/// A bounded comparison, as a part of all tests, with those of `machines` that are compared with.
pub(crate) fn test<'a>(machines: impl Iterator<Item = &'a Machine>, images: &[Image], tally: &mut Tally) {
    let image = images.iter().find(|image| image.name == IMAGE && image.profile == Profile::Release);
    let mut logs_reasons = false;
    for machine in machines.filter(|machine| TESTED.contains(&machine.cpu.as_str())) {
        logs_reasons |= !Messages::of(machine).rows().is_empty();
        let summary = image.context("the image was not built");
        let states = States { seed: TESTED_SEED, first: 0, cases: TESTED_CASES };
        tally.add(match summary.and_then(|image| compare(image, machine, states, WORKERS)) {
            Ok(summary) if summary.is_explained() => {
                output::line(format_args!("pass  {}", summary.line()));
                Ok(())
            }
            Ok(summary) => Err(format!("diff-entry: {summary}")),
            Err(error) => Err(format!("{machine}  diff-entry: {error:#}")),
        });
    }
    if logs_reasons {
        tally.add(compare_messages().map_err(|error| format!("messages of Bochs: {error:#}")));
    }
}

/// The table of messages has those of the installed Bochs.
fn compare_messages() -> anyhow::Result<()> {
    let path = env::var_os("PATH").unwrap_or_default();
    let candidates = env::split_paths(&path).flat_map(|folder| bochs::PROGRAMS.map(|name| folder.join(name)));
    let program = candidates.into_iter().find(|file| file.is_file()).context("Bochs is not in the PATH")?;
    let bytes = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    let differences = Messages::all().differences(&bytes);
    ensure!(differences.is_empty(), "{}: {}", program.display(), differences.join("; "));
    Ok(())
}
