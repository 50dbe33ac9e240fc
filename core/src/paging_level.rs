//! The levels of paging structures.

use core::fmt;

use crate::addr::PageSize;

/// A level of nested paging structures, from the bottom.
///
/// Intel SDM vol. 3, section 31.3.2, "EPT Translation Mechanism"; AMD APM vol. 2, section 5.3, "Long-Mode Page Translation".
///
/// ```
/// use x86_virt_core::{PageSize, PagingLevel};
///
/// assert_eq!(PagingLevel::Pd.number(), 2);
/// assert_eq!(PagingLevel::Pd.page_size(), Some(PageSize::Size2M));
/// assert_eq!(PagingLevel::of_number(5), Some(PagingLevel::Pml5));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum PagingLevel {
    /// Page table: entries map 4 KiB pages.
    Pt,
    /// Page directory: entries map 2 MiB pages, or refer to a page table.
    Pd,
    /// Page-directory-pointer table: entries map 1 GiB pages, or refer to a page directory.
    Pdpt,
    /// PML4 table: entries refer to a page-directory-pointer table.
    Pml4,
    /// PML5 table: entries refer to a PML4 table.
    Pml5,
}

impl PagingLevel {
    /// All levels, from the bottom.
    pub const ALL: [Self; 5] = [Self::Pt, Self::Pd, Self::Pdpt, Self::Pml4, Self::Pml5];

    /// The number of the level as [`Format`](crate::Format) counts: 1 is the page table.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Pt => 1,
            Self::Pd => 2,
            Self::Pdpt => 3,
            Self::Pml4 => 4,
            Self::Pml5 => 5,
        }
    }

    /// The level with this number, or `None` if there is none.
    #[must_use]
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Pt),
            2 => Some(Self::Pd),
            3 => Some(Self::Pdpt),
            4 => Some(Self::Pml4),
            5 => Some(Self::Pml5),
            _ => None,
        }
    }

    /// The size of the page that an entry of this level can map, or `None` if it can only refer to a table.
    #[must_use]
    pub const fn page_size(self) -> Option<PageSize> {
        PageSize::of_level(self.number())
    }
}

impl fmt::Display for PagingLevel {
    /// The name of an entry of the level. AMD calls a PDPTE PDPE.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pt => "PTE",
            Self::Pd => "PDE",
            Self::Pdpt => "PDPTE",
            Self::Pml4 => "PML4E",
            Self::Pml5 => "PML5E",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::PagingLevel;

    #[test]
    fn levels_and_numbers_are_inverse() {
        for (number, level) in (1..).zip(PagingLevel::ALL) {
            assert_eq!(level.number(), number);
            assert_eq!(PagingLevel::of_number(number), Some(level));
        }
        assert_eq!([0, 6].map(PagingLevel::of_number), [None, None]);
    }
}
