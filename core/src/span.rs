//! Ranges of guest-physical addresses, cut where the entries of a level meet.

use core::ops::Range;

use crate::addr::{Gpa, PageSize};

/// How many entries a table has.
pub(crate) const ENTRIES: usize = 512;

/// The binary logarithm of the bytes that an entry of `level` covers.
///
/// Intel SDM vol. 3, section 31.3.2, "EPT Translation Mechanism".
#[inline]
pub(crate) fn shift(level: u8) -> u32 {
    3 + 9 * u32::from(level)
}

/// How many bits the guest-physical addresses have that tables of `levels` translate: 48 or 57.
#[inline]
pub(crate) const fn guest_width(levels: u8) -> u8 {
    if levels < 5 { 48 } else { 57 }
}

/// Guest-physical addresses from `start` to before `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Span {
    start: u64,
    end: u64,
}

impl Span {
    const EMPTY: Self = Self { start: 0, end: 0 };

    pub(crate) const fn new(range: &Range<Gpa>) -> Self {
        Self { start: range.start.get(), end: range.end.get() }
    }

    pub(crate) const fn start(self) -> Gpa {
        Gpa::new(self.start)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    /// How many bytes the span has.
    pub(crate) const fn bytes(self) -> u64 {
        self.end - self.start
    }

    /// The index of the entry of `level` that the span starts in.
    #[inline]
    pub(crate) fn index(self, level: u8) -> usize {
        index(self.start(), level)
    }

    /// How many entries of `level` the span touches.
    #[inline]
    pub(crate) fn entries(self, level: u8) -> usize {
        if self.is_empty() {
            return 0;
        }
        let entries = ((self.end - 1) >> shift(level)) - (self.start >> shift(level)) + 1;
        usize::try_from(entries).unwrap_or(usize::MAX)
    }

    /// The address after the last one.
    pub(crate) const fn end(self) -> Gpa {
        Gpa::new(self.end)
    }

    /// The least span that holds this one and starts and ends at a multiple of `size`.
    pub(crate) const fn align(self, size: PageSize) -> Self {
        let below = size.bytes() - 1;
        Self { start: self.start & !below, end: (self.end + below) & !below }
    }

    /// Whether the span, which one entry of `level` covers, is all that the entry covers.
    #[inline]
    pub(crate) fn is_whole(self, level: u8) -> bool {
        self.end - self.start == 1 << shift(level)
    }

    /// The parts of the span that the entries of `level` cover one by one, in ascending order.
    #[inline]
    pub(crate) fn pieces(self, level: u8) -> Pieces {
        Pieces { rest: self, shift: shift(level) }
    }

    /// Cuts the span in three: what whole entries of `level` map as pages when those are of at most `leaf_level`, and what
    /// is before and after it, which entries of `level` map through tables.
    #[inline]
    pub(crate) fn cut(self, level: u8, leaf_level: u8) -> (Self, Self, Self) {
        let below = (1 << shift(level)) - 1;
        let (start, end) = ((self.start + below) & !below, self.end & !below);
        if level > leaf_level || start >= end {
            return (self, Self::EMPTY, Self::EMPTY);
        }
        (Self { start: self.start, end: start }, Self { start, end }, Self { start: end, end: self.end })
    }
}

/// The index in its table of the entry of `level` that translates `gpa`.
#[inline]
pub(crate) fn index(gpa: Gpa, level: u8) -> usize {
    // Nine bits fit in any `usize`.
    usize::try_from((gpa.get() >> shift(level)) & 0x1ff).unwrap_or(0)
}

/// Iterator of [`Span::pieces`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pieces {
    rest: Span,
    shift: u32,
}

impl Iterator for Pieces {
    type Item = Span;

    #[inline]
    fn next(&mut self) -> Option<Span> {
        if self.rest.is_empty() {
            return None;
        }
        let start = self.rest.start;
        let end = self.rest.end.min(((start >> self.shift) + 1) << self.shift);
        self.rest.start = end;
        Some(Span { start, end })
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use super::{Span, index, shift};
    use crate::addr::{Gpa, PageSize};

    fn span(start: u64, end: u64) -> Span {
        Span::new(&(Gpa::new(start)..Gpa::new(end)))
    }

    #[test]
    fn levels_agree_with_page_sizes() {
        for size in [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G] {
            assert_eq!(shift(size.level()), size.shift());
        }
        assert_eq!(index(Gpa::new(0xffff_ffff_f000), 4), 511);
        assert_eq!(index(Gpa::new(0x1_4020_3000), 1), 3);
        assert_eq!(index(Gpa::new(0x1_4020_3000), 3), 5);
    }

    #[test]
    fn cuts_are_at_whole_entries() {
        assert_eq!(
            span(0x1f_f000, 0x60_1000).cut(2, 2),
            (span(0x1f_f000, 0x20_0000), span(0x20_0000, 0x60_0000), span(0x60_0000, 0x60_1000))
        );
        let (before, whole, after) = span(0x1f_f000, 0x20_1000).cut(2, 3);
        assert_eq!((before, whole.is_empty(), after.is_empty()), (span(0x1f_f000, 0x20_1000), true, true));
        assert_eq!(span(0, 0x20_0000).cut(2, 1).0, span(0, 0x20_0000));
    }

    #[test]
    fn alignment_is_outwards() {
        assert_eq!(span(0x1f_f000, 0x20_1000).align(PageSize::Size2M), span(0, 0x40_0000));
        assert_eq!(span(0x1f_f000, 0x20_1000).align(PageSize::Size4K), span(0x1f_f000, 0x20_1000));
        assert_eq!(span(0, 1 << 48).align(PageSize::Size1G), span(0, 1 << 48));
    }

    #[test]
    fn pieces_cover_the_span_and_lie_in_one_entry_each() {
        for (start, end) in [(0x1000, 0x2000), (0x1f_f000, 0x60_1000), (0, 0x40_0000), (0x20_0000, 0x20_0000)] {
            let pieces: Vec<Span> = span(start, end).pieces(2).collect();
            assert_eq!(pieces.len(), span(start, end).entries(2));
            let mut next = start;
            for piece in pieces {
                assert_eq!(piece.start().get(), next);
                assert_eq!(piece.entries(2), 1);
                assert_eq!(piece.is_whole(2), piece.start >> 21 != piece.end >> 21 && piece.start & 0x1f_ffff == 0);
                next = piece.end;
            }
            assert_eq!(next, end);
        }
    }
}
