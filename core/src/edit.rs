//! Second pass of a change: makes what was planned, and cannot fail.

use core::ops::Range;
use core::sync::atomic::Ordering;

use crate::addr::PageSize;
use crate::format::{Entry, Format};
use crate::frame::{Frames, Reach};
use crate::leaves::{Leaves, Update, largest_page};
use crate::span::{ENTRIES, Span};
use crate::stock::Stock;
use crate::table::{Blank, Node, Table, is_full, use_fewer, use_more, used, used_field};

/// Changes tables, under the lock of the space.
#[derive(Debug)]
pub(crate) struct Edit<'s, 'k, F, A> {
    pub(crate) format: &'s F,
    pub(crate) reach: Reach<'s, A>,
    pub(crate) stock: &'k mut Stock,
}

impl<'s, F: Format, A: Frames> Edit<'s, '_, F, A> {
    /// Maps `span`, which is inside what `table` covers and absent; returns how many more entries of `table` are used.
    pub(crate) fn map(&mut self, table: Table<'s>, span: Span, leaves: &Leaves) -> usize {
        let level = table.level();
        let (before, pages, after) = span.cut(level, leaves.level());
        let mut added = pages.entries(level);
        fill_pages(table, pages, leaves);
        for piece in before.pieces(level).chain(after.pieces(level)) {
            let index = piece.index(level);
            if let Node::Table(next, _) = table.node(self.format, self.reach, index) {
                let more = self.map(next, piece, leaves);
                use_more(table.slot(index), more);
            } else {
                let entry = self.build(level - 1, piece, leaves);
                // Release: whoever sees the entry sees the table.
                table.slot(index).store(entry, Ordering::Release);
                added += 1;
            }
        }
        added
    }

    /// Makes a table of `level` that maps `span` and nothing else, each entry written once; returns the entry for it.
    fn build(&mut self, level: u8, span: Span, leaves: &Leaves) -> u64 {
        let table = self.stock.take(self.reach, level);
        let (first, count) = (span.index(level), span.entries(level));
        let (before, pages, after) = span.cut(level, leaves.level());
        table.clear(0..first, self.format.absent());
        if !pages.is_empty() {
            let at = pages.index(level);
            fill_blank(&table, at..at + pages.entries(level), leaves.entry(level, pages.start()));
        }
        table.clear(first + count..ENTRIES, self.format.absent());
        for piece in before.pieces(level).chain(after.pieces(level)) {
            let entry = self.build(level - 1, piece, leaves);
            table.slot(piece.index(level)).store(entry, Ordering::Release);
        }
        self.format.table(table.hpa()) | used_field(count)
    }

    /// Unmaps `span`, which is inside what `table` covers and mapped; returns how many fewer entries of `table` are used.
    pub(crate) fn unmap(&mut self, table: Table<'s>, span: Span) -> usize {
        let level = table.level();
        if level == 1 {
            let (first, count) = (span.index(1), span.entries(1));
            table.clear(first..first + count, self.format.absent());
            return count;
        }
        let mut removed = 0;
        for piece in span.pieces(level) {
            let index = piece.index(level);
            let is_whole = piece.is_whole(level);
            let (next, entry) = match table.node(self.format, self.reach, index) {
                Node::Absent | Node::Invalid(_) => continue,
                Node::Leaf(_) if is_whole => {
                    table.slot(index).store(self.format.absent(), Ordering::Release);
                    removed += 1;
                    continue;
                }
                Node::Leaf(entry) => (self.split(table, index, entry), used_field(ENTRIES)),
                Node::Table(next, entry) => (next, entry),
            };
            let gone = if is_whole { used(entry) } else { self.unmap(next, piece) };
            if gone < used(entry) {
                use_fewer(table.slot(index), gone);
            } else {
                table.slot(index).store(self.format.absent(), Ordering::Release);
                if is_whole {
                    self.put_by(next);
                } else {
                    // What was below has been put by.
                    self.stock.put_by(next);
                }
                removed += 1;
            }
        }
        removed
    }

    /// Updates the leaves of `span`, which is inside what `table` covers and mapped.
    pub(crate) fn update(&mut self, table: Table<'s>, span: Span, update: &Update) {
        let level = table.level();
        // A loop of compare-and-exchange: the processor may set accessed and dirty flags meanwhile.
        let replace = |piece: Span, index| {
            let new = |entry| update.apply(entry, level, piece.start());
            let _ = table.slot(index).fetch_update(Ordering::Relaxed, Ordering::Relaxed, new);
        };
        if level == 1 {
            // The plan has seen that all are pages.
            return span.pieces(1).for_each(|piece| replace(piece, piece.index(1)));
        }
        for piece in span.pieces(level) {
            let index = piece.index(level);
            match table.node(self.format, self.reach, index) {
                Node::Absent | Node::Invalid(_) => {}
                Node::Leaf(_) if level <= update.level() && piece.is_whole(level) => replace(piece, index),
                Node::Leaf(entry) if level == 2 => {
                    let next = self.stock.take(self.reach, 1);
                    split_page(self.format, table, entry, next, piece, update);
                }
                Node::Leaf(entry) => {
                    let next = self.split(table, index, entry);
                    self.update(next, piece, update);
                }
                Node::Table(next, _) => self.update(next, piece, update),
            }
        }
    }

    /// Replaces the tables for `span`, which is inside what `table` covers, by pages where they are the same. No entry is invalid.
    pub(crate) fn merge(&mut self, table: Table<'s>, span: Span) {
        let level = table.level();
        for piece in span.pieces(level) {
            let index = piece.index(level);
            let Node::Table(next, entry) = table.node(self.format, self.reach, index) else { continue };
            if level > 2 {
                self.merge(next, piece);
            }
            let page = if piece.is_whole(level) && is_full(entry) { self.as_page(next) } else { None };
            if let Some((page, flags)) = page {
                table.slot(index).store(page | flags, Ordering::Release);
                // Flags that the processor has set while this looked.
                table.slot(index).fetch_or(self.flags(next), Ordering::Relaxed);
                self.stock.put_by(next);
            }
        }
    }

    /// The page that maps the same as `table`, without the accessed and dirty flags, and these of all entries.
    fn as_page(&self, table: Table<'s>) -> Option<(u64, u64)> {
        let mask = self.format.flags_mask();
        let first = table.slot(0).load(Ordering::Relaxed) & !mask;
        let Entry::Leaf { hpa, access, memory_type } = self.format.classify(first, table.level()) else {
            return None;
        };
        let level = table.level() + 1;
        let attributes = self.format.attributes(first);
        let largest = self.format.largest_page().min(largest_page(attributes));
        let size = PageSize::of_level(level).filter(|size| *size <= largest)?;
        if !hpa.is_aligned(size) {
            return None;
        }
        let page =
            self.format.leaf(hpa, size, access, memory_type).ok()? | self.format.attribute_bits(attributes).ok()?;
        if self.format.split(page, level) != first {
            return None;
        }
        let step = PageSize::of_level(table.level())?.bytes();
        let (mut expected, mut flags) = (first, 0);
        for slot in table.slots(0..ENTRIES) {
            let entry = slot.load(Ordering::Relaxed);
            if entry & !mask != expected {
                return None;
            }
            flags |= entry & mask;
            expected = expected.wrapping_add(step);
        }
        Some((page, flags))
    }

    /// The accessed and dirty flags of all entries of `table`, which are leaves.
    fn flags(&self, table: Table<'s>) -> u64 {
        let entries = table.slots(0..ENTRIES).iter().map(|slot| slot.load(Ordering::Relaxed));
        entries.fold(0, |flags, entry| flags | entry) & self.format.flags_mask()
    }

    /// Replaces the leaf `entry` at `index` by a table that maps the same, with one store.
    fn split(&mut self, table: Table<'s>, index: usize, entry: u64) -> Table<'s> {
        let next = self.stock.take(self.reach, table.level() - 1);
        split_into(self.format, (table, index), entry, next, |next, entry| fill_blank(next, 0..ENTRIES, entry))
    }

    /// Puts by a table that no entry refers to any more, and all below it.
    fn put_by(&mut self, table: Table<'s>) {
        if table.level() == 2 {
            self.stock.put_by_below(self.format, self.reach, table);
        } else if table.level() > 2 {
            for index in 0..ENTRIES {
                if let Node::Table(next, _) = table.node(self.format, self.reach, index) {
                    self.put_by(next);
                }
            }
        }
        self.stock.put_by(table);
    }
}

/// Replaces the leaf `entry` in `table`, which is of level 2, by a table that maps the same, but for `update` in `span`, a part of it.
#[inline]
pub(crate) fn split_page<F: Format>(
    format: &F,
    table: Table<'_>,
    entry: u64,
    next: Blank<'_>,
    span: Span,
    update: &Update,
) {
    split_into(format, (table, span.index(2)), entry, next, |next, entry| {
        next.fill::<{ PageSize::Size4K.bytes() }>(0..ENTRIES, entry);
        update_blank(next, span, update);
    });
}

/// Replaces the leaf `entry` at an index of a table by the table `next`, with one store: `fill` writes that, given the first of the
/// entries that map the same.
#[inline]
fn split_into<'s, F: Format>(
    format: &F,
    (table, index): (Table<'_>, usize),
    entry: u64,
    next: Blank<'s>,
    fill: impl Fn(&Blank<'s>, u64),
) -> Table<'s> {
    let link = format.table(next.hpa()) | used_field(ENTRIES);
    let mut entry = entry;
    loop {
        fill(&next, format.split(entry, table.level()));
        match table.slot(index).compare_exchange(entry, link, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return next.table(),
            // The processor has set the accessed or the dirty flag, which the new entries inherit. There are two of them.
            Err(now) => entry = now,
        }
    }
}

/// Updates the leaves of `span` in a table of level 1 that is not linked yet.
fn update_blank(table: &Blank<'_>, span: Span, update: &Update) {
    for piece in span.pieces(1) {
        let slot = table.slot(piece.index(1));
        if let Some(entry) = update.apply(slot.load(Ordering::Relaxed), 1, piece.start()) {
            slot.store(entry, Ordering::Relaxed);
        }
    }
}

/// Writes leaves for `pages`, which are whole pages of the level of `table`.
#[inline]
pub(crate) fn fill_pages(table: Table<'_>, pages: Span, leaves: &Leaves) {
    if pages.is_empty() {
        return;
    }
    let level = table.level();
    let first = pages.index(level);
    fill(table, first..first + pages.entries(level), leaves.entry(level, pages.start()));
}

/// Writes `entry` and those of the pages that follow, at these indices.
fn fill(table: Table<'_>, indices: Range<usize>, entry: u64) {
    match table.level() {
        1 => table.fill::<{ PageSize::Size4K.bytes() }>(indices, entry),
        2 => table.fill::<{ PageSize::Size2M.bytes() }>(indices, entry),
        _ => table.fill::<{ PageSize::Size1G.bytes() }>(indices, entry),
    }
}

/// The same in a table that is not linked yet.
fn fill_blank(table: &Blank<'_>, indices: Range<usize>, entry: u64) {
    match table.level() {
        1 => table.fill::<{ PageSize::Size4K.bytes() }>(indices, entry),
        2 => table.fill::<{ PageSize::Size2M.bytes() }>(indices, entry),
        _ => table.fill::<{ PageSize::Size1G.bytes() }>(indices, entry),
    }
}
