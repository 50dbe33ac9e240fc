//! Control registers and what depends on them: written as VMX needs them, read as the guest sees them, and checked.
#![expect(unsafe_code, reason = "the entry controls follow the guest's mode")]

use x86_virt_core::{
    CpuState, Cr0, Cr4, DebugControl, Efer, Frames, Gpa, Gva, PendingDebugExceptions, SegmentRegister, StateError,
    Vcpu as _,
};

use crate::access::{VmcsRead as _, VmcsWrite as _};
use crate::control::EntryControls;
use crate::cr_mask;
use crate::event::InterruptibilityState;
use crate::field;
use crate::guest_state::ActivityState;
use crate::vcpu::VmxVcpu;

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
        self.put_interruptibility_state(InterruptibilityState::new());
        // SAFETY: active: the processor executes instructions, and does not wait for a signal that may never come.
        unsafe { self.vmcs.put_sensitive(field::GUEST_ACTIVITY_STATE, ActivityState::ACTIVE) };
        self.vmcs.put(field::GUEST_PENDING_DEBUG_EXCEPTIONS, PendingDebugExceptions::new());
        self.vmcs.put(field::GUEST_IA32_DEBUGCTL, DebugControl::new());
        self.vmcs.put(field::GUEST_IA32_SYSENTER_CS, 0);
        self.vmcs.put(field::GUEST_IA32_SYSENTER_ESP, 0);
        self.vmcs.put(field::GUEST_IA32_SYSENTER_EIP, 0);
        self.write_state(&CpuState::real_mode(0xf000, 0xfff0));
    }

    pub(super) fn write_state(&mut self, state: &CpuState) {
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
    pub(super) fn write_cr0(&mut self, cr0: Cr0) {
        let fixed = Cr0::from(self.parts.capabilities.raw().cr0_fixed0).with_pe(false).with_pg(false);
        let real = cr0.with_cd(false).with_nw(false).into_bits() | fixed.into_bits();
        self.note_paging(self.guest_cr0().into_bits() ^ cr0.into_bits(), CR0_PAGING.into_bits());
        self.vmcs.put(field::GUEST_CR0, Cr0::from(real));
        self.vmcs.put(field::CR0_READ_SHADOW, cr0);
    }

    /// CR4 as the processor uses it: the guest's, with VMXE, and MCE as the host has it.
    pub(super) fn write_cr4(&mut self, cr4: Cr4) {
        let real = cr4.into_bits() | self.parts.capabilities.raw().cr4_fixed0 | self.host.cr4() & MACHINE_CHECK_ENABLE;
        self.note_paging(self.guest_cr4().into_bits() ^ cr4.into_bits(), CR4_PAGING.into_bits());
        // SAFETY: `check_cr4`, or the state after INIT, lets only bits through whose state is kept apart from the host's.
        unsafe { self.vmcs.put_sensitive(field::GUEST_CR4, Cr4::from(real)) };
        self.vmcs.put(field::CR4_READ_SHADOW, cr4);
        self.parts.mode = None;
    }

    /// EFER with the LMA that follows from LME and `cr0`, and the entry control that goes with it.
    pub(super) fn write_efer(&mut self, efer: Efer, cr0: Cr0) {
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
    pub(super) fn load_pdptes(&mut self) {
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
    pub(super) fn linear_width(cr4: Cr4) -> u32 {
        if cr4.la57() { 57 } else { 48 }
    }

    pub(super) fn check_cr0(value: u64) -> Result<Cr0, StateError> {
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

    pub(super) fn check_cr4(&self, value: u64) -> Result<Cr4, StateError> {
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

pub(super) fn check_cr3(value: u64, width: u8) -> Result<(), StateError> {
    let bits = value & !((1 << width) - 1);
    if bits == 0 { Ok(()) } else { Err(StateError::Bits { register: "CR3", value, bits }) }
}

pub(super) fn check_canonical(register: &'static str, value: u64, width: u32) -> Result<(), StateError> {
    if Gva::new(value).is_canonical(width) { Ok(()) } else { Err(StateError::NonCanonical { register, value }) }
}
