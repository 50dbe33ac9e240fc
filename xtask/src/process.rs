//! Child processes, none of which outlives this one.
//!
//! Each child leads a process group. A signal to this process ends every group; where this process is killed outright,
//! the kernel ends the children (`PR_SET_PDEATHSIG`).

#![expect(unsafe_code, reason = "`PR_SET_PDEATHSIG` is set between fork and exec")]

use core::time::Duration;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, exit};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid, waitpid};
use nix::unistd::{Pid, getpid, getppid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What a shell adds to the number of the signal that ended a program.
const ENDED_BY_SIGNAL: i32 = 128;
/// How often a child that is about to end is looked at.
const POLL: Duration = Duration::from_millis(2);

/// The groups to end with this process. A child is started and reaped under this lock only, so each entry is alive or a
/// zombie, and its number belongs to nobody else.
static GROUPS: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn groups() -> MutexGuard<'static, Vec<Pid>> {
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on a signal to this process ends its children, then itself.
pub(crate) fn end_children_on_signals() -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        if let Some(signal) = signals.forever().next() {
            // Held until the end: no child starts from here on, and nobody reports the ends that follow.
            let groups = groups();
            for &group in groups.iter() {
                // A hung Bochs ignores SIGTERM.
                let _ = killpg(group, Signal::SIGKILL);
            }
            for &group in groups.iter() {
                let _ = waitpid(group, None);
            }
            exit(ENDED_BY_SIGNAL.saturating_add(signal));
        }
    })?;
    Ok(())
}

/// A child that leads a process group; dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Pid,
    reaped: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`. The calling thread must live until the child has ended: the kernel takes the death of the
    /// thread for that of the parent.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let parent = getpid();
        let die_with_parent = move || {
            set_pdeathsig(Signal::SIGKILL)?;
            // The parent may have ended before the line above.
            if getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
        };
        // SAFETY: between fork and exec the closure makes two system calls and neither allocates nor takes a lock.
        unsafe { command.pre_exec(die_with_parent) };
        let mut groups = groups();
        let child = command.process_group(0).spawn()?;
        let group = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
        groups.push(group);
        Ok(Self { child, group, reaped: None })
    }

    /// Its standard output, where that is piped and not yet taken.
    pub(crate) fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(status);
            }
            match waitid(Id::Pid(self.group), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits for its end, at most until `deadline`.
    pub(crate) fn wait_until(&mut self, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        loop {
            if let Some(status) = self.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    /// Ends the group at once and waits for the child.
    pub(crate) fn kill(&mut self) -> io::Result<ExitStatus> {
        if self.reaped.is_none() {
            let _ = killpg(self.group, Signal::SIGKILL);
        }
        self.wait()
    }

    fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.reaped.is_none() {
            let mut groups = groups();
            self.reaped = self.child.try_wait()?;
            if self.reaped.is_some() {
                groups.retain(|&group| group != self.group);
            }
        }
        Ok(self.reaped)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_ends_with_its_status() {
        let mut process = Process::start(Command::new("sh").args(["-c", "exit 33"])).unwrap();
        assert_eq!(process.wait().unwrap().code(), Some(33));
        assert!(!groups().contains(&process.group));
    }

    #[test]
    fn a_deadline_passes_and_the_child_is_killed() {
        let mut process = Process::start(Command::new("sleep").arg("60")).unwrap();
        assert_eq!(process.wait_until(Instant::now()).unwrap(), None);
        assert!(groups().contains(&process.group));
        assert_eq!(process.kill().unwrap().code(), None);
    }
}
