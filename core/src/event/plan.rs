//! What one entry does about events.

use super::Event;

/// Moments for which a run ends, or which it looks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Windows {
    /// When the guest takes interrupts.
    pub interrupt: bool,
    /// When the guest takes NMIs.
    pub nmi: bool,
}

impl Windows {
    /// Neither.
    pub const NONE: Self = Self { interrupt: false, nmi: false };

    /// Whether it is neither.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.interrupt && !self.nmi
    }
}

/// What the next entry does about events; see [`Events::plan`](super::Events::plan).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// What it delivers.
    pub deliver: Option<Event>,
    /// With a #DB: the conditions that DR6 gets.
    pub debug_conditions: u64,
    /// When the run shall end, at the latest, for what still waits or for the caller.
    pub windows: Windows,
    /// An interrupt waits until the task priority is below this class. CR8 that is written without an exit must end the run then.
    pub below_class: Option<u8>,
    pub(super) source: Source,
}

/// Where what is delivered comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Source {
    /// There is nothing.
    Nowhere,
    /// What was injected, or an exit interrupted.
    Next,
    /// A debug exception.
    Debug,
    /// The request for an NMI.
    Nmi,
    /// The request for an interrupt.
    Interrupt,
}

impl Plan {
    /// Nothing.
    pub const NONE: Self =
        Self { deliver: None, debug_conditions: 0, windows: Windows::NONE, below_class: None, source: Source::Nowhere };
}
