//! Interruption information: events that an exit reports or an entry injects.

use x86_virt_core::{Event, Exception, TableRow, code_rows, codes, register, register_rows};

codes! {
    /// Type of an event in the interruption-information fields.
    ///
    /// Intel SDM vol. 3, section 27.8.3, "VM-Entry Controls for Event Injection".
    pub struct EventType(u8 & 7) {
        /// External interrupt.
        EXTERNAL_INTERRUPT = 0 aka "EVENT_TYPE_EXTINT" "INTR_TYPE_EXT_INTR";
        /// Non-maskable interrupt.
        NMI = 2 aka "EVENT_TYPE_NMI" "INTR_TYPE_NMI_INTR";
        /// Hardware exception.
        HARDWARE_EXCEPTION = 3 aka "EVENT_TYPE_HWEXC" "INTR_TYPE_HARD_EXCEPTION";
        /// Software interrupt: `INT n`.
        SOFTWARE_INTERRUPT = 4 aka "EVENT_TYPE_SWINT" "INTR_TYPE_SOFT_INTR";
        /// Privileged software exception: `INT1`.
        PRIVILEGED_SOFTWARE_EXCEPTION = 5 aka "EVENT_TYPE_PRIV_SWEXC" "INTR_TYPE_PRIV_SW_EXCEPTION";
        /// Software exception: `INT3` or `INTO`.
        SOFTWARE_EXCEPTION = 6 aka "EVENT_TYPE_SWEXC" "INTR_TYPE_SOFT_EXCEPTION";
        /// Other event: a pending monitor-trap exit; with FRED, also SYSCALL (vector 1) and SYSENTER (vector 2).
        OTHER = 7 aka "EVENT_TYPE_OTHER" "INTR_TYPE_OTHER_EVENT";
    }
}

register! {
    /// VM-entry interruption information.
    ///
    /// Intel SDM vol. 3, section 27.8.3, "VM-Entry Controls for Event Injection".
    pub struct EntryInterruption(u32) {
        /// Vector.
        #[doc(alias = "INTR_INFO_VECTOR_MASK")]
        pub vector: u8,
        /// Type.
        #[doc(alias = "INTR_INFO_INTR_TYPE_MASK")]
        #[bits(3)]
        pub event_type: EventType,
        /// The event pushes an error code.
        #[doc(alias = "INTR_INFO_DELIVER_CODE_MASK")]
        pub deliver_error_code: bool,
        _reserved12: bool,
        /// The exception is nested: it happened in the delivery of another event. Needs bit 58 of IA32_VMX_BASIC.
        pub nested_exception: bool,
        #[bits(17)]
        _reserved14: u32,
        /// The entry injects the event.
        #[doc(alias = "INTR_INFO_VALID_MASK")]
        pub valid: bool,
    }
}

register! {
    /// VM-exit interruption information.
    ///
    /// Intel SDM vol. 3, section 27.9.2, "Information for VM Exits Due to Vectored Events".
    pub struct VmExitInterruption(u32) {
        /// Vector.
        #[doc(alias = "INTR_INFO_VECTOR_MASK")]
        pub vector: u8,
        /// Type.
        #[doc(alias = "INTR_INFO_INTR_TYPE_MASK")]
        #[bits(3)]
        pub event_type: EventType,
        /// There is an error code.
        #[doc(alias = "INTR_INFO_DELIVER_CODE_MASK")]
        pub error_code_valid: bool,
        /// The exit happened in IRET, which had ended the blocking of NMIs.
        #[doc(alias = "INTR_INFO_UNBLOCK_NMI")]
        pub nmi_unblocking_due_to_iret: bool,
        /// The exception is nested: it happened in the delivery of another event. Needs FRED.
        pub nested_exception: bool,
        #[bits(17)]
        _reserved14: u32,
        /// The information is valid.
        #[doc(alias = "INTR_INFO_VALID_MASK")]
        pub valid: bool,
    }
}

register! {
    /// IDT-vectoring information.
    ///
    /// Intel SDM vol. 3, section 27.9.3, "Information for VM Exits That Occur During Event Delivery".
    pub struct IdtVectoring(u32) {
        /// Vector.
        #[doc(alias = "VECTORING_INFO_VECTOR_MASK")]
        pub vector: u8,
        /// Type.
        #[doc(alias = "VECTORING_INFO_TYPE_MASK")]
        #[bits(3)]
        pub event_type: EventType,
        /// There is an error code.
        #[doc(alias = "VECTORING_INFO_DELIVER_CODE_MASK")]
        pub error_code_valid: bool,
        _undefined12: bool,
        /// The exception is nested: it happened in the delivery of another event. Needs FRED.
        pub nested_exception: bool,
        #[bits(17)]
        _reserved14: u32,
        /// The exit interrupted the delivery of an event.
        #[doc(alias = "VECTORING_INFO_VALID_MASK")]
        pub valid: bool,
    }
}

register! {
    /// What blocks interrupts.
    ///
    /// Intel SDM vol. 3, section 27.4.2, "Guest Non-Register State" (table "Format of Interruptibility State").
    pub struct InterruptibilityState(u32) {
        /// STI was the instruction before.
        #[doc(alias = "GUEST_INTR_STATE_STI")]
        pub blocking_by_sti: bool,
        /// MOV SS or POP SS was the instruction before.
        #[doc(alias = "GUEST_INTR_STATE_MOV_SS")]
        pub blocking_by_mov_ss: bool,
        /// SMIs are blocked.
        #[doc(alias = "GUEST_INTR_STATE_SMI")]
        pub blocking_by_smi: bool,
        /// NMIs are blocked.
        #[doc(alias = "GUEST_INTR_STATE_NMI")]
        pub blocking_by_nmi: bool,
        /// The exit interrupted an enclave.
        #[doc(alias = "GUEST_INTR_STATE_ENCLAVE_INTR")]
        pub enclave_interruption: bool,
        #[bits(27)]
        _reserved5: u32,
    }
}

/// What a VM entry needs to inject an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Injection {
    pub(crate) information: EntryInterruption,
    pub(crate) error_code: u32,
    pub(crate) length: u32,
}

impl Injection {
    /// The encoding of `event`. `None` for an event that this version does not know.
    pub(crate) fn of(event: Event) -> Option<Self> {
        let (event_type, vector, error_code, length) = match event {
            Event::Exception(Exception { vector, error_code }) => {
                (EventType::HARDWARE_EXCEPTION, vector, error_code, 0)
            }
            Event::Interrupt(vector) => (EventType::EXTERNAL_INTERRUPT, vector, None, 0),
            Event::Nmi => (EventType::NMI, 2, None, 0),
            Event::SoftwareInterrupt { vector, length } => (EventType::SOFTWARE_INTERRUPT, vector, None, length),
            Event::SoftwareException { vector, length } => (EventType::SOFTWARE_EXCEPTION, vector, None, length),
            Event::PrivilegedSoftwareException { length } => {
                (EventType::PRIVILEGED_SOFTWARE_EXCEPTION, Exception::DEBUG.vector, None, length)
            }
            _ => return None,
        };
        let information = EntryInterruption::new()
            .with_vector(vector)
            .with_event_type(event_type)
            .with_deliver_error_code(error_code.is_some())
            .with_valid(true);
        Some(Self { information, error_code: error_code.unwrap_or(0), length: u32::from(length) })
    }
}

impl IdtVectoring {
    /// The event whose delivery was interrupted. `error_code` and `length` are the fields beside, read only where needed.
    pub(crate) fn event(self, error_code: impl FnOnce() -> u32, length: impl FnOnce() -> u32) -> Option<Event> {
        if !self.valid() {
            return None;
        }
        let vector = self.vector();
        Some(match self.event_type() {
            EventType::EXTERNAL_INTERRUPT => Event::Interrupt(vector),
            EventType::NMI => Event::Nmi,
            EventType::HARDWARE_EXCEPTION => {
                Event::Exception(Exception { vector, error_code: self.error_code_valid().then(error_code) })
            }
            EventType::SOFTWARE_INTERRUPT => Event::SoftwareInterrupt { vector, length: byte(length()) },
            EventType::SOFTWARE_EXCEPTION => Event::SoftwareException { vector, length: byte(length()) },
            EventType::PRIVILEGED_SOFTWARE_EXCEPTION => Event::PrivilegedSoftwareException { length: byte(length()) },
            _ => return None,
        })
    }
}

const fn byte(value: u32) -> u8 {
    let [low, ..] = value.to_le_bytes();
    low
}

/// Visits the rows of events.
pub(crate) fn event_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    code_rows("vmx_event_type", "", EventType::ALL, visit);
    register_rows::<EntryInterruption>("vmx_entry_interruption", "", visit);
    register_rows::<VmExitInterruption>("vmx_exit_interruption", "", visit);
    register_rows::<IdtVectoring>("vmx_idt_vectoring", "", visit);
    register_rows::<InterruptibilityState>("vmx_interruptibility_state", "", visit);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use x86_virt_core::{Event, Exception};

    use super::{EntryInterruption, EventType, IdtVectoring, Injection, InterruptibilityState, VmExitInterruption};

    #[test]
    fn events_are_encoded_as_in_the_manual() {
        let general_protection = Injection::of(Event::Exception(Exception::general_protection(0x18))).unwrap();
        assert_eq!(general_protection.information.into_bits(), 0x8000_0b0d);
        assert_eq!(general_protection.error_code, 0x18);
        assert_eq!(Injection::of(Event::Interrupt(0x40)).unwrap().information.into_bits(), 0x8000_0040);
        assert_eq!(Injection::of(Event::Nmi).unwrap().information.into_bits(), 0x8000_0202);
        let software = Injection::of(Event::SoftwareInterrupt { vector: 0x80, length: 2 }).unwrap();
        assert_eq!((software.information.into_bits(), software.length), (0x8000_0480, 2));
    }

    #[test]
    fn an_interrupted_event_comes_back_as_it_was() {
        for event in [
            Event::Exception(Exception::general_protection(0x18)),
            Event::Exception(Exception::INVALID_OPCODE),
            Event::Exception(Exception::BREAKPOINT),
            Event::Interrupt(0x40),
            Event::Nmi,
            Event::SoftwareInterrupt { vector: 0x80, length: 2 },
            Event::SoftwareException { vector: 3, length: 1 },
            Event::PrivilegedSoftwareException { length: 1 },
        ] {
            let injection = Injection::of(event).unwrap();
            let vectoring = IdtVectoring::from_bits(injection.information.into_bits());
            assert_eq!(vectoring.event(|| injection.error_code, || injection.length), Some(event));
        }
        assert_eq!(IdtVectoring::from_bits(0x202).event(|| 0, || 0), None, "not valid");
    }

    #[test]
    fn bit_13_tells_a_nested_exception() {
        assert_eq!(EntryInterruption::new().with_nested_exception(true).into_bits(), 1 << 13);
        assert_eq!(VmExitInterruption::new().with_nested_exception(true).into_bits(), 1 << 13);
        assert_eq!(VmExitInterruption::new().with_nmi_unblocking_due_to_iret(true).into_bits(), 1 << 12);
        assert_eq!(IdtVectoring::new().with_nested_exception(true).into_bits(), 1 << 13);
        assert_eq!(IdtVectoring::from_bits(0x7fff_d000).with_nested_exception(false).into_bits(), 0x7fff_d000);
    }

    proptest! {
        #[test]
        fn every_bit_is_kept(bits in any::<u32>()) {
            assert_eq!(EntryInterruption::from_bits(bits).into_bits(), bits);
            assert_eq!(VmExitInterruption::from_bits(bits).into_bits(), bits);
            assert_eq!(IdtVectoring::from_bits(bits).into_bits(), bits);
            assert_eq!(InterruptibilityState::from_bits(bits).into_bits(), bits);
        }
    }

    #[test]
    fn exit_information_tells_an_nmi() {
        let information = VmExitInterruption::from_bits(0x8000_0202);
        assert!(information.valid() && information.event_type() == EventType::NMI);
    }
}
