//! What took the processor out of the guest, in words that both vendors share.

use crate::Access;
use crate::addr::{Gpa, Gva};
use crate::event::Exception;
use crate::io::Io;
use crate::register::{ControlRegister, Gpr};

/// An exit: the common kind, and the vendor's own reason with nothing lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Exit<R> {
    /// The kind of the exit.
    pub kind: ExitKind,
    /// The vendor's reason.
    pub reason: R,
}

/// The kind of an exit.
///
/// The instruction that caused an exit has not been executed; see [`Vcpu::skip_instruction`](crate::Vcpu::skip_instruction).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum ExitKind {
    /// IN, OUT, INS or OUTS.
    Io(Io),
    /// RDMSR of the MSR with this number.
    ReadMsr(u32),
    /// WRMSR.
    WriteMsr {
        /// The number of the MSR.
        msr: u32,
        /// The value, from EDX:EAX.
        value: u64,
    },
    /// CPUID; the leaf is in EAX, the sub-leaf in ECX.
    Cpuid,
    /// HLT.
    Hlt,
    /// VMCALL or VMMCALL.
    Hypercall,
    /// A guest-physical address could not be translated, or not for this access.
    NestedFault(NestedFault),
    /// MOV to or from a control register.
    ControlRegister(ControlRegisterAccess),
    /// MOV to or from a debug register.
    DebugRegister {
        /// The number of the register.
        number: u8,
        /// The direction and the general-purpose register.
        access: RegisterAccess,
    },
    /// XSETBV; the register number is in ECX, the value in EDX:EAX.
    Xsetbv,
    /// An exception that the hypervisor intercepts.
    Exception {
        /// The exception.
        exception: Exception,
        /// For a page fault the linear address that faulted.
        address: Option<Gva>,
    },
    /// An interrupt of the host came. It is still pending and reaches the host's handler when the host enables interrupts.
    HostInterrupt,
    /// A non-maskable interrupt of the host came. The host's handler has run, or runs before the next instruction.
    HostNmi,
    /// A machine check of the host came. The host's handler has run.
    HostMachineCheck,
    /// The guest takes interrupts now; see [`Vcpu::request_interrupt_window`](crate::Vcpu::request_interrupt_window).
    InterruptWindow,
    /// A triple fault: the guest shut down.
    Shutdown,
    /// An INIT signal of the host came.
    Init,
    /// A start-up IPI came to a processor that waits for one.
    Sipi(u8),
    /// PAUSE.
    Pause,
    /// MONITOR.
    Monitor,
    /// MWAIT.
    Mwait,
    /// RDTSC.
    Rdtsc,
    /// RDTSCP.
    Rdtscp,
    /// RDPMC.
    Rdpmc,
    /// INVD.
    Invd,
    /// WBINVD or WBNOINVD.
    Wbinvd,
    /// INVLPG.
    Invlpg,
    /// An instruction of VMX or SVM.
    Virtualization,
    /// Something that only this vendor has, or that this version of the library does not know: see [`Exit::reason`].
    Vendor,
}

impl ExitKind {
    /// A short name of the kind, for counters and traces.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Io(_) => "I/O",
            Self::ReadMsr(_) => "RDMSR",
            Self::WriteMsr { .. } => "WRMSR",
            Self::Cpuid => "CPUID",
            Self::Hlt => "HLT",
            Self::Hypercall => "hypercall",
            Self::NestedFault(_) => "nested fault",
            Self::ControlRegister(_) => "control register",
            Self::DebugRegister { .. } => "debug register",
            Self::Xsetbv => "XSETBV",
            Self::Exception { .. } => "exception",
            Self::HostInterrupt => "host interrupt",
            Self::HostNmi => "host NMI",
            Self::HostMachineCheck => "host machine check",
            Self::InterruptWindow => "interrupt window",
            Self::Shutdown => "shutdown",
            Self::Init => "INIT",
            Self::Sipi(_) => "SIPI",
            Self::Pause => "PAUSE",
            Self::Monitor => "MONITOR",
            Self::Mwait => "MWAIT",
            Self::Rdtsc => "RDTSC",
            Self::Rdtscp => "RDTSCP",
            Self::Rdpmc => "RDPMC",
            Self::Invd => "INVD",
            Self::Wbinvd => "WBINVD",
            Self::Invlpg => "INVLPG",
            Self::Virtualization => "virtualization instruction",
            Self::Vendor => "vendor",
        }
    }
}

/// An access to a guest-physical address that nested paging did not allow.
///
/// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for EPT Violations"); AMD APM
/// vol. 2, section 15.25.6, "Nested versus Guest Page Faults, Fault Ordering".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct NestedFault {
    /// The guest-physical address.
    pub gpa: Gpa,
    /// The linear address, where the processor reports it.
    pub gva: Option<Gva>,
    /// What the guest wanted to do.
    pub access: Access,
    /// Why it could not.
    pub cause: NestedFaultCause,
    /// Whether it happened while the processor walked the guest's own page tables.
    pub table_walk: bool,
}

/// Why nested paging did not allow an access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum NestedFaultCause {
    /// Nothing is mapped there.
    NotMapped,
    /// A page is mapped, but not for such an access.
    Permission,
    /// An entry of the nested table has bits that the processor does not accept.
    Misconfiguration,
}

/// Direction of a move between a control or debug register and a general-purpose register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum RegisterAccess {
    /// The guest reads into the general-purpose register.
    Read(Gpr),
    /// The guest writes from the general-purpose register.
    Write(Gpr),
}

/// An access to a control register.
///
/// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Control-Register Accesses").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum ControlRegisterAccess {
    /// MOV.
    Move {
        /// The control register.
        register: ControlRegister,
        /// The direction and the general-purpose register.
        access: RegisterAccess,
    },
    /// CLTS: clears CR0.TS.
    Clts,
    /// LMSW: loads bits 3:0 of CR0, but cannot clear bit 0.
    Lmsw {
        /// The source operand, as far as the processor reports it.
        source: u16,
    },
}
