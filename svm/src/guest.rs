//! The trait `Vcpu` for SVM.

use core::ops::RangeInclusive;

use x86_virt_core::{
    Activity, ControlRegister, CpuState, Cr4, DescriptorTable, Efer, Event, Events, Exit, ExtendedState,
    FetchedInstruction, Frames, Gprs, Interruptibility, MsrAccess, MsrBitmap, MsrRangeError, PendingDebugExceptions,
    Permission, PortBitmap, Rflags, Segment, SegmentRegister, SkipError, StateError, SwitchedMsr, Vcpu, VcpuState,
};

use crate::cpl::cpl;
use crate::exit::SvmExit;
use crate::exit_code::ExitCode;
use crate::nmi::NmiBlocking;
use crate::parked::ParkedVcpu;
use crate::register::{self, Mode, check_cr3, check_cr8, check_state};
use crate::run::{EntryError, Wanted};
use crate::vcpu::SvmVcpu;
use crate::vmcb::{Field, InterruptState, ReadWrite, VmcbSegment, control, save};

const fn field_of(register: SegmentRegister) -> Field<VmcbSegment, ReadWrite> {
    match register {
        SegmentRegister::Es => save::ES,
        SegmentRegister::Cs => save::CS,
        SegmentRegister::Ss => save::SS,
        SegmentRegister::Ds => save::DS,
        SegmentRegister::Fs => save::FS,
        SegmentRegister::Gs => save::GS,
        SegmentRegister::Ldtr => save::LDTR,
        SegmentRegister::Tr => save::TR,
    }
}

/// The field of an MSR that has one of its own.
const fn field_of_msr(msr: SwitchedMsr) -> Option<Field<u64, ReadWrite>> {
    Some(match msr {
        SwitchedMsr::SysenterCs => save::SYSENTER_CS,
        SwitchedMsr::SysenterEsp => save::SYSENTER_ESP,
        SwitchedMsr::SysenterEip => save::SYSENTER_EIP,
        SwitchedMsr::Pat => save::G_PAT,
        SwitchedMsr::Star => save::STAR,
        SwitchedMsr::Lstar => save::LSTAR,
        SwitchedMsr::Cstar => save::CSTAR,
        SwitchedMsr::Sfmask => save::SFMASK,
        SwitchedMsr::KernelGsBase => save::KERNEL_GS_BASE,
        SwitchedMsr::FsBase | SwitchedMsr::GsBase | SwitchedMsr::SpecCtrl | SwitchedMsr::TscAux => return None,
    })
}

impl<A: Frames> ParkedVcpu<'_, '_, A> {
    #[inline]
    fn rflags(&self) -> Rflags {
        self.vmcb.read(save::RFLAGS)
    }

    /// Sets the registers that say how linear addresses are translated, with EFER.LMA as it follows, and flushes the TLB if
    /// it must.
    fn set_mode(&mut self, mode: Mode) {
        let before = self.mode();
        let mode = mode.with_lma();
        self.needs_flush |= before.needs_flush(mode);
        if mode.cr0 != before.cr0 {
            self.vmcb.write(save::CR0, mode.cr0);
            self.update_cpl();
        }
        if mode.cr4 != before.cr4 {
            self.vmcb.write(save::CR4, mode.cr4);
        }
        self.vmcb.write(save::EFER, mode.efer.with_svme(true));
    }

    fn update_cpl(&mut self) {
        let ss = self.vmcb.read(save::SS).attributes;
        let level = cpl(self.mode().cr0, self.rflags(), ss.dpl());
        self.vmcb.write(save::CPL, level);
    }

    /// Sets all registers. The values have been checked.
    pub(crate) fn write_state(&mut self, state: &CpuState) {
        self.gprs = state.gprs;
        self.vmcb.write(save::RIP, state.rip);
        self.vmcb.write(save::RSP, state.rsp);
        self.vmcb.write(save::RFLAGS, register::rflags(state.rflags));
        for register in SegmentRegister::ALL {
            self.vmcb.write(field_of(register), state.segment(register).into());
        }
        self.vmcb.write(save::GDTR, state.gdtr.into());
        self.vmcb.write(save::IDTR, state.idtr.into());
        self.vmcb.write(save::CR2, state.cr2);
        self.vmcb.write(save::CR3, state.cr3);
        self.vmcb.write(save::DR7, register::dr7(state.dr7));
        self.set_mode(Mode { cr0: state.cr0, cr4: state.cr4, efer: state.efer });
        self.update_cpl();
        self.needs_flush = true;
    }
}

#[expect(unsafe_code, reason = "implements unsafe methods")]
impl<A: Frames> Vcpu for SvmVcpu<'_, '_, '_, A> {
    type Reason = SvmExit;
    type EntryError = EntryError;

    #[inline]
    fn run(&mut self) -> Result<Exit<SvmExit>, EntryError> {
        self.run_guest()
    }

    fn settle(&mut self) {
        self.bring_host_back();
    }

    #[inline]
    fn gprs(&self) -> &Gprs {
        &self.guest.gprs
    }

    #[inline]
    fn gprs_mut(&mut self) -> &mut Gprs {
        &mut self.guest.gprs
    }

    #[inline]
    fn rip(&self) -> u64 {
        self.read(save::RIP)
    }

    #[inline]
    fn set_rip(&mut self, rip: u64) {
        self.write(save::RIP, rip);
    }

    fn rsp(&self) -> u64 {
        self.read(save::RSP)
    }

    fn set_rsp(&mut self, rsp: u64) {
        self.write(save::RSP, rsp);
    }

    fn rflags(&self) -> Rflags {
        self.guest.rflags()
    }

    fn set_rflags(&mut self, rflags: Rflags) {
        let was_virtual = self.guest.rflags().vm();
        self.write(save::RFLAGS, register::rflags(rflags));
        if was_virtual != rflags.vm() {
            self.guest.update_cpl();
        }
    }

    fn control(&self, register: ControlRegister) -> u64 {
        match register {
            ControlRegister::Cr0 => self.read(save::CR0).into_bits(),
            ControlRegister::Cr2 => self.read(save::CR2),
            ControlRegister::Cr3 => self.read(save::CR3),
            ControlRegister::Cr4 => self.read(save::CR4).into_bits(),
            ControlRegister::Cr8 => u64::from(self.read(control::VIRTUAL_INTERRUPT_CONTROL).v_tpr() & 0xf),
        }
    }

    fn set_control(&mut self, register: ControlRegister, value: u64) -> Result<(), StateError> {
        let mode = self.guest.mode();
        match register {
            ControlRegister::Cr0 => {
                let mode = Mode { cr0: value.into(), ..mode };
                mode.check(&self.processor.capabilities, "CR0")?;
                self.guest.set_mode(mode);
            }
            ControlRegister::Cr2 => self.write(save::CR2, value),
            ControlRegister::Cr3 => {
                check_cr3(value, &self.processor.capabilities)?;
                self.write(save::CR3, value);
                self.flush_tlb();
            }
            ControlRegister::Cr4 => {
                let mode = Mode { cr4: value.into(), ..mode };
                mode.check(&self.processor.capabilities, "CR4")?;
                self.check_osxsave(mode.cr4)?;
                self.guest.set_mode(mode);
            }
            ControlRegister::Cr8 => {
                let tpr = check_cr8(value)?;
                let interrupts = self.read(control::VIRTUAL_INTERRUPT_CONTROL);
                self.guest.vmcb.write(control::VIRTUAL_INTERRUPT_CONTROL, interrupts.with_v_tpr(tpr));
            }
        }
        Ok(())
    }

    fn efer(&self) -> Efer {
        self.guest.mode().efer
    }

    /// Bits that the processor does not have, or that the library does not switch, are left out.
    fn set_efer(&mut self, efer: Efer) {
        let efer = Efer::from_bits(efer.into_bits() & self.processor.capabilities.guest_efer());
        self.guest.set_mode(Mode { efer, ..self.guest.mode() });
    }

    fn segment(&self, register: SegmentRegister) -> Segment {
        let mut segment = Segment::from(self.read(field_of(register)));
        if register == SegmentRegister::Ss {
            // The processor keeps CPL apart from the DPL of SS.
            segment.rights.set_dpl(self.read(save::CPL) & 3);
        }
        segment
    }

    fn set_segment(&mut self, register: SegmentRegister, segment: Segment) {
        self.write(field_of(register), segment.into());
        if register == SegmentRegister::Ss {
            self.guest.update_cpl();
        }
    }

    fn gdtr(&self) -> DescriptorTable {
        self.read(save::GDTR).into()
    }

    fn set_gdtr(&mut self, table: DescriptorTable) {
        self.write(save::GDTR, table.into());
    }

    fn idtr(&self) -> DescriptorTable {
        self.read(save::IDTR).into()
    }

    fn set_idtr(&mut self, table: DescriptorTable) {
        self.write(save::IDTR, table.into());
    }

    fn breakpoints(&self) -> [u64; 4] {
        self.guest.breakpoints
    }

    fn set_breakpoints(&mut self, addresses: [u64; 4]) -> Result<(), StateError> {
        for (name, address) in ["DR0", "DR1", "DR2", "DR3"].into_iter().zip(addresses) {
            register::check_address(name, address, self.guest.mode())?;
        }
        self.guest.breakpoints = addresses;
        Ok(())
    }

    fn dr6(&self) -> u64 {
        self.read(save::DR6)
    }

    fn set_dr6(&mut self, dr6: u64) {
        self.write(save::DR6, register::dr6(dr6));
    }

    fn dr7(&self) -> u64 {
        self.read(save::DR7)
    }

    fn set_dr7(&mut self, dr7: u64) {
        self.write(save::DR7, register::dr7(dr7));
    }

    fn xcr0(&self) -> u64 {
        self.guest.fpu.xcr0()
    }

    fn set_xcr0(&mut self, xcr0: u64) -> Result<(), StateError> {
        let refused = |bits| StateError::Bits { register: "XCR0", value: xcr0, bits };
        self.guest.fpu.set_xcr0(self.host, xcr0).map_err(refused)
    }

    fn msr(&self, msr: SwitchedMsr) -> u64 {
        match msr {
            SwitchedMsr::FsBase => self.read(save::FS).base,
            SwitchedMsr::GsBase => self.read(save::GS).base,
            SwitchedMsr::SpecCtrl => self.guest.spec_ctrl(),
            other => match field_of_msr(other) {
                Some(field) => self.read(field),
                None => self.guest.software_msrs.guest(other).unwrap_or(0),
            },
        }
    }

    fn set_msr(&mut self, msr: SwitchedMsr, value: u64) -> Result<(), StateError> {
        msr.check(value, self.guest.mode().canonical_width())?;
        if let Some(field) = field_of_msr(msr) {
            self.write(field, value);
            return Ok(());
        }
        let field = match msr {
            SwitchedMsr::FsBase => save::FS,
            SwitchedMsr::GsBase => save::GS,
            other => return self.guest.set_software_msr(other, value),
        };
        let segment = self.read(field);
        self.write(field, VmcbSegment { base: value, ..segment });
        Ok(())
    }

    #[inline]
    fn next_rip(&self) -> Result<u64, SkipError> {
        let exit = self.last_exit().ok_or(SkipError::NotAnInstruction)?;
        let code = exit.code;
        if code == ExitCode::IOIO && exit.info2 != 0 {
            return Ok(exit.info2);
        }
        if code.is_instruction() {
            let nrip = self.read(control::NRIP);
            if self.processor.capabilities.features().nrips() && nrip != 0 {
                return Ok(if nrip >> 32 == 0 { nrip } else { self.wrap_rip(nrip) });
            }
        } else if code != ExitCode::NPF && !(ExitCode::EXCP_DE..=ExitCode::EXCP_31).contains(&code) {
            return Err(SkipError::NotAnInstruction);
        }
        self.decoded_next_rip()
    }

    fn interruptibility(&self) -> Interruptibility {
        Interruptibility {
            interrupts_enabled: self.guest.rflags().r#if(),
            shadow: self.read(control::INTERRUPT_STATE).interrupt_shadow(),
            nmi_blocked: self.is_nmi_blocked(),
            gif_clear: self.is_gif_clear(),
            debug_pending: false,
            task_priority: self.read(control::VIRTUAL_INTERRUPT_CONTROL).v_tpr() & 0xf,
        }
    }

    #[inline]
    fn clear_shadow(&mut self) {
        let state: InterruptState = self.read(control::INTERRUPT_STATE);
        if state.interrupt_shadow() {
            self.write(control::INTERRUPT_STATE, state.with_interrupt_shadow(false));
        }
    }

    fn fetched_instruction(&self) -> FetchedInstruction {
        let has_fetched = self.processor.capabilities.features().decode_assists()
            && self.last_exit().is_some_and(|exit| matches!(exit.code, ExitCode::NPF | ExitCode::EXCP_PF));
        if !has_fetched {
            return FetchedInstruction::default();
        }
        FetchedInstruction {
            bytes: self.read(control::INSN_BYTES),
            length: self.read(control::INSN_LEN).number_of_bytes_fetched(),
        }
    }

    fn events(&self) -> &Events {
        &self.guest.events
    }

    fn events_mut(&mut self) -> &mut Events {
        &mut self.guest.events
    }

    fn cancel_event(&mut self) -> Option<Event> {
        let event = self.guest.events.cancel()?;
        if event == Event::Nmi && self.guest.nmi == NmiBlocking::Handling {
            // Its delivery had begun.
            self.guest.nmi = NmiBlocking::Open;
            self.set_intercepted(ExitCode::IRET, Wanted::No);
        }
        Some(event)
    }

    fn pass_msr(&mut self, msr: SwitchedMsr, access: MsrAccess) {
        // The map covers all MSRs that are switched: there is no error.
        let _covered = self.guest.msrpm.set(msr.number(), access, Permission::PassThrough);
        self.guest.software_msrs.pass(msr, access);
    }

    unsafe fn pass_host_msr(&mut self, msr: u32, access: MsrAccess) -> Result<(), MsrRangeError> {
        self.guest.msrpm.set(msr, access, Permission::PassThrough)
    }

    fn intercept_msr(&mut self, msr: u32, access: MsrAccess) {
        // An MSR that the map does not cover is intercepted always.
        let _covered = self.guest.msrpm.set(msr, access, Permission::Intercept);
    }

    unsafe fn pass_ports(&mut self, ports: RangeInclusive<u16>) {
        self.guest.iopm.set(ports, Permission::PassThrough);
    }

    fn intercept_ports(&mut self, ports: RangeInclusive<u16>) {
        self.guest.iopm.set(ports, Permission::Intercept);
    }

    fn set_state(&mut self, state: &CpuState) -> Result<(), StateError> {
        check_state(state, &self.processor.capabilities)?;
        self.check_osxsave(state.cr4)?;
        self.guest.write_state(state);
        Ok(())
    }

    fn activity(&self) -> Activity {
        self.guest.activity
    }

    fn set_activity(&mut self, activity: Activity) -> Result<(), StateError> {
        self.guest.activity = activity;
        Ok(())
    }

    fn pending_debug(&self) -> PendingDebugExceptions {
        PendingDebugExceptions::of_dr6(self.guest.events.pending_debug())
    }

    fn set_pending_debug(&mut self, pending: PendingDebugExceptions) {
        self.guest.events.set_debug(if pending.raises() { pending.dr6_bits() } else { 0 });
    }

    fn set_blocking(&mut self, blocking: Interruptibility) {
        self.write_blocking(blocking);
    }

    fn save_extended(&self, state: &mut Option<ExtendedState>) {
        self.guest.fpu.save(state);
    }

    fn set_extended(&mut self, state: &ExtendedState) -> Result<(), StateError> {
        self.guest.fpu.set(self.host, state)
    }

    fn check_state(&self, state: &VcpuState) -> Result<(), StateError> {
        self.check_whole(state)
    }
}

impl<A: Frames> SvmVcpu<'_, '_, '_, A> {
    /// The guest may use XCR0 only where the library keeps what it enables.
    pub(crate) fn check_osxsave(&self, cr4: Cr4) -> Result<(), StateError> {
        if cr4.osxsave() && !self.guest.fpu.allows_osxsave() {
            let bits = Cr4::new().with_osxsave(true).into_bits();
            return Err(StateError::Bits { register: "CR4", value: cr4.into_bits(), bits });
        }
        Ok(())
    }

    #[cfg(feature = "decode")]
    fn decoded_next_rip(&self) -> Result<u64, SkipError> {
        let decoded = x86_virt_core::decode::at_rip(self, self.guest.space)?;
        Ok(self.wrap_rip(self.rip().wrapping_add(u64::from(decoded.length))))
    }

    #[cfg(not(feature = "decode"))]
    #[expect(clippy::unused_self, reason = "with the feature `decode` it reads the guest")]
    const fn decoded_next_rip(&self) -> Result<u64, SkipError> {
        Err(SkipError::NotReported)
    }
}
