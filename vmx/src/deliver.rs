//! Events at entries and exits: from the engine to the VMCS and back.
#![expect(unsafe_code, reason = "window controls; handlers of the host")]

use x86_virt_core::{AttachedKick, Event, Exit, ExitKind, Frames, InterruptPolicy, Kick, Plan, Vcpu as _, Windows};

use crate::access::{VmcsRead as _, VmcsWrite as _};
use crate::control::PrimaryControls;
use crate::event::{EntryInterruption, EventType, Injection};
use crate::exit::{self, BasicExitReason, EptViolationQualification, ExitReason};
use crate::field;
use crate::vcpu::{EntryError, NO_EXIT, VmxVcpu};

impl<'s, A: Frames> VmxVcpu<'_, 's, '_, A> {
    /// What the entry does about events, written to the VMCS. Only called if something is due.
    #[cold]
    pub(crate) fn prepare_events(&mut self) -> Result<Plan, EntryError> {
        self.end_shadow();
        self.hand_over();
        let plan = self.parts.events.plan(self.interruptibility());
        if let Some(event) = plan.deliver {
            self.wake_up();
            self.write_event(event)?;
        }
        self.arm(plan.windows);
        self.wait_for_priority(plan.below_class);
        Ok(plan)
    }

    fn write_event(&mut self, event: Event) -> Result<(), EntryError> {
        let injection = Injection::of(event).ok_or(EntryError::Event(event))?;
        self.vmcs.put(field::ENTRY_INTERRUPTION_INFORMATION, injection.information);
        if injection.information.deliver_error_code() {
            self.vmcs.put(field::ENTRY_EXCEPTION_ERROR_CODE, injection.error_code);
        }
        if injection.length != 0 {
            self.vmcs.put(field::ENTRY_INSTRUCTION_LENGTH, injection.length);
        }
        if event == Event::Nmi {
            self.parts.nmi_handled = true;
            // One whose delivery was interrupted had blocked them.
            self.unblock_nmis();
        }
        Ok(())
    }

    /// Closes and opens the windows.
    fn arm(&mut self, wanted: Windows) {
        let state = self.interruptibility_state();
        let gif_clear = self.interruptibility().gif_clear;
        // In the shadow of STI a processor may find the window for NMIs open, and not take one. Interrupts are enabled then.
        let behind_sti = wanted.nmi && state.blocking_by_sti();
        let interrupt = (wanted.interrupt || behind_sti) && !gif_clear;
        let nmi = wanted.nmi && !behind_sti && !gif_clear;
        let mut primary = self.parts.primary;
        for (is_wanted, control) in
            [(interrupt, PrimaryControls::INTERRUPT_WINDOW_EXITING), (nmi, PrimaryControls::NMI_WINDOW_EXITING)]
        {
            primary = if is_wanted { primary | control } else { primary.without(control) };
        }
        self.write_primary(primary);
    }

    pub(crate) fn write_primary(&mut self, primary: PrimaryControls) {
        if primary != self.parts.primary {
            self.parts.primary = primary;
            // SAFETY: only called for windows, the monitor trap, the TSC offset and what `Intercepts` names, on none of which the host
            // depends, and for the TPR shadow, with the virtual-APIC page in place: without it, CR8 ends a run.
            unsafe { self.vmcs.put_sensitive(field::PRIMARY_CONTROLS, primary) };
        }
    }

    /// Takes back from the VMCS what a failed entry did not deliver. It still waits.
    pub(crate) fn withdraw_event(&mut self, plan: Option<&Plan>) {
        self.vmcs.put(field::ENTRY_INTERRUPTION_INFORMATION, EntryInterruption::new());
        if let Some(plan) = plan {
            self.parts.events.refused(plan);
        }
    }

    /// What is due before interrupts are enabled again.
    #[inline]
    pub(crate) fn after_exit(&mut self, reason: ExitReason) {
        if reason.basic().may_interrupt_delivery() {
            self.note_interrupted(reason.basic());
        }
    }

    /// Takes note of an event whose delivery the exit interrupted, and lets the host handle what was its own.
    fn note_interrupted(&mut self, reason: BasicExitReason) {
        let vectoring = self.vmcs.get(field::IDT_VECTORING_INFORMATION);
        let event = vectoring
            .event(|| self.vmcs.get(field::IDT_VECTORING_ERROR_CODE), || self.vmcs.get(field::EXIT_INSTRUCTION_LENGTH));
        if let Some(event) = event {
            self.parts.events.interrupted(event);
        } else if self.parts.nmi_handled {
            self.block_nmis_again(reason);
        }
        if reason == BasicExitReason::EXCEPTION_OR_NMI {
            let information = self.vmcs.get(field::EXIT_INTERRUPTION_INFORMATION);
            if information.event_type() == EventType::NMI {
                // SAFETY: the exit took the NMI.
                unsafe { self.host.call_nmi_handler() };
            } else if information.vector() == exit::MACHINE_CHECK {
                // SAFETY: the exit took the machine check.
                unsafe { self.host.call_machine_check_handler() };
            }
        } else if reason == BasicExitReason::EXTERNAL_INTERRUPT
            && self.parts.chosen.interrupts == InterruptPolicy::Acknowledged
        {
            let information = self.vmcs.get(field::EXIT_INTERRUPTION_INFORMATION);
            if information.valid() {
                // SAFETY: the exit acknowledged the interrupt; the promise of `with_acknowledged_interrupts`.
                unsafe { self.host.call_interrupt_handler(information.vector()) };
            }
        }
    }

    /// If the run ended in an IRET that had ended the blocking of NMIs, blocks them again: the IRET is executed again.
    ///
    /// Intel SDM vol. 3, section 30.2.3, "Information About NMI Unblocking Due to IRET".
    #[cold]
    fn block_nmis_again(&mut self, reason: BasicExitReason) {
        let was_in_iret = match reason {
            BasicExitReason::EXCEPTION_OR_NMI => {
                let information = self.vmcs.get(field::EXIT_INTERRUPTION_INFORMATION);
                information.nmi_unblocking_due_to_iret() && information.vector() != DOUBLE_FAULT
            }
            // The bit is the same for all of these.
            BasicExitReason::EPT_VIOLATION
            | BasicExitReason::PAGE_MODIFICATION_LOG_FULL
            | BasicExitReason::SPP_RELATED_EVENT => {
                let qualification = self.vmcs.get(field::EXIT_QUALIFICATION);
                EptViolationQualification::from_bits(qualification).nmi_unblocking_due_to_iret()
            }
            _ => return,
        };
        let state = self.interruptibility_state();
        if was_in_iret {
            self.put_interruptibility_state(state.with_blocking_by_nmi(true));
        } else if !state.blocking_by_nmi() {
            self.parts.nmi_handled = false;
        }
    }

    /// Ends the blocking of NMIs.
    pub(crate) fn unblock_nmis(&mut self) {
        let state = self.interruptibility_state();
        if state.blocking_by_nmi() {
            self.put_interruptibility_state(state.with_blocking_by_nmi(false));
        }
    }

    /// Lets `kick` take the virtual processor out of the guest while it is loaded here. `processor` is the number that [`Kick::kick`]
    /// gives to who shall interrupt it.
    pub const fn set_kick(&mut self, kick: &'s Kick, processor: u32) {
        self.kick = Some(AttachedKick::new(kick, processor));
    }

    /// There was no entry.
    #[cold]
    pub(crate) const fn kicked(&mut self) -> ExitReason {
        self.parts.reason = NO_EXIT;
        NO_EXIT
    }

    /// The exit of a triple fault that the engine has made of two events.
    #[cold]
    pub(crate) fn shut_down(&mut self) -> Exit<ExitReason> {
        let reason = ExitReason::from(BasicExitReason::TRIPLE_FAULT);
        self.parts.reason = reason;
        Exit { kind: ExitKind::Shutdown, reason }
    }

    /// Whether the run ended for a window or a task priority that only the engine waits for, so that the guest goes on.
    #[inline]
    pub(crate) fn is_own_window(&mut self, exit: &Exit<ExitReason>) -> bool {
        let events = &mut self.parts.events;
        match exit.kind {
            // It stands for the one for NMIs in the shadow of STI.
            ExitKind::InterruptWindow => {
                let armed = events.armed_windows();
                !events.interrupt_window() && (armed.interrupt || armed.nmi)
            }
            ExitKind::NmiWindow => !events.nmi_window() && events.armed_windows().nmi,
            ExitKind::TprBelowThreshold => self.is_own_threshold(),
            _ => false,
        }
    }
}

/// Vector of #DF, for which bit 12 is undefined.
const DOUBLE_FAULT: u8 = 8;
