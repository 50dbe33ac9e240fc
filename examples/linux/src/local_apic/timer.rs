//! The timer: counts down once or periodically, or waits for a time of the time-stamp counter.
//!
//! Intel SDM vol. 3, section 12.5.4, "APIC Timer". Its input is the time-stamp counter.

use crate::clock::{Clock, Ticks};

/// The modes in the timer's entry of the local vector table.
const MODE: u32 = 3 << 17;
const PERIODIC: u32 = 1 << 17;
const DEADLINE: u32 = 2 << 17;

#[derive(Debug)]
pub(super) struct Timer {
    clock: Clock,
    initial: u32,
    divide: u32,
    start: Ticks,
    /// 0 if there is none.
    deadline: Ticks,
    /// How many periods have expired and were taken.
    taken: u64,
}

impl Timer {
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, initial: 0, divide: 0, start: 0, deadline: 0, taken: 0 }
    }

    pub(super) const fn clock(&self) -> Clock {
        self.clock
    }

    pub(super) const fn initial(&self) -> u32 {
        self.initial
    }

    pub(super) const fn divide(&self) -> u32 {
        self.divide
    }

    pub(super) const fn deadline(&self) -> u64 {
        self.deadline
    }

    pub(super) fn set_initial(&mut self, entry: u32, initial: u32, now: Ticks) {
        if entry & MODE != DEADLINE {
            (self.initial, self.start, self.taken) = (initial, now, 0);
        }
    }

    pub(super) fn set_divide(&mut self, value: u32, now: Ticks) {
        self.divide = value & 0xb;
        (self.start, self.taken) = (now, 0);
    }

    pub(super) fn set_deadline(&mut self, entry: u32, deadline: Ticks) {
        if entry & MODE == DEADLINE {
            self.deadline = deadline;
        }
    }

    /// Between the deadline and the other modes, the timer is disarmed.
    pub(super) fn change_mode(&mut self, before: u32, after: u32) {
        if (before & MODE == DEADLINE) != (after & MODE == DEADLINE) {
            (self.initial, self.deadline) = (0, 0);
        }
    }

    pub(super) fn current(&self, entry: u32, now: Ticks) -> u32 {
        if self.initial == 0 || entry & MODE == DEADLINE {
            return 0;
        }
        let elapsed = now.saturating_sub(self.start) >> self.shift();
        let initial = u64::from(self.initial);
        let left = if entry & MODE == PERIODIC { initial - elapsed % initial } else { initial.saturating_sub(elapsed) };
        u32::try_from(left).unwrap_or(0)
    }

    /// When it expires next.
    pub(super) fn expires(&self, entry: u32) -> Option<Ticks> {
        if entry & MODE == DEADLINE {
            return (self.deadline != 0).then_some(self.deadline);
        }
        if self.initial == 0 || entry & MODE != PERIODIC && self.taken > 0 {
            return None;
        }
        let counts = (self.taken + 1).saturating_mul(self.initial.into());
        Some(self.start.saturating_add(counts.saturating_mul(1 << self.shift())))
    }

    /// Whether it has expired since the last call.
    pub(super) fn take_expired(&mut self, entry: u32, now: Ticks) -> bool {
        let Some(expires) = self.expires(entry) else { return false };
        if now < expires {
            return false;
        }
        if entry & MODE == DEADLINE {
            self.deadline = 0;
        } else {
            self.taken = (now.saturating_sub(self.start) >> self.shift()) / u64::from(self.initial.max(1));
        }
        true
    }

    /// The divisor is a power of two: 2 to 128, and 1.
    const fn shift(&self) -> u32 {
        ((self.divide & 3 | self.divide >> 1 & 4) + 1) & 7
    }
}

#[cfg(test)]
mod tests {
    use super::{DEADLINE, PERIODIC, Timer};
    use crate::clock::Clock;

    const ONCE: u32 = 0;

    fn timer() -> Timer {
        Timer::new(Clock::new(1_000_000))
    }

    #[test]
    fn it_counts_down_once() {
        let mut timer = timer();
        timer.set_divide(0b0011, 0);
        timer.set_initial(ONCE, 100, 1000);
        assert_eq!((timer.current(ONCE, 1000), timer.current(ONCE, 1160), timer.current(ONCE, 9000)), (100, 90, 0));
        assert_eq!(timer.expires(ONCE), Some(2600));
        assert!(!timer.take_expired(ONCE, 2599));
        assert!(timer.take_expired(ONCE, 2600));
        assert!(!timer.take_expired(ONCE, 99_999));
        assert_eq!(timer.expires(ONCE), None);
    }

    #[test]
    fn it_counts_periods() {
        let mut timer = timer();
        timer.set_divide(0b1011, 0);
        timer.set_initial(PERIODIC, 100, 50);
        assert!(timer.take_expired(PERIODIC, 150));
        assert!(!timer.take_expired(PERIODIC, 249));
        assert!(timer.take_expired(PERIODIC, 570), "missed ones are one");
        assert_eq!(timer.expires(PERIODIC), Some(650));
        assert_eq!(timer.current(PERIODIC, 575), 75);
        timer.set_initial(PERIODIC, 0, 600);
        assert_eq!(timer.expires(PERIODIC), None);
    }

    #[test]
    fn it_waits_for_a_deadline() {
        let mut timer = timer();
        timer.set_deadline(ONCE, 5);
        assert_eq!(timer.deadline(), 0, "not in this mode");
        timer.set_deadline(DEADLINE, 5);
        timer.set_initial(DEADLINE, 7, 0);
        assert_eq!((timer.initial(), timer.current(DEADLINE, 1)), (0, 0));
        assert!(!timer.take_expired(DEADLINE, 4));
        assert!(timer.take_expired(DEADLINE, 5));
        assert_eq!((timer.deadline(), timer.expires(DEADLINE)), (0, None));
        timer.set_deadline(DEADLINE, 9);
        timer.change_mode(DEADLINE, ONCE);
        assert_eq!(timer.expires(DEADLINE), None);
    }

    #[test]
    fn the_divisors_are_powers_of_two() {
        let mut timer = timer();
        for (value, divisor) in [
            (0b0000, 2),
            (0b0001, 4),
            (0b0010, 8),
            (0b0011, 16),
            (0b1000, 32),
            (0b1001, 64),
            (0b1010, 128),
            (0b1011, 1),
        ] {
            timer.set_divide(value, 0);
            timer.set_initial(ONCE, 10, 0);
            assert_eq!(timer.expires(ONCE), Some(10 * divisor));
        }
    }
}
