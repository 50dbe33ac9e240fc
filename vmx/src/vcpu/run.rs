//! Entries and exits.
#![expect(unsafe_code, reason = "enters the guest")]

use x86_virt_core::fpu::Osxsave;
use x86_virt_core::{
    Activity, AttachedKick, Cr4, Exit, ExitKind, Frames, HostDebug, HostXss, StateError, SwitchedMsr,
    endless_exceptions,
};

use super::{EntryError, NO_EXIT, Parts, VmxVcpu};
use crate::access::VmcsRead;
use crate::check::RuleSet;
use crate::eptp_switching::{EptpSpaces, eptp};
use crate::exit::{self, BasicExitReason, ExitReason};
use crate::field;
use crate::instruction_error::VmFail;
use crate::instructions::Outcome;
use crate::invalidate::ThisProcessor;
use crate::msrs;
use crate::shadow;
use crate::sub_pages::SubPages;
use crate::switch::LaunchState;
use crate::vmcs;
use crate::vpid::Stale;

/// What of the guest's mode the world switch needs. The guest cannot change it without an exit: CR0, CR4, EFER and DR7 are
/// intercepted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    usable: msrs::Set,
    osxsave: Osxsave,
    dr7: u64,
    /// There is something to do for SPEC_CTRL, TSC_AUX, IA32_XSS or a shadow that is over.
    has_more: bool,
}

impl<A: Frames> Parts<'_, '_, A> {
    /// Whether the next boundary between instructions shows if there is a shadow, even if no event waits: the guest has breakpoints, or
    /// the processor delivers virtual interrupts.
    const fn sees_shadow(&self, dr7: u64) -> bool {
        /// L0 to L3 and G0 to G3.
        const ENABLES: u64 = 0xff;
        dr7 & ENABLES != 0 || self.virtual_apic.is_some()
    }
}

impl Mode {
    #[cold]
    fn read<A: Frames>(vmcs: &impl VmcsRead, parts: &Parts<'_, '_, A>, xss: HostXss) -> Self {
        let (msrs, software_msrs) = (&parts.msrs, &parts.software_msrs);
        let dr7 = vmcs.get(field::GUEST_DR7);
        let efer = vmcs.get(field::GUEST_IA32_EFER);
        let osxsave = vmcs.get(field::CR4_READ_SHADOW).osxsave();
        let osxsave = if osxsave { Osxsave::Enabled } else { Osxsave::Disabled };
        Self {
            usable: msrs.usable(efer),
            osxsave,
            has_more: parts.sees_shadow(dr7.into_bits()) || software_msrs.is_any_switched() || xss.is_switched(osxsave),
            dr7: dr7.into_bits(),
        }
    }
}

impl<A: Frames> VmxVcpu<'_, '_, '_, A> {
    /// One entry and the exit from it; [`NO_EXIT`] if it was kicked before it entered.
    #[inline]
    pub(crate) fn enter(&mut self) -> Result<ExitReason, EntryError> {
        if let Some(fault) = self.vmcs.take_fault() {
            return Err(EntryError::Field(fault));
        }
        if self.parts.fpu.uses_xsave() && !Cr4::from(self.host.cr4()).osxsave() {
            return Err(EntryError::XsaveDisabled);
        }
        if self.parts.activity != Activity::Running {
            return Err(EntryError::NotRunning(self.parts.activity));
        }
        self.write_back();
        let interrupts_disabled = self.host.disable_interrupts();
        let inside = match self.kick.map(AttachedKick::enter) {
            Some(None) => return Ok(self.kicked()),
            Some(inside) => inside,
            None => None,
        };
        self.host_state.sync(self.host, &mut self.vmcs);
        self.invalidate()?;
        let plan = if self.parts.events.is_due() { Some(self.prepare_events()?) } else { None };
        if let Err(fail) = vmcs::check(self.switch()) {
            self.withdraw_event(plan.as_ref());
            return Err(self.explain(EntryError::Instruction { fail, violated: RuleSet::NONE, first: None }));
        }
        self.parts.cache.forget();
        let reason = self.vmcs.get(field::EXIT_REASON);
        self.parts.reason = reason;
        if reason.entry_failure() {
            self.withdraw_event(plan.as_ref());
            if reason.basic() == BasicExitReason::MACHINE_CHECK_DURING_ENTRY {
                // SAFETY: the entry took it, and ended.
                unsafe { self.host.call_machine_check_handler() };
            }
            let qualification = self.vmcs.get(field::EXIT_QUALIFICATION);
            let error = EntryError::Failed { reason, qualification, violated: RuleSet::NONE, first: None };
            return Err(self.explain(error));
        }
        self.vmcs.set_launched();
        self.parts.shadow_is_over = false;
        if let Some(plan) = plan {
            self.parts.events.entered(&plan);
        }
        self.after_exit(reason);
        drop(inside);
        drop(interrupts_disabled);
        Ok(reason)
    }

    /// What an exit is.
    #[inline]
    pub(crate) fn exit(&self, reason: ExitReason) -> Exit<ExitReason> {
        if reason == NO_EXIT {
            return Exit { kind: ExitKind::Kicked, reason };
        }
        Exit { kind: exit::decode_exit(reason, &self.vmcs, &self.parts.switch.gprs), reason }
    }

    /// Invalidates translations that were made before the last change of the tables, or of paging registers, once.
    #[inline]
    fn invalidate(&mut self) -> Result<(), EntryError> {
        let parts = &self.parts;
        let is_current = parts.seen == parts.space.generation()
            && !parts.needs_flush
            && parts.eptp_spaces.is_none()
            && parts.sub_pages.is_none();
        if is_current { Ok(()) } else { self.invalidate_stale().map_err(EntryError::Invalidation) }
    }

    fn invalidate_stale(&mut self) -> Result<(), VmFail> {
        let parts = &mut self.parts;
        if parts.sub_pages.as_mut().is_some_and(SubPages::note_generation) {
            parts.forget_generations();
        }
        let generation = parts.space.generation();
        let changed = parts.eptp_spaces.as_ref().map(EptpSpaces::note_generations);
        let stale = Stale {
            tables: changed.map_or(parts.seen != generation, |changed| changed.iter().any(|word| *word != 0)),
            registers: parts.needs_flush,
            is_first_use: parts.is_new,
        };
        if !stale.tables && !stale.registers {
            return Ok(());
        }
        self.switch_log();
        let parts = &mut self.parts;
        // `load` has seen to it that there is one.
        let Some(vpid) = parts.vpid else { return Err(VmFail::Invalid) };
        let plan = self.translations.plan(vpid, stale, parts.vpids);
        // SAFETY: in VMX root operation while a VMCS is current; `Controls::new` checked that INVEPT has one of the types, and INVVPID
        // if VPIDs are enabled.
        let mut processor = unsafe { ThisProcessor::new() };
        let done = match parts.eptp_spaces.as_ref().zip(changed) {
            Some((spaces, changed)) => self.translations.perform(&mut processor, plan, vpid, spaces.eptps(changed)),
            None => self.translations.perform(&mut processor, plan, vpid, core::iter::once(eptp(parts.space))),
        };
        if done.is_err() {
            parts.forget_generations();
            return done;
        }
        parts.seen = generation;
        parts.needs_flush = false;
        parts.is_new = false;
        Ok(())
    }

    /// The world switch with all state that is not in the VMCS. Interrupts are disabled.
    #[inline(always)]
    fn switch(&mut self) -> Outcome {
        let mode = match self.parts.mode {
            Some(mode) => mode,
            None => self.read_mode(),
        };
        let parts = &mut self.parts;
        match &mut self.resident {
            Some(resident) => resident.load(&mut parts.msrs, mode.usable),
            None => parts.msrs.enter(self.host, mode.usable),
        }
        if mode.has_more {
            if parts.sees_shadow(mode.dr7) {
                shadow::end(&mut self.vmcs, &mut parts.shadow_is_over);
            }
            parts.software_msrs.enter(self.host);
            self.xss.clear(self.host, mode.osxsave);
        }
        let debug = HostDebug::exchange(self.host, mode.dr7, &parts.breakpoints);
        debug.load_dr6(self.host, parts.dr6);
        if self.host.cr2() != parts.cr2 {
            // SAFETY: the host reads CR2 only in its page-fault handler, right after a fault.
            unsafe { self.host.set_cr2(parts.cr2) };
        }
        let state = if self.vmcs.is_launched() { LaunchState::Launched } else { LaunchState::Clear };
        let fpu = parts.fpu.prepare(mode.osxsave);
        // SAFETY: `initialize` and `HostState` wrote the VMCS, which is current while `self.vmcs` lives; `state` and
        // `host_rsp` are kept with it; interrupts are disabled.
        let outcome = unsafe { parts.switch.enter(state, fpu) };
        parts.cr2 = self.host.cr2();
        parts.dr6 = self.host.dr6();
        debug.restore(self.host, parts.dr6);
        if mode.has_more {
            self.xss.restore(self.host, mode.osxsave);
            parts.software_msrs.leave(self.host);
        }
        if self.resident.is_none() {
            parts.msrs.leave(self.host, mode.usable);
        }
        if outcome == Outcome::Succeed {
            self.host_state.restore(self.host);
        }
        outcome
    }

    /// Reads the mode after a change, of which the exceptions depend that leave the guest for the host's sake. The change may let a shadow
    /// be seen that is over.
    #[cold]
    fn read_mode(&mut self) -> Mode {
        self.end_shadow();
        let mode = Mode::read(&self.vmcs, &self.parts, self.xss);
        self.parts.mode = Some(mode);
        if endless_exceptions(mode.dr7) != self.parts.endless {
            self.write_exceptions();
        }
        mode
    }

    /// Brings back what of the host's is away between runs. The guest's next entry takes it away again.
    pub(crate) fn bring_host_back(&mut self) {
        if let Some(resident) = &mut self.resident {
            resident.unload(&mut self.parts.msrs);
        }
    }

    /// The guest's value of an MSR that no VMCS field holds.
    pub(crate) fn guest_msr(&self, msr: SwitchedMsr) -> u64 {
        let resident = self.resident.as_ref().and_then(|resident| resident.value(msr));
        let parts = &self.parts;
        resident.or_else(|| parts.software_msrs.guest(msr)).or_else(|| parts.msrs.guest(msr)).unwrap_or(0)
    }

    pub(crate) fn set_guest_msr(&mut self, msr: SwitchedMsr, value: u64) -> Result<(), StateError> {
        self.bring_host_back();
        self.parts.msrs.set_guest(msr, value);
        self.parts.mode = None;
        self.parts.software_msrs.set_guest(msr, value)
    }
}
