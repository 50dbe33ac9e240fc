//! Time, in ticks of the time-stamp counter, which host and guest share.

/// A moment, or a distance between two, in ticks of the time-stamp counter.
pub type Ticks = u64;

/// How fast the time-stamp counter goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    hertz: u64,
}

impl Clock {
    /// A clock of so many ticks a second; of one at least.
    #[must_use]
    pub const fn new(hertz: u64) -> Self {
        Self { hertz: if hertz == 0 { 1 } else { hertz } }
    }

    /// Ticks of the time-stamp counter in a second.
    #[must_use]
    pub const fn hertz(self) -> u64 {
        self.hertz
    }

    /// How many periods of a counter of `hertz` are over after `ticks`.
    #[must_use]
    pub fn periods(self, ticks: Ticks, hertz: u64) -> u64 {
        scale(ticks, hertz, self.hertz)
    }

    /// After how many ticks `periods` periods of a counter of `hertz` are over: the least number for which
    /// [`periods`](Self::periods) says so.
    #[must_use]
    pub fn ticks(self, periods: u64, hertz: u64) -> Ticks {
        let product = u128::from(periods) * u128::from(self.hertz);
        u64::try_from(product.div_ceil(u128::from(hertz.max(1)))).unwrap_or(u64::MAX)
    }

    /// Nanoseconds in so many ticks.
    #[must_use]
    pub fn nanoseconds(self, ticks: Ticks) -> u64 {
        self.periods(ticks, 1_000_000_000)
    }
}

fn scale(value: u64, numerator: u64, denominator: u64) -> u64 {
    let product = u128::from(value) * u128::from(numerator);
    u64::try_from(product / u128::from(denominator)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn periods_are_over_when_their_ticks_are() {
        for hertz in [50_000_000, 1_000_000_000, 2_899_999_999] {
            let clock = Clock::new(hertz);
            for periods in [0, 1, 2, 1000, 65_536, 1_193_182, u64::from(u32::MAX)] {
                let ticks = clock.ticks(periods, 1_193_182);
                assert_eq!(clock.periods(ticks, 1_193_182), periods);
                if let Some(before) = ticks.checked_sub(1) {
                    assert_eq!(clock.periods(before, 1_193_182), periods - 1);
                }
            }
        }
    }

    #[test]
    fn no_clock_divides_by_zero() {
        assert_eq!(Clock::new(0).periods(3, 5), 15);
        assert_eq!(Clock::new(1000).nanoseconds(2), 2_000_000);
    }
}
