//! Second pass of a change: makes what was planned, and cannot fail.

use core::sync::atomic::Ordering;

use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::{Format, Unsupported};
use crate::frame::Frames;
use crate::mapping::Mapping;
use crate::span::{ENTRIES, Span, shift};
use crate::stock::Stock;
use crate::table::{Node, Table, used, used_field};

/// The leaves that a `map` writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leaves {
    /// The entry of each level, less the address.
    entries: [u64; 3],
    /// Host-physical less guest-physical address.
    offset: u64,
    /// The highest level of leaves.
    level: u8,
}

impl Leaves {
    /// The leaves that map `span` to `hpa` and so on, in pages as large as the alignment of both allows.
    pub(crate) fn new<F: Format>(format: &F, span: Span, hpa: Hpa, mapping: Mapping) -> Result<Self, Unsupported> {
        let Mapping { access, memory_type, largest } = mapping;
        let mut leaves = Self { entries: [0; 3], offset: hpa.get().wrapping_sub(span.start().get()), level: 0 };
        for (entry, size) in leaves.entries.iter_mut().zip([PageSize::Size4K, PageSize::Size2M, PageSize::Size1G]) {
            let is_in_phase = leaves.offset & (size.bytes() - 1) == 0;
            if !is_in_phase || size > largest || size > format.largest_page() || size.bytes() > span.bytes() {
                break;
            }
            *entry = format.leaf(Hpa::new(0), size, access, memory_type)?;
            leaves.level = size.level();
        }
        Ok(leaves)
    }

    /// The highest level of leaves.
    pub(crate) const fn level(&self) -> u8 {
        self.level
    }

    /// The leaf of `level` for `gpa`.
    fn entry(&self, level: u8, gpa: Gpa) -> u64 {
        // Callers ask for levels 1 to 3 only; 0 would be an absent entry.
        let entry = self.entries.get(usize::from(level) - 1).copied().unwrap_or(0);
        entry | gpa.get().wrapping_add(self.offset)
    }
}

/// Changes tables, under the lock of the space.
#[derive(Debug)]
pub(crate) struct Edit<'s, 'k, F, A> {
    pub(crate) format: &'s F,
    pub(crate) frames: &'s A,
    pub(crate) stock: &'k mut Stock,
}

impl<'s, F: Format, A: Frames> Edit<'s, '_, F, A> {
    /// Maps `span`, which is inside what `table` covers and absent; returns how many more entries of `table` are used.
    pub(crate) fn map(&mut self, table: Table<'s>, span: Span, leaves: &Leaves) -> usize {
        let level = table.level();
        let (before, pages, after) = span.cut(level, leaves.level);
        let mut added = pages.entries(level);
        fill_pages(table, pages, leaves);
        for piece in before.pieces(level).chain(after.pieces(level)) {
            let index = piece.index(level);
            if let Node::Table(next, _) = table.node(self.format, self.frames, index) {
                let more = self.map(next, piece, leaves);
                count_more(table, index, more);
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
        let table = self.stock.take(self.frames, level);
        let (first, count) = (span.index(level), span.entries(level));
        let (before, pages, after) = span.cut(level, leaves.level);
        table.fill(0..first, 0, 0);
        fill_pages(table, pages, leaves);
        table.fill(first + count..ENTRIES, 0, 0);
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
            table.fill(first..first + count, 0, 0);
            return count;
        }
        let mut removed = 0;
        for piece in span.pieces(level) {
            let index = piece.index(level);
            let is_whole = piece.is_whole(level);
            let (next, entry) = match table.node(self.format, self.frames, index) {
                Node::Absent => continue,
                Node::Leaf(_) if is_whole => {
                    table.slot(index).store(0, Ordering::Release);
                    removed += 1;
                    continue;
                }
                Node::Leaf(entry) => (self.split(table, index, entry), used_field(ENTRIES)),
                Node::Table(next, entry) => (next, entry),
            };
            let gone = if is_whole { used(entry) } else { self.unmap(next, piece) };
            if gone < used(entry) {
                table.slot(index).fetch_sub(used_field(gone), Ordering::Relaxed);
            } else {
                table.slot(index).store(0, Ordering::Release);
                self.put_by(next);
                removed += 1;
            }
        }
        removed
    }

    /// Replaces what is allowed in `span`, which is inside what `table` covers and mapped, by `bits` of the format.
    pub(crate) fn protect(&mut self, table: Table<'s>, span: Span, bits: u64) {
        let level = table.level();
        let mask = self.format.access_mask();
        for piece in span.pieces(level) {
            let index = piece.index(level);
            match table.node(self.format, self.frames, index) {
                Node::Absent => {}
                Node::Leaf(_) if piece.is_whole(level) => {
                    // A loop of compare-and-exchange: the processor may set accessed and dirty flags meanwhile.
                    let replace = |entry: u64| Some(entry & !mask | bits);
                    let _ = table.slot(index).fetch_update(Ordering::Relaxed, Ordering::Relaxed, replace);
                }
                Node::Leaf(entry) => {
                    let next = self.split(table, index, entry);
                    self.protect(next, piece, bits);
                }
                Node::Table(next, _) => self.protect(next, piece, bits),
            }
        }
    }

    /// Replaces the leaf `entry` at `index` by a table that maps the same, with one store.
    fn split(&mut self, table: Table<'s>, index: usize, entry: u64) -> Table<'s> {
        let level = table.level();
        let next = self.stock.take(self.frames, level - 1);
        let link = self.format.table(next.hpa()) | used_field(ENTRIES);
        let mut entry = entry;
        loop {
            next.fill(0..ENTRIES, self.format.split(entry, level), 1 << shift(level - 1));
            match table.slot(index).compare_exchange(entry, link, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return next,
                // The processor has set the accessed or the dirty flag, which the new entries inherit. There are two of them.
                Err(now) => entry = now,
            }
        }
    }

    /// Puts by a table that no entry refers to any more, and all below it.
    fn put_by(&mut self, table: Table<'s>) {
        for index in 0..if table.level() > 1 { ENTRIES } else { 0 } {
            match table.node(self.format, self.frames, index) {
                Node::Table(next, _) if next.level() == 1 => self.stock.put_by(next),
                Node::Table(next, _) => self.put_by(next),
                _ => {}
            }
        }
        self.stock.put_by(table);
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
    table.fill(first..first + pages.entries(level), leaves.entry(level, pages.start()), 1 << shift(level));
}

/// Records in the entry at `index` of `table` that `count` more entries are used in the table that it refers to.
#[inline]
pub(crate) fn count_more(table: Table<'_>, index: usize, count: usize) {
    // An atomic addition: the processor may set the accessed flag meanwhile.
    table.slot(index).fetch_add(used_field(count), Ordering::Relaxed);
}
