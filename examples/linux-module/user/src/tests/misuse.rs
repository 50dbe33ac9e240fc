//! Programs that ask for nonsense, or go while their guest runs: nothing is left behind.

use core::mem::ManuallyDrop;
use core::time::Duration;
use std::fs::File;
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::thread;
use std::time::Instant;

use anyhow::{bail, ensure};
use linux_module_abi::{Ending, Exit, MOST_MEMORY, MOST_STORED, Run};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

use super::{hello, without_leak};
use crate::device::{Device, Request};
use crate::guests;

/// Addresses at which nothing of a program is: below its first page, above the last, and the kernel's.
const BAD_ADDRESSES: [u64; 4] = [0, 0x10, 0x7fff_ffff_f000, 0xffff_8880_0000_0000];

/// Each is refused, by its own error.
pub(super) fn bad_requests() -> anyhow::Result<()> {
    let device = Device::open()?;
    let image = guests::hello();
    let mut exits = [Exit::default(); 4];
    let good = Request::new(&image).to_run(&mut exits);
    let refused = |run: Run, expected: Errno| {
        let mut run = run;
        match device.run_raw(&mut run) {
            Err(error) if error == expected => Ok(()),
            other => bail!("{other:?}, not {expected}: {run:?}"),
        }
    };
    without_leak(&device, || {
        for address in BAD_ADDRESSES {
            refused(Run { image: address, ..good }, Errno::EFAULT)?;
            refused(Run { exits: address, ..good }, Errno::EFAULT)?;
        }
        refused(Run { image_bytes: good.memory_bytes + 1, ..good }, Errno::E2BIG)?;
        refused(Run { image_bytes: u64::MAX, ..good }, Errno::E2BIG)?;
        refused(Run { image_bytes: good.memory_bytes - good.load_address + 1, ..good }, Errno::E2BIG)?;
        refused(Run { image_bytes: 0, ..good }, Errno::EINVAL)?;
        // The image is shorter than it says: the copy runs into memory that is not there.
        refused(Run { image: 0x7fff_ffff_e000, image_bytes: 0x1_0000, ..good }, Errno::EFAULT)?;
        for memory_bytes in [0, 1, 4095, MOST_MEMORY + 4096, u64::MAX, u64::MAX << 12] {
            refused(Run { memory_bytes, ..good }, Errno::EINVAL)?;
        }
        for load_address in [good.memory_bytes + 1, u64::MAX, 0x1_0000] {
            refused(Run { load_address, ..good }, Errno::EINVAL)?;
        }
        refused(Run { exits_room: MOST_STORED + 1, ..good }, Errno::EINVAL)?;
        refused(Run { milliseconds: u64::MAX, ..good }, Errno::EINVAL)?;
        for processor in [super::processors()?, 4096, i32::MAX] {
            refused(Run { processor, ..good }, Errno::ENXIO)?;
        }
        // Room for no exits is no misuse.
        let mut run = Run { exits_room: 0, exits: 0, ..good };
        device.run_raw(&mut run)?;
        ensure!(run.exits_stored == 0 && run.exit_count > 0, "{run:?}");
        // The largest memory that a guest may have, not a power of two.
        let image = guests::hello();
        for memory in [MOST_MEMORY, 0x8000 + 0x3000] {
            ensure!(device.run(&Request { memory, ..Request::new(&image) })?.run.result == 42, "with {memory} bytes");
        }
        Ok(())
    })
}

/// The device is closed, or the process killed, while its guest runs.
pub(super) fn abandoned_guests() -> anyhow::Result<()> {
    let device = Device::open()?;
    without_leak(&device, || {
        closed_during_a_run(&device)?;
        for signal in [Signal::SIGKILL, Signal::SIGTERM] {
            killed_during_a_run(&device, signal)?;
        }
        hello(&device, -1).map(|_| ())
    })
}

/// The descriptor is gone while the call goes on that it was used for.
#[expect(unsafe_code, reason = "uses a descriptor that another thread closes")]
fn closed_during_a_run(device: &Device) -> anyhow::Result<()> {
    let other = Device::open()?;
    let number = other.0.as_raw_fd();
    let thread = thread::spawn(move || {
        // SAFETY: the descriptor is open until the module has the call, which needs the number no more; nobody closes it a second time.
        let other = ManuallyDrop::new(Device(unsafe { File::from_raw_fd(number) }));
        let image = guests::spin();
        other.run(&Request { milliseconds: 300, ..Request::new(&image) })
    });
    while device.status()?.jobs == 0 {
        thread::sleep(Duration::from_millis(1));
    }
    drop(other);
    let outcome = thread.join().unwrap_or_else(|_| bail!("a thread panicked"))?;
    ensure!(outcome.run.ending == Ending::TIME && outcome.run.host_interrupts > 0, "{:?}", outcome.run);
    Ok(())
}

#[expect(unsafe_code, reason = "forks")]
fn killed_during_a_run(device: &Device, signal: Signal) -> anyhow::Result<()> {
    let image = guests::spin();
    let request = Request { milliseconds: 50_000, ..Request::new(&image) };
    let mut exits = [Exit::default(); 4];
    let mut run = request.to_run(&mut exits);
    // SAFETY: the child makes one system call, and ends; it allocates nothing and takes no lock.
    match unsafe { fork() }? {
        ForkResult::Child => loop {
            let _ = device.run_raw(&mut run);
        },
        ForkResult::Parent { child } => {
            while device.status()?.jobs == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(50));
            let began = Instant::now();
            kill(child, signal)?;
            let status = waitpid(child, None)?;
            ensure!(matches!(status, WaitStatus::Signaled(_, by, _) if by == signal), "{status:?}");
            ensure!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
            Ok(())
        }
    }
}
