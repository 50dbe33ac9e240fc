//! Whether the run passes. `expect=unsupported` on the command line wants the error that the processor lacks something.

use alloc::{boxed::Box, string::String};
use core::error::Error;
use machine::{Verdict, println};
use x86_virt::{CreateError, EnterError, SpaceError};

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

fn is_unsupported(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref().is_some_and(EnterError::is_unsupported)
        || error.downcast_ref().is_some_and(SpaceError::is_unsupported)
        || error.downcast_ref().is_some_and(CreateError::is_unsupported)
}
