//! The engine of events against a list of what waits: nothing is lost, doubled, early, or late, and what an entry need not ask about is
//! nothing.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use x86_virt::{Event, Events, Exception, InjectError, InterruptRequest, Interruptibility, Windows};

/// What a hypervisor or a processor does.
#[derive(Arbitrary, Debug)]
enum Action {
    Inject(Event),
    Cancel,
    Raise(Exception, bool),
    RequestNmi,
    WithdrawNmi,
    RequestInterrupt(InterruptRequest),
    WithdrawInterrupt,
    RaiseDebug(u16),
    ShutDown,
    AskInterruptWindow,
    AskNmiWindow,
    TakeAccepted,
    /// An entry in this state, and whether an exit interrupts what it delivers.
    Enter(Interruptibility, Delivery),
    /// An event of the guest's own, whose delivery an exit interrupts.
    Interrupted(Event),
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
enum Delivery {
    Refused,
    Done,
    Interrupted,
    /// And the exit is that of a window.
    Window,
}

/// What waits, in no order.
#[derive(Default)]
struct Model {
    slot: Option<(Event, bool)>,
    waiting: Vec<Waiting>,
    asked_interrupt: bool,
    asked_nmi: bool,
    accepted: Option<u8>,
    shutdown: bool,
    /// What the last entry wrote to the control structure, whether it happened or not.
    armed: Windows,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Waiting {
    Debug(u64),
    Nmi,
    Interrupt(InterruptRequest),
}

impl Waiting {
    /// Intel SDM vol. 3, section 7.9, "Priority Among Concurrent Events": lower numbers first.
    fn rank(self) -> u8 {
        match self {
            Self::Debug(_) => 4,
            Self::Nmi => 5,
            Self::Interrupt(_) => 6,
        }
    }

    fn is_taken(self, state: Interruptibility) -> bool {
        let Interruptibility { interrupts_enabled, shadow, nmi_blocked, gif_clear, debug_pending, task_priority } =
            state;
        let held = [shadow, gif_clear, debug_pending].contains(&true);
        match self {
            Self::Debug(_) => true,
            Self::Nmi => !(held || nmi_blocked),
            Self::Interrupt(request) => interrupts_enabled && !held && !is_below(request, task_priority),
        }
    }
}

fn is_below(request: InterruptRequest, task_priority: u8) -> bool {
    request.class().is_some_and(|class| class <= task_priority)
}

/// The rows of the manual's table: benign, contributory, page fault, and #DF, of which the second ends in shutdown.
fn merge(first: Event, second: Exception) -> &'static str {
    let class = |vector: u8| match vector {
        8 => 3,
        14 | 20 => 2,
        0 | 10 | 11 | 12 | 13 | 21 => 1,
        _ => 0,
    };
    let first = if let Event::Exception(exception) = first { class(exception.vector) } else { 0 };
    const TABLE: [[&str; 4]; 4] = [
        ["second", "second", "second", "second"],
        ["second", "double", "second", "second"],
        ["second", "double", "double", "second"],
        ["second", "shutdown", "shutdown", "shutdown"],
    ];
    TABLE.get(first).and_then(|row| row.get(class(second.vector))).copied().unwrap_or_default()
}

impl Model {
    fn remove(&mut self, rank: u8) -> Option<Waiting> {
        let index = self.waiting.iter().position(|waiting| waiting.rank() == rank)?;
        Some(self.waiting.remove(index))
    }

    fn raise(&mut self, second: Exception, protected: bool) -> bool {
        let event = match self.slot {
            Some((_, false)) => return false,
            None => Some(Event::Exception(second)),
            Some((first, true)) => match merge(first, second) {
                "second" => Some(Event::Exception(second)),
                "double" => Some(Event::Exception(Exception { vector: 8, error_code: protected.then_some(0) })),
                _ => None,
            },
        };
        self.shutdown |= event.is_none();
        self.slot = event.map(|event| (event, false));
        true
    }

    /// What an entry delivers, and the windows that it needs for the rest.
    fn expected(&self, state: Interruptibility) -> (Option<Event>, Option<u8>, Windows) {
        let mut sorted = self.waiting.clone();
        sorted.sort_by_key(|waiting| waiting.rank());
        let first = sorted.iter().copied().find(|waiting| waiting.is_taken(state)).filter(|_| self.slot.is_none());
        let event = match (self.slot, first) {
            (Some((event, _)), _) => Some(event),
            (None, Some(Waiting::Debug(_))) => Some(Event::Exception(Exception::DEBUG)),
            (None, Some(Waiting::Nmi)) => Some(Event::Nmi),
            (None, Some(Waiting::Interrupt(request))) => Some(Event::Interrupt(request.vector())),
            (None, None) => None,
        };
        let rest = || self.waiting.iter().copied().filter(|waiting| Some(waiting.rank()) != first.map(Waiting::rank));
        let windows = Windows {
            interrupt: self.asked_interrupt
                || rest().any(
                    |waiting| matches!(waiting, Waiting::Interrupt(request) if !is_below(request, state.task_priority)),
                ),
            nmi: self.asked_nmi || rest().any(|waiting| waiting == Waiting::Nmi),
        };
        (event, first.map(Waiting::rank), windows)
    }

    fn is_empty(&self) -> bool {
        self.slot.is_none() && self.waiting.is_empty() && !self.asked_interrupt && !self.asked_nmi && !self.shutdown
    }
}

fuzz_target!(|actions: Vec<Action>| {
    let (mut events, mut model) = (Events::new(), Model::default());
    for action in actions {
        step(&mut events, &mut model, action);
        assert_eq!(events.pending(), model.slot.map(|(event, _)| event));
        assert!(events.is_due() || model.is_empty(), "something waits, and is not due: {events:?}");
        assert!(events.is_due() || model.armed == Windows::NONE, "a window stays open: {events:?}");
        if !events.is_due() {
            assert_eq!(events.plan(Interruptibility::default()).windows, Windows::NONE);
        }
    }
});

fn step(events: &mut Events, model: &mut Model, action: Action) {
    match action {
        Action::Inject(event) => match model.slot {
            Some((waiting, _)) => assert_eq!(events.inject(event), Err(InjectError::Pending(waiting))),
            None => {
                assert_eq!(events.inject(event), Ok(()));
                model.slot = Some((event, false));
            }
        },
        Action::Cancel => assert_eq!(events.cancel(), model.slot.take().map(|(event, _)| event)),
        Action::Raise(exception, protected) => {
            assert_eq!(events.raise(exception, protected).is_ok(), model.raise(exception, protected));
        }
        Action::RequestNmi => {
            events.request_nmi();
            model.remove(5);
            model.waiting.push(Waiting::Nmi);
        }
        Action::WithdrawNmi => assert_eq!(events.withdraw_nmi(), model.remove(5).is_some()),
        Action::RequestInterrupt(request) => {
            events.request_interrupt(request);
            model.remove(6);
            model.waiting.push(Waiting::Interrupt(request));
        }
        Action::WithdrawInterrupt => {
            assert_eq!(events.withdraw_interrupt().map(Waiting::Interrupt), model.remove(6));
        }
        Action::RaiseDebug(conditions) => {
            events.raise_debug(conditions.into());
            let before = if let Some(Waiting::Debug(before)) = model.remove(4) { before } else { 0 };
            let all = before | u64::from(conditions);
            if all != 0 {
                model.waiting.push(Waiting::Debug(all));
            }
        }
        Action::ShutDown => {
            events.shut_down();
            model.shutdown = true;
        }
        Action::AskInterruptWindow => {
            events.request_interrupt_window();
            model.asked_interrupt = true;
        }
        Action::AskNmiWindow => {
            events.request_nmi_window();
            model.asked_nmi = true;
        }
        Action::TakeAccepted => assert_eq!(events.take_accepted_interrupt(), model.accepted.take()),
        Action::Enter(state, delivery) => enter(events, model, state, delivery),
        Action::Interrupted(event) => {
            events.interrupted(event);
            model.slot = Some((event, true));
        }
    }
}

fn enter(events: &mut Events, model: &mut Model, state: Interruptibility, delivery: Delivery) {
    assert_eq!(events.take_shutdown(), core::mem::take(&mut model.shutdown));
    let before = *events;
    let plan = events.plan(state);
    let (event, rank, windows) = model.expected(state);
    assert_eq!((plan.deliver, plan.windows), (event, windows), "{state:?}");
    assert_eq!(*events, before, "a plan changes nothing");
    model.armed = windows;
    if delivery == Delivery::Refused {
        events.refused(&plan);
        return;
    }
    events.entered(&plan);
    match rank.and_then(|rank| model.remove(rank)) {
        None => model.slot = None,
        Some(Waiting::Debug(conditions)) => assert_eq!(plan.debug_conditions, conditions),
        Some(Waiting::Nmi) => {}
        Some(Waiting::Interrupt(request)) => model.accepted = Some(request.vector()),
    }
    match (delivery, event) {
        (Delivery::Interrupted, Some(event)) => {
            events.interrupted(event);
            model.slot = Some((event, true));
        }
        (Delivery::Window, _) if windows.interrupt => {
            assert_eq!(events.interrupt_window(), core::mem::take(&mut model.asked_interrupt));
        }
        (Delivery::Window, _) if windows.nmi => {
            assert_eq!(events.nmi_window(), core::mem::take(&mut model.asked_nmi));
        }
        _ => {}
    }
}
