//! Sets of rules.

use core::fmt;

use super::rule::Rule;
use super::{COUNT, RULES};
use crate::field::Encoding;

const WORDS: usize = COUNT.div_ceil(64);

/// Rules out of [`RULES`].
///
/// ```
/// use x86_virt_vmx::check::{RULES, RuleSet};
/// use x86_virt_vmx::field;
///
/// let rules = RuleSet::about(field::GUEST_GDTR_LIMIT.encoding());
/// assert_eq!(rules.iter().map(|rule| rule.id).collect::<Vec<_>>(), ["VMX-GUEST-GDTR-LIMIT"]);
/// assert_eq!(RuleSet::ALL.len(), RULES.len());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct RuleSet {
    words: [u64; WORDS],
}

impl RuleSet {
    /// No rule.
    pub const NONE: Self = Self { words: [0; WORDS] };

    /// All rules.
    pub const ALL: Self = {
        let mut words = [u64::MAX; WORDS];
        let [.., last] = &mut words;
        *last >>= WORDS * 64 - COUNT;
        Self { words }
    };

    /// The rules that are about `field`.
    #[must_use]
    pub fn about(field: Encoding) -> Self {
        let mut set = Self::NONE;
        for (index, rule) in RULES.iter().enumerate() {
            if rule.fields.contains(&field) {
                set.insert(index);
            }
        }
        set
    }

    /// Adds the rule at `index` of the list.
    pub(super) fn insert(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// The rules that are in one of the two.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        let mut words = self.words;
        for (word, more) in words.iter_mut().zip(other.words) {
            *word |= more;
        }
        Self { words }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether the rule at `index` of [`RULES`] is one of them.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0)
    }

    /// Whether `rule` is one of them.
    #[must_use]
    pub fn contains(&self, rule: &Rule) -> bool {
        self.iter().any(|other| other == rule)
    }

    /// The rules, in the order of the manual.
    pub fn iter(self) -> impl Iterator<Item = &'static Rule> {
        self.indices().filter_map(|index| RULES.get(index))
    }

    /// Their places in [`RULES`].
    pub fn indices(self) -> impl Iterator<Item = usize> {
        let words = self.words.into_iter().enumerate();
        words.flat_map(|(place, word)| Bits(word).map(move |bit| place * 64 + bit))
    }
}

impl FromIterator<&'static Rule> for RuleSet {
    fn from_iter<I: IntoIterator<Item = &'static Rule>>(rules: I) -> Self {
        let mut set = Self::NONE;
        let places = rules.into_iter().filter_map(|rule| RULES.iter().position(|other| other == rule));
        places.for_each(|place| set.insert(place));
        set
    }
}

/// The places of the bits of a word that are 1, the lowest first.
struct Bits(u64);

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let bit = usize::try_from(self.0.trailing_zeros()).ok().filter(|_| self.0 != 0)?;
        self.0 &= self.0 - 1;
        Some(bit)
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{RULES, RuleSet};

    #[test]
    fn a_set_has_what_was_inserted() {
        let mut set = RuleSet::NONE;
        assert!(set.is_empty() && set.iter().next().is_none());
        let last = RULES.len() - 1;
        for index in [last, 0, 64, 63, 64] {
            set.insert(index);
        }
        let expected = [0, 63, 64, last].map(|index| RULES[index].id);
        assert_eq!(set.iter().map(|rule| rule.id).collect::<Vec<_>>(), expected);
        assert!(set.has(63) && !set.has(62) && !set.has(usize::MAX));
        assert!(set.contains(&RULES[63]) && !set.contains(&RULES[62]) && set.len() == 4 && !set.is_empty());
        assert_eq!(set.iter().collect::<RuleSet>(), set);
        assert!(RuleSet::ALL.iter().eq(RULES) && set.union(RuleSet::ALL) == RuleSet::ALL);
    }
}
