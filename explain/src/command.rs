//! The command line.

use core::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::dump::State;
use crate::machine::{Machine, profiles, read_cpuid, read_msrs};
use crate::read::{ReadError, read};
use crate::report::Report;

/// Says why a VM entry was refused.
///
/// Reads dumps of a VMCS or a VMCB in FILE: as Linux prints them to its log with kvm_intel.dump_invalid_vmcs=1 or
/// kvm_amd.dump_invalid_vmcb=1, as Xen prints them (`xl dmesg`), or as the library x86-virt prints its own. The text may be as it
/// was pasted into a report: with time stamps, quoted, wrapped, mixed with other messages, or cut.
///
/// The exit status is 0 if no rule is violated, 1 if one is, and 2 if the text cannot be read.
#[derive(Clone, Debug, Parser)]
#[command(name = "x86-virt-explain", version)]
pub struct Arguments {
    /// The text; `-` is standard input
    #[arg(value_name = "FILE", required_unless_present = "profiles")]
    file: Option<PathBuf>,
    /// The processor is the one of this profile
    #[arg(long, value_name = "NAME", conflicts_with_all = ["msrs", "cpuid"])]
    profile: Option<String>,
    /// The processor has the VMX capability MSRs in this file: lines such as `0x480 0x00da040000000004`, or `rdmsr -a 0x480` and what
    /// it printed
    #[arg(long, value_name = "FILE", conflicts_with = "cpuid")]
    msrs: Option<PathBuf>,
    /// The processor has the CPUID values in this file, as `cpuid -r` prints them
    #[arg(long, value_name = "FILE")]
    cpuid: Option<PathBuf>,
    /// The hardware error that KVM or Xen reported for the entry
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    error: Option<u64>,
    /// Lists every rule of which dump and capabilities do not tell whether it is violated, not only what they need
    #[arg(long)]
    all: bool,
    /// Lists the profiles
    #[arg(long)]
    profiles: bool,
}

/// What was found in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// No rule is violated.
    Clean,
    /// A rule is violated.
    Violated,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// A file cannot be read.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file has not what it should have.
    #[error("{}: {error}", .path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// Where, and what.
        error: ReadError,
    },
    /// There is no such profile.
    #[error("there is no profile {name}; --profiles lists them")]
    Profile {
        /// What was asked for.
        name: String,
    },
    /// The processor is one of the other vendor.
    #[error("{}: the dump is of {dump}, and the capabilities are of another vendor", .path.display())]
    Vendor {
        /// The file with the dump.
        path: PathBuf,
        /// VMCS or VMCB.
        dump: &'static str,
    },
}

/// Does what `arguments` ask for. Gives the text to print.
///
/// # Errors
///
/// [`CommandError`] if a file cannot be read, or has not what it should have.
pub fn run(arguments: &Arguments) -> Result<(String, Status), CommandError> {
    let mut output = String::new();
    let Some(path) = arguments.file.as_deref().filter(|_| !arguments.profiles) else {
        for (name, processor) in profiles() {
            // Writing to a string does not fail.
            let _ = writeln!(output, "{name:16} {processor}");
        }
        return Ok((output, Status::Clean));
    };
    let machine = machine(arguments)?;
    let dumps = read(&content(path)?).map_err(|error| CommandError::Content { path: path.to_owned(), error })?;
    let mut status = Status::Clean;
    for (index, dump) in dumps.into_iter().enumerate() {
        match (&dump.state, &machine) {
            (State::Vmcs(_), Machine::Svm(_)) => {
                return Err(CommandError::Vendor { path: path.to_owned(), dump: "a VMCS" });
            }
            (State::Vmcb(_), Machine::Vmx(_)) => {
                return Err(CommandError::Vendor { path: path.to_owned(), dump: "a VMCB" });
            }
            _ => {}
        }
        let report = match arguments.error {
            Some(number) => Report::with_error(dump, &machine, number),
            None => Report::new(dump, &machine),
        };
        if report.violated().next().is_some() {
            status = Status::Violated;
        }
        let separator = if index == 0 { "" } else { "\n----\n\n" };
        // Writing to a string does not fail.
        let _ = match arguments.all {
            true => write!(output, "{separator}{report:#}"),
            false => write!(output, "{separator}{report}"),
        };
    }
    Ok((output, status))
}

fn machine(arguments: &Arguments) -> Result<Machine, CommandError> {
    let file = |path: &Path, parse: fn(&str) -> Result<Machine, ReadError>| {
        parse(&content(path)?).map_err(|error| CommandError::Content { path: path.to_owned(), error })
    };
    match (&arguments.profile, &arguments.msrs, &arguments.cpuid) {
        (Some(name), _, _) => Machine::of_profile(name).ok_or_else(|| CommandError::Profile { name: name.clone() }),
        (None, Some(path), _) => file(path, read_msrs),
        (None, None, Some(path)) => file(path, read_cpuid),
        (None, None, None) => Ok(Machine::Unknown),
    }
}

/// The text of a file, with replacements for what is no UTF-8.
fn content(path: &Path) -> Result<String, CommandError> {
    let bytes = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    let bytes = bytes.map_err(|error| CommandError::File { path: path.to_owned(), error })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A number in decimal, or in hexadecimal with `0x`.
fn number(text: &str) -> Result<u64, core::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
}
