//! Tables of encodings, in one form.

use core::fmt;

use crate::bits::Register;
use crate::codes::Code;

/// A row of a table of encodings.
///
/// Each crate of a vendor has a function that visits its rows, from which the reference is written.
#[derive(Clone, Copy)]
pub struct TableRow<'a> {
    /// The table.
    pub table: &'static str,
    /// The name.
    pub name: &'static str,
    /// Names that other projects give it.
    pub aliases: &'a [&'a str],
    /// The encoding, the value of a code, the number of a bit, or the offset in a structure.
    pub encoding: u64,
    /// Bits that the value has; of a natural-width field those that it has on a processor with 64-bit mode.
    pub width_bits: u32,
    /// Who may write: `rw`, `ro`, or `sensitive` for what safe code cannot write. Empty where nothing is written.
    pub access: &'static str,
    /// The group of rows in the table.
    pub group: &'a dyn fmt::Display,
    /// What a processor must have for this row. Empty if it is always there.
    pub requires: &'a dyn fmt::Display,
    /// Whether the row rests on one source or a proposal, and may change: with the feature `provisional` only.
    pub provisional: bool,
}

impl fmt::Debug for TableRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} = {:#x}", self.table, self.name, self.encoding)
    }
}

/// Visits the fields of `R` as rows of `table`, with the bit as encoding.
pub fn register_rows<R: Register>(table: &'static str, group: &str, visit: &mut dyn FnMut(&TableRow<'_>)) {
    for field in R::FIELDS {
        visit(&TableRow {
            table,
            name: field.name,
            aliases: field.aliases,
            encoding: u64::from(field.offset),
            width_bits: field.width,
            access: "",
            group: &group,
            requires: &"",
            provisional: false,
        });
    }
}

/// Visits `codes` as rows of `table`.
pub fn code_rows<T: Copy + Into<u64>>(
    table: &'static str,
    group: &str,
    codes: &[Code<T>],
    visit: &mut dyn FnMut(&TableRow<'_>),
) {
    for code in codes {
        visit(&TableRow {
            table,
            name: code.name,
            aliases: code.aliases,
            encoding: code.value.into(),
            width_bits: u32::try_from(size_of::<T>() * 8).unwrap_or_default(),
            access: "",
            group: &group,
            requires: &"",
            provisional: code.provisional,
        });
    }
}
