//! Any exit of SVM: the kind is what the bits of the manual say, and an instruction is decoded only where they say too little.
#![no_main]

use core::cell::Cell;

use fuzz::register::bits;
use libfuzzer_sys::fuzz_target;
use x86_virt::svm::{ExitCode, ExitContext, SvmExit, decode_exit};
use x86_virt::{
    AddressSize, ApicAccessKind, ControlRegister, ControlRegisterAccess, ExitKind, Gpr, Gprs, Gva, Instruction,
    Invpcid, IoDirection, NestedFaultCause, Operand, OperandSize, RegisterAccess, RegisterOperand, SegmentRegister,
    SpecialInstruction, SystemOperand, TableAccess, TableRegister, VirtualizationInstruction,
};

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Code {
    Intercept(u8),
    Other(u8),
    Any(u64),
}

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
struct Input {
    code: Code,
    info1: u64,
    info2: u64,
    gprs: Gprs,
    is_protected: bool,
    default_address_size: AddressSize,
    has_decode_assists: bool,
    is_delivering: bool,
    instruction: Option<Instruction>,
}

impl Input {
    fn code(&self) -> u64 {
        match self.code {
            Code::Intercept(number) => u64::from(number),
            Code::Other(number) => 0x400 + u64::from(number % 16),
            Code::Any(number) => number,
        }
    }
}

fuzz_target!(|input: Input| {
    let code = input.code();
    let exit = SvmExit { code: ExitCode::from_bits(code), info1: input.info1, info2: input.info2 };
    let context = ExitContext {
        gprs: &input.gprs,
        is_protected: input.is_protected,
        default_address_size: input.default_address_size,
        has_decode_assists: input.has_decode_assists,
        is_delivering: input.is_delivering,
    };
    let decoded = Cell::new(false);
    let kind = decode_exit(exit, context, || {
        assert!(!decoded.replace(true), "decoded twice");
        input.instruction
    });
    // With decode assists the processor says the operands of MOV, and all of INS and OUTS.
    let may_decode = match code {
        0x00..=0x1f | 0x65 => !(input.has_decode_assists && input.info1 >> 63 == 1),
        0x20..=0x3f | 0x75 | 0x79 => !input.has_decode_assists,
        0x66..=0x6d => true,
        0x7b => bits(input.info1, 2, 1) == 1 && !(input.has_decode_assists && bits(input.info1, 7, 3) != 0),
        _ => false,
    };
    assert!(may_decode || !decoded.get(), "{exit}");
    expect(&input, code, kind);
});

fn low(value: u64) -> u32 {
    u32::try_from(bits(value, 0, 32)).unwrap_or_default()
}

fn expect(input: &Input, code: u64, kind: ExitKind) {
    match (code, kind) {
        (0x00..=0x1f, kind) => control_register(input, code, kind),
        (0x65, kind) => control_register(input, 0x10, kind),
        (0x66..=0x6d, kind) => {
            let ExitKind::DescriptorTable(access) = kind else {
                assert!(kind == ExitKind::Vendor && place(input).is_none(), "{kind:?}");
                return;
            };
            assert_eq!(access.direction == TableAccess::Load, code >= 0x6a);
            let tables = [TableRegister::Idtr, TableRegister::Gdtr, TableRegister::Ldtr, TableRegister::Tr];
            assert_eq!(tables.get(usize::try_from((code - 0x66) % 4).unwrap_or(9)), Some(&access.table));
            assert_eq!(access.size.map(|size| (access.operand, size)), place(input));
        }
        (0x6f, kind) => assert_eq!(kind, ExitKind::Rdpmc(low(input.gprs.rcx))),
        (0x75, kind) => {
            let decoded = input.instruction.and_then(|instruction| match instruction.system {
                Some(SystemOperand::Vector(vector)) => Some(u64::from(vector)),
                _ => None,
            });
            let vector = if input.has_decode_assists { Some(bits(input.info1, 0, 8)) } else { decoded };
            let expected = vector.and_then(|vector| u8::try_from(vector).ok());
            assert_eq!(kind, expected.map_or(ExitKind::Vendor, ExitKind::SoftwareInterrupt));
        }
        (0x79, kind) => {
            let decoded = match place(input) {
                Some((Operand::Memory(address), _)) => Some(address),
                _ => None,
            };
            let address = if input.has_decode_assists { Some(Gva::new(input.info1)) } else { decoded };
            assert_eq!(kind, address.map_or(ExitKind::Vendor, ExitKind::Invlpg));
        }
        (0x7d, ExitKind::TaskSwitch(switch)) => {
            assert_eq!(u64::from(switch.selector), bits(input.info1, 0, 16));
            assert_eq!(switch.error_code, (bits(input.info2, 44, 1) == 1).then_some(low(input.info2)));
        }
        (0x8d, kind) => {
            let value = u64::from(low(input.gprs.rdx)) << 32 | u64::from(low(input.gprs.rax));
            assert_eq!(kind, ExitKind::Xsetbv { register: low(input.gprs.rcx), value });
        }
        (0x8f, kind) => assert_eq!(kind, ExitKind::EferWritten(input.info1)),
        (0x90..=0x9f, ExitKind::ControlRegisterWritten { value, .. }) => assert_eq!(value, input.info1),
        (0xa2, kind) => {
            let descriptor = Gva::new(input.info1);
            assert_eq!(kind, ExitKind::Invpcid(Invpcid { kind: input.info2, descriptor }));
        }
        (0x401, kind) => assert_eq!(kind, ExitKind::ApicWrite(0x300)),
        (0x402, ExitKind::ApicWrite(offset)) => {
            assert_eq!((u64::from(offset), bits(input.info1, 32, 1)), (bits(input.info1, 4, 8) << 4, 1));
        }
        (0x402, ExitKind::ApicEoi(vector)) => {
            assert_eq!((u64::from(vector), bits(input.info1, 4, 8)), (bits(input.info2, 0, 8), 0xb));
        }
        (0x402, ExitKind::ApicAccess(access)) => {
            assert_eq!(u64::from(access.offset), bits(input.info1, 4, 8) << 4);
            assert_eq!(access.kind == ApicAccessKind::Write, bits(input.info1, 32, 1) == 1);
        }
        (0x20..=0x3f, kind) => debug_register(input, code, kind),
        // #MC is the host's.
        (0x52, kind) => assert_eq!(kind, ExitKind::HostMachineCheck),
        (0x40..=0x5f, ExitKind::Exception { exception, address }) => {
            assert_eq!(u64::from(exception.vector), code - 0x40);
            let has_code = input.is_protected && [8, 10, 11, 12, 13, 14, 17, 21, 29, 30].contains(&exception.vector);
            assert_eq!(exception.error_code, has_code.then_some(low(input.info1)));
            assert_eq!(address.map(|gva| gva.get()), (exception.vector == 14).then_some(input.info2));
        }
        (0x7b, kind) => port_io(input, kind),
        (0x7c, kind) => {
            let msr = low(input.gprs.rcx);
            let value = u64::from(low(input.gprs.rdx)) << 32 | u64::from(low(input.gprs.rax));
            let expected = [ExitKind::ReadMsr(msr), ExitKind::WriteMsr { msr, value }];
            let index = usize::try_from(input.info1).unwrap_or(9);
            assert_eq!(kind, expected.get(index).copied().unwrap_or(ExitKind::Vendor));
        }
        (0x400, ExitKind::NestedFault(fault)) => {
            assert_eq!((fault.gpa.get(), fault.gva), (input.info2, None));
            assert_eq!(fault.table_walk, bits(input.info1, 33, 1) == 1);
            assert_eq!(fault.cause == NestedFaultCause::Misconfiguration, bits(input.info1, 3, 1) == 1);
        }
        (0x40..=0x5f | 0x7d | 0x400 | 0x402, kind) => panic!("{kind:?} has lost what the processor reports"),
        (code, kind) => assert_eq!(kind, plain(code), "{code:#x}"),
    }
}

/// The kinds of exits whose code says all: AMD APM vol. 2, appendix C, "SVM Intercept Exit Codes".
fn plain(code: u64) -> ExitKind {
    match code {
        0x60 => ExitKind::HostInterrupt,
        0x61 => ExitKind::HostNmi,
        0x62 => ExitKind::Smi,
        0x63 => ExitKind::Init,
        0x64 => ExitKind::InterruptWindow,
        0x6e => ExitKind::Rdtsc,
        0x70 => ExitKind::Instruction(SpecialInstruction::Pushf),
        0x71 => ExitKind::Instruction(SpecialInstruction::Popf),
        0x73 => ExitKind::Instruction(SpecialInstruction::Rsm),
        0x74 => ExitKind::Instruction(SpecialInstruction::Iret),
        0x72 => ExitKind::Cpuid,
        0x76 => ExitKind::Invd,
        0x77 => ExitKind::Pause,
        0x78 | 0xa6 => ExitKind::Hlt,
        0x7f => ExitKind::Shutdown,
        0x81 => ExitKind::Hypercall,
        0x7a => ExitKind::Virtualization(VirtualizationInstruction::Invlpga),
        0x80 => ExitKind::Virtualization(VirtualizationInstruction::Vmrun),
        0x82 => ExitKind::Virtualization(VirtualizationInstruction::Vmload),
        0x83 => ExitKind::Virtualization(VirtualizationInstruction::Vmsave),
        0x84 => ExitKind::Virtualization(VirtualizationInstruction::Stgi),
        0x85 => ExitKind::Virtualization(VirtualizationInstruction::Clgi),
        0x86 => ExitKind::Virtualization(VirtualizationInstruction::Skinit),
        0x88 => ExitKind::Instruction(SpecialInstruction::Int1),
        0x8e => ExitKind::Instruction(SpecialInstruction::Rdpru),
        0xa0 | 0xa1 => ExitKind::Instruction(SpecialInstruction::Invlpgb),
        0xa3 => ExitKind::Instruction(SpecialInstruction::Mcommit),
        0xa4 => ExitKind::Instruction(SpecialInstruction::Tlbsync),
        0xa5 => ExitKind::BusLock,
        0x403 => ExitKind::Vmgexit,
        0x407 => ExitKind::PageModificationLogFull,
        0x87 => ExitKind::Rdtscp,
        0x89 => ExitKind::Wbinvd,
        0x8a => ExitKind::Monitor,
        0x8b | 0x8c => ExitKind::Mwait,
        _ => ExitKind::Vendor,
    }
}

/// The operand that a decoder found.
fn place(input: &Input) -> Option<(Operand, OperandSize)> {
    match input.instruction?.system? {
        SystemOperand::Place { operand, size } => Some((operand, size)),
        SystemOperand::Vector(_) => None,
    }
}

/// The register of a MOV: with decode assists in bits 3:0.
fn operand(input: &Input, is_debug: bool) -> Option<RegisterOperand> {
    if input.has_decode_assists && (is_debug || input.info1 >> 63 == 1) {
        return Some(RegisterOperand::Move(Gpr::from_number(bits(input.info1, 0, 4))));
    }
    input.instruction?.operand
}

fn access(code: u64, gpr: Gpr) -> RegisterAccess {
    if bits(code, 4, 1) == 0 { RegisterAccess::Read(gpr) } else { RegisterAccess::Write(gpr) }
}

fn control_register(input: &Input, code: u64, kind: ExitKind) {
    let register = match code & 0xf {
        0 => Some(ControlRegister::Cr0),
        2 => Some(ControlRegister::Cr2),
        3 => Some(ControlRegister::Cr3),
        4 => Some(ControlRegister::Cr4),
        8 => Some(ControlRegister::Cr8),
        _ => None,
    };
    let expected = match (operand(input, false), register) {
        (Some(RegisterOperand::Move(gpr)), Some(register)) => {
            ExitKind::ControlRegister(ControlRegisterAccess::Move { register, access: access(code, gpr) })
        }
        (Some(RegisterOperand::Clts), _) => ExitKind::ControlRegister(ControlRegisterAccess::Clts),
        (Some(RegisterOperand::Lmsw(source)), _) => ExitKind::ControlRegister(ControlRegisterAccess::Lmsw { source }),
        (None, _) if code == 0 && place(input).is_some() => {
            let Some((destination, size)) = place(input) else { return };
            ExitKind::ControlRegister(ControlRegisterAccess::Smsw { destination, size })
        }
        _ => ExitKind::Vendor,
    };
    assert_eq!(kind, expected);
}

fn debug_register(input: &Input, code: u64, kind: ExitKind) {
    let expected = match operand(input, true) {
        Some(RegisterOperand::Move(gpr)) => {
            let number = u8::try_from(code & 0xf).unwrap_or_default();
            ExitKind::DebugRegister { number, access: access(code, gpr) }
        }
        _ => ExitKind::Vendor,
    };
    assert_eq!(kind, expected);
}

/// AMD APM vol. 2, section 15.10.2, "IN and OUT Behavior".
fn port_io(input: &Input, kind: ExitKind) {
    let raw = input.info1;
    let lowest = |offset| Some(bits(raw, offset, 3).trailing_zeros()).filter(|bit| *bit < 3);
    let Some(size) = lowest(4) else {
        assert_eq!(kind, ExitKind::Vendor);
        return;
    };
    let ExitKind::Io(io) = kind else { panic!("{kind:?}") };
    assert_eq!((u64::from(io.port), io.size.bytes()), (bits(raw, 16, 16), 1 << size));
    let is_input = bits(raw, 0, 1) == 1;
    assert_eq!(io.direction == IoDirection::In, is_input);
    assert_eq!(io.string.is_some(), bits(raw, 2, 1) == 1);
    let Some(string) = io.string else { return };
    assert_eq!(string.repeat, bits(raw, 3, 1) == 1);
    let said = lowest(7).and_then(|bit| {
        [AddressSize::Bits16, AddressSize::Bits32, AddressSize::Bits64].get(usize::try_from(bit).ok()?).copied()
    });
    let decoded = input.instruction.and_then(|instruction| instruction.string);
    let is_complete = input.has_decode_assists && said.is_some();
    let decoded = decoded.filter(|_| !is_complete);
    let address_size = said.or(decoded.map(|operand| operand.address_size)).unwrap_or(input.default_address_size);
    let segment = if is_input {
        SegmentRegister::Es
    } else if input.has_decode_assists {
        SegmentRegister::from_number(bits(raw, 10, 3))
    } else {
        decoded.map_or(SegmentRegister::Ds, |operand| operand.segment)
    };
    assert_eq!((string.address_size, string.segment), (address_size, segment));
}
