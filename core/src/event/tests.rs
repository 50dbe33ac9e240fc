use super::plan::Source;
use super::{
    Event, Events, Exception, ExceptionClass, GlobalInterrupts, InjectError, InterruptRequest, Interruptibility, Plan,
    Windows,
};

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

const OPEN: Interruptibility = Interruptibility {
    interrupts_enabled: true,
    shadow: false,
    nmi_blocked: false,
    gif_clear: false,
    debug_pending: false,
    task_priority: 0,
};
const NO_WINDOW: Windows = Windows::NONE;
const INTERRUPT_WINDOW: Windows = Windows { interrupt: true, nmi: false };
const NMI_WINDOW: Windows = Windows { interrupt: false, nmi: true };

fn exception(vector: u8) -> Exception {
    Exception { vector, error_code: Exception::pushes_error_code(vector).then_some(0) }
}

/// The table of the manual, by vectors: what the second exception becomes in the delivery of the first.
#[test]
fn exceptions_are_merged_as_in_the_manual() {
    use ExceptionClass::{Benign, Contributory, DoubleFault, PageFault};
    let benign = [1, 3, 4, 5, 6, 7, 9, 15, 16, 17, 18, 19, 22, 28, 29, 30, 31];
    let contributory = [0, 10, 11, 12, 13, 21];
    let page_faults = [14, 20];
    for (class, vectors) in
        [(Benign, &benign[..]), (Contributory, &contributory), (PageFault, &page_faults), (DoubleFault, &[8])]
    {
        for vector in vectors {
            assert_eq!(ExceptionClass::of(Event::Exception(exception(*vector))), class, "{vector}");
        }
    }
    let all = || (0..32).filter(|vector| *vector != 2).map(exception);
    for (first, second) in all().flat_map(|first| all().map(move |second| (first, second))) {
        let mut events = Events::new();
        events.interrupted(Event::Exception(first));
        events.raise(second, true).unwrap();
        let is = |list: &[u8], exception: Exception| list.contains(&exception.vector);
        let faults = is(&contributory, second) || is(&page_faults, second);
        let expected = if first.vector == 8 && (faults || second.vector == 8) {
            None
        } else if is(&contributory, first) && is(&contributory, second) || is(&page_faults, first) && faults {
            Some(Exception::DOUBLE_FAULT)
        } else {
            Some(second)
        };
        assert_eq!(events.pending(), expected.map(Event::Exception), "{first:?}, then {second:?}");
        assert_eq!(events.take_shutdown(), expected.is_none());
        assert_eq!(events.is_due(), expected.is_some());
    }
}

#[test]
fn what_is_no_exception_gives_way() {
    for first in [
        Event::Interrupt(14),
        Event::Nmi,
        Event::SoftwareInterrupt { vector: 13, length: 2 },
        Event::SoftwareException { vector: 3, length: 1 },
        Event::PrivilegedSoftwareException { length: 1 },
    ] {
        let mut events = Events::new();
        events.interrupted(first);
        events.raise(Exception::page_fault(2), true).unwrap();
        assert_eq!(events.pending(), Some(Event::Exception(Exception::page_fault(2))), "{first:?}");
    }
}

#[test]
fn a_double_fault_has_no_code_in_real_mode_and_is_not_merged_before_it_is_delivered() {
    let general_protection = Exception { vector: 13, error_code: None };
    let double_fault = Event::Exception(Exception { vector: 8, error_code: None });
    let mut events = Events::new();
    events.interrupted(Event::Exception(general_protection));
    events.raise(general_protection, false).unwrap();
    assert_eq!(events.pending(), Some(double_fault));
    assert_eq!(events.raise(general_protection, false), Err(InjectError::Pending(double_fault)));
    let plan = events.plan(OPEN);
    events.entered(&plan);
    events.interrupted(double_fault);
    events.raise(general_protection, false).unwrap();
    assert_eq!((events.pending(), events.take_shutdown(), events.is_due()), (None, true, false));
}

#[test]
fn one_event_an_entry_in_the_order_of_the_manual() {
    let mut events = Events::new();
    events.request_interrupt(InterruptRequest::fixed(0x51));
    events.request_nmi();
    events.raise_debug(1 << 14);
    events.inject(Event::Exception(Exception::INVALID_OPCODE)).unwrap();
    for (deliver, source, windows) in [
        (Event::Exception(Exception::INVALID_OPCODE), Source::Next, Windows { interrupt: true, nmi: true }),
        (Event::Exception(Exception::DEBUG), Source::Debug, Windows { interrupt: true, nmi: true }),
        (Event::Nmi, Source::Nmi, INTERRUPT_WINDOW),
        (Event::Interrupt(0x51), Source::Interrupt, NO_WINDOW),
    ] {
        let debug_conditions = if source == Source::Debug { 1 << 14 } else { 0 };
        let plan = events.plan(OPEN);
        assert_eq!(plan, Plan { deliver: Some(deliver), debug_conditions, windows, below_class: None, source });
        assert_eq!(events.take_accepted_interrupt(), None);
        events.entered(&plan);
    }
    assert_eq!(events.take_accepted_interrupt(), Some(0x51));
    assert_eq!(events.take_accepted_interrupt(), None, "once");
    assert_eq!(events.plan(OPEN), Plan::NONE);
    assert!(!events.is_due());
}

/// An NMI and an interrupt wait: what each state of the guest lets through, and what is waited for.
#[test]
fn each_waits_for_its_window() {
    let table = [
        (OPEN, Some(Event::Nmi), INTERRUPT_WINDOW),
        (Interruptibility { interrupts_enabled: false, ..OPEN }, Some(Event::Nmi), INTERRUPT_WINDOW),
        (Interruptibility { nmi_blocked: true, ..OPEN }, Some(Event::Interrupt(0x51)), NMI_WINDOW),
        (Interruptibility { shadow: true, ..OPEN }, None, Windows { interrupt: true, nmi: true }),
        (Interruptibility { gif_clear: true, ..OPEN }, None, Windows { interrupt: true, nmi: true }),
        (Interruptibility { debug_pending: true, ..OPEN }, None, Windows { interrupt: true, nmi: true }),
        (
            Interruptibility { nmi_blocked: true, interrupts_enabled: false, ..OPEN },
            None,
            Windows { interrupt: true, nmi: true },
        ),
        // The task priority holds the interrupt alone, which no window can help.
        (Interruptibility { task_priority: 5, ..OPEN }, Some(Event::Nmi), NO_WINDOW),
        (Interruptibility { task_priority: 5, nmi_blocked: true, ..OPEN }, None, NMI_WINDOW),
        (Interruptibility { task_priority: 4, nmi_blocked: true, ..OPEN }, Some(Event::Interrupt(0x51)), NMI_WINDOW),
    ];
    for (state, deliver, windows) in table {
        let mut events = Events::new();
        events.request_interrupt(InterruptRequest::fixed(0x51));
        events.request_nmi();
        let plan = events.plan(state);
        assert_eq!((plan.deliver, plan.windows), (deliver, windows), "{state:?}");
        assert_eq!(plan.below_class, (state.task_priority == 5).then_some(5), "{state:?}");
        events.entered(&plan);
        assert!(events.is_due(), "one of the two still waits");
    }
}

#[test]
fn a_refused_entry_changes_nothing() {
    let mut events = Events::new();
    events.request_interrupt(InterruptRequest::external(0x20));
    let before = events;
    assert_eq!(events.plan(OPEN).deliver, Some(Event::Interrupt(0x20)));
    assert_eq!(events, before);
}

#[test]
fn a_window_is_closed_when_nobody_waits_any_more() {
    let mut events = Events::new();
    events.request_interrupt(InterruptRequest::external(0x20));
    let plan = events.plan(Interruptibility::default());
    assert_eq!(plan.windows, INTERRUPT_WINDOW);
    events.entered(&plan);
    assert_eq!(events.withdraw_interrupt(), Some(InterruptRequest::external(0x20)));
    assert!(events.is_due(), "the window is armed");
    let plan = events.plan(Interruptibility::default());
    assert_eq!(plan, Plan::NONE);
    events.entered(&plan);
    assert!(!events.is_due());
}

#[test]
fn windows_of_a_refused_entry_are_closed() {
    for refused_before in [false, true] {
        let mut events = Events::new();
        events.request_interrupt(InterruptRequest::external(0x20));
        events.request_nmi_window();
        for _ in 0..2 {
            let plan = events.plan(Interruptibility { nmi_blocked: true, ..Interruptibility::default() });
            assert!(plan.windows.interrupt && plan.windows.nmi);
            if refused_before {
                events.refused(&plan);
                assert_eq!(events.plan(Interruptibility { nmi_blocked: true, ..Interruptibility::default() }), plan);
            } else {
                events.entered(&plan);
            }
        }
        events.withdraw_interrupt();
        assert!(events.nmi_window());
        assert!(events.is_due(), "both windows are armed");
        let plan = events.plan(Interruptibility::default());
        assert_eq!(plan, Plan::NONE);
        events.entered(&plan);
        assert!(!events.is_due());
    }
}

#[test]
fn only_the_caller_sees_windows_that_he_asked_for() {
    let mut events = Events::new();
    events.request_nmi();
    assert!(!events.nmi_window() && !events.interrupt_window());
    events.request_nmi_window();
    events.request_interrupt_window();
    assert!(events.nmi_window() && !events.nmi_window());
    assert!(events.interrupt_window() && !events.interrupt_window());
}

#[test]
fn an_interrupted_interrupt_is_accepted_once() {
    let mut events = Events::new();
    events.request_interrupt(InterruptRequest::external(0x20));
    for accepted in [Some(0x20), None] {
        let plan = events.plan(OPEN);
        assert_eq!(plan.deliver, Some(Event::Interrupt(0x20)));
        events.entered(&plan);
        events.interrupted(Event::Interrupt(0x20));
        assert_eq!(events.take_accepted_interrupt(), accepted);
    }
    assert_eq!(events.cancel(), Some(Event::Interrupt(0x20)));
    assert!(!events.is_due());
}

#[test]
fn requests_can_be_taken_back() {
    let mut events = Events::new();
    events.request_nmi();
    events.request_interrupt(InterruptRequest::external(0x20));
    events.request_interrupt(InterruptRequest::fixed(0x30));
    assert_eq!(events.requested_interrupt(), Some(InterruptRequest::fixed(0x30)));
    assert!(events.is_nmi_requested() && events.withdraw_nmi() && !events.withdraw_nmi());
    assert!(events.withdraw_interrupt().is_some() && events.withdraw_interrupt().is_none());
    assert_eq!(events, Events::new());
    events.set_global_interrupts(GlobalInterrupts::Disabled);
    assert_eq!(events.global_interrupts(), GlobalInterrupts::Disabled);
}

#[test]
fn what_is_set_aside_waits_again_afterwards() {
    let mut events = Events::new();
    events.request_nmi();
    events.request_interrupt(InterruptRequest::external(0x20));
    events.request_interrupt_window();
    let plan = events.plan(Interruptibility { nmi_blocked: true, ..Interruptibility::default() });
    events.entered(&plan);
    let before = events.set_aside();
    assert!(events.is_due(), "the windows must be closed");
    let plan = events.plan(OPEN);
    assert_eq!(plan, Plan::NONE);
    events.entered(&plan);
    assert!(!events.is_due());
    events.interrupted(Event::Exception(Exception::BREAKPOINT));
    events.put_back(&before);
    assert_eq!(events.pending(), Some(Event::Exception(Exception::BREAKPOINT)));
    assert!(events.is_nmi_requested() && events.requested_windows().interrupt);
    assert_eq!(events.requested_interrupt(), Some(InterruptRequest::external(0x20)));
}

#[test]
fn an_interrupt_of_a_local_apic_is_handed_over_once() {
    let mut events = Events::new();
    assert_eq!(events.hand_over(), None);
    events.request_interrupt(InterruptRequest::fixed(0x41));
    assert_eq!((events.hand_over(), events.hand_over()), (Some(0x41), None));
    assert!(!events.is_due(), "nothing waits for an entry");
    assert_eq!((events.take_accepted_interrupt(), events.take_accepted_interrupt()), (Some(0x41), None));
    // An 8259A is not part of a local APIC.
    events.request_interrupt(InterruptRequest::external(0x41));
    assert_eq!(events.hand_over(), None);
    assert_eq!(events.requested_interrupt(), Some(InterruptRequest::external(0x41)));
    assert!(events.is_due());
}
