//! What the library needs to know of a guest instruction.

use crate::io::AddressSize;
use crate::operand::{Operand, OperandSize};
use crate::register::Gpr;
use crate::segment::SegmentRegister;

/// A decoded instruction, as far as exits need it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Instruction {
    /// Length in bytes.
    pub length: u8,
    /// The operand, for instructions that access a control or debug register.
    pub operand: Option<RegisterOperand>,
    /// The memory operand of a string instruction.
    pub string: Option<StringOperand>,
    /// The operand, for other instructions that manage the system.
    pub system: Option<SystemOperand>,
}

/// The operand of an instruction that manages the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum SystemOperand {
    /// Of INVLPG, SMSW, SGDT, SIDT, LGDT, LIDT, SLDT, STR, LLDT and LTR: a register or memory.
    Place {
        /// Where it is.
        operand: Operand,
        /// Its size. Of GDTR and IDTR, that of the base.
        size: OperandSize,
    },
    /// Of `INT n`: the vector.
    Vector(u8),
}

/// The other operand of an access to a control or debug register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum RegisterOperand {
    /// MOV to or from this register.
    Move(Gpr),
    /// CLTS.
    Clts,
    /// LMSW with this source operand.
    Lmsw(u16),
}

/// Where a string instruction finds its data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct StringOperand {
    /// Address size.
    pub address_size: AddressSize,
    /// The segment: ES for a destination, DS or an override for a source.
    pub segment: SegmentRegister,
}
