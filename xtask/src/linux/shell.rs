//! The terminal as the guest's console.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs::{self, File};
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::PathBuf;
use std::thread;

use anyhow::Context as _;
use nix::pty::openpty;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use super::guest::{Guest, Loaded};
use crate::boot::Boot;
use crate::process::Process;

/// Ctrl-], which leaves the shell.
const LEAVE: u8 = 0x1d;
/// What begins a line of the image, and after that one of the guest.
const MARK: &[u8] = b"@ ";
const GUEST: &[u8] = b"| ";

static HAS_LEFT: AtomicBool = AtomicBool::new(false);

/// Boots the guest, with what is typed as its input, until it or the user ends it.
pub(super) fn run(loaded: &Loaded, guest: &Guest<'_>, limit: Duration) -> anyhow::Result<()> {
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
    let mut output = process.take_stdout().context("the emulator has no standard output")?;

    let _raw = RawInput::set()?;
    let mut line = File::from(pair.master);
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
    let watched = watch(&mut process, move |buffer| output.read(buffer));
    drop(pair.slave);
    watched
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

/// Keeps what the image prints of what an emulator prints, byte by byte, and takes the marks off.
#[derive(Debug, Default)]
struct Filter {
    /// The beginning of a line, as far as it is not shown.
    start: Vec<u8>,
    /// The line is shown; or `None` at its start.
    is_shown: Option<bool>,
}

impl Filter {
    fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                if self.is_shown != Some(false) && (self.is_shown.is_some() || self.start.starts_with(MARK)) {
                    shown.extend_from_slice(&self.start);
                    shown.extend_from_slice(b"\r\n");
                }
                *self = Self::default();
            } else if self.is_shown == Some(true) {
                shown.push(byte);
            } else if self.is_shown.is_none() {
                self.start.push(byte);
                let guest = [MARK, GUEST].concat();
                if self.start.ends_with(&guest) {
                    self.start.clear();
                    self.is_shown = Some(true);
                } else if self.start.len() > guest.len() && !self.start.ends_with(MARK) {
                    self.decide(&mut shown);
                }
            }
        }
        shown
    }

    /// A line that is none of the guest's: the hypervisor's own is shown, the emulator's is not.
    fn decide(&mut self, shown: &mut Vec<u8>) {
        if self.start.starts_with(MARK) {
            shown.append(&mut self.start.split_off(MARK.len()));
            self.start.clear();
            self.is_shown = Some(true);
        }
    }
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

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn the_guests_bytes_are_shown_at_once() {
        let mut filter = Filter::default();
        let mut pass = |text: &str| String::from_utf8(filter.pass(text.as_bytes())).unwrap();
        assert_eq!(pass("@ | ~ # "), "~ # ");
        assert_eq!(pass("l"), "l");
        assert_eq!(pass("s\n"), "s\r\n");
        assert_eq!(pass("Next at t=0\n(0) [0x0000fffffff0]\n"), "");
        assert_eq!(pass("@ guest: 128 MiB\n"), "guest: 128 MiB\r\n");
        assert_eq!(pass("<bochs:1> @ | x\n"), "x\r\n");
        assert_eq!(pass("@ | \n"), "\r\n");
    }
}
