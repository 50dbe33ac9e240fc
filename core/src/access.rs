//! What a guest may do with a page.

use core::fmt;
use core::ops::BitOr;

/// A set of kinds of access: read, write, execute.
///
/// Which sets a processor can grant depends on the entry format; see [`Unsupported`](crate::Unsupported).
///
/// ```
/// use x86_virt_core::Access;
///
/// const CODE: Access = Access::RX;
/// assert!(CODE.contains(Access::READ));
/// assert!(!CODE.contains(Access::WRITE));
/// assert_eq!(CODE.to_string(), "r-x");
/// assert_eq!(Access::READ | Access::WRITE, Access::RW);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Access(u8);

impl Access {
    /// No access.
    pub const NONE: Self = Self(0);
    /// Data may be read.
    pub const READ: Self = Self(1);
    /// Data may be written.
    pub const WRITE: Self = Self(1 << 1);
    /// Instructions may be fetched.
    pub const EXECUTE: Self = Self(1 << 2);
    /// Read and write.
    pub const RW: Self = Self::READ.union(Self::WRITE);
    /// Read and execute.
    pub const RX: Self = Self::READ.union(Self::EXECUTE);
    /// Read, write and execute.
    pub const ALL: Self = Self::RW.union(Self::EXECUTE);

    /// The set as bits: 0 read, 1 write, 2 execute.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set with these [`bits`](Self::bits); bits above 2 are left out.
    #[must_use]
    pub const fn from_bits_truncate(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Whether all kinds in `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Access {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        u8::arbitrary(bytes).map(Self::from_bits_truncate)
    }
}

impl BitOr for Access {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, letter) in [(Self::READ, "r"), (Self::WRITE, "w"), (Self::EXECUTE, "x")] {
            f.write_str(if self.contains(kind) { letter } else { "-" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({self})")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;

    use super::Access;

    #[test]
    fn sets_combine_and_print() {
        for bits in 0..8 {
            let access = Access::from_bits_truncate(bits);
            assert_eq!(access.bits(), bits);
            assert!(Access::ALL.contains(access));
            assert_eq!(access.union(Access::NONE), access);
            assert_eq!(access.intersection(Access::ALL), access);
        }
        assert_eq!(Access::from_bits_truncate(0xff), Access::ALL);
        assert_eq!(format!("{:?} {}", Access::RW, Access::EXECUTE), "Access(rw-) --x");
    }
}
