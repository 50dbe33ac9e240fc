//! Tests: what one is, how it fails, and how all are run.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use machine::{Verdict, println};
use x86_virt::{Processor, Vendor};

use crate::bench::Bench;

/// A test.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) on: On,
    pub(crate) run: fn(&Bench) -> Outcome,
}

/// Where a test runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// Every processor, of either vendor, at the same time.
    Every,
    /// Every processor of this vendor.
    Only(Vendor),
    /// The bootstrap processor alone: it needs something that the machine has once.
    First,
    /// Machines with one processor: nothing in it depends on others, which would have to wait for it.
    Alone,
    /// The same, of this vendor.
    AloneOf(Vendor),
    /// Every processor but that: it leaves something behind that only a reset takes away.
    Others,
}

/// How a test ends.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Why a test failed.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) const fn new(why: String) -> Self {
        Self(why)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: core::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(format!("error: {error}"))
    }
}

/// Fails the test with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::harness::Failure::new(alloc::format!($($message)+)));
        }
    };
}

/// Fails the test unless both are equal, with what they are of.
macro_rules! ensure_eq {
    ($left:expr, $right:expr, $($message:tt)+) => {{
        let (left, right) = ($left, $right);
        if left != right {
            let what = alloc::format!($($message)+);
            return Err($crate::harness::Failure::new(alloc::format!("{what}: {left:x?}, expected {right:x?}")));
        }
    }};
}

/// Fails the test.
macro_rules! fail {
    ($($message:tt)+) => {
        return Err($crate::harness::Failure::new(alloc::format!($($message)+)))
    };
}

pub(crate) use {ensure, ensure_eq, fail};

static RUN: AtomicUsize = AtomicUsize::new(0);
static FAILED: AtomicUsize = AtomicUsize::new(0);

/// Runs those of `tests` that are for this processor, and prints what comes of each.
///
/// No test leaves anything behind: neither frames taken nor the extension enabled.
pub(crate) fn run(bench: &Bench, tests: &[Test]) {
    let vendor = Processor::detect().vendor();
    let filter = machine::arg("only").unwrap_or_default();
    for test in tests {
        let is_for_here = match test.on {
            On::Every => true,
            On::Only(only) => vendor == Some(only),
            On::First => bench.processor == 0,
            On::Alone => machine::processors() == 1,
            On::AloneOf(only) => machine::processors() == 1 && vendor == Some(only),
            On::Others => bench.processor != 0,
        };
        if !is_for_here || !test.name.contains(filter) {
            continue;
        }
        let free = bench.free_frames();
        let outcome = (test.run)(bench).and_then(|()| {
            ensure_eq!(bench.free_frames(), free, "free frames after the test");
            ensure!(!machine::interrupts::are_enabled(), "the test left interrupts enabled");
            Ok(())
        });
        report(bench, test.name, outcome);
    }
}

fn report(bench: &Bench, name: &str, outcome: Outcome) {
    let place = if machine::processors() > 1 { format!(" [cpu{}]", bench.processor) } else { String::new() };
    RUN.fetch_add(1, Ordering::Relaxed);
    match outcome {
        Ok(()) => println!("test {name}{place} ... ok"),
        Err(why) => {
            FAILED.fetch_add(1, Ordering::Relaxed);
            println!("test {name}{place} ... FAILED: {why}");
        }
    }
}

/// The verdict on all: some ran, and none failed.
pub(crate) fn verdict() -> Verdict {
    let (run, failed) = (RUN.load(Ordering::Relaxed), FAILED.load(Ordering::Relaxed));
    println!("{run} tests, {failed} failed");
    if run > 0 && failed == 0 { Verdict::Pass } else { Verdict::Fail }
}
