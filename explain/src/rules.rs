//! The rules of an entry, against a dump.
//!
//! [`rules`] is the only place where the rest of the crate asks for them.

mod svm;
mod vmx;

use core::fmt;

use crate::dump::{Dump, State};
use crate::machine::Machine;
use crate::place::Place;

/// What a rule is about, which decides how the processor reports that it is violated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// VMX controls: VM-instruction error 7.
    Controls,
    /// Host state: VM-instruction error 8.
    Host,
    /// Guest state: exit reason 33.
    Guest,
    /// The VM-entry MSR-load area: exit reason 34.
    MsrLoading,
    /// The VMCB: exit code -1.
    Vmcb,
}

/// Whether a rule is violated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is.
    Violated,
    /// The dump, or what is known of the processor, does not say.
    CannotTell,
}

/// What a rule says about a dump.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The stable name of the rule.
    pub rule: String,
    /// What it is about.
    pub class: Class,
    /// Whether it is violated.
    pub verdict: Verdict,
    /// What is required, or what is not known.
    pub sentence: String,
    /// The values.
    pub values: Vec<FieldValue>,
    /// Where the manual says so.
    pub citation: &'static str,
    /// What would be valid, where that is one value.
    pub valid: Option<String>,
}

/// A value that a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldValue {
    /// The name of the field.
    pub name: &'static str,
    /// The value, with what it means.
    pub text: String,
    /// Where it was.
    pub place: Option<Place>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.sentence)?;
        for value in &self.values {
            write!(f, "\n  {} = {}", value.name, value.text)?;
            if let Some(place) = value.place {
                write!(f, " ({place})")?;
            }
        }
        if let Some(valid) = &self.valid {
            write!(f, "\n  valid: {valid}")?;
        }
        write!(f, "\n  {}", self.citation)
    }
}

/// The rules that `dump` violates on `machine`, and those of which it does not say so, in the order of the manual.
#[must_use]
pub fn rules(dump: &Dump, machine: &Machine) -> Vec<Finding> {
    match &dump.state {
        State::Vmcs(fields) => {
            let machine = match machine {
                Machine::Vmx(machine) => Some(machine),
                Machine::Unknown | Machine::Svm(_) => None,
            };
            vmx::rules(fields, machine)
        }
        State::Vmcb(image) => {
            let machine = match machine {
                Machine::Svm(machine) => Some(machine),
                Machine::Unknown | Machine::Vmx(_) => None,
            };
            svm::rules(image, machine)
        }
    }
}
