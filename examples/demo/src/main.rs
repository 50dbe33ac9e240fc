//! A hypervisor on the bare machine that runs real guests on Intel and on AMD processors, from one source.
#![no_std]
#![no_main]

extern crate alloc;

mod code;
mod guests;
mod host;
mod report;

use core::sync::atomic::{AtomicBool, Ordering};

use alloc::boxed::Box;
use host::{Frames, ThisProcessor};
use machine::{Verdict, println};
use x86_virt::{EnterError, Root};

machine::entry!(main);

static FAILED: AtomicBool = AtomicBool::new(false);
static FRAMES: spin::Once<Frames> = spin::Once::new();

type Failure = Box<dyn core::error::Error>;

fn main() -> Verdict {
    FRAMES.call_once(host::frames);
    report::processor();
    machine::on_every_processor(run_guests);
    if FAILED.load(Ordering::Relaxed) { Verdict::Fail } else { Verdict::Pass }
}

/// Runs the guests on one processor.
fn run_guests(processor: usize) {
    let expect_unsupported = machine::arg("expect") == Some("unsupported");
    match try_run_guests(processor) {
        Ok(()) if !expect_unsupported => {}
        Ok(()) => fail(processor, &"the processor was expected to lack something"),
        Err(error) if expect_unsupported && x86_virt::is_unsupported(&*error) => {
            println!("cpu{processor}: as expected: {error}");
        }
        Err(error) => fail(processor, &error),
    }
}

fn fail(processor: usize, why: &dyn core::fmt::Display) {
    println!("cpu{processor}: FAILED: {why}");
    FAILED.store(true, Ordering::Relaxed);
}

fn try_run_guests(processor: usize) -> Result<(), Failure> {
    let frames = FRAMES.get().ok_or(EnterError::NoVirtualization)?;
    let pin = ThisProcessor;
    let mut root = Root::enter(&pin, *frames)?;
    if processor == 0 {
        report::features(&root);
    }
    let mut report = report::Report::new(processor);
    guests::real_mode(&mut root, &mut report)?;
    guests::long_mode(&mut root, &mut report)?;
    if processor == 0 {
        guests::small_pages(&mut root, &mut report)?;
    }
    report.print();
    Ok(())
}
