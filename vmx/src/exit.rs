//! Exits: the reason, the qualification, the instruction, and the kind that follows from them.

mod basic_reason;
mod decode;
mod instruction_information;
mod memory_operand;
mod operand;
mod qualification;
mod reason;

use x86_virt_core::{TableRow, code_rows};

pub use self::basic_reason::BasicExitReason;
#[cfg(target_arch = "x86_64")]
pub(crate) use self::decode::MACHINE_CHECK;
pub use self::decode::decode_exit;
#[cfg(feature = "provisional")]
pub use self::instruction_information::ExtendedInstructionInformation;
pub use self::instruction_information::{
    DescriptorTableInformation, DescriptorTableInstruction, FieldAccessInformation, InstructionInformation,
    InvalidationInformation, LoadiwkeyInformation, MemoryInformation, MsrInformation, RandomInformation,
    SegmentTableInformation, SegmentTableInstruction, StringIoInformation, WaitInformation,
};
pub use self::memory_operand::MemoryOperand;
pub use self::operand::{AddressSizeCode, RegisterNumber, SegmentNumber, SizeCode};
pub use self::qualification::{
    ApicAccessQualification, ApicAccessType, ApicWriteQualification, ControlRegisterAccessType,
    ControlRegisterQualification, DebugExceptionQualification, DebugRegisterQualification, EntryFailureCause,
    EptViolationQualification, ExitQualification, InstructionTimeoutQualification, IoQualification, MsrQualification,
    MwaitQualification, PageModificationLogFullQualification, PasidQualification, SppQualification,
    StartupIpiQualification, TaskSwitchQualification, TaskSwitchSource, VirtualizedEoiQualification,
    WbinvdQualification, WrmsrQualification,
};
pub use self::reason::ExitReason;

/// Visits the rows of what exits report.
pub(crate) fn exit_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    code_rows("vmx_exit_reason", "", BasicExitReason::ALL, visit);
    reason::rows(visit);
    qualification::rows(visit);
    instruction_information::rows(visit);
    code_rows("vmx_register_number", "", RegisterNumber::ALL, visit);
    code_rows("vmx_segment_number", "", SegmentNumber::ALL, visit);
    code_rows("vmx_address_size", "", AddressSizeCode::ALL, visit);
    code_rows("vmx_size", "", SizeCode::ALL, visit);
}
