//! The page-attribute table.

use core::fmt;

use x86_virt_core::MemoryType;

/// A value of the PAT MSR (277h): eight memory types that entries of page tables choose from.
///
/// AMD APM vol. 2, section 7.8.2, "PAT Indexing".
///
/// ```
/// use x86_virt_core::MemoryType;
/// use x86_virt_npt::Pat;
///
/// assert_eq!(Pat::RESET.index_of(MemoryType::WriteBack), Some(0));
/// assert_eq!(Pat::RESET.index_of(MemoryType::WriteCombining), None);
/// assert_eq!(Pat::RESET.memory_type(1), Some(MemoryType::WriteThrough));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Pat(u64);

impl Pat {
    /// The value after reset: WB, WT, UC-, UC, and the same again.
    ///
    /// AMD APM vol. 2, section 7.8.1, "PAT Register".
    pub const RESET: Self = Self(0x0007_0406_0007_0406);

    /// The table with this value in the MSR.
    #[must_use]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The value in the MSR.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The memory type at `index`, which is taken modulo 8, or `None` if its encoding is reserved.
    #[must_use]
    #[inline]
    pub const fn memory_type(self, index: u8) -> Option<MemoryType> {
        let [encoding, ..] = (self.0 >> (8 * (index & 7))).to_le_bytes();
        MemoryType::from_encoding(encoding)
    }

    /// The first index at which `memory_type` is.
    #[must_use]
    pub const fn index_of(self, memory_type: MemoryType) -> Option<u8> {
        let mut index = 0;
        while index < 8 {
            if let Some(found) = self.memory_type(index)
                && found.encoding() == memory_type.encoding()
            {
                return Some(index);
            }
            index += 1;
        }
        None
    }
}

impl fmt::Debug for Pat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pat({:#018x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::MemoryType;

    use super::Pat;

    #[test]
    fn the_reset_value_is_that_of_the_manual() {
        let types =
            [MemoryType::WriteBack, MemoryType::WriteThrough, MemoryType::UncacheableMinus, MemoryType::Uncacheable];
        for (index, memory_type) in (0..).zip(types) {
            assert_eq!(Pat::RESET.memory_type(index), Some(memory_type));
            assert_eq!(Pat::RESET.memory_type(index + 4), Some(memory_type));
            assert_eq!(Pat::RESET.index_of(memory_type), Some(index));
        }
    }

    #[test]
    fn reserved_encodings_have_no_type() {
        assert_eq!(Pat::new(0x0203).memory_type(0), None);
        assert_eq!(Pat::new(0x0203).memory_type(1), None);
        assert_eq!(Pat::new(0x0106_0606_0606_0606).index_of(MemoryType::WriteCombining), Some(7));
    }
}
