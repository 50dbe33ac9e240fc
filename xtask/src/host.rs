//! The tests that run on this host.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::Context as _;

use crate::cargo::Workspace;
use crate::output;
use crate::process::Process;
use crate::tally::Tally;

/// Runs unit, integration and documentation tests of the default members, without and with every feature, and the exit loops of the
/// examples.
pub(crate) fn run(workspace: &Workspace, tally: &mut Tally) -> anyhow::Result<()> {
    test(workspace, &[], tally)?;
    test(workspace, &["--features", "decode,arbitrary,provisional,testing"], tally)?;
    // The exit loops of the examples, whose other half is for the bare machine.
    test(workspace, &["--lib", "-p", "demo", "-p", "minimal", "-p", "linux"], tally)
}

fn test(workspace: &Workspace, options: &[&str], tally: &mut Tally) -> anyhow::Result<()> {
    let title = [&["cargo", "test"], options].concat().join(" ");
    output::progress(&title);
    let mut command = workspace.cargo(["test", "--no-fail-fast"]);
    let mut process = Process::start(command.args(options).stdout(Stdio::piped())).context("cannot run cargo test")?;
    let (mut passed, mut failed) = (0usize, 0usize);
    let stdout = process.take_stdout().context("cargo test has no standard output")?;
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        if let Some(counts) = counts(&line) {
            passed = passed.saturating_add(counts.0);
            failed = failed.saturating_add(counts.1);
        }
        output::line(line);
    }
    let status = process.wait()?;
    tally.add_counts(passed, 0);
    if failed > 0 || !status.success() {
        let reason = if failed > 0 { format!("{failed} tests failed") } else { status.to_string() };
        tally.add(Err(format!("{title}: {reason}")));
        tally.add_counts(0, failed.saturating_sub(1));
    }
    Ok(())
}

/// The passed and the failed tests in the last line of a test program.
fn counts(line: &str) -> Option<(usize, usize)> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut numbers = counts.split("; ");
    let mut number = |word| numbers.next()?.strip_suffix(word)?.trim().parse().ok();
    Some((number("passed")?, number("failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_of_a_test_program_are_read() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(counts(line), Some((12, 0)));
        assert_eq!(counts("test result: FAILED. 3 passed; 2 failed; 0 ignored"), Some((3, 2)));
        assert_eq!(counts("test a::b ... ok"), None);
        assert_eq!(counts("running 3 tests"), None);
    }
}
