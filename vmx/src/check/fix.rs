//! Values for fields that are wrong.

use core::fmt;

use super::report::show;
use super::view::Correction;
use crate::field::{self, Encoding, FieldInfo};

/// Values for fields that are wrong, field by field in the order of their encodings: an iterator.
///
/// Only bits change to which the manual leaves one value. Where two rules want opposite values for a bit, the field is
/// left out.
#[derive(Clone)]
pub struct Fix {
    /// In the order of [`field::ALL`].
    fields: [Proposal; field::ALL.len()],
    next: usize,
}

/// What is to become of a field.
#[derive(Clone, Copy)]
struct Proposal {
    value: u64,
    /// Bits that change.
    mask: u64,
    contradicts_itself: bool,
}

impl Fix {
    pub(super) const fn new() -> Self {
        let none = Proposal { value: 0, mask: 0, contradicts_itself: false };
        Self { fields: [none; field::ALL.len()], next: 0 }
    }

    /// Adds a correction of a field that has `value`.
    pub(super) fn add(&mut self, correction: Correction, value: u64) {
        let Some(proposal) = FieldInfo::index(correction.field).and_then(|index| self.fields.get_mut(index)) else {
            return;
        };
        if proposal.mask == 0 {
            proposal.value = value;
        }
        let again = proposal.mask & correction.mask;
        proposal.contradicts_itself |= (proposal.value ^ correction.bits) & again != 0;
        proposal.value = proposal.value & !correction.mask | correction.bits;
        proposal.mask |= correction.mask;
    }
}

impl Iterator for Fix {
    type Item = (Encoding, u64);

    fn next(&mut self) -> Option<(Encoding, u64)> {
        loop {
            let proposal = self.fields.get(self.next)?;
            let info = field::ALL.get(self.next)?;
            self.next += 1;
            if proposal.mask != 0 && !proposal.contradicts_itself {
                return Some((info.encoding, proposal.value));
            }
        }
    }
}

impl fmt::Debug for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Fix {
    /// One line for each field.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (field, value) in self.clone() {
            show(field, value, f)?;
            writeln!(f)?;
        }
        Ok(())
    }
}
