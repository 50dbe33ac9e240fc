//! Says why a VM entry was refused.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use x86_virt_explain::command::{Arguments, Status, run};

/// The exit status where the text cannot be read.
const FAILURE: u8 = 2;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok((output, status)) => {
            // Where nobody reads any more, there is nobody to tell.
            let _ = io::stdout().lock().write_all(output.as_bytes());
            match status {
                Status::Clean => ExitCode::SUCCESS,
                Status::Violated => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            let _ = writeln!(io::stderr().lock(), "error: {error}");
            ExitCode::from(FAILURE)
        }
    }
}
