//! An emulator's console, read to its end within limits.

use core::time::Duration;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{ChildStdout, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Instant;

use anyhow::Context as _;

use crate::console;
use crate::process::Process;

/// A line is cut after this many bytes.
const LONGEST_LINE: u64 = 0x1_0000;
/// Lines read ahead of their use.
const READ_AHEAD: usize = 1024;

/// How an emulator ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Exit(ExitStatus),
    TimeLimit(Duration),
    TooManyLines,
}

/// Hands each line of the image to `wants_more` until the emulator ends; kills it after `limit`, or where no more is
/// wanted.
pub(crate) fn until_end(
    process: &mut Process,
    limit: Duration,
    mut wants_more: impl FnMut(&str) -> bool,
) -> anyhow::Result<End> {
    raw_until_end(process, limit, |line| console::filter(line).is_none_or(&mut wants_more))
}

/// The same with every line, also those of the emulator's own.
pub(crate) fn raw_until_end(
    process: &mut Process,
    limit: Duration,
    mut wants_more: impl FnMut(&str) -> bool,
) -> anyhow::Result<End> {
    let deadline = Instant::now() + limit;
    let console = read(process.take_stdout().context("the emulator has no standard output")?);
    loop {
        match console.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) if wants_more(&line) => {}
            Ok(_) => {
                process.kill()?;
                return Ok(End::TooManyLines);
            }
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => match process.wait_until(deadline)? {
                Some(status) => return Ok(End::Exit(status)),
                None => break,
            },
        }
        // As long as lines wait, none times out.
        if Instant::now() >= deadline {
            break;
        }
    }
    process.kill()?;
    for line in console.iter().take(READ_AHEAD) {
        wants_more(&line);
    }
    Ok(End::TimeLimit(limit))
}

/// The lines of a console, read by a thread of their own.
fn read(console: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = sync_channel(READ_AHEAD);
    thread::spawn(move || {
        let mut console = BufReader::new(console);
        let mut line = Vec::new();
        while console.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
            line.clear();
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Watches a shell in the place of an emulator.
    fn watch(script: &str, limit: Duration, most: usize) -> (End, Vec<String>) {
        let mut process = Process::start(Command::new("sh").args(["-c", script]).stdout(Stdio::piped())).unwrap();
        let mut lines = Vec::new();
        let end = until_end(&mut process, limit, |line| {
            lines.push(line.to_owned());
            lines.len() < most
        });
        (end.unwrap(), lines)
    }

    #[test]
    fn the_console_is_read_to_the_end() {
        let script = "echo banner; echo '@ one'; printf '@ two'; exit 33";
        let (end, lines) = watch(script, Duration::from_secs(60), 9);
        assert!(matches!(end, End::Exit(status) if status.code() == Some(33)), "{end:?}");
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn an_emulator_that_hangs_is_killed_and_its_lines_are_kept() {
        for script in ["echo '@ one'; sleep 60", "echo '@ one'; exec >&-; sleep 60"] {
            let (end, lines) = watch(script, Duration::from_millis(500), 9);
            assert!(matches!(end, End::TimeLimit(_)), "{end:?}");
            assert_eq!(lines, ["one"]);
        }
    }

    #[test]
    fn an_emulator_that_prints_without_end_is_killed() {
        let script = "while :; do echo '@ one'; done";
        let (end, lines) = watch(script, Duration::from_secs(60), 9);
        assert!(matches!(end, End::TooManyLines), "{end:?}");
        assert_eq!(lines.len(), 9);
        let (end, _) = watch(script, Duration::from_millis(300), usize::MAX);
        assert!(matches!(end, End::TimeLimit(_)), "{end:?}");
    }
}
