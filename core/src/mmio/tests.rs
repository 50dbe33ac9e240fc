use core::cell::RefCell;
use std::vec::Vec;

use super::{
    Arithmetic, BitOperation, Extension, Mmio, MmioDevice, MmioError, MmioOperation, MmioRegister, MmioSource,
    MmioString, MmioStringKind,
};
use crate::GuestMemory;
use crate::access::Access;
use crate::addr::Gpa;
use crate::exit::{ApicAccess, ApicAccessKind, NestedFault, NestedFaultCause};
use crate::guest_memory::AccessError;
use crate::io::AddressSize;
use crate::mapping::Translation;
use crate::operand::OperandSize;
use crate::register::{Cr0, Gpr};
use crate::segment::{SegmentAccessRights, SegmentRegister};
use crate::state::CpuState;
use crate::testing::ScriptedVcpu;
use crate::vcpu::Vcpu as _;

extern crate std;

/// 64 KiB of memory, and nothing above.
struct Memory(RefCell<Vec<u8>>);

const CODE: u64 = 0x1000;
const DEVICE: u64 = 0x2_0000;

impl GuestMemory for Memory {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        let start = usize::try_from(gpa.get()).unwrap();
        let bytes = self.0.borrow();
        let source = bytes.get(start..start + buffer.len()).ok_or(AccessError::NotMapped { gpa })?;
        buffer.copy_from_slice(source);
        Ok(())
    }

    fn write(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError> {
        let start = usize::try_from(gpa.get()).unwrap();
        let mut bytes = self.0.borrow_mut();
        let target = bytes.get_mut(start..start + data.len()).ok_or(AccessError::NotMapped { gpa })?;
        target.copy_from_slice(data);
        Ok(())
    }

    fn compare_exchange_u32(&self, gpa: Gpa, _: u32, _: u32) -> Result<bool, AccessError> {
        Err(AccessError::NotMapped { gpa })
    }

    fn compare_exchange_u64(&self, gpa: Gpa, _: u64, _: u64) -> Result<bool, AccessError> {
        Err(AccessError::NotMapped { gpa })
    }

    fn translate(&self, _: Gpa) -> Option<Translation> {
        None
    }
}

/// Notes what is done, and gives one value.
struct Device {
    value: u64,
    log: Vec<(bool, u64, u8, u64)>,
}

impl MmioDevice for Device {
    fn read(&mut self, gpa: Gpa, size: OperandSize) -> u64 {
        self.log.push((false, gpa.get(), size.bytes(), 0));
        self.value
    }

    fn write(&mut self, gpa: Gpa, size: OperandSize, value: u64) {
        self.log.push((true, gpa.get(), size.bytes(), value));
    }
}

fn fault(gpa: u64) -> NestedFault {
    let cause = NestedFaultCause::NotMapped;
    NestedFault { gpa: Gpa::new(gpa), gva: None, access: Access::READ, cause, table_walk: false }
}

/// A guest in 64-bit mode without paging, for the test's convenience, before `code`.
fn guest(code: &[u8]) -> (ScriptedVcpu, Memory) {
    let mut bytes = std::vec![0x90; 0x1_0000];
    let start = usize::try_from(CODE).unwrap();
    bytes[start..start + code.len()].copy_from_slice(code);
    let mut state = CpuState::long_mode(CODE, 0x8000, 0);
    state.cr0 = Cr0::new().with_pe(true);
    state.gprs.rbx = DEVICE;
    state.gprs.rax = 0x1111_2222_3333_4444;
    state.gprs.rcx = 0x8877_6655_4433_2211;
    (ScriptedVcpu::vmx(state), Memory(RefCell::new(bytes)))
}

const fn low(gpr: Gpr, size: OperandSize) -> MmioRegister {
    MmioRegister { gpr, size, is_high_byte: false }
}

const fn load(destination: MmioRegister, extension: Extension) -> MmioOperation {
    MmioOperation::Load { destination, extension }
}

const fn modify(operation: Arithmetic, source: MmioSource) -> MmioOperation {
    MmioOperation::Modify { operation, source }
}

use OperandSize::{Bits8, Bits16, Bits32, Bits64};

#[test]
fn bytes_are_accesses() {
    let register = |gpr, size| MmioSource::Register(low(gpr, size));
    let high = MmioRegister { gpr: Gpr::Rcx, size: Bits8, is_high_byte: true };
    let sil = MmioRegister { gpr: Gpr::Rsi, size: Bits8, is_high_byte: false };
    let string =
        |kind, repeat, address_size, segment| MmioOperation::String(MmioString { kind, repeat, address_size, segment });
    let table: &[(&[u8], OperandSize, MmioOperation)] = &[
        (&[0x8a, 0x03], Bits8, load(low(Gpr::Rax, Bits8), Extension::Zero)),
        (&[0x8a, 0x2b], Bits8, load(high, Extension::Zero)),
        (&[0x40, 0x8a, 0x33], Bits8, load(sil, Extension::Zero)),
        (&[0x66, 0x8b, 0x03], Bits16, load(low(Gpr::Rax, Bits16), Extension::Zero)),
        (&[0x8b, 0x43, 0x10], Bits32, load(low(Gpr::Rax, Bits32), Extension::Zero)),
        (&[0x4c, 0x8b, 0x0b], Bits64, load(low(Gpr::R9, Bits64), Extension::Zero)),
        (&[0xa1, 0, 0, 2, 0, 0, 0, 0, 0], Bits32, load(low(Gpr::Rax, Bits32), Extension::Zero)),
        (&[0x0f, 0xb6, 0x03], Bits8, load(low(Gpr::Rax, Bits32), Extension::Zero)),
        (&[0x48, 0x0f, 0xb7, 0x03], Bits16, load(low(Gpr::Rax, Bits64), Extension::Zero)),
        (&[0x0f, 0xbe, 0x03], Bits8, load(low(Gpr::Rax, Bits32), Extension::Sign)),
        (&[0x48, 0x63, 0x03], Bits32, load(low(Gpr::Rax, Bits64), Extension::Sign)),
        (&[0x88, 0x2b], Bits8, MmioOperation::Store(MmioSource::Register(high))),
        (&[0x89, 0x0b], Bits32, MmioOperation::Store(register(Gpr::Rcx, Bits32))),
        (&[0x48, 0xc7, 0x03, 0xff, 0xff, 0xff, 0xff], Bits64, MmioOperation::Store(MmioSource::Immediate(u64::MAX))),
        (&[0x66, 0xc7, 0x03, 0x34, 0x12], Bits16, MmioOperation::Store(MmioSource::Immediate(0x1234))),
        (&[0x0f, 0xc3, 0x0b], Bits32, MmioOperation::Store(register(Gpr::Rcx, Bits32))),
        (&[0x83, 0x0b, 0x80], Bits32, modify(Arithmetic::Or, MmioSource::Immediate(0xffff_ffff_ffff_ff80))),
        (&[0x21, 0x0b], Bits32, modify(Arithmetic::And, register(Gpr::Rcx, Bits32))),
        (&[0xf6, 0x03, 0x80], Bits8, modify(Arithmetic::Test, MmioSource::Immediate(0x80))),
        (&[0x85, 0x0b], Bits32, modify(Arithmetic::Test, register(Gpr::Rcx, Bits32))),
        (&[0x39, 0x0b], Bits32, modify(Arithmetic::Compare, register(Gpr::Rcx, Bits32))),
        (&[0xff, 0x03], Bits32, modify(Arithmetic::Increment, MmioSource::Immediate(0))),
        (&[0xf7, 0x1b], Bits32, modify(Arithmetic::Negate, MmioSource::Immediate(0))),
        (
            &[0x33, 0x0b],
            Bits32,
            MmioOperation::Combine { operation: Arithmetic::Xor, destination: low(Gpr::Rcx, Bits32) },
        ),
        (&[0x0f, 0xba, 0x2b, 0x25], Bits32, MmioOperation::Bit { operation: BitOperation::Set, index: 5 }),
        (&[0xf0, 0x0f, 0xb3, 0x0b], Bits32, MmioOperation::Bit { operation: BitOperation::Reset, index: 0x11 }),
        (&[0x87, 0x0b], Bits32, MmioOperation::Exchange(low(Gpr::Rcx, Bits32))),
        (&[0xf0, 0x0f, 0xc1, 0x0b], Bits32, MmioOperation::ExchangeAdd(low(Gpr::Rcx, Bits32))),
        (&[0xf0, 0x0f, 0xb1, 0x0b], Bits32, MmioOperation::CompareExchange(low(Gpr::Rcx, Bits32))),
        (&[0xa4], Bits8, string(MmioStringKind::Move, false, AddressSize::Bits64, SegmentRegister::Ds)),
        (&[0xf3, 0xab], Bits32, string(MmioStringKind::Store, true, AddressSize::Bits64, SegmentRegister::Ds)),
        (&[0x64, 0x67, 0xad], Bits32, string(MmioStringKind::Load, false, AddressSize::Bits32, SegmentRegister::Fs)),
    ];
    for (code, size, operation) in table {
        let (vcpu, memory) = guest(code);
        let expected = Mmio {
            gpa: Gpa::new(DEVICE),
            second: None,
            size: *size,
            operation: *operation,
            length: u8::try_from(code.len()).unwrap(),
        };
        assert_eq!(Mmio::of(&vcpu, &memory, &fault(DEVICE)), Ok(expected), "{code:02x?}");
    }
}

#[test]
fn what_is_not_known_is_an_error() {
    // MOVUPS, PUSH, CMPSB, MOV DS, SHL, CPUID.
    for code in [
        &[0x0f, 0x10, 0x03][..],
        &[0xff, 0x33],
        &[0xa6],
        &[0x8e, 0x1b],
        &[0xd1, 0x23],
        &[0x0f, 0xa2],
        &[0x8b, 0xc3],
        &[0x83, 0xc8, 0x01],
    ] {
        let (vcpu, memory) = guest(code);
        let error = Mmio::of(&vcpu, &memory, &fault(DEVICE));
        assert_eq!(error, Err(MmioError::Unknown { rip: CODE, gpa: Gpa::new(DEVICE) }), "{code:02x?}");
    }
    let (vcpu, memory) = guest(&[0x8b, 0x03]);
    let walk = NestedFault { table_walk: true, ..fault(DEVICE) };
    assert_eq!(Mmio::of(&vcpu, &memory, &walk), Err(MmioError::TableWalk { gpa: Gpa::new(DEVICE) }));
    let (vcpu, memory) = guest(&[0x06]);
    assert!(matches!(Mmio::of(&vcpu, &memory, &fault(DEVICE)), Err(MmioError::Decode(_))));
}

/// Does `code` with a device that gives `value`, and returns the guest and what the device saw.
fn done(code: &[u8], value: u64) -> (ScriptedVcpu, Vec<(bool, u64, u8, u64)>) {
    let (mut vcpu, memory) = guest(code);
    let mut device = Device { value, log: Vec::new() };
    let mmio = Mmio::of(&vcpu, &memory, &fault(DEVICE)).unwrap();
    mmio.complete(&mut vcpu, &memory, &mut device).unwrap();
    assert_eq!(vcpu.state.cpu.rip, CODE + u64::try_from(code.len()).unwrap());
    assert_eq!(mmio.operation.reads(), device.log.iter().any(|(is_write, ..)| !is_write));
    assert!(mmio.operation.writes() || device.log.iter().all(|(is_write, ..)| !is_write));
    (vcpu, device.log)
}

#[test]
fn registers_are_as_on_a_processor() {
    let read = |size| (false, DEVICE, size, 0);
    let write = |size, value| (true, DEVICE, size, value);
    let (vcpu, log) = done(&[0x8a, 0x2b], 0x1ff);
    assert_eq!((vcpu.state.cpu.gprs.rcx, log), (0x8877_6655_4433_ff11, [read(1)].to_vec()));
    assert_eq!(done(&[0x8b, 0x0b], u64::MAX).0.state.cpu.gprs.rcx, 0xffff_ffff);
    assert_eq!(done(&[0x0f, 0xbe, 0x0b], 0x80).0.state.cpu.gprs.rcx, 0xffff_ff80);
    assert_eq!(done(&[0x48, 0x0f, 0xbf, 0x0b], 0x8000).0.state.cpu.gprs.rcx, 0xffff_ffff_ffff_8000);
    assert_eq!(done(&[0x66, 0x0f, 0xb6, 0x0b], 0x80).0.state.cpu.gprs.rcx, 0x8877_6655_4433_0080);
    assert_eq!(done(&[0x88, 0x2b], 0).1, [write(1, 0x22)]);
    assert_eq!(done(&[0x83, 0x0b, 0x80], 1).1, [read(4), write(4, 0xffff_ff81)]);
    let (vcpu, log) = done(&[0xf6, 0x03, 0x80], 0x7f);
    assert!(vcpu.state.cpu.rflags.zf() && log == [read(1)]);
    let (vcpu, log) = done(&[0x2b, 0x0b], 0x4433_2212);
    assert!(vcpu.state.cpu.rflags.cf() && vcpu.state.cpu.gprs.rcx == 0xffff_ffff && log == [read(4)]);
    let (vcpu, log) = done(&[0x87, 0x0b], 7);
    assert_eq!((vcpu.state.cpu.gprs.rcx, log), (7, [read(4), write(4, 0x4433_2211)].to_vec()));
    let (vcpu, log) = done(&[0xf0, 0x0f, 0xc1, 0x0b], 7);
    assert_eq!((vcpu.state.cpu.gprs.rcx, log), (7, [read(4), write(4, 0x4433_2218)].to_vec()));
    let (vcpu, log) = done(&[0xf0, 0x0f, 0xb1, 0x0b], 7);
    assert_eq!((vcpu.state.cpu.gprs.rax, vcpu.state.cpu.rflags.zf(), log), (7, false, [read(4)].to_vec()));
    let (vcpu, log) = done(&[0xf0, 0x0f, 0xb1, 0x0b], 0x3333_4444);
    assert!(vcpu.state.cpu.rflags.zf() && vcpu.state.cpu.gprs.rax == 0x1111_2222_3333_4444);
    assert_eq!(log, [read(4), write(4, 0x4433_2211)]);
    let (vcpu, log) = done(&[0x0f, 0xba, 0x33, 0x04], 0x12);
    assert!(vcpu.state.cpu.rflags.cf() && log == [read(4), write(4, 2)]);
}

#[test]
fn an_operand_in_two_pages_is_in_both() {
    /// The last two bytes of memory; the device is behind them.
    const BORDER: u64 = 0xfffe;
    let do_at = |code: &[u8], rbx: u64, faulting: u64| {
        let (mut vcpu, memory) = guest(code);
        vcpu.state.cpu.gprs.rbx = rbx;
        let mut device = Device { value: 0x1234_5678, log: Vec::new() };
        let mmio = Mmio::of(&vcpu, &memory, &fault(faulting)).unwrap();
        mmio.complete(&mut vcpu, &memory, &mut device).unwrap();
        let mut bytes = [0; 2];
        memory.read(Gpa::new(BORDER), &mut bytes).unwrap();
        (mmio, vcpu.state.cpu.gprs, device.log, bytes)
    };
    // MOV ECX, [RBX]: the processor may report the second page, where it found nothing.
    let (mmio, gprs, log, _) = do_at(&[0x8b, 0x0b], BORDER, 0x1_0000);
    assert_eq!((mmio.gpa.get(), mmio.second.map(Gpa::get)), (BORDER, Some(0x1_0000)));
    assert_eq!((gprs.rcx, log), (0x5678_9090, [(false, 0x1_0000, 2, 0)].to_vec()));
    // MOV [RBX], ECX.
    let (_, _, log, bytes) = do_at(&[0x89, 0x0b], BORDER, 0x1_0000);
    assert_eq!((bytes, log), ([0x11, 0x22], [(true, 0x1_0000, 2, 0x4433)].to_vec()));
    // XCHG [RBX], RCX with three bytes in one page of a device and five in the next: aligned pieces.
    let start = DEVICE + 0xffd;
    let (_, gprs, log, _) = do_at(&[0x48, 0x87, 0x0b], start, start);
    let pieces = [(start, 1), (start + 1, 2), (start + 3, 4), (start + 7, 1)];
    let reads = pieces.map(|(gpa, size)| (false, gpa, size, 0));
    let values = [0x11, 0x3322, 0x7766_5544, 0x88];
    let writes = [0, 1, 2, 3].map(|index| (true, pieces[index].0, pieces[index].1, values[index]));
    assert_eq!(log, [reads, writes].concat());
    assert_eq!(gprs.rcx, 0x7812_3456_7856_7878);
    // BT [RBX], ECX: bit 0x44332211 is 0x8866442 bytes further, so that the operand is there.
    let (vcpu, memory) = guest(&[0x0f, 0xa3, 0x0b]);
    let mmio = Mmio::of(&vcpu, &memory, &fault(DEVICE)).unwrap();
    assert_eq!(mmio.second, None, "aligned to its size");
}

#[test]
fn strings_move_between_memory_and_device() {
    // REP MOVSD from memory to the device, backwards.
    let (mut vcpu, memory) = guest(&[0xf3, 0xa5]);
    vcpu.state.cpu.gprs.rcx = 2;
    vcpu.state.cpu.gprs.rsi = 0x3004;
    vcpu.state.cpu.gprs.rdi = DEVICE + 4;
    vcpu.state.cpu.rflags.set_df(true);
    memory.write(Gpa::new(0x3000), &[1, 0, 0, 0, 2, 0, 0, 0]).unwrap();
    let mut device = Device { value: 0x99, log: Vec::new() };
    let mmio = Mmio::of(&vcpu, &memory, &fault(DEVICE + 4)).unwrap();
    mmio.complete(&mut vcpu, &memory, &mut device).unwrap();
    assert_eq!(device.log, [(true, DEVICE + 4, 4, 2), (true, DEVICE, 4, 1)]);
    let gprs = vcpu.state.cpu.gprs;
    assert_eq!((gprs.rcx, gprs.rsi, gprs.rdi, vcpu.state.cpu.rip), (0, 0x2ffc, DEVICE - 4, CODE + 2));

    // LODSW, and STOSB with 32-bit addresses.
    let (mut vcpu, memory) = guest(&[0x66, 0xad]);
    vcpu.state.cpu.gprs.rsi = DEVICE;
    Mmio::of(&vcpu, &memory, &fault(DEVICE)).unwrap().complete(&mut vcpu, &memory, &mut device).unwrap();
    assert_eq!((vcpu.state.cpu.gprs.rax, vcpu.state.cpu.gprs.rsi), (0x1111_2222_3333_0099, DEVICE + 2));
    let (mut vcpu, memory) = guest(&[0x67, 0xaa]);
    vcpu.state.cpu.gprs.rdi = 0xffff_0000_0000_0000 | DEVICE;
    Mmio::of(&vcpu, &memory, &fault(DEVICE)).unwrap().complete(&mut vcpu, &memory, &mut device).unwrap();
    assert_eq!((device.log.last(), vcpu.state.cpu.gprs.rdi), (Some(&(true, DEVICE, 1, 0x44)), DEVICE + 1));
}

#[test]
fn fetched_bytes_come_first() {
    let (mut vcpu, memory) = guest(&[0xf4]);
    let bytes = [0x89, 0x0b, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90];
    vcpu.fetched = crate::FetchedInstruction { bytes, length: 15 };
    let mmio = Mmio::of(&vcpu, &memory, &fault(DEVICE)).unwrap();
    assert!(matches!(mmio.operation, MmioOperation::Store(_)) && mmio.length == 2);
    // If they are too few, memory has the rest.
    let (mut vcpu, memory) = guest(&[0x8b, 0x03]);
    vcpu.fetched = crate::FetchedInstruction { bytes, length: 1 };
    let mmio = Mmio::of(&vcpu, &memory, &fault(DEVICE)).unwrap();
    assert!(matches!(mmio.operation, MmioOperation::Load { .. }));
}

#[test]
fn a_32_bit_guest_has_segments() {
    let (mut vcpu, memory) = guest(&[0xa1, 0, 0, 1, 0]);
    vcpu.state.cpu.cs.rights = SegmentAccessRights::CODE32;
    let mmio = Mmio::of(&vcpu, &memory, &fault(DEVICE)).unwrap();
    assert_eq!((mmio.size, mmio.length), (Bits32, 5));
}

#[test]
fn an_access_to_the_apic_is_an_access() {
    let base = Gpa::new(DEVICE);
    let access = |kind| ApicAccess { offset: 0x300, kind };
    // MOV [RBX + 300H], ECX.
    let (mut vcpu, memory) = guest(&[0x89, 0x8b, 0, 3, 0, 0]);
    let mmio = Mmio::of_apic_access(&vcpu, &memory, access(ApicAccessKind::Write), base).unwrap();
    let source = MmioSource::Register(low(Gpr::Rcx, Bits32));
    assert_eq!((mmio.gpa, mmio.operation), (Gpa::new(DEVICE + 0x300), MmioOperation::Store(source)));
    let mut device = Device { value: 0, log: Vec::new() };
    mmio.complete(&mut vcpu, &memory, &mut device).unwrap();
    assert_eq!(device.log, [(true, DEVICE + 0x300, 4, 0x4433_2211)]);
    for kind in [ApicAccessKind::Fetch, ApicAccessKind::EventDelivery, ApicAccessKind::Other] {
        let error = Mmio::of_apic_access(&vcpu, &memory, access(kind), base).unwrap_err();
        assert_eq!(error, MmioError::NoOperand { base });
    }
    // STOSD.
    let (vcpu, memory) = guest(&[0xab]);
    let error = Mmio::of_apic_access(&vcpu, &memory, access(ApicAccessKind::Write), base).unwrap_err();
    assert_eq!(error, MmioError::Unknown { rip: CODE, gpa: Gpa::new(DEVICE + 0x300) });
}

/// REP STOSB to the device, more often than a host has time for.
#[test]
fn a_guest_cannot_keep_the_host_with_a_repetition() {
    let (mut vcpu, memory) = guest(&[0xf3, 0xaa]);
    vcpu.gprs_mut().rdi = DEVICE;
    vcpu.gprs_mut().rcx = u64::MAX;
    let mut device = Device { value: 0, log: Vec::new() };
    for calls in 1..=3_u64 {
        let mmio = Mmio::of(&vcpu, &memory, &fault(DEVICE)).unwrap();
        mmio.complete(&mut vcpu, &memory, &mut device).unwrap();
        let done = calls * u64::from(crate::io::MAX_ELEMENTS);
        assert_eq!(u64::try_from(device.log.len()).unwrap(), done);
        assert_eq!((vcpu.rip(), vcpu.gprs().rcx, vcpu.gprs().rdi), (CODE, u64::MAX - done, DEVICE + done));
    }
    vcpu.gprs_mut().rcx = 5;
    let mmio = Mmio::of(&vcpu, &memory, &fault(DEVICE)).unwrap();
    mmio.complete(&mut vcpu, &memory, &mut device).unwrap();
    assert_eq!((vcpu.rip(), vcpu.gprs().rcx), (CODE + 2, 0));
}
