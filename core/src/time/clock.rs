//! From the processor's time-stamp counter to that of a guest.

/// A ratio of two frequencies as a processor multiplies with it: a number with a fixed point.
///
/// A processor multiplies its counter with all bits, drops the fraction, and keeps the low 64 bits.
///
/// Intel SDM vol. 3, section 27.6.5, "Time-Stamp Counter Offset and Multiplier"; AMD APM vol. 2, section 15.30.5, "TSC Ratio MSR
/// (C000_0104h)".
///
/// ```
/// use x86_virt_core::TscScale;
///
/// // 2.5 with 32 bits of fraction.
/// let scale = TscScale::of(2_500_000, 1_000_000, 32).unwrap();
/// assert_eq!((scale.multiplier(), scale.apply(3)), (0x2_8000_0000, 7));
/// assert_eq!(TscScale::ONE.apply(3), 3);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TscScale {
    multiplier: u64,
    fraction_bits: u8,
}

impl TscScale {
    /// The counter as it is.
    pub const ONE: Self = Self { multiplier: 1, fraction_bits: 0 };

    /// `multiplier` / 2^`fraction_bits`, of which there are at most 63.
    #[must_use]
    pub const fn new(multiplier: u64, fraction_bits: u8) -> Self {
        Self { multiplier, fraction_bits: if fraction_bits < 64 { fraction_bits } else { 63 } }
    }

    /// The ratio of two frequencies with so many bits of fraction, rounded down: a guest's counter is never too fast. `None` if it does not
    /// fit 64 bits, or is 0, or `host` is.
    #[must_use]
    pub fn of(guest: u64, host: u64, fraction_bits: u8) -> Option<Self> {
        let ratio = (u128::from(guest) << fraction_bits.min(63)).checked_div(u128::from(host))?;
        u64::try_from(ratio).ok().filter(|ratio| *ratio != 0).map(|multiplier| Self::new(multiplier, fraction_bits))
    }

    /// The number before the point is moved.
    #[must_use]
    pub const fn multiplier(self) -> u64 {
        self.multiplier
    }

    /// How many of its bits are behind the point.
    #[must_use]
    pub const fn fraction_bits(self) -> u8 {
        self.fraction_bits
    }

    /// `tsc` in ticks of the guest, as a processor rounds and wraps.
    #[must_use]
    pub fn apply(self, tsc: u64) -> u64 {
        let product = u128::from(tsc) * u128::from(self.multiplier);
        let [a, b, c, d, e, f, g, h, ..] = (product >> self.fraction_bits).to_le_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

/// How a guest's time-stamp counter follows from the processor's: scaled, and then moved.
///
/// ```
/// use x86_virt_core::{TscClock, TscScale};
///
/// let clock = TscClock { scale: TscScale::of(3, 2, 48).unwrap(), offset: 0_u64.wrapping_sub(100) };
/// assert_eq!(clock.guest(1000), 1400);
/// // The first tick of the processor at which the guest's counter has 1500.
/// assert_eq!(clock.host_at(1500, 1000), 1067);
/// assert_eq!(clock.with_guest(1000, 7).guest(1000), 7);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TscClock {
    /// By what the processor's counter is multiplied.
    pub scale: TscScale,
    /// What is added then.
    pub offset: u64,
}

impl TscClock {
    /// The processor's own counter.
    pub const HOST: Self = Self { scale: TscScale::ONE, offset: 0 };

    /// The guest's counter when the processor's is `host`.
    #[must_use]
    pub fn guest(self, host: u64) -> u64 {
        self.scale.apply(host).wrapping_add(self.offset)
    }

    /// The same scale, and the offset with which the guest's counter is `guest` when the processor's is `host`.
    #[must_use]
    pub fn with_guest(self, host: u64, guest: u64) -> Self {
        Self { offset: guest.wrapping_sub(self.scale.apply(host)), ..self }
    }

    /// Whether the guest's counter has reached `deadline` when the processor's is `host`. One more than 2^63 ticks away has passed.
    #[must_use]
    pub fn has_reached(self, deadline: u64, host: u64) -> bool {
        self.ticks_to(deadline, host).is_none()
    }

    /// What the processor's counter is when the guest's reaches `deadline`: the first such value from `now` on; `now` itself if it has
    /// passed. The largest number if that is never.
    #[must_use]
    pub fn host_at(self, deadline: u64, now: u64) -> u64 {
        let Some(ticks) = self.ticks_to(deadline, now) else { return now };
        let TscScale { multiplier, fraction_bits } = self.scale;
        let product = u128::from(now) * u128::from(multiplier);
        let fraction = product & ((1 << fraction_bits) - 1);
        // At least one tick of the guest, which is more than the fraction.
        let distance = (u128::from(ticks) << fraction_bits) - fraction;
        match distance.checked_div(u128::from(multiplier)) {
            None => u64::MAX,
            Some(whole) => {
                let rest = u128::from(distance % u128::from(multiplier) != 0);
                u64::try_from(whole + rest).map_or(u64::MAX, |ticks| now.saturating_add(ticks))
            }
        }
    }

    /// Ticks of the guest to `deadline`. `None` if it has passed.
    fn ticks_to(self, deadline: u64, host: u64) -> Option<u64> {
        let ticks = deadline.wrapping_sub(self.guest(host));
        (ticks != 0 && ticks >> 63 == 0).then_some(ticks)
    }
}

impl Default for TscClock {
    fn default() -> Self {
        Self::HOST
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{TscClock, TscScale};

    #[test]
    fn a_ratio_is_rounded_down() {
        let of = |guest, host, bits| TscScale::of(guest, host, bits).map(TscScale::multiplier);
        assert_eq!(of(1, 3, 32), Some(0x5555_5555));
        assert_eq!(of(2, 3, 48), Some(0xaaaa_aaaa_aaaa));
        assert_eq!(of(u64::MAX, u64::MAX, 48), Some(1 << 48));
        assert_eq!(of(1 << 16, 1, 48), None);
        assert_eq!(of(1, 1 << 33, 32), None, "a counter that stands still");
        assert_eq!(of(1, 0, 32), None);
        assert_eq!(of(1, 1, 200), Some(1 << 63));
    }

    #[test]
    fn a_product_has_128_bits_and_keeps_64() {
        let scale = TscScale::new(u64::MAX, 48);
        assert_eq!(scale.apply(u64::MAX), u64::MAX - 0x1_ffff);
        assert_eq!(TscScale::new(1 << 49, 48).apply(1 << 63), 0);
        assert_eq!(TscScale::new(3, 1).apply(3), 4);
    }

    #[test]
    fn a_counter_that_stands_still_reaches_nothing() {
        let clock = TscClock { scale: TscScale::new(0, 48), offset: 5 };
        assert_eq!(clock.host_at(6, 100), u64::MAX);
        assert_eq!(clock.host_at(5, 100), 100);
        assert!(clock.has_reached(4, 100) && !clock.has_reached(6, 100));
        assert!(TscClock::HOST.has_reached(100 + (1 << 63), 100), "more than 2^63 ticks away");
    }

    proptest! {
        #[test]
        fn the_host_reaches_a_deadline_at_the_first_such_tick(
            multiplier in 1_u64..=u64::MAX, bits in 0_u8..=48, offset: u64, now in 0..1_u64 << 56, ticks in 0..1_u64 << 40,
        ) {
            let clock = TscClock { scale: TscScale::new(multiplier, bits), offset };
            let deadline = clock.guest(now).wrapping_add(ticks);
            let at = clock.host_at(deadline, now);
            prop_assume!(at != u64::MAX);
            prop_assert!(at >= now);
            let elapsed = |host: u64| ((u128::from(host) * u128::from(multiplier)) >> bits)
                - ((u128::from(now) * u128::from(multiplier)) >> bits);
            prop_assert!(elapsed(at) >= u128::from(ticks));
            prop_assert!(at == now || elapsed(at - 1) < u128::from(ticks));
        }

        #[test]
        fn a_guest_is_never_too_fast(guest in 1..1_u64 << 40, host in 1..1_u64 << 40, ticks in 0..1_u64 << 20) {
            for (bits, limit) in [(32, 40), (48, 64)] {
                let Some(scale) = TscScale::of(guest, host, bits).filter(|scale| u128::from(scale.multiplier()) >> limit == 0)
                else { continue };
                let exact = u128::from(ticks) * u128::from(guest) / u128::from(host);
                let scaled = u128::from(scale.apply(ticks));
                prop_assert!(scaled <= exact && exact - scaled <= 1);
            }
        }

        #[test]
        fn a_counter_can_be_set(multiplier: u64, bits in 0_u8..64, offset: u64, now: u64, value: u64) {
            let clock = TscClock { scale: TscScale::new(multiplier, bits), offset }.with_guest(now, value);
            prop_assert_eq!(clock.guest(now), value);
            prop_assert!(clock.has_reached(value, now));
        }
    }
}
