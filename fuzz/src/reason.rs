//! Exit reasons of VMX.

use arbitrary::Arbitrary;

/// An exit reason: most often one of those that a manual has, or one right behind them.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum Reason {
    /// A basic reason, without flags.
    Basic(u8),
    /// Any word.
    Any(u32),
}

impl Reason {
    /// The word.
    #[must_use]
    pub fn get(self) -> u32 {
        match self {
            Self::Basic(number) => u32::from(number % 96),
            Self::Any(word) => word,
        }
    }
}
