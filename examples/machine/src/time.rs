//! How fast the clocks of a processor go.

use crate::{apic, pit, tsc};

/// The speeds of the calling processor's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Speeds {
    tsc: u64,
    apic: u64,
}

impl Speeds {
    /// Measures them with the PC's timer, for ten milliseconds. Nobody else may use that timer meanwhile, nor that of the
    /// processor's APIC.
    pub fn measure() -> Self {
        let ticks = 11_932;
        apic::start_count();
        let (tsc_before, apic_before) = (tsc(), apic::count());
        pit::wait(ticks);
        let (tsc_after, apic_after) = (tsc(), apic::count());
        apic::stop_timer();
        let a_second = |count: u64| count.saturating_mul(pit::HERTZ) / u64::from(ticks);
        Self {
            tsc: a_second(tsc_after.wrapping_sub(tsc_before)),
            apic: a_second(apic_after.wrapping_sub(apic_before).into()),
        }
    }

    /// Ticks of the time-stamp counter in a second.
    pub const fn tsc_hertz(self) -> u64 {
        self.tsc
    }

    /// Ticks of the APIC's timer in a second.
    pub const fn apic_hertz(self) -> u64 {
        self.apic
    }
}
