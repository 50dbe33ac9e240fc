//! What took the processor out of the guest, in words that both vendors share.

mod access;
mod instruction;

use static_assertions::const_assert;

use crate::addr::Gva;
use crate::event::Exception;
use crate::io::Io;
use crate::operand::OperandSize;
use crate::register::{ControlRegister, Gpr};

pub use access::{
    ApicAccess, ApicAccessKind, ControlRegisterAccess, DescriptorTableAccess, Invpcid, InvpcidDescriptor, NestedFault,
    NestedFaultCause, RegisterAccess, TableAccess, TableRegister, TaskSwitch, TaskSwitchSource,
};
pub use instruction::{SpecialInstruction, VirtualizationInstruction};

/// An exit: the common kind, and the vendor's own reason with nothing lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Exit<R> {
    /// The kind of the exit.
    pub kind: ExitKind,
    /// The vendor's reason.
    pub reason: R,
}

/// Defines the kinds with their names.
macro_rules! exit_kinds {
    ($(#[$doc:meta])* pub enum ExitKind {
        $($(#[$row_doc:meta])* $name:ident $(($value:ident))? $({ $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })? = $text:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        #[non_exhaustive]
        pub enum ExitKind {
            $($(#[$row_doc])* $name $(($value))? $({ $($(#[$field_doc])* $field: $type,)* })?,)*
        }

        impl ExitKind {
            /// A short name of the kind, for counters and traces.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $text,)*
                }
            }
        }
    };
}

exit_kinds! {
    /// The kind of an exit, with its operands.
    ///
    /// Unless it says otherwise, the instruction that caused the exit has not been executed: the `complete` methods of
    /// [`Vcpu`](crate::Vcpu) do what it does and go to the next one, [`Vcpu::raise`](crate::Vcpu::raise) answers with an exception,
    /// and the next run executes it again if neither is called. Operands that are whole registers, such as the leaf of CPUID, are not
    /// repeated here.
    pub enum ExitKind {
        /// IN, OUT, INS or OUTS.
        Io(Io) = "I/O",
        /// RDMSR of the MSR with this number; the value goes to EDX:EAX.
        ReadMsr(u32) = "RDMSR",
        /// WRMSR, WRMSRNS or UWRMSR.
        WriteMsr {
            /// The number of the MSR.
            msr: u32,
            /// The value.
            value: u64,
        } = "WRMSR",
        /// RDMSR with an immediate operand, or URDMSR: the value goes to one register.
        ReadMsrTo {
            /// The number of the MSR.
            msr: u32,
            /// The register for the value.
            destination: Gpr,
        } = "RDMSR to a register",
        /// One of the MSRs of RDMSRLIST: those before are done, and RCX has a bit for it and for each that follows.
        ReadMsrList(u32) = "RDMSRLIST",
        /// One of the MSRs of WRMSRLIST: those before are done, and RCX has a bit for it and for each that follows.
        WriteMsrList {
            /// The number of the MSR.
            msr: u32,
            /// The value.
            value: u64,
        } = "WRMSRLIST",
        /// CPUID; the leaf is in EAX, the sub-leaf in ECX.
        Cpuid = "CPUID",
        /// HLT.
        Hlt = "HLT",
        /// VMCALL or VMMCALL.
        Hypercall = "hypercall",
        /// A guest-physical address could not be translated, or not for this access.
        NestedFault(NestedFault) = "nested fault",
        /// An instruction that accesses a control register.
        ControlRegister(ControlRegisterAccess) = "control register",
        /// The guest has written a control register. Only with SEV-ES.
        ControlRegisterWritten {
            /// The register.
            register: ControlRegister,
            /// The value that it has now.
            value: u64,
        } = "control register written",
        /// The guest has written EFER, which has this value now. Only with SEV-ES.
        EferWritten(u64) = "EFER written",
        /// MOV to or from a debug register.
        DebugRegister {
            /// The number of the register.
            number: u8,
            /// The direction and the general-purpose register.
            access: RegisterAccess,
        } = "debug register",
        /// SGDT, SIDT, LGDT, LIDT, SLDT, STR, LLDT or LTR.
        DescriptorTable(DescriptorTableAccess) = "descriptor table",
        /// XSETBV.
        Xsetbv {
            /// The number of the extended control register, from ECX.
            register: u32,
            /// The value, from EDX:EAX.
            value: u64,
        } = "XSETBV",
        /// An exception that the hypervisor intercepts.
        Exception {
            /// The exception.
            exception: Exception,
            /// For a page fault the linear address that faulted.
            address: Option<Gva>,
        } = "exception",
        /// `INT n` with this vector. Only SVM ends a run for it.
        SoftwareInterrupt(u8) = "software interrupt",
        /// A task switch.
        TaskSwitch(TaskSwitch) = "task switch",
        /// An access to the local APIC that the processor does not virtualize.
        ApicAccess(ApicAccess) = "APIC access",
        /// The guest has written the register of the local APIC at this offset. What follows from the value, which is in the page of
        /// the virtual APIC, is the hypervisor's part.
        ApicWrite(u16) = "APIC write",
        /// The guest has ended the interrupt with this vector, of which the hypervisor wanted to know.
        ApicEoi(u8) = "APIC EOI",
        /// The guest has lowered its task priority below the threshold.
        TprBelowThreshold = "TPR below threshold",
        /// An interrupt of the host came. It is still pending and reaches the host's handler when the host enables interrupts. Or the guest
        /// raises exceptions without end in their delivery, and the host gets its turn.
        HostInterrupt = "host interrupt",
        /// A non-maskable interrupt of the host came. The host's handler has run, or runs before the next instruction.
        HostNmi = "host NMI",
        /// A machine check of the host came. The host's handler has run.
        HostMachineCheck = "host machine check",
        /// The guest takes interrupts now; see [`Vcpu::request_interrupt_window`](crate::Vcpu::request_interrupt_window).
        InterruptWindow = "interrupt window",
        /// The guest takes NMIs now.
        NmiWindow = "NMI window",
        /// A triple fault: the guest shut down.
        Shutdown = "shutdown",
        /// The guest was not entered: it was [kicked](crate::Kick). No exit of the processor is behind it, and the vendor's reason
        /// says none.
        Kicked = "kicked",
        /// An INIT signal of the host came.
        Init = "INIT",
        /// A start-up IPI with this vector came to a processor that waits for one.
        Sipi(u8) = "SIPI",
        /// A system-management interrupt came.
        Smi = "SMI",
        /// PAUSE, or so many of them in a loop as the hypervisor allows.
        Pause = "PAUSE",
        /// MONITOR; the offset of the address is in RAX.
        Monitor = "MONITOR",
        /// MWAIT; hints are in EAX, extensions in ECX.
        Mwait = "MWAIT",
        /// UMWAIT.
        Umwait {
            /// The wanted state: bit 0 is 0 for C0.2 and 1 for C0.1.
            state: u32,
            /// When the wait ends at the latest, by the time-stamp counter; from EDX:EAX.
            deadline: u64,
        } = "UMWAIT",
        /// TPAUSE.
        Tpause {
            /// The wanted state: bit 0 is 0 for C0.2 and 1 for C0.1.
            state: u32,
            /// When the wait ends at the latest, by the time-stamp counter; from EDX:EAX.
            deadline: u64,
        } = "TPAUSE",
        /// RDTSC.
        Rdtsc = "RDTSC",
        /// RDTSCP.
        Rdtscp = "RDTSCP",
        /// RDPMC of the counter with this number, from ECX.
        Rdpmc(u32) = "RDPMC",
        /// RDRAND.
        Rdrand {
            /// The register for the number.
            destination: Gpr,
            /// How many bits of it.
            size: OperandSize,
        } = "RDRAND",
        /// RDSEED.
        Rdseed {
            /// The register for the number.
            destination: Gpr,
            /// How many bits of it.
            size: OperandSize,
        } = "RDSEED",
        /// INVD.
        Invd = "INVD",
        /// WBINVD or WBNOINVD.
        Wbinvd = "WBINVD",
        /// INVLPG of this linear address.
        Invlpg(Gva) = "INVLPG",
        /// INVPCID.
        Invpcid(Invpcid) = "INVPCID",
        /// An instruction of VMX or SVM.
        Virtualization(VirtualizationInstruction) = "virtualization instruction",
        /// Another instruction that can be made to end a run.
        Instruction(SpecialInstruction) = "special instruction",
        /// The deadline of [`GuestTime::run_until`](crate::GuestTime::run_until) has passed, or on VMX the preemption timer reached zero.
        Deadline = "deadline",
        /// The monitor trap: the guest has executed one instruction, or an event was delivered.
        MonitorTrap = "monitor trap",
        /// A [`Debugger`](crate::Debugger) has made a step: the guest has executed one instruction, or an event was delivered.
        Step = "step",
        /// The guest came to breakpoints of a [`Debugger`](crate::Debugger), whose numbers are the bits that are set. The
        /// instruction at one on an instruction has not been executed; that which has met one on data has.
        Breakpoint(u8) = "breakpoint",
        /// The page-modification log is full.
        PageModificationLogFull = "page-modification log full",
        /// The guest locked the bus: on VMX the instruction has been executed, on SVM the guest has used up what it may.
        BusLock = "bus lock",
        /// The guest let no event in for too long.
        Notify {
            /// Whether the guest's context is not valid any more, so that it cannot go on.
            context_invalid: bool,
        } = "notify",
        /// VMGEXIT: a guest with SEV-ES asks for something in its GHCB.
        Vmgexit = "VMGEXIT",
        /// Something that only this vendor has, or that this version of the library does not know, or whose operands neither the processor
        /// nor a decoder told: see [`Exit::reason`].
        Vendor = "vendor",
    }
}

// It is returned at every exit. Those of nested faults and exceptions are the largest.
const_assert!(size_of::<ExitKind>() <= 40);
