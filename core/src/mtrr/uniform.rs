//! Ranges of physical addresses with one memory type.

use core::ops::Range;

use super::Mtrrs;
use crate::addr::{Gpa, Hpa};
use crate::mapping::MemoryType;

/// Iterator of [`Mtrrs::uniform_ranges`].
#[derive(Clone, Debug)]
pub struct UniformRanges<'m> {
    mtrrs: &'m Mtrrs,
    rest: Range<Hpa>,
}

impl<'m> UniformRanges<'m> {
    pub(super) const fn new(mtrrs: &'m Mtrrs, rest: Range<Hpa>) -> Self {
        Self { mtrrs, rest }
    }
}

impl Iterator for UniformRanges<'_> {
    type Item = (Range<Hpa>, MemoryType);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let start = self.rest.start;
        let memory_type = self.mtrrs.memory_type(start);
        let mut end = start;
        while end < self.rest.end && (end == start || self.mtrrs.memory_type(end) == memory_type) {
            end = self.mtrrs.border(end.get()).map_or(self.rest.end, Hpa::new);
        }
        self.rest.start = end.min(self.rest.end);
        Some((start..self.rest.start, memory_type))
    }
}

/// A part of a mapping that has one memory type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MemoryTypePart {
    /// The guest-physical addresses.
    pub gpa: Range<Gpa>,
    /// The physical address of the first.
    pub hpa: Hpa,
    /// The memory type.
    pub memory_type: MemoryType,
}

/// Iterator of [`Mtrrs::parts`].
#[derive(Clone, Debug)]
pub struct MemoryTypeParts<'m> {
    ranges: UniformRanges<'m>,
    gpa: Gpa,
}

impl<'m> MemoryTypeParts<'m> {
    pub(super) const fn new(mtrrs: &'m Mtrrs, gpa: Range<Gpa>, hpa: Hpa) -> Self {
        let bytes = gpa.end.get().saturating_sub(gpa.start.get());
        let end = Hpa::new(hpa.get().saturating_add(bytes));
        Self { ranges: UniformRanges::new(mtrrs, hpa..end), gpa: gpa.start }
    }
}

impl Iterator for MemoryTypeParts<'_> {
    type Item = MemoryTypePart;

    fn next(&mut self) -> Option<MemoryTypePart> {
        let (range, memory_type) = self.ranges.next()?;
        let start = self.gpa;
        self.gpa = start.checked_add(range.end.get() - range.start.get())?;
        Some(MemoryTypePart { gpa: start..self.gpa, hpa: range.start, memory_type })
    }
}
