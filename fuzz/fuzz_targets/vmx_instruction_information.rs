//! Any instruction information: no bit is lost, the format is the one that the manual has for the reason, and the memory
//! operand is that of a plain reading of the bits.
#![no_main]

use fuzz::reason::Reason;
use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::vmx::{
    DescriptorTableInformation, ExitReason, ExtendedInstructionInformation, FakeVmcs, FieldAccessInformation,
    InstructionInformation, InvalidationInformation, LoadiwkeyInformation, MemoryInformation, MemoryOperand,
    MsrInformation, RandomInformation, SegmentTableInformation, StringIoInformation, WaitInformation, field,
};
use x86_virt::{AddressSize, Gpr, Gprs, SegmentRegister};

/// What a format has of a memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Memory {
    Never,
    Always,
    /// Unless bit 10 is set.
    OrRegister,
}

/// The formats by reason: SDM section 30.2.5, "Information for VM Exits Due to Instruction Execution".
const FORMATS: [(u32, &str, Memory); 23] = [
    (19, "memory", Memory::Always),
    (21, "memory", Memory::Always),
    (22, "memory", Memory::Always),
    (23, "field access", Memory::OrRegister),
    (25, "field access", Memory::OrRegister),
    (27, "memory", Memory::Always),
    (30, "string I/O", Memory::Never),
    (46, "descriptor table", Memory::Always),
    (47, "segment table", Memory::OrRegister),
    (50, "invalidation", Memory::Always),
    (53, "invalidation", Memory::Always),
    (57, "random", Memory::Never),
    (58, "invalidation", Memory::Always),
    (61, "random", Memory::Never),
    (63, "memory", Memory::Always),
    (64, "memory", Memory::Always),
    (67, "wait", Memory::Never),
    (68, "wait", Memory::Never),
    (69, "LOADIWKEY", Memory::Never),
    (80, "MSR", Memory::Never),
    (81, "MSR", Memory::Never),
    (84, "MSR", Memory::Never),
    (85, "MSR", Memory::Never),
];

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
struct Input {
    reason: Reason,
    information: u32,
    extended: u64,
    displacement: u64,
    gprs: Gprs,
    rsp: u64,
}

fuzz_target!(|input: Input| {
    let raw = input.information;
    let reason = ExitReason::from_bits(input.reason.get());
    let information = InstructionInformation::new(reason, raw);
    assert_eq!(information.into_raw(), raw);
    let basic = input.reason.get() & 0xffff;
    let row = FORMATS.iter().find(|(number, ..)| *number == basic);
    let (format, memory) = row.map_or(("unused", Memory::Never), |(_, format, memory)| (*format, *memory));
    assert_eq!(name(information), format, "{reason}");

    let operand = information.memory_operand(input.displacement);
    assert_eq!(operand, expected(u64::from(raw), input.displacement, memory), "{information}");
    if let Some(operand) = operand {
        address(&input, operand);
    }
    let mut vmcs = FakeVmcs::new();
    vmcs.set_raw(field::EXIT_INSTRUCTION_INFORMATION.encoding().get(), raw.into());
    assert_eq!(InstructionInformation::read(reason, &vmcs), information);
    check::<ExtendedInstructionInformation>(input.extended);
});

/// The format, of which the text is checked too.
fn name(information: InstructionInformation) -> &'static str {
    let (text, raw) = (information.to_string(), information.into_raw());
    /// The format of a word of named bits.
    macro_rules! word {
        ($type:ident, $name:literal) => {{
            assert_eq!(check::<$type>(raw.into()).to_string(), text);
            $name
        }};
    }
    match information {
        InstructionInformation::StringIo(_) => word!(StringIoInformation, "string I/O"),
        InstructionInformation::Invalidation(_) => word!(InvalidationInformation, "invalidation"),
        InstructionInformation::DescriptorTable(_) => word!(DescriptorTableInformation, "descriptor table"),
        InstructionInformation::SegmentTable(_) => word!(SegmentTableInformation, "segment table"),
        InstructionInformation::Random(_) => word!(RandomInformation, "random"),
        InstructionInformation::Wait(_) => word!(WaitInformation, "wait"),
        InstructionInformation::Memory(_) => word!(MemoryInformation, "memory"),
        InstructionInformation::FieldAccess(_) => word!(FieldAccessInformation, "field access"),
        InstructionInformation::Loadiwkey(_) => word!(LoadiwkeyInformation, "LOADIWKEY"),
        InstructionInformation::Msr(_) => word!(MsrInformation, "MSR"),
        InstructionInformation::Unused(_) => {
            assert_eq!(text, format!("{raw:#010x}"));
            "unused"
        }
        other => panic!("a format that this target does not know: {other:?}"),
    }
}

/// The names of the registers with the numbers from 0 on.
const GPRS: [Gpr; 16] = [
    Gpr::Rax,
    Gpr::Rcx,
    Gpr::Rdx,
    Gpr::Rbx,
    Gpr::Rsp,
    Gpr::Rbp,
    Gpr::Rsi,
    Gpr::Rdi,
    Gpr::R8,
    Gpr::R9,
    Gpr::R10,
    Gpr::R11,
    Gpr::R12,
    Gpr::R13,
    Gpr::R14,
    Gpr::R15,
];

fn expected(raw: u64, displacement: u64, memory: Memory) -> Option<MemoryOperand> {
    if memory == Memory::Never || memory == Memory::OrRegister && bits(raw, 10, 1) == 1 {
        return None;
    }
    let number = |offset, width| usize::try_from(bits(raw, offset, width)).unwrap_or(usize::MAX);
    let address_size = *[AddressSize::Bits16, AddressSize::Bits32, AddressSize::Bits64].get(number(7, 3))?;
    let segments = [
        SegmentRegister::Es,
        SegmentRegister::Cs,
        SegmentRegister::Ss,
        SegmentRegister::Ds,
        SegmentRegister::Fs,
        SegmentRegister::Gs,
    ];
    let gpr = |offset| GPRS.get(number(offset, 4)).copied();
    let index = gpr(18).zip(Some([1, 2, 4, 8].get(number(0, 2)).copied()?));
    let operand = MemoryOperand {
        segment: SegmentRegister::from_number(bits(raw, 15, 3)),
        base: gpr(23).filter(|_| bits(raw, 27, 1) == 0),
        index: index.filter(|_| bits(raw, 22, 1) == 0),
        displacement,
        address_size,
    };
    // Numbers 6 and 7 are of no segment register.
    assert!(segments.get(number(15, 3)).is_none_or(|segment| *segment == operand.segment));
    Some(operand)
}

/// The sum in 128 bits, wrapped to the address size.
fn address(input: &Input, operand: MemoryOperand) {
    let Gprs { rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15 } = input.gprs;
    let values = [rax, rcx, rdx, rbx, input.rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15];
    let value = |register: Gpr| {
        let found = GPRS.iter().zip(values).find(|(other, _)| **other == register);
        u128::from(found.map_or(0, |(_, value)| value))
    };
    let sum = operand.base.map_or(0, value)
        + operand.index.map_or(0, |(register, factor)| value(register) * u128::from(factor))
        + u128::from(operand.displacement);
    let width = match operand.address_size {
        AddressSize::Bits16 => 16,
        AddressSize::Bits32 => 32,
        AddressSize::Bits64 => 64,
    };
    let expected = sum % (1 << width);
    assert_eq!(u128::from(operand.effective_address(&input.gprs, input.rsp)), expected, "{operand:?}");
}
