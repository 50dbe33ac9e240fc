//! The TSC multiplier.

use core::fmt;

use x86_virt_core::TscScale;

/// The TSC multiplier: by how much the time-stamp counter of a guest is faster than that of the processor, with 48 bits of fraction.
///
/// Intel SDM vol. 3, section 27.6.5, "Time-Stamp Counter Offset and Multiplier".
///
/// ```
/// use x86_virt_vmx::TscMultiplier;
///
/// let multiplier = TscMultiplier::of(3_000_000, 2_000_000).unwrap();
/// assert_eq!(multiplier.into_bits(), 0x1_8000_0000_0000);
/// assert_eq!(multiplier.scale().apply(1000), 1500);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct TscMultiplier(u64);

/// How many bits of it are behind the point.
const FRACTION_BITS: u8 = 48;

impl TscMultiplier {
    /// The guest's counter is as fast as the processor's.
    pub const ONE: Self = Self(1 << FRACTION_BITS);

    /// The multiplier with this value.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The value, as the VMCS holds it.
    #[must_use]
    pub const fn into_bits(self) -> u64 {
        self.0
    }

    /// The ratio of two frequencies, rounded down. `None` if it is not below 65536, or 0, or `host` is.
    #[must_use]
    pub fn of(guest: u64, host: u64) -> Option<Self> {
        TscScale::of(guest, host, FRACTION_BITS).map(|scale| Self(scale.multiplier()))
    }

    /// How the processor multiplies with it.
    #[must_use]
    pub const fn scale(self) -> TscScale {
        TscScale::new(self.0, FRACTION_BITS)
    }
}

impl fmt::Display for TscMultiplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::TscMultiplier;

    #[test]
    fn there_are_16_bits_before_the_point() {
        assert_eq!(TscMultiplier::of(1, 1), Some(TscMultiplier::ONE));
        assert_eq!(TscMultiplier::of(65_535, 1).map(TscMultiplier::into_bits), Some(0xffff << 48));
        assert_eq!(TscMultiplier::of(65_536, 1), None);
        assert_eq!(TscMultiplier::of(1 << 14, u64::MAX), None, "less than 2^-48");
        // 2.1 GHz for the guest on 3.4 GHz: 0.617647...
        assert_eq!(TscMultiplier::of(2_100_000, 3_400_000).map(TscMultiplier::into_bits), Some(0x9e1e_1e1e_1e1e));
        assert_eq!(TscMultiplier::from_bits(u64::MAX).to_string(), "0xffffffffffffffff");
    }
}
