//! Instruction information: the operands of an instruction that ended a run.

#[cfg(feature = "provisional")]
mod extended;
mod memory_form;
mod register_form;
#[cfg(test)]
mod tests;

use core::fmt;

use x86_virt_core::{TableRow, code_rows, register_rows};

#[cfg(feature = "provisional")]
pub use self::extended::ExtendedInstructionInformation;
pub use self::memory_form::{
    DescriptorTableInformation, DescriptorTableInstruction, FieldAccessInformation, InvalidationInformation,
    MemoryInformation, SegmentTableInformation, SegmentTableInstruction,
};
pub use self::register_form::{
    LoadiwkeyInformation, MsrInformation, RandomInformation, StringIoInformation, WaitInformation,
};
use super::basic_reason::BasicExitReason;
use super::memory_operand::MemoryOperand;
use super::reason::ExitReason;
use crate::access::VmcsRead;
use crate::field;

const TABLE: &str = "vmx_instruction_information";

/// Defines the formats, and which reasons have them, from one list.
macro_rules! instruction_information {
    (
        $(#[$doc:meta])*
        pub enum InstructionInformation {
            $($(#[$form_doc:meta])* $form:ident($type:ident) = $group:literal if $($reason:ident)+;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[non_exhaustive]
        pub enum InstructionInformation {
            $($(#[$form_doc])* $form($type),)*
            /// Of a reason that does not use the field, or that this version does not know.
            Unused(u32),
        }

        impl InstructionInformation {
            /// The information `raw` about the instruction of an exit because of `reason`.
            #[must_use]
            pub fn new(reason: ExitReason, raw: u32) -> Self {
                match reason.basic() {
                    $($(BasicExitReason::$reason)|+ => Self::$form(raw.into()),)*
                    _ => Self::Unused(raw),
                }
            }

            /// The value of the field.
            #[must_use]
            pub fn into_raw(self) -> u32 {
                match self {
                    $(Self::$form(information) => information.into_bits(),)*
                    Self::Unused(raw) => raw,
                }
            }
        }

        impl fmt::Display for InstructionInformation {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$form(information) => fmt::Display::fmt(information, f),)*
                    Self::Unused(raw) => write!(f, "{raw:#010x}"),
                }
            }
        }

        /// Visits the bits of every format.
        fn format_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
            $(register_rows::<$type>(TABLE, $group, visit);)*
        }
    };
}

instruction_information! {
    /// Instruction information, in the format that the exit reason asks for.
    ///
    /// Every value has a place in every format: [`into_raw`](Self::into_raw) gives back what went into [`new`](Self::new).
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution".
    ///
    /// ```
    /// use x86_virt_core::{Gpr, Gprs};
    /// use x86_virt_vmx::{BasicExitReason, InstructionInformation};
    ///
    /// // VMCLEAR [RBX + 8], in 64-bit mode.
    /// let information = InstructionInformation::new(BasicExitReason::VMCLEAR.into(), 0x01c1_8100);
    /// let operand = information.memory_operand(8).unwrap();
    /// assert_eq!((operand.base, operand.index), (Some(Gpr::Rbx), None));
    /// assert_eq!(operand.effective_address(&Gprs { rbx: 0x1000, ..Gprs::default() }, 0), 0x1008);
    /// ```
    pub enum InstructionInformation {
        /// Of INS or OUTS; of IN or OUT the field is undefined.
        StringIo(StringIoInformation) = "INS, OUTS" if IO_INSTRUCTION;
        /// Of INVEPT, INVPCID or INVVPID.
        Invalidation(InvalidationInformation) = "INVEPT, INVPCID, INVVPID" if INVEPT INVPCID INVVPID;
        /// Of LGDT, LIDT, SGDT or SIDT.
        DescriptorTable(DescriptorTableInformation) = "LGDT, LIDT, SGDT, SIDT" if GDTR_OR_IDTR_ACCESS;
        /// Of LLDT, LTR, SLDT or STR.
        SegmentTable(SegmentTableInformation) = "LLDT, LTR, SLDT, STR" if LDTR_OR_TR_ACCESS;
        /// Of RDRAND or RDSEED.
        Random(RandomInformation) = "RDRAND, RDSEED" if RDRAND RDSEED;
        /// Of TPAUSE or UMWAIT.
        Wait(WaitInformation) = "TPAUSE, UMWAIT" if TPAUSE UMWAIT;
        /// Of VMCLEAR, VMPTRLD, VMPTRST, VMXON, XRSTORS or XSAVES.
        Memory(MemoryInformation) = "VMCLEAR, VMPTRLD, VMPTRST, VMXON, XRSTORS, XSAVES"
            if VMCLEAR VMPTRLD VMPTRST VMXON XRSTORS XSAVES;
        /// Of VMREAD or VMWRITE.
        FieldAccess(FieldAccessInformation) = "VMREAD, VMWRITE" if VMREAD VMWRITE;
        /// Of LOADIWKEY.
        Loadiwkey(LoadiwkeyInformation) = "LOADIWKEY" if LOADIWKEY;
        /// Of RDMSR or WRMSRNS with an immediate operand, URDMSR or UWRMSR.
        Msr(MsrInformation) = "RDMSR, WRMSRNS (immediate), URDMSR, UWRMSR"
            if RDMSR_IMMEDIATE WRMSRNS_IMMEDIATE URDMSR UWRMSR;
    }
}

impl InstructionInformation {
    /// The information about the instruction of the last exit, which was because of `reason`.
    #[must_use]
    pub fn read(reason: ExitReason, vmcs: &impl VmcsRead) -> Self {
        Self::new(reason, vmcs.get(field::EXIT_INSTRUCTION_INFORMATION))
    }

    /// The memory operand with this displacement, which the exit qualification has.
    ///
    /// `None` if there is no memory operand, or if it is that of INS or OUTS, whose registers are fixed.
    #[must_use]
    pub fn memory_operand(self, displacement: u64) -> Option<MemoryOperand> {
        match self {
            Self::Invalidation(information) => information.memory_operand(displacement),
            Self::DescriptorTable(information) => information.memory_operand(displacement),
            Self::SegmentTable(information) => information.memory_operand(displacement),
            Self::Memory(information) => information.memory_operand(displacement),
            Self::FieldAccess(information) => information.memory_operand(displacement),
            _ => None,
        }
    }
}

/// Visits the formats and the codes in them.
pub(super) fn rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    format_rows(visit);
    #[cfg(feature = "provisional")]
    register_rows::<ExtendedInstructionInformation>(TABLE, "extended", &mut |row| {
        visit(&TableRow { provisional: true, ..*row });
    });
    code_rows("vmx_descriptor_table_instruction", "", DescriptorTableInstruction::ALL, visit);
    code_rows("vmx_segment_table_instruction", "", SegmentTableInstruction::ALL, visit);
}
