//! What is measured of a region of code.

use core::time::Duration;
use std::ffi::CString;
use std::time::Instant;

use crate::callgrind;

/// Measures a region of code.
#[derive(Debug)]
pub(crate) enum Meter {
    /// By the clock.
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
                let start = Instant::now();
                let result = region();
                *time = start.elapsed();
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
