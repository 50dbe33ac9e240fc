//! Runs guests by way of `/dev/x86-virt-demo`; as the first program of Linux, it tests the module.

mod device;
mod guests;
mod init;
mod kernel_log;
mod load;
mod nmi;
mod ports;
mod tests;

use std::process::{ExitCode, id};

use crate::device::{Device, Request};

fn main() -> ExitCode {
    if id() == 1 {
        init::run();
    }
    match show() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a guest that prints, and shows its exits.
fn show() -> anyhow::Result<()> {
    let device = Device::open()?;
    let outcome = device.run(&Request::new(&guests::hello()))?;
    for line in outcome.describe() {
        println!("{line}");
    }
    Ok(())
}
