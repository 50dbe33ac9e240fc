//! Exits as Bochs 2.7, QEMU 7.2 and the manual have them.

use x86_virt_core::{
    Access, AddressSize, ControlRegister, ControlRegisterAccess, Exception, ExitKind, Gpa, Gpr, Gprs, Gva, Instruction,
    Io, IoDirection, IoSize, NestedFault, NestedFaultCause, RegisterAccess, RegisterOperand, SegmentRegister, StringIo,
    StringOperand,
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
        (ExitCode::XSETBV, ExitKind::Xsetbv),
        (ExitCode::MWAIT_CONDITIONAL, ExitKind::Mwait),
        (ExitCode::VMRUN, ExitKind::Virtualization),
        (ExitCode::SMI, ExitKind::Vendor),
        (ExitCode::AVIC_NOACCEL, ExitKind::Vendor),
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
    let decoded = || Some(Instruction { length: 2, operand: None, string });
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
    let instruction = |operand| Some(Instruction { length: 3, operand: Some(operand), string: None });
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
