//! Step 1: which processor this is, and what of virtualization it has.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use machine::{Verdict, println};
use x86_virt::Processor;

machine::entry!(main);

fn main() -> Verdict {
    let processor = Processor::detect();
    println!("processor: {}", processor.brand());
    match processor.vendor() {
        Some(vendor) => println!("virtualization: {vendor}"),
        None => println!("virtualization: none"),
    }
    // The launcher says what it has chosen.
    let expected = machine::arg("expect") != Some("unsupported");
    if processor.vendor().is_some() == expected { Verdict::Pass } else { Verdict::Fail }
}
