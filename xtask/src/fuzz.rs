//! Fuzzing: the targets of the package `fuzz`, with libFuzzer and the coverage that stable Rust can measure.

use core::fmt;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::cargo::{Workspace, executable};
use crate::output;
use crate::parallel::{WORKERS, each};
use crate::process::Process;
use crate::setup;
use crate::tally::Tally;

/// The longest input, in bytes: no target reads more.
const LONGEST: u32 = 1024;
/// Seconds after which one input counts as a hang.
const HANG: u32 = 10;
/// How many inputs of a target are kept in the repository.
const KEPT: usize = 100;

/// What cargo-fuzz gives rustc, but for the sanitizers, which need nightly Rust.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Seconds for all targets together, but at least one for each
    #[arg(long, value_name = "SECONDS", default_value_t = 60, conflicts_with = "runs")]
    time: u64,
    /// Inputs for each target, however long that takes
    #[arg(long)]
    runs: Option<u64>,
    /// Afterwards keep in the repository the fewest inputs that cover all that is covered
    #[arg(long)]
    keep: bool,
    /// The targets; all, if none is named
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
}

/// Runs the targets, and prints what each did.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    setup::compilers()?;
    let lock = workspace.lock_folder()?;
    let folder = lock.path().join("fuzz");
    let targets = select(build(workspace, Build::Coverage(&folder))?, &arguments.targets)?;
    let end = match arguments.runs {
        Some(runs) => format!("-runs={runs}"),
        None => format!("-max_total_time={}", seconds_each(arguments.time, targets.len())),
    };
    output::progress(format_args!("fuzzing {} targets with {end}, {WORKERS} at a time", targets.len()));
    let reports = each(&targets, |target| fuzz(workspace, &folder, target, &end));
    let reports = reports.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    output::line(format_args!(
        "{:24} {:>12} {:>9} {:>9} {:>7}  result",
        "target", "executions", "exec/s", "coverage", "corpus"
    ));
    reports.iter().for_each(output::line);
    if reports.iter().any(|report| report.finding.is_some()) {
        return Ok(ExitCode::FAILURE);
    }
    if arguments.keep {
        each(&targets, |target| keep(workspace, &folder, target)).into_iter().collect::<anyhow::Result<()>>()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs every input that is in the repository once, without measuring coverage. Each target counts as a test.
pub(crate) fn replay(workspace: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    setup::compilers()?;
    let lock = workspace.lock_folder()?;
    let folder = lock.path().join("fuzz");
    let targets = build(workspace, Build::Plain)?;
    for result in each(&targets, |target| replay_target(workspace, &folder, target)) {
        tally.add(result?);
    }
    Ok(())
}

/// Fails within if an input shows a mistake.
fn replay_target(workspace: &Workspace, folder: &Path, target: &Target) -> anyhow::Result<Result<(), String>> {
    let inputs = files(&corpus(workspace, target))?;
    if inputs.is_empty() {
        return Ok(Err(format!("fuzz target {}: no input in fuzz/corpus", target.name)));
    }
    let log = folder.join("replay").join(&target.name).with_extension("log");
    let status = target.start(&log, inputs.iter().map(PathBuf::as_path), &[])?;
    let text = fs::read_to_string(&log)?;
    output::line(format_args!("fuzz target {}: {} inputs, {status}", target.name, inputs.len()));
    Ok(if status.success() {
        Ok(())
    } else {
        Err(format!("fuzz target {}: {}\n{}", target.name, Finding::read(&text, status), log.display()))
    })
}

/// How the targets are built.
#[derive(Debug, Clone, Copy)]
enum Build<'a> {
    /// Optimized and with coverage, below this folder.
    Coverage(&'a Path),
    /// As tests are.
    Plain,
}

/// A fuzz target that was built.
#[derive(Debug)]
struct Target {
    name: String,
    program: PathBuf,
}

impl Target {
    /// Runs the program on `inputs`, with its output in `log`, and waits for its end.
    fn start<'a>(
        &self,
        log: &Path,
        inputs: impl Iterator<Item = &'a Path>,
        options: &[String],
    ) -> anyhow::Result<ExitStatus> {
        fs::create_dir_all(log.parent().unwrap_or(log))?;
        let mut command = Command::new(&self.program);
        command.args(options).arg(format!("-timeout={HANG}")).args(inputs);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?);
        let mut process = Process::start(&mut command).with_context(|| format!("cannot run {}", self.name))?;
        Ok(process.wait()?)
    }
}

/// Builds all targets.
fn build(workspace: &Workspace, build: Build<'_>) -> anyhow::Result<Vec<Target>> {
    output::progress("building the fuzz targets");
    let mut command = cargo(workspace, ["build", "--bins", "--message-format=json-render-diagnostics"]);
    if let Build::Coverage(folder) = build {
        // With a target named, flags are for that alone, and not for build scripts, which have no libFuzzer.
        command.args(["--release", "--target", &host()?]).env("CARGO_TARGET_DIR", folder.join("build"));
        command.env("RUSTFLAGS", FLAGS).env_remove("CARGO_ENCODED_RUSTFLAGS");
    }
    let mut process = Process::start(command.stdout(Stdio::piped())).context("cannot run cargo build")?;
    let stdout = process.take_stdout().context("cargo build has no standard output")?;
    let mut targets = Vec::new();
    for line in BufReader::new(stdout).lines() {
        targets.extend(executable(&line?).map(|(name, program)| Target { name, program }));
    }
    if !process.wait()?.success() {
        bail!("the fuzz targets cannot be built");
    }
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(targets)
}

/// A call of cargo for the package `fuzz`, which is a workspace of its own. It puts what it builds where the library's goes.
pub(crate) fn cargo<const N: usize>(workspace: &Workspace, arguments: [&str; N]) -> Command {
    let mut command = workspace.cargo(arguments);
    command.args(["--manifest-path", "fuzz/Cargo.toml"]).env("CARGO_TARGET_DIR", workspace.target());
    command
}

/// The platform that rustc runs on.
fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output().context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).context("rustc -vV names no host")
}

/// The targets with these names, or all.
fn select(mut targets: Vec<Target>, names: &[String]) -> anyhow::Result<Vec<Target>> {
    if let Some(name) = names.iter().find(|name| targets.iter().all(|target| target.name != **name)) {
        let known: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
        bail!("no fuzz target {name}; there are\n  {}", known.join("\n  "));
    }
    targets.retain(|target| names.is_empty() || names.contains(&target.name));
    Ok(targets)
}

/// Seconds for each of so many targets.
fn seconds_each(time: u64, targets: usize) -> u64 {
    let workers = u64::try_from(WORKERS.min(targets)).unwrap_or(1);
    let targets = u64::try_from(targets).unwrap_or(u64::MAX).max(1);
    (time.saturating_mul(workers) / targets).max(1)
}

/// The inputs in the repository.
fn corpus(workspace: &Workspace, target: &Target) -> PathBuf {
    workspace.root().join("fuzz/corpus").join(&target.name)
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    files.sort();
    Ok(files)
}

/// Makes new inputs from those in the repository and those of earlier runs.
fn fuzz(workspace: &Workspace, folder: &Path, target: &Target, end: &str) -> anyhow::Result<Report> {
    let (found, kept) = (folder.join("corpus").join(&target.name), corpus(workspace, target));
    let artifacts = folder.join("artifacts").join(&target.name);
    for folder in [&found, &kept, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let log = folder.join("logs").join(&target.name).with_extension("log");
    let options = [
        end.to_owned(),
        "-print_final_stats=1".to_owned(),
        format!("-max_len={LONGEST}"),
        format!("-artifact_prefix={}/", artifacts.display()),
    ];
    let status = target.start(&log, [found.as_path(), kept.as_path()].into_iter(), &options)?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let finding = (!status.success()).then(|| Finding::read(&text, status));
    let report = Report { name: target.name.clone(), stats: Stats::read(&text), finding };
    if let Some(finding) = &report.finding {
        let input = finding.input.as_deref().unwrap_or("INPUT");
        output::progress(format_args!("{}: {finding}", target.name));
        output::progress(format_args!("  its output: {}", log.display()));
        output::progress(format_args!("  once more:  {} {input}", target.program.display()));
    }
    Ok(report)
}

/// Replaces the inputs in the repository by the fewest that cover what those and the new ones cover.
fn keep(workspace: &Workspace, folder: &Path, target: &Target) -> anyhow::Result<()> {
    let (found, kept) = (folder.join("corpus").join(&target.name), corpus(workspace, target));
    let merged = folder.join("merged").join(&target.name);
    if merged.is_dir() {
        fs::remove_dir_all(&merged)?;
    }
    fs::create_dir_all(&merged)?;
    let log = folder.join("merged").join(&target.name).with_extension("log");
    // How often a branch is taken does not count here: that would keep some thousand inputs.
    let options = ["-merge=1", "-set_cover_merge=1", "-use_counters=0"].map(str::to_owned);
    let inputs = [merged.as_path(), kept.as_path(), found.as_path()];
    if !target.start(&log, inputs.into_iter(), &options)?.success() {
        bail!("the inputs of {} cannot be merged: {}", target.name, log.display());
    }
    let mut best = files(&merged)?;
    best.sort_by_key(|file| fs::metadata(file).map_or(u64::MAX, |metadata| metadata.len()));
    best.truncate(KEPT);
    for file in files(&kept)? {
        fs::remove_file(file)?;
    }
    for file in &best {
        fs::copy(file, kept.join(file.file_name().unwrap_or(OsStr::new("input"))))?;
    }
    output::line(format_args!("{}: {} inputs in {}", target.name, best.len(), kept.display()));
    Ok(())
}

/// What one target did.
#[derive(Debug)]
struct Report {
    name: String,
    stats: Stats,
    finding: Option<Finding>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats { executions, per_second, coverage, corpus } = self.stats;
        write!(f, "{:24} {executions:>12} {per_second:>9} {coverage:>9} {corpus:>7}  ", self.name)?;
        f.write_str(if self.finding.is_none() { "ok" } else { "FOUND" })
    }
}

/// What libFuzzer says of a run.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Stats {
    executions: u64,
    per_second: u64,
    /// Edges of the control flow that were taken.
    coverage: u64,
    corpus: u64,
}

impl Stats {
    fn read(log: &str) -> Self {
        let mut stats = Self::default();
        for line in log.lines() {
            let number = |name: &str| number_after(line, name);
            stats.executions = number("stat::number_of_executed_units:").unwrap_or(stats.executions);
            stats.per_second = number("stat::average_exec_per_sec:").unwrap_or(stats.per_second);
            if line.starts_with('#') {
                stats.coverage = number(" cov:").unwrap_or(stats.coverage);
                stats.corpus = number(" corp:").unwrap_or(stats.corpus);
            }
        }
        stats
    }
}

/// The number that follows `name` in the line.
fn number_after(line: &str, name: &str) -> Option<u64> {
    let (_, rest) = line.split_once(name)?;
    let rest = rest.trim_start();
    let digits = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..digits)?.parse().ok()
}

/// Why a target ended early.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    /// What the panic, or libFuzzer, says.
    reason: String,
    /// The file with the input.
    input: Option<String>,
}

impl Finding {
    fn read(log: &str, status: ExitStatus) -> Self {
        let mut lines = log.lines();
        let panicked = lines.by_ref().find(|line| line.contains("panicked at"));
        let said = panicked.map(|line| [line, lines.next().unwrap_or_default()].join(" "));
        let error = || log.lines().find(|line| line.contains("ERROR: libFuzzer")).map(str::to_owned);
        let input =
            log.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.to_owned());
        Self { reason: said.or_else(error).unwrap_or_else(|| status.to_string()), input }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        self.input.as_ref().map_or(Ok(()), |input| write!(f, "; the input is {input}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn the_numbers_of_a_run_are_read() {
        let log = "INFO: Seed: 1\n#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb\n\
            #900\tREDUCE cov: 68 ft: 90 corp: 12/345b lim: 8 exec/s: 0 rss: 31Mb L: 4/8 MS: 1\n\
            stat::number_of_executed_units: 188400\nstat::average_exec_per_sec:     47100\n";
        let expected = Stats { executions: 188_400, per_second: 47_100, coverage: 68, corpus: 12 };
        assert_eq!(Stats::read(log), expected);
    }

    #[test]
    fn a_panic_and_its_input_are_read() {
        let log = "thread '<unnamed>' panicked at core/src/io.rs:1:2:\nattempt to add\n==1== ERROR: libFuzzer: deadly signal\n\
            artifact_prefix='a/'; Test unit written to a/crash-0123\n";
        let finding = Finding::read(log, ExitStatus::from_raw(77 << 8));
        assert_eq!(finding.input.as_deref(), Some("a/crash-0123"));
        assert!(finding.reason.ends_with("io.rs:1:2: attempt to add"), "{finding}");
        let hang = Finding::read("ERROR: libFuzzer: timeout after 10 seconds", ExitStatus::from_raw(70 << 8));
        assert_eq!(hang, Finding { reason: "ERROR: libFuzzer: timeout after 10 seconds".to_owned(), input: None });
    }

    #[test]
    fn the_time_is_that_of_all_targets() {
        assert_eq!(seconds_each(60, 14), 8);
        assert_eq!(seconds_each(60, 1), 60);
        assert_eq!(seconds_each(1, 14), 1);
    }

    #[test]
    fn only_targets_that_exist_can_be_named() {
        let targets = || ["a", "b"].map(|name| Target { name: name.to_owned(), program: PathBuf::new() }).into();
        assert_eq!(select(targets(), &[]).unwrap().len(), 2);
        assert_eq!(select(targets(), &["b".to_owned()]).unwrap().len(), 1);
        assert!(select(targets(), &["c".to_owned()]).unwrap_err().to_string().contains("a\n  b"));
    }
}
