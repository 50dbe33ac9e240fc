//! The VMX-preemption timer, as a deadline of the time-stamp counter.

use crate::capability::Capabilities;
use crate::control::PinControls;

/// What makes the timer expire at a tick of the processor's time-stamp counter.
///
/// The timer counts down by 1 each time that bit `rate` of the counter changes, so that it expires where the bits from there on have changed
/// so many times.
///
/// Intel SDM vol. 3, sections 28.5.1, "VMX-Preemption Timer", and appendix A.6, "Miscellaneous Data".
///
/// ```
/// use x86_virt_vmx::PreemptionTimer;
///
/// // Of a processor that counts each 2^5 ticks.
/// let timer = PreemptionTimer::new(5);
/// // It goes from 31 to 32, and on to 64 and to 96: three times to 96 or later, four to 97.
/// assert_eq!((timer.value(31, 96), timer.value(31, 97)), (3, 4));
/// assert_eq!(timer.value(97, 96), 0, "the run ends before the first instruction");
/// assert_eq!(timer.value(0, u64::MAX), u32::MAX, "the timer cannot wait so long: it is armed again");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct PreemptionTimer {
    rate: u8,
}

impl PreemptionTimer {
    /// The timer that counts each 2^`rate` ticks: bits 4:0 of IA32_VMX_MISC.
    #[must_use]
    pub const fn new(rate: u8) -> Self {
        Self { rate: rate & 0x1f }
    }

    /// That of a processor, if it has one.
    #[must_use]
    pub fn of(capabilities: &Capabilities) -> Option<Self> {
        capabilities
            .pin()
            .may_be_one()
            .contains(PinControls::ACTIVATE_PREEMPTION_TIMER)
            .then(|| Self::new(capabilities.misc().preemption_timer_rate()))
    }

    /// The value with which it expires at the tick `deadline` of the processor's counter, or less than 2^rate ticks later, if an entry loads
    /// it at the tick `now`. An entry that comes later makes it later by as much, never earlier.
    #[must_use]
    pub const fn value(self, now: u64, deadline: u64) -> u32 {
        if deadline <= now {
            return 0;
        }
        // The first change of the bit that is not before the deadline.
        let last = (deadline - 1) >> self.rate;
        let [a, b, c, d, above @ ..] = (last - (now >> self.rate)).saturating_add(1).to_le_bytes();
        if u32::from_le_bytes(above) == 0 { u32::from_le_bytes([a, b, c, d]) } else { u32::MAX }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PreemptionTimer;
    use crate::capability::{Capabilities, RawCapabilities};

    #[test]
    fn the_rate_is_that_of_the_processor() {
        let raw = RawCapabilities { pin: 1 << 38, misc: 0x7004_c1e7, ..RawCapabilities::NONE };
        assert_eq!(PreemptionTimer::of(&Capabilities::from_raw(raw)), Some(PreemptionTimer::new(7)));
        let without = RawCapabilities { pin: 0, ..raw };
        assert_eq!(PreemptionTimer::of(&Capabilities::from_raw(without)), None);
    }

    #[test]
    fn values_of_more_than_32_bits_are_the_largest() {
        let timer = PreemptionTimer::new(0);
        assert_eq!(timer.value(5, 5 + u64::from(u32::MAX)), u32::MAX);
        assert_eq!(timer.value(5, 6 + u64::from(u32::MAX)), u32::MAX);
        assert_eq!(timer.value(5, 4 + u64::from(u32::MAX)), u32::MAX - 1);
        assert_eq!(timer.value(u64::MAX, u64::MAX), 0);
        assert_eq!(PreemptionTimer::new(31).value(0, u64::MAX), u32::MAX);
    }

    proptest! {
        #[test]
        fn it_expires_at_the_first_step_that_is_not_before(rate in 0_u8..32, now in 0..1_u64 << 62, ticks in 1_u64..1 << 40) {
            let value = u64::from(PreemptionTimer::new(rate).value(now, now + ticks));
            prop_assume!(value != u64::from(u32::MAX));
            // A processor's timer expires when the bits from `rate` on have changed so many times.
            let expires = ((now >> rate) + value) << rate;
            prop_assert!(expires >= now + ticks && expires - (now + ticks) < 1 << rate, "{expires:#x}");
        }
    }
}
