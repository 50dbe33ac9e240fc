//! Step 2: virtualization is turned on, looked at, and turned off again.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use core::error::Error;

use machine::{Verdict, println};
use promises::ThisProcessor;
use x86_virt::Root;

machine::entry!(main);

fn main() -> Verdict {
    promises::verdict(run())
}

fn run() -> Result<(), Box<dyn Error>> {
    let free = promises::frames().free_frames();
    for time in ["once", "again"] {
        // VMXON, or EFER.SVME and a page for the host's state.
        let root = Root::enter(&ThisProcessor, promises::frames())?;
        println!("entered {time}: {}", root.vendor());
        for feature in root.features() {
            println!("  {feature}");
        }
        // Here the guard is dropped: VMXOFF, or EFER.SVME = 0; its frames go back.
    }
    if promises::frames().free_frames() != free {
        return Err("a frame was lost".into());
    }
    println!("left, with nothing lost");
    Ok(())
}
