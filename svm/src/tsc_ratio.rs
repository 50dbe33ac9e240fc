//! The ratio of a guest's TSC to that of the processor.

use x86_virt_core::{TscScale, register};

register! {
    /// TSC_RATIO: by how much the TSC of a guest is faster than that of the processor.
    ///
    /// AMD APM vol. 2, section 15.30.5, "TSC Ratio MSR (C000_0104h)".
    ///
    /// ```
    /// use x86_virt_svm::TscRatio;
    ///
    /// // 1.5
    /// assert_eq!(TscRatio::new().with_int(1).with_frac(1 << 31).into_bits(), 0x1_8000_0000);
    /// ```
    pub struct TscRatio(u64) {
        /// FRAC: the fraction, in 2^-32.
        pub frac: u32,
        /// INT: the integer.
        pub int: u8,
        #[bits(24)]
        _reserved40: u32,
    }
}

/// INT and FRAC.
const RATIO: u64 = (1 << 40) - 1;

/// Bits of FRAC.
const FRACTION_BITS: u8 = 32;

impl TscRatio {
    /// The ratio after a reset.
    pub const ONE: Self = Self::new().with_int(1);

    /// The ratio of two frequencies, rounded down. `None` if it is not below 256, or 0, or `host` is.
    ///
    /// ```
    /// use x86_virt_svm::TscRatio;
    ///
    /// assert_eq!(TscRatio::of(3_000_000, 2_000_000), Some(TscRatio::from_bits(0x1_8000_0000)));
    /// assert_eq!(TscRatio::of(1, 0), None);
    /// ```
    #[must_use]
    pub fn of(guest: u64, host: u64) -> Option<Self> {
        let ratio = TscScale::of(guest, host, FRACTION_BITS)?.multiplier();
        (ratio >> 40 == 0).then_some(Self::from_bits(ratio))
    }

    /// How the processor multiplies with it.
    ///
    /// ```
    /// use x86_virt_svm::TscRatio;
    ///
    /// assert_eq!(TscRatio::from_bits(0x1_8000_0000).multiplication().apply(1000), 1500);
    /// ```
    #[must_use]
    pub const fn multiplication(self) -> TscScale {
        TscScale::new(self.into_bits() & RATIO, FRACTION_BITS)
    }

    /// `ticks` of the processor in those of the guest, rounded down. `None` from 2^64 on.
    ///
    /// ```
    /// use x86_virt_svm::TscRatio;
    ///
    /// assert_eq!(TscRatio::from_bits(0x1_8000_0000).scale(1000), Some(1500));
    /// ```
    #[must_use]
    pub fn scale(self, ticks: u64) -> Option<u64> {
        u64::try_from((u128::from(ticks) * u128::from(self.into_bits() & RATIO)) >> 32).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::TscRatio;

    #[test]
    fn ratios_have_8_bits_before_the_point() {
        assert_eq!(TscRatio::ONE.into_bits(), 0x1_0000_0000);
        assert_eq!(TscRatio::of(256, 1), None);
        assert_eq!(TscRatio::of(1, 1 << 33), None, "less than 2^-32");
        assert_eq!(TscRatio::of(u64::MAX, u64::MAX), Some(TscRatio::ONE));
        assert_eq!(TscRatio::from_bits(2 << 32).scale(1 << 63), None);
    }

    proptest! {
        #[test]
        fn the_guest_is_never_too_fast(guest in 1..1_u64 << 40, host in 1..1_u64 << 40, ticks in 0..1_u64 << 20) {
            if let Some(ratio) = TscRatio::of(guest, host) {
                let exact = u128::from(ticks) * u128::from(guest) / u128::from(host);
                let scaled = u128::from(ratio.scale(ticks).unwrap());
                prop_assert!(scaled <= exact && exact - scaled <= 1);
            }
        }
    }
}
