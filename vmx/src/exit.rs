//! Exit reasons and exit qualifications.

use core::fmt;

use x86_virt_core::register;
use x86_virt_core::{
    Access, AddressSize, ControlRegister, ControlRegisterAccess, Exception, ExitKind, Gpa, Gpr, Gprs, Gva, Io,
    IoDirection, IoSize, NestedFault, NestedFaultCause, RegisterAccess, SegmentRegister, StringIo,
};

use crate::access::VmcsRead;
use crate::event::EventType;
use crate::field;

/// An exit reason: the basic reason in bits 15:0, and flags.
///
/// A reason that this version does not know is kept and printed as its number.
///
/// Intel SDM vol. 3, section 27.9.1, "Basic VM-Exit Information".
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExitReason(u32);

/// Defines the constants and the names from one list.
macro_rules! exit_reasons {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl ExitReason {
            $(
                #[doc = concat!("Basic reason ", stringify!($number), ": ", $text, ".")]
                ///
                /// Intel SDM vol. 3, appendix C, "VMX Basic Exit Reasons".
                pub const $name: u16 = $number;
            )*

            /// The name of the basic reason, or `None` for one that this version does not know.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                Some(match self.basic() {
                    $($number => stringify!($name),)*
                    _ => return None,
                })
            }
        }
    };
}

exit_reasons! {
    EXCEPTION_OR_NMI = 0, "exception or non-maskable interrupt";
    EXTERNAL_INTERRUPT = 1, "external interrupt";
    TRIPLE_FAULT = 2, "triple fault";
    INIT_SIGNAL = 3, "INIT signal";
    STARTUP_IPI = 4, "start-up IPI";
    IO_SMI = 5, "I/O system-management interrupt";
    OTHER_SMI = 6, "other system-management interrupt";
    INTERRUPT_WINDOW = 7, "interrupt window";
    NMI_WINDOW = 8, "NMI window";
    TASK_SWITCH = 9, "task switch";
    CPUID = 10, "CPUID";
    GETSEC = 11, "GETSEC";
    HLT = 12, "HLT";
    INVD = 13, "INVD";
    INVLPG = 14, "INVLPG";
    RDPMC = 15, "RDPMC";
    RDTSC = 16, "RDTSC";
    RSM = 17, "RSM";
    VMCALL = 18, "VMCALL";
    VMCLEAR = 19, "VMCLEAR";
    VMLAUNCH = 20, "VMLAUNCH";
    VMPTRLD = 21, "VMPTRLD";
    VMPTRST = 22, "VMPTRST";
    VMREAD = 23, "VMREAD";
    VMRESUME = 24, "VMRESUME";
    VMWRITE = 25, "VMWRITE";
    VMXOFF = 26, "VMXOFF";
    VMXON = 27, "VMXON";
    CONTROL_REGISTER_ACCESS = 28, "control-register access";
    MOV_DR = 29, "MOV DR";
    IO_INSTRUCTION = 30, "I/O instruction";
    RDMSR = 31, "RDMSR";
    WRMSR = 32, "WRMSR";
    INVALID_GUEST_STATE = 33, "VM-entry failure because of the guest state";
    MSR_LOADING = 34, "VM-entry failure because of MSR loading";
    MWAIT = 36, "MWAIT";
    MONITOR_TRAP_FLAG = 37, "monitor trap flag";
    MONITOR = 39, "MONITOR";
    PAUSE = 40, "PAUSE";
    MACHINE_CHECK_DURING_ENTRY = 41, "VM-entry failure because of a machine check";
    TPR_BELOW_THRESHOLD = 43, "TPR below threshold";
    APIC_ACCESS = 44, "APIC access";
    VIRTUALIZED_EOI = 45, "virtualized EOI";
    GDTR_OR_IDTR_ACCESS = 46, "access to GDTR or IDTR";
    LDTR_OR_TR_ACCESS = 47, "access to LDTR or TR";
    EPT_VIOLATION = 48, "EPT violation";
    EPT_MISCONFIGURATION = 49, "EPT misconfiguration";
    INVEPT = 50, "INVEPT";
    RDTSCP = 51, "RDTSCP";
    PREEMPTION_TIMER_EXPIRED = 52, "preemption timer";
    INVVPID = 53, "INVVPID";
    WBINVD = 54, "WBINVD or WBNOINVD";
    XSETBV = 55, "XSETBV";
    APIC_WRITE = 56, "APIC write";
    RDRAND = 57, "RDRAND";
    INVPCID = 58, "INVPCID";
    VMFUNC = 59, "VMFUNC";
    ENCLS = 60, "ENCLS";
    RDSEED = 61, "RDSEED";
    PAGE_MODIFICATION_LOG_FULL = 62, "page-modification log full";
    XSAVES = 63, "XSAVES";
    XRSTORS = 64, "XRSTORS";
    PCONFIG = 65, "PCONFIG";
    SPP_RELATED_EVENT = 66, "sub-page write permissions";
    UMWAIT = 67, "UMWAIT";
    TPAUSE = 68, "TPAUSE";
    LOADIWKEY = 69, "LOADIWKEY";
    ENCLV = 70, "ENCLV";
    ENQCMD_PASID = 72, "ENQCMD PASID translation";
    ENQCMDS_PASID = 73, "ENQCMDS PASID translation";
    BUS_LOCK = 74, "bus lock";
    INSTRUCTION_TIMEOUT = 75, "instruction timeout";
    SEAMCALL = 76, "SEAMCALL";
    TDCALL = 77, "TDCALL";
    RDMSRLIST = 78, "RDMSRLIST";
    WRMSRLIST = 79, "WRMSRLIST";
}

impl ExitReason {
    /// The reason with the value of the exit-reason field.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The value of the exit-reason field.
    #[must_use]
    pub const fn into_bits(self) -> u32 {
        self.0
    }

    /// The basic reason.
    #[must_use]
    pub const fn basic(self) -> u16 {
        let [low, high, ..] = self.0.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    /// Whether the VM entry failed: bit 31.
    #[must_use]
    pub const fn is_entry_failure(self) -> bool {
        self.0 >> 31 == 1
    }

    /// Whether an event whose delivery was interrupted may come with the exit.
    ///
    /// Instructions, windows and timers end a run between events.
    pub(crate) const fn may_interrupt_delivery(self) -> bool {
        matches!(
            self.basic(),
            Self::EXCEPTION_OR_NMI
                | Self::EXTERNAL_INTERRUPT
                | Self::TASK_SWITCH
                | Self::APIC_ACCESS
                | Self::EPT_VIOLATION
                | Self::EPT_MISCONFIGURATION
                | Self::PAGE_MODIFICATION_LOG_FULL
                | Self::SPP_RELATED_EVENT
                | Self::INSTRUCTION_TIMEOUT
        )
    }

    /// Whether an instruction ended the run, so that its length is known.
    pub(crate) const fn is_instruction(self) -> bool {
        matches!(
            self.basic(),
            Self::TASK_SWITCH..=Self::WRMSR
                | Self::MWAIT
                | Self::MONITOR
                | Self::PAUSE
                | Self::GDTR_OR_IDTR_ACCESS
                | Self::LDTR_OR_TR_ACCESS
                | Self::INVEPT
                | Self::RDTSCP
                | Self::INVVPID..=Self::XSETBV
                | Self::RDRAND..=Self::RDSEED
                | Self::XSAVES..=Self::PCONFIG
                | Self::UMWAIT..=Self::ENQCMDS_PASID
                | Self::SEAMCALL..=Self::WRMSRLIST
                | Self::APIC_ACCESS
                | Self::EPT_VIOLATION
                | Self::EPT_MISCONFIGURATION
        )
    }
}

impl fmt::Debug for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "exit reason {}", self.basic())?,
        }
        if self.0 >> 16 != 0 {
            write!(f, " ({:#010x})", self.0)?;
        }
        Ok(())
    }
}

register! {
    /// Exit qualification of a control-register access.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Control-Register Accesses").
    pub struct ControlRegisterQualification(u64) {
        /// Number of the control register.
        #[bits(4)]
        pub number: u8,
        /// 0 MOV to, 1 MOV from, 2 CLTS, 3 LMSW.
        #[bits(2)]
        pub access_type: u8,
        /// LMSW has a memory operand.
        pub lmsw_memory: bool,
        _reserved7: bool,
        /// The general-purpose register of MOV.
        #[bits(4)]
        pub gpr: u8,
        #[bits(4)]
        _reserved12: u8,
        /// The source operand of LMSW.
        pub lmsw_source: u16,
        _reserved32: u32,
    }
}

register! {
    /// Exit qualification of MOV DR.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for MOV DR").
    pub struct DebugRegisterQualification(u64) {
        /// Number of the debug register.
        #[bits(3)]
        pub number: u8,
        _reserved3: bool,
        /// MOV from the debug register.
        pub read: bool,
        #[bits(3)]
        _reserved5: u8,
        /// The general-purpose register.
        #[bits(4)]
        pub gpr: u8,
        #[bits(52)]
        _reserved12: u64,
    }
}

register! {
    /// Exit qualification of an I/O instruction.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for I/O Instructions").
    pub struct IoQualification(u64) {
        /// Bytes moved at a time, less one.
        #[bits(3)]
        pub size_less_one: u8,
        /// IN or INS.
        pub input: bool,
        /// INS or OUTS.
        pub string: bool,
        /// REP.
        pub repeat: bool,
        /// The port is in the instruction and not in DX.
        pub immediate: bool,
        #[bits(9)]
        _reserved7: u16,
        /// The port.
        pub port: u16,
        _reserved32: u32,
    }
}

register! {
    /// Exit qualification of an EPT violation.
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for EPT Violations").
    pub struct EptViolationQualification(u64) {
        /// The access was a data read.
        pub read: bool,
        /// The access was a data write.
        pub write: bool,
        /// The access was an instruction fetch.
        pub fetch: bool,
        /// The guest-physical address is readable.
        pub readable: bool,
        /// The guest-physical address is writable.
        pub writable: bool,
        /// The guest-physical address is executable.
        pub executable: bool,
        /// The guest-physical address is executable for user-mode linear addresses.
        pub user_executable: bool,
        /// The guest linear address is valid.
        pub linear_address_valid: bool,
        /// The access was to the translation of the linear address, not to a paging structure.
        pub final_translation: bool,
        /// The linear address is a user-mode address.
        pub user_linear_address: bool,
        /// The linear address is writable.
        pub linear_writable: bool,
        /// The linear address is not executable.
        pub linear_execute_disable: bool,
        /// IRET had ended the blocking of NMIs.
        pub nmi_unblocking_due_to_iret: bool,
        /// The access was to a shadow stack.
        pub shadow_stack: bool,
        /// The page is a supervisor shadow-stack page.
        pub supervisor_shadow_stack: bool,
        /// Guest-paging verification failed.
        pub guest_paging_verification: bool,
        /// The access was asynchronous to instructions.
        pub asynchronous: bool,
        #[bits(47)]
        _reserved17: u64,
    }
}

register! {
    /// Instruction information of INS and OUTS.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution".
    pub struct StringIoInformation(u32) {
        #[bits(7)]
        _undefined0: u8,
        /// 0 16-bit, 1 32-bit, 2 64-bit.
        #[bits(3)]
        pub address_size: u8,
        #[bits(5)]
        _undefined10: u8,
        /// Segment of OUTS.
        #[bits(3)]
        pub segment: u8,
        #[bits(14)]
        _undefined18: u16,
    }
}

/// The kind of an exit, from the VMCS and the registers; reads no more fields than the reason needs.
///
/// Any reason and any fields give a kind: what is not known, or cannot be, is [`ExitKind::Vendor`].
///
/// ```
/// use x86_virt_core::{ExitKind, Gprs};
/// use x86_virt_vmx::{ExitReason, FakeVmcs, decode_exit};
///
/// let reason = ExitReason::from_bits(u32::from(ExitReason::HLT));
/// assert_eq!(decode_exit(reason, &FakeVmcs::new(), &Gprs::default()), ExitKind::Hlt);
/// ```
#[must_use]
pub fn decode_exit(reason: ExitReason, vmcs: &impl VmcsRead, gprs: &Gprs) -> ExitKind {
    match reason.basic() {
        ExitReason::CPUID => ExitKind::Cpuid,
        ExitReason::HLT => ExitKind::Hlt,
        ExitReason::IO_INSTRUCTION => io(vmcs).map_or(ExitKind::Vendor, ExitKind::Io),
        ExitReason::RDMSR => ExitKind::ReadMsr(low(gprs.rcx)),
        ExitReason::WRMSR => ExitKind::WriteMsr { msr: low(gprs.rcx), value: gprs.edx_eax() },
        ExitReason::VMCALL => ExitKind::Hypercall,
        ExitReason::EPT_VIOLATION => ExitKind::NestedFault(ept_violation(vmcs)),
        ExitReason::EPT_MISCONFIGURATION => ExitKind::NestedFault(NestedFault {
            gpa: Gpa::new(vmcs.get(field::GUEST_PHYSICAL_ADDRESS)),
            gva: None,
            access: Access::NONE,
            cause: NestedFaultCause::Misconfiguration,
            table_walk: false,
        }),
        ExitReason::EXTERNAL_INTERRUPT => ExitKind::HostInterrupt,
        ExitReason::EXCEPTION_OR_NMI => exception(vmcs),
        ExitReason::CONTROL_REGISTER_ACCESS => control_register(vmcs),
        ExitReason::MOV_DR => debug_register(vmcs),
        ExitReason::TRIPLE_FAULT => ExitKind::Shutdown,
        ExitReason::INTERRUPT_WINDOW => ExitKind::InterruptWindow,
        ExitReason::INIT_SIGNAL => ExitKind::Init,
        ExitReason::STARTUP_IPI => {
            let [vector, ..] = vmcs.get(field::EXIT_QUALIFICATION).to_le_bytes();
            ExitKind::Sipi(vector)
        }
        ExitReason::XSETBV => ExitKind::Xsetbv,
        ExitReason::PAUSE => ExitKind::Pause,
        ExitReason::MONITOR => ExitKind::Monitor,
        ExitReason::MWAIT => ExitKind::Mwait,
        ExitReason::RDTSC => ExitKind::Rdtsc,
        ExitReason::RDTSCP => ExitKind::Rdtscp,
        ExitReason::RDPMC => ExitKind::Rdpmc,
        ExitReason::INVD => ExitKind::Invd,
        ExitReason::WBINVD => ExitKind::Wbinvd,
        ExitReason::INVLPG => ExitKind::Invlpg,
        ExitReason::VMCLEAR..=ExitReason::VMXON
        | ExitReason::INVEPT
        | ExitReason::INVVPID
        | ExitReason::VMFUNC
        | ExitReason::GETSEC => ExitKind::Virtualization,
        _ => ExitKind::Vendor,
    }
}

fn io(vmcs: &impl VmcsRead) -> Option<Io> {
    let qualification = IoQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    let string = qualification.string().then(|| {
        let information = StringIoInformation::from_bits(vmcs.get(field::EXIT_INSTRUCTION_INFORMATION));
        StringIo {
            repeat: qualification.repeat(),
            address_size: match information.address_size() {
                0 => AddressSize::Bits16,
                1 => AddressSize::Bits32,
                _ => AddressSize::Bits64,
            },
            segment: if qualification.input() {
                SegmentRegister::Es
            } else {
                SegmentRegister::from_number(u64::from(information.segment()))
            },
        }
    });
    Some(Io {
        port: qualification.port(),
        size: IoSize::from_bytes(u64::from(qualification.size_less_one()) + 1)?,
        direction: if qualification.input() { IoDirection::In } else { IoDirection::Out },
        string,
    })
}

fn ept_violation(vmcs: &impl VmcsRead) -> NestedFault {
    let qualification = EptViolationQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    let mut access = Access::NONE;
    for (wanted, kind) in [
        (qualification.read(), Access::READ),
        (qualification.write(), Access::WRITE),
        (qualification.fetch(), Access::EXECUTE),
    ] {
        if wanted {
            access = access.union(kind);
        }
    }
    let mapped = qualification.readable() || qualification.writable() || qualification.executable();
    let gva = qualification.linear_address_valid().then(|| Gva::new(vmcs.get(field::GUEST_LINEAR_ADDRESS)));
    NestedFault {
        gpa: Gpa::new(vmcs.get(field::GUEST_PHYSICAL_ADDRESS)),
        gva,
        access,
        cause: if mapped { NestedFaultCause::Permission } else { NestedFaultCause::NotMapped },
        table_walk: gva.is_some() && !qualification.final_translation(),
    }
}

fn exception(vmcs: &impl VmcsRead) -> ExitKind {
    let information = vmcs.get(field::EXIT_INTERRUPTION_INFORMATION);
    if information.event_type() == EventType::NMI {
        return ExitKind::HostNmi;
    }
    if information.vector() == MACHINE_CHECK {
        return ExitKind::HostMachineCheck;
    }
    let error_code = information.error_code_valid().then(|| vmcs.get(field::EXIT_INTERRUPTION_ERROR_CODE));
    let address = (information.vector() == 14).then(|| Gva::new(vmcs.get(field::EXIT_QUALIFICATION)));
    ExitKind::Exception { exception: Exception { vector: information.vector(), error_code }, address }
}

fn control_register(vmcs: &impl VmcsRead) -> ExitKind {
    let qualification = ControlRegisterQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    let gpr = Gpr::from_number(u64::from(qualification.gpr()));
    let access = match qualification.access_type() {
        0 => RegisterAccess::Write(gpr),
        1 => RegisterAccess::Read(gpr),
        2 => return ExitKind::ControlRegister(ControlRegisterAccess::Clts),
        _ => return ExitKind::ControlRegister(ControlRegisterAccess::Lmsw { source: qualification.lmsw_source() }),
    };
    match ControlRegister::from_number(u64::from(qualification.number())) {
        Some(register) => ExitKind::ControlRegister(ControlRegisterAccess::Move { register, access }),
        None => ExitKind::Vendor,
    }
}

fn debug_register(vmcs: &impl VmcsRead) -> ExitKind {
    let qualification = DebugRegisterQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    let gpr = Gpr::from_number(u64::from(qualification.gpr()));
    let access = if qualification.read() { RegisterAccess::Read(gpr) } else { RegisterAccess::Write(gpr) };
    ExitKind::DebugRegister { number: qualification.number(), access }
}

/// Vector of #MC.
pub(crate) const MACHINE_CHECK: u8 = 18;

const fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests;
