//! Event injection: EVENTINJ, and EXITINTINFO which has the same form.

use x86_virt_core::{Event, Exception, codes, register};

codes! {
    /// The type of an event.
    ///
    /// AMD APM vol. 2, section 15.20, "Event Injection".
    ///
    /// ```
    /// use x86_virt_svm::vmcb::EventType;
    ///
    /// assert_eq!(EventType::EXCEPTION.into_bits(), 3);
    /// ```
    pub struct EventType(u8 & 7) {
        /// External or virtual interrupt.
        INTERRUPT = 0 aka "SVM_EVTINJ_TYPE_INTR" "SVM_EXITINTINFO_TYPE_INTR";
        /// NMI.
        NMI = 2 aka "SVM_EVTINJ_TYPE_NMI" "SVM_EXITINTINFO_TYPE_NMI";
        /// Exception: fault or trap, also of INT3 and INTO.
        EXCEPTION = 3 aka "SVM_EVTINJ_TYPE_EXEPT" "SVM_EXITINTINFO_TYPE_EXEPT";
        /// Software interrupt: `INT n`.
        SOFTWARE_INTERRUPT = 4 aka "SVM_EVTINJ_TYPE_SOFT" "SVM_EXITINTINFO_TYPE_SOFT";
    }
}

register! {
    /// An event to deliver at VMRUN, or one whose delivery an exit interrupted.
    ///
    /// AMD APM vol. 2, section 15.20, "Event Injection", and section 15.7.2, "Intercepts During IDT Interrupt Delivery".
    ///
    /// ```
    /// use x86_virt_core::{Event, Exception};
    /// use x86_virt_svm::vmcb::EventInjection;
    ///
    /// let event = Event::Exception(Exception::general_protection(0x10));
    /// assert_eq!(EventInjection::try_from(event)?.into_bits(), 0x10_8000_0b0d);
    /// # Ok::<(), x86_virt_core::InjectError>(())
    /// ```
    pub struct EventInjection(u64) {
        /// Vector.
        #[doc(alias = "SVM_EVTINJ_VEC_MASK")]
        #[doc(alias = "SVM_EXITINTINFO_VEC_MASK")]
        pub vector: u8,
        /// Type.
        #[doc(alias = "SVM_EVTINJ_TYPE_MASK")]
        #[doc(alias = "SVM_EXITINTINFO_TYPE_MASK")]
        #[bits(3)]
        pub event_type: EventType,
        /// EV: the event pushes an error code.
        #[doc(alias = "SVM_EVTINJ_VALID_ERR")]
        #[doc(alias = "SVM_EXITINTINFO_VALID_ERR")]
        pub ev: bool,
        #[bits(19)]
        _reserved12: u32,
        /// V: there is an event.
        #[doc(alias = "SVM_EVTINJ_VALID")]
        #[doc(alias = "SVM_EXITINTINFO_VALID")]
        pub v: bool,
        /// The error code.
        pub error_code: u32,
    }
}

/// Lengths of `INT n`, and of INT3 and INTO, without prefixes.
const INT_N: u8 = 2;
const INT3: u8 = 1;

impl TryFrom<Event> for EventInjection {
    type Error = x86_virt_core::InjectError;

    fn try_from(event: Event) -> Result<Self, Self::Error> {
        let (event_type, vector, error_code) = match event {
            Event::Interrupt(vector) => (EventType::INTERRUPT, vector, None),
            Event::Nmi => (EventType::NMI, 2, None),
            Event::Exception(exception) => (EventType::EXCEPTION, exception.vector, exception.error_code),
            Event::SoftwareInterrupt { vector, .. } => (EventType::SOFTWARE_INTERRUPT, vector, None),
            Event::SoftwareException { vector, .. } => (EventType::EXCEPTION, vector, None),
            Event::PrivilegedSoftwareException { .. } => (EventType::EXCEPTION, Exception::DEBUG.vector, None),
            _ => return Err(x86_virt_core::InjectError::Invalid(event)),
        };
        Ok(Self::new()
            .with_vector(vector)
            .with_event_type(event_type)
            .with_ev(error_code.is_some())
            .with_error_code(error_code.unwrap_or(0))
            .with_v(true))
    }
}

impl EventInjection {
    /// The event, if there is one.
    ///
    /// The processor does not say how long the instruction of a software event is: it is taken to have no prefixes.
    #[must_use]
    pub fn event(self) -> Option<Event> {
        if !self.v() {
            return None;
        }
        let vector = self.vector();
        Some(match self.event_type() {
            EventType::INTERRUPT => Event::Interrupt(vector),
            EventType::NMI => Event::Nmi,
            // Only INT3 raises #BP and only INTO raises #OF.
            EventType::EXCEPTION if matches!(vector, 3 | 4) => Event::SoftwareException { vector, length: INT3 },
            EventType::EXCEPTION => {
                Event::Exception(Exception { vector, error_code: self.ev().then_some(self.error_code()) })
            }
            EventType::SOFTWARE_INTERRUPT => Event::SoftwareInterrupt { vector, length: INT_N },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Event, Exception};

    use super::EventInjection;

    #[test]
    fn events_have_the_bits_of_the_manual_and_come_back() {
        for (event, bits) in [
            (Event::Interrupt(0x20), 0x8000_0020),
            (Event::Nmi, 0x8000_0202),
            (Event::Exception(Exception::INVALID_OPCODE), 0x8000_0306),
            (Event::Exception(Exception::page_fault(6)), 0x6_8000_0b0e),
            (Event::SoftwareException { vector: 3, length: 1 }, 0x8000_0303),
            (Event::SoftwareInterrupt { vector: 0x80, length: 2 }, 0x8000_0480),
        ] {
            let injection = EventInjection::try_from(event).unwrap();
            assert_eq!(injection.into_bits(), bits);
            assert_eq!(injection.event(), Some(event));
        }
        assert_eq!(EventInjection::from_bits(0x0306).event(), None);
        assert_eq!(EventInjection::from_bits(0x8000_0720).event(), None);
    }
}
