//! Whether the run passes. `expect=unsupported` on the command line wants the error that the processor lacks something.

use alloc::{boxed::Box, string::String};
use core::error::Error;
use machine::{Verdict, println};
use x86_virt::is_unsupported;

/// The verdict on a run that was to print `line`.
pub(crate) fn of(result: Result<String, Box<dyn Error>>, line: &str) -> Verdict {
    match &result {
        Ok(printed) => println!("guest: {printed}"),
        Err(error) => println!("error: {error}"),
    }
    let is_expected = match (result, machine::arg("expect")) {
        (Ok(printed), None) => printed == line,
        (Err(error), Some("unsupported")) => is_unsupported(&*error),
        _ => false,
    };
    if is_expected { Verdict::Pass } else { Verdict::Fail }
}
