//! The scripted processor: what it is, and which values its registers can have.

use core::fmt;
use core::ops::RangeInclusive;

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::addr::Gva;
use crate::event::Events;
use crate::permission::MsrAccess;
use crate::register::{ControlRegister, Cr0};
use crate::state::{CpuState, StateComponent, StateError, VcpuState};
use crate::testing::run::{Current, Handler};
use crate::testing::step::{Delivery, Step};
use crate::vcpu::FetchedInstruction;

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
    /// Of the debugger.
    pub(super) watched: u32,
    pub(super) monitor_trap: TrapState,
}

/// Whether the processor has a monitor trap, and it is armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TrapState {
    Missing,
    Disarmed,
    Armed,
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
        if state.triple_fault {
            events.shut_down();
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
            watched: 0,
            monitor_trap: TrapState::Missing,
        }
    }

    /// Like a processor with the monitor trap, which those of AMD do not have.
    #[must_use]
    pub const fn with_monitor_trap(mut self) -> Self {
        self.monitor_trap = TrapState::Disarmed;
        self
    }

    /// The vectors of the exceptions that a [`Debugger`](crate::Debugger) watches, as bits.
    #[must_use]
    pub const fn watched_exceptions(&self) -> u32 {
        self.watched
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

    pub(super) fn check_control(register: ControlRegister, value: u64) -> Result<(), StateError> {
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

    pub(super) fn check_cpu(state: &CpuState) -> Result<(), StateError> {
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

    pub(super) fn check_xcr0(value: u64) -> Result<(), StateError> {
        let known = StateComponent::ALL.iter().fold(0, |bits, component| bits | component.bit());
        let needs_sse = if value & 4 != 0 && value & 2 == 0 { 4 } else { 0 };
        let bits = value & !known | !value & 1 | needs_sse;
        if bits == 0 { Ok(()) } else { Err(StateError::Bits { register: "XCR0", value, bits }) }
    }

    pub(super) const fn linear_width(&self) -> u32 {
        if self.state.cpu.cr4.la57() { 57 } else { 48 }
    }

    /// EFER.LMA as it follows.
    pub(super) fn update_lma(&mut self) {
        let lma = self.state.cpu.efer.lme() && self.state.cpu.cr0.pg();
        self.state.cpu.efer.set_lma(lma);
    }
}

/// Bits of CR4 and EFER that a guest may have with either vendor.
const GUEST_CR4: u64 = 0x0037_1fff;
pub(super) const GUEST_EFER: u64 = 0xd01;
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
