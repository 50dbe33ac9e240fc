//! What a page has besides access and memory type.

use core::fmt;
use core::ops::BitOr;

/// A set of attributes of a page that only some processors have.
///
/// An entry format takes those for which it was made; see [`Unsupported`](crate::Unsupported).
///
/// ```
/// use x86_virt_core::PageAttributes;
///
/// let attributes = PageAttributes::SUPPRESS_VE | PageAttributes::SUB_PAGE_WRITE;
/// assert!(attributes.contains(PageAttributes::SUPPRESS_VE));
/// assert_eq!(attributes.to_string(), "suppress-ve sub-page-write");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PageAttributes(u8);

impl PageAttributes {
    /// None.
    pub const NONE: Self = Self(0);
    /// An access that the page does not allow ends the run; it is no virtualization exception (#VE) of the guest.
    ///
    /// Intel SDM vol. 3, section 28.5.7, "Virtualization Exceptions".
    pub const SUPPRESS_VE: Self = Self(1);
    /// The guest's paging may lead to the page only by tables that the host permits to write.
    ///
    /// Intel SDM vol. 3, section 31.3.3.2, "EPT Violations" (guest-paging verification).
    pub const VERIFY_GUEST_PAGING: Self = Self(1 << 1);
    /// Parts of 128 bytes of the page may be written although its access does not say so: those that the sub-page-permission
    /// table names. Only 4 KiB pages have it, so that it makes larger ones impossible.
    ///
    /// Intel SDM vol. 3, section 31.3.4, "Sub-Page Write Permissions".
    pub const SUB_PAGE_WRITE: Self = Self(1 << 2);

    /// The attributes, and what [`Display`](fmt::Display) calls them.
    const NAMES: [(Self, &'static str); 3] = [
        (Self::SUPPRESS_VE, "suppress-ve"),
        (Self::VERIFY_GUEST_PAGING, "verify-guest-paging"),
        (Self::SUB_PAGE_WRITE, "sub-page-write"),
    ];

    /// The set as bits: 0 SUPPRESS_VE, 1 VERIFY_GUEST_PAGING, 2 SUB_PAGE_WRITE.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set with these [`bits`](Self::bits); bits above 2 are left out.
    #[must_use]
    pub const fn from_bits_truncate(bits: u8) -> Self {
        Self(bits & 7)
    }

    /// Whether there is none.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all in `other` are in the set.
    #[must_use]
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for PageAttributes {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        u8::arbitrary(bytes).map(Self::from_bits_truncate)
    }
}

impl BitOr for PageAttributes {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl fmt::Display for PageAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::NAMES.iter().filter(|(attribute, _)| self.contains(*attribute));
        for (at, (_, name)) in names.enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Debug for PageAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PageAttributes({self})")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;

    use super::PageAttributes;

    #[test]
    fn sets_combine_and_print() {
        for bits in 0..8 {
            let set = PageAttributes::from_bits_truncate(bits);
            assert_eq!((set.bits(), set.is_empty()), (bits, bits == 0));
            assert_eq!(set.union(PageAttributes::NONE).difference(PageAttributes::NONE), set);
        }
        let all = PageAttributes::from_bits_truncate(u8::MAX);
        assert_eq!(format!("{all:?}"), "PageAttributes(suppress-ve verify-guest-paging sub-page-write)");
        assert_eq!(format!("{}", PageAttributes::NONE), "");
        assert_eq!(all.difference(PageAttributes::SUPPRESS_VE).bits(), 6);
    }
}
