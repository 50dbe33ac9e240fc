//! Sets of interrupt vectors.

use core::fmt;

/// A set of interrupt vectors, of 256 bits.
///
/// ```
/// use x86_virt_vmx::VectorSet;
///
/// let vectors: VectorSet = [0x31, 0xfe].into_iter().collect();
/// assert!(vectors.contains(0x31) && !vectors.contains(0x32));
/// assert_eq!(vectors.highest(), Some(0xfe));
/// assert_eq!(vectors.iter().collect::<Vec<_>>(), [0xfe, 0x31]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct VectorSet([u64; 4]);

impl VectorSet {
    /// No vector.
    pub const EMPTY: Self = Self([0; 4]);

    /// The vectors whose bits are set: bit 0 of the first word is vector 0.
    #[must_use]
    pub const fn from_words(words: [u64; 4]) -> Self {
        Self(words)
    }

    /// The words.
    #[must_use]
    pub const fn into_words(self) -> [u64; 4] {
        self.0
    }

    /// Whether there is no vector.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::EMPTY
    }

    /// Whether `vector` is one of them.
    #[must_use]
    pub fn contains(self, vector: u8) -> bool {
        let (index, mask) = position(vector);
        self.0.get(index).is_some_and(|word| word & mask != 0)
    }

    /// The same and `vector`.
    #[must_use]
    pub fn with(mut self, vector: u8) -> Self {
        let (index, mask) = position(vector);
        if let Some(word) = self.0.get_mut(index) {
            *word |= mask;
        }
        self
    }

    /// The same without `vector`.
    #[must_use]
    pub fn without(mut self, vector: u8) -> Self {
        let (index, mask) = position(vector);
        if let Some(word) = self.0.get_mut(index) {
            *word &= !mask;
        }
        self
    }

    /// The highest vector, which has the highest priority.
    #[must_use]
    pub fn highest(self) -> Option<u8> {
        (0_u32..)
            .zip(self.0)
            .filter_map(|(index, word)| Some(index * 64 + word.checked_ilog2()?))
            .last()?
            .try_into()
            .ok()
    }

    /// The vectors, from the highest down.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        let mut rest = self;
        core::iter::from_fn(move || {
            let vector = rest.highest()?;
            rest = rest.without(vector);
            Some(vector)
        })
    }
}

/// The word and the bit of `vector`.
pub(super) fn position(vector: u8) -> (usize, u64) {
    (usize::from(vector / 64), 1 << (vector % 64))
}

impl FromIterator<u8> for VectorSet {
    fn from_iter<I: IntoIterator<Item = u8>>(vectors: I) -> Self {
        vectors.into_iter().fold(Self::EMPTY, Self::with)
    }
}

impl fmt::Debug for VectorSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::any;
    use proptest::{collection, prop_assert, prop_assert_eq, proptest};

    use super::VectorSet;

    proptest! {
        #[test]
        fn a_set_is_a_set(vectors in collection::btree_set(any::<u8>(), 0..40), other in any::<u8>()) {
            let set: VectorSet = vectors.iter().copied().collect();
            prop_assert_eq!(set.contains(other), vectors.contains(&other));
            prop_assert_eq!(set.highest(), vectors.last().copied());
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), vectors);
            prop_assert!(set.iter().is_sorted_by(|a, b| a > b));
            prop_assert!(!set.without(other).contains(other));
            prop_assert_eq!(VectorSet::from_words(set.into_words()), set);
        }
    }

    #[test]
    fn bits_count_from_the_lowest() {
        assert_eq!(VectorSet::EMPTY.with(0).with(0x41).into_words(), [1, 2, 0, 0]);
        assert_eq!(VectorSet::EMPTY.with(255).into_words(), [0, 0, 0, 1 << 63]);
        assert_eq!(VectorSet::EMPTY.highest(), None);
    }
}
