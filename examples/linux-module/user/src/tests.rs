//! What is shown of the module in a running Linux.

use core::time::Duration;
use std::fs::{self, File};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use linux_module_abi::{Ending, Status};
use nix::errno::Errno;
use nix::kmod::{DeleteModuleFlags, ModuleInitFlags, delete_module, finit_module};

use crate::device::{Device, Outcome, Request};
use crate::kernel_log::{self, KernelLog};
use crate::nmi::{self, TimerNmis};
use crate::{guests, load, ports};

mod coexistence;
mod misuse;
mod power;

pub(crate) use power::restart;

const MODULE: &str = "/x86_virt_demo.ko";
const NAME: &str = "x86_virt_demo";
/// The kernel's thread of a guest has 16 KiB; interrupts and NMIs have stacks of their own.
const MOST_STACK: u32 = 10 * 1024;

/// Lines of the kernel's log that are shown for a test.
const SHOWN_LINES: usize = 4;

/// It needs firmware.
const SLEEP: &str = "sleep_and_wake";

type Test = (&'static str, fn() -> anyhow::Result<()>);

const TESTS: [Test; 15] = [
    ("features_of_linux", features_of_linux),
    ("load", load_module),
    ("hello_on_every_processor", hello_on_every_processor),
    ("other_endings", other_endings),
    ("guests_under_load", guests_under_load),
    ("bad_requests", misuse::bad_requests),
    ("abandoned_guests", misuse::abandoned_guests),
    ("unload", unload_module),
    ("kvm_first", coexistence::kvm_first),
    ("module_first", coexistence::module_first),
    ("load_and_unload_50_times", load_and_unload_50_times),
    ("processors_go_and_come", coexistence::processors_go_and_come),
    (SLEEP, power::sleep_and_wake),
    // The module stays after it.
    ("panic_is_an_error", panic_is_an_error),
    ("linux_is_unharmed", linux_is_unharmed),
];

/// Runs all tests; whether they passed.
pub(crate) fn all() -> anyhow::Result<bool> {
    let version = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    ports::line(&format!("Linux {} with {} processors", version.trim(), processors()?));
    let mut log = KernelLog::from_now()?;
    let mut has_passed = true;
    for (name, test) in TESTS {
        if name == SLEEP && !power::has_firmware()? {
            ports::line("  without firmware nothing wakes this machine, and how it sleeps is not tested");
            continue;
        }
        let began = Instant::now();
        let outcome = test().and_then(|()| check_kernel(&mut log));
        let took = began.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => ports::line(&format!("test {name} ... ok")),
            Err(error) => {
                has_passed = false;
                ports::line(&format!("test {name} ... FAILED: {error:#}"));
            }
        }
        ports::line(&format!("  {took:.2} s"));
    }
    Ok(has_passed)
}

/// Nothing in the log of the kernel complains, and it is not tainted by a bug.
fn check_kernel(log: &mut KernelLog) -> anyhow::Result<()> {
    let lines = log.lines()?;
    for line in lines.iter().filter(|line| line.contains(NAME)).take(SHOWN_LINES) {
        ports::line(&format!("  kernel: {line}"));
    }
    if let Some(line) = lines.iter().find(|line| kernel_log::is_complaint(line)) {
        bail!("the kernel says: {line}");
    }
    let taint = kernel_log::taint()?;
    ensure!(taint == 0, "the kernel is tainted: {taint:#x}");
    Ok(())
}

/// Linux uses what the guests are to be tried beside: the launcher says what that is, by the names of /proc/cpuinfo.
fn features_of_linux() -> anyhow::Result<()> {
    const WORD: &str = "demo_flags=";
    let (command_line, info) = (fs::read_to_string("/proc/cmdline")?, fs::read_to_string("/proc/cpuinfo")?);
    let wanted = command_line.split_whitespace().find_map(|word| word.strip_prefix(WORD)).context(WORD)?;
    let flags = info.lines().find(|line| line.starts_with("flags")).context("no flags")?;
    for flag in wanted.split(',') {
        ensure!(flags.split_whitespace().any(|other| other == flag), "Linux does not use {flag}: {flags}");
    }
    ports::line(&format!("  Linux uses {wanted}"));
    Ok(())
}

pub(crate) fn processors() -> anyhow::Result<i32> {
    Ok(i32::try_from(thread::available_parallelism()?.get())?)
}

pub(crate) fn insert(path: &str) -> Result<(), Errno> {
    let file = File::open(path).map_err(|_| Errno::ENOENT)?;
    finit_module(&file, c"", ModuleInitFlags::empty())
}

pub(crate) fn load_module() -> anyhow::Result<()> {
    insert(MODULE).context("finit_module")?;
    let status = Device::open()?.status()?;
    ensure!(i32::try_from(status.processors)? == processors()?, "{status:?}");
    Ok(())
}

pub(crate) fn unload_module() -> anyhow::Result<()> {
    // A thread that has told its end may not have left the module yet.
    for _ in 0..100 {
        match delete_module(c"x86_virt_demo", DeleteModuleFlags::O_NONBLOCK) {
            Err(Errno::EAGAIN | Errno::EBUSY) => thread::sleep(Duration::from_millis(10)),
            other => return other.context("delete_module"),
        }
    }
    bail!("the module is still in use")
}

/// What the module has when no guest runs.
pub(crate) fn idle(device: &Device) -> anyhow::Result<Status> {
    let status = device.status()?;
    ensure!(status.jobs == 0 && status.guest_pages == 0, "left over: {status:?}");
    Ok(status)
}

/// Runs what has to leave nothing behind.
pub(crate) fn without_leak(device: &Device, test: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let before = idle(device)?;
    test()?;
    let after = idle(device)?;
    ensure!(after == before, "left over: {after:?}, before {before:?}");
    Ok(())
}

pub(crate) fn hello(device: &Device, processor: i32) -> anyhow::Result<Outcome> {
    let image = guests::hello();
    let outcome = device.run(&Request { processor, ..Request::new(&image) })?;
    let text = outcome.text();
    ensure!(outcome.run.ending == Ending::HALTED, "{:?}: {text}", outcome.run);
    ensure!(outcome.run.result == 42, "the guest halted with {:#x}", outcome.run.result);
    ensure!(text == "hello from a guest under Linux\n", "it printed {text:?}");
    ensure!(processor < 0 || outcome.run.last_processor == u32::try_from(processor)?, "{:?}", outcome.run);
    ensure!(outcome.run.stack_bytes < MOST_STACK, "{} bytes of the stack were used", outcome.run.stack_bytes);
    Ok(outcome)
}

/// One guest on each processor, at the same time.
fn hello_on_every_processor() -> anyhow::Result<()> {
    let device = Device::open()?;
    without_leak(&device, || {
        let outcomes = on_every_processor(|processor| hello(&device, processor))?;
        for outcome in outcomes {
            for line in outcome.describe() {
                ports::line(&line);
            }
            ports::line(&format!("  {:6} bytes of the stack used", outcome.run.stack_bytes));
        }
        Ok(())
    })
}

pub(crate) fn on_every_processor<T: Send>(run: impl Fn(i32) -> anyhow::Result<T> + Sync) -> anyhow::Result<Vec<T>> {
    let run = &run;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..processors()?).map(|processor| scope.spawn(move || run(processor))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    })
}

/// Guests that do what the module does not answer, or as much as they may.
fn other_endings() -> anyhow::Result<()> {
    let device = Device::open()?;
    without_leak(&device, || {
        let mut table = vec![(guests::outside(), "nested fault")];
        // Bochs 2.7 stops at a guest's triple fault under SVM; it is used for VMX only.
        table.push((guests::triple_fault(), "shutdown"));
        for (image, expected) in table {
            let outcome = device.run(&Request::new(&image))?;
            let text = outcome.text();
            ensure!(outcome.run.ending == Ending::ERROR && text.contains(expected), "{text}, not {expected}");
        }
        let image = guests::hello();
        let outcome = device.run(&Request { most_exits: 3, ..Request::new(&image) })?;
        ensure!(outcome.run.ending == Ending::EXITS && outcome.run.exit_count == 3, "{:?}", outcome.run);
        let image = guests::spin();
        let began = Instant::now();
        let outcome = device.run(&Request { milliseconds: 100, ..Request::new(&image) })?;
        ensure!(outcome.run.ending == Ending::TIME && outcome.run.exit_count == 0, "{:?}", outcome.run);
        ensure!(outcome.run.host_interrupts > 0, "no interrupt came");
        ensure!(began.elapsed() > Duration::from_millis(100), "it ended after {:?}", began.elapsed());
        Ok(())
    })
}

/// Guests for seconds, beside all sorts of work, with NMIs for all processors.
fn guests_under_load() -> anyhow::Result<()> {
    const TIME: Duration = Duration::from_millis(3000);
    const NMIS_A_SECOND: u32 = 100;
    let device = Device::open()?;
    let before = nmi::counts()?;
    without_leak(&device, || {
        let workers: Vec<_> = (0..processors()?).map(|_| thread::spawn(|| load::work(TIME))).collect();
        let nmis = thread::spawn(|| {
            for _ in 0..5 {
                thread::sleep(TIME / 14);
                // Backtraces of all processors, which Linux asks for by NMIs.
                fs::write("/proc/sysrq-trigger", "l")?;
            }
            let _nmis = TimerNmis::start(NMIS_A_SECOND)?;
            thread::sleep(TIME / 2);
            anyhow::Ok(())
        });
        let image = guests::worker();
        let milliseconds = u64::try_from(TIME.as_millis())?;
        let outcomes =
            on_every_processor(|processor| device.run(&Request { processor, milliseconds, ..Request::new(&image) }))?;
        nmis.join().unwrap_or_else(|_| bail!("a thread panicked"))?;
        for outcome in &outcomes {
            let run = &outcome.run;
            ensure!(run.ending == Ending::TIME, "{run:?}: {}", outcome.text());
            ensure!(run.exit_count > 0 && run.host_interrupts > 0 && run.host_nmis > 0, "{run:?}");
            let (exits, interrupts, nmis) = (run.exit_count, run.host_interrupts, run.host_nmis);
            ports::line(&format!(
                "  processor {}: {exits} exits, {interrupts} for interrupts, {nmis} for NMIs",
                run.last_processor
            ));
        }
        for worker in workers {
            let rounds = worker.join().unwrap_or_else(|_| bail!("a thread panicked"))?;
            ensure!(rounds > 0, "no work was done beside the guests");
            ports::line(&format!("  {rounds} rounds of work beside them"));
        }
        Ok(())
    })?;
    for (before, after) in before.iter().zip(nmi::counts()?) {
        let nmis = after - before;
        ports::line(&format!("  {nmis} NMIs for a processor"));
        // No emulator has an NMI for each period: one that comes too late stands for two.
        ensure!(nmis > u64::from(NMIS_A_SECOND) / 2, "{nmis} NMIs");
    }
    Ok(())
}

fn load_and_unload_50_times() -> anyhow::Result<()> {
    for _ in 0..50 {
        load_module()?;
        hello(&Device::open()?, -1)?;
        unload_module()?;
    }
    Ok(())
}

/// A panic in the module is an error for the program, and a line in the kernel's log; other guests go on.
fn panic_is_an_error() -> anyhow::Result<()> {
    load_module()?;
    let mut log = KernelLog::from_now()?;
    let device = Device::open()?;
    for processor in 0..processors()? {
        let image = guests::panic();
        let error = device.run(&Request { processor, ..Request::new(&image) }).err().context("no error")?;
        ensure!(error.downcast_ref() == Some(&Errno::EIO), "{error:#}, not EIO");
        hello(&device, processor)?;
    }
    let lines = log.lines()?;
    ensure!(lines.iter().any(|line| line.contains("the guest asked for a panic")), "not in the log: {lines:?}");
    ensure!(i32::try_from(device.status()?.panics)? == processors()?, "{:?}", device.status()?);
    // Its threads sleep for ever, and so the module stays.
    let result = delete_module(c"x86_virt_demo", DeleteModuleFlags::O_NONBLOCK);
    ensure!(result == Err(Errno::EAGAIN), "unloading: {result:?}");
    Ok(())
}

/// Linux does all that it did before.
fn linux_is_unharmed() -> anyhow::Result<()> {
    let workers: Vec<_> =
        (0..2 * processors()?).map(|_| thread::spawn(|| load::work(Duration::from_millis(200)))).collect();
    for worker in workers {
        worker.join().unwrap_or_else(|_| bail!("a thread panicked"))?;
    }
    Ok(())
}
