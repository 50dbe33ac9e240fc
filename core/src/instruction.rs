//! What the library needs to know of a guest instruction.

use crate::io::AddressSize;
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
