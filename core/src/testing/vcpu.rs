//! The scripted processor as a [`Vcpu`].
#![expect(unsafe_code, reason = "implements methods that are the caller's promise")]

use core::ops::RangeInclusive;

use alloc::vec::Vec;

use crate::addr::Gva;
use crate::apic::GuestApic;
use crate::event::{Event, Events, GlobalInterrupts, Interruptibility};
use crate::exit::{Exit, ExitKind};
use crate::linear;
use crate::permission::{MsrAccess, MsrRangeError, SwitchedMsr};
use crate::register::{ControlRegister, Cr4, Efer, Gprs, Rflags};
use crate::segment::{DescriptorTable, Segment, SegmentRegister};
use crate::state::{Activity, CpuState, ExtendedState, PendingDebugExceptions, StateError, VcpuState};
use crate::testing::scripted::{GUEST_EFER, ScriptedReason, ScriptedVcpu, Semantics};
use crate::vcpu::{FetchedInstruction, SkipError, Vcpu};

/// Bits of RFLAGS, DR6 and DR7 that are not reserved, and those that are always 1.
const RFLAGS_DEFINED: u64 = 0x003f_7fd5;
const DR6_DEFINED: u64 = 0xe00f;
const DR6_FIXED: u64 = 0xffff_0ff0;
const DR7_DEFINED: u64 = 0xffff_23ff;
const DR7_FIXED: u64 = 0x400;

/// Methods that read or write one register of the state.
macro_rules! registers {
    ($($get:ident, $set:ident: $type:ty;)*) => {
        $(
            fn $get(&self) -> $type {
                self.state.cpu.$get
            }

            fn $set(&mut self, value: $type) {
                self.state.cpu.$get = value;
            }
        )*
    };
}

/// It has no virtual APIC.
impl GuestApic for ScriptedVcpu {}

impl Vcpu for ScriptedVcpu {
    type Reason = ScriptedReason;
    type EntryError = super::ScriptError;

    registers! {
        rip, set_rip: u64;
        rsp, set_rsp: u64;
        gdtr, set_gdtr: DescriptorTable;
        idtr, set_idtr: DescriptorTable;
    }

    fn run(&mut self) -> Result<Exit<ScriptedReason>, super::ScriptError> {
        let kind = self.next_exit()?;
        Ok(Exit { kind, reason: ScriptedReason { name: kind.name(), semantics: self.semantics } })
    }

    fn gprs(&self) -> &Gprs {
        &self.state.cpu.gprs
    }

    fn gprs_mut(&mut self) -> &mut Gprs {
        &mut self.state.cpu.gprs
    }

    fn rflags(&self) -> Rflags {
        self.state.cpu.rflags
    }

    fn set_rflags(&mut self, rflags: Rflags) {
        self.state.cpu.rflags = Rflags::from_bits(rflags.into_bits() & RFLAGS_DEFINED).with_one(true);
    }

    fn control(&self, register: ControlRegister) -> u64 {
        match register {
            ControlRegister::Cr0 => self.state.cpu.cr0.into(),
            ControlRegister::Cr2 => self.state.cpu.cr2,
            ControlRegister::Cr3 => self.state.cpu.cr3,
            ControlRegister::Cr4 => self.state.cpu.cr4.into(),
            ControlRegister::Cr8 => self.state.cr8,
        }
    }

    fn set_control(&mut self, register: ControlRegister, value: u64) -> Result<(), StateError> {
        Self::check_control(register, value)?;
        match register {
            ControlRegister::Cr0 => self.state.cpu.cr0 = value.into(),
            ControlRegister::Cr2 => self.state.cpu.cr2 = value,
            ControlRegister::Cr3 => self.state.cpu.cr3 = value,
            ControlRegister::Cr4 => self.state.cpu.cr4 = Cr4::from(value),
            ControlRegister::Cr8 => self.state.cr8 = value,
        }
        self.update_lma();
        Ok(())
    }

    fn efer(&self) -> Efer {
        self.state.cpu.efer
    }

    fn set_efer(&mut self, efer: Efer) {
        self.state.cpu.efer = Efer::from_bits(efer.into_bits() & GUEST_EFER);
        self.update_lma();
    }

    fn segment(&self, register: SegmentRegister) -> Segment {
        self.state.cpu.segment(register)
    }

    fn set_segment(&mut self, register: SegmentRegister, segment: Segment) {
        *self.state.cpu.segment_mut(register) = segment;
    }

    fn breakpoints(&self) -> [u64; 4] {
        self.state.breakpoints
    }

    fn set_breakpoints(&mut self, addresses: [u64; 4]) -> Result<(), StateError> {
        for (register, value) in ["DR0", "DR1", "DR2", "DR3"].into_iter().zip(addresses) {
            if !Gva::new(value).is_canonical(self.linear_width()) {
                return Err(StateError::NonCanonical { register, value });
            }
        }
        self.state.breakpoints = addresses;
        Ok(())
    }

    fn dr6(&self) -> u64 {
        self.state.dr6
    }

    fn set_dr6(&mut self, dr6: u64) {
        self.state.dr6 = dr6 & DR6_DEFINED | DR6_FIXED;
    }

    fn dr7(&self) -> u64 {
        self.state.cpu.dr7
    }

    fn set_dr7(&mut self, dr7: u64) {
        self.state.cpu.dr7 = dr7 & DR7_DEFINED | DR7_FIXED;
    }

    fn xcr0(&self) -> u64 {
        self.state.xcr0
    }

    fn set_xcr0(&mut self, xcr0: u64) -> Result<(), StateError> {
        Self::check_xcr0(xcr0)?;
        self.state.xcr0 = xcr0;
        Ok(())
    }

    fn msr(&self, msr: SwitchedMsr) -> u64 {
        self.state.msr(msr)
    }

    fn set_msr(&mut self, msr: SwitchedMsr, value: u64) -> Result<(), StateError> {
        msr.check(value, self.linear_width())?;
        match msr {
            SwitchedMsr::FsBase => self.state.cpu.fs.base = value,
            SwitchedMsr::GsBase => self.state.cpu.gs.base = value,
            other => _ = self.state.msrs.set(other, value),
        }
        Ok(())
    }

    fn next_rip(&self) -> Result<u64, SkipError> {
        let current = self.current.as_ref().ok_or(SkipError::NotAnInstruction)?;
        let from = match (self.semantics, current.is_instruction, current.kind) {
            (Semantics::Vmx, true, _) => self.state.cpu.rip,
            (Semantics::Svm, true, _)
            | (Semantics::Svm, false, ExitKind::NestedFault(_) | ExitKind::Exception { .. }) => current.rip,
            _ => return Err(SkipError::NotAnInstruction),
        };
        let Some(length) = current.length.filter(|_| self.reports_next_rip) else {
            return Err(SkipError::NotReported);
        };
        let next = from.wrapping_add(length.into());
        Ok(if linear::is_64_bit(self) { next } else { next & 0xffff_ffff })
    }

    fn interruptibility(&self) -> Interruptibility {
        Interruptibility {
            interrupts_enabled: self.state.cpu.rflags.r#if(),
            shadow: self.state.shadow,
            nmi_blocked: self.state.nmi_blocked,
            gif_clear: self.events.global_interrupts() == GlobalInterrupts::Disabled,
            debug_pending: self.events.pending_debug() != 0,
            task_priority: u8::try_from(self.state.cr8).unwrap_or(u8::MAX),
        }
    }

    fn clear_shadow(&mut self) {
        self.state.shadow = false;
    }

    fn events(&self) -> &Events {
        &self.events
    }

    fn events_mut(&mut self) -> &mut Events {
        &mut self.events
    }

    fn cancel_event(&mut self) -> Option<Event> {
        let event = self.events.cancel()?;
        if event == Event::Nmi {
            // Its delivery may have begun, which blocked them.
            self.state.nmi_blocked = false;
        }
        Some(event)
    }

    fn fetched_instruction(&self) -> FetchedInstruction {
        self.fetched
    }

    fn pass_msr(&mut self, msr: SwitchedMsr, access: MsrAccess) {
        self.passed_msrs.push((msr.number(), access));
    }

    unsafe fn pass_host_msr(&mut self, msr: u32, access: MsrAccess) -> Result<(), MsrRangeError> {
        if !matches!(msr, 0..0x2000 | 0xc000_0000..0xc000_2000) {
            return Err(MsrRangeError { msr });
        }
        self.passed_msrs.push((msr, access));
        Ok(())
    }

    fn intercept_msr(&mut self, msr: u32, access: MsrAccess) {
        let mut kept = Vec::new();
        for (passed, direction) in self.passed_msrs.drain(..) {
            if passed != msr {
                kept.push((passed, direction));
                continue;
            }
            let reads = direction.reads() && !access.reads();
            let writes = direction.writes() && !access.writes();
            kept.extend(reads.then_some((msr, MsrAccess::Read)));
            kept.extend(writes.then_some((msr, MsrAccess::Write)));
        }
        self.passed_msrs = kept;
    }

    unsafe fn pass_ports(&mut self, ports: RangeInclusive<u16>) {
        self.passed_ports.push(ports);
    }

    fn intercept_ports(&mut self, ports: RangeInclusive<u16>) {
        let mut kept = Vec::new();
        for passed in self.passed_ports.drain(..) {
            let below = ports.start().checked_sub(1).map(|end| *passed.start()..=end.min(*passed.end()));
            let above = ports.end().checked_add(1).map(|start| start.max(*passed.start())..=*passed.end());
            kept.extend([below, above].into_iter().flatten().filter(|part| !part.is_empty()));
        }
        self.passed_ports = kept;
    }

    fn set_state(&mut self, state: &CpuState) -> Result<(), StateError> {
        Self::check_cpu(state)?;
        self.state.cpu = *state;
        self.set_rflags(state.rflags);
        self.set_dr7(state.dr7);
        self.update_lma();
        Ok(())
    }

    fn activity(&self) -> Activity {
        self.state.activity
    }

    fn set_activity(&mut self, activity: Activity) -> Result<(), StateError> {
        self.state.activity = activity;
        Ok(())
    }

    fn pending_debug(&self) -> PendingDebugExceptions {
        PendingDebugExceptions::of_dr6(self.events.pending_debug())
    }

    fn set_pending_debug(&mut self, pending: PendingDebugExceptions) {
        self.events.set_debug(if pending.raises() { pending.dr6_bits() } else { 0 });
    }

    fn set_blocking(&mut self, blocking: Interruptibility) {
        self.state.shadow = blocking.shadow;
        self.state.nmi_blocked = blocking.nmi_blocked;
        self.events.set_global_interrupts(if blocking.gif_clear {
            GlobalInterrupts::Disabled
        } else {
            GlobalInterrupts::Enabled
        });
    }

    fn save_extended(&self, state: &mut Option<ExtendedState>) {
        state.clone_from(&self.state.extended);
    }

    fn set_extended(&mut self, state: &ExtendedState) -> Result<(), StateError> {
        if self.state.extended.is_none() {
            return Err(StateError::NotSwitched);
        }
        self.state.extended = Some(state.clone());
        Ok(())
    }

    fn check_state(&self, state: &VcpuState) -> Result<(), StateError> {
        state.check()?;
        Self::check_cpu(&state.cpu)?;
        Self::check_xcr0(state.xcr0)?;
        if state.extended.is_some() && self.state.extended.is_none() {
            return Err(StateError::NotSwitched);
        }
        Ok(())
    }
}
