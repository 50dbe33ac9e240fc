//! One image on one machine, from power-on to its verdict.

use core::fmt::Write as _;
use core::time::Duration;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;

use crate::console::{self, Verdict};
use crate::image::{self, Image, MEMORY_MIB};
use crate::machine::{Emulator, Machine};
use crate::process::Process;
use crate::watch::{self, End};
use crate::{bochs, qemu};

/// The file that is carried to the image, in the folder of the run.
pub(crate) const CARRIED_FILE: &str = "carried.bin";
/// The command line's file, in the folder of the run.
pub(crate) const COMMAND_LINE_FILE: &str = "args.bin";
const STDERR_FILE: &str = "stderr.txt";

/// How much of a failed run's console, log and standard error is shown.
const SHOWN_LINES: usize = 25;
/// An image that prints more has gone mad.
const MOST_LINES: usize = 1_000_000;

/// What to boot, and how.
#[derive(Debug)]
pub(crate) struct Boot<'a> {
    pub(crate) image: &'a Image,
    pub(crate) machine: &'a Machine,
    pub(crate) cpus: u8,
    /// Tells runs apart that are otherwise the same.
    pub(crate) take: u8,
    /// Arguments for the image beside the number of processors.
    pub(crate) arguments: &'a [&'a str],
    /// Bytes that the image finds in its memory, no more than [`image::MAX_CARRIED`].
    pub(crate) carried: Option<&'a [u8]>,
    pub(crate) limit: Duration,
    pub(crate) hardware: Hardware,
}

/// What of the machine is not the same for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hardware {
    pub(crate) memory_mib: u64,
    pub(crate) time: Time,
    /// A terminal that is at the other end of the serial port.
    pub(crate) serial: Option<PathBuf>,
    /// What the debugger of Bochs is told before it ends.
    pub(crate) script: String,
}

/// What the time of QEMU's machines is. That of Bochs is always counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// The number of instructions, with the processors taking turns: each run is the same.
    Counted,
    /// The host's, with the processors side by side.
    Real,
}

impl Default for Hardware {
    fn default() -> Self {
        Self { memory_mib: MEMORY_MIB, time: Time::Counted, serial: None, script: "c\n".to_owned() }
    }
}

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) lines: Vec<String>,
    pub(crate) took: Duration,
    end: End,
    emulator: Emulator,
    pub(crate) folder: PathBuf,
    command: String,
}

impl Boot<'_> {
    /// Runs the machine to its end, passing on each line of the console as it comes.
    pub(crate) fn run(&self, mut on_line: impl FnMut(&str)) -> anyhow::Result<Run> {
        let folder = self.folder();
        let mut command = self.prepare(&folder).with_context(|| format!("cannot write to {}", folder.display()))?;
        let text = describe(&command, &folder);
        let began = Instant::now();
        let mut process = Process::start(&mut command)
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        let mut lines = Vec::new();
        let end = watch::until_end(&mut process, self.limit, |line| {
            on_line(line);
            lines.push(line.to_owned());
            lines.len() < MOST_LINES
        })?;
        Ok(Run { lines, took: began.elapsed(), end, emulator: self.machine.emulator, folder, command: text })
    }

    /// Starts the machine, for a caller that reads the emulator's standard output itself.
    pub(crate) fn start(&self) -> anyhow::Result<Process> {
        let folder = self.folder();
        let mut command = self.prepare(&folder).with_context(|| format!("cannot write to {}", folder.display()))?;
        Process::start(&mut command).with_context(|| format!("cannot start {}", command.get_program().display()))
    }

    fn folder(&self) -> PathBuf {
        self.image.folder.join(format!("{}-{}-{}", self.machine.file_name(), self.cpus, self.take))
    }

    fn prepare(&self, folder: &Path) -> io::Result<Command> {
        fs::create_dir_all(folder)?;
        let cpus = format!("cpus={}", self.cpus);
        let arguments: Vec<_> =
            core::iter::once(cpus.as_str()).chain(self.machine.quirk()).chain(self.arguments.iter().copied()).collect();
        fs::write(folder.join(COMMAND_LINE_FILE), image::command_line(&arguments.join(" ")))?;
        let carried = if let Some(bytes) = self.carried {
            if bytes.len() > image::MAX_CARRIED {
                return Err(io::Error::other(format!("{} bytes are too many for the image", bytes.len())));
            }
            fs::write(folder.join(CARRIED_FILE), image::sectors(bytes))?;
            Some(CARRIED_FILE)
        } else {
            None
        };
        let mut command = match self.machine.emulator {
            Emulator::Bochs => bochs::command(folder, &self.machine.cpu, self.cpus, &self.hardware, carried)?,
            Emulator::Qemu => qemu::command(folder, &self.machine.cpu, self.cpus, &self.hardware, carried),
        };
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(folder.join(STDERR_FILE))?);
        Ok(command)
    }
}

impl Run {
    /// Why the run is not a pass: that takes the image's word and the emulator's.
    pub(crate) fn judge(&self) -> Result<(), String> {
        let status = match self.end {
            End::Exit(status) => status,
            End::TimeLimit(limit) => return Err(format!("no end within {} s", limit.as_secs_f64())),
            End::TooManyLines => return Err(format!("printed {MOST_LINES} lines")),
        };
        let pass = match self.emulator {
            Emulator::Bochs => bochs::PASS,
            Emulator::Qemu => qemu::PASS,
        };
        match (console::verdict(&self.lines), status.code() == Some(pass)) {
            (Some(Verdict::Pass), true) => Ok(()),
            (Some(Verdict::Pass), false) => {
                Err(format!("the image passed, but the emulator ended with {status}, not {pass}"))
            }
            (Some(Verdict::Fail), _) => Err("the image failed".to_owned()),
            (None, _) if self.emulator == Emulator::Qemu && status.code() == Some(0) => {
                Err(format!("no verdict: {}", qemu::why_it_left(&self.read(qemu::LOG_FILE), &self.read(STDERR_FILE))))
            }
            (None, _) => Err(format!("no verdict; the emulator ended with {status}")),
        }
    }

    /// A file of the emulator; nothing if there is none.
    fn read(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join(name)).unwrap_or_default()).into_owned()
    }

    /// What helps to understand a failure.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("  command: {}\n  took {:.2} s\n", self.command, self.took.as_secs_f64());
        section(&mut text, "console, its last lines", &self.lines);
        let stderr = self.read(STDERR_FILE);
        let stderr = stderr.lines().filter(|line| !line.trim().is_empty() && !bochs::is_chatter(line));
        let stderr: Vec<_> = stderr.map(str::to_owned).collect();
        section(&mut text, "standard error of the emulator", &stderr);
        if self.emulator == Emulator::Bochs {
            section(&mut text, "log of Bochs, its complaints", &bochs::complaints(&self.folder, SHOWN_LINES));
        }
        text
    }
}

fn section(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        let _ = writeln!(text, "  {title}: none");
        return;
    }
    let _ = writeln!(text, "  {title}:");
    for line in lines.iter().skip(lines.len().saturating_sub(SHOWN_LINES)) {
        let _ = writeln!(text, "    {line}");
    }
}

/// A command as one would type it.
fn describe(command: &Command, folder: &Path) -> String {
    let mut text = format!("cd {} &&", folder.display());
    for (name, value) in command.get_envs() {
        let _ = write!(text, " {}={}", name.display(), value.unwrap_or_default().display());
    }
    let _ = write!(text, " {}", command.get_program().display());
    for argument in command.get_args() {
        let _ = write!(text, " {}", argument.display());
    }
    text + " </dev/null"
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    fn judge(emulator: Emulator, code: i32, last: &str) -> Result<(), String> {
        let end = End::Exit(ExitStatus::from_raw(code << 8));
        let lines = vec!["hello".to_owned(), last.to_owned()];
        Run { lines, took: Duration::ZERO, end, emulator, folder: PathBuf::new(), command: String::new() }.judge()
    }

    #[test]
    fn a_pass_takes_the_verdict_and_the_status() {
        assert_eq!(judge(Emulator::Bochs, 0, "VERDICT PASS"), Ok(()));
        assert_eq!(judge(Emulator::Qemu, 33, "VERDICT PASS"), Ok(()));
        for (emulator, code, last) in [
            (Emulator::Bochs, 1, "VERDICT PASS"),
            (Emulator::Bochs, 0, "VERDICT FAIL"),
            (Emulator::Bochs, 0, "more"),
            (Emulator::Qemu, 0, "VERDICT PASS"),
            (Emulator::Qemu, 35, "VERDICT FAIL"),
            (Emulator::Qemu, 33, "more"),
        ] {
            assert!(judge(emulator, code, last).is_err(), "{emulator:?} {code} {last}");
        }
        assert_eq!(judge(Emulator::Qemu, 0, "more"), Err("no verdict: reset, without a triple fault".to_owned()));
    }

    #[test]
    fn a_command_can_be_typed() {
        let mut command = Command::new("bochs-bin");
        command.arg("-q").env("TERM", "dumb");
        assert_eq!(describe(&command, Path::new("/run")), "cd /run && TERM=dumb bochs-bin -q </dev/null");
    }
}
