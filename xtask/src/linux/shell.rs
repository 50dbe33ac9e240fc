//! The guest's shell, with the terminal, or a test, at its serial port.

mod filter;
mod script;

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::ChildStdout;
use std::thread;

use anyhow::Context as _;
use nix::pty::openpty;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

pub(super) use self::script::test;

use self::filter::Filter;
use super::guest::{Guest, Loaded};
use crate::boot::Boot;
use crate::process::Process;

/// Ctrl-], which leaves the shell.
const LEAVE: u8 = 0x1d;

static HAS_LEFT: AtomicBool = AtomicBool::new(false);

/// A machine whose serial port is a terminal.
struct Session {
    process: Process,
    /// What the emulator prints.
    output: ChildStdout,
    /// What is written here comes to the serial port, which would be gone without it.
    line: File,
    /// The other end, which stays open also before the emulator opens it.
    _terminal: OwnedFd,
}

impl Session {
    /// Boots the guest.
    fn start(loaded: &Loaded, guest: &Guest<'_>, limit: Duration) -> anyhow::Result<Self> {
        let pair = openpty(None, None).context("cannot make a terminal for the serial port")?;
        let mut raw = tcgetattr(&pair.slave)?;
        cfmakeraw(&mut raw);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &raw)?;
        let name: PathBuf = fs::read_link(format!("/proc/self/fd/{}", pair.slave.as_raw_fd()))?;
        let words = guest.words(loaded);
        let arguments: Vec<_> = words.iter().map(String::as_str).collect();
        let hardware = guest.hardware(Some(&name))?;
        let (image, machine) = (guest.image(loaded), guest.machine);
        let boot =
            Boot { image, machine, cpus: guest.cpus, take: 0, arguments: &arguments, carried: None, limit, hardware };
        let mut process = boot.start()?;
        let output = process.take_stdout().context("the emulator has no standard output")?;
        Ok(Self { process, output, line: File::from(pair.master), _terminal: pair.slave })
    }
}

/// Boots the guest, with what is typed as its input, until it or the user ends it.
pub(super) fn run(loaded: &Loaded, guest: &Guest<'_>, limit: Duration) -> anyhow::Result<()> {
    let Session { mut process, mut output, mut line, _terminal } = Session::start(loaded, guest, limit)?;
    let _raw = RawInput::set()?;
    thread::spawn(move || {
        let mut typed = [0; 64];
        while let Ok(length @ 1..) = io::stdin().read(&mut typed) {
            let typed = typed.get(..length).unwrap_or_default();
            if typed.contains(&LEAVE) {
                HAS_LEFT.store(true, Ordering::Relaxed);
                break;
            }
            if line.write_all(typed).is_err() {
                break;
            }
        }
        // Held until the end: without it, the serial port would be gone.
        loop {
            thread::park();
        }
    });
    watch(&mut process, move |buffer| output.read(buffer))
}

/// Shows what the emulator prints until it ends, or the user leaves.
fn watch(
    process: &mut Process,
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize> + Send + 'static,
) -> anyhow::Result<()> {
    let shown = thread::spawn(move || {
        let mut filter = Filter::default();
        let mut buffer = [0; 4096];
        loop {
            match read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(length) => {
                    let text = filter.pass(buffer.get(..length).unwrap_or_default());
                    let mut output = io::stdout().lock();
                    if output.write_all(&text).and_then(|()| output.flush()).is_err() {
                        break;
                    }
                }
            }
        }
    });
    while !shown.is_finished() && !HAS_LEFT.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
    }
    process.kill()?;
    Ok(())
}

/// The user's terminal without line editing, until it is dropped.
struct RawInput {
    before: Option<Termios>,
}

impl RawInput {
    fn set() -> anyhow::Result<Self> {
        let input = io::stdin();
        if !input.is_terminal() {
            return Ok(Self { before: None });
        }
        let before = tcgetattr(input.as_fd())?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(input.as_fd(), SetArg::TCSANOW, &raw)?;
        Ok(Self { before: Some(before) })
    }
}

impl Drop for RawInput {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, before);
        }
    }
}
