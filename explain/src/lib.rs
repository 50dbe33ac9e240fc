#![doc = include_str!("../README.md")]

mod check;
pub mod command;
mod dump;
mod finding;
mod layout;
mod machine;
mod outcome;
mod place;
mod prediction;
mod read;
mod report;
mod scan;
mod text;
mod vmcb_rows;
mod vmcs_rows;

pub use dump::{Doubt, Dump, Entry, Kind, Message, MessageMeaning, MsrArea, MsrEntry, State, VmcbImage, VmcsFields};
pub use finding::{Class, FieldValue, Finding, Needed, Verdict};
pub use machine::{Machine, SvmMachine, VmxMachine, profiles, read_cpuid, read_msrs};
pub use outcome::Outcome;
pub use place::Place;
pub use prediction::{Fit, Prediction};
pub use read::{ReadError, ReadErrorKind, read};
pub use report::Report;
