//! Where a text is no dump.

use core::fmt;

use crate::place::Place;

/// A text that is no dump, or a malformed one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {kind}")]
pub struct ReadError {
    /// Where.
    pub place: Place,
    /// What is wrong there.
    pub kind: ReadErrorKind,
}

/// What is wrong in a text.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ReadErrorKind {
    /// There is no dump.
    NoDump,
    /// There is no number where one must be.
    Number {
        /// What it would be the value of.
        name: String,
        /// What is there.
        found: String,
    },
    /// The number is too large.
    Range {
        /// What it would be the value of.
        name: String,
        /// The number.
        value: u64,
        /// How many bits the value has.
        bits: usize,
    },
    /// The text of one of the library's own dumps is not as it should be.
    Own {
        /// What is wrong.
        reason: String,
    },
    /// A value of a capability is not as it should be.
    Capability {
        /// What is wrong.
        reason: String,
    },
}

impl fmt::Display for ReadErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDump => f.write_str("no dump of a VMCS or a VMCB from here on"),
            Self::Number { name, found } => write!(f, "{name}: {found} is no number"),
            Self::Range { name, value, bits } => write!(f, "{name}: {value:#x} has more than {bits} bits"),
            Self::Own { reason } | Self::Capability { reason } => f.write_str(reason),
        }
    }
}
