//! What a debugger needs of the virtual processor.

use x86_virt_core::{Event, Exception, Exit, ExitKind, Frames, GuestDebug, Shadow};

use crate::deliver::NO_EXIT;
use crate::exit::SvmExit;
use crate::exit_code::ExitCode;
use crate::vcpu::SvmVcpu;
use crate::vmcb::{InterruptState, control, save};

/// Conditions in DR6: B0 to B3, BD and BS.
///
/// AMD APM vol. 2, section 15.12.2, "#DB (Debug)": DR6 and DR7 are written before the exit.
const CONDITIONS: u64 = 0x600f;

impl<A: Frames> GuestDebug for SvmVcpu<'_, '_, '_, A> {
    fn watch_exceptions(&mut self, vectors: u32) {
        self.set_watched(vectors);
    }

    fn is_wanted(&self, event: Event) -> bool {
        match event {
            Event::Exception(exception) => self.wants(exception),
            Event::SoftwareException { vector, .. } => self.wants(Exception { vector, error_code: None }),
            Event::PrivilegedSoftwareException { .. } => {
                self.guest.intercepts.contains(ExitCode::ICEBP) || self.wants(Exception::DEBUG)
            }
            Event::SoftwareInterrupt { .. } => self.guest.intercepts.contains(ExitCode::SWINT),
            _ => false,
        }
    }

    fn debug_conditions(&self) -> u64 {
        self.read(save::DR6) & CONDITIONS
    }

    /// The VMCB does not say which one it is. AMD's manual does not tell them apart.
    fn shadow(&self) -> Shadow {
        if self.read(control::INTERRUPT_STATE).interrupt_shadow() { Shadow::Sti } else { Shadow::None }
    }

    fn set_shadow(&mut self, shadow: Shadow) {
        let before: InterruptState = self.read(control::INTERRUPT_STATE);
        let state = before.with_interrupt_shadow(shadow != Shadow::None);
        if state != before {
            self.write(control::INTERRUPT_STATE, state);
        }
    }

    fn arm_monitor_trap(&mut self) -> bool {
        false
    }

    fn disarm_monitor_trap(&mut self) {}

    fn step_without_entry(&mut self) -> Exit<SvmExit> {
        self.made_up(ExitKind::Step, NO_EXIT.code)
    }
}
