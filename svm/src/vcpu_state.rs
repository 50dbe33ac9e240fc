//! State that is in no register: what the virtual processor does, what blocks events, and checks of the whole.

use x86_virt_core::{
    Activity, AttachedKick, Event, Exit, ExitKind, Frames, GlobalInterrupts, Interruptibility, StateError, Vcpu as _,
    VcpuState,
};

use crate::deliver::NO_EXIT;
use crate::exit::SvmExit;
use crate::exit_code::ExitCode;
use crate::nmi::NmiBlocking;
use crate::register::check_state;
use crate::run::{EntryError, Wanted};
use crate::vcpu::SvmVcpu;
use crate::vmcb::{InterruptState, control};

impl<A: Frames> SvmVcpu<'_, '_, '_, A> {
    /// Before an entry, if the caller has made the virtual processor do something else than run: the exit in place of it.
    #[cold]
    pub(crate) fn wake_up(&mut self) -> Result<Option<Exit<SvmExit>>, EntryError> {
        match self.guest.activity {
            Activity::Shutdown | Activity::WaitForSipi => Err(EntryError::NotRunning(self.guest.activity)),
            Activity::Halted if !self.is_woken() => Ok(Some(self.still_halted())),
            Activity::Halted | Activity::Running => {
                self.guest.activity = Activity::Running;
                Ok(None)
            }
        }
    }

    fn is_woken(&self) -> bool {
        self.guest.events.plan(self.interruptibility()).deliver.is_some()
    }

    /// The exit of a virtual processor that stays halted: SVM has no such state, so that it does not enter.
    fn still_halted(&mut self) -> Exit<SvmExit> {
        let takes_interrupts = Event::Interrupt(0).admit(self.interruptibility()).is_ok();
        let is_asked = self.guest.events.requested_windows().interrupt;
        if takes_interrupts && is_asked && self.guest.events.interrupt_window() {
            return self.made_up(ExitKind::InterruptWindow, ExitCode::VINTR);
        }
        // As an entry would, it sees whether it was kicked.
        match self.kick.map(AttachedKick::enter) {
            Some(None) => self.made_up(ExitKind::Kicked, NO_EXIT.code),
            _ => self.made_up(ExitKind::HostInterrupt, ExitCode::INTR),
        }
    }

    /// IRET is intercepted while NMIs are blocked.
    pub(crate) fn write_blocking(&mut self, blocking: Interruptibility) {
        let state: InterruptState = self.read(control::INTERRUPT_STATE);
        self.write(control::INTERRUPT_STATE, state.with_interrupt_shadow(blocking.shadow));
        self.set_global_interrupts(if blocking.gif_clear {
            GlobalInterrupts::Disabled
        } else {
            GlobalInterrupts::Enabled
        });
        if self.has_virtual_nmi() {
            let interrupts = self.read(control::VIRTUAL_INTERRUPT_CONTROL).with_v_nmi_mask(blocking.nmi_blocked);
            self.guest.vmcb.write(control::VIRTUAL_INTERRUPT_CONTROL, interrupts);
        } else if blocking.nmi_blocked != self.guest.nmi.is_blocked() {
            self.guest.nmi = if blocking.nmi_blocked { NmiBlocking::Handling } else { NmiBlocking::Open };
            self.set_intercepted(ExitCode::IRET, Wanted::of(blocking.nmi_blocked));
        }
    }

    pub(crate) fn check_whole(&self, state: &VcpuState) -> Result<(), StateError> {
        state.check()?;
        check_state(&state.cpu, &self.processor.capabilities)?;
        self.check_osxsave(state.cpu.cr4)?;
        let invalid = |bits| StateError::Bits { register: "XCR0", value: state.xcr0, bits };
        self.guest.fpu.check_xcr0(self.host, state.xcr0).map_err(invalid)?;
        if let Some(extended) = &state.extended {
            self.guest.fpu.check(self.host, extended)?;
        }
        Ok(())
    }
}
