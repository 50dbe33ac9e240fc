//! Events: what a hypervisor injects, and what an exit interrupted.

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
    /// [`InjectError::Blocked`] for an interrupt while RFLAGS.IF is 0 or in a shadow, and for an NMI in a shadow or while
    /// another is being handled.
    pub const fn admit(self, state: Interruptibility) -> Result<(), InjectError> {
        let blocked = match self {
            Self::Interrupt(_) => !state.interrupts_enabled || state.shadow,
            Self::Nmi => state.nmi_blocked || state.shadow,
            Self::Exception(_) | Self::SoftwareInterrupt { .. } | Self::SoftwareException { .. } => false,
        };
        if blocked { Err(InjectError::Blocked { event: self, state }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, Exception, InjectError, Interruptibility};

    #[test]
    fn only_exceptions_with_a_code_have_one() {
        let protected = true;
        for vector in 0..=255 {
            let code = (Exception::pushes_error_code(vector) && vector < 32).then_some(0);
            let event = Event::Exception(Exception { vector, error_code: code });
            assert_eq!(event.validate(protected).is_ok(), vector < 32 && vector != 2, "vector {vector}");
        }
        let wrong = Event::Exception(Exception { vector: 6, error_code: Some(0) });
        assert_eq!(wrong.validate(protected), Err(InjectError::Invalid(wrong)));
        let missing = Event::Exception(Exception { vector: 13, error_code: None });
        assert_eq!(missing.validate(protected), Err(InjectError::Invalid(missing)));
        assert_eq!(missing.validate(!protected), Ok(()));
    }

    #[test]
    fn interrupts_need_if_and_no_shadow_and_nmis_no_nmi() {
        let open = Interruptibility { interrupts_enabled: true, ..Interruptibility::default() };
        assert!(Event::Interrupt(32).admit(open).is_ok());
        assert!(Event::Interrupt(32).admit(Interruptibility { shadow: true, ..open }).is_err());
        assert!(Event::Interrupt(32).admit(Interruptibility::default()).is_err());
        assert!(Event::Nmi.admit(Interruptibility::default()).is_ok());
        assert!(Event::Nmi.admit(Interruptibility { nmi_blocked: true, ..open }).is_err());
        assert!(Event::Exception(Exception::INVALID_OPCODE).admit(Interruptibility::default()).is_ok());
    }
}
