//! Exits as Bochs 2.7, QEMU 7.2 and the manual have them.

use x86_virt_core::{
    Access, AddressSize, ApicAccess, ApicAccessKind, ControlRegister, ControlRegisterAccess, DescriptorTableAccess,
    Exception, ExitKind, Gpa, Gpr, Gprs, Gva, Instruction, Invpcid, Io, IoDirection, IoSize, NestedFault,
    NestedFaultCause, Operand, OperandSize, RegisterAccess, RegisterOperand, SegmentRegister,
    SpecialInstruction as Special, StringIo, StringOperand, SystemOperand, TableAccess, TableRegister, TaskSwitch,
    TaskSwitchSource, VirtualizationInstruction as Virtualization,
};

use super::{ExitContext, SvmExit, decode_exit};
use crate::exit_code::ExitCode;

const GPRS: Gprs = Gprs {
    rax: 0xffff_ffff_1111_2222,
    rcx: 0xdead_beef_c000_0080,
    rdx: 0xffff_ffff_3333_4444,
    rbx: 0,
    rbp: 0,
    rsi: 0,
    rdi: 0,
    r8: 0,
    r9: 0,
    r10: 0,
    r11: 0,
    r12: 0,
    r13: 0,
    r14: 0,
    r15: 0,
};

const PLAIN: ExitContext<'static> = ExitContext {
    gprs: &GPRS,
    is_protected: true,
    default_address_size: AddressSize::Bits32,
    has_decode_assists: false,
    is_delivering: false,
};
const ASSISTED: ExitContext<'static> = ExitContext { has_decode_assists: true, ..PLAIN };

fn exit(code: ExitCode, info1: u64, info2: u64) -> SvmExit {
    SvmExit { code, info1, info2 }
}

fn not_decoded() -> Option<Instruction> {
    panic!("the processor has said all")
}

#[test]
fn every_code_has_a_kind() {
    for code in (0..0x500).chain(0xffff_fff0..=0xffff_ffff).chain(u64::MAX - 8..=u64::MAX) {
        for guest in [PLAIN, ASSISTED] {
            for info1 in [0, 1, 0x10, u64::MAX] {
                let _ = decode_exit(exit(ExitCode::from_bits(code), info1, 0), guest, || None);
            }
        }
    }
    assert_eq!(decode_exit(exit(ExitCode::from_bits(0x1234), 0, 0), PLAIN, not_decoded), ExitKind::Vendor);
}

#[test]
fn codes_without_information_are_a_table() {
    for (code, expected) in [
        (ExitCode::EXCP_MC, ExitKind::HostMachineCheck),
        (ExitCode::INTR, ExitKind::HostInterrupt),
        (ExitCode::NMI, ExitKind::HostNmi),
        (ExitCode::VINTR, ExitKind::InterruptWindow),
        (ExitCode::CPUID, ExitKind::Cpuid),
        (ExitCode::HLT, ExitKind::Hlt),
        (ExitCode::VMMCALL, ExitKind::Hypercall),
        (ExitCode::SHUTDOWN, ExitKind::Shutdown),
        (ExitCode::XSETBV, ExitKind::Xsetbv { register: 0xc000_0080, value: 0x3333_4444_1111_2222 }),
        (ExitCode::MWAIT_CONDITIONAL, ExitKind::Mwait),
        (ExitCode::VMRUN, ExitKind::Virtualization(Virtualization::Vmrun)),
        (ExitCode::SMI, ExitKind::Smi),
        (ExitCode::FERR_FREEZE, ExitKind::Vendor),
    ] {
        assert_eq!(decode_exit(exit(code, 0, 0), PLAIN, not_decoded), expected, "{code}");
    }
}

#[test]
fn port_io_is_decoded_with_and_without_its_address_size() {
    for info1 in [0x77_0010, 0x77_0090] {
        let io = Io { port: 0x77, size: IoSize::Byte, direction: IoDirection::Out, string: None };
        assert_eq!(decode_exit(exit(ExitCode::IOIO, info1, 0x1009), PLAIN, not_decoded), ExitKind::Io(io));
    }
    let outs = |address_size, segment| {
        let string = Some(StringIo { repeat: true, address_size, segment });
        ExitKind::Io(Io { port: 0x3f8, size: IoSize::Byte, direction: IoDirection::Out, string })
    };
    let string = Some(StringOperand { address_size: AddressSize::Bits16, segment: SegmentRegister::Gs });
    let decoded = || Some(Instruction { length: 2, operand: None, string, system: None });
    let qemu = exit(ExitCode::IOIO, 0x3f8_001c, 0);
    assert_eq!(decode_exit(qemu, PLAIN, decoded), outs(AddressSize::Bits16, SegmentRegister::Gs));
    assert_eq!(decode_exit(qemu, PLAIN, || None), outs(AddressSize::Bits32, SegmentRegister::Ds));
    let assisted = exit(ExitCode::IOIO, 0x3f8_121c, 0);
    assert_eq!(decode_exit(assisted, ASSISTED, not_decoded), outs(AddressSize::Bits64, SegmentRegister::Fs));
    assert_eq!(decode_exit(exit(ExitCode::IOIO, 0x77_0000, 0), PLAIN, not_decoded), ExitKind::Vendor);
}

#[test]
fn msr_numbers_and_values_come_from_registers() {
    assert_eq!(decode_exit(exit(ExitCode::MSR, 0, 0), PLAIN, not_decoded), ExitKind::ReadMsr(0xc000_0080));
    let write = ExitKind::WriteMsr { msr: 0xc000_0080, value: 0x3333_4444_1111_2222 };
    assert_eq!(decode_exit(exit(ExitCode::MSR, 1, 0), PLAIN, not_decoded), write);
}

#[test]
fn nested_faults_say_what_and_why() {
    for (info1, access, cause, table_walk) in [
        (0x1_0000_0006, Access::WRITE, NestedFaultCause::NotMapped, false),
        (0x1_0000_0007, Access::WRITE, NestedFaultCause::Permission, false),
        (0x1_0000_0014, Access::EXECUTE, NestedFaultCause::NotMapped, false),
        (0x2_0000_0006, Access::WRITE, NestedFaultCause::NotMapped, true),
        (0x1_0000_000d, Access::READ, NestedFaultCause::Misconfiguration, false),
    ] {
        let fault = NestedFault { gpa: Gpa::new(0xfee0_0300), gva: None, access, cause, table_walk };
        let exit = exit(ExitCode::NPF, info1, 0xfee0_0300);
        assert_eq!(decode_exit(exit, PLAIN, not_decoded), ExitKind::NestedFault(fault));
    }
}

#[test]
fn moves_of_control_and_debug_registers_need_assists_or_a_decoder() {
    let expected = |register, access| ExitKind::ControlRegister(ControlRegisterAccess::Move { register, access });
    let instruction = |operand| Some(Instruction { length: 3, operand: Some(operand), string: None, system: None });
    let decoded = || instruction(RegisterOperand::Move(Gpr::R9));
    let write = exit(ExitCode::CR0_WRITE, 1 << 63 | 3, 0);
    assert_eq!(
        decode_exit(write, ASSISTED, not_decoded),
        expected(ControlRegister::Cr0, RegisterAccess::Write(Gpr::Rbx))
    );
    let read = exit(ExitCode::CR8_READ, 0, 0);
    assert_eq!(decode_exit(read, PLAIN, decoded), expected(ControlRegister::Cr8, RegisterAccess::Read(Gpr::R9)));
    assert_eq!(decode_exit(read, PLAIN, || None), ExitKind::Vendor);
    let clts = decode_exit(exit(ExitCode::CR0_WRITE, 0, 0), ASSISTED, || instruction(RegisterOperand::Clts));
    assert_eq!(clts, ExitKind::ControlRegister(ControlRegisterAccess::Clts));
    let lmsw = decode_exit(exit(ExitCode::CR0_WRITE, 0, 0), PLAIN, || instruction(RegisterOperand::Lmsw(0xfff1)));
    assert_eq!(lmsw, ExitKind::ControlRegister(ControlRegisterAccess::Lmsw { source: 0xfff1 }));
    assert_eq!(decode_exit(exit(ExitCode::CR0_WRITE, 0, 0), ASSISTED, || None), ExitKind::Vendor);
    let debug = exit(ExitCode::DR7_WRITE, 0xb, 0);
    let access = RegisterAccess::Write(Gpr::R11);
    assert_eq!(decode_exit(debug, ASSISTED, not_decoded), ExitKind::DebugRegister { number: 7, access });
}

#[test]
fn exceptions_have_codes_in_protected_mode() {
    let expected =
        |vector, error_code, address| ExitKind::Exception { exception: Exception { vector, error_code }, address };
    let page_fault = exit(ExitCode::EXCP_PF, 6, 0x1234_5678);
    assert_eq!(decode_exit(page_fault, PLAIN, not_decoded), expected(14, Some(6), Some(Gva::new(0x1234_5678))));
    let real = ExitContext { is_protected: false, ..PLAIN };
    assert_eq!(decode_exit(exit(ExitCode::EXCP_GP, 0, 0), real, not_decoded), expected(13, None, None));
    assert_eq!(decode_exit(exit(ExitCode::EXCP_UD, 7, 0), PLAIN, not_decoded), expected(6, None, None));
}

#[test]
fn text_has_the_name_or_the_number() {
    assert_eq!(exit(ExitCode::INTR, 0, 0).to_string(), "INTR (0x0, 0x0)");
    assert_eq!(exit(ExitCode::from_bits(0x404), 1, 2).to_string(), "0x404 (0x1, 0x2)");
}

/// What each code decodes to whose kind is not one of a range, with the registers above and all information zero.
const KINDS: &[(u64, ExitKind)] = &[
    (0x60, ExitKind::HostInterrupt),
    (0x61, ExitKind::HostNmi),
    (0x62, ExitKind::Smi),
    (0x63, ExitKind::Init),
    (0x64, ExitKind::InterruptWindow),
    (0x65, ExitKind::ControlRegister(ControlRegisterAccess::Clts)),
    (0x66, table(TableRegister::Idtr, TableAccess::Store)),
    (0x67, table(TableRegister::Gdtr, TableAccess::Store)),
    (0x68, table(TableRegister::Ldtr, TableAccess::Store)),
    (0x69, table(TableRegister::Tr, TableAccess::Store)),
    (0x6a, table(TableRegister::Idtr, TableAccess::Load)),
    (0x6b, table(TableRegister::Gdtr, TableAccess::Load)),
    (0x6c, table(TableRegister::Ldtr, TableAccess::Load)),
    (0x6d, table(TableRegister::Tr, TableAccess::Load)),
    (0x6e, ExitKind::Rdtsc),
    (0x6f, ExitKind::Rdpmc(0xc000_0080)),
    (0x70, ExitKind::Instruction(Special::Pushf)),
    (0x71, ExitKind::Instruction(Special::Popf)),
    (0x72, ExitKind::Cpuid),
    (0x73, ExitKind::Instruction(Special::Rsm)),
    (0x74, ExitKind::Instruction(Special::Iret)),
    // No vector: the instruction is another.
    (0x75, ExitKind::Vendor),
    (0x76, ExitKind::Invd),
    (0x77, ExitKind::Pause),
    (0x78, ExitKind::Hlt),
    (0x79, ExitKind::Invlpg(Gva::new(0x1234))),
    (0x7a, ExitKind::Virtualization(Virtualization::Invlpga)),
    // No size, which no processor reports.
    (0x7b, ExitKind::Vendor),
    (0x7c, ExitKind::ReadMsr(0xc000_0080)),
    (0x7d, ExitKind::TaskSwitch(TaskSwitch { selector: 0, source: TaskSwitchSource::Call, error_code: None })),
    (0x7e, ExitKind::Vendor),
    (0x7f, ExitKind::Shutdown),
    (0x80, ExitKind::Virtualization(Virtualization::Vmrun)),
    (0x81, ExitKind::Hypercall),
    (0x82, ExitKind::Virtualization(Virtualization::Vmload)),
    (0x83, ExitKind::Virtualization(Virtualization::Vmsave)),
    (0x84, ExitKind::Virtualization(Virtualization::Stgi)),
    (0x85, ExitKind::Virtualization(Virtualization::Clgi)),
    (0x86, ExitKind::Virtualization(Virtualization::Skinit)),
    (0x87, ExitKind::Rdtscp),
    (0x88, ExitKind::Instruction(Special::Int1)),
    (0x89, ExitKind::Wbinvd),
    (0x8a, ExitKind::Monitor),
    (0x8b, ExitKind::Mwait),
    (0x8c, ExitKind::Mwait),
    (0x8d, ExitKind::Xsetbv { register: 0xc000_0080, value: 0x3333_4444_1111_2222 }),
    (0x8e, ExitKind::Instruction(Special::Rdpru)),
    (0x8f, ExitKind::EferWritten(0)),
    (0xa0, ExitKind::Instruction(Special::Invlpgb)),
    (0xa1, ExitKind::Instruction(Special::Invlpgb)),
    (0xa2, ExitKind::Invpcid(Invpcid { kind: 0, descriptor: Gva::new(0) })),
    (0xa3, ExitKind::Instruction(Special::Mcommit)),
    (0xa4, ExitKind::Instruction(Special::Tlbsync)),
    (0xa5, ExitKind::BusLock),
    (0xa6, ExitKind::Hlt),
    (0x401, ExitKind::ApicWrite(0x300)),
    (0x402, ExitKind::ApicAccess(ApicAccess { offset: 0, kind: ApicAccessKind::Read })),
    (0x403, ExitKind::Vmgexit),
    #[cfg(feature = "provisional")]
    (0x407, ExitKind::PageModificationLogFull),
    // Refusals are errors of the run.
    (0xffff_ffff_ffff_ffff, ExitKind::Vendor),
    (0xffff_ffff_ffff_fffe, ExitKind::Vendor),
    (0xffff_ffff_ffff_fffd, ExitKind::Vendor),
    (0xffff_ffff_ffff_fffc, ExitKind::Vendor),
];

const THERE: Operand = Operand::Memory(Gva::new(0x1234));

const fn table(table: TableRegister, direction: TableAccess) -> ExitKind {
    let size = Some(OperandSize::Bits16);
    ExitKind::DescriptorTable(DescriptorTableAccess { table, direction, operand: THERE, size })
}

/// An instruction that none is: CLTS with a memory operand.
fn decoded_operand() -> Option<Instruction> {
    let system = Some(SystemOperand::Place { operand: THERE, size: OperandSize::Bits16 });
    Some(Instruction { length: 3, operand: Some(RegisterOperand::Clts), string: None, system })
}

#[test]
fn every_code_has_its_kind() {
    for code in ExitCode::ALL.iter().map(|code| code.value) {
        let kind = decode_exit(exit(ExitCode::from_bits(code), 0, 0), PLAIN, decoded_operand);
        match code {
            0x00..=0x1f => assert_eq!(kind, ExitKind::ControlRegister(ControlRegisterAccess::Clts)),
            // CLTS accesses no debug register.
            0x20..=0x3f => assert_eq!(kind, ExitKind::Vendor),
            0x52 => assert_eq!(kind, ExitKind::HostMachineCheck),
            0x40..=0x5f => {
                let ExitKind::Exception { exception, .. } = kind else { panic!("{code:#x}: {kind:?}") };
                assert_eq!(u64::from(exception.vector), code - 0x40);
            }
            0x90..=0x9f => match ControlRegister::from_number(code - 0x90) {
                Some(register) => assert_eq!(kind, ExitKind::ControlRegisterWritten { register, value: 0 }),
                None => assert_eq!(kind, ExitKind::Vendor),
            },
            0x400 => assert!(matches!(kind, ExitKind::NestedFault(_))),
            _ => {
                let expected = KINDS.iter().find(|(number, _)| *number == code).map(|(_, kind)| *kind);
                assert_eq!(Some(kind), expected, "{code:#x}");
            }
        }
    }
}

#[test]
fn operands_come_from_assists_or_a_decoder() {
    let kind = |code, info1, info2| decode_exit(exit(code, info1, info2), ASSISTED, not_decoded);
    assert_eq!(kind(ExitCode::INVLPG, 0x5000, 0), ExitKind::Invlpg(Gva::new(0x5000)));
    assert_eq!(kind(ExitCode::SWINT, 0x80, 0), ExitKind::SoftwareInterrupt(0x80));
    let invpcid = ExitKind::Invpcid(Invpcid { kind: 2, descriptor: Gva::new(0x6000) });
    assert_eq!(kind(ExitCode::INVPCID, 0x6000, 2), invpcid);
    let register = ControlRegister::Cr0;
    let write = ControlRegisterAccess::Move { register, access: RegisterAccess::Write(Gpr::Rbx) };
    assert_eq!(kind(ExitCode::CR0_SEL_WRITE, 1 << 63 | 3, 0), ExitKind::ControlRegister(write));
    let vector = || {
        let system = Some(SystemOperand::Vector(0x21));
        Some(Instruction { length: 2, operand: None, string: None, system })
    };
    let software = decode_exit(exit(ExitCode::SWINT, 0, 0), PLAIN, vector);
    assert_eq!(software, ExitKind::SoftwareInterrupt(0x21));
    let place = || Some(Instruction { operand: None, ..decoded_operand()? });
    let smsw = ControlRegisterAccess::Smsw { destination: THERE, size: OperandSize::Bits16 };
    assert_eq!(decode_exit(exit(ExitCode::CR0_READ, 0, 0), ASSISTED, place), ExitKind::ControlRegister(smsw));
    assert_eq!(decode_exit(exit(ExitCode::CR0_WRITE, 0, 0), ASSISTED, place), ExitKind::Vendor);
    assert_eq!(decode_exit(exit(ExitCode::GDTR_READ, 0, 0), ASSISTED, || None), ExitKind::Vendor);
}

#[test]
fn a_task_switch_has_its_source() {
    let of = |info2, context| {
        let kind = decode_exit(exit(ExitCode::TASK_SWITCH, 0x28, info2), context, not_decoded);
        let ExitKind::TaskSwitch(switch) = kind else { panic!("{kind:?}") };
        assert_eq!(switch.selector, 0x28);
        (switch.source, switch.error_code)
    };
    assert_eq!(of(1 << 36, PLAIN), (TaskSwitchSource::Iret, None));
    assert_eq!(of(1 << 38, PLAIN), (TaskSwitchSource::Jmp, None));
    assert_eq!(of(0, PLAIN), (TaskSwitchSource::Call, None));
    let delivering = ExitContext { is_delivering: true, ..PLAIN };
    assert_eq!(of(1 << 44 | 0x10, delivering), (TaskSwitchSource::TaskGate, Some(0x10)));
}

#[test]
fn avic_tells_writes_done_from_accesses_not_done() {
    let kind = |info1, info2| decode_exit(exit(ExitCode::AVIC_NOACCEL, info1, info2), PLAIN, not_decoded);
    // LVT timer, a trap; EOI of a level-triggered interrupt; APIC version, a fault; the current count, read.
    assert_eq!(kind(1 << 32 | 0x320, 0), ExitKind::ApicWrite(0x320));
    assert_eq!(kind(1 << 32 | 0xb0, 0x51), ExitKind::ApicEoi(0x51));
    let access = |offset, kind| ExitKind::ApicAccess(ApicAccess { offset, kind });
    assert_eq!(kind(1 << 32 | 0x30, 0), access(0x30, ApicAccessKind::Write));
    assert_eq!(kind(0x390, 0), access(0x390, ApicAccessKind::Read));
}
