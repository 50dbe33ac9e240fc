//! What emulators do to the host because of a guest, and no processor does: guests are kept from that, and from nothing else.
#![expect(unsafe_code, reason = "intercepts more than the library does")]

use x86_virt::svm::vmcb::{VmcbSegment, control, save};
use x86_virt::svm::{ExitCode, SvmVcpu};
use x86_virt::{AnyVcpu, ControlRegister, Cr4, Event, MsrAccess, SwitchedMsr, Vcpu, VcpuState};

use crate::bench::Frames;
use crate::feature::{Feature, has};

type Any<'r, 's> = AnyVcpu<'r, 's, 'static, Frames>;

/// What a guest would do to the emulator that this machine is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Departures {
    /// With SVM, Bochs 2.7 keeps the trap of a guest that steps, or of its breakpoints, over the exit, and takes it in the host
    /// before VMLOAD has brought the host's TR back. Guests have TF = 0, no breakpoints and no SYSRET, and POPF, IRET and task
    /// switches end a run.
    traps_in_host: bool,
    /// With SVM, Bochs 2.7 stops at a triple fault. The exceptions that can become a double fault end a run; the library merges them.
    stops_at_triple_fault: bool,
    /// With SVM and IF = 0, Bochs 2.7 does not end a run for an interrupt of the host. NMIs do in its place, and guests get none,
    /// which would block those.
    pub(super) needs_nmi: bool,
    /// QEMU's TCG stops at a switch of stacks through a task-state segment that is busy or not present: the one in TR is available.
    stops_at_busy_task: bool,
    /// QEMU's TCG takes LTR of a null selector, after which it stops at a switch of stacks: LTR ends a run.
    takes_null_task: bool,
    /// With SVM, Bochs 2.7 stops at one through a TR that has no task-state segment, and at a push to an SS that is not present or
    /// cannot be written, neither of which VMRUN refuses: TR has one, and SS is a data segment.
    stops_without_segment: bool,
    /// QEMU's TCG does not intercept XSETBV, by which a guest changes the host's XCR0. Guests have CR4.OSXSAVE = 0.
    lets_xcr0_change: bool,
    /// QEMU's TCG has no PAT of the guest's own, which writes the host's. The MSR stays intercepted.
    shares_pat: bool,
    /// QEMU's TCG looks for the bits of an MSR in the permission map by all of RCX: an access with one of RCX's bits 34:32 set reads other
    /// memory, and may end no run. They are 0 at each entry.
    looks_at_rcx: bool,
    /// QEMU's TCG does not load the host's CR0 after an exit of a guest with EFER.LME = 1, CR0.PG = 0 and CR4.PAE = 0: it goes on
    /// without paging. LME is 0 then.
    keeps_guests_cr0: bool,
    /// With SVM, Bochs 2.7 stops at an exit in virtual-8086 mode: it finds RFLAGS.VM = 1 in the host's long mode. Guests have VM = 0,
    /// and IRET and task switches end a run.
    stops_in_virtual_8086_mode: bool,
}

impl Departures {
    pub(super) fn here() -> Self {
        Self {
            traps_in_host: !has(Feature::GuestSingleStep),
            stops_at_triple_fault: !has(Feature::GuestShutdown),
            needs_nmi: !has(Feature::PromptVirtualInterrupts),
            stops_at_busy_task: !has(Feature::ExactExceptions),
            takes_null_task: !has(Feature::ExactExceptions),
            stops_without_segment: !has(Feature::GuestShutdown),
            lets_xcr0_change: !has(Feature::ExactExits),
            shares_pat: !has(Feature::GuestPat),
            looks_at_rcx: !has(Feature::ExactExits),
            keeps_guests_cr0: !has(Feature::ExactExits),
            stops_in_virtual_8086_mode: !has(Feature::GuestShutdown),
        }
    }

    /// The exceptions that end a run, in place of `vectors`.
    pub(super) const fn exceptions(self, vectors: u32) -> u32 {
        /// #DE, #DF, #TS, #NP, #SS, #GP and #PF.
        const FAULTS: u32 = 1 | 0x7d00;
        if self.stops_at_triple_fault { vectors | FAULTS } else { vectors }
    }

    /// What a guest may begin with.
    pub(super) fn tame(self, state: &mut VcpuState) {
        if self.traps_in_host {
            state.cpu.rflags = state.cpu.rflags.with_tf(false);
            state.cpu.efer = state.cpu.efer.with_sce(false);
            state.cpu.dr7 &= !BREAKPOINTS;
        }
        if self.needs_nmi {
            state.nmi_requested = false;
            state.nmi_blocked = false;
            state.event = state.event.filter(|event| *event != Event::Nmi);
        }
        if self.stops_in_virtual_8086_mode {
            state.cpu.rflags = state.cpu.rflags.with_vm(false);
        }
        if self.keeps_guests_cr0 && !state.cpu.cr0.pg() && !state.cpu.cr4.pae() {
            state.cpu.efer = state.cpu.efer.with_lme(false);
        }
        if self.lets_xcr0_change {
            state.cpu.cr4 = state.cpu.cr4.with_osxsave(false);
        }
    }

    /// The same before each entry, after whatever was done to the virtual processor.
    pub(super) fn before_entry(self, vcpu: &mut Any<'_, '_>) {
        if self.traps_in_host {
            let (rflags, efer, dr7) = (vcpu.rflags(), vcpu.efer(), vcpu.dr7());
            if rflags.tf() {
                vcpu.set_rflags(rflags.with_tf(false));
            }
            if efer.sce() {
                vcpu.set_efer(efer.with_sce(false));
            }
            if dr7 & BREAKPOINTS != 0 {
                vcpu.set_dr7(dr7 & !BREAKPOINTS);
            }
        }
        if self.needs_nmi {
            vcpu.events_mut().withdraw_nmi();
            if vcpu.pending_event() == Some(Event::Nmi) {
                vcpu.cancel_event();
            }
            let blocking = vcpu.interruptibility();
            if blocking.nmi_blocked {
                vcpu.set_blocking(x86_virt::Interruptibility { nmi_blocked: false, ..blocking });
            }
        }
        if self.shares_pat {
            vcpu.intercept_msr(SwitchedMsr::Pat.number(), MsrAccess::ReadWrite);
        }
        if self.looks_at_rcx {
            vcpu.gprs_mut().rcx &= 0xffff_ffff;
        }
        if self.stops_in_virtual_8086_mode && vcpu.rflags().vm() {
            let rflags = vcpu.rflags();
            vcpu.set_rflags(rflags.with_vm(false));
        }
        if self.lets_xcr0_change {
            let cr4 = Cr4::from(vcpu.control(ControlRegister::Cr4));
            if cr4.osxsave() {
                // A CR4 that it has, but for one bit less.
                let _always = vcpu.set_control(ControlRegister::Cr4, cr4.with_osxsave(false).into_bits());
            }
        }
        if self.keeps_guests_cr0 && vcpu.efer().lme() {
            let state = vcpu.state();
            if !state.cr0.pg() && !state.cr4.pae() {
                vcpu.set_efer(state.efer.with_lme(false));
            }
        }
        if let AnyVcpu::Svm(vcpu) = vcpu {
            self.write_vmcb(vcpu);
        }
    }

    fn write_vmcb(self, vcpu: &mut SvmVcpu<'_, '_, 'static, Frames>) {
        /// The code of the first bit of this word of intercepts.
        const WORD: u64 = 0x60;
        let steps: &[ExitCode] =
            if self.traps_in_host { &[ExitCode::POPF, ExitCode::IRET, ExitCode::TASK_SWITCH] } else { &[] };
        let task: &[ExitCode] = if self.takes_null_task { &[ExitCode::TR_WRITE] } else { &[] };
        let before = vcpu.read(control::INTERCEPT_MISC1);
        let bits = steps.iter().chain(task).map(|code| 1_u32 << (code.into_bits() - WORD));
        let after = bits.fold(before, |word, bit| word | bit);
        if after != before {
            // SAFETY: more is intercepted than before.
            unsafe { vcpu.write_owned(control::INTERCEPT_MISC1, after) };
        }
        if self.stops_without_segment {
            let ss: VmcbSegment = vcpu.read(save::SS);
            let attributes = ss.attributes.with_segment_type(ss.attributes.segment_type() & EXPANDS_DOWN | WRITABLE);
            let attributes = attributes.with_p(true).with_s(true);
            if attributes != ss.attributes {
                vcpu.write(save::SS, VmcbSegment { attributes, ..ss });
            }
        }
        if self.stops_at_busy_task || self.stops_without_segment {
            let tr: VmcbSegment = vcpu.read(save::TR);
            let busy = if self.stops_at_busy_task { 0 } else { BUSY };
            let attributes = tr.attributes.with_segment_type(AVAILABLE | busy).with_s(false).with_p(true);
            if attributes != tr.attributes {
                vcpu.write(save::TR, VmcbSegment { attributes, ..tr });
            }
        }
    }
}

/// L0 to G3 of DR7.
const BREAKPOINTS: u64 = 0xff;
/// Bits of the type of a data segment: accessed and writable, and the direction.
const WRITABLE: u8 = 3;
const EXPANDS_DOWN: u8 = 4;
/// The type of an available task-state segment, and the bit that says busy.
const AVAILABLE: u8 = 9;
const BUSY: u8 = 2;
