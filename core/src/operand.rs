//! Operands of instructions.

use crate::addr::Gva;
use crate::register::Gpr;

/// Where an instruction reads or writes: a register or memory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Operand {
    /// A general-purpose register.
    Register(Gpr),
    /// Memory at this linear address, the base of the segment included.
    Memory(Gva),
}

/// Operand size of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum OperandSize {
    /// One byte.
    Bits8,
    /// Two bytes.
    Bits16,
    /// Four bytes.
    Bits32,
    /// Eight bytes.
    Bits64,
}

impl OperandSize {
    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u8 {
        match self {
            Self::Bits8 => 1,
            Self::Bits16 => 2,
            Self::Bits32 => 4,
            Self::Bits64 => 8,
        }
    }

    /// The size in bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Bits8 => 8,
            Self::Bits16 => 16,
            Self::Bits32 => 32,
            Self::Bits64 => 64,
        }
    }

    /// The size of so many bytes, if there is one.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        Some(match bytes {
            1 => Self::Bits8,
            2 => Self::Bits16,
            4 => Self::Bits32,
            8 => Self::Bits64,
            _ => return None,
        })
    }

    /// The bits of a register that such an operand has.
    #[must_use]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// The highest of these bits.
    #[must_use]
    pub const fn sign(self) -> u64 {
        1 << (self.bits() - 1)
    }

    /// `value`, which has this size, with its sign in all bits above.
    #[must_use]
    pub const fn sign_extend(self, value: u64) -> u64 {
        let value = value & self.mask();
        if value & self.sign() == 0 { value } else { value | !self.mask() }
    }

    /// `register` after an instruction wrote `value` to the part of this size: one of 32 bits clears the upper half, smaller ones
    /// leave the rest as it is.
    ///
    /// Intel SDM vol. 1, section 3.4.1.1, "General-Purpose Registers in 64-Bit Mode".
    #[must_use]
    pub const fn merge(self, register: u64, value: u64) -> u64 {
        match self {
            Self::Bits8 | Self::Bits16 => register & !self.mask() | value & self.mask(),
            Self::Bits32 | Self::Bits64 => value & self.mask(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::OperandSize;

    #[test]
    fn sizes_are_powers_of_two() {
        for (size, bytes) in
            [(OperandSize::Bits8, 1), (OperandSize::Bits16, 2), (OperandSize::Bits32, 4), (OperandSize::Bits64, 8)]
        {
            assert_eq!((size.bytes(), size.bits()), (bytes, u32::from(bytes) * 8));
            assert_eq!(OperandSize::from_bytes(u64::from(bytes)), Some(size));
            assert_eq!(size.mask().count_ones(), size.bits());
        }
        assert_eq!(OperandSize::from_bytes(3), None);
    }

    #[test]
    fn only_a_write_of_32_bits_clears_more_than_it_writes() {
        let register = 0x1122_3344_5566_7788;
        let merged = |size: OperandSize| size.merge(register, 0xffff_ffff_ffff_ff99);
        assert_eq!(merged(OperandSize::Bits8), 0x1122_3344_5566_7799);
        assert_eq!(merged(OperandSize::Bits16), 0x1122_3344_5566_ff99);
        assert_eq!(merged(OperandSize::Bits32), 0xffff_ff99);
        assert_eq!(merged(OperandSize::Bits64), 0xffff_ffff_ffff_ff99);
        assert_eq!(OperandSize::Bits16.sign_extend(0x1_8001), 0xffff_ffff_ffff_8001);
        assert_eq!(OperandSize::Bits16.sign_extend(0x1_7001), 0x7001);
    }
}
