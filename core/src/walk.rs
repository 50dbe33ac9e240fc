//! Walks of the tree: to the entry that translates an address, to the table that covers a range, over all leaves, and to the end.

use core::ops::ControlFlow;
use core::sync::atomic::Ordering;

use crate::access::Access;
use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::{Entry, Format};
use crate::frame::{Frames, Reach};
use crate::map_error::MapError;
use crate::mapping::{MemoryType, Translation};
use crate::page_attributes::PageAttributes;
use crate::span::{ENTRIES, Span, index, shift};
use crate::table::{Node, Table};

/// What `gpa`, which `table` can translate, is mapped to.
pub(crate) fn lookup<F: Format, A: Frames>(
    format: &F,
    reach: Reach<'_, A>,
    table: Table<'_>,
    gpa: Gpa,
) -> Result<Translation, MapError> {
    let mut table = table;
    loop {
        let level = table.level();
        let entry = table.slot(index(gpa, level)).load(Ordering::Relaxed);
        if let Some(next) = table.follow(format, reach, entry).or_else(|| table.below_entry(format, reach, entry)) {
            table = next;
            continue;
        }
        return translation(format, entry, level, gpa).ok_or(match format.classify(entry, level) {
            Entry::Absent => MapError::NotMapped { gpa, level },
            _ => MapError::InvalidEntry { gpa, level, entry },
        });
    }
}

/// Where `gpa` is in the page at `hpa`, which has no attributes.
#[inline(always)]
pub(crate) fn in_page(gpa: Gpa, hpa: Hpa, size: PageSize, access: Access, memory_type: MemoryType) -> Translation {
    // The address of a page is a multiple of its size.
    let hpa = Hpa::new(hpa.get() | gpa.page_offset(size));
    Translation { hpa, size, access, memory_type, attributes: PageAttributes::NONE }
}

/// What `gpa` is mapped to, if `entry` of `level`, which translates it, is a leaf.
pub(crate) fn translation<F: Format>(format: &F, entry: u64, level: u8, gpa: Gpa) -> Option<Translation> {
    let Entry::Leaf { hpa, access, memory_type } = format.classify(entry, level) else {
        return None;
    };
    let size = PageSize::of_level(level)?;
    Some(Translation { attributes: format.attributes(entry), ..in_page(gpa, hpa, size, access, memory_type) })
}

/// A low table that covers all of `span`, the lowest that few bits of the entries lead to, and the table and index of the entry that refers to it.
pub(crate) fn descend<'s, F: Format, A: Frames>(
    format: &F,
    reach: Reach<'s, A>,
    root: Table<'s>,
    span: Span,
) -> (Table<'s>, Option<(Table<'s>, usize)>) {
    // Bits in which the first and the last address differ.
    let differs = span.start().get() ^ (span.end().get() - 1);
    let mut found = (root, None);
    while found.0.level() > 1 && differs >> shift(found.0.level()) == 0 {
        let at = span.index(found.0.level());
        let entry = found.0.slot(at).load(Ordering::Relaxed);
        let Some(next) = found.0.follow(format, reach, entry) else {
            break;
        };
        found = (next, Some((found.0, at)));
    }
    found
}

/// The table of level 2 that translates `gpa`, if few bits of the entries lead to it.
#[inline]
pub(crate) fn middle<'s, F: Format, A: Frames>(
    format: &F,
    reach: Reach<'s, A>,
    root: Table<'s>,
    gpa: Gpa,
) -> Option<Table<'s>> {
    let mut table = root;
    while table.level() > 2 {
        let entry = table.slot(index(gpa, table.level())).load(Ordering::Relaxed);
        table = table.follow(format, reach, entry)?;
    }
    Some(table)
}

/// Calls `visit` for each entry in ascending order that is a page, or invalid, and translates a part of `span`, which is inside
/// what `table` covers, until it breaks: with that part, the level, and the entry.
pub(crate) fn leaves<F: Format, A: Frames>(
    format: &F,
    reach: Reach<'_, A>,
    table: Table<'_>,
    span: Span,
    visit: &mut impl FnMut(Span, u8, u64) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let level = table.level();
    for piece in span.pieces(level) {
        match table.node(format, reach, piece.index(level)) {
            Node::Absent => {}
            Node::Table(next, _) => leaves(format, reach, next, piece, visit)?,
            Node::Leaf(entry) | Node::Invalid(entry) => visit(piece, level, entry)?,
        }
    }
    ControlFlow::Continue(())
}

/// Frees the table and all below it.
///
/// # Safety
///
/// Nothing uses the tables any more, neither the caller nor a processor.
#[expect(unsafe_code, reason = "frees tables")]
pub(crate) unsafe fn free<F: Format, A: Frames>(format: &F, reach: Reach<'_, A>, table: Table<'_>) {
    if table.level() > 1 {
        for at in 0..ENTRIES {
            if let Node::Table(next, _) = table.node(format, reach, at) {
                // SAFETY: what the caller promises of `table` and all below it holds for this part.
                unsafe { free(format, reach, next) };
            }
        }
    }
    // SAFETY: the invariants of `Table`: the frame is allocated, and referred to by one entry, so it is freed once; nobody uses it.
    unsafe { reach.frames().free(table.hpa(), 1) };
}
