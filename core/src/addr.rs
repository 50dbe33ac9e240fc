//! Addresses and page sizes.

use core::fmt;

/// Defines a transparent 64-bit address newtype.
macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        #[repr(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Makes the address from its value.
            #[must_use]
            pub const fn new(address: u64) -> Self {
                Self(address)
            }

            /// The value of the address.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// Whether the address is a multiple of `size`.
            #[must_use]
            pub const fn is_aligned(self, size: PageSize) -> bool {
                self.0 & (size.bytes() - 1) == 0
            }

            /// The greatest multiple of `size` that is not above the address.
            #[must_use]
            pub const fn align_down(self, size: PageSize) -> Self {
                Self(self.0 & !(size.bytes() - 1))
            }

            /// The distance in bytes from the start of the page of `size` that holds the address.
            #[must_use]
            pub const fn page_offset(self, size: PageSize) -> u64 {
                self.0 & (size.bytes() - 1)
            }

            /// The address `bytes` higher, or `None` above 2^64.
            #[must_use]
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(address) => Some(Self(address)),
                    None => None,
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }

        impl fmt::LowerHex for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::LowerHex::fmt(&self.0, f)
            }
        }
    };
}

address! {
    /// Guest-physical address: what the guest takes for physical, and nested paging translates.
    ///
    /// Intel SDM vol. 3, section 31.3, "The Extended Page Table Mechanism (EPT)"; AMD APM vol. 2, section 15.25,
    /// "Nested Paging".
    Gpa
}

address! {
    /// Host-physical address: what the memory bus sees.
    Hpa
}

address! {
    /// Guest-linear address: after segmentation, before the guest's own paging.
    ///
    /// Intel SDM vol. 3, section 3.1, "Memory Management Overview".
    Gva
}

impl Gva {
    /// Whether bits 63 to `width - 1` are all equal. `width` is 48 with 4-level paging, 57 with 5-level paging.
    ///
    /// Intel SDM vol. 1, section 3.3.7.1, "Canonical Addressing".
    #[must_use]
    pub const fn is_canonical(self, width: u32) -> bool {
        let unused = 64_u32.saturating_sub(width);
        let sign_extended = (self.0.cast_signed() << unused) >> unused;
        sign_extended.cast_unsigned() == self.0
    }
}

/// Size of a page that one entry of a paging structure maps.
///
/// Intel SDM vol. 3, section 31.3.2, "EPT Translation Mechanism"; AMD APM vol. 2, section 5.3, "Long-Mode Page Translation".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum PageSize {
    /// 4 KiB, mapped by an entry of level 1.
    Size4K,
    /// 2 MiB, mapped by an entry of level 2.
    Size2M,
    /// 1 GiB, mapped by an entry of level 3.
    Size1G,
}

impl PageSize {
    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    /// The binary logarithm of the size in bytes.
    #[must_use]
    pub const fn shift(self) -> u32 {
        match self {
            Self::Size4K => 12,
            Self::Size2M => 21,
            Self::Size1G => 30,
        }
    }

    /// The level of the paging structure whose entries map pages of this size; 1 is the page table.
    #[must_use]
    pub const fn level(self) -> u8 {
        match self {
            Self::Size4K => 1,
            Self::Size2M => 2,
            Self::Size1G => 3,
        }
    }

    /// The size that an entry of the paging structure of `level` maps, or `None` where such an entry never maps a page.
    #[must_use]
    pub const fn of_level(level: u8) -> Option<Self> {
        match level {
            1 => Some(Self::Size4K),
            2 => Some(Self::Size2M),
            3 => Some(Self::Size1G),
            _ => None,
        }
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size4K => "4 KiB",
            Self::Size2M => "2 MiB",
            Self::Size1G => "1 GiB",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Gpa, Gva, PageSize};

    #[test]
    fn alignment_and_offset_are_by_page() {
        let address = Gpa::new(0x4020_1123);
        assert!(!address.is_aligned(PageSize::Size4K));
        assert_eq!(address.align_down(PageSize::Size2M), Gpa::new(0x4020_0000));
        assert_eq!(address.page_offset(PageSize::Size1G), 0x20_1123);
        assert_eq!(Gpa::new(u64::MAX).checked_add(1), None);
    }

    #[test]
    fn canonical_form_depends_on_the_width() {
        assert!(Gva::new(0x7fff_ffff_ffff).is_canonical(48));
        assert!(!Gva::new(0x8000_0000_0000).is_canonical(48));
        assert!(Gva::new(0x8000_0000_0000).is_canonical(57));
        assert!(Gva::new(0xffff_8000_0000_0000).is_canonical(48));
        assert!(!Gva::new(0x0100_0000_0000_0000).is_canonical(57));
    }

    #[test]
    fn page_sizes_match_their_levels() {
        for size in [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G] {
            assert_eq!(PageSize::of_level(size.level()), Some(size));
            assert_eq!(size.bytes(), 1 << (12 + 9 * (u32::from(size.level()) - 1)));
        }
        assert_eq!(PageSize::of_level(4), None);
    }
}
