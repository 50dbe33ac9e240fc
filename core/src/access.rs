//! What a guest may do with a page.

use core::fmt;
use core::ops::BitOr;

/// A set of kinds of access: read, write, execute in supervisor and in user mode, and two that only some processors tell apart.
///
/// Which sets a processor can grant depends on the entry format; see [`Unsupported`](crate::Unsupported).
///
/// It is printed as three letters: `r` or `-`, `w` or `-`, and `x` for execution in both modes, `s` in supervisor mode only, `u`
/// in user mode only, or `-`. `+sss` and `+pw` follow for [`SUPERVISOR_SHADOW_STACK`](Self::SUPERVISOR_SHADOW_STACK) and
/// [`PAGING_WRITE`](Self::PAGING_WRITE).
///
/// ```
/// use x86_virt_core::Access;
///
/// const CODE: Access = Access::RX;
/// assert!(CODE.contains(Access::READ));
/// assert!(!CODE.contains(Access::WRITE));
/// assert_eq!(CODE.to_string(), "r-x");
/// assert_eq!(Access::READ | Access::WRITE, Access::RW);
/// assert_eq!((Access::RW | Access::EXECUTE_USER).to_string(), "rwu");
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
    /// Instructions may be fetched in supervisor mode.
    ///
    /// Alone, or without [`EXECUTE_USER`](Self::EXECUTE_USER), it needs mode-based execute control.
    ///
    /// Intel SDM vol. 3, section 31.3.2, "EPT Translation Mechanism".
    pub const EXECUTE_SUPERVISOR: Self = Self(1 << 2);
    /// Instructions may be fetched in user mode.
    ///
    /// Without [`EXECUTE_SUPERVISOR`](Self::EXECUTE_SUPERVISOR) it needs mode-based execute control or guest mode execute trap.
    ///
    /// Intel SDM vol. 3, section 31.3.2, "EPT Translation Mechanism"; AMD APM vol. 2, appendix B, "VMCB Layout", offset 090h.
    pub const EXECUTE_USER: Self = Self(1 << 3);
    /// The page may be a shadow stack of the guest's supervisor mode.
    ///
    /// Intel SDM vol. 3, section 31.3.3.2, "EPT Violations"; AMD APM vol. 2, appendix B, "VMCB Layout", offset 090h.
    pub const SUPERVISOR_SHADOW_STACK: Self = Self(1 << 4);
    /// The processor may write accessed and dirty flags there when it walks the guest's page tables, although data may not be
    /// written.
    ///
    /// Intel SDM vol. 3, section 31.3.3.2, "EPT Violations".
    pub const PAGING_WRITE: Self = Self(1 << 5);
    /// Instructions may be fetched, in both modes.
    pub const EXECUTE: Self = Self::EXECUTE_SUPERVISOR.union(Self::EXECUTE_USER);
    /// Read and write.
    pub const RW: Self = Self::READ.union(Self::WRITE);
    /// Read and execute.
    pub const RX: Self = Self::READ.union(Self::EXECUTE);
    /// Read, write and execute: what every entry format can grant.
    pub const ALL: Self = Self::RW.union(Self::EXECUTE);
    /// All bits that mean something.
    const KNOWN: u8 = 0x3f;

    /// The set as bits: 0 read, 1 write, 2 execute in supervisor mode, 3 in user mode, 4 supervisor shadow stack, 5 paging-write.
    #[must_use]
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set with these [`bits`](Self::bits); bits above 5 are left out.
    #[must_use]
    #[inline]
    pub const fn from_bits_truncate(bits: u8) -> Self {
        Self(bits & Self::KNOWN)
    }

    /// Whether all kinds in `other` are in the set.
    #[must_use]
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in either set.
    #[must_use]
    #[inline]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    #[inline]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    #[inline]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
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
        let letter = |kind, letter| if self.contains(kind) { letter } else { "-" };
        let execute = if self.contains(Self::EXECUTE) {
            "x"
        } else if self.contains(Self::EXECUTE_SUPERVISOR) {
            "s"
        } else {
            letter(Self::EXECUTE_USER, "u")
        };
        write!(f, "{}{}{execute}", letter(Self::READ, "r"), letter(Self::WRITE, "w"))?;
        for (kind, name) in [(Self::SUPERVISOR_SHADOW_STACK, "+sss"), (Self::PAGING_WRITE, "+pw")] {
            if self.contains(kind) {
                f.write_str(name)?;
            }
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

    use std::collections::BTreeSet;
    use std::format;

    use super::Access;

    #[test]
    fn sets_combine_and_print() {
        for bits in 0..64 {
            let access = Access::from_bits_truncate(bits);
            assert_eq!(access.bits(), bits);
            assert_eq!(access.union(Access::NONE), access);
            assert_eq!(access.intersection(Access::ALL).union(access.difference(Access::ALL)), access);
        }
        assert_eq!(Access::from_bits_truncate(0xff).bits(), 0x3f);
        assert_eq!(format!("{:?} {}", Access::RW, Access::EXECUTE), "Access(rw-) --x");
    }

    #[test]
    fn each_set_has_a_text_of_its_own() {
        let texts: BTreeSet<_> = (0..64).map(|bits| format!("{}", Access::from_bits_truncate(bits))).collect();
        assert_eq!(texts.len(), 64);
        let all = Access::from_bits_truncate(u8::MAX);
        assert_eq!(format!("{all}"), "rwx+sss+pw");
        let read = |kind| format!("{}", Access::READ | kind);
        assert_eq!((read(Access::EXECUTE_SUPERVISOR), read(Access::EXECUTE_USER)), ("r-s".into(), "r-u".into()));
    }
}
