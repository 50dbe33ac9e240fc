//! The scripted processor: what it keeps.
#![expect(unsafe_code, reason = "implements methods that are the caller's promise")]

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use crate::addr::Gva;
use crate::event::{Event, Events, GlobalInterrupts, Interruptibility};
use crate::exit::{Exit, ExitKind};
use crate::linear;
use crate::permission::{MsrAccess, MsrRangeError, SwitchedMsr};
use crate::register::{ControlRegister, Cr0, Cr4, Efer, Gprs, Rflags};
use crate::segment::{DescriptorTable, Segment, SegmentRegister};
use crate::state::{Activity, CpuState, ExtendedState, PendingDebugExceptions, StateComponent, StateError, VcpuState};
use crate::testing::run::{Current, Handler};
use crate::testing::step::{Delivery, Step};
use crate::vcpu::{FetchedInstruction, SkipError, Vcpu};

/// A virtual processor whose guest is a script: a list of exits, each with what the guest does before it.
///
/// It has all that a real one has, and the same methods refuse the same things: registers that cannot have a value, events that the
/// guest does not take now, instructions whose length nobody knows. Between two exits it does what a processor does: it delivers the
/// event that waits, opens windows, and executes an instruction again that was not answered. So an exit loop is tested on any host by
/// `cargo test`, with no guest and no privilege.
///
/// ```
/// use x86_virt_core::testing::{Answer, ScriptedVcpu, Step};
/// use x86_virt_core::{CpuState, ExitKind, Gpr, IoSize, Vcpu};
///
/// /// The loop under test: counts what the guest prints.
/// fn run<V: Vcpu>(vcpu: &mut V) -> Result<usize, Box<dyn core::error::Error>>
/// where
///     V::EntryError: 'static,
/// {
///     let mut printed = 0;
///     loop {
///         match vcpu.run()?.kind {
///             ExitKind::Io(_) => printed += 1,
///             ExitKind::Cpuid => {
///                 vcpu.complete_cpuid([1, 2, 3, 4])?;
///                 continue;
///             }
///             _ => return Ok(printed),
///         }
///         vcpu.skip_instruction()?;
///     }
/// }
///
/// for vcpu in ScriptedVcpu::of_both_vendors(CpuState::real_mode(0, 0x7c00)) {
///     let mut vcpu = vcpu.with_script([
///         Step::cpuid(0, 0).expect_gpr(Gpr::Rbx, 2),
///         Step::out(0x10, IoSize::Byte, 0x41).expect(Answer::Skipped),
///         Step::hlt(),
///     ]);
///     assert_eq!(run(&mut vcpu)?, 1);
///     assert_eq!(vcpu.rip(), 0x7c00 + 2 + 2, "at the HLT");
///     vcpu.finish()?;
/// }
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct ScriptedVcpu {
    pub(super) semantics: Semantics,
    /// All but the events.
    pub(crate) state: VcpuState,
    pub(crate) events: Events,
    pub(super) script: VecDeque<Step>,
    /// How many exits of the script there have been, and how many there are.
    pub(super) begun: usize,
    pub(super) total: usize,
    pub(super) current: Option<Current>,
    pub(super) handler: Option<Handler>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) passed_msrs: Vec<(u32, MsrAccess)>,
    pub(super) passed_ports: Vec<RangeInclusive<u16>>,
    pub(super) reports_next_rip: bool,
    pub(crate) fetched: FetchedInstruction,
}

/// Whose processor a [`ScriptedVcpu`] is like, where they differ.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Semantics {
    /// Intel's: the length of an instruction counts from where RIP is when it is skipped, and no nested fault has one.
    Vmx,
    /// AMD's: the processor reports the address of the next instruction, and a decoder the length at a nested fault.
    Svm,
}

/// The reason of a scripted exit, in place of a vendor's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScriptedReason {
    /// The name of the exit's kind.
    pub name: &'static str,
    /// Whose processor it is like.
    pub semantics: Semantics,
}

impl fmt::Display for ScriptedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (scripted, {:?})", self.name, self.semantics)
    }
}

impl ScriptedVcpu {
    /// A virtual processor like VMX's, with an empty script.
    #[must_use]
    pub fn vmx(state: impl Into<VcpuState>) -> Self {
        Self::new(Semantics::Vmx, state.into())
    }

    /// A virtual processor like SVM's, with an empty script.
    #[must_use]
    pub fn svm(state: impl Into<VcpuState>) -> Self {
        Self::new(Semantics::Svm, state.into())
    }

    /// One of each: a test runs the same script on both.
    #[must_use]
    pub fn of_both_vendors(state: impl Into<VcpuState>) -> [Self; 2] {
        let state = state.into();
        [Self::vmx(state.clone()), Self::svm(state)]
    }

    fn new(semantics: Semantics, mut state: VcpuState) -> Self {
        let mut events = Events::new();
        if let Some(event) = state.event.take() {
            events.interrupted(event);
        }
        if state.nmi_requested {
            events.request_nmi();
        }
        if let Some(request) = state.interrupt_requested {
            events.request_interrupt(request);
        }
        events.set_global_interrupts(state.global_interrupts);
        events.set_debug(state.pending_debug.dr6_bits());
        Self {
            semantics,
            state,
            events,
            script: VecDeque::new(),
            begun: 0,
            total: 0,
            current: None,
            handler: None,
            deliveries: Vec::new(),
            passed_msrs: Vec::new(),
            passed_ports: Vec::new(),
            reports_next_rip: true,
            fetched: FetchedInstruction::default(),
        }
    }

    /// With `script` as what the guest does, behind what was there before.
    #[must_use]
    pub fn with_script(mut self, script: impl IntoIterator<Item = Step>) -> Self {
        self.script.extend(script);
        self.total = self.begun + self.script.len();
        self
    }

    /// In the exit of an instruction of `length` bytes, which is not in the script: to test what answers one exit.
    #[must_use]
    pub fn at_instruction(mut self, length: u8) -> Self {
        self.current = Some(Current::of_instruction(self.state.cpu.rip, length));
        self
    }

    /// Like a processor that does not report the address of the next instruction, as SVM's without NRIPS and without a decoder.
    #[must_use]
    pub const fn without_next_rip(mut self) -> Self {
        self.reports_next_rip = false;
        self
    }

    /// Whose processor it is like.
    #[must_use]
    pub const fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// The events that the guest has taken, in order.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }

    fn check_control(register: ControlRegister, value: u64) -> Result<(), StateError> {
        let cr0 = Cr0::from(value);
        let (name, bits) = match register {
            ControlRegister::Cr0 => {
                let mut bits = value & !0xffff_ffff;
                if cr0.pg() && !cr0.pe() {
                    bits |= Cr0::new().with_pg(true).into_bits();
                }
                if cr0.nw() && !cr0.cd() {
                    bits |= Cr0::new().with_nw(true).into_bits();
                }
                ("CR0", bits)
            }
            ControlRegister::Cr2 => ("CR2", 0),
            ControlRegister::Cr3 => ("CR3", value & !0xf_ffff_ffff_ffff),
            ControlRegister::Cr4 => ("CR4", value & !GUEST_CR4),
            ControlRegister::Cr8 => ("CR8", value & !0xf),
        };
        if bits == 0 { Ok(()) } else { Err(StateError::Bits { register: name, value, bits }) }
    }

    fn check_cpu(state: &CpuState) -> Result<(), StateError> {
        Self::check_control(ControlRegister::Cr0, state.cr0.into())?;
        Self::check_control(ControlRegister::Cr3, state.cr3)?;
        Self::check_control(ControlRegister::Cr4, state.cr4.into())?;
        let efer = state.efer.into_bits();
        if efer & !GUEST_EFER != 0 {
            return Err(StateError::Bits { register: "EFER", value: efer, bits: efer & !GUEST_EFER });
        }
        let is_64_bit = state.efer.lma() && state.cs.rights.long();
        let width = if state.cr4.la57() { 57 } else { 48 };
        if is_64_bit && !Gva::new(state.rip).is_canonical(width) {
            return Err(StateError::NonCanonical { register: "RIP", value: state.rip });
        }
        Ok(())
    }

    fn check_xcr0(value: u64) -> Result<(), StateError> {
        let known = StateComponent::ALL.iter().fold(0, |bits, component| bits | component.bit());
        let needs_sse = if value & 4 != 0 && value & 2 == 0 { 4 } else { 0 };
        let bits = value & !known | !value & 1 | needs_sse;
        if bits == 0 { Ok(()) } else { Err(StateError::Bits { register: "XCR0", value, bits }) }
    }

    const fn linear_width(&self) -> u32 {
        if self.state.cpu.cr4.la57() { 57 } else { 48 }
    }

    /// EFER.LMA as it follows.
    fn update_lma(&mut self) {
        let lma = self.state.cpu.efer.lme() && self.state.cpu.cr0.pg();
        self.state.cpu.efer.set_lma(lma);
    }
}

/// Bits of CR4 and EFER that a guest may have with either vendor.
const GUEST_CR4: u64 = 0x0037_1fff;
const GUEST_EFER: u64 = 0xd01;
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

impl fmt::Debug for ScriptedVcpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = String::from(self.current.as_ref().map_or("none", |current| current.kind.name()));
        f.debug_struct("ScriptedVcpu")
            .field("semantics", &self.semantics)
            .field("rip", &self.state.cpu.rip)
            .field("exit", &place)
            .field("number", &format_args!("{} of {}", self.begun, self.total))
            .finish_non_exhaustive()
    }
}
