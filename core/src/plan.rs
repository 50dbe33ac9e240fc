//! First pass of a change: whether it can be made, and how many tables it takes. Nothing is written.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::format::{Entry, Format};
use crate::frame::{Frames, Reach};
use crate::map_error::MapError;
use crate::span::{Span, shift};
use crate::stock::Needs;
use crate::table::{Node, Table, is_full};

/// Whether a table of level 1 that is full by its count is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Full {
    /// Its entries go as they are.
    Trusted,
    /// Each entry is to be changed, so that it must be a page.
    Read,
}

/// How the plan reaches tables.
#[derive(Debug)]
pub(crate) struct Plan<'s, F, A> {
    pub(crate) format: &'s F,
    pub(crate) reach: Reach<'s, A>,
    pub(crate) needs: Needs,
}

impl<'s, F: Format, A: Frames> Plan<'s, F, A> {
    pub(crate) fn new(format: &'s F, reach: Reach<'s, A>) -> Self {
        Self { format, reach, needs: Needs::default() }
    }

    /// Plans to map `span`, which is inside what `table` covers, with leaves of at most `leaf_level`.
    pub(crate) fn map(&mut self, table: Table<'s>, span: Span, leaf_level: u8) -> Result<(), MapError> {
        let level = table.level();
        if level == 1 {
            return self.absent(table, span);
        }
        for piece in span.pieces(level) {
            match table.node(self.format, self.reach, piece.index(level)) {
                Node::Absent if level <= leaf_level && piece.is_whole(level) => {}
                Node::Absent => self.new_table(level - 1, piece, leaf_level),
                Node::Leaf(_) => return Err(MapError::AlreadyMapped { gpa: piece.start(), level }),
                // A table is never empty, so this finds a conflict if the piece is all that the entry covers.
                Node::Table(next, _) => self.map(next, piece, leaf_level)?,
                Node::Invalid(entry) => return Err(invalid(piece, level, entry)),
            }
        }
        Ok(())
    }

    /// Checks that `span` is absent in `table`, which is of level 1.
    fn absent(&self, table: Table<'s>, span: Span) -> Result<(), MapError> {
        let is_taken = |entry| entry != 0 && self.format.classify(entry, 1) != Entry::Absent;
        match find(table, span, is_taken) {
            None => Ok(()),
            Some((piece, entry)) if self.format.classify(entry, 1) == Entry::Invalid => Err(invalid(piece, 1, entry)),
            Some((piece, _)) => Err(MapError::AlreadyMapped { gpa: piece.start(), level: 1 }),
        }
    }

    /// Plans to change `span`, which is inside what `table` covers, in leaves of at most `leaf_level`: all is mapped, and larger
    /// pages, and those at the ends, are split.
    pub(crate) fn change(&mut self, table: Table<'s>, span: Span, leaf_level: u8, full: Full) -> Result<(), MapError> {
        let level = table.level();
        if level == 1 {
            return self.present(table, span);
        }
        if level == 2 && full == Full::Trusted && self.are_full(table, span) {
            return Ok(());
        }
        for piece in span.pieces(level) {
            match table.node(self.format, self.reach, piece.index(level)) {
                Node::Absent => return Err(MapError::NotMapped { gpa: piece.start(), level }),
                Node::Leaf(_) if level <= leaf_level && piece.is_whole(level) => {}
                Node::Leaf(_) => self.new_table(level - 1, piece, leaf_level.min(level - 1)),
                Node::Table(_, entry) if level == 2 && full == Full::Trusted && is_full(entry) => {}
                Node::Table(next, _) => self.change(next, piece, leaf_level, full)?,
                Node::Invalid(entry) => return Err(invalid(piece, level, entry)),
            }
        }
        Ok(())
    }

    /// Whether `table`, which is of level 2, refers for all of `span` to tables that are full by their count.
    fn are_full(&self, table: Table<'s>, span: Span) -> bool {
        let first = span.index(2);
        let are_full = |slots: &[AtomicU64]| {
            slots.iter().all(|slot| {
                let entry = slot.load(Ordering::Relaxed);
                is_full(entry) && self.format.follow(entry, 2).is_some()
            })
        };
        // By eights, so that there are fewer ends of the loop.
        let (groups, rest) = table.slots(first..first + span.entries(2)).as_chunks::<8>();
        groups.iter().all(|group| are_full(group)) && are_full(rest)
    }

    /// Checks that all of `span` is mapped in `table`, which is of level 1.
    fn present(&self, table: Table<'s>, span: Span) -> Result<(), MapError> {
        let is_page = |entry| matches!(self.format.classify(entry, 1), Entry::Leaf { .. });
        match find(table, span, |entry| !is_page(entry)) {
            None => Ok(()),
            Some((piece, entry)) if self.format.classify(entry, 1) == Entry::Invalid => Err(invalid(piece, 1, entry)),
            Some((piece, _)) => Err(MapError::NotMapped { gpa: piece.start(), level: 1 }),
        }
    }

    /// Checks that no entry for `span`, which is inside what `table` covers, is invalid.
    pub(crate) fn valid(&self, table: Table<'s>, span: Span) -> Result<(), MapError> {
        let level = table.level();
        for piece in span.pieces(level) {
            match table.node(self.format, self.reach, piece.index(level)) {
                Node::Absent | Node::Leaf(_) => {}
                Node::Table(next, _) => self.valid(next, piece)?,
                Node::Invalid(entry) => return Err(invalid(piece, level, entry)),
            }
        }
        Ok(())
    }

    /// Counts a new table of `level` for `span`, and those below it, when leaves are of at most `leaf_level`.
    pub(crate) fn new_table(&mut self, level: u8, span: Span, leaf_level: u8) {
        self.needs.add(level, 1);
        if level == 1 {
            return;
        }
        let (before, _, after) = span.cut(level, leaf_level);
        if level == 2 {
            self.needs.add(1, before.entries(level) + after.entries(level));
            return;
        }
        for piece in before.pieces(level).chain(after.pieces(level)) {
            self.new_table(level - 1, piece, leaf_level);
        }
    }
}

/// The first page of `span`, in a table of level 1, whose entry `is_wanted`, and the entry.
#[inline]
fn find(table: Table<'_>, span: Span, is_wanted: impl Fn(u64) -> bool) -> Option<(Span, u64)> {
    let first = span.index(1);
    let load = |slot: &AtomicU64| slot.load(Ordering::Relaxed);
    let slots = table.slots(first..first + span.entries(1));
    let at = slots.iter().position(|slot| is_wanted(load(slot)))?;
    let piece = span.pieces(1).nth(at).unwrap_or(span);
    Some((piece, slots.get(at).map_or(0, load)))
}

/// The error for an invalid entry of `level` that translates `piece`.
#[cold]
pub(crate) fn invalid(piece: Span, level: u8, entry: u64) -> MapError {
    debug_assert!(piece.bytes() <= 1 << shift(level));
    MapError::InvalidEntry { gpa: piece.start(), level, entry }
}
