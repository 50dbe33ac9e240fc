//! Changes of an address space, as values.

use crate::addr::{Hpa, PageSize};
use crate::mapping::Mapping;
use crate::page_attributes::PageAttributes;

/// A change of a range of an address space, to ask [how many frames it needs](crate::AddressSpace::frames_needed).
///
/// ```
/// use x86_virt_core::{AddressSpace, Format, Frames, Gpa, MapError, Operation};
///
/// /// Makes sure that a page can be protected by an exit handler even if no frame is left then.
/// fn prepare_to_protect<F: Format, A: Frames>(space: &AddressSpace<'_, F, A>, page: Gpa) -> Result<(), MapError> {
///     let end = Gpa::new(page.get() + 0x1000);
///     let needed = space.frames_needed(page..end, Operation::Protect)?;
///     space.prepare(needed)
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// [`map`](crate::AddressSpace::map).
    Map {
        /// To where.
        hpa: Hpa,
        /// How.
        mapping: Mapping,
    },
    /// [`remap`](crate::AddressSpace::remap).
    Remap {
        /// To where.
        hpa: Hpa,
    },
    /// [`unmap`](crate::AddressSpace::unmap).
    Unmap,
    /// [`protect`](crate::AddressSpace::protect).
    Protect,
    /// [`set_memory_type`](crate::AddressSpace::set_memory_type).
    SetMemoryType,
    /// [`set_attributes`](crate::AddressSpace::set_attributes).
    SetAttributes {
        /// Which.
        attributes: PageAttributes,
    },
    /// [`split`](crate::AddressSpace::split).
    Split {
        /// To what.
        size: PageSize,
    },
    /// [`merge`](crate::AddressSpace::merge), which never needs any.
    Merge,
    /// [`start_dirty_log`](crate::AddressSpace::start_dirty_log).
    StartDirtyLog {
        /// The largest page that is not split.
        largest: PageSize,
    },
}
