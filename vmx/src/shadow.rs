//! The shadow of STI and MOV SS behind an instruction that the library has completed.

use x86_virt_core::Frames;

use crate::access::{FieldError, VmcsRead, VmcsWrite};
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

/// The same for `vmcs`, in which one `is_over` or not. What could not be written is noted, and written the next time.
#[inline]
pub(crate) fn end<V: VmcsRead + VmcsWrite>(vmcs: &mut V, is_over: &mut bool) {
    if *is_over {
        *is_over = false;
        if let Err(failure) = write_end(vmcs) {
            vmcs.note(failure);
            *is_over = true;
        }
    }
}

#[cold]
fn write_end<V: VmcsRead + VmcsWrite>(vmcs: &mut V) -> Result<(), FieldError> {
    let before = vmcs.read(field::GUEST_INTERRUPTIBILITY_STATE)?;
    let after = without_shadow(before);
    if after == before { Ok(()) } else { vmcs.write(field::GUEST_INTERRUPTIBILITY_STATE, after) }
}

const fn without_shadow(state: InterruptibilityState) -> InterruptibilityState {
    state.with_blocking_by_sti(false).with_blocking_by_mov_ss(false)
}

#[cfg(test)]
mod tests {
    use super::end;
    use crate::access::{VmcsRead as _, VmcsWrite as _};
    use crate::event::InterruptibilityState;
    use crate::field;
    use crate::testing::{CountingVmcs, FakeVmcs, LostVmcs};

    #[test]
    fn only_a_shadow_that_is_over_ends_and_the_rest_stays() {
        let state = InterruptibilityState::new().with_blocking_by_nmi(true);
        for (shadow, writes) in
            [(state.with_blocking_by_sti(true), 1), (state.with_blocking_by_mov_ss(true), 1), (state, 0)]
        {
            let mut fake = FakeVmcs::new();
            fake.put(field::GUEST_INTERRUPTIBILITY_STATE, shadow);
            let mut vmcs = CountingVmcs::new(fake);
            end(&mut vmcs, &mut false);
            assert_eq!((vmcs.reads(), vmcs.writes()), (0, 0), "it is not over");
            let mut is_over = true;
            for _ in 0..2 {
                end(&mut vmcs, &mut is_over);
                assert_eq!((is_over, vmcs.reads(), vmcs.writes()), (false, 1, writes), "once");
            }
            assert_eq!(vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE), state);
        }
    }

    #[test]
    fn what_could_not_be_written_is_written_the_next_time() {
        let mut is_over = true;
        let mut lost = LostVmcs::default();
        for round in 1..3 {
            end(&mut lost, &mut is_over);
            assert_eq!((is_over, lost.noted()), (true, round));
        }
        let mut vmcs = FakeVmcs::new();
        vmcs.put(field::GUEST_INTERRUPTIBILITY_STATE, InterruptibilityState::new().with_blocking_by_sti(true));
        end(&mut vmcs, &mut is_over);
        assert_eq!(vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE), InterruptibilityState::new());
        assert!(!is_over);
    }
}
