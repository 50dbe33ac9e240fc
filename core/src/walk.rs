//! Walks of the whole tree: to the entry that translates an address, to the table that covers a range, and to the end.

use core::sync::atomic::Ordering;

use crate::addr::{Gpa, PageSize};
use crate::format::{Entry, Format};
use crate::frame::Frames;
use crate::mapping::Translation;
use crate::span::{ENTRIES, Span, index};
use crate::table::{Node, Table};

/// What `gpa`, which the tables can translate, is mapped to.
pub(crate) fn translate<F: Format, A: Frames>(
    format: &F,
    frames: &A,
    root: Table<'_>,
    gpa: Gpa,
) -> Option<Translation> {
    let mut table = root;
    loop {
        let entry = table.slot(index(gpa, table.level())).load(Ordering::Relaxed);
        match format.classify(entry, table.level()) {
            Entry::Absent => return None,
            Entry::Table(hpa) => {
                // SAFETY: `hpa` is from an entry of `table`.
                #[expect(unsafe_code, reason = "follows an entry")]
                let below = unsafe { table.below(frames, hpa) };
                table = below;
            }
            Entry::Leaf { hpa, access, memory_type } => {
                let size = PageSize::of_level(table.level())?;
                let hpa = hpa.checked_add(gpa.page_offset(size))?;
                return Some(Translation { hpa, size, access, memory_type });
            }
        }
    }
}

/// The lowest table that covers all of `span`, and the table and index of the entry that refers to it.
pub(crate) fn descend<'s, F: Format, A: Frames>(
    format: &F,
    frames: &'s A,
    root: Table<'s>,
    span: Span,
) -> (Table<'s>, Option<(Table<'s>, usize)>) {
    let mut found = (root, None);
    while found.0.level() > 1 && span.entries(found.0.level()) == 1 {
        let at = span.index(found.0.level());
        let Node::Table(next, _) = found.0.node(format, frames, at) else {
            break;
        };
        found = (next, Some((found.0, at)));
    }
    found
}

/// Frees the table and all below it.
///
/// # Safety
///
/// Nothing uses the tables any more, neither the caller nor a processor.
#[expect(unsafe_code, reason = "frees tables")]
pub(crate) unsafe fn free<F: Format, A: Frames>(format: &F, frames: &A, table: Table<'_>) {
    if table.level() > 1 {
        for at in 0..ENTRIES {
            if let Node::Table(next, _) = table.node(format, frames, at) {
                // SAFETY: what the caller promises of `table` and all below it holds for this part.
                unsafe { free(format, frames, next) };
            }
        }
    }
    // SAFETY: the invariants of `Table`: the frame is allocated, and referred to by one entry, so it is freed once; nobody uses it.
    unsafe { frames.free(table.hpa(), 1) };
}
