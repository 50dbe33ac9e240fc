//! The device.
#![expect(unsafe_code, reason = "calls ioctl")]

use std::fs::File;
use std::os::fd::AsRawFd as _;

use anyhow::Context as _;
use linux_module_abi::{ANY_PROCESSOR, DEVICE, Ending, Exit, Run, Status};
use nix::errno::Errno;

nix::ioctl_readwrite!(ioctl_run, b'V', 1, Run);
nix::ioctl_read!(ioctl_status, b'V', 2, Status);

const _: () = assert!(linux_module_abi::IOCTL_RUN == nix::request_code_readwrite!(b'V', 1, size_of::<Run>()));
const _: () = assert!(linux_module_abi::IOCTL_STATUS == nix::request_code_read!(b'V', 2, size_of::<Status>()));

/// The open device.
#[derive(Debug)]
pub(crate) struct Device(pub(crate) File);

/// A guest to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) image: &'a [u8],
    pub(crate) memory: u64,
    pub(crate) processor: i32,
    pub(crate) milliseconds: u64,
    pub(crate) most_exits: u64,
    pub(crate) argument: u64,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) run: Run,
    pub(crate) exits: Vec<Exit>,
}

/// Exits that are asked for.
const ROOM: u32 = 256;

impl<'a> Request<'a> {
    pub(crate) fn new(image: &'a [u8]) -> Self {
        Self {
            image,
            memory: 1 << 20,
            processor: ANY_PROCESSOR,
            milliseconds: 10_000,
            most_exits: u64::MAX,
            argument: crate::guests::vendor(),
        }
    }

    /// As the device takes it, with room for `exits`.
    pub(crate) fn to_run(self, exits: &mut [Exit]) -> Run {
        Run {
            image: address(self.image.as_ptr()),
            image_bytes: u64::try_from(self.image.len()).unwrap_or(u64::MAX),
            load_address: crate::guests::LOAD_ADDRESS,
            memory_bytes: self.memory,
            most_exits: self.most_exits,
            milliseconds: self.milliseconds,
            exits: address(exits.as_mut_ptr()),
            exits_room: u32::try_from(exits.len()).unwrap_or(u32::MAX),
            processor: self.processor,
            argument: self.argument,
            exit_count: 0,
            host_interrupts: 0,
            host_nmis: 0,
            result: 0,
            ending: 0,
            last_processor: u32::MAX,
            exits_stored: 0,
            stack_bytes: 0,
            text: [0; 256],
        }
    }
}

fn address<T>(pointer: *const T) -> u64 {
    u64::try_from(pointer.expose_provenance()).unwrap_or(0)
}

impl Device {
    pub(crate) fn open() -> anyhow::Result<Self> {
        let file = File::options().read(true).write(true).open(DEVICE);
        file.map(Self).with_context(|| format!("cannot open {DEVICE}"))
    }

    pub(crate) fn run(&self, request: &Request<'_>) -> anyhow::Result<Outcome> {
        let mut exits = vec![Exit::default(); usize::try_from(ROOM)?];
        let mut run = request.to_run(&mut exits);
        self.run_raw(&mut run)?;
        exits.truncate(usize::try_from(run.exits_stored)?);
        Ok(Outcome { run, exits })
    }

    /// Whatever `run` says; the kernel checks it.
    pub(crate) fn run_raw(&self, run: &mut Run) -> Result<(), Errno> {
        // SAFETY: the kernel writes to `run` and, if its address for exits is right, to those; if it is wrong, the kernel fails, for the tests use no
        // address that is another object's.
        unsafe { ioctl_run(self.0.as_raw_fd(), run) }.map(|_| ())
    }

    pub(crate) fn status(&self) -> Result<Status, Errno> {
        let mut status = Status::default();
        // SAFETY: the kernel writes to `status`.
        unsafe { ioctl_status(self.0.as_raw_fd(), &raw mut status) }?;
        Ok(status)
    }
}

impl Outcome {
    pub(crate) fn text(&self) -> String {
        text(&self.run.text)
    }

    /// Lines for people.
    pub(crate) fn describe(&self) -> Vec<String> {
        let run = &self.run;
        let ending = match run.ending {
            Ending::HALTED => "halted",
            Ending::EXITS => "had as many exits as it may",
            Ending::TIME => "ran out of time",
            Ending::ERROR => "ended with an error",
            _ => "ended",
        };
        let mut lines =
            vec![format!("the guest on processor {} {ending}: {}", run.last_processor, self.text().trim_end())];
        let mut kinds: Vec<(String, u64, u64)> = Vec::new();
        for exit in &self.exits {
            let name = text(&exit.name);
            match kinds.iter_mut().find(|(known, reason, _)| *known == name && *reason == exit.reason) {
                Some((_, _, count)) => *count += 1,
                None => kinds.push((name, exit.reason, 1)),
            }
        }
        lines.extend(kinds.iter().map(|(name, reason, count)| format!("  {count:6} {name} ({reason:#x})")));
        lines.push(format!("  {:6} for interrupts of Linux, {} for NMIs", run.host_interrupts, run.host_nmis));
        lines
    }
}

/// What is before the first zero.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|&byte| byte == 0).next().unwrap_or_default()).into_owned()
}
