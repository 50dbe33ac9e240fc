//! Exceptions in the delivery of other events.

use super::{Event, Exception};

/// How an exception goes together with another one.
///
/// Intel SDM vol. 3, section 7.15, "Exception and Interrupt Reference" (interrupt 8, table "Interrupt and Exception Classes"); AMD
/// APM vol. 2, section 8.2.9, "#DF - Double-Fault Exception (Vector 8)".
///
/// ```
/// use x86_virt_core::{Event, Exception, ExceptionClass};
///
/// assert_eq!(ExceptionClass::of(Event::Interrupt(14)), ExceptionClass::Benign);
/// assert_eq!(ExceptionClass::of(Event::Exception(Exception::page_fault(0))), ExceptionClass::PageFault);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum ExceptionClass {
    /// Handled one after the other, with any other. So are interrupts.
    Benign,
    /// #DE, #TS, #NP, #SS, #GP and #CP.
    Contributory,
    /// #PF and #VE.
    PageFault,
    /// #DF.
    DoubleFault,
}

impl ExceptionClass {
    /// The class of an event.
    #[must_use]
    pub const fn of(event: Event) -> Self {
        match event {
            Event::Exception(Exception { vector, .. }) => match vector {
                0 | 10..=13 | 21 => Self::Contributory,
                14 | 20 => Self::PageFault,
                8 => Self::DoubleFault,
                _ => Self::Benign,
            },
            _ => Self::Benign,
        }
    }
}

/// What becomes of an exception in the delivery of another event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Merged {
    /// It is delivered. The first event is given up: its instruction raises it again, and an interrupt is lost, as on a processor.
    Serially,
    /// A double fault is.
    DoubleFault,
    /// The processor shuts down.
    Shutdown,
}

impl Merged {
    /// What `second` becomes in the delivery of `first`.
    ///
    /// Intel SDM vol. 3, section 7.15 (interrupt 8, table "Conditions for Generating a Double Fault").
    pub(super) const fn of(first: Event, second: Exception) -> Self {
        use ExceptionClass::{Benign, Contributory, DoubleFault, PageFault};
        match (ExceptionClass::of(first), ExceptionClass::of(Event::Exception(second))) {
            (DoubleFault, Contributory | PageFault | DoubleFault) => Self::Shutdown,
            (Contributory, Contributory) | (PageFault, Contributory | PageFault) => Self::DoubleFault,
            // A #DF that follows is one that the processor has made of both.
            (Benign, _) | (_, Benign) | (Contributory, PageFault) | (_, DoubleFault) => Self::Serially,
        }
    }
}
