//! How guest-physical pages are mapped.

use core::fmt;

use crate::access::Access;
use crate::addr::{Hpa, PageSize};
use crate::page_attributes::PageAttributes;

/// A memory type, with the encoding that MTRRs, the PAT and extended page tables share.
///
/// Intel SDM vol. 3, section 13.3, "Methods of Caching Available", and table 13-10, "Memory Types That Can Be Encoded With
/// PAT"; AMD APM vol. 2, section 7.4, "Memory Types".
///
/// ```
/// use x86_virt_core::MemoryType;
///
/// assert_eq!(MemoryType::from_encoding(6), Some(MemoryType::WriteBack));
/// assert_eq!(MemoryType::from_encoding(2), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum MemoryType {
    /// UC: every access goes to the bus, in program order.
    Uncacheable = 0,
    /// WC: not cached; writes are collected in buffers.
    WriteCombining = 1,
    /// WT: reads are cached; writes go to the cache and to memory.
    WriteThrough = 4,
    /// WP: reads are cached; writes go to memory and drop the line.
    WriteProtected = 5,
    /// WB: reads and writes are cached.
    WriteBack = 6,
    /// UC-: as UC, but an MTRR of type WC wins. Exists in the PAT only.
    UncacheableMinus = 7,
}

impl MemoryType {
    /// All memory types, in the order of their encodings.
    pub const ALL: [Self; 6] = [
        Self::Uncacheable,
        Self::WriteCombining,
        Self::WriteThrough,
        Self::WriteProtected,
        Self::WriteBack,
        Self::UncacheableMinus,
    ];

    /// The encoding in the PAT, in MTRRs and in EPT entries.
    #[must_use]
    #[expect(clippy::as_conversions, reason = "the discriminants are the encoding")]
    pub const fn encoding(self) -> u8 {
        self as u8
    }

    /// The memory type with this encoding, or `None` where the encoding is reserved.
    #[must_use]
    #[inline]
    pub const fn from_encoding(encoding: u8) -> Option<Self> {
        match encoding {
            0 => Some(Self::Uncacheable),
            1 => Some(Self::WriteCombining),
            4 => Some(Self::WriteThrough),
            5 => Some(Self::WriteProtected),
            6 => Some(Self::WriteBack),
            7 => Some(Self::UncacheableMinus),
            _ => None,
        }
    }
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uncacheable => "UC",
            Self::WriteCombining => "WC",
            Self::WriteThrough => "WT",
            Self::WriteProtected => "WP",
            Self::WriteBack => "WB",
            Self::UncacheableMinus => "UC-",
        })
    }
}

/// How a range of guest-physical addresses is to be mapped.
///
/// ```
/// use x86_virt_core::{Access, Mapping, MemoryType, PageSize};
///
/// let ram = Mapping::new(Access::ALL);
/// assert_eq!(ram.memory_type, MemoryType::WriteBack);
/// let registers = Mapping::new(Access::RW).memory_type(MemoryType::Uncacheable).largest(PageSize::Size4K);
/// assert_eq!(registers.largest, PageSize::Size4K);
/// let huge = ram.exactly(PageSize::Size1G);
/// assert_eq!((huge.largest, huge.smallest), (PageSize::Size1G, PageSize::Size1G));
/// assert_eq!(Mapping::from(Access::ALL), ram);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Mapping {
    /// What the guest may do.
    pub access: Access,
    /// The memory type, which the processor combines with what the guest's own paging says.
    pub memory_type: MemoryType,
    /// What the pages have besides.
    pub attributes: PageAttributes,
    /// The largest page that may be used.
    pub largest: PageSize,
    /// The smallest page that may be used. A range that needs a smaller one is refused.
    pub smallest: PageSize,
}

impl Mapping {
    /// Write-back memory in pages of any size.
    #[must_use]
    #[inline]
    pub const fn new(access: Access) -> Self {
        Self {
            access,
            memory_type: MemoryType::WriteBack,
            attributes: PageAttributes::NONE,
            largest: PageSize::Size1G,
            smallest: PageSize::Size4K,
        }
    }

    /// The same with this memory type.
    #[must_use]
    pub const fn memory_type(self, memory_type: MemoryType) -> Self {
        Self { memory_type, ..self }
    }

    /// The same with these attributes.
    #[must_use]
    pub const fn attributes(self, attributes: PageAttributes) -> Self {
        Self { attributes, ..self }
    }

    /// The same with no page larger than `largest`.
    #[must_use]
    pub const fn largest(self, largest: PageSize) -> Self {
        Self { largest, ..self }
    }

    /// The same with pages of `size` and no other. Where these are not possible, to map is
    /// [`MapError::PageSize`](crate::MapError::PageSize).
    #[must_use]
    pub const fn exactly(self, size: PageSize) -> Self {
        Self { largest: size, smallest: size, ..self }
    }
}

impl From<Access> for Mapping {
    #[inline]
    fn from(access: Access) -> Self {
        Self::new(access)
    }
}

/// What a guest-physical address is mapped to.
///
/// ```
/// use x86_virt_core::{Access, Hpa, MemoryType, PageAttributes, PageSize, Translation};
///
/// let translation = Translation {
///     hpa: Hpa::new(0x1f00_0123),
///     size: PageSize::Size4K,
///     access: Access::RW,
///     memory_type: MemoryType::WriteBack,
///     attributes: PageAttributes::NONE,
/// };
/// assert_eq!(translation.to_string(), "0x1f000123 rw- WB (4 KiB page)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Translation {
    /// The host-physical address of the same byte.
    pub hpa: Hpa,
    /// The size of the page that the address is in.
    pub size: PageSize,
    /// What the guest may do.
    pub access: Access,
    /// The memory type of the mapping.
    pub memory_type: MemoryType,
    /// What the page has besides.
    pub attributes: PageAttributes,
}

impl fmt::Display for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} ({} page)", self.hpa, self.access, self.memory_type, self.size)?;
        if self.attributes.is_empty() { Ok(()) } else { write!(f, " {}", self.attributes) }
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryType;

    #[test]
    fn memory_types_and_encodings_are_inverse() {
        for encoding in 0..=u8::MAX {
            if let Some(memory_type) = MemoryType::from_encoding(encoding) {
                assert_eq!(memory_type.encoding(), encoding);
            }
        }
        for memory_type in MemoryType::ALL {
            assert_eq!(MemoryType::from_encoding(memory_type.encoding()), Some(memory_type));
        }
    }
}
