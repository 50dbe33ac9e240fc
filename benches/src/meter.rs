//! What is measured of a region of code.

use core::time::Duration;
use std::ffi::CString;
use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

use crate::callgrind;

/// Measures a region of code.
#[derive(Debug)]
pub(crate) enum Meter {
    /// By the clock, without the time in which the processor was given to another program.
    Clock(Duration),
    /// By callgrind, which writes a dump of this name.
    Counter(CString),
}

impl Meter {
    pub(crate) const fn clock() -> Self {
        Self::Clock(Duration::ZERO)
    }

    pub(crate) fn counter(dump: &str) -> Self {
        Self::Counter(CString::new(dump).unwrap_or_default())
    }

    /// Runs `region` and measures it.
    pub(crate) fn measure<R>(&mut self, region: impl FnOnce() -> R) -> R {
        match self {
            Self::Clock(time) => {
                let used = time_used();
                let start = Instant::now();
                let result = region();
                let elapsed = start.elapsed();
                // To ask for what was used takes long, so that this is the smaller one only if there was another program.
                *time = elapsed.min(time_used().saturating_sub(used));
                result
            }
            Self::Counter(dump) => {
                callgrind::start();
                let result = region();
                callgrind::stop(dump);
                result
            }
        }
    }

    /// The time that the region took, where it was timed.
    pub(crate) const fn seconds(&self) -> f64 {
        match self {
            Self::Clock(time) => time.as_secs_f64(),
            Self::Counter(_) => f64::NAN,
        }
    }
}

/// How long this thread has had a processor.
fn time_used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::MAX, Duration::from)
}
