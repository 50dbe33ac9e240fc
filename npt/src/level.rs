//! The levels of paging structures.

use core::fmt;

use x86_virt_core::PageSize;

/// A level of nested paging structures, from the bottom.
///
/// AMD APM vol. 2, section 5.3, "Long-Mode Page Translation".
///
/// ```
/// use x86_virt_core::PageSize;
/// use x86_virt_npt::NptLevel;
///
/// assert_eq!(NptLevel::Pdp.number(), 3);
/// assert_eq!(NptLevel::Pdp.page_size(), Some(PageSize::Size1G));
/// assert_eq!(NptLevel::of_number(0), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum NptLevel {
    /// Page table: entries map 4 KiB pages.
    Pt,
    /// Page directory: entries map 2 MiB pages, or refer to a page table.
    Pd,
    /// Page-directory-pointer table: entries map 1 GiB pages, or refer to a page directory.
    Pdp,
    /// Page-map level-4 table: entries refer to a page-directory-pointer table.
    Pml4,
    /// Page-map level-5 table: entries refer to a page-map level-4 table.
    Pml5,
}

impl NptLevel {
    /// All levels, from the bottom.
    pub const ALL: [Self; 5] = [Self::Pt, Self::Pd, Self::Pdp, Self::Pml4, Self::Pml5];

    /// The number of the level as [`Format`](x86_virt_core::Format) counts: 1 is the page table.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Pt => 1,
            Self::Pd => 2,
            Self::Pdp => 3,
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
            3 => Some(Self::Pdp),
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

impl fmt::Display for NptLevel {
    /// The manual's name of an entry of the level.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pt => "PTE",
            Self::Pd => "PDE",
            Self::Pdp => "PDPE",
            Self::Pml4 => "PML4E",
            Self::Pml5 => "PML5E",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::NptLevel;

    #[test]
    fn levels_and_numbers_are_inverse() {
        for (number, level) in (1..).zip(NptLevel::ALL) {
            assert_eq!(level.number(), number);
            assert_eq!(NptLevel::of_number(number), Some(level));
        }
        assert_eq!([0, 6].map(NptLevel::of_number), [None, None]);
    }
}
