//! State that is in no register: what the virtual processor does, what blocks events, and checks of the whole.
#![expect(unsafe_code, reason = "the activity state decides how entries behave")]

use x86_virt_core::{
    Activity, Frames, GlobalInterrupts, Interruptibility, PendingDebugExceptions, SegmentAccessRights, SegmentRegister,
    StateError, Vcpu as _, VcpuState,
};

use crate::access::{VmcsRead as _, VmcsWrite as _};
use crate::event::InterruptibilityState;
use crate::field;
use crate::guest_state::ActivityState;
use crate::vcpu::VmxVcpu;

impl<A: Frames> VmxVcpu<'_, '_, '_, A> {
    pub(crate) fn read_activity(&self) -> Activity {
        match self.parts.activity {
            Activity::Running if self.vmcs.get(field::GUEST_ACTIVITY_STATE) == ActivityState::HLT => Activity::Halted,
            other => other,
        }
    }

    pub(crate) fn write_activity(&mut self, activity: Activity) -> Result<(), StateError> {
        self.check_activity(activity)?;
        let is_halted = activity == Activity::Halted;
        self.put_activity(if is_halted { ActivityState::HLT } else { ActivityState::ACTIVE });
        self.parts.activity = if is_halted { Activity::Running } else { activity };
        Ok(())
    }

    fn put_activity(&mut self, state: ActivityState) {
        // There is none in HLT.
        self.end_shadow();
        // SAFETY: active, or halted, which the host's interrupts end. The others, in which a processor waits for a signal that may never
        // come, are not entered.
        unsafe { self.vmcs.put_sensitive(field::GUEST_ACTIVITY_STATE, state) };
    }

    fn check_activity(&self, activity: Activity) -> Result<(), StateError> {
        if activity == Activity::Halted && !self.parts.capabilities.misc().activity_hlt() {
            return Err(StateError::Activity(activity));
        }
        Ok(())
    }

    /// Before the delivery of an event. It ends HLT, in which the processor does not take every one.
    pub(crate) fn wake_up(&mut self) {
        if self.vmcs.get(field::GUEST_ACTIVITY_STATE) == ActivityState::HLT {
            self.put_activity(ActivityState::ACTIVE);
        }
    }

    /// A shadow is that of STI if interrupts are enabled, which the processor demands for it, and else that of MOV SS.
    pub(crate) fn write_blocking(&mut self, blocking: Interruptibility) {
        let enabled = self.rflags().r#if();
        let state = InterruptibilityState::new()
            .with_blocking_by_sti(blocking.shadow && enabled)
            .with_blocking_by_mov_ss(blocking.shadow && !enabled)
            .with_blocking_by_nmi(blocking.nmi_blocked);
        self.put_interruptibility_state(state);
        self.parts.nmi_handled = blocking.nmi_blocked;
        self.parts.events.set_global_interrupts(if blocking.gif_clear {
            GlobalInterrupts::Disabled
        } else {
            GlobalInterrupts::Enabled
        });
    }

    /// Behind MOV SS, the single step is one of the next instruction, and follows from RFLAGS.TF.
    pub(crate) fn read_pending_debug(&self) -> PendingDebugExceptions {
        let pending = self.vmcs.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS);
        let state = self.interruptibility_state();
        pending.with_bs(pending.bs() && !state.blocking_by_mov_ss())
    }

    /// In a shadow and in HLT, the processor demands BS if the guest steps, and only then.
    ///
    /// Intel SDM vol. 3, section 29.3.1.5, "Checks on Guest Non-Register State".
    pub(crate) fn write_pending_debug(&mut self, pending: PendingDebugExceptions) {
        let state = self.interruptibility_state();
        let is_held = state.blocking_by_sti() || state.blocking_by_mov_ss() || self.read_activity() == Activity::Halted;
        let steps = self.rflags().tf() && !self.vmcs.get(field::GUEST_IA32_DEBUGCTL).btf();
        let pending = if is_held { pending.with_bs(steps) } else { pending };
        self.vmcs.put(field::GUEST_PENDING_DEBUG_EXCEPTIONS, pending);
    }

    pub(crate) fn check_whole(&self, state: &VcpuState) -> Result<(), StateError> {
        state.check()?;
        self.check_registers(&state.cpu)?;
        let invalid = |bits| StateError::Bits { register: "XCR0", value: state.xcr0, bits };
        self.parts.fpu.check_xcr0(self.host, state.xcr0).map_err(invalid)?;
        if let Some(extended) = &state.extended {
            self.parts.fpu.check(self.host, extended)?;
        }
        self.check_activity(state.activity)?;
        // Intel SDM vol. 3, section 29.3.1.5, "Checks on Guest Non-Register State".
        if state.activity == Activity::Halted && (state.shadow || state.cpu.ss.rights.dpl() != 0) {
            return Err(StateError::Activity(state.activity));
        }
        Ok(())
    }
}

/// `rights` as an entry takes them: a segment that is not present is none, and the task-state segment in TR is busy.
///
/// Intel SDM vol. 3, section 29.3.1.2, "Checks on Guest Segment Registers".
pub(crate) fn rights(register: SegmentRegister, rights: SegmentAccessRights) -> SegmentAccessRights {
    const BUSY: u8 = 2;
    match register {
        SegmentRegister::Cs => rights,
        SegmentRegister::Tr => rights.with_segment_type(rights.segment_type() | BUSY),
        _ => rights.with_unusable(rights.unusable() || !rights.present()),
    }
}
