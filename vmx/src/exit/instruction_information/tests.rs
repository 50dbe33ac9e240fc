use std::collections::BTreeSet;
use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::{any, proptest};
use x86_virt_core::{AddressSize, BitField, Gpr, Register, SegmentRegister};

use super::{
    DescriptorTableInformation, DescriptorTableInstruction, FieldAccessInformation, InstructionInformation,
    InvalidationInformation, LoadiwkeyInformation, MemoryInformation, MsrInformation, RandomInformation,
    SegmentTableInformation, SegmentTableInstruction, StringIoInformation, WaitInformation, rows,
};
use crate::exit::memory_operand::MemoryOperand;
use crate::exit::operand::{RegisterNumber, SizeCode};
use crate::exit::{BasicExitReason, ExitReason};

/// The name, the lowest bit and the width of the fields.
fn fields<R: Register>() -> Vec<(&'static str, u32, u32)> {
    R::FIELDS.iter().map(|&BitField { name, offset, width, .. }| (name, offset, width)).collect()
}

/// The fields of a format with a memory operand, with these beside.
fn with_memory(others: &[(&'static str, u32, u32)]) -> Vec<(&'static str, u32, u32)> {
    let mut all = vec![
        ("SCALING", 0, 2),
        ("ADDRESS_SIZE", 7, 3),
        ("SEGMENT", 15, 3),
        ("INDEX", 18, 4),
        ("INDEX_INVALID", 22, 1),
        ("BASE", 23, 4),
        ("BASE_INVALID", 27, 1),
    ];
    all.extend_from_slice(others);
    all.sort_by_key(|&(_, offset, _)| offset);
    all
}

#[test]
fn bits_are_where_the_manual_has_them() {
    assert_eq!(fields::<StringIoInformation>(), [("ADDRESS_SIZE", 7, 3), ("SEGMENT", 15, 3)]);
    assert_eq!(fields::<InvalidationInformation>(), with_memory(&[("REG2", 28, 4)]));
    assert_eq!(
        fields::<DescriptorTableInformation>(),
        with_memory(&[("OPERAND_SIZE_32", 11, 1), ("INSTRUCTION", 28, 2)])
    );
    assert_eq!(
        fields::<SegmentTableInformation>(),
        with_memory(&[("REG1", 3, 4), ("REGISTER_OPERAND", 10, 1), ("INSTRUCTION", 28, 2)])
    );
    assert_eq!(fields::<RandomInformation>(), [("DESTINATION", 3, 4), ("OPERAND_SIZE", 11, 2)]);
    assert_eq!(fields::<WaitInformation>(), [("SOURCE", 3, 4)]);
    assert_eq!(fields::<MemoryInformation>(), with_memory(&[]));
    assert_eq!(
        fields::<FieldAccessInformation>(),
        with_memory(&[("REG1", 3, 4), ("REGISTER_OPERAND", 10, 1), ("REG2", 28, 4)])
    );
    assert_eq!(fields::<LoadiwkeyInformation>(), [("REG1", 3, 4), ("REG2", 28, 4)]);
    assert_eq!(fields::<MsrInformation>(), [("REG1", 3, 4)]);
}

#[test]
#[cfg(feature = "provisional")]
fn extended_information_numbers_32_registers() {
    use super::ExtendedInstructionInformation;

    assert_eq!(
        fields::<ExtendedInstructionInformation>(),
        [
            ("SCALING", 0, 2),
            ("ADDRESS_SIZE", 2, 2),
            ("REGISTER_OPERAND", 4, 1),
            ("OPERAND_SIZE", 5, 2),
            ("SEGMENT", 7, 3),
            ("INDEX_INVALID", 10, 1),
            ("BASE_INVALID", 11, 1),
            ("REG1", 16, 5),
            ("INDEX", 24, 5),
            ("BASE", 32, 5),
            ("REG2", 40, 5),
        ]
    );
}

#[test]
fn a_reason_has_the_format_of_the_manual() {
    let with_format: Vec<u16> = (0..=u16::MAX)
        .filter(|&number| {
            let reason = BasicExitReason::from_bits(number).into();
            InstructionInformation::new(reason, 1) != InstructionInformation::Unused(1)
        })
        .collect();
    let expected = [19, 21, 22, 23, 25, 27, 30, 46, 47, 50, 53, 57, 58, 61, 63, 64, 67, 68, 69, 80, 81, 84, 85];
    assert_eq!(with_format, expected);
}

#[test]
fn operands_are_those_of_the_instruction() {
    // INVEPT RAX, [RBX + RCX * 8 - 16].
    let information = InstructionInformation::new(BasicExitReason::INVEPT.into(), 0x0185_8103);
    let operand = MemoryOperand {
        segment: SegmentRegister::Ds,
        base: Some(Gpr::Rbx),
        index: Some((Gpr::Rcx, 8)),
        displacement: 16_u64.wrapping_neg(),
        address_size: AddressSize::Bits64,
    };
    assert_eq!(information.memory_operand(16_u64.wrapping_neg()), Some(operand));
    // LGDT [1000H] with 32-bit addresses.
    let lgdt = DescriptorTableInformation::from_bits(0x2841_8880);
    assert_eq!(lgdt.instruction(), DescriptorTableInstruction::LGDT);
    assert!(lgdt.operand_size_32());
    let absolute =
        MemoryOperand { base: None, index: None, displacement: 0x1000, address_size: AddressSize::Bits32, ..operand };
    assert_eq!(lgdt.memory_operand(0x1000), Some(absolute));
    // LTR DX.
    let ltr = SegmentTableInformation::from_bits(0x3000_0410);
    assert_eq!((ltr.instruction(), ltr.reg1()), (SegmentTableInstruction::LTR, RegisterNumber::RDX));
    assert_eq!(ltr.memory_operand(0), None);
    // VMREAD R9, R10.
    let vmread = FieldAccessInformation::from_bits(0xa000_0448);
    assert_eq!((vmread.reg1(), vmread.reg2()), (RegisterNumber::R9, RegisterNumber::R10));
    assert_eq!(vmread.memory_operand(0), None);
    // RDRAND R15.
    let rdrand = RandomInformation::from_bits(0x1078);
    assert_eq!((rdrand.destination(), rdrand.operand_size()), (RegisterNumber::R15, SizeCode::BITS_64));
    assert_eq!(MemoryInformation::from_bits(0x180).memory_operand(0), None, "no such address size");
}

#[test]
fn ten_formats_and_the_extended_one_are_listed() {
    let mut formats = BTreeSet::new();
    rows(&mut |row| {
        if row.table == super::TABLE {
            formats.insert(row.group.to_string());
            assert_eq!(row.provisional, row.group.to_string() == "extended");
        }
    });
    // The nine tables of the manual, and that of the MSR instructions.
    assert_eq!(formats.len(), 10 + usize::from(cfg!(feature = "provisional")), "{formats:?}");
}

proptest! {
    #[test]
    fn no_bit_is_lost(
        reason in any::<u32>(),
        raw in any::<u32>(),
        displacement in any::<u64>(),
    ) {
        let reason = ExitReason::from_bits(reason);
        let known = BasicExitReason::ALL.iter().map(|code| reason.with_basic(BasicExitReason::from_bits(code.value)));
        for reason in known.chain([reason]) {
            let information = InstructionInformation::new(reason, raw);
            assert_eq!(information.into_raw(), raw);
            assert!(information.to_string().starts_with(&std::format!("{raw:#010x}")));
            if let Some(operand) = information.memory_operand(displacement) {
                assert_eq!(operand.displacement, displacement);
            }
        }
    }
}

#[cfg(feature = "provisional")]
proptest! {
    #[test]
    fn extended_information_keeps_every_bit(bits in any::<u64>()) {
        assert_eq!(super::ExtendedInstructionInformation::from_bits(bits).into_bits(), bits);
    }
}
