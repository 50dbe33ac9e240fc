//! Results and flags of arithmetic.

use crate::operand::OperandSize;
use crate::register::Rflags;

/// What an instruction does with two values, the first of which it may replace.
///
/// Intel SDM vol. 1, appendix A, "EFLAGS Cross-Reference".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Arithmetic {
    /// ADD.
    Add,
    /// OR.
    Or,
    /// ADC: with RFLAGS.CF.
    AddWithCarry,
    /// SBB: with RFLAGS.CF.
    SubtractWithBorrow,
    /// AND.
    And,
    /// SUB.
    Subtract,
    /// XOR.
    Xor,
    /// CMP: SUB without a result.
    Compare,
    /// TEST: AND without a result.
    Test,
    /// INC: the other value does not matter.
    Increment,
    /// DEC: the other value does not matter.
    Decrement,
    /// NOT: the other value does not matter.
    Not,
    /// NEG: the other value does not matter.
    Negate,
}

impl Arithmetic {
    /// Whether the first value is replaced.
    #[must_use]
    pub const fn has_result(self) -> bool {
        !matches!(self, Self::Compare | Self::Test)
    }

    /// The result, and RFLAGS after it. AF, which the manual leaves undefined after logic, is 0 then.
    #[must_use]
    pub const fn apply(self, size: OperandSize, value: u64, other: u64, flags: Rflags) -> (u64, Rflags) {
        let carry = flags.cf();
        match self {
            Self::Add => add(size, value, other, false, flags),
            Self::AddWithCarry => add(size, value, other, carry, flags),
            Self::Subtract | Self::Compare => subtract(size, value, other, false, flags),
            Self::SubtractWithBorrow => subtract(size, value, other, carry, flags),
            Self::Or => logic(size, value | other, flags),
            Self::And | Self::Test => logic(size, value & other, flags),
            Self::Xor => logic(size, value ^ other, flags),
            Self::Increment => {
                let (result, flags) = add(size, value, 1, false, flags);
                (result, flags.with_cf(carry))
            }
            Self::Decrement => {
                let (result, flags) = subtract(size, value, 1, false, flags);
                (result, flags.with_cf(carry))
            }
            Self::Not => (!value & size.mask(), flags),
            Self::Negate => subtract(size, 0, value, false, flags),
        }
    }
}

const fn number(bit: bool) -> u64 {
    if bit { 1 } else { 0 }
}

/// SF, ZF and PF.
const fn of_result(size: OperandSize, result: u64, flags: Rflags) -> Rflags {
    let [low, ..] = result.to_le_bytes();
    flags
        .with_sf(result & size.sign() != 0)
        .with_zf(result & size.mask() == 0)
        .with_pf(low.count_ones().is_multiple_of(2))
}

const fn logic(size: OperandSize, result: u64, flags: Rflags) -> (u64, Rflags) {
    let result = result & size.mask();
    (result, of_result(size, result, flags).with_cf(false).with_of(false).with_af(false))
}

const fn add(size: OperandSize, value: u64, other: u64, carry: bool, flags: Rflags) -> (u64, Rflags) {
    let (value, other) = (value & size.mask(), other & size.mask());
    let result = value.wrapping_add(other).wrapping_add(number(carry)) & size.mask();
    // A bit of the sum that is not what the bits of both give was made by a carry into it; a carry out of it needs two of three.
    let carries = value & other | (value | other) & !result;
    let flags = of_result(size, result, flags).with_cf(carries & size.sign() != 0).with_af(carries & 8 != 0);
    (result, flags.with_of((value ^ result) & (other ^ result) & size.sign() != 0))
}

const fn subtract(size: OperandSize, value: u64, other: u64, borrow: bool, flags: Rflags) -> (u64, Rflags) {
    let (value, other) = (value & size.mask(), other & size.mask());
    let result = value.wrapping_sub(other).wrapping_sub(number(borrow)) & size.mask();
    let borrows = !value & other | (!value | other) & result;
    let flags = of_result(size, result, flags).with_cf(borrows & size.sign() != 0).with_af(borrows & 8 != 0);
    (result, flags.with_of((value ^ other) & (value ^ result) & size.sign() != 0))
}

/// What an instruction does with one bit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum BitOperation {
    /// BT: nothing.
    Test,
    /// BTS: sets it.
    Set,
    /// BTR: clears it.
    Reset,
    /// BTC: inverts it.
    Complement,
}

impl BitOperation {
    /// `value` with `bit` changed, or `None` if nothing is written.
    #[must_use]
    pub const fn apply(self, value: u64, bit: u64) -> Option<u64> {
        match self {
            Self::Test => None,
            Self::Set => Some(value | bit),
            Self::Reset => Some(value & !bit),
            Self::Complement => Some(value ^ bit),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::Arithmetic;
    use crate::operand::OperandSize;
    use crate::register::Rflags;

    const SIZES: [OperandSize; 4] = [OperandSize::Bits8, OperandSize::Bits16, OperandSize::Bits32, OperandSize::Bits64];

    proptest! {
        /// The sums in wider numbers, signed and not.
        #[test]
        fn flags_are_those_of_wider_numbers(value: u64, other: u64, carry: bool, index in 0_usize..4, near in any::<bool>()) {
            let size = SIZES[index];
            // Values that are near to each other meet borders more often.
            let other = if near { value.wrapping_add(other & 3) } else { other };
            let (value, other) = (value & size.mask(), other & size.mask());
            let flags = Rflags::new().with_cf(carry);
            let wide = |number: u64| i128::from(number);
            let signed = |number: u64| i128::from(i64::from_le_bytes(size.sign_extend(number).to_le_bytes()));
            let one = i128::from(carry);
            for (operation, sum, signed_sum, low) in [
                (Arithmetic::Add, wide(value) + wide(other), signed(value) + signed(other), wide(value & 15) + wide(other & 15)),
                (Arithmetic::AddWithCarry, wide(value) + wide(other) + one, signed(value) + signed(other) + one,
                    wide(value & 15) + wide(other & 15) + one),
                (Arithmetic::Subtract, wide(value) - wide(other), signed(value) - signed(other), wide(value & 15) - wide(other & 15)),
                (Arithmetic::SubtractWithBorrow, wide(value) - wide(other) - one, signed(value) - signed(other) - one,
                    wide(value & 15) - wide(other & 15) - one),
                (Arithmetic::Negate, -wide(value), -signed(value), -wide(value & 15)),
            ] {
                let (result, after) = operation.apply(size, value, other, flags);
                let bits = size.bits();
                assert_eq!(i128::from(result), sum.rem_euclid(1 << bits), "{operation:?}");
                assert_eq!(after.cf(), !(0..1 << bits).contains(&sum), "CF of {operation:?}");
                assert_eq!(after.af(), !(0..16).contains(&low), "AF of {operation:?}");
                assert_eq!(after.of(), !(-(1 << (bits - 1))..1 << (bits - 1)).contains(&signed_sum), "OF of {operation:?}");
                assert_eq!((after.zf(), after.sf()), (result == 0, signed(result) < 0));
                assert_eq!(after.pf(), (result & 0xff).count_ones() % 2 == 0);
            }
        }
    }

    #[test]
    fn some_flags_stay() {
        let all = Rflags::new().with_cf(true).with_of(true).with_tf(true).with_af(true);
        let (result, flags) = Arithmetic::Increment.apply(OperandSize::Bits8, 0xff, 0, all);
        assert!(result == 0 && flags.cf() && flags.zf() && !flags.of() && flags.tf());
        let (result, flags) = Arithmetic::Not.apply(OperandSize::Bits16, 0xff, 0, all);
        assert_eq!((result, flags), (0xff00, all));
        let (result, flags) = Arithmetic::And.apply(OperandSize::Bits32, 0x8000_0001, 0xffff_ffff_8000_0000, all);
        assert!(result == 0x8000_0000 && flags.sf() && !flags.cf() && !flags.of() && !flags.af());
    }
}
