//! A hypervisor on the bare machine that boots an unmodified Linux, on Intel and on AMD processors, from one source.
#![no_std]
#![no_main]

extern crate alloc;

mod memory;
mod processor;
mod report;
mod start;

use machine::{Verdict, println};

machine::entry!(main);

fn main() -> Verdict {
    match start::prepare() {
        Ok(()) => {}
        Err(error) => {
            println!("error: {error}");
            return Verdict::Fail;
        }
    }
    machine::on_every_processor(start::run);
    if start::has_failed() { Verdict::Fail } else { Verdict::Pass }
}
