//! What a debugger needs, of the vendor that the processor has.

use x86_virt_core::{Event, Exit, Frames, GuestDebug, Shadow};

use crate::vcpu::{AnyVcpu, Reason, either};

impl<A: Frames> GuestDebug for AnyVcpu<'_, '_, '_, A> {
    fn watch_exceptions(&mut self, vectors: u32) {
        either!(self, vcpu => vcpu.watch_exceptions(vectors));
    }

    fn is_wanted(&self, event: Event) -> bool {
        either!(self, vcpu => vcpu.is_wanted(event))
    }

    fn debug_conditions(&self) -> u64 {
        either!(self, vcpu => vcpu.debug_conditions())
    }

    fn shadow(&self) -> Shadow {
        either!(self, vcpu => vcpu.shadow())
    }

    fn set_shadow(&mut self, shadow: Shadow) {
        either!(self, vcpu => vcpu.set_shadow(shadow));
    }

    fn arm_monitor_trap(&mut self) -> bool {
        either!(self, vcpu => vcpu.arm_monitor_trap())
    }

    fn disarm_monitor_trap(&mut self) {
        either!(self, vcpu => vcpu.disarm_monitor_trap());
    }

    fn step_without_entry(&mut self) -> Exit<Reason> {
        match self {
            #[cfg(feature = "vmx")]
            Self::Vmx(vcpu) => {
                let Exit { kind, reason } = vcpu.step_without_entry();
                Exit { kind, reason: Reason::Vmx(reason) }
            }
            #[cfg(feature = "svm")]
            Self::Svm(vcpu) => {
                let Exit { kind, reason } = vcpu.step_without_entry();
                Exit { kind, reason: Reason::Svm(reason) }
            }
        }
    }
}
