#![doc = include_str!("../README.md")]

pub mod command;
mod dump;
mod layout;
mod machine;
mod outcome;
mod place;
mod read;
mod report;
mod rules;
mod scan;
mod text;
mod vmcb_rows;
mod vmcs_rows;

pub use dump::{Doubt, Dump, Entry, Kind, Message, MessageMeaning, MsrArea, MsrEntry, State, VmcbImage, VmcsFields};
pub use machine::{Machine, SvmMachine, VmxMachine, profiles, read_cpuid, read_msrs};
pub use outcome::Outcome;
pub use place::Place;
pub use read::{ReadError, ReadErrorKind, read};
pub use report::Report;
pub use rules::{Class, FieldValue, Finding, Verdict, rules};
