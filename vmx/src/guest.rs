//! The guest's registers.
#![expect(unsafe_code, reason = "the entry controls follow the guest's mode")]

use core::ops::RangeInclusive;

use x86::msr::IA32_EFER;
use x86_virt_core::{
    Activity, ControlRegister, CpuState, Cr0, Cr4, DebugControl, DescriptorTable, Dr7, Efer, Event, Events, Exit,
    ExtendedState, Frames, GlobalInterrupts, Gpa, Gprs, Gva, Interruptibility, MsrAccess, MsrBitmap as _,
    MsrRangeError, PendingDebugExceptions, Permission, PortBitmap as _, Rflags, Segment, SegmentRegister, SkipError,
    StateError, SwitchedMsr, Vcpu, VcpuState,
};

use crate::access::{VmcsRead, VmcsWrite};
use crate::control::EntryControls;
use crate::cr_mask;
use crate::event::InterruptibilityState;
use crate::exit::ExitReason;
use crate::field::{self, Field, ReadWrite};
use crate::guest_state::ActivityState;
use crate::segment::SegmentFields;
use crate::vcpu::{DR6_AFTER_RESET, EntryError, VmxVcpu};
use crate::vcpu_state;
use crate::vmcs::CurrentVmcs;

/// Bits of CR0 that a guest may have.
const GUEST_CR0: Cr0 = Cr0::new()
    .with_pe(true)
    .with_mp(true)
    .with_em(true)
    .with_ts(true)
    .with_et(true)
    .with_ne(true)
    .with_wp(true)
    .with_am(true)
    .with_nw(true)
    .with_cd(true)
    .with_pg(true);

/// Bits of CR4 that a guest may have: those whose state the processor or the library keeps apart from the host's. Not
/// VMXE, SMXE, PKE, CET, PKS, UINTR, LASS, LAM and FRED.
const GUEST_CR4: u64 = 0x0037_1fff;

/// Bits of EFER that Intel's processors have: SCE, LME, LMA and NXE.
const GUEST_EFER: u64 = 0xd01;

/// CR4.MCE: a guest runs with the host's, since a machine check while it is 0 would shut the processor down.
const MACHINE_CHECK_ENABLE: u64 = 1 << 6;

/// Bits of CR0 that change how linear addresses are translated.
const CR0_PAGING: Cr0 = Cr0::new().with_pe(true).with_wp(true).with_pg(true);

/// Bits of CR4 that do so.
const CR4_PAGING: Cr4 = Cr4::new()
    .with_pse(true)
    .with_pae(true)
    .with_pge(true)
    .with_la57(true)
    .with_pcide(true)
    .with_smep(true)
    .with_smap(true);

/// Bits of EFER that do so.
const EFER_PAGING: Efer = Efer::new().with_lme(true).with_lma(true).with_nxe(true);

impl<A: Frames> VmxVcpu<'_, '_, '_, A> {
    /// The registers as after INIT, and non-register state.
    pub(crate) fn initialize_guest(&mut self) {
        self.write_masks();
        self.vmcs.put(field::GUEST_INTERRUPTIBILITY_STATE, InterruptibilityState::new());
        // SAFETY: active: the processor executes instructions, and does not wait for a signal that may never come.
        unsafe { self.vmcs.put_sensitive(field::GUEST_ACTIVITY_STATE, ActivityState::ACTIVE) };
        self.vmcs.put(field::GUEST_PENDING_DEBUG_EXCEPTIONS, PendingDebugExceptions::new());
        self.vmcs.put(field::GUEST_IA32_DEBUGCTL, DebugControl::new());
        self.vmcs.put(field::GUEST_IA32_SYSENTER_CS, 0);
        self.vmcs.put(field::GUEST_IA32_SYSENTER_ESP, 0);
        self.vmcs.put(field::GUEST_IA32_SYSENTER_EIP, 0);
        self.write_state(&CpuState::real_mode(0xf000, 0xfff0));
    }

    fn write_state(&mut self, state: &CpuState) {
        self.parts.switch.gprs = state.gprs;
        self.set_rip(state.rip);
        self.set_rsp(state.rsp);
        self.set_rflags(state.rflags);
        self.write_cr0(state.cr0);
        self.write_cr4(state.cr4);
        self.write_efer(state.efer, state.cr0);
        self.vmcs.put(field::GUEST_CR3, state.cr3);
        self.flush_tlb();
        self.parts.cr2 = state.cr2;
        for register in SegmentRegister::ALL {
            self.set_segment(register, state.segment(register));
        }
        self.set_gdtr(state.gdtr);
        self.set_idtr(state.idtr);
        self.set_dr7(state.dr7);
        self.load_pdptes();
    }

    /// CR0 as the processor uses it: the guest's, with caching and NE as VMX requires.
    fn write_cr0(&mut self, cr0: Cr0) {
        let fixed = Cr0::from(self.parts.capabilities.raw().cr0_fixed0).with_pe(false).with_pg(false);
        let real = cr0.with_cd(false).with_nw(false).into_bits() | fixed.into_bits();
        self.note_paging(self.guest_cr0().into_bits() ^ cr0.into_bits(), CR0_PAGING.into_bits());
        self.vmcs.put(field::GUEST_CR0, Cr0::from(real));
        self.vmcs.put(field::CR0_READ_SHADOW, cr0);
    }

    /// CR4 as the processor uses it: the guest's, with VMXE, and MCE as the host has it.
    fn write_cr4(&mut self, cr4: Cr4) {
        let real = cr4.into_bits() | self.parts.capabilities.raw().cr4_fixed0 | self.host.cr4() & MACHINE_CHECK_ENABLE;
        self.note_paging(self.guest_cr4().into_bits() ^ cr4.into_bits(), CR4_PAGING.into_bits());
        // SAFETY: `check_cr4`, or the state after INIT, lets only bits through whose state is kept apart from the host's.
        unsafe { self.vmcs.put_sensitive(field::GUEST_CR4, Cr4::from(real)) };
        self.vmcs.put(field::CR4_READ_SHADOW, cr4);
        self.parts.mode = None;
    }

    /// EFER with the LMA that follows from LME and `cr0`, and the entry control that goes with it.
    fn write_efer(&mut self, efer: Efer, cr0: Cr0) {
        let efer = Efer::from_bits(efer.into_bits() & GUEST_EFER).with_lma(efer.lme() && cr0.pg());
        self.note_paging(self.guest_efer().into_bits() ^ efer.into_bits(), EFER_PAGING.into_bits());
        self.vmcs.put(field::GUEST_IA32_EFER, efer);
        self.parts.mode = None;
        let controls = self.vmcs.get(field::ENTRY_CONTROLS).without(EntryControls::IA32E_MODE_GUEST);
        let mode = if efer.lma() { EntryControls::IA32E_MODE_GUEST } else { EntryControls::NONE };
        // SAFETY: the mode of the guest does not concern the host.
        unsafe { self.vmcs.put_sensitive(field::ENTRY_CONTROLS, controls | mode) };
    }

    /// Takes note that translations of the guest are void if bits have changed that decide about them. The guest's own changes end
    /// a run, or the processor sees to it itself.
    ///
    /// Intel SDM vol. 3, section 31.4.3.1, "Operations that Invalidate Cached Mappings".
    const fn note_paging(&mut self, changed: u64, paging: u64) {
        if changed & paging != 0 {
            self.flush_tlb();
        }
    }

    pub(crate) fn guest_cr0(&self) -> Cr0 {
        let owned = self.parts.chosen.owned.cr0.into_bits();
        let real = self.vmcs.get(field::GUEST_CR0).into_bits();
        let shadow = self.vmcs.get(field::CR0_READ_SHADOW).into_bits();
        Cr0::from(cr_mask::seen(real, shadow, owned))
    }

    pub(crate) fn guest_cr4(&self) -> Cr4 {
        let owned = self.parts.chosen.owned.cr4.into_bits();
        let shadow = self.vmcs.get(field::CR4_READ_SHADOW);
        if owned == 0 {
            return shadow;
        }
        let real = self.vmcs.get(field::GUEST_CR4).into_bits();
        Cr4::from(cr_mask::seen(real, shadow.into_bits(), owned))
    }

    /// Loads the four entries that PAE paging keeps in registers, as MOV to CR3 does.
    ///
    /// Intel SDM vol. 3, section 5.4.1, "PDPTE Registers".
    fn load_pdptes(&mut self) {
        if !self.guest_cr0().pg() || !self.guest_cr4().pae() || self.guest_efer().lma() {
            return;
        }
        let table = self.vmcs.get(field::GUEST_CR3) & 0xffff_ffe0;
        let fields = [field::GUEST_PDPTE0, field::GUEST_PDPTE1, field::GUEST_PDPTE2, field::GUEST_PDPTE3];
        for (offset, field) in (0_u64..).step_by(8).zip(fields) {
            let mut entry = [0; 8];
            // An entry that cannot be read is not present.
            let read = self.space().read(Gpa::new(table | offset), &mut entry);
            self.vmcs.put(field, if read.is_ok() { u64::from_le_bytes(entry) } else { 0 });
        }
    }

    /// The width of linear addresses with this CR4.
    fn linear_width(cr4: Cr4) -> u32 {
        if cr4.la57() { 57 } else { 48 }
    }

    fn check_cr0(value: u64) -> Result<Cr0, StateError> {
        let cr0 = Cr0::from(value);
        let mut bits = value & !GUEST_CR0.into_bits();
        if cr0.pg() && !cr0.pe() {
            bits |= Cr0::new().with_pg(true).into_bits();
        }
        if cr0.nw() && !cr0.cd() {
            bits |= Cr0::new().with_nw(true).into_bits();
        }
        if bits == 0 { Ok(cr0) } else { Err(StateError::Bits { register: "CR0", value, bits }) }
    }

    fn check_cr4(&self, value: u64) -> Result<Cr4, StateError> {
        let osxsave = if self.parts.fpu.allows_osxsave() { 0 } else { Cr4::new().with_osxsave(true).into_bits() };
        let allowed = GUEST_CR4 & self.parts.capabilities.raw().cr4_fixed1 & !osxsave;
        let bits = value & !allowed;
        if bits == 0 { Ok(Cr4::from(value)) } else { Err(StateError::Bits { register: "CR4", value, bits }) }
    }

    pub(crate) fn check_registers(&self, state: &CpuState) -> Result<(), StateError> {
        Self::check_cr0(state.cr0.into_bits())?;
        self.check_cr4(state.cr4.into_bits())?;
        check_cr3(state.cr3, self.parts.capabilities.raw().physical_address_width)?;
        let efer = state.efer.into_bits();
        if efer & !GUEST_EFER != 0 {
            return Err(StateError::Bits { register: "EFER", value: efer, bits: efer & !GUEST_EFER });
        }
        let width = Self::linear_width(state.cr4);
        if state.efer.lma() && state.cs.rights.long() {
            check_canonical("RIP", state.rip, width)?;
        }
        for (register, base) in [
            ("FS base", state.fs.base),
            ("GS base", state.gs.base),
            ("LDTR base", state.ldtr.base),
            ("TR base", state.tr.base),
            ("GDTR base", state.gdtr.base),
            ("IDTR base", state.idtr.base),
        ] {
            check_canonical(register, base, width)?;
        }
        Ok(())
    }
}

fn check_cr3(value: u64, width: u8) -> Result<(), StateError> {
    let bits = value & !((1 << width) - 1);
    if bits == 0 { Ok(()) } else { Err(StateError::Bits { register: "CR3", value, bits }) }
}

fn check_canonical(register: &'static str, value: u64, width: u32) -> Result<(), StateError> {
    if Gva::new(value).is_canonical(width) { Ok(()) } else { Err(StateError::NonCanonical { register, value }) }
}

impl<A: Frames> Vcpu for VmxVcpu<'_, '_, '_, A> {
    type Reason = ExitReason;
    type EntryError = EntryError;

    fn run(&mut self) -> Result<Exit<ExitReason>, EntryError> {
        if self.parts.events.is_due() && self.parts.events.take_shutdown() {
            return Ok(self.shut_down());
        }
        if self.parts.time.is_timed() {
            self.stop_timer();
        }
        loop {
            let exit = self.enter()?;
            if !self.log_exit(&exit) && !self.is_own_window(&exit) {
                return Ok(exit);
            }
        }
    }

    fn gprs(&self) -> &Gprs {
        &self.parts.switch.gprs
    }

    fn gprs_mut(&mut self) -> &mut Gprs {
        &mut self.parts.switch.gprs
    }

    fn rip(&self) -> u64 {
        self.parts.cache.rip.get(|| self.vmcs.get(field::GUEST_RIP))
    }

    fn set_rip(&mut self, rip: u64) {
        self.parts.cache.rip.set(rip);
    }

    fn rsp(&self) -> u64 {
        self.parts.cache.rsp.get(|| self.vmcs.get(field::GUEST_RSP))
    }

    fn set_rsp(&mut self, rsp: u64) {
        self.parts.cache.rsp.set(rsp);
    }

    fn rflags(&self) -> Rflags {
        self.parts.cache.rflags.get(|| self.vmcs.get(field::GUEST_RFLAGS))
    }

    fn set_rflags(&mut self, rflags: Rflags) {
        /// Bits of RFLAGS that are not reserved.
        const DEFINED: u64 = 0x003f_7fd5;
        let rflags = Rflags::from(rflags.into_bits() & DEFINED).with_one(true);
        self.parts.cache.rflags.set(rflags);
    }

    fn control(&self, register: ControlRegister) -> u64 {
        match register {
            ControlRegister::Cr0 => self.guest_cr0().into_bits(),
            ControlRegister::Cr2 => self.parts.cr2,
            ControlRegister::Cr3 => self.vmcs.get(field::GUEST_CR3),
            ControlRegister::Cr4 => self.guest_cr4().into_bits(),
            ControlRegister::Cr8 => self.parts.cr8,
        }
    }

    fn set_control(&mut self, register: ControlRegister, value: u64) -> Result<(), StateError> {
        match register {
            ControlRegister::Cr0 => {
                let cr0 = Self::check_cr0(value)?;
                self.write_cr0(cr0);
                self.write_efer(self.guest_efer(), cr0);
                self.load_pdptes();
            }
            ControlRegister::Cr2 => self.parts.cr2 = value,
            ControlRegister::Cr3 => {
                check_cr3(value, self.parts.capabilities.raw().physical_address_width)?;
                self.vmcs.put(field::GUEST_CR3, value);
                self.flush_tlb();
                self.load_pdptes();
            }
            ControlRegister::Cr4 => {
                let cr4 = self.check_cr4(value)?;
                self.write_cr4(cr4);
                self.load_pdptes();
            }
            ControlRegister::Cr8 => {
                let bits = value & !0xf;
                if bits != 0 {
                    return Err(StateError::Bits { register: "CR8", value, bits });
                }
                self.parts.cr8 = value;
            }
        }
        Ok(())
    }

    fn efer(&self) -> Efer {
        self.guest_efer()
    }

    /// Bits that Intel's processors do not have are left out.
    fn set_efer(&mut self, efer: Efer) {
        let cr0 = self.guest_cr0();
        self.write_efer(efer, cr0);
    }

    fn segment(&self, register: SegmentRegister) -> Segment {
        let fields = SegmentFields::of(register);
        Segment {
            selector: self.vmcs.get(fields.selector),
            rights: self.vmcs.get(fields.rights),
            limit: self.vmcs.get(fields.limit),
            base: self.vmcs.get(fields.base),
        }
    }

    fn set_segment(&mut self, register: SegmentRegister, segment: Segment) {
        let fields = SegmentFields::of(register);
        self.vmcs.put(fields.selector, segment.selector);
        self.vmcs.put(fields.rights, vcpu_state::rights(register, segment.rights));
        self.vmcs.put(fields.limit, segment.limit);
        self.vmcs.put(fields.base, segment.base);
    }

    fn gdtr(&self) -> DescriptorTable {
        table(&self.vmcs, field::GUEST_GDTR_BASE, field::GUEST_GDTR_LIMIT)
    }

    fn set_gdtr(&mut self, table: DescriptorTable) {
        self.vmcs.put(field::GUEST_GDTR_BASE, table.base);
        self.vmcs.put(field::GUEST_GDTR_LIMIT, u32::from(table.limit));
    }

    fn idtr(&self) -> DescriptorTable {
        table(&self.vmcs, field::GUEST_IDTR_BASE, field::GUEST_IDTR_LIMIT)
    }

    fn set_idtr(&mut self, table: DescriptorTable) {
        self.vmcs.put(field::GUEST_IDTR_BASE, table.base);
        self.vmcs.put(field::GUEST_IDTR_LIMIT, u32::from(table.limit));
    }

    fn breakpoints(&self) -> [u64; 4] {
        self.parts.breakpoints
    }

    fn set_breakpoints(&mut self, addresses: [u64; 4]) -> Result<(), StateError> {
        let width = Self::linear_width(self.guest_cr4());
        for (name, address) in ["DR0", "DR1", "DR2", "DR3"].into_iter().zip(addresses) {
            check_canonical(name, address, width)?;
        }
        self.parts.breakpoints = addresses;
        Ok(())
    }

    fn dr6(&self) -> u64 {
        self.parts.dr6
    }

    fn set_dr6(&mut self, dr6: u64) {
        /// B0 to B3, BD, BS and BT.
        const DEFINED: u64 = 0xe00f;
        self.parts.dr6 = dr6 & DEFINED | DR6_AFTER_RESET;
    }

    fn dr7(&self) -> u64 {
        self.vmcs.get(field::GUEST_DR7).into_bits()
    }

    fn set_dr7(&mut self, dr7: u64) {
        // Bit 10 is always 1; bit 11 (RTM), bits 12, 14 and 15 and the upper half are 0.
        self.vmcs.put(field::GUEST_DR7, Dr7::from_bits(dr7 & 0xffff_23ff).with_one(true));
        self.parts.mode = None;
    }

    fn xcr0(&self) -> u64 {
        self.parts.fpu.xcr0()
    }

    fn set_xcr0(&mut self, xcr0: u64) -> Result<(), StateError> {
        let refused = |bits| StateError::Bits { register: "XCR0", value: xcr0, bits };
        self.parts.fpu.set_xcr0(self.host, xcr0).map_err(refused)
    }

    fn msr(&self, msr: SwitchedMsr) -> u64 {
        match msr {
            SwitchedMsr::SysenterCs => u64::from(self.vmcs.get(field::GUEST_IA32_SYSENTER_CS)),
            SwitchedMsr::SysenterEsp => self.vmcs.get(field::GUEST_IA32_SYSENTER_ESP),
            SwitchedMsr::SysenterEip => self.vmcs.get(field::GUEST_IA32_SYSENTER_EIP),
            SwitchedMsr::Pat => self.vmcs.get(field::GUEST_IA32_PAT),
            SwitchedMsr::FsBase => self.vmcs.get(field::GUEST_FS_BASE),
            SwitchedMsr::GsBase => self.vmcs.get(field::GUEST_GS_BASE),
            other => self.parts.msrs.guest(other).unwrap_or(0),
        }
    }

    fn set_msr(&mut self, msr: SwitchedMsr, value: u64) -> Result<(), StateError> {
        msr.check(value, Self::linear_width(self.guest_cr4()))?;
        match msr {
            SwitchedMsr::SysenterCs => {
                let [a, b, c, d, ..] = value.to_le_bytes();
                self.vmcs.put(field::GUEST_IA32_SYSENTER_CS, u32::from_le_bytes([a, b, c, d]));
            }
            SwitchedMsr::SysenterEsp => self.vmcs.put(field::GUEST_IA32_SYSENTER_ESP, value),
            SwitchedMsr::SysenterEip => self.vmcs.put(field::GUEST_IA32_SYSENTER_EIP, value),
            SwitchedMsr::Pat => self.vmcs.put(field::GUEST_IA32_PAT, value),
            SwitchedMsr::FsBase => self.vmcs.put(field::GUEST_FS_BASE, value),
            SwitchedMsr::GsBase => self.vmcs.put(field::GUEST_GS_BASE, value),
            other => self.parts.msrs.set_guest(other, value),
        }
        Ok(())
    }

    fn next_rip(&self) -> Result<u64, SkipError> {
        if !self.parts.reason.basic().is_instruction() {
            return Err(SkipError::NotAnInstruction);
        }
        let length = self.vmcs.get(field::EXIT_INSTRUCTION_LENGTH);
        let next = self.rip().wrapping_add(u64::from(length));
        // Only 64-bit code has a RIP of more than 32 bits, so that only code just below 4 GiB can be elsewhere.
        let wraps = next >> 32 != 0 && !(self.efer().lma() && self.segment(SegmentRegister::Cs).rights.long());
        Ok(if wraps { next & 0xffff_ffff } else { next })
    }

    fn interruptibility(&self) -> Interruptibility {
        let state = self.vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE);
        let pending = self.vmcs.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS);
        Interruptibility {
            interrupts_enabled: self.rflags().r#if(),
            shadow: state.blocking_by_sti() || state.blocking_by_mov_ss(),
            nmi_blocked: state.blocking_by_nmi(),
            gif_clear: self.parts.events.global_interrupts() == GlobalInterrupts::Disabled,
            debug_pending: pending.bs() || pending.enabled_breakpoint() || pending.rtm(),
            task_priority: u8::try_from(self.parts.cr8).unwrap_or(u8::MAX),
        }
    }

    fn clear_shadow(&mut self) {
        let state = self.vmcs.get(field::GUEST_INTERRUPTIBILITY_STATE);
        if state.blocking_by_sti() || state.blocking_by_mov_ss() {
            let open = state.with_blocking_by_sti(false).with_blocking_by_mov_ss(false);
            self.vmcs.put(field::GUEST_INTERRUPTIBILITY_STATE, open);
        }
    }

    fn raise_single_step(&mut self) {
        // With DEBUGCTL.BTF the guest steps from branch to branch.
        if !self.vmcs.get(field::GUEST_IA32_DEBUGCTL).btf() {
            let pending = self.vmcs.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS);
            self.vmcs.put(field::GUEST_PENDING_DEBUG_EXCEPTIONS, pending.with_bs(true));
        }
    }

    fn events(&self) -> &Events {
        &self.parts.events
    }

    fn events_mut(&mut self) -> &mut Events {
        &mut self.parts.events
    }

    fn cancel_event(&mut self) -> Option<Event> {
        let event = self.parts.events.cancel()?;
        if event == Event::Nmi {
            // Its delivery may have begun, which blocked them.
            self.unblock_nmis();
        }
        Some(event)
    }

    fn pass_msr(&mut self, msr: SwitchedMsr, access: MsrAccess) {
        // The bitmaps cover all of them.
        if self.parts.msr_bitmaps.set(msr.number(), access, Permission::PassThrough).is_ok() {
            self.parts.msrs.pass(msr);
            self.parts.mode = None;
        }
    }

    unsafe fn pass_host_msr(&mut self, msr: u32, access: MsrAccess) -> Result<(), MsrRangeError> {
        if msr == IA32_EFER && access.writes() {
            // The guest may enter 64-bit mode and enable SYSCALL without an exit.
            self.parts.msrs.pass_all();
            self.parts.mode = None;
        }
        self.parts.msr_bitmaps.set(msr, access, Permission::PassThrough)
    }

    fn intercept_msr(&mut self, msr: u32, access: MsrAccess) {
        // An MSR that the bitmaps do not cover is intercepted anyway.
        let _covered = self.parts.msr_bitmaps.set(msr, access, Permission::Intercept);
    }

    unsafe fn pass_ports(&mut self, ports: RangeInclusive<u16>) {
        self.parts.io_bitmaps.set(ports, Permission::PassThrough);
    }

    fn intercept_ports(&mut self, ports: RangeInclusive<u16>) {
        self.parts.io_bitmaps.set(ports, Permission::Intercept);
    }

    fn set_state(&mut self, state: &CpuState) -> Result<(), StateError> {
        self.check_registers(state)?;
        self.write_state(state);
        Ok(())
    }

    fn activity(&self) -> Activity {
        self.read_activity()
    }

    fn set_activity(&mut self, activity: Activity) -> Result<(), StateError> {
        self.write_activity(activity)
    }

    fn pending_debug(&self) -> PendingDebugExceptions {
        self.read_pending_debug()
    }

    fn set_pending_debug(&mut self, pending: PendingDebugExceptions) {
        self.write_pending_debug(pending);
    }

    fn set_blocking(&mut self, blocking: Interruptibility) {
        self.write_blocking(blocking);
    }

    fn save_extended(&self, state: &mut Option<ExtendedState>) {
        self.parts.fpu.save(state);
    }

    fn set_extended(&mut self, state: &ExtendedState) -> Result<(), StateError> {
        self.parts.fpu.set(self.host, state)
    }

    fn check_state(&self, state: &VcpuState) -> Result<(), StateError> {
        self.check_whole(state)
    }
}

fn table<A: Frames>(
    vmcs: &CurrentVmcs<'_, A>,
    base: Field<u64, ReadWrite>,
    limit: Field<u32, ReadWrite>,
) -> DescriptorTable {
    DescriptorTable { base: vmcs.get(base), limit: u16::try_from(vmcs.get(limit)).unwrap_or(u16::MAX) }
}
