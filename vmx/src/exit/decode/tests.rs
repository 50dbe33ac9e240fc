use x86_virt_core::{
    Access, AddressSize, ControlRegister, ControlRegisterAccess, Exception, ExitKind, Gpa, Gpr, Gprs, Gva, Io,
    IoDirection, IoSize, NestedFault, NestedFaultCause, RegisterAccess, SegmentRegister, StringIo,
};

use super::{BasicExitReason, ExitReason, decode_exit};
use crate::access::{CountingVmcs, FakeVmcs};

fn decoded(basic: BasicExitReason, fields: &[(u32, u64)]) -> ExitKind {
    let mut vmcs = FakeVmcs::new();
    for &(encoding, value) in fields {
        vmcs.set_raw(encoding, value);
    }
    let gprs = Gprs { rcx: 0xffff_ffff_c000_0080, rax: 0x1111_2222, rdx: 0x3333_4444, ..Gprs::default() };
    decode_exit(basic.into(), &vmcs, &gprs)
}

#[test]
fn port_io_has_all_operands() {
    let out = decoded(BasicExitReason::IO_INSTRUCTION, &[(0x6400, 0x03f8_0000)]);
    let io = Io { port: 0x3f8, size: IoSize::Byte, direction: IoDirection::Out, string: None };
    assert_eq!(out, ExitKind::Io(io));
    let input = decoded(BasicExitReason::IO_INSTRUCTION, &[(0x6400, 0x0cf8_000b)]);
    assert_eq!(input, ExitKind::Io(Io { port: 0xcf8, size: IoSize::Dword, direction: IoDirection::In, string: None }));
    let rep_outs = decoded(BasicExitReason::IO_INSTRUCTION, &[(0x6400, 0x00e9_0030), (0x440e, 2 << 15 | 1 << 7)]);
    let string = StringIo { repeat: true, address_size: AddressSize::Bits32, segment: SegmentRegister::Ss };
    assert_eq!(rep_outs, ExitKind::Io(Io { port: 0xe9, string: Some(string), ..io }));
    let reserved_size = decoded(BasicExitReason::IO_INSTRUCTION, &[(0x6400, 2)]);
    assert_eq!(reserved_size, ExitKind::Vendor);
}

#[test]
fn msr_accesses_use_the_low_halves() {
    assert_eq!(decoded(BasicExitReason::RDMSR, &[]), ExitKind::ReadMsr(0xc000_0080));
    let value = 0x3333_4444_1111_2222;
    assert_eq!(decoded(BasicExitReason::WRMSR, &[]), ExitKind::WriteMsr { msr: 0xc000_0080, value });
}

#[test]
fn an_ept_violation_tells_access_cause_and_addresses() {
    let write = decoded(BasicExitReason::EPT_VIOLATION, &[(0x6400, 0x182), (0x2400, 0x5000), (0x640a, 0x40_5008)]);
    assert_eq!(
        write,
        ExitKind::NestedFault(NestedFault {
            gpa: Gpa::new(0x5000),
            gva: Some(Gva::new(0x40_5008)),
            access: Access::WRITE,
            cause: NestedFaultCause::NotMapped,
            table_walk: false,
        })
    );
    let ExitKind::NestedFault(walk) = decoded(BasicExitReason::EPT_VIOLATION, &[(0x6400, 0x8b)]) else { panic!() };
    assert!(walk.table_walk);
    assert_eq!(walk.cause, NestedFaultCause::Permission);
    assert_eq!(walk.access, Access::READ.union(Access::WRITE));
}

#[test]
fn control_register_accesses_name_both_registers() {
    let register = ControlRegister::Cr4;
    let access = RegisterAccess::Write(Gpr::R9);
    assert_eq!(
        decoded(BasicExitReason::CONTROL_REGISTER_ACCESS, &[(0x6400, 0x904)]),
        ExitKind::ControlRegister(ControlRegisterAccess::Move { register, access })
    );
    assert_eq!(
        decoded(BasicExitReason::CONTROL_REGISTER_ACCESS, &[(0x6400, 0x20)]),
        ExitKind::ControlRegister(ControlRegisterAccess::Clts)
    );
    assert_eq!(
        decoded(BasicExitReason::CONTROL_REGISTER_ACCESS, &[(0x6400, 0xfff1_0030)]),
        ExitKind::ControlRegister(ControlRegisterAccess::Lmsw { source: 0xfff1 })
    );
    assert_eq!(
        decoded(BasicExitReason::MOV_DR, &[(0x6400, 0x317)]),
        ExitKind::DebugRegister { number: 7, access: RegisterAccess::Read(Gpr::Rbx) }
    );
}

#[test]
fn an_exception_and_an_nmi_share_a_reason() {
    assert_eq!(decoded(BasicExitReason::EXCEPTION_OR_NMI, &[(0x4404, 0x8000_0202)]), ExitKind::HostNmi);
    assert_eq!(decoded(BasicExitReason::EXCEPTION_OR_NMI, &[(0x4404, 0x8000_0312)]), ExitKind::HostMachineCheck);
    let fault = decoded(BasicExitReason::EXCEPTION_OR_NMI, &[(0x4404, 0x8000_0b0e), (0x4406, 6), (0x6400, 0x1234)]);
    let exception = Exception::page_fault(6);
    assert_eq!(fault, ExitKind::Exception { exception, address: Some(Gva::new(0x1234)) });
}

#[test]
fn an_unknown_reason_is_a_value() {
    for number in 0..=u16::MAX {
        let reason = BasicExitReason::from_bits(number);
        let kind = decoded(reason, &[]);
        if reason.name().is_none() {
            assert_eq!(kind, ExitKind::Vendor, "reason {reason}");
        }
    }
}

#[test]
fn decoding_cpuid_reads_no_field() {
    let vmcs = CountingVmcs::new(FakeVmcs::new());
    let kind = decode_exit(ExitReason::from_bits(10), &vmcs, &Gprs::default());
    assert_eq!((kind, vmcs.reads()), (ExitKind::Cpuid, 0));
    assert!(matches!(decode_exit(ExitReason::from_bits(30), &vmcs, &Gprs::default()), ExitKind::Io(_)));
    assert_eq!(vmcs.reads(), 1);
}
