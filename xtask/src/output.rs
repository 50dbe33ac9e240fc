//! Lines for the reader: results on standard output, progress on standard error.

use core::fmt::Display;
use std::io::{self, Write as _};
use std::process;

/// What a shell reports for a program that SIGPIPE ended.
const BROKEN_PIPE: i32 = 141;

/// Prints one result; ends the program where nobody reads any more.
pub(crate) fn line(text: impl Display) {
    if writeln!(io::stdout().lock(), "{text}").is_err() {
        process::exit(BROKEN_PIPE);
    }
}

/// Tells what happens now.
pub(crate) fn progress(text: impl Display) {
    if writeln!(io::stderr().lock(), "{text}").is_err() {
        process::exit(BROKEN_PIPE);
    }
}
