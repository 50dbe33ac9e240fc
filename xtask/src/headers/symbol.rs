//! A name that a source gives a number.

use core::fmt;

/// Where in its source a name is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A macro, or a constant outside of any group.
    Constant,
    /// An enumeration, or a group of constants; empty if that has no name.
    Group(String),
    /// A structure, of which the number is an offset in bytes.
    Structure(String),
}

/// A name and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) file: String,
    pub(crate) line: usize,
    /// The number, or why it is not known.
    pub(crate) value: Result<u64, String>,
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ", self.file, self.line)?;
        match &self.origin {
            Origin::Structure(structure) => write!(f, "{structure}.")?,
            Origin::Constant | Origin::Group(_) => {}
        }
        f.write_str(&self.name)?;
        match &self.value {
            Ok(value) => write!(f, " = {value:#x}"),
            Err(reason) => write!(f, " ({reason})"),
        }
    }
}
