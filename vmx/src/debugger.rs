//! What a debugger needs of the virtual processor.

use x86_virt_core::{Event, Exception, Exit, ExitKind, Frames, GuestDebug, Shadow, Vcpu as _};

use crate::access::VmcsRead as _;
use crate::control::PrimaryControls;
use crate::exit::ExitReason;
use crate::field;
use crate::vcpu::{NO_EXIT, VmxVcpu};

/// Bits of the exit qualification of #DB that are bits of DR6: B0 to B3, BD and BS.
///
/// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Debug Exceptions").
const CONDITIONS: u64 = 0x600f;

impl<A: Frames> GuestDebug for VmxVcpu<'_, '_, '_, A> {
    fn watch_exceptions(&mut self, vectors: u32) {
        self.parts.chosen.watched = vectors;
        self.write_exceptions();
    }

    fn is_wanted(&self, event: Event) -> bool {
        match event {
            Event::Exception(exception) => self.parts.chosen.wants(exception),
            Event::SoftwareException { vector, .. } => self.parts.chosen.wants(Exception { vector, error_code: None }),
            Event::PrivilegedSoftwareException { .. } => self.parts.chosen.wants(Exception::DEBUG),
            // There is no control for INT n.
            _ => false,
        }
    }

    fn debug_conditions(&self) -> u64 {
        self.vmcs.get(field::EXIT_QUALIFICATION) & CONDITIONS
    }

    fn shadow(&self) -> Shadow {
        let state = self.interruptibility_state();
        if state.blocking_by_mov_ss() {
            Shadow::MovSs
        } else if state.blocking_by_sti() {
            Shadow::Sti
        } else {
            Shadow::None
        }
    }

    fn set_shadow(&mut self, shadow: Shadow) {
        let before = self.interruptibility_state();
        let state = before.with_blocking_by_sti(shadow == Shadow::Sti).with_blocking_by_mov_ss(shadow == Shadow::MovSs);
        if state != before {
            let pending = self.pending_debug();
            self.put_interruptibility_state(state);
            // In a shadow, BS follows from RFLAGS.TF.
            self.write_pending_debug(pending);
        }
    }

    fn arm_monitor_trap(&mut self) -> bool {
        let control = PrimaryControls::MONITOR_TRAP_FLAG;
        let has = self.parts.capabilities.primary().may_be_one().contains(control);
        if has {
            self.end_shadow();
            self.write_primary(self.parts.primary | control);
        }
        has
    }

    fn disarm_monitor_trap(&mut self) {
        self.write_primary(self.parts.primary.without(PrimaryControls::MONITOR_TRAP_FLAG));
    }

    fn step_without_entry(&mut self) -> Exit<ExitReason> {
        self.parts.reason = NO_EXIT;
        Exit { kind: ExitKind::Step, reason: NO_EXIT }
    }
}
