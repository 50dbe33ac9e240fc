//! What a rule says about a dump.

use core::fmt;

use x86_virt_svm::check as svm;
use x86_virt_vmx::check as vmx;

use crate::place::Place;

/// How an entry fails that breaks a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Class {
    /// A VM entry.
    Vmx(vmx::RuleClass),
    /// VMRUN.
    Svm(svm::RuleClass),
}

/// Whether a rule is violated.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// It is.
    Violated,
    /// It is not kept, and the manual does not say that the processor checks it.
    Open,
    /// It is not known.
    CannotTell(Needed),
    /// The processor changes or ignores the value, or takes it where one may not expect it.
    Taken,
}

/// What a rule needs and is not known.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Needed {
    /// A field that the dump does not have: its name.
    Field(String),
    /// Something about the processor, or about what was beside the dump.
    Fact(String),
}

impl fmt::Display for Needed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, "the field {name}"),
            Self::Fact(fact) if fact.starts_with("wh") => write!(f, "to know {fact}"),
            Self::Fact(fact) => f.write_str(fact),
        }
    }
}

/// What a rule says about a dump.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The stable name of the rule.
    pub rule: &'static str,
    /// How an entry fails that breaks it.
    pub class: Class,
    /// Whether it is violated.
    pub verdict: Verdict,
    /// What is required.
    pub sentence: String,
    /// The values, as far as they are known.
    pub values: Vec<FieldValue>,
    /// Where the manual says so.
    pub citation: String,
    /// What would be valid, where that is one value.
    pub valid: Option<String>,
}

/// A value that a rule is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldValue {
    /// The name of the field.
    pub name: String,
    /// The value, with what it means.
    pub text: String,
    /// Where it was.
    pub place: Option<Place>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.sentence)?;
        if let Verdict::CannotTell(needed) = &self.verdict {
            write!(f, "\n  needs {needed}")?;
        }
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
