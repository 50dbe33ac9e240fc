//! Formats with a memory operand.
#![expect(clippy::result_unit_err, reason = "functions that `bitfield-struct` makes")]

use x86_virt_core::{codes, register};

use crate::exit::memory_operand::MemoryOperand;
use crate::exit::operand::{AddressSizeCode, RegisterNumber, SegmentNumber};

/// Defines a format of which the bits that address memory are where all such formats have them. `low` are bits 6:2, `middle`
/// 14:10 and `high` 31:28; `register` is the bit, if there is one, that tells a register operand.
macro_rules! memory_form {
    (
        $(#[$doc:meta])*
        pub struct $form:ident { low { $($low:tt)* } middle { $($middle:tt)* } high { $($high:tt)* } }
        $(register $register:ident)?
    ) => {
        register! {
            $(#[$doc])*
            pub struct $form(u32) {
                /// The index is shifted left by so many bits. Undefined without an index.
                #[bits(2)]
                pub scaling: u8,
                $($low)*
                /// Address size.
                #[bits(3)]
                pub address_size: AddressSizeCode,
                $($middle)*
                /// Segment register.
                #[bits(3)]
                pub segment: SegmentNumber,
                /// Index register. Undefined without an index.
                #[bits(4)]
                pub index: RegisterNumber,
                /// There is no index register.
                pub index_invalid: bool,
                /// Base register. Undefined without a base.
                #[bits(4)]
                pub base: RegisterNumber,
                /// There is no base register.
                pub base_invalid: bool,
                $($high)*
            }
        }

        impl $form {
            /// The memory operand with this displacement, which the exit qualification has.
            ///
            /// `None` if the operand is a register, or the code of the address size is not used.
            #[must_use]
            pub fn memory_operand(self, displacement: u64) -> Option<MemoryOperand> {
                $(if self.$register() {
                    return None;
                })?
                let index = (!self.index_invalid()).then(|| (self.index().into(), 1 << self.scaling()));
                Some(MemoryOperand {
                    segment: self.segment().into(),
                    base: (!self.base_invalid()).then(|| self.base().into()),
                    index,
                    displacement,
                    address_size: self.address_size().size()?,
                })
            }
        }
    };
}

memory_form! {
    /// Instruction information of INVEPT, INVPCID and INVVPID.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution" (table for INVEPT, INVPCID and
    /// INVVPID).
    pub struct InvalidationInformation {
        low { #[bits(5)] _undefined2: u8, }
        middle { #[bits(5)] _undefined10: u8, }
        high {
            /// Reg2: the register with the type.
            #[bits(4)]
            pub reg2: RegisterNumber,
        }
    }
}

codes! {
    /// Which instruction accesses GDTR or IDTR.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution".
    pub struct DescriptorTableInstruction(u8 & 3) {
        /// SGDT.
        SGDT = 0;
        /// SIDT.
        SIDT = 1;
        /// LGDT.
        LGDT = 2;
        /// LIDT.
        LIDT = 3;
    }
}

memory_form! {
    /// Instruction information of LGDT, LIDT, SGDT and SIDT.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution" (table for LIDT, LGDT, SIDT and
    /// SGDT).
    pub struct DescriptorTableInformation {
        low { #[bits(5)] _undefined2: u8, }
        middle {
            _undefined10: bool,
            /// The operand size is 32 bits, not 16. Undefined in 64-bit mode.
            pub operand_size_32: bool,
            #[bits(3)]
            _undefined12: u8,
        }
        high {
            /// The instruction.
            #[bits(2)]
            pub instruction: DescriptorTableInstruction,
            #[bits(2)]
            _undefined30: u8,
        }
    }
}

codes! {
    /// Which instruction accesses LDTR or TR.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution".
    pub struct SegmentTableInstruction(u8 & 3) {
        /// SLDT.
        SLDT = 0;
        /// STR.
        STR = 1;
        /// LLDT.
        LLDT = 2;
        /// LTR.
        LTR = 3;
    }
}

memory_form! {
    /// Instruction information of LLDT, LTR, SLDT and STR.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution" (table for LLDT, LTR, SLDT and
    /// STR).
    pub struct SegmentTableInformation {
        low {
            _undefined2: bool,
            /// Reg1: the operand, if it is a register.
            #[bits(4)]
            pub reg1: RegisterNumber,
        }
        middle {
            /// The operand is a register, not memory.
            pub register_operand: bool,
            #[bits(4)]
            _undefined11: u8,
        }
        high {
            /// The instruction.
            #[bits(2)]
            pub instruction: SegmentTableInstruction,
            #[bits(2)]
            _undefined30: u8,
        }
    }
    register register_operand
}

memory_form! {
    /// Instruction information of VMCLEAR, VMPTRLD, VMPTRST, VMXON, XRSTORS and XSAVES.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution" (table for VMCLEAR, VMPTRLD,
    /// VMPTRST, VMXON, XRSTORS and XSAVES).
    pub struct MemoryInformation {
        low { #[bits(5)] _undefined2: u8, }
        middle { #[bits(5)] _undefined10: u8, }
        high { #[bits(4)] _undefined28: u8, }
    }
}

memory_form! {
    /// Instruction information of VMREAD and VMWRITE.
    ///
    /// Intel SDM vol. 3, section 30.2.5, "Information for VM Exits Due to Instruction Execution" (table for VMREAD and VMWRITE).
    pub struct FieldAccessInformation {
        low {
            _undefined2: bool,
            /// Reg1: the operand with the value, if it is a register.
            #[bits(4)]
            pub reg1: RegisterNumber,
        }
        middle {
            /// The operand with the value is a register, not memory.
            pub register_operand: bool,
            #[bits(4)]
            _undefined11: u8,
        }
        high {
            /// Reg2: the register with the encoding of the field.
            #[bits(4)]
            pub reg2: RegisterNumber,
        }
    }
    register register_operand
}
