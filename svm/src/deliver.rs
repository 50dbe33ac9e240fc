//! Events at entries and exits: from the engine to the VMCB and back.

use x86_virt_core::{Event, Exception, Exit, ExitKind, Frames, Gva, InjectError, Plan, Vcpu as _};

use crate::exit::SvmExit;
use crate::exit_code::{ExitCode, SoftwareExitCode};
use crate::nmi::{BREAKPOINTS, DEBUG, NmiBlocking, SINGLE_STEP, StepEnd};
use crate::run::Wanted;
use crate::vcpu::SvmVcpu;
use crate::vmcb::{EventInjection, VirtualInterruptControl, control, save};

/// The reason of an exit that no processor has reported: a code that is the host's own to use.
///
/// AMD APM vol. 2, appendix C, "SVM Intercept Exit Codes".
pub(crate) const NO_EXIT: SvmExit =
    SvmExit { code: ExitCode::from_bits(SoftwareExitCode::HOST_SW.into_bits()), info1: 0, info2: 0 };

/// What an entry was prepared with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    plan: Plan,
    software: Option<Software>,
    nmi: NmiBlocking,
}

/// A software event that an entry delivers: RIP is moved behind its instruction for that.
#[derive(Clone, Copy, Debug)]
struct Software {
    event: Event,
    rip: u64,
    next: u64,
}

impl<A: Frames> SvmVcpu<'_, '_, '_, A> {
    /// An exit that needs no entry: a shutdown that the engine has made of two events, or a window for NMIs that is open.
    #[cold]
    pub(crate) fn exit_without_entry(&mut self) -> Option<Exit<SvmExit>> {
        if self.guest.events.take_shutdown() {
            return Some(self.made_up(ExitKind::Shutdown, ExitCode::SHUTDOWN));
        }
        let events = &self.guest.events;
        let is_open = events.requested_windows().nmi
            && events.pending().is_none()
            && events.pending_debug() == 0
            && !events.is_nmi_requested()
            && Event::Nmi.admit(self.interruptibility()).is_ok();
        if is_open && self.guest.events.nmi_window() {
            return Some(self.made_up(ExitKind::NmiWindow, NO_EXIT.code));
        }
        None
    }

    /// An exit that the processor has not reported.
    pub(crate) const fn made_up(&mut self, kind: ExitKind, code: ExitCode) -> Exit<SvmExit> {
        let reason = SvmExit { code, info1: 0, info2: 0 };
        self.guest.exit = Some(reason);
        Exit { kind, reason }
    }

    /// What the entry does about events, written to the VMCB. Only called if something is due.
    #[cold]
    pub(crate) fn prepare_events(&mut self) -> Prepared {
        let plan = self.guest.events.plan(self.interruptibility());
        let mut prepared = Prepared { plan, software: None, nmi: self.guest.nmi };
        if let Some(event) = plan.deliver {
            prepared.software = self.write_event(event);
        }
        if plan.debug_conditions != 0 {
            let dr6 = self.guest.vmcb.read(save::DR6);
            self.guest.vmcb.write(save::DR6, dr6 | plan.debug_conditions);
        }
        self.arm(&plan);
        prepared
    }

    fn write_event(&mut self, event: Event) -> Option<Software> {
        // There is one for every event of this version.
        let injection = EventInjection::try_from(event).ok()?;
        self.guest.vmcb.write(control::EVENTINJ, injection);
        match event {
            Event::Nmi => {
                if !self.has_virtual_nmi() {
                    self.guest.nmi = NmiBlocking::Handling;
                    self.set_intercepted(ExitCode::IRET, Wanted::Yes);
                }
                None
            }
            // What is pushed is NRIP where the processor has it, else RIP.
            Event::SoftwareInterrupt { length, .. }
            | Event::SoftwareException { length, .. }
            | Event::PrivilegedSoftwareException { length } => {
                let rip = self.guest.vmcb.read(save::RIP);
                let next = self.wrap_rip(rip.wrapping_add(u64::from(length)));
                self.guest.vmcb.write(save::RIP, next);
                self.guest.vmcb.write(control::NRIP, next);
                Some(Software { event, rip, next })
            }
            _ => None,
        }
    }

    /// Closes and opens the windows. None is needed for the task priority: writes of CR8 end a run.
    ///
    /// That for interrupts is a virtual interrupt, which is intercepted. For NMIs there is none: the processor takes a virtual one
    /// itself where it has them. Otherwise the run ends at the IRET of the handler that blocks them, and a single step
    /// goes over it. Behind another event, or in a shadow, an NMI comes when the guest takes an interrupt or executes IRET, if
    /// no exit comes earlier.
    fn arm(&mut self, plan: &Plan) {
        let before = self.read(control::VIRTUAL_INTERRUPT_CONTROL);
        let state = self.interruptibility();
        // A virtual GIF holds virtual interrupts too; where there is none, STGI ends the run.
        let may_open = !state.gif_clear || before.vgif_enable();
        let is_held = plan.windows.nmi && !state.nmi_blocked;
        let wants_interrupt = (plan.windows.interrupt || is_held) && may_open;
        let wants_nmi = plan.windows.nmi && may_open;

        let mut window = before.with_v_irq(false).with_v_ign_tpr(false).with_v_intr_prio(0).with_v_intr_vector(0);
        if wants_interrupt {
            window = window.with_v_irq(true).with_v_ign_tpr(true).with_v_intr_prio(0xf);
        }
        let is_virtual = self.has_virtual_nmi();
        if is_virtual {
            let waits = self.guest.events.is_nmi_requested() && plan.windows.nmi && plan.deliver != Some(Event::Nmi);
            window = window.with_v_nmi(waits);
        }
        if window != before {
            self.guest.vmcb.write(control::VIRTUAL_INTERRUPT_CONTROL, window);
        }
        self.set_intercepted(ExitCode::VINTR, Wanted::of(window.v_irq()));

        let sees_iret = if is_virtual { self.guest.events.requested_windows().nmi } else { wants_nmi };
        match self.guest.nmi {
            NmiBlocking::Handling => {}
            NmiBlocking::Returning { rip } if wants_nmi && plan.deliver.is_none() && !state.shadow => {
                self.begin_step(rip)
            }
            NmiBlocking::Returning { .. } | NmiBlocking::Stepping { .. } => {}
            NmiBlocking::Open => self.set_intercepted(ExitCode::IRET, Wanted::of(sees_iret)),
        }
    }

    /// After an entry that was refused: the event still waits.
    pub(crate) fn undo_event(&mut self, prepared: Option<Prepared>) {
        let Some(Prepared { plan, software, nmi }) = prepared else { return };
        self.guest.events.refused(&plan);
        if plan.deliver.is_some() {
            self.guest.vmcb.write(control::EVENTINJ, EventInjection::new());
        }
        if let NmiBlocking::Stepping { .. } = self.guest.nmi {
            self.end_step();
        }
        if self.guest.nmi != nmi {
            self.guest.nmi = nmi;
            self.set_intercepted(ExitCode::IRET, Wanted::of(nmi == NmiBlocking::Handling));
        }
        if let Some(software) = software {
            self.guest.vmcb.write(save::RIP, software.rip);
        }
    }

    /// After an exit: what was being delivered waits for the next entry.
    #[inline]
    pub(crate) fn finish_event(&mut self, exit: SvmExit, prepared: Option<Prepared>) {
        let interrupted = self.guest.vmcb.read(control::EXITINTINFO);
        if prepared.is_some() || interrupted.v() {
            self.note_interrupted(exit, prepared, interrupted);
        }
    }

    #[cold]
    fn note_interrupted(&mut self, exit: SvmExit, prepared: Option<Prepared>, interrupted: EventInjection) {
        if let Some(Prepared { plan, .. }) = prepared {
            if plan.deliver.is_some() {
                self.guest.vmcb.write(control::EVENTINJ, EventInjection::new());
            }
            self.guest.events.entered(&plan);
            let interrupts = self.read(control::VIRTUAL_INTERRUPT_CONTROL);
            if self.has_virtual_nmi() && plan.windows.nmi && !interrupts.v_nmi() {
                // The processor has delivered it.
                self.guest.events.withdraw_nmi();
            }
        }
        if exit.code == ExitCode::SHUTDOWN {
            return;
        }
        let Some(event) = interrupted.event() else { return };
        let software = prepared.and_then(|prepared| prepared.software);
        let event = match software {
            Some(software) if is_same(event, software.event) && self.read(save::RIP) == software.next => {
                self.guest.vmcb.write(save::RIP, software.rip);
                software.event
            }
            _ => event,
        };
        self.guest.events.interrupted(event);
    }

    /// After an exit while NMIs are blocked, or of an IRET: whether the guest goes on.
    #[cold]
    pub(crate) fn note_nmi(&mut self, exit: SvmExit) -> Outcome {
        let rip = self.guest.vmcb.read(save::RIP);
        match self.guest.nmi {
            NmiBlocking::Handling if exit.code == ExitCode::IRET => {
                self.guest.nmi = NmiBlocking::Returning { rip };
                self.set_intercepted(ExitCode::IRET, Wanted::No);
                Outcome::GoOn
            }
            NmiBlocking::Open if exit.code == ExitCode::IRET && self.guest.intercepts.contains(ExitCode::IRET) => {
                // The processor keeps the blocking, and the caller wants to see its end. Or a shadow, which the exit has not ended,
                // holds the NMI: it comes at the next exit, or else this one would come again and again.
                if self.is_nmi_blocked() || self.interruptibility().shadow {
                    self.guest.nmi = NmiBlocking::Returning { rip };
                }
                // Else it was intercepted for an NMI that could not be delivered at the last entry, and can be now.
                self.set_intercepted(ExitCode::IRET, Wanted::No);
                Outcome::GoOn
            }
            NmiBlocking::Stepping { .. } => self.finish_step(exit),
            other => {
                self.guest.nmi = other.after_exit(rip);
                Outcome::Report
            }
        }
    }

    /// Makes the guest step over the IRET at `rip`, if it is still there.
    fn begin_step(&mut self, rip: u64) {
        if self.guest.vmcb.read(save::RIP) != rip {
            return;
        }
        let rflags = self.guest.vmcb.read(save::RFLAGS);
        let dr6 = self.guest.vmcb.read(save::DR6);
        self.guest.nmi = NmiBlocking::Stepping { rip, rflags, dr6 };
        self.guest.vmcb.write(save::RFLAGS, rflags.with_tf(true));
        // NMIs have an intercept of their own.
        self.guest.vmcb.write(control::INTERCEPT_EXCEPTIONS, !(1 << 2));
    }

    /// Takes back what [`begin_step`](Self::begin_step) has set, but for RFLAGS that the IRET has loaded.
    fn end_step(&mut self) {
        let NmiBlocking::Stepping { rip, rflags, dr6 } = self.guest.nmi else { return };
        self.guest.vmcb.set_intercepts(self.guest.intercepts);
        if self.guest.vmcb.read(save::RIP) == rip {
            let now = self.guest.vmcb.read(save::RFLAGS);
            self.guest.vmcb.write(save::RFLAGS, now.with_tf(rflags.tf()));
        }
        let now = self.guest.vmcb.read(save::DR6);
        if now != dr6 {
            self.guest.vmcb.write(save::DR6, dr6);
        }
    }

    fn finish_step(&mut self, exit: SvmExit) -> Outcome {
        let NmiBlocking::Stepping { rflags, dr6: dr6_before, .. } = self.guest.nmi else { return Outcome::Report };
        let dr6 = self.guest.vmcb.read(save::DR6);
        let vector = exit.code.exception().filter(|_| !self.guest.intercepts.contains(exit.code));
        let end = StepEnd::of(vector, dr6);
        self.end_step();
        match end {
            StepEnd::Done => {
                self.guest.nmi = NmiBlocking::Open;
                // What the guest would have seen of the IRET without this step.
                let own = if rflags.tf() { SINGLE_STEP } else { 0 };
                let conditions = dr6 & !dr6_before & BREAKPOINTS | own;
                if conditions != 0 {
                    self.guest.events.raise_debug(conditions);
                }
                Outcome::GoOn
            }
            StepEnd::Fault(vector) => {
                // An IRET that faults has ended the blocking.
                self.guest.nmi = NmiBlocking::Open;
                match self.give_back(vector, exit, dr6) {
                    Ok(()) => Outcome::GoOn,
                    Err(_) => Outcome::Report,
                }
            }
            StepEnd::Other => {
                self.guest.nmi = self.guest.nmi.after_exit(self.guest.vmcb.read(save::RIP));
                Outcome::Report
            }
        }
    }

    /// Gives the guest an exception that was intercepted for a step alone.
    fn give_back(&mut self, vector: u8, exit: SvmExit, dr6: u64) -> Result<(), InjectError> {
        let [a, b, c, d, ..] = exit.info1.to_le_bytes();
        let error_code = u32::from_le_bytes([a, b, c, d]);
        if vector == Exception::page_fault(0).vector {
            return self.raise_page_fault(Gva::new(exit.info2), error_code);
        }
        self.raise(Exception { vector, error_code: Some(error_code) })?;
        if vector == DEBUG {
            self.guest.vmcb.write(save::DR6, dr6);
        }
        Ok(())
    }

    /// Whether the run ended for a window that only the engine waits for, so that the guest goes on.
    #[inline]
    pub(crate) fn is_own_window(&mut self, exit: SvmExit) -> bool {
        let events = &mut self.guest.events;
        if exit.code != ExitCode::VINTR || events.interrupt_window() {
            return false;
        }
        let armed = events.armed_windows();
        // It stands for the end of the shadow that holds an NMI.
        armed.interrupt || armed.nmi && !self.interruptibility().shadow
    }

    /// Whether the processor keeps the blocking of NMIs for the guest.
    ///
    /// AMD APM vol. 2, section 15.21.10, "NMI Virtualization".
    pub(crate) fn has_virtual_nmi(&self) -> bool {
        self.read(control::VIRTUAL_INTERRUPT_CONTROL).v_nmi_enable()
    }

    /// Whether the guest handles an NMI.
    pub(crate) fn is_nmi_blocked(&self) -> bool {
        let interrupts: VirtualInterruptControl = self.read(control::VIRTUAL_INTERRUPT_CONTROL);
        if interrupts.v_nmi_enable() { interrupts.v_nmi_mask() } else { self.guest.nmi.is_blocked() }
    }
}

/// Whether the guest goes on, or the caller is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    GoOn,
    Report,
}

/// Whether both are software events of one kind and vector. The processor does not report their length.
fn is_same(one: Event, other: Event) -> bool {
    match (one, other) {
        (Event::SoftwareInterrupt { vector, .. }, Event::SoftwareInterrupt { vector: other, .. })
        | (Event::SoftwareException { vector, .. }, Event::SoftwareException { vector: other, .. }) => vector == other,
        (Event::Exception(Exception::DEBUG), Event::PrivilegedSoftwareException { .. }) => true,
        _ => false,
    }
}
