//! What changes write into leaves.

use crate::access::Access;
use crate::addr::{Gpa, Hpa, PageSize};
use crate::format::{Format, Unsupported};
use crate::map_error::MapError;
use crate::mapping::{Mapping, MemoryType};
use crate::page_attributes::PageAttributes;
use crate::span::{Span, shift};

const SIZES: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];

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
    pub(crate) fn new<F: Format>(format: &F, span: Span, hpa: Hpa, mapping: Mapping) -> Result<Self, MapError> {
        let Mapping { access, memory_type, attributes, smallest, .. } = mapping;
        let attribute_bits = format.attribute_bits(attributes)?;
        let largest = mapping.largest.min(largest_page(attributes));
        let mut leaves = Self { entries: [0; 3], offset: offset(span, hpa), level: 0 };
        for (entry, size) in leaves.entries.iter_mut().zip(SIZES) {
            let is_in_phase = leaves.offset & (size.bytes() - 1) == 0;
            if !is_in_phase || size > largest || size > format.largest_page() || size.bytes() > span.bytes() {
                break;
            }
            *entry = format.leaf(Hpa::new(0), size, access, memory_type)? | attribute_bits;
            leaves.level = size.level();
        }
        if leaves.level < smallest.level() || !span.start().is_aligned(smallest) || !span.end().is_aligned(smallest) {
            return Err(MapError::PageSize { gpa: span.start(), size: smallest });
        }
        Ok(leaves)
    }

    /// The highest level of leaves.
    pub(crate) const fn level(&self) -> u8 {
        self.level
    }

    /// The leaf of `level` for `gpa`.
    #[inline]
    pub(crate) fn entry(&self, level: u8, gpa: Gpa) -> u64 {
        // Callers ask for levels 1 to 3 only; 0 would be an absent entry.
        let entry = self.entries.get(usize::from(level) - 1).copied().unwrap_or(0);
        entry | gpa.get().wrapping_add(self.offset)
    }
}

/// What is changed in leaves that are there.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Update {
    /// Bits.
    Bits {
        /// For each level, the bits and their new value.
        bits: [(u64, u64); 3],
        /// The highest level whose pages can have them.
        level: u8,
    },
    /// The address: host-physical less guest-physical, for leaves of up to a level.
    Address {
        /// The difference.
        offset: u64,
        /// The highest level whose pages both addresses are in phase for.
        level: u8,
    },
    /// Nothing but the size: leaves above a level are split.
    Size(PageSize),
}

impl Update {
    /// Only what is allowed.
    pub(crate) fn access<F: Format>(format: &F, access: Access) -> Result<Self, Unsupported> {
        let bits = format.access_bits(access)?;
        // What the dirty log has taken away is not given back any more.
        Ok(Self::bits([(format.access_mask() | format.write_mark(), bits); 3]))
    }

    /// Only the memory type.
    pub(crate) fn memory_type<F: Format>(format: &F, memory_type: MemoryType) -> Result<Self, Unsupported> {
        let mut bits = [(0, 0); 3];
        for (bits, size) in bits.iter_mut().zip(SIZES) {
            *bits = (format.memory_type_mask(size), format.memory_type_bits(memory_type, size)?);
        }
        Ok(Self::bits(bits))
    }

    /// Only the attributes.
    pub(crate) fn attributes<F: Format>(format: &F, attributes: PageAttributes) -> Result<Self, Unsupported> {
        let bits = format.attribute_bits(attributes)?;
        Ok(Self::Bits { bits: [(format.attribute_mask(), bits); 3], level: largest_page(attributes).level() })
    }

    /// Bits of pages of any size.
    pub(crate) const fn bits(bits: [(u64, u64); 3]) -> Self {
        Self::Bits { bits, level: 3 }
    }

    /// Only the address, which is `hpa` where `span` starts.
    pub(crate) fn address(span: Span, hpa: Hpa) -> Self {
        let offset = offset(span, hpa);
        let is_in_phase = |size: &PageSize| offset & (size.bytes() - 1) == 0;
        let level = SIZES.into_iter().filter(is_in_phase).map(PageSize::level).max().unwrap_or(1);
        Self::Address { offset, level }
    }

    /// The highest level of leaves that need not be split.
    pub(crate) const fn level(&self) -> u8 {
        match self {
            Self::Bits { level, .. } | Self::Address { level, .. } => *level,
            Self::Size(size) => size.level(),
        }
    }

    /// What the leaf `entry` of `level`, which starts at `gpa`, becomes, or `None` if it stays.
    pub(crate) fn apply(&self, entry: u64, level: u8, gpa: Gpa) -> Option<u64> {
        match self {
            Self::Bits { bits, .. } => {
                let (mask, bits) = bits.get(usize::from(level) - 1)?;
                Some(entry & !mask | bits)
            }
            Self::Address { offset, .. } => {
                // The address is in bits 51 to those of the page, and nothing else is (contract of `Format::leaf`).
                let address = (1 << 52) - (1 << shift(level));
                Some(entry & !address | gpa.get().wrapping_add(*offset))
            }
            Self::Size(_) => None,
        }
    }
}

/// The largest page that can have these attributes.
pub(crate) const fn largest_page(attributes: PageAttributes) -> PageSize {
    if attributes.contains(PageAttributes::SUB_PAGE_WRITE) { PageSize::Size4K } else { PageSize::Size1G }
}

/// Host-physical less guest-physical address.
const fn offset(span: Span, hpa: Hpa) -> u64 {
    hpa.get().wrapping_sub(span.start().get())
}
