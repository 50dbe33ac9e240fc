//! The steps of a script.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::access::Access;
use crate::addr::Gpa;
use crate::event::{Event, Exception};
use crate::exit::{ControlRegisterAccess, ExitKind, NestedFault, NestedFaultCause, RegisterAccess};
use crate::io::{Io, IoDirection, IoSize};
use crate::register::{ControlRegister, Gpr};
use crate::state::VcpuState;

/// One exit of a scripted guest: what the guest does before it, the exit, and how it must be answered.
///
/// ```
/// use x86_virt_core::testing::{Answer, Step};
/// use x86_virt_core::{Exception, ExitKind, IoSize};
///
/// let script = [
///     // OUT of 41H to port 3F8H, with any answer.
///     Step::out(0x3f8, IoSize::Byte, 0x41),
///     // RDMSR of one that there is not.
///     Step::rdmsr(0x1234).expect(Answer::Raised(Exception::general_protection(0))),
///     // Any kind, of an instruction with a prefix.
///     Step::new(ExitKind::Hlt).length(2).guest(|state| state.cpu.rflags.set_if(true)),
/// ];
/// assert_eq!(script[0].to_string(), "I/O");
/// ```
#[must_use]
pub struct Step {
    pub(super) kind: ExitKind,
    pub(super) length: Option<u8>,
    pub(super) rip: Option<u64>,
    pub(super) guest: Vec<Change>,
    pub(super) expected: Vec<Expected>,
    pub(super) place: Place,
}

pub(super) type Change = Box<dyn FnOnce(&mut VcpuState)>;
pub(super) type Check = Box<dyn FnOnce(&VcpuState) -> Result<(), String>>;

/// What an answer is compared with.
pub(super) enum Expected {
    Answer(Answer),
    Gpr(Gpr, u64),
    Check(Check),
}

/// Where in the guest an exit happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// In its code: the handlers of events that it took before have returned.
    Code,
    /// In the handler of the event that it took last.
    Handler,
    /// In the delivery of the event that the entry began to deliver.
    Delivery,
}

/// How a hypervisor answers an exit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Answer {
    /// It goes to the next instruction, as all `complete` methods of [`Vcpu`](crate::Vcpu) do.
    Skipped,
    /// It gives the guest this exception instead.
    Raised(Exception),
    /// It sends the guest elsewhere.
    SentTo(u64),
    /// It does nothing: the guest executes the instruction again.
    Again,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Skipped => f.write_str("skipped"),
            Self::Raised(Exception { vector, error_code: None }) => write!(f, "answered with exception {vector}"),
            Self::Raised(Exception { vector, error_code: Some(code) }) => {
                write!(f, "answered with exception {vector} and error code {code:#x}")
            }
            Self::SentTo(rip) => write!(f, "left for {rip:#x}"),
            Self::Again => f.write_str("executed again"),
        }
    }
}

impl Step {
    /// An exit of this kind.
    ///
    /// Of an instruction, the length is the usual one without prefixes; see [`length`](Self::length).
    pub fn new(kind: ExitKind) -> Self {
        Self {
            kind,
            length: usual_length(&kind),
            rip: None,
            guest: Vec::new(),
            expected: Vec::new(),
            place: Place::Code,
        }
    }

    /// CPUID with this leaf in EAX and sub-leaf in ECX.
    pub fn cpuid(leaf: u32, subleaf: u32) -> Self {
        Self::new(ExitKind::Cpuid).gpr(Gpr::Rax, leaf.into()).gpr(Gpr::Rcx, subleaf.into())
    }

    /// HLT.
    pub fn hlt() -> Self {
        Self::new(ExitKind::Hlt)
    }

    /// OUT of `value`, which is in RAX, to a port with an immediate number, or with one in DX from 100H on.
    pub fn out(port: u16, size: IoSize, value: u32) -> Self {
        Self::io(port, size, IoDirection::Out).gpr(Gpr::Rax, value.into())
    }

    /// IN from a port.
    pub fn input(port: u16, size: IoSize) -> Self {
        Self::io(port, size, IoDirection::In)
    }

    fn io(port: u16, size: IoSize, direction: IoDirection) -> Self {
        let immediate = u8::from(port < 0x100);
        let prefix = u8::from(size == IoSize::Word);
        Self::new(ExitKind::Io(Io { port, size, direction, string: None })).length(1 + immediate + prefix)
    }

    /// RDMSR, with the number in ECX.
    pub fn rdmsr(msr: u32) -> Self {
        Self::new(ExitKind::ReadMsr(msr)).gpr(Gpr::Rcx, msr.into())
    }

    /// WRMSR, with the number in ECX and the value in EDX:EAX.
    pub fn wrmsr(msr: u32, value: u64) -> Self {
        let guest = move |state: &mut VcpuState| state.cpu.gprs.set_edx_eax(value);
        Self::new(ExitKind::WriteMsr { msr, value }).gpr(Gpr::Rcx, msr.into()).guest(guest)
    }

    /// VMCALL or VMMCALL.
    pub fn hypercall() -> Self {
        Self::new(ExitKind::Hypercall)
    }

    /// MOV of `value`, which is in RAX, to a control register.
    pub fn mov_to(register: ControlRegister, value: u64) -> Self {
        let access = ControlRegisterAccess::Move { register, access: RegisterAccess::Write(Gpr::Rax) };
        Self::new(ExitKind::ControlRegister(access)).gpr(Gpr::Rax, value)
    }

    /// An access to guest-physical memory that is not mapped. When the hypervisor runs the guest again, the access succeeds.
    pub fn nested_fault(gpa: Gpa, access: Access) -> Self {
        Self::new(ExitKind::NestedFault(NestedFault {
            gpa,
            gva: None,
            access,
            cause: NestedFaultCause::NotMapped,
            table_walk: false,
        }))
    }

    /// An interrupt of the host.
    pub fn host_interrupt() -> Self {
        Self::new(ExitKind::HostInterrupt)
    }

    /// A triple fault of the guest.
    pub fn shutdown() -> Self {
        Self::new(ExitKind::Shutdown)
    }

    /// With an instruction of `length` bytes. Of a nested fault it is what a decoder would say.
    pub const fn length(mut self, length: u8) -> Self {
        self.length = Some(length);
        self
    }

    /// At this RIP, wherever the guest was before.
    pub const fn at(mut self, rip: u64) -> Self {
        self.rip = Some(rip);
        self
    }

    /// With a register that the guest sets before.
    pub fn gpr(self, register: Gpr, value: u64) -> Self {
        self.guest(move |state| match state.cpu.gprs.get_mut(register) {
            Some(slot) => *slot = value,
            None => state.cpu.rsp = value,
        })
    }

    /// With something that the guest does before, to its registers and its other state.
    pub fn guest(mut self, change: impl FnOnce(&mut VcpuState) + 'static) -> Self {
        self.guest.push(Box::new(change));
        self
    }

    /// In the handler of the event that the guest has taken last: interrupts are disabled there, and NMIs blocked after an NMI.
    pub const fn in_handler(mut self) -> Self {
        self.place = Place::Handler;
        self
    }

    /// In the delivery of the event that the entry delivers, which is delivered anew afterwards.
    pub const fn in_delivery(mut self) -> Self {
        self.place = Place::Delivery;
        self
    }

    /// Must be answered so.
    pub fn expect(mut self, answer: Answer) -> Self {
        self.expected.push(Expected::Answer(answer));
        self
    }

    /// Must be answered so that a register has this value.
    pub fn expect_gpr(mut self, register: Gpr, value: u64) -> Self {
        self.expected.push(Expected::Gpr(register, value));
        self
    }

    /// Must be answered so that `check` finds nothing wrong.
    ///
    /// ```
    /// use x86_virt_core::testing::Step;
    ///
    /// let step = Step::hlt().expect_state(|state| {
    ///     if state.event.is_some() { Ok(()) } else { Err("nothing ends the HLT".to_string()) }
    /// });
    /// ```
    pub fn expect_state(mut self, check: impl FnOnce(&VcpuState) -> Result<(), String> + 'static) -> Self {
        self.expected.push(Expected::Check(Box::new(check)));
        self
    }

    /// Whether an instruction caused the exit, which is executed again unless it is answered.
    pub(super) const fn is_instruction(&self) -> bool {
        usual_length(&self.kind).is_some()
    }
}

/// Bytes of the instruction, without prefixes, if one causes such an exit.
const fn usual_length(kind: &ExitKind) -> Option<u8> {
    Some(match kind {
        ExitKind::Hlt => 1,
        ExitKind::Io(_)
        | ExitKind::ReadMsr(_)
        | ExitKind::WriteMsr { .. }
        | ExitKind::Cpuid
        | ExitKind::SoftwareInterrupt(_)
        | ExitKind::Pause
        | ExitKind::Rdtsc
        | ExitKind::Rdpmc(_)
        | ExitKind::Invd
        | ExitKind::Wbinvd => 2,
        ExitKind::Hypercall
        | ExitKind::ControlRegister(_)
        | ExitKind::DebugRegister { .. }
        | ExitKind::DescriptorTable(_)
        | ExitKind::Xsetbv { .. }
        | ExitKind::Monitor
        | ExitKind::Mwait
        | ExitKind::Rdtscp
        | ExitKind::Invlpg(_)
        | ExitKind::Virtualization(_)
        | ExitKind::Instruction(_)
        | ExitKind::Vmgexit => 3,
        ExitKind::Rdrand { .. }
        | ExitKind::Rdseed { .. }
        | ExitKind::Umwait { .. }
        | ExitKind::Tpause { .. }
        | ExitKind::ReadMsrList(_)
        | ExitKind::WriteMsrList { .. } => 4,
        ExitKind::Invpcid(_) => 5,
        ExitKind::ReadMsrTo { .. } => 9,
        _ => return None,
    })
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.kind.name())
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step")
            .field("kind", &self.kind)
            .field("length", &self.length)
            .field("rip", &self.rip)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// What the guest takes at an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// The event.
    pub event: Event,
    /// RIP that the event interrupts: where its handler returns to.
    pub rip: u64,
}
