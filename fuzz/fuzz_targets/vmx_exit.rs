//! Any exit with any fields: few are read, the others do not matter, and the kind is what the bits of the manual say.
#![no_main]

use core::cell::RefCell;

use fuzz::register::bits;
use libfuzzer_sys::fuzz_target;
use x86_virt::vmx::field::{self, Encoding};
use x86_virt::vmx::{ExitReason, FakeVmcs, VmFail, VmcsRead, decode_exit};
use x86_virt::{
    ControlRegisterAccess, ExitKind, Gpr, Gprs, IoDirection, NestedFaultCause, Operand, RegisterAccess,
    SegmentRegister, TableAccess, TableRegister, TaskSwitchSource,
};

/// The most fields that decoding an exit may read: the qualification, the information, RSP twice, the mode twice in two fields each, and
/// the base of a segment.
const MOST_READS: usize = 9;
/// The same for all but INVPCID and accesses to descriptor tables: the qualification, and two or three that go with it.
const MOST_READS_OF_OTHERS: usize = 4;

/// Notes which fields are read.
struct Recorded(FakeVmcs, RefCell<Vec<Encoding>>);

impl VmcsRead for Recorded {
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        self.1.borrow_mut().push(field);
        self.0.read_raw(field)
    }
}

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    reason: u32,
    qualification: u64,
    information: u32,
    interruption: u32,
    error_code: u32,
    gpa: u64,
    gva: u64,
    gprs: Gprs,
    /// In all other fields.
    other: u64,
}

impl Input {
    fn vmcs(&self, other: u64) -> FakeVmcs {
        let mut vmcs = FakeVmcs::new();
        for info in field::ALL {
            vmcs.set_raw(info.encoding.get(), other);
        }
        for (encoding, value) in [
            (field::EXIT_QUALIFICATION.encoding(), self.qualification),
            (field::EXIT_INSTRUCTION_INFORMATION.encoding(), u64::from(self.information)),
            (field::EXIT_INTERRUPTION_INFORMATION.encoding(), u64::from(self.interruption)),
            (field::EXIT_INTERRUPTION_ERROR_CODE.encoding(), u64::from(self.error_code)),
            (field::GUEST_PHYSICAL_ADDRESS.encoding(), self.gpa),
            (field::GUEST_LINEAR_ADDRESS.encoding(), self.gva),
        ] {
            vmcs.set_raw(encoding.get(), value);
        }
        vmcs
    }
}

fuzz_target!(|input: Input| {
    let reason = ExitReason::from_bits(input.reason);
    let recorded = Recorded(input.vmcs(input.other), RefCell::default());
    let kind = decode_exit(reason, &recorded, &input.gprs);
    let read = recorded.1.into_inner();
    let has_memory_operand = matches!(input.reason & 0xffff, 46 | 47 | 58);
    let most = if has_memory_operand { MOST_READS } else { MOST_READS_OF_OTHERS };
    assert!(read.len() <= most, "{reason} reads {read:?} for {kind:?}");

    // The flags in the upper half, and the fields that are not read, change nothing.
    let basic = ExitReason::from_bits(input.reason & 0xffff);
    let mut other = input.vmcs(input.other);
    for info in field::ALL.iter().filter(|info| !read.contains(&info.encoding)) {
        other.set_raw(info.encoding.get(), !input.qualification);
    }
    assert_eq!(decode_exit(basic, &other, &input.gprs), kind);

    expect(&input, kind);
});

/// The kinds whose content is in bits of fields, by the tables of SDM section 30.2.1, "Basic VM-Exit Information".
fn expect(input: &Input, kind: ExitKind) {
    let qualification = input.qualification;
    let gpr = Gpr::from_number(bits(qualification, 8, 4));
    match (input.reason & 0xffff, kind) {
        (0, kind) => exception(input, kind),
        (4, ExitKind::Sipi(vector)) => assert_eq!(u64::from(vector), bits(qualification, 0, 8)),
        (28, ExitKind::ControlRegister(access)) => match access {
            ControlRegisterAccess::Move { access, .. } => {
                assert!(matches!(bits(qualification, 0, 4), 0 | 2 | 3 | 4 | 8));
                let expected = [RegisterAccess::Write(gpr), RegisterAccess::Read(gpr)];
                assert_eq!(expected.get(usize::try_from(bits(qualification, 4, 2)).unwrap_or(9)), Some(&access));
            }
            ControlRegisterAccess::Clts => assert_eq!(bits(qualification, 4, 2), 2),
            ControlRegisterAccess::Lmsw { source } => {
                assert_eq!((bits(qualification, 4, 2), bits(qualification, 16, 16)), (3, u64::from(source)));
            }
            _ => {}
        },
        (28, kind) => assert!(kind == ExitKind::Vendor && !matches!(bits(qualification, 0, 4), 0 | 2 | 3 | 4 | 8)),
        (29, ExitKind::DebugRegister { number, access }) => {
            assert_eq!(u64::from(number), bits(qualification, 0, 3));
            let is_read = bits(qualification, 4, 1) == 1;
            assert_eq!(access, if is_read { RegisterAccess::Read(gpr) } else { RegisterAccess::Write(gpr) });
        }
        (30, kind) => port_io(input, kind),
        (31, kind) => assert_eq!(kind, ExitKind::ReadMsr(low(input.gprs.rcx))),
        (32, kind) => {
            let value = u64::from(low(input.gprs.rdx)) << 32 | u64::from(low(input.gprs.rax));
            assert_eq!(kind, ExitKind::WriteMsr { msr: low(input.gprs.rcx), value });
        }
        (48, ExitKind::NestedFault(fault)) => {
            // A fetch is one in either mode.
            let access = bits(qualification, 0, 3) | bits(qualification, 2, 1) << 3;
            assert_eq!((fault.gpa.get(), u64::from(fault.access.bits())), (input.gpa, access));
            assert_eq!(fault.cause == NestedFaultCause::NotMapped, bits(qualification, 3, 3) == 0);
            let has_linear_address = bits(qualification, 7, 1) == 1;
            assert_eq!(fault.gva.map(|gva| gva.get()), has_linear_address.then_some(input.gva));
            assert_eq!(fault.table_walk, has_linear_address && bits(qualification, 8, 1) == 0);
        }
        (49, ExitKind::NestedFault(fault)) => {
            assert_eq!((fault.gpa.get(), fault.cause), (input.gpa, NestedFaultCause::Misconfiguration));
        }
        (66, ExitKind::NestedFault(fault)) => {
            assert_eq!((fault.gpa.get(), fault.access), (input.gpa, x86_virt::Access::WRITE));
            assert_eq!(fault.cause == NestedFaultCause::SubPageMiss, bits(qualification, 11, 1) == 1);
        }
        (9, ExitKind::TaskSwitch(switch)) => {
            assert_eq!(u64::from(switch.selector), bits(qualification, 0, 16));
            let sources =
                [TaskSwitchSource::Call, TaskSwitchSource::Iret, TaskSwitchSource::Jmp, TaskSwitchSource::TaskGate];
            assert_eq!(sources.get(usize::try_from(bits(qualification, 30, 2)).unwrap_or(9)), Some(&switch.source));
        }
        (14, ExitKind::Invlpg(address)) => assert_eq!(address.get(), qualification),
        (44, ExitKind::ApicAccess(access)) => assert_eq!(u64::from(access.offset), bits(qualification, 0, 12)),
        (45, ExitKind::ApicEoi(vector)) => assert_eq!(u64::from(vector), bits(qualification, 0, 8)),
        (46, ExitKind::DescriptorTable(access)) => {
            let number = u8::from(access.direction == TableAccess::Load) << 1;
            let number = number | u8::from(access.table == TableRegister::Idtr);
            assert_eq!(u64::from(number), bits(u64::from(input.information), 28, 2));
            assert!(matches!(access.operand, Operand::Memory(_)));
        }
        (47, ExitKind::DescriptorTable(access)) => {
            let number = u8::from(access.direction == TableAccess::Load) << 1;
            let number = number | u8::from(access.table == TableRegister::Tr);
            assert_eq!(u64::from(number), bits(u64::from(input.information), 28, 2));
            let register = Gpr::from_number(bits(u64::from(input.information), 3, 4));
            let is_register = bits(u64::from(input.information), 10, 1) == 1;
            assert_eq!(access.operand == Operand::Register(register), is_register);
        }
        // There are three address sizes, and three operand sizes.
        (46 | 47 | 58, kind) => {
            let is_known = bits(u64::from(input.information), 7, 3) < 3;
            assert_eq!(kind == ExitKind::Vendor, !is_known, "{kind:?}");
        }
        (57, ExitKind::Rdrand { destination, size }) | (61, ExitKind::Rdseed { destination, size }) => {
            assert_eq!(destination, Gpr::from_number(bits(u64::from(input.information), 3, 4)));
            assert_eq!(u64::from(size.bytes()), 2 << bits(u64::from(input.information), 11, 2));
        }
        (57 | 61, kind) => {
            assert!(kind == ExitKind::Vendor && bits(u64::from(input.information), 11, 2) == 3, "{kind:?}");
        }
        (4 | 9 | 14 | 29 | 44 | 45 | 48 | 49 | 66, kind) => panic!("{kind:?} has lost what the processor reports"),
        (reason, kind) => {
            // No other kind carries anything that comes from a field.
            let carries = matches!(
                kind,
                ExitKind::Io(_)
                    | ExitKind::ReadMsr(_)
                    | ExitKind::WriteMsr { .. }
                    | ExitKind::NestedFault(_)
                    | ExitKind::ControlRegister(_)
                    | ExitKind::DebugRegister { .. }
                    | ExitKind::Exception { .. }
                    | ExitKind::Sipi(_)
            );
            let may_carry = matches!(reason, 80 | 81 | 84 | 85);
            assert!(reason > 85 || may_carry || !carries, "{kind:?}");
            assert!(reason <= 85 || kind == ExitKind::Vendor, "{kind:?} for a reason that no manual has");
        }
    }
}

fn exception(input: &Input, kind: ExitKind) {
    let information = u64::from(input.interruption);
    let (vector, event_type) = (bits(information, 0, 8), bits(information, 8, 3));
    match kind {
        ExitKind::HostNmi => assert_eq!(event_type, 2),
        ExitKind::HostMachineCheck => assert_eq!(vector, 18),
        ExitKind::Exception { exception, address } => {
            assert!(u64::from(exception.vector) == vector && event_type != 2 && vector != 18);
            assert_eq!(exception.error_code, (bits(information, 11, 1) == 1).then_some(input.error_code));
            assert_eq!(address.map(|gva| gva.get()), (vector == 14).then_some(input.qualification));
        }
        kind => panic!("{kind:?}"),
    }
}

fn port_io(input: &Input, kind: ExitKind) {
    let (qualification, information) = (input.qualification, u64::from(input.information));
    let bytes = bits(qualification, 0, 3) + 1;
    let ExitKind::Io(io) = kind else {
        assert!(kind == ExitKind::Vendor && !matches!(bytes, 1 | 2 | 4), "{kind:?}");
        return;
    };
    let is_input = bits(qualification, 3, 1) == 1;
    assert_eq!((u64::from(io.port), u64::from(io.size.bytes())), (bits(qualification, 16, 16), bytes));
    assert_eq!(io.direction == IoDirection::In, is_input);
    assert_eq!(io.string.is_some(), bits(qualification, 4, 1) == 1);
    let Some(string) = io.string else { return };
    assert_eq!(string.repeat, bits(qualification, 5, 1) == 1);
    let width = [0xffff, 0xffff_ffff].get(usize::try_from(bits(information, 7, 3)).unwrap_or(9)).copied();
    assert_eq!(string.address_size.mask(), width.unwrap_or(u64::MAX));
    let segment = if is_input { SegmentRegister::Es } else { SegmentRegister::from_number(bits(information, 15, 3)) };
    assert_eq!(string.segment, segment);
}

fn low(value: u64) -> u32 {
    u32::try_from(bits(value, 0, 32)).unwrap_or_default()
}
