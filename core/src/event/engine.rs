//! The events of a virtual processor: what waits, what comes first, and when.

use super::merge::Merged;
use super::plan::{Plan, Source, Windows};
use super::request::{GlobalInterrupts, InterruptRequest};
use super::{Event, Exception, InjectError, Interruptibility};

/// The events of a virtual processor that wait for their delivery, for both vendors.
///
/// Hypervisors use the methods of [`Vcpu`](crate::Vcpu). This type decides what these lead to, and knows no processor: who
/// implements `Vcpu` keeps one, and asks it
///
/// 1. before an entry, if something [is due](Self::is_due): [`take_shutdown`](Self::take_shutdown), then [`plan`](Self::plan);
/// 2. after an entry that happened: [`entered`](Self::entered), and [`interrupted`](Self::interrupted) if the exit came in a
///    delivery;
/// 3. at the exit of a window: [`interrupt_window`](Self::interrupt_window) or [`nmi_window`](Self::nmi_window), which say
///    whether the caller asked for it.
///
/// At most one event is delivered by an entry, in this order: what was injected or an exit interrupted, a debug exception of
/// the instruction before, an NMI, an interrupt. Each waits until the guest takes it.
///
/// Intel SDM vol. 3, section 7.9, "Priority Among Concurrent Events"; AMD APM vol. 2, section 8.5, "Priorities".
///
/// ```
/// use x86_virt_core::{Event, Events, InterruptRequest, Interruptibility};
///
/// let mut events = Events::new();
/// events.request_interrupt(InterruptRequest::fixed(0x40));
/// events.request_nmi();
///
/// // The guest has interrupts disabled. The NMI goes, the interrupt waits for its window.
/// let plan = events.plan(Interruptibility::default());
/// assert_eq!(plan.deliver, Some(Event::Nmi));
/// assert!(plan.windows.interrupt && !plan.windows.nmi);
/// events.entered(&plan);
///
/// // At the exit of the window:
/// let plan = events.plan(Interruptibility { interrupts_enabled: true, ..Interruptibility::default() });
/// assert_eq!(plan.deliver, Some(Event::Interrupt(0x40)));
/// events.entered(&plan);
/// assert_eq!(events.take_accepted_interrupt(), Some(0x40));
/// assert!(!events.is_due());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Events {
    /// An entry must ask for a plan: anything below waits, or a window may be armed.
    due: bool,
    next: Option<Next>,
    /// Conditions of a debug exception of the instruction before, as in DR6; 0 if there is none.
    debug: u64,
    nmi: bool,
    interrupt: Option<InterruptRequest>,
    /// The interrupt that the guest has accepted since the last look.
    accepted: Option<u8>,
    /// Windows that the caller wants to see.
    asked: Windows,
    /// Windows that the last entry was to find.
    armed: Windows,
    shutdown: bool,
    global: GlobalInterrupts,
}

/// An event that the next entry delivers whatever the guest's state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Next {
    event: Event,
    progress: Progress,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Progress {
    /// It was injected, and its delivery has not begun.
    Injected,
    /// An exit interrupted its delivery.
    Interrupted,
}

/// For hypervisors, which reach most of it by [`Vcpu`](crate::Vcpu).
impl Events {
    /// No events.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            due: false,
            next: None,
            debug: 0,
            nmi: false,
            interrupt: None,
            accepted: None,
            asked: Windows::NONE,
            armed: Windows::NONE,
            shutdown: false,
            global: GlobalInterrupts::Enabled,
        }
    }

    /// What the next entry delivers whatever the guest's state: what was injected, or an exit interrupted.
    #[must_use]
    pub const fn pending(&self) -> Option<Event> {
        match self.next {
            Some(Next { event, .. }) => Some(event),
            None => None,
        }
    }

    /// Delivers `event`, which the guest takes now, at the next entry.
    ///
    /// # Errors
    ///
    /// [`InjectError::Pending`] if another one is.
    pub const fn inject(&mut self, event: Event) -> Result<(), InjectError> {
        if let Some(Next { event, .. }) = self.next {
            return Err(InjectError::Pending(event));
        }
        self.next = Some(Next { event, progress: Progress::Injected });
        self.due = true;
        Ok(())
    }

    /// Takes back what [`pending`](Self::pending) says.
    pub const fn cancel(&mut self) -> Option<Event> {
        match self.next.take() {
            Some(Next { event, .. }) => {
                self.update();
                Some(event)
            }
            None => None,
        }
    }

    /// Delivers `exception` at the next entry. If an exit interrupted the delivery of another event, the two are merged: to a
    /// double fault, or to a shutdown, which the next run ends with.
    ///
    /// # Errors
    ///
    /// [`InjectError::Pending`] if an event was injected that the guest has not begun to take.
    pub fn raise(&mut self, exception: Exception, protected_mode: bool) -> Result<(), InjectError> {
        let event = match self.next {
            None => Event::Exception(exception),
            Some(Next { event, progress: Progress::Injected }) => return Err(InjectError::Pending(event)),
            Some(Next { event: first, progress: Progress::Interrupted }) => match Merged::of(first, exception) {
                Merged::Serially => Event::Exception(exception),
                Merged::DoubleFault => {
                    let error_code = protected_mode.then_some(0);
                    Event::Exception(Exception { error_code, ..Exception::DOUBLE_FAULT })
                }
                Merged::Shutdown => {
                    self.next = None;
                    self.shut_down();
                    return Ok(());
                }
            },
        };
        self.next = Some(Next { event, progress: Progress::Injected });
        self.due = true;
        Ok(())
    }

    /// Asks for an NMI: the guest gets it as soon as it takes one. While one waits, another is the same.
    pub const fn request_nmi(&mut self) {
        self.nmi = true;
        self.due = true;
    }

    /// Whether an NMI waits that was asked for.
    #[must_use]
    pub const fn is_nmi_requested(&self) -> bool {
        self.nmi
    }

    /// Takes back the request for an NMI, and says whether there was one.
    pub const fn withdraw_nmi(&mut self) -> bool {
        let was_requested = core::mem::replace(&mut self.nmi, false);
        self.update();
        was_requested
    }

    /// Asks for an interrupt, in place of one that was asked for before and has not been accepted: the guest gets it as soon as
    /// it takes one.
    pub const fn request_interrupt(&mut self, request: InterruptRequest) {
        self.interrupt = Some(request);
        self.due = true;
    }

    /// The interrupt that was asked for, and waits.
    #[must_use]
    pub const fn requested_interrupt(&self) -> Option<InterruptRequest> {
        self.interrupt
    }

    /// Takes back the request for an interrupt.
    pub const fn withdraw_interrupt(&mut self) -> Option<InterruptRequest> {
        let request = self.interrupt.take();
        self.update();
        request
    }

    /// The vector of an interrupt that was asked for and that the guest has accepted, once: its delivery has begun, and nothing
    /// takes it back. An interrupt controller moves it from requested to in service.
    pub const fn take_accepted_interrupt(&mut self) -> Option<u8> {
        self.accepted.take()
    }

    /// Makes a run end when the guest takes interrupts, once.
    pub const fn request_interrupt_window(&mut self) {
        self.asked.interrupt = true;
        self.due = true;
    }

    /// Makes a run end when the guest takes NMIs, once.
    pub const fn request_nmi_window(&mut self) {
        self.asked.nmi = true;
        self.due = true;
    }

    /// The windows that a run ends for.
    #[must_use]
    pub const fn requested_windows(&self) -> Windows {
        self.asked
    }

    /// Makes the next entry raise #DB for the instruction before, with these conditions of DR6.
    pub const fn raise_debug(&mut self, conditions: u64) {
        self.debug |= conditions;
        self.update();
    }

    /// Makes the conditions of the debug exception that waits these; 0 for none.
    pub const fn set_debug(&mut self, conditions: u64) {
        self.debug = conditions;
        self.update();
    }

    /// The conditions of the debug exception that waits; 0 if none does.
    #[must_use]
    pub const fn pending_debug(&self) -> u64 {
        self.debug
    }

    /// The global interrupt flag.
    #[must_use]
    pub const fn global_interrupts(&self) -> GlobalInterrupts {
        self.global
    }

    /// Sets the global interrupt flag.
    pub const fn set_global_interrupts(&mut self, global: GlobalInterrupts) {
        self.global = global;
    }

    /// Whether a triple fault waits for the next run, which it ends.
    #[must_use]
    pub const fn is_shutdown_pending(&self) -> bool {
        self.shutdown
    }

    /// Makes the next run end with a shutdown, as a triple fault does.
    pub const fn shut_down(&mut self) {
        self.shutdown = true;
        self.due = true;
    }
}

/// For implementors of [`Vcpu`](crate::Vcpu).
impl Events {
    /// Whether the next entry must ask for a plan. Otherwise it has nothing to do with events, and windows are closed.
    #[must_use]
    #[inline]
    pub const fn is_due(&self) -> bool {
        self.due
    }

    /// Whether the run ends with a shutdown in place of an entry, once.
    pub const fn take_shutdown(&mut self) -> bool {
        let shutdown = core::mem::replace(&mut self.shutdown, false);
        self.update();
        shutdown
    }

    /// What the next entry does for a guest in `state`. Nothing changes until [`entered`](Self::entered).
    #[must_use]
    pub fn plan(&self, state: Interruptibility) -> Plan {
        let (deliver, source) = self.first(state);
        let nmi_waits = self.nmi && source != Source::Nmi;
        let interrupt_waits = self.interrupt.filter(|_| source != Source::Interrupt);
        let held_by_priority = interrupt_waits.filter(|request| !request.is_above(state.task_priority));
        Plan {
            deliver,
            debug_conditions: if source == Source::Debug { self.debug } else { 0 },
            windows: Windows {
                interrupt: self.asked.interrupt || (interrupt_waits.is_some() && held_by_priority.is_none()),
                nmi: self.asked.nmi || nmi_waits,
            },
            below_class: held_by_priority.and_then(InterruptRequest::class),
            source,
        }
    }

    /// What comes first of what the guest takes now.
    fn first(&self, state: Interruptibility) -> (Option<Event>, Source) {
        if let Some(Next { event, .. }) = self.next {
            return (Some(event), Source::Next);
        }
        if self.debug != 0 {
            return (Some(Event::Exception(Exception::DEBUG)), Source::Debug);
        }
        if self.nmi && Event::Nmi.admit(state).is_ok() {
            return (Some(Event::Nmi), Source::Nmi);
        }
        if let Some(request) = self.interrupt.filter(|request| request.is_above(state.task_priority)) {
            let event = Event::Interrupt(request.vector());
            if event.admit(state).is_ok() {
                return (Some(event), Source::Interrupt);
            }
        }
        (None, Source::Nowhere)
    }

    /// After an entry with `plan` that happened: what it delivered waits no more.
    pub fn entered(&mut self, plan: &Plan) {
        match plan.source {
            Source::Nowhere => {}
            Source::Next => self.next = None,
            Source::Debug => self.debug = 0,
            Source::Nmi => self.nmi = false,
            Source::Interrupt => self.accepted = self.interrupt.take().map(InterruptRequest::vector),
        }
        self.armed = plan.windows;
        self.update();
    }

    /// After an entry with `plan` that was refused: all waits as before. The windows are armed all the same, and the next entry closes
    /// those that nobody wants then.
    pub const fn refused(&mut self, plan: &Plan) {
        self.armed = plan.windows;
        self.update();
    }

    /// Hands an interrupt of a local APIC that was asked for over to an APIC which the processor virtualizes: it counts as accepted, since
    /// nothing takes it back. One of an 8259A stays.
    pub fn hand_over(&mut self) -> Option<u8> {
        let request = self.interrupt.filter(|request| request.class().is_some())?;
        self.interrupt = None;
        self.accepted = Some(request.vector());
        self.update();
        Some(request.vector())
    }

    /// After an exit in the delivery of `event`: it is delivered anew.
    pub const fn interrupted(&mut self, event: Event) {
        self.next = Some(Next { event, progress: Progress::Interrupted });
        self.due = true;
    }

    /// At the exit of the interrupt window: whether the caller asked for it. Otherwise the run goes on.
    pub const fn interrupt_window(&mut self) -> bool {
        core::mem::replace(&mut self.asked.interrupt, false)
    }

    /// At the exit of the NMI window: whether the caller asked for it. Otherwise the run goes on.
    pub const fn nmi_window(&mut self) -> bool {
        core::mem::replace(&mut self.asked.nmi, false)
    }

    /// Takes all out that waits for its delivery or for a window, and returns it for [`put_back`](Self::put_back): a run in between
    /// delivers nothing, and closes the windows.
    pub const fn set_aside(&mut self) -> Self {
        let before = *self;
        *self = Self { armed: before.armed, shutdown: before.shutdown, global: before.global, ..Self::new() };
        self.update();
        before
    }

    /// Puts back what [`set_aside`](Self::set_aside) took out, but for an event to deliver at once: what an exit has interrupted
    /// since stays.
    pub const fn put_back(&mut self, before: &Self) {
        self.nmi = before.nmi;
        self.interrupt = before.interrupt;
        self.accepted = before.accepted;
        self.asked = before.asked;
        self.update();
    }

    /// The windows that the last entry armed for what waits, or for the caller. The exit of another one is the caller's, who armed
    /// it in the control structure.
    #[must_use]
    pub const fn armed_windows(&self) -> Windows {
        self.armed
    }

    /// A window that the last entry armed must be closed by the next one, so that it is due too.
    const fn update(&mut self) {
        self.due = self.next.is_some()
            || self.debug != 0
            || self.nmi
            || self.interrupt.is_some()
            || !self.asked.is_empty()
            || !self.armed.is_empty()
            || self.shutdown;
    }
}
