//! Events: what a hypervisor injects, and what an exit interrupted.

mod engine;
mod merge;
mod plan;
mod request;

#[cfg(test)]
mod tests;

pub use engine::Events;
pub use merge::ExceptionClass;
pub use plan::{Plan, Windows};
pub use request::{GlobalInterrupts, InterruptRequest};

/// An exception with its error code.
///
/// Intel SDM vol. 3, section 7.15, "Exception and Interrupt Reference".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Exception {
    /// The vector, 0 to 31.
    pub vector: u8,
    /// The error code, for the exceptions that push one.
    pub error_code: Option<u32>,
}

impl Exception {
    /// #DB.
    pub const DEBUG: Self = Self::without_code(1);
    /// #BP.
    pub const BREAKPOINT: Self = Self::without_code(3);
    /// #UD.
    pub const INVALID_OPCODE: Self = Self::without_code(6);
    /// #DF, whose error code is always 0.
    pub const DOUBLE_FAULT: Self = Self { vector: 8, error_code: Some(0) };

    /// #GP with `error_code`.
    #[must_use]
    pub const fn general_protection(error_code: u32) -> Self {
        Self { vector: 13, error_code: Some(error_code) }
    }

    /// #PF with `error_code`; the faulting address goes into CR2 separately.
    #[must_use]
    pub const fn page_fault(error_code: u32) -> Self {
        Self { vector: 14, error_code: Some(error_code) }
    }

    const fn without_code(vector: u8) -> Self {
        Self { vector, error_code: None }
    }

    /// Whether exceptions of this vector push an error code in protected mode.
    ///
    /// #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP, #VC and #SX do.
    #[must_use]
    pub const fn pushes_error_code(vector: u8) -> bool {
        matches!(vector, 8 | 10..=14 | 17 | 21 | 29 | 30)
    }
}

/// What can be delivered through the guest's IDT at a VM entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Event {
    /// An exception.
    Exception(Exception),
    /// An external interrupt with its vector.
    Interrupt(u8),
    /// A non-maskable interrupt.
    Nmi,
    /// A software interrupt (`INT n`) that an exit interrupted.
    SoftwareInterrupt {
        /// The vector.
        vector: u8,
        /// Length of the instruction in bytes, which delivery adds to RIP.
        length: u8,
    },
    /// A software exception (`INT3`, `INTO`) that an exit interrupted.
    SoftwareException {
        /// The vector.
        vector: u8,
        /// Length of the instruction in bytes, which delivery adds to RIP.
        length: u8,
    },
    /// The privileged software exception (`INT1`) that an exit interrupted. On SVM it is reported as a #DB.
    PrivilegedSoftwareException {
        /// Length of the instruction in bytes, which delivery adds to RIP.
        length: u8,
    },
}

/// What keeps events from a guest.
///
/// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State" (interruptibility state); AMD APM vol. 2, section 15.21.5,
/// "Interrupt Shadows".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Interruptibility {
    /// RFLAGS.IF.
    pub interrupts_enabled: bool,
    /// The instruction before was STI, MOV SS or POP SS.
    pub shadow: bool,
    /// An NMI is being handled: its handler has not executed IRET.
    pub nmi_blocked: bool,
    /// The global interrupt flag is 0: [`GlobalInterrupts::Disabled`].
    pub gif_clear: bool,
    /// A debug exception of the instruction before is pending: the processor delivers it first.
    pub debug_pending: bool,
    /// CR8, the task priority. It keeps interrupts of the local APIC away that are not above it.
    pub task_priority: u8,
}

/// Why an event cannot be injected now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum InjectError {
    /// Another event is waiting for the next entry.
    #[error("{0:?} is already waiting for the next entry")]
    Pending(Event),
    /// The guest does not take such an event now.
    #[error("the guest does not take {event:?} now: {state:?}")]
    Blocked {
        /// The event.
        event: Event,
        /// What blocks it.
        state: Interruptibility,
    },
    /// The processor cannot deliver such an event.
    #[error("no such event: {0:?}")]
    Invalid(Event),
}

impl Event {
    /// Whether a processor can deliver the event in `protected_mode`, where exceptions push error codes.
    ///
    /// # Errors
    ///
    /// [`InjectError::Invalid`] for an exception above vector 31 or with vector 2, or with an error code where there is
    /// none or none where there is one.
    pub const fn validate(self, protected_mode: bool) -> Result<(), InjectError> {
        if let Self::Exception(exception) = self {
            let expected = protected_mode && Exception::pushes_error_code(exception.vector);
            if exception.vector > 31 || exception.vector == 2 || expected != exception.error_code.is_some() {
                return Err(InjectError::Invalid(self));
            }
        }
        Ok(())
    }

    /// Whether a guest in `state` takes the event.
    ///
    /// # Errors
    ///
    /// [`InjectError::Blocked`] for an interrupt while RFLAGS.IF is 0, for an NMI while another is being handled, and for both in
    /// a shadow, while the global interrupt flag is 0, and behind a debug exception that is pending. The task priority is not
    /// looked at: an interrupt of an 8259A does not depend on it.
    pub const fn admit(self, state: Interruptibility) -> Result<(), InjectError> {
        let held = state.shadow || state.gif_clear || state.debug_pending;
        let blocked = match self {
            Self::Interrupt(_) => !state.interrupts_enabled || held,
            Self::Nmi => state.nmi_blocked || held,
            Self::Exception(_)
            | Self::SoftwareInterrupt { .. }
            | Self::SoftwareException { .. }
            | Self::PrivilegedSoftwareException { .. } => false,
        };
        if blocked { Err(InjectError::Blocked { event: self, state }) } else { Ok(()) }
    }
}
