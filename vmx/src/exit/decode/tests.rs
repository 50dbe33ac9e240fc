use x86_virt_core::{
    Access, AddressSize, ApicAccess, ApicAccessKind, ControlRegister, ControlRegisterAccess, DescriptorTableAccess,
    Exception, ExitKind, Gpa, Gpr, Gprs, Gva, Invpcid, Io, IoDirection, IoSize, NestedFault, NestedFaultCause, Operand,
    OperandSize, RegisterAccess, SegmentRegister, SpecialInstruction as Special, StringIo, TableAccess, TableRegister,
    TaskSwitch, TaskSwitchSource, VirtualizationInstruction as Virtualization,
};

use super::{BasicExitReason, ExitReason, decode_exit};
use crate::testing::{CountingVmcs, FakeVmcs};

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
fn a_miss_of_sub_page_permissions_is_told_from_a_misconfiguration() {
    for (qualification, cause) in
        [(1 << 11, NestedFaultCause::SubPageMiss), (0, NestedFaultCause::SubPageMisconfiguration)]
    {
        let found = decoded(BasicExitReason::SPP_RELATED_EVENT, &[(0x6400, qualification), (0x2400, 0x5080)]);
        let fault = NestedFault { gpa: Gpa::new(0x5080), access: Access::WRITE, ..fault(cause) };
        assert_eq!(found, ExitKind::NestedFault(fault));
    }
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

/// What each reason decodes to if all fields but RCX, EDX and EAX are zero.
const KINDS: &[(u16, ExitKind)] = &[
    (0, ExitKind::Exception { exception: Exception { vector: 0, error_code: None }, address: None }),
    (1, ExitKind::HostInterrupt),
    (2, ExitKind::Shutdown),
    (3, ExitKind::Init),
    (4, ExitKind::Sipi(0)),
    (5, ExitKind::Smi),
    (6, ExitKind::Smi),
    (7, ExitKind::InterruptWindow),
    (8, ExitKind::NmiWindow),
    (9, ExitKind::TaskSwitch(TaskSwitch { selector: 0, source: TaskSwitchSource::Call, error_code: None })),
    (10, ExitKind::Cpuid),
    (11, ExitKind::Instruction(Special::Getsec)),
    (12, ExitKind::Hlt),
    (13, ExitKind::Invd),
    (14, ExitKind::Invlpg(Gva::new(0))),
    (15, ExitKind::Rdpmc(0xc000_0080)),
    (16, ExitKind::Rdtsc),
    (17, ExitKind::Instruction(Special::Rsm)),
    (18, ExitKind::Hypercall),
    (19, ExitKind::Virtualization(Virtualization::Vmclear)),
    (20, ExitKind::Virtualization(Virtualization::Vmlaunch)),
    (21, ExitKind::Virtualization(Virtualization::Vmptrld)),
    (22, ExitKind::Virtualization(Virtualization::Vmptrst)),
    (23, ExitKind::Virtualization(Virtualization::Vmread)),
    (24, ExitKind::Virtualization(Virtualization::Vmresume)),
    (25, ExitKind::Virtualization(Virtualization::Vmwrite)),
    (26, ExitKind::Virtualization(Virtualization::Vmxoff)),
    (27, ExitKind::Virtualization(Virtualization::Vmxon)),
    (28, ExitKind::ControlRegister(ControlRegisterAccess::Move { register: ControlRegister::Cr0, access: WRITE_RAX })),
    (29, ExitKind::DebugRegister { number: 0, access: WRITE_RAX }),
    (30, ExitKind::Io(Io { port: 0, size: IoSize::Byte, direction: IoDirection::Out, string: None })),
    (31, ExitKind::ReadMsr(0xc000_0080)),
    (32, ExitKind::WriteMsr { msr: 0xc000_0080, value: EDX_EAX }),
    // Failed entries are errors of the run.
    (33, ExitKind::Vendor),
    (34, ExitKind::Vendor),
    (36, ExitKind::Mwait),
    (37, ExitKind::MonitorTrap),
    (39, ExitKind::Monitor),
    (40, ExitKind::Pause),
    (41, ExitKind::Vendor),
    (43, ExitKind::TprBelowThreshold),
    (44, ExitKind::ApicAccess(ApicAccess { offset: 0, kind: ApicAccessKind::Read })),
    (45, ExitKind::ApicEoi(0)),
    (46, ExitKind::DescriptorTable(store(TableRegister::Gdtr, AT_0, Some(OperandSize::Bits16)))),
    (47, ExitKind::DescriptorTable(store(TableRegister::Ldtr, AT_0, None))),
    (48, ExitKind::NestedFault(fault(NestedFaultCause::NotMapped))),
    (49, ExitKind::NestedFault(fault(NestedFaultCause::Misconfiguration))),
    (50, ExitKind::Virtualization(Virtualization::Invept)),
    (51, ExitKind::Rdtscp),
    (52, ExitKind::Deadline),
    (53, ExitKind::Virtualization(Virtualization::Invvpid)),
    (54, ExitKind::Wbinvd),
    (55, ExitKind::Xsetbv { register: 0xc000_0080, value: EDX_EAX }),
    (56, ExitKind::ApicWrite(0)),
    (57, ExitKind::Rdrand { destination: Gpr::Rax, size: OperandSize::Bits16 }),
    (58, ExitKind::Invpcid(Invpcid { kind: 0x1111_2222, descriptor: Gva::new(0x4444) })),
    (59, ExitKind::Virtualization(Virtualization::Vmfunc)),
    (60, ExitKind::Instruction(Special::Encls)),
    (61, ExitKind::Rdseed { destination: Gpr::Rax, size: OperandSize::Bits16 }),
    (62, ExitKind::PageModificationLogFull),
    (63, ExitKind::Instruction(Special::Xsaves)),
    (64, ExitKind::Instruction(Special::Xrstors)),
    (65, ExitKind::Instruction(Special::Pconfig)),
    // Sub-page permissions: VMX alone has them.
    (
        66,
        ExitKind::NestedFault(NestedFault {
            access: Access::WRITE,
            ..fault(NestedFaultCause::SubPageMisconfiguration)
        }),
    ),
    (67, ExitKind::Umwait { state: 0x1111_2222, deadline: EDX_EAX }),
    (68, ExitKind::Tpause { state: 0x1111_2222, deadline: EDX_EAX }),
    (69, ExitKind::Instruction(Special::Loadiwkey)),
    (70, ExitKind::Instruction(Special::Enclv)),
    (72, ExitKind::Instruction(Special::Enqcmd)),
    (73, ExitKind::Instruction(Special::Enqcmds)),
    (74, ExitKind::BusLock),
    (75, ExitKind::Notify { context_invalid: false }),
    (76, ExitKind::Instruction(Special::Seamcall)),
    (77, ExitKind::Instruction(Special::Tdcall)),
    (78, ExitKind::ReadMsrList(0)),
    (79, ExitKind::WriteMsrList { msr: 0, value: 0 }),
    (80, ExitKind::ReadMsrTo { msr: 0, destination: Gpr::Rax }),
    (81, ExitKind::WriteMsr { msr: 0, value: 0x1111_2222 }),
    (84, ExitKind::ReadMsrTo { msr: 0, destination: Gpr::Rax }),
    (85, ExitKind::WriteMsr { msr: 0, value: 0x1111_2222 }),
];

const EDX_EAX: u64 = 0x3333_4444_1111_2222;
const WRITE_RAX: RegisterAccess = RegisterAccess::Write(Gpr::Rax);
/// [EAX + EAX], with addresses of 16 bits, in ES: what zeros mean.
const AT_0: Operand = Operand::Memory(Gva::new(0x4444));

const fn store(table: TableRegister, operand: Operand, size: Option<OperandSize>) -> DescriptorTableAccess {
    DescriptorTableAccess { table, direction: TableAccess::Store, operand, size }
}

const fn fault(cause: NestedFaultCause) -> NestedFault {
    NestedFault { gpa: Gpa::new(0), gva: None, access: Access::NONE, cause, table_walk: false }
}

#[test]
fn every_reason_has_its_kind() {
    let reasons: Vec<u16> = BasicExitReason::ALL.iter().map(|code| code.value).collect();
    let expected: Vec<u16> = KINDS.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons, expected);
    for &(reason, kind) in KINDS {
        assert_eq!(decoded(BasicExitReason::from_bits(reason), &[]), kind, "{reason}");
    }
}

/// The qualification and the instruction information.
const QUALIFICATION: u32 = 0x6400;
const INFORMATION: u32 = 0x440e;

#[test]
fn memory_operands_are_linear_addresses() {
    // LGDT FS:[RBX + RDI * 4 + 10H] in 64-bit mode.
    let information = 2 | 2 << 7 | 4 << 15 | 7 << 18 | 3 << 23 | 2 << 28;
    let mut vmcs = FakeVmcs::new();
    for (encoding, value) in [(QUALIFICATION, 0x10), (INFORMATION, information), (0x680e, 0x7000_0000)] {
        vmcs.set_raw(encoding, value);
    }
    let gprs = Gprs { rbx: 0x1_0000_0000, rdi: 2, ..Gprs::default() };
    let counted = CountingVmcs::new(vmcs);
    let kind = decode_exit(BasicExitReason::GDTR_OR_IDTR_ACCESS.into(), &counted, &gprs);
    let expected = DescriptorTableAccess {
        table: TableRegister::Gdtr,
        direction: TableAccess::Load,
        operand: Operand::Memory(Gva::new(0x1_7000_0018)),
        size: Some(OperandSize::Bits64),
    };
    assert_eq!((kind, counted.reads()), (ExitKind::DescriptorTable(expected), 3));

    // SIDT [ESP] in 32-bit mode: segment SS, base RSP, no index, 32-bit operand.
    let information = 1 << 7 | 1 << 11 | 2 << 15 | 1 << 22 | 4 << 23 | 1 << 28;
    let fields = [(INFORMATION, information), (0x681c, 0xffff_fff8), (0x680a, 0x1000)];
    let kind = decoded(BasicExitReason::GDTR_OR_IDTR_ACCESS, &fields);
    let operand = Operand::Memory(Gva::new(0xff8));
    assert_eq!(kind, ExitKind::DescriptorTable(store(TableRegister::Idtr, operand, Some(OperandSize::Bits32))));
}

#[test]
fn operands_in_registers_are_named() {
    // LTR R9W, with a register operand: bit 10, register in bits 6:3, instruction 3.
    let kind = decoded(BasicExitReason::LDTR_OR_TR_ACCESS, &[(INFORMATION, 1 << 10 | 9 << 3 | 3 << 28)]);
    let access = DescriptorTableAccess {
        table: TableRegister::Tr,
        direction: TableAccess::Load,
        operand: Operand::Register(Gpr::R9),
        size: None,
    };
    assert_eq!(kind, ExitKind::DescriptorTable(access));
    let kind = decoded(BasicExitReason::RDRAND, &[(INFORMATION, 7 << 3 | 2 << 11)]);
    assert_eq!(kind, ExitKind::Rdrand { destination: Gpr::Rdi, size: OperandSize::Bits64 });
    assert_eq!(decoded(BasicExitReason::RDSEED, &[(INFORMATION, 3 << 11)]), ExitKind::Vendor);
    // RDMSR RSP, 808H and WRMSRNS 808H, RSP.
    let fields = [(QUALIFICATION, 0x808), (INFORMATION, 4 << 3), (0x681c, 0x1234)];
    let read = ExitKind::ReadMsrTo { msr: 0x808, destination: Gpr::Rsp };
    assert_eq!(decoded(BasicExitReason::RDMSR_IMMEDIATE, &fields), read);
    let write = ExitKind::WriteMsr { msr: 0x808, value: 0x1234 };
    assert_eq!(decoded(BasicExitReason::WRMSRNS_IMMEDIATE, &fields), write);
    let list = ExitKind::WriteMsrList { msr: 0x808, value: 0x99 };
    assert_eq!(decoded(BasicExitReason::WRMSRLIST, &[(QUALIFICATION, 0x808), (0x2402, 0x99)]), list);
    // INVPCID RDX, [RSI], 64-bit: the type is in the upper half too.
    let information = 2 << 7 | 3 << 15 | 1 << 22 | 6 << 23 | 2 << 28;
    let kind = decoded(BasicExitReason::INVPCID, &[(QUALIFICATION, 0x1000), (INFORMATION, information)]);
    assert_eq!(kind, ExitKind::Invpcid(Invpcid { kind: 0x3333_4444, descriptor: Gva::new(0x1000) }));
}

#[test]
fn a_task_switch_through_a_gate_may_have_an_error_code() {
    let fields = [(QUALIFICATION, 0xc000_0028), (0x4408, 0x8000_0b0a), (0x440a, 0x18)];
    let expected = TaskSwitch { selector: 0x28, source: TaskSwitchSource::TaskGate, error_code: Some(0x18) };
    assert_eq!(decoded(BasicExitReason::TASK_SWITCH, &fields), ExitKind::TaskSwitch(expected));
    let fields = [(QUALIFICATION, 0x4000_0028), (0x4408, 0x8000_0b0a), (0x440a, 0x18)];
    let expected = TaskSwitch { selector: 0x28, source: TaskSwitchSource::Iret, error_code: None };
    assert_eq!(decoded(BasicExitReason::TASK_SWITCH, &fields), ExitKind::TaskSwitch(expected));
}

#[test]
fn accesses_to_the_apic_have_offset_and_kind() {
    for (number, kind) in [
        (0, ApicAccessKind::Read),
        (1, ApicAccessKind::Write),
        (2, ApicAccessKind::Fetch),
        (3, ApicAccessKind::EventDelivery),
        (4, ApicAccessKind::Other),
        (10, ApicAccessKind::EventDelivery),
        (15, ApicAccessKind::Other),
    ] {
        let access = decoded(BasicExitReason::APIC_ACCESS, &[(QUALIFICATION, number << 12 | 0x300)]);
        assert_eq!(access, ExitKind::ApicAccess(ApicAccess { offset: 0x300, kind }));
    }
    assert_eq!(decoded(BasicExitReason::VIRTUALIZED_EOI, &[(QUALIFICATION, 0x51)]), ExitKind::ApicEoi(0x51));
    assert_eq!(decoded(BasicExitReason::APIC_WRITE, &[(QUALIFICATION, 0xd0)]), ExitKind::ApicWrite(0xd0));
    let notify = decoded(BasicExitReason::INSTRUCTION_TIMEOUT, &[(QUALIFICATION, 1)]);
    assert_eq!(notify, ExitKind::Notify { context_invalid: true });
}
