//! The guest's registers.
#![expect(unsafe_code, reason = "the entry controls follow the guest's mode")]

mod registers;

use core::ops::RangeInclusive;

use x86::msr::IA32_EFER;
use x86_virt_core::{
    Activity, ControlRegister, CpuState, DescriptorTable, Dr7, Efer, Event, Events, Exit, ExtendedState, Frames,
    GivenBack, GlobalInterrupts, Gprs, Interruptibility, MsrAccess, MsrBitmap as _, MsrRangeError,
    PendingDebugExceptions, Permission, PortBitmap as _, Rflags, Segment, SegmentRegister, SkipError, StateError,
    SwitchedMsr, Vcpu, VcpuState,
};

use self::registers::{check_canonical, check_cr3};
use crate::access::{VmcsRead, VmcsWrite};
use crate::cache::Cached;
use crate::exit::ExitReason;
use crate::field::{self, Field, ReadWrite};
use crate::segment::SegmentFields;
use crate::vcpu::{DR6_AFTER_RESET, EntryError, VmxVcpu};
use crate::vcpu_state;
use crate::vmcs::CurrentVmcs;

impl<A: Frames> VmxVcpu<'_, '_, '_, A> {
    /// RIP has 32 bits outside of 64-bit mode.
    #[cold]
    fn wrap_rip(&self, rip: u64) -> u64 {
        let is_64_bit = self.efer().lma() && self.segment(SegmentRegister::Cs).rights.long();
        if is_64_bit { rip } else { rip & 0xffff_ffff }
    }
}

impl<A: Frames> Vcpu for VmxVcpu<'_, '_, '_, A> {
    type Reason = ExitReason;
    type EntryError = EntryError;

    #[inline]
    fn run(&mut self) -> Result<Exit<ExitReason>, EntryError> {
        if self.parts.events.is_due() && self.parts.events.take_shutdown() {
            return Ok(self.shut_down());
        }
        if self.parts.time.is_timed() {
            self.stop_timer();
        }
        let mut given = GivenBack::new();
        loop {
            let reason = self.enter()?;
            if !self.is_log_wanted() && !reason.basic().may_be_own() {
                return Ok(self.exit(reason));
            }
            let mut exit = self.exit(reason);
            if !self.log_exit(&exit) && !self.is_own_window(&exit) && !self.give_back(&mut exit, &mut given) {
                return Ok(exit);
            }
        }
    }

    fn settle(&mut self) {
        self.bring_host_back();
    }

    #[inline]
    fn gprs(&self) -> &Gprs {
        &self.parts.switch.gprs
    }

    #[inline]
    fn gprs_mut(&mut self) -> &mut Gprs {
        &mut self.parts.switch.gprs
    }

    #[inline]
    fn rip(&self) -> u64 {
        self.parts.cache.get(Cached::Rip, || self.vmcs.get(field::GUEST_RIP))
    }

    #[inline]
    fn set_rip(&mut self, rip: u64) {
        self.parts.cache.set(Cached::Rip, rip);
    }

    fn rsp(&self) -> u64 {
        self.parts.cache.get(Cached::Rsp, || self.vmcs.get(field::GUEST_RSP))
    }

    fn set_rsp(&mut self, rsp: u64) {
        self.parts.cache.set(Cached::Rsp, rsp);
    }

    #[inline]
    fn rflags(&self) -> Rflags {
        Rflags::from(self.parts.cache.get(Cached::Rflags, || self.vmcs.get(field::GUEST_RFLAGS).into_bits()))
    }

    fn set_rflags(&mut self, rflags: Rflags) {
        /// Bits of RFLAGS that are not reserved.
        const DEFINED: u64 = 0x003f_7fd5;
        let rflags = Rflags::from(rflags.into_bits() & DEFINED).with_one(true);
        // The shadow of STI needs IF = 1, and a single step behind it another value of the pending debug exceptions.
        self.end_shadow();
        self.parts.cache.set(Cached::Rflags, rflags.into_bits());
    }

    fn control(&self, register: ControlRegister) -> u64 {
        match register {
            ControlRegister::Cr0 => self.guest_cr0().into_bits(),
            ControlRegister::Cr2 => self.parts.cr2,
            ControlRegister::Cr3 => self.vmcs.get(field::GUEST_CR3),
            ControlRegister::Cr4 => self.guest_cr4().into_bits(),
            ControlRegister::Cr8 => self.task_priority().into(),
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
                let [task_priority, ..] = value.to_le_bytes();
                self.set_task_priority(task_priority);
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
            other => self.guest_msr(other),
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
            other => self.set_guest_msr(other, value)?,
        }
        Ok(())
    }

    #[inline]
    fn next_rip(&self) -> Result<u64, SkipError> {
        if !self.parts.reason.basic().is_instruction() {
            return Err(SkipError::NotAnInstruction);
        }
        let length = self.vmcs.get(field::EXIT_INSTRUCTION_LENGTH);
        let rip = self.parts.cache.peek(Cached::Rip, || self.vmcs.get(field::GUEST_RIP));
        let next = rip.wrapping_add(u64::from(length));
        // Only 64-bit code has a RIP of more than 32 bits, so that only code just below 4 GiB can be elsewhere.
        Ok(if next >> 32 == 0 { next } else { self.wrap_rip(next) })
    }

    fn interruptibility(&self) -> Interruptibility {
        let state = self.interruptibility_state();
        let pending = self.vmcs.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS);
        Interruptibility {
            interrupts_enabled: self.rflags().r#if(),
            shadow: state.blocking_by_sti() || state.blocking_by_mov_ss(),
            nmi_blocked: state.blocking_by_nmi(),
            gif_clear: self.parts.events.global_interrupts() == GlobalInterrupts::Disabled,
            debug_pending: pending.bs() || pending.enabled_breakpoint() || pending.rtm(),
            task_priority: self.task_priority(),
        }
    }

    #[inline]
    fn clear_shadow(&mut self) {
        self.parts.shadow_is_over = true;
    }

    #[cold]
    fn raise_single_step(&mut self) {
        // In a shadow, the step is one of the next instruction.
        self.end_shadow();
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
            self.parts.software_msrs.pass(msr, access);
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
