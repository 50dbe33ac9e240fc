//! The shadow of STI and MOV SS behind an instruction that the library has completed.

use x86_virt_core::Frames;

use crate::access::{VmcsRead, VmcsWrite};
use crate::event::InterruptibilityState;
use crate::field;
use crate::vcpu::VmxVcpu;

/// An instruction that is completed ends the shadow that it was in, as one that is executed does. Most are in none, but only the VMCS
/// knows. So the end of the shadow is remembered, and the VMCS gets to know of it before an entry at which something waits for the
/// boundary that the guest goes on from: an event, a window, a breakpoint, a virtual interrupt, the monitor trap. If nothing does, what
/// remains in the VMCS holds back nothing that was there at the boundary, and the next instruction ends it. What comes during that
/// instruction is taken behind it, as on a processor.
///
/// Intel SDM vol. 3, section 7.8.3, "Masking Exceptions and Interrupts When Switching Stacks", and section 29.7.1,
/// "Interruptibility State".
impl<A: Frames> VmxVcpu<'_, '_, '_, A> {
    /// What blocks events, as the instruction that runs next finds it.
    pub(crate) fn interruptibility_state(&self) -> InterruptibilityState {
        let state = self.vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE);
        if self.parts.shadow_is_over { without_shadow(state) } else { state }
    }

    pub(crate) fn put_interruptibility_state(&mut self, state: InterruptibilityState) {
        self.parts.shadow_is_over = false;
        self.vmcs.put(field::GUEST_INTERRUPTIBILITY_STATE, state);
    }

    /// Lets the VMCS know of a shadow that is over.
    #[inline]
    pub(crate) fn end_shadow(&mut self) {
        end(&mut self.vmcs, &mut self.parts.shadow_is_over);
    }
}

/// The same for `vmcs`, in which one `is_over` or not.
#[inline]
pub(crate) fn end<V: VmcsRead + VmcsWrite>(vmcs: &mut V, is_over: &mut bool) {
    if core::mem::replace(is_over, false) {
        write_end(vmcs);
    }
}

#[cold]
fn write_end<V: VmcsRead + VmcsWrite>(vmcs: &mut V) {
    let before = vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE);
    if without_shadow(before) != before {
        vmcs.put(field::GUEST_INTERRUPTIBILITY_STATE, without_shadow(before));
    }
}

const fn without_shadow(state: InterruptibilityState) -> InterruptibilityState {
    state.with_blocking_by_sti(false).with_blocking_by_mov_ss(false)
}
