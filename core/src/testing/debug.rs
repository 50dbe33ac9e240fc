//! What a debugger needs of the scripted processor.

use crate::debugger::{GuestDebug, Shadow};
use crate::event::Event;
use crate::exit::{Exit, ExitKind};
use crate::testing::scripted::{ScriptedReason, ScriptedVcpu, Semantics, TrapState};

/// Conditions of DR6: B0 to B3, BD and BS.
const CONDITIONS: u64 = 0x600f;

/// No exception is chosen: all that a debugger watches are its own. The conditions of a #DB are those in DR6, where the script puts them.
impl GuestDebug for ScriptedVcpu {
    fn watch_exceptions(&mut self, vectors: u32) {
        self.watched = vectors;
    }

    fn is_wanted(&self, _event: Event) -> bool {
        false
    }

    fn debug_conditions(&self) -> u64 {
        self.state.dr6 & CONDITIONS
    }

    fn shadow(&self) -> Shadow {
        match self.semantics {
            _ if !self.state.shadow => Shadow::None,
            // As in the VMCS.
            Semantics::Vmx if !self.state.cpu.rflags.r#if() => Shadow::MovSs,
            _ => Shadow::Sti,
        }
    }

    fn set_shadow(&mut self, shadow: Shadow) {
        self.state.shadow = shadow != Shadow::None;
    }

    fn arm_monitor_trap(&mut self) -> bool {
        if self.monitor_trap == TrapState::Missing {
            return false;
        }
        self.monitor_trap = TrapState::Armed;
        true
    }

    fn disarm_monitor_trap(&mut self) {
        if self.monitor_trap == TrapState::Armed {
            self.monitor_trap = TrapState::Disarmed;
        }
    }

    fn step_without_entry(&mut self) -> Exit<ScriptedReason> {
        let kind = ExitKind::Step;
        Exit { kind, reason: ScriptedReason { name: kind.name(), semantics: self.semantics } }
    }
}
