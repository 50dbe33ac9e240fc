//! The module while Linux sleeps, and when it ends.

use std::fs;

use anyhow::{Context as _, ensure};
use nix::sys::reboot::{RebootMode, reboot};

use super::{hello, load_module, on_every_processor, processors, unload_module};
use crate::device::Device;
use crate::kernel_log::KernelLog;
use crate::ports;

/// On the kernel's command line where firmware has started the machine, and will again.
const FIRMWARE: &str = "demo_firmware";

pub(crate) fn has_firmware() -> anyhow::Result<bool> {
    Ok(fs::read_to_string("/proc/cmdline")?.split_whitespace().any(|word| word == FIRMWARE))
}

fn number(path: &str) -> anyhow::Result<u64> {
    fs::read_to_string(path).context(path.to_owned())?.trim().parse().context(path.to_owned())
}

/// Suspend to RAM: all processors but one go, the last one leaves VMX or SVM in a callback, and loses its registers. Afterwards
/// each runs guests.
pub(crate) fn sleep_and_wake() -> anyhow::Result<()> {
    const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";
    const SLEEPS: &str = "/sys/power/suspend_stats/success";
    load_module()?;
    let device = Device::open()?;
    on_every_processor(|processor| hello(&device, processor))?;
    let before = number(SLEEPS)?;
    let mut log = KernelLog::from_now()?;
    fs::write("/sys/power/mem_sleep", "deep").context("the machine has no state S3")?;
    // In whole seconds: one alone may be over before the machine sleeps.
    fs::write(ALARM, "+2").context(ALARM)?;
    fs::write("/sys/power/state", "mem").context("suspend to RAM")?;
    ensure!(number(SLEEPS)? == before + 1, "Linux has not slept");
    let lines = log.lines()?;
    for line in ["0 processors run guests before the sleep", "1 processors run guests after the sleep"] {
        ensure!(lines.iter().any(|other| other.ends_with(line)), "not in the log: {line}");
    }
    let status = device.status()?;
    ensure!(i32::try_from(status.processors)? == processors()?, "after the sleep: {status:?}");
    on_every_processor(|processor| hello(&device, processor))?;
    drop(device);
    unload_module()
}

/// Restarts the machine, with the module loaded: the kernel's console, from which every line is shown now, tells the rest.
pub(crate) fn restart() -> anyhow::Result<()> {
    if !has_firmware()? {
        ports::line("  without firmware nothing starts this machine again, and how Linux ends is not tested");
        return Ok(());
    }
    fs::write("/proc/sys/kernel/printk", "8")?;
    ports::line("VERDICT PASS");
    match reboot(RebootMode::RB_AUTOBOOT)? {}
}
