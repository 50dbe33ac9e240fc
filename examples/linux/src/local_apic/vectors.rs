//! A set of vectors, as IRR, ISR and TMR are.

/// A set of vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Vectors([u32; 8]);

impl Vectors {
    pub(super) fn insert(&mut self, vector: u8) {
        if let Some(word) = self.0.get_mut(usize::from(vector / 32)) {
            *word |= 1 << (vector % 32);
        }
    }

    pub(super) fn remove(&mut self, vector: u8) {
        if let Some(word) = self.0.get_mut(usize::from(vector / 32)) {
            *word &= !(1 << (vector % 32));
        }
    }

    pub(super) fn contains(&self, vector: u8) -> bool {
        self.word(vector / 32) & 1 << (vector % 32) != 0
    }

    /// The highest vector in it.
    pub(super) fn highest(&self) -> Option<u8> {
        let (index, word) = (0_u8..).zip(self.0).filter(|&(_, word)| word != 0).last()?;
        Some(32 * index + 31 - u8::try_from(word.leading_zeros()).ok()?)
    }

    /// Vectors `32 * index` to `32 * index + 31`.
    pub(super) fn word(&self, index: u8) -> u32 {
        self.0.get(usize::from(index)).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::Vectors;

    #[test]
    fn the_highest_is_found() {
        let mut vectors = Vectors::default();
        assert_eq!(vectors.highest(), None);
        for vector in [0, 31, 32, 200, 255] {
            vectors.insert(vector);
            assert_eq!(vectors.highest(), Some(vector));
            assert!(vectors.contains(vector));
        }
        vectors.remove(255);
        assert_eq!(vectors.highest(), Some(200));
        assert_eq!(vectors.word(0), 0x8000_0001);
        assert_eq!(vectors.word(9), 0);
    }
}
