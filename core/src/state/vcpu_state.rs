//! All of a virtual processor's state.

use crate::addr::Gva;
use crate::debug_registers::Dr7;
use crate::event::{Event, GlobalInterrupts, InterruptRequest, Interruptibility};
use crate::permission::SwitchedMsr;
use crate::register::{ControlRegister, Efer, Rflags};
use crate::segment::{Segment, SegmentAccessRights, SegmentRegister};
use crate::state::{Activity, CpuState, ExtendedState, Msrs, PendingDebugExceptions, StateError};
use crate::vcpu::Vcpu;

/// All that a virtual processor is, whoever made the processor under it.
///
/// [`Vcpu::save`](crate::Vcpu::save) takes it at any exit, [`Vcpu::restore`](crate::Vcpu::restore) gives it to a virtual processor on any
/// host that has what it uses, and the guest goes on where it was. An instruction that ended the run and was not answered is executed
/// again there, and ends a run again. [`to_bytes`](Self::to_bytes) and [`from_bytes`](Self::from_bytes) carry it from one host to the
/// other, [`differences`](Self::differences) compares two, and its text has a line for each register.
///
/// Not in it: memory, devices with the local APIC, and the time-stamp counter, which are those of the machine; and what the hypervisor
/// lets the guest do.
///
/// It has some 3.4 KB: keep one where it is needed, and let `save` write to it.
///
/// ```
/// use x86_virt_core::{Activity, StateError, Vcpu, VcpuState};
///
/// /// Puts a virtual processor that waits for a start-up IPI to the code at `vector` times 4096.
/// fn start<V: Vcpu>(vcpu: &mut V, vector: u8) -> Result<(), StateError> {
///     let mut state = VcpuState::default();
///     vcpu.save(&mut state);
///     if state.start_up(vector) {
///         vcpu.restore(&state)?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct VcpuState {
    /// The registers that an entry point needs.
    pub cpu: CpuState,
    /// CR8: the task priority.
    pub cr8: u64,
    /// XCR0.
    pub xcr0: u64,
    /// DR0 to DR3.
    pub breakpoints: [u64; 4],
    /// DR6.
    pub dr6: u64,
    /// The MSRs that the library switches.
    pub msrs: Msrs,
    /// x87, SSE and AVX state, unless the virtual processor was made with [`FpuPolicy::Shared`](crate::FpuPolicy::Shared).
    pub extended: Option<ExtendedState>,
    /// The event that the next entry delivers: one that was injected, or whose delivery an exit interrupted.
    pub event: Option<Event>,
    /// A triple fault waits for the next run, which it ends.
    pub triple_fault: bool,
    /// An NMI was asked for, and waits until the guest takes it.
    pub nmi_requested: bool,
    /// The interrupt that was asked for, and waits until the guest takes it.
    pub interrupt_requested: Option<InterruptRequest>,
    /// The instruction before was STI, MOV SS or POP SS.
    pub shadow: bool,
    /// An NMI is being handled: its handler has not executed IRET.
    pub nmi_blocked: bool,
    /// The global interrupt flag of a guest that is a hypervisor.
    pub global_interrupts: GlobalInterrupts,
    /// Debug exceptions that wait for delivery.
    pub pending_debug: PendingDebugExceptions,
    /// Whether it executes instructions, or what it waits for.
    pub activity: Activity,
}

/// Bits of DR6 that a guest can have, and those that are always 1.
///
/// Intel SDM vol. 3, section 19.2.3, "Debug Status Register (DR6)"; AMD APM vol. 2, section 13.1.1.3, "Debug-Status Register (DR6)".
const DR6_DEFINED: u64 = 0xe00f;
const DR6_FIXED: u64 = 0xffff_0ff0;
/// Bits of DR7 that a guest can have.
const DR7_DEFINED: u64 = 0xffff_23ff;
/// The bit of a type of task-state segment that says busy.
const BUSY: u8 = 2;
/// Bits of RFLAGS that are not reserved, but for bit 1.
const RFLAGS_DEFINED: u64 = 0x003f_7fd5;

impl VcpuState {
    /// A processor that executes instructions with the registers `cpu`, and all else as after INIT of a processor that was just reset.
    #[must_use]
    pub fn new(cpu: CpuState) -> Self {
        Self {
            cpu,
            cr8: 0,
            xcr0: 1,
            breakpoints: [0; 4],
            dr6: DR6_FIXED,
            msrs: Msrs::new(),
            extended: Some(ExtendedState::new()),
            event: None,
            triple_fault: false,
            nmi_requested: false,
            interrupt_requested: None,
            shadow: false,
            nmi_blocked: false,
            global_interrupts: GlobalInterrupts::Enabled,
            pending_debug: PendingDebugExceptions::new(),
            activity: Activity::Running,
        }
    }

    /// The value of `msr`; FS_BASE and GS_BASE are the bases of the segments.
    #[must_use]
    pub fn msr(&self, msr: SwitchedMsr) -> u64 {
        match msr {
            SwitchedMsr::FsBase => self.cpu.fs.base,
            SwitchedMsr::GsBase => self.cpu.gs.base,
            other => self.msrs.get(other).unwrap_or(0),
        }
    }

    /// What keeps events from the processor.
    #[must_use]
    pub fn interruptibility(&self) -> Interruptibility {
        Interruptibility {
            interrupts_enabled: self.cpu.rflags.r#if(),
            shadow: self.shadow,
            nmi_blocked: self.nmi_blocked,
            gif_clear: self.global_interrupts == GlobalInterrupts::Disabled,
            debug_pending: self.pending_debug.raises(),
            task_priority: u8::try_from(self.cr8).unwrap_or(u8::MAX),
        }
    }

    /// Checks what no processor can have: reserved bits, addresses that are not canonical, an EFER.LMA that contradicts the rest, an event
    /// that cannot be delivered. What some processors have and others have not is for [`Vcpu::check_state`](crate::Vcpu::check_state).
    ///
    /// # Errors
    ///
    /// [`StateError`] with the first register that is wrong.
    pub fn check(&self) -> Result<(), StateError> {
        let cpu = &self.cpu;
        exact("RFLAGS", cpu.rflags.into_bits(), RFLAGS_DEFINED, Rflags::new().into_bits())?;
        exact("DR7", cpu.dr7, DR7_DEFINED, Dr7::new().into_bits())?;
        exact("DR6", self.dr6, DR6_DEFINED, DR6_FIXED)?;
        exact("CR8", self.cr8, 0xf, 0)?;
        if cpu.efer.lma() != (cpu.efer.lme() && cpu.cr0.pg()) {
            let bits = Efer::new().with_lma(true).into_bits();
            return Err(StateError::Bits { register: "EFER", value: cpu.efer.into_bits(), bits });
        }
        let width = self.address_width();
        for (register, value) in ["DR0", "DR1", "DR2", "DR3"].into_iter().zip(self.breakpoints) {
            if !Gva::new(value).is_canonical(width) {
                return Err(StateError::NonCanonical { register, value });
            }
        }
        for msr in Msrs::held() {
            msr.check(self.msr(msr), width)?;
        }
        if let Some(event) = self.event {
            event.validate(cpu.cr0.pe())?;
        }
        Ok(())
    }

    /// Bits in a canonical address.
    const fn address_width(&self) -> u32 {
        if self.cpu.cr4.la57() { 57 } else { 48 }
    }
}

/// The registers as [`CpuState::real_mode`] has them after INIT.
impl Default for VcpuState {
    fn default() -> Self {
        Self::new(CpuState::real_mode(0xf000, 0xfff0))
    }
}

impl From<CpuState> for VcpuState {
    fn from(cpu: CpuState) -> Self {
        Self::new(cpu)
    }
}

/// What [`Vcpu::save`](crate::Vcpu::save) does.
pub(crate) fn save<V: Vcpu + ?Sized>(vcpu: &V, state: &mut VcpuState) {
    state.cpu = vcpu.state();
    for register in SegmentRegister::ALL {
        let segment = state.cpu.segment_mut(register);
        *segment = neutral(register, *segment);
    }
    state.cr8 = vcpu.control(ControlRegister::Cr8);
    state.xcr0 = vcpu.xcr0();
    state.breakpoints = vcpu.breakpoints();
    state.dr6 = vcpu.dr6();
    for msr in Msrs::held() {
        state.msrs.set(msr, vcpu.msr(msr));
    }
    vcpu.save_extended(&mut state.extended);
    let events = vcpu.events();
    state.event = events.pending();
    state.triple_fault = events.is_shutdown_pending();
    state.nmi_requested = events.is_nmi_requested();
    state.interrupt_requested = events.requested_interrupt();
    let blocking = vcpu.interruptibility();
    state.shadow = blocking.shadow;
    // The delivery of an NMI, which begins anew, blocks them.
    state.nmi_blocked = blocking.nmi_blocked && state.event != Some(Event::Nmi);
    state.global_interrupts = if blocking.gif_clear { GlobalInterrupts::Disabled } else { GlobalInterrupts::Enabled };
    state.pending_debug = vcpu.pending_debug();
    state.activity = vcpu.activity();
}

/// `segment` with what processors see differently made the same: the rights of a register that holds no segment are ignored, but for the
/// privilege level, which SS keeps; and the task-state segment in TR is busy on Intel's processors, and either on AMD's.
///
/// Intel SDM vol. 3, section 29.3.1.2, "Checks on Guest Segment Registers".
fn neutral(register: SegmentRegister, segment: Segment) -> Segment {
    if register == SegmentRegister::Tr {
        return Segment { rights: segment.rights.with_segment_type(segment.rights.segment_type() | BUSY), ..segment };
    }
    if !segment.rights.unusable() {
        return segment;
    }
    let dpl = if register == SegmentRegister::Ss { segment.rights.dpl() } else { 0 };
    Segment { rights: SegmentAccessRights::UNUSABLE.with_dpl(dpl), ..segment }
}

/// What [`Vcpu::restore`](crate::Vcpu::restore) does.
pub(crate) fn restore<V: Vcpu + ?Sized>(vcpu: &mut V, state: &VcpuState) -> Result<(), StateError> {
    vcpu.check_state(state)?;
    // None of what follows fails after that.
    vcpu.cancel_event();
    let events = vcpu.events_mut();
    events.withdraw_nmi();
    events.withdraw_interrupt();
    // What the guest accepted before is nobody's, and a triple fault is that of the state before.
    events.take_accepted_interrupt();
    events.take_shutdown();
    vcpu.set_state(&state.cpu)?;
    vcpu.set_control(ControlRegister::Cr8, state.cr8)?;
    vcpu.set_xcr0(state.xcr0)?;
    vcpu.set_breakpoints(state.breakpoints)?;
    vcpu.set_dr6(state.dr6);
    for msr in Msrs::held() {
        vcpu.set_msr(msr, state.msr(msr))?;
    }
    if let Some(extended) = &state.extended {
        vcpu.set_extended(extended)?;
    }
    vcpu.set_activity(state.activity)?;
    vcpu.set_blocking(state.interruptibility());
    vcpu.set_pending_debug(state.pending_debug);
    let events = vcpu.events_mut();
    if let Some(event) = state.event {
        events.interrupted(event);
    }
    if state.triple_fault {
        events.shut_down();
    }
    if state.nmi_requested {
        events.request_nmi();
    }
    if let Some(request) = state.interrupt_requested {
        events.request_interrupt(request);
    }
    Ok(())
}

/// `value` has no bits but `defined` and `fixed`, and all of `fixed`.
const fn exact(register: &'static str, value: u64, defined: u64, fixed: u64) -> Result<(), StateError> {
    let bits = value & !(defined | fixed) | !value & fixed;
    if bits == 0 { Ok(()) } else { Err(StateError::Bits { register, value, bits }) }
}
