//! What is mapped, as ranges and as text.

use core::fmt;
use core::ops::{ControlFlow, Range};

use crate::access::Access;
use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::{Entry, Format};
use crate::frame::Frames;
use crate::map_error::MapError;
use crate::mapping::MemoryType;
use crate::page_attributes::PageAttributes;
use crate::space::AddressSpace;

/// Guest-physical addresses that are mapped one after the other, in pages of one size, with the same access, memory type and
/// attributes.
///
/// ```
/// use x86_virt_core::{Access, Gpa, Hpa, MappedRange, MemoryType, PageAttributes, PageSize};
///
/// let range = MappedRange {
///     gpa: Gpa::new(0)..Gpa::new(0x20_0000),
///     hpa: Hpa::new(0x1_0000_0000),
///     size: PageSize::Size2M,
///     access: Access::ALL,
///     memory_type: MemoryType::WriteBack,
///     attributes: PageAttributes::NONE,
/// };
/// assert_eq!(range.to_string(), "0x0000000000000000..0x0000000000200000 -> 0x0000000100000000 rwx WB 2M");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct MappedRange {
    /// The guest-physical addresses.
    pub gpa: Range<Gpa>,
    /// The host-physical address of the first byte.
    pub hpa: Hpa,
    /// The size of the pages.
    pub size: PageSize,
    /// What the guest may do.
    pub access: Access,
    /// The memory type of the mapping.
    pub memory_type: MemoryType,
    /// What the pages have besides.
    pub attributes: PageAttributes,
}

impl fmt::Display for MappedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = match self.size {
            PageSize::Size4K => "4K",
            PageSize::Size2M => "2M",
            PageSize::Size1G => "1G",
        };
        let Self { gpa, hpa, access, memory_type, attributes, .. } = self;
        write!(f, "{:#018x}..{:#018x} -> {hpa:#018x} {access} {memory_type} {size}", gpa.start, gpa.end)?;
        if attributes.is_empty() { Ok(()) } else { write!(f, " {attributes}") }
    }
}

/// Iterator of [`AddressSpace::ranges`].
#[derive(Debug)]
pub struct Ranges<'s, 'm, F: Format, A: Frames> {
    space: &'s AddressSpace<'m, F, A>,
    next: Gpa,
}

impl<'s, 'm, F: Format, A: Frames> Ranges<'s, 'm, F, A> {
    pub(crate) const fn new(space: &'s AddressSpace<'m, F, A>) -> Self {
        Self { space, next: Gpa::new(0) }
    }
}

impl<F: Format, A: Frames> Iterator for Ranges<'_, '_, F, A> {
    type Item = Result<MappedRange, MapError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (found, next) = self.space.edit().range_from(self.next)?;
        self.next = next;
        Some(found)
    }
}

/// The text of [`AddressSpace::dump`].
#[derive(Debug)]
pub struct Dump<'s, 'm, F: Format, A: Frames>(pub(crate) &'s AddressSpace<'m, F, A>);

impl<F: Format, A: Frames> fmt::Display for Dump<'_, '_, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let edit = self.0.edit();
        let mut from = Gpa::new(0);
        while let Some((found, next)) = edit.range_from(from) {
            from = next;
            match found {
                Ok(range) => writeln!(f, "{range}")?,
                Err(MapError::InvalidEntry { gpa, level, entry }) => {
                    writeln!(f, "{gpa:#018x}..{next:#018x} invalid entry {entry:#018x} of level {level}")?;
                }
                // A walk finds nothing else to report.
                Err(_) => {}
            }
        }
        Ok(())
    }
}

/// Collects pages, which come in ascending order, to one range.
#[derive(Debug)]
pub(crate) struct Collector<'f, F> {
    format: &'f F,
    found: Option<(Result<MappedRange, MapError>, Gpa)>,
}

impl<'f, F: Format> Collector<'f, F> {
    pub(crate) const fn new(format: &'f F) -> Self {
        Self { format, found: None }
    }

    /// Takes the part from `gpa` of what `entry` of `level` translates; breaks if it does not go on from what was taken before.
    pub(crate) fn take(&mut self, gpa: Range<Gpa>, level: u8, entry: u64) -> ControlFlow<()> {
        let end = gpa.end;
        let page = match (self.format.classify(entry, level), PageSize::of_level(level)) {
            (Entry::Leaf { hpa, access, memory_type }, Some(size)) => {
                let hpa = Hpa::new(hpa.get() | gpa.start.page_offset(size));
                let attributes = self.format.attributes(entry);
                Ok(MappedRange { gpa, hpa, size, access, memory_type, attributes })
            }
            _ => Err(MapError::InvalidEntry { gpa: gpa.start, level, entry }),
        };
        let Some((range, next)) = &mut self.found else {
            self.found = Some((page, end));
            return ControlFlow::Continue(());
        };
        let (Ok(range), Ok(page)) = (range, page) else {
            return ControlFlow::Break(());
        };
        let bytes = range.gpa.end.get() - range.gpa.start.get();
        let goes_on = page.gpa.start == range.gpa.end
            && Some(page.hpa) == range.hpa.checked_add(bytes)
            && (page.size, page.access, page.memory_type, page.attributes)
                == (range.size, range.access, range.memory_type, range.attributes);
        if !goes_on {
            return ControlFlow::Break(());
        }
        range.gpa.end = end;
        *next = end;
        ControlFlow::Continue(())
    }

    /// What was taken, and where it ends.
    pub(crate) fn found(self) -> Option<(Result<MappedRange, MapError>, Gpa)> {
        self.found
    }
}
