//! First pass of a change: whether it can be made, and how many tables it takes. Nothing is written.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::format::{Entry, Format};
use crate::frame::Frames;
use crate::map_error::MapError;
use crate::span::{ENTRIES, Span};
use crate::stock::Needs;
use crate::table::{Node, Table, used};

/// How the plan reaches tables.
#[derive(Debug)]
pub(crate) struct Plan<'s, F, A> {
    pub(crate) format: &'s F,
    pub(crate) frames: &'s A,
    pub(crate) needs: Needs,
}

impl<'s, F: Format, A: Frames> Plan<'s, F, A> {
    pub(crate) fn new(format: &'s F, frames: &'s A) -> Self {
        Self { format, frames, needs: Needs::default() }
    }

    /// Plans to map `span`, which is inside what `table` covers, with leaves of at most `leaf_level`.
    pub(crate) fn map(&mut self, table: Table<'s>, span: Span, leaf_level: u8) -> Result<(), MapError> {
        let level = table.level();
        if level == 1 {
            return self.absent(table, span);
        }
        for piece in span.pieces(level) {
            match table.node(self.format, self.frames, piece.index(level)) {
                Node::Absent if level <= leaf_level && piece.is_whole(level) => {}
                Node::Absent => self.new_table(level - 1, piece, leaf_level),
                Node::Leaf(_) => return Err(MapError::AlreadyMapped { gpa: piece.start() }),
                // A table is never empty, so this finds a conflict if the piece is all that the entry covers.
                Node::Table(next, _) => self.map(next, piece, leaf_level)?,
            }
        }
        Ok(())
    }

    /// Checks that `span` is absent in `table`, which is of level 1.
    fn absent(&self, table: Table<'s>, span: Span) -> Result<(), MapError> {
        let first = span.index(1);
        let slots = table.slots(first..first + span.entries(1));
        let is_mapped = |slot: &AtomicU64| self.format.classify(slot.load(Ordering::Relaxed), 1) != Entry::Absent;
        let Some(taken) = slots.iter().position(is_mapped) else {
            return Ok(());
        };
        let gpa = span.pieces(1).nth(taken).map_or(span.start(), Span::start);
        Err(MapError::AlreadyMapped { gpa })
    }

    /// Plans to change `span`, which is inside what `table` covers: all is mapped, and large pages are split at the ends.
    pub(crate) fn change(&mut self, table: Table<'s>, span: Span) -> Result<(), MapError> {
        let level = table.level();
        for piece in span.pieces(level) {
            match table.node(self.format, self.frames, piece.index(level)) {
                Node::Absent => return Err(MapError::NotMapped { gpa: piece.start() }),
                Node::Leaf(_) if piece.is_whole(level) => {}
                Node::Leaf(_) => self.new_table(level - 1, piece, level - 1),
                Node::Table(_, entry) if level == 2 && used(entry) == ENTRIES => {}
                Node::Table(next, _) => self.change(next, piece)?,
            }
        }
        Ok(())
    }

    /// Counts a new table of `level` for `span`, and those below it, when leaves are of at most `leaf_level`.
    fn new_table(&mut self, level: u8, span: Span, leaf_level: u8) {
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
