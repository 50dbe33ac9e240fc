//! A test that types into the guest's shell, and reads what a user would see.

use core::time::Duration;
use std::io::{Read, Write as _};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use super::{Filter, Session};
use crate::linux::guest::{Guest, Loaded};
use crate::output;
use crate::qemu;

/// From the start to the end of the power.
const LIMIT: Duration = Duration::from_secs(120);

/// What is waited for, one after the other, and what is typed then. No echo of what was typed is what is waited for next.
const SCRIPT: [Step; 6] = [
    step("guest: a shell; poweroff -f ends it\r\n", ""),
    step(PROMPT, "echo $((6 * 7)) in $(uname -s)\r"),
    step("\n42 in Linux\r\n", ""),
    // Ctrl-C goes to the program in front.
    step(PROMPT, "echo now; sleep 1000\r"),
    step("\nnow\r\n", "\x03"),
    step(PROMPT, "poweroff -f\r"),
];
/// Of Busybox, for the user root.
const PROMPT: &str = "# ";
/// The last words of the hypervisor.
const VERDICT: &str = "\nVERDICT PASS\r\n";
/// How much of what was seen is shown for a failure.
const SHOWN_LINES: usize = 25;

/// Some text, and what is typed when it has come.
#[derive(Debug, Clone, Copy)]
struct Step {
    awaited: &'static str,
    typed: &'static str,
}

const fn step(awaited: &'static str, typed: &'static str) -> Step {
    Step { awaited, typed }
}

/// Boots the guest on QEMU, types, and judges by what is seen.
pub(in crate::linux) fn test(loaded: &Loaded, guest: &Guest<'_>) -> Result<(), String> {
    let began = Instant::now();
    let mut seen = String::new();
    let outcome = converse(loaded, guest, &mut seen).map_err(|error| format!("{error:#}")).and_then(|outcome| outcome);
    let title = format!("{guest}, a shell  {:6.2} s", began.elapsed().as_secs_f64());
    match &outcome {
        Ok(()) => output::line(format_args!("pass  {title}")),
        Err(reason) => output::line(format_args!("FAIL  {title}  {reason}\n{}", last_lines(&seen))),
    }
    outcome.map_err(|reason| format!("{guest}, a shell: {reason}"))
}

/// Follows the script until the machine ends.
fn converse(loaded: &Loaded, guest: &Guest<'_>, seen: &mut String) -> anyhow::Result<Result<(), String>> {
    let deadline = Instant::now() + LIMIT;
    let Session { mut process, output, mut line, _terminal } = Session::start(loaded, guest, LIMIT)?;
    let console = read(output);
    let mut filter = Filter::default();
    let mut typist = Typist::new(&SCRIPT);
    loop {
        match console.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(bytes) => seen.push_str(&String::from_utf8_lossy(&filter.pass(&bytes))),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                process.kill()?;
                return Ok(Err(format!("no end within {} s; {}", LIMIT.as_secs(), typist.state())));
            }
        }
        while let Some(typed) = typist.next(seen) {
            line.write_all(typed.as_bytes())?;
        }
    }
    let status = process.wait_until(deadline)?;
    process.kill()?;
    Ok(judge(&typist, seen, status))
}

/// What comes, read by a thread of its own.
fn read(mut console: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = console.read(&mut buffer) {
            if sender.send(buffer.get(..length).unwrap_or_default().to_vec()).is_err() {
                break;
            }
        }
    });
    receiver
}

/// Where in the script the test is.
#[derive(Debug)]
struct Typist<'a> {
    rest: &'a [Step],
    /// So much of what was seen belongs to steps before.
    read: usize,
}

impl<'a> Typist<'a> {
    const fn new(script: &'a [Step]) -> Self {
        Self { rest: script, read: 0 }
    }

    /// What is to be typed now that so much was seen; `None` if what is waited for has not come.
    fn next(&mut self, seen: &str) -> Option<&'static str> {
        let (step, rest) = self.rest.split_first()?;
        let at = seen.get(self.read..)?.find(step.awaited)?;
        self.read += at + step.awaited.len();
        self.rest = rest;
        Some(step.typed)
    }

    fn state(&self) -> String {
        self.rest.first().map_or_else(
            || "the script has come to its end".to_owned(),
            |step| format!("{:?} has not come", step.awaited),
        )
    }
}

fn judge(typist: &Typist<'_>, seen: &str, status: Option<ExitStatus>) -> Result<(), String> {
    if !typist.rest.is_empty() {
        return Err(format!("the machine has ended; {}", typist.state()));
    }
    if !seen.ends_with(VERDICT) {
        return Err("the hypervisor did not end with its verdict".to_owned());
    }
    match status {
        Some(status) if status.code() == Some(qemu::PASS) => Ok(()),
        Some(status) => Err(format!("the emulator ended with {status}")),
        None => Err("the emulator does not end".to_owned()),
    }
}

fn last_lines(seen: &str) -> String {
    let lines: Vec<_> = seen.lines().collect();
    let shown = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
    shown.iter().map(|line| format!("    {}", line.escape_debug())).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::{PROMPT, SCRIPT, Typist, judge, step};

    #[test]
    fn each_step_waits_for_what_comes_after_the_one_before() {
        let script = [step(PROMPT, "a\r"), step(PROMPT, "b\r")];
        let mut typist = Typist::new(&script);
        assert_eq!(typist.next("~ #"), None);
        assert_eq!(typist.next("~ # "), Some("a\r"));
        assert_eq!(typist.next("~ # "), None, "one prompt is not two");
        assert_eq!(typist.state(), "\"# \" has not come");
        assert_eq!(typist.next("~ # a\r\n~ # "), Some("b\r"));
        assert_eq!(typist.next("~ # a\r\n~ # "), None);
        assert_eq!(typist.state(), "the script has come to its end");
    }

    #[test]
    fn the_echo_of_what_was_typed_is_no_answer() {
        let mut echo = String::new();
        for (before, after) in SCRIPT.iter().zip(SCRIPT.iter().skip(1)) {
            echo.push_str(before.typed);
            assert!(!format!("\n{}", before.typed).contains(after.awaited), "{after:?}");
        }
        assert!(echo.contains("uname"));
    }

    #[test]
    fn a_pass_takes_the_script_the_verdict_and_the_status() {
        let done = Typist::new(&[]);
        let script = [step(PROMPT, "")];
        let pass = Some(ExitStatus::from_raw(33 << 8));
        let text = "~ # poweroff -f\r\nVERDICT PASS\r\n";
        assert_eq!(judge(&done, text, pass), Ok(()));
        assert!(judge(&Typist::new(&script), text, pass).is_err());
        assert!(judge(&done, "~ # VERDICT PASS\r\n", pass).is_err());
        assert!(judge(&done, &format!("{text}more"), pass).is_err());
        assert!(judge(&done, text, Some(ExitStatus::from_raw(0))).is_err());
        assert!(judge(&done, text, None).is_err());
    }
}
