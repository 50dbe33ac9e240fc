//! Exit qualifications: what an exit tells beside its reason.

mod apic;
mod control_register;
mod debug;
mod entry_failure;
mod instruction;
mod memory;
#[cfg(test)]
mod tests;

use core::convert::identity;
use core::fmt;

use x86_virt_core::{Gva, TableRow, code_rows, register_rows};

pub use self::apic::{
    ApicAccessQualification, ApicAccessType, ApicWriteQualification, StartupIpiQualification,
    VirtualizedEoiQualification,
};
pub use self::control_register::{ControlRegisterAccessType, ControlRegisterQualification};
pub use self::debug::{DebugExceptionQualification, DebugRegisterQualification};
pub use self::entry_failure::EntryFailureCause;
pub use self::instruction::{
    IoQualification, MsrQualification, MwaitQualification, PasidQualification, TaskSwitchQualification,
    TaskSwitchSource, WbinvdQualification, WrmsrQualification,
};
pub use self::memory::{
    EptViolationQualification, InstructionTimeoutQualification, PageModificationLogFullQualification, SppQualification,
};
use super::basic_reason::BasicExitReason;
use super::reason::ExitReason;
use crate::access::VmcsRead;
use crate::event::{EventType, VmExitInterruption};
use crate::field;

/// Defines the formats from one list: those of named bits, those that are one code, and those that are one number.
macro_rules! exit_qualification {
    (
        $(#[$doc:meta])*
        pub enum ExitQualification {
            words { $($(#[$word_doc:meta])* $word:ident($word_type:ident) = $word_group:literal;)* }
            codes { $($(#[$code_doc:meta])* $code:ident($code_type:ident) = $code_group:literal, $code_name:literal;)* }
            numbers {
                $($(#[$doc_of:meta])* $number:ident($type:ident, $value:path) = $group:literal, $name:literal;)*
            }
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub enum ExitQualification {
            $($(#[$word_doc])* $word($word_type),)*
            $($(#[$code_doc])* $code($code_type),)*
            $($(#[$doc_of])* $number($type),)*
            /// Of a reason that does not use the field, or that this version does not know.
            Unused(u64),
        }

        impl ExitQualification {
            /// The value of the field.
            #[must_use]
            pub fn into_raw(self) -> u64 {
                match self {
                    $(Self::$word(word) => word.into_bits(),)*
                    $(Self::$code(code) => code.into_bits(),)*
                    $(Self::$number(number) => $value(number),)*
                    Self::Unused(raw) => raw,
                }
            }
        }

        impl fmt::Display for ExitQualification {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$word(word) => fmt::Display::fmt(word, f),)*
                    $(Self::$code(code) => write!(f, concat!("{:#018x} ", $code_name, "={}"), code.into_bits(), code),)*
                    $(Self::$number(number) => write!(f, concat!("{:#018x} ", $name), $value(*number)),)*
                    Self::Unused(raw) => write!(f, "{raw:#018x}"),
                }
            }
        }

        /// Visits the bits of every format.
        fn format_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
            $(register_rows::<$word_type>(TABLE, $word_group, visit);)*
            $(number_row($code_group, $code_name, visit);)*
            $(number_row($group, $name, visit);)*
        }
    };
}

const TABLE: &str = "vmx_qualification";

/// Visits the only field of a format.
fn number_row(group: &str, name: &'static str, visit: &mut dyn FnMut(&TableRow<'_>)) {
    visit(&TableRow {
        table: TABLE,
        name,
        aliases: &[],
        encoding: 0,
        width_bits: u64::BITS,
        access: "",
        group: &group,
        requires: &"",
        provisional: false,
    });
}

exit_qualification! {
    /// An exit qualification, in the format that the exit reason asks for.
    ///
    /// Every value has a place in every format: [`into_raw`](Self::into_raw) gives back what went into [`new`](Self::new).
    ///
    /// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information".
    ///
    /// ```
    /// use x86_virt_vmx::{BasicExitReason, ExitQualification, ExitReason, VmExitInterruption};
    ///
    /// let reason = ExitReason::from(BasicExitReason::CONTROL_REGISTER_ACCESS);
    /// let qualification = ExitQualification::new(reason, 0x904, VmExitInterruption::new());
    /// assert_eq!(qualification.to_string(), "0x0000000000000904 NUMBER=0x4 ACCESS_TYPE=MOV_TO_CR GPR=R9");
    /// assert_eq!(qualification.into_raw(), 0x904);
    /// ```
    pub enum ExitQualification {
        words {
            /// Of a debug exception.
            DebugException(DebugExceptionQualification) = "debug exception";
            /// Of a start-up IPI.
            StartupIpi(StartupIpiQualification) = "start-up IPI";
            /// Of a task switch.
            TaskSwitch(TaskSwitchQualification) = "task switch";
            /// Of a control-register access.
            ControlRegister(ControlRegisterQualification) = "control-register access";
            /// Of MOV DR.
            DebugRegister(DebugRegisterQualification) = "MOV DR";
            /// Of an I/O instruction.
            Io(IoQualification) = "I/O instruction";
            /// Of MWAIT.
            Mwait(MwaitQualification) = "MWAIT";
            /// Of an APIC access.
            ApicAccess(ApicAccessQualification) = "APIC access";
            /// Of an EPT violation.
            EptViolation(EptViolationQualification) = "EPT violation";
            /// Of a virtualized end of interrupt.
            VirtualizedEoi(VirtualizedEoiQualification) = "virtualized EOI";
            /// Of an APIC write.
            ApicWrite(ApicWriteQualification) = "APIC write";
            /// Of a full page-modification log.
            PageModificationLogFull(PageModificationLogFullQualification) = "page-modification log full";
            /// Of an event of sub-page write permissions.
            Spp(SppQualification) = "SPP-related event";
            /// Of an instruction timeout.
            InstructionTimeout(InstructionTimeoutQualification) = "instruction timeout";
            /// Of an access to an MSR whose number is not in ECX.
            Msr(MsrQualification) = "MSR access";
            /// Of WBINVD or WBNOINVD.
            Wbinvd(WbinvdQualification) = "WBINVD";
            /// Of WRMSR or WRMSRNS.
            Wrmsr(WrmsrQualification) = "WRMSR";
            /// Of ENQCMD or ENQCMDS.
            Pasid(PasidQualification) = "PASID translation";
        }
        codes {
            /// Of a VM-entry failure because of the guest state.
            InvalidGuestState(EntryFailureCause) = "VM-entry failure", "CAUSE";
        }
        numbers {
            /// Of a page fault: the linear address.
            PageFault(Gva, Gva::get) = "page fault", "LINEAR_ADDRESS";
            /// Of INVLPG: the linear address.
            Invlpg(Gva, Gva::get) = "INVLPG", "LINEAR_ADDRESS";
            /// Of an instruction with a memory operand: its displacement. [`MemoryOperand`](crate::MemoryOperand) has the rest.
            ///
            /// It is sign-extended to the address size; the bits above it are undefined. Of an operand relative to RIP it is the
            /// address.
            Displacement(u64, identity) = "displacement", "DISPLACEMENT";
            /// Of an NMI, on a processor that reports the sources of NMIs: one bit for each.
            NmiSource(u64, identity) = "NMI", "NMI_SOURCE";
            /// Of a VM-entry failure because of MSR loading: which entry of the list, from 1 on.
            MsrLoading(u64, identity) = "VM-entry failure", "MSR_ENTRY";
        }
    }
}

impl ExitQualification {
    /// The qualification `raw` of an exit because of `reason`.
    ///
    /// `interruption` is the VM-exit interruption information, which counts only if the reason is an exception or NMI.
    #[must_use]
    pub fn new(reason: ExitReason, raw: u64, interruption: VmExitInterruption) -> Self {
        match reason.basic() {
            BasicExitReason::EXCEPTION_OR_NMI => Self::of_event(raw, interruption),
            BasicExitReason::STARTUP_IPI => Self::StartupIpi(raw.into()),
            BasicExitReason::TASK_SWITCH => Self::TaskSwitch(raw.into()),
            BasicExitReason::INVLPG => Self::Invlpg(Gva::new(raw)),
            BasicExitReason::VMCLEAR
            | BasicExitReason::VMPTRLD
            | BasicExitReason::VMPTRST
            | BasicExitReason::VMREAD
            | BasicExitReason::VMWRITE
            | BasicExitReason::VMXON
            | BasicExitReason::GDTR_OR_IDTR_ACCESS
            | BasicExitReason::LDTR_OR_TR_ACCESS
            | BasicExitReason::INVEPT
            | BasicExitReason::INVVPID
            | BasicExitReason::INVPCID
            | BasicExitReason::XSAVES
            | BasicExitReason::XRSTORS => Self::Displacement(raw),
            BasicExitReason::CONTROL_REGISTER_ACCESS => Self::ControlRegister(raw.into()),
            BasicExitReason::MOV_DR => Self::DebugRegister(raw.into()),
            BasicExitReason::IO_INSTRUCTION => Self::Io(raw.into()),
            BasicExitReason::WRMSR => Self::Wrmsr(raw.into()),
            BasicExitReason::INVALID_GUEST_STATE => Self::InvalidGuestState(EntryFailureCause::from_bits(raw)),
            BasicExitReason::MSR_LOADING => Self::MsrLoading(raw),
            BasicExitReason::MWAIT => Self::Mwait(raw.into()),
            BasicExitReason::APIC_ACCESS => Self::ApicAccess(raw.into()),
            BasicExitReason::VIRTUALIZED_EOI => Self::VirtualizedEoi(raw.into()),
            BasicExitReason::EPT_VIOLATION => Self::EptViolation(raw.into()),
            BasicExitReason::WBINVD => Self::Wbinvd(raw.into()),
            BasicExitReason::APIC_WRITE => Self::ApicWrite(raw.into()),
            BasicExitReason::PAGE_MODIFICATION_LOG_FULL => Self::PageModificationLogFull(raw.into()),
            BasicExitReason::SPP_RELATED_EVENT => Self::Spp(raw.into()),
            BasicExitReason::ENQCMD_PASID | BasicExitReason::ENQCMDS_PASID => Self::Pasid(raw.into()),
            BasicExitReason::INSTRUCTION_TIMEOUT => Self::InstructionTimeout(raw.into()),
            BasicExitReason::RDMSRLIST
            | BasicExitReason::WRMSRLIST
            | BasicExitReason::URDMSR
            | BasicExitReason::UWRMSR
            | BasicExitReason::RDMSR_IMMEDIATE
            | BasicExitReason::WRMSRNS_IMMEDIATE => Self::Msr(raw.into()),
            _ => Self::Unused(raw),
        }
    }

    /// The qualification of the last exit, which was because of `reason`.
    #[must_use]
    pub fn read(reason: ExitReason, vmcs: &impl VmcsRead) -> Self {
        let interruption = match reason.basic() {
            BasicExitReason::EXCEPTION_OR_NMI => vmcs.get(field::EXIT_INTERRUPTION_INFORMATION),
            _ => VmExitInterruption::new(),
        };
        Self::new(reason, vmcs.get(field::EXIT_QUALIFICATION), interruption)
    }

    fn of_event(raw: u64, interruption: VmExitInterruption) -> Self {
        if !interruption.valid() {
            return Self::Unused(raw);
        }
        match (interruption.event_type(), interruption.vector()) {
            (EventType::NMI, _) => Self::NmiSource(raw),
            // INT1 is a debug exception too.
            (EventType::HARDWARE_EXCEPTION | EventType::PRIVILEGED_SOFTWARE_EXCEPTION, DEBUG_EXCEPTION) => {
                Self::DebugException(raw.into())
            }
            (EventType::HARDWARE_EXCEPTION, PAGE_FAULT) => Self::PageFault(Gva::new(raw)),
            _ => Self::Unused(raw),
        }
    }
}

/// Vector of #DB.
const DEBUG_EXCEPTION: u8 = 1;

/// Vector of #PF.
const PAGE_FAULT: u8 = 14;

/// Visits the formats and the codes in them.
pub(super) fn rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    format_rows(visit);
    code_rows("vmx_task_switch_source", "", TaskSwitchSource::ALL, visit);
    code_rows("vmx_control_register_access_type", "", ControlRegisterAccessType::ALL, visit);
    code_rows("vmx_apic_access_type", "", ApicAccessType::ALL, visit);
    code_rows("vmx_entry_failure_cause", "", EntryFailureCause::ALL, visit);
}
