//! Any instruction at a device: it never panics, and what is done agrees with a plain reading of the operation.
#![no_main]

use libfuzzer_sys::fuzz_target;
use x86_virt::testing::ScriptedVcpu;
use x86_virt::{
    Access, AccessError, Arithmetic, BitOperation, CpuState, Cr0, Efer, Extension, Gpa, Gpr, Gprs, GuestMemory, Mmio,
    MmioDevice, MmioOperation, MmioRegister, MmioSource, MmioStringKind, NestedFault, NestedFaultCause, OperandSize,
    Rflags, SegmentAccessRights, Translation, Vcpu as _, decode,
};

const CODE: u64 = 0x1000;
/// Where memory ends and the device begins.
const END: u64 = 0x2000;
const MOST: usize = 15;
/// The most elements of a string: more take long.
const ELEMENTS: u64 = 64;

/// One page with the code in it, the rest of which is zero and keeps nothing.
struct Memory([u8; MOST]);

impl GuestMemory for Memory {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        for (at, slot) in (gpa.get()..).zip(buffer) {
            if at >= END {
                return Err(AccessError::NotMapped { gpa });
            }
            let offset = usize::try_from(at.wrapping_sub(CODE)).unwrap_or(usize::MAX);
            *slot = self.0.get(offset).copied().unwrap_or(0);
        }
        Ok(())
    }

    fn write(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError> {
        let end = gpa.get().saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if end > END { Err(AccessError::NotMapped { gpa }) } else { Ok(()) }
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

/// Gives one value, and notes what is written.
#[derive(Default)]
struct Device {
    value: u64,
    reads: usize,
    written: Option<u64>,
    writes: usize,
}

impl MmioDevice for Device {
    fn read(&mut self, _: Gpa, _: OperandSize) -> u64 {
        self.reads += 1;
        self.value
    }

    fn write(&mut self, _: Gpa, size: OperandSize, value: u64) {
        assert_eq!(value & !size.mask(), 0, "more is written than the operand has");
        self.writes += 1;
        self.written = Some(value);
    }
}

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Mode {
    Bits16,
    Bits32,
    Bits64,
}

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    mode: Mode,
    bytes: [u8; MOST],
    gprs: Gprs,
    rflags: u64,
    value: u64,
    gpa: u64,
}

fuzz_target!(|input: Input| {
    let mut state = CpuState::real_mode(0, 0);
    state.gprs = input.gprs;
    state.gprs.rcx %= ELEMENTS;
    state.rip = CODE;
    state.rsp = input.gprs.rbp;
    state.rflags = Rflags::from(input.rflags & 0x003f_7fd5 | 2).with_tf(false).with_vm(false);
    state.cr0 = Cr0::new().with_pe(true);
    state.efer = Efer::new().with_lma(matches!(input.mode, Mode::Bits64));
    state.cs.rights = match input.mode {
        Mode::Bits16 => SegmentAccessRights::CODE16,
        Mode::Bits32 => SegmentAccessRights::CODE32,
        Mode::Bits64 => SegmentAccessRights::CODE64,
    };
    let memory = Memory(input.bytes);
    let mut vcpu = ScriptedVcpu::vmx(state);
    let fault = NestedFault {
        gpa: Gpa::new(END + input.gpa % 0x1_0000),
        gva: None,
        access: Access::READ,
        cause: NestedFaultCause::NotMapped,
        table_walk: false,
    };
    let length = decode::at_rip(&vcpu, &memory).ok().map(|instruction| instruction.length);
    let Ok(mmio) = Mmio::of(&vcpu, &memory, &fault) else { return };
    assert_eq!(Some(mmio.length), length);
    if let Some(second) = mmio.second {
        // Without paging, the pages are where the addresses are, which have 32 bits.
        let end = mmio.gpa.get() % 0x1000 + u64::from(mmio.size.bytes());
        let next = (mmio.gpa.get() | 0xfff).wrapping_add(1) & 0xffff_ffff;
        assert!(end > 0x1000 && second.get() == next);
    } else {
        assert_eq!(mmio.gpa, fault.gpa);
    }
    let mut device = Device { value: input.value, ..Device::default() };
    let before = vcpu.state();
    if mmio.complete(&mut vcpu, &memory, &mut device).is_err() {
        assert!(matches!(mmio.operation, MmioOperation::String(_)) && vcpu.rip() == CODE);
        return;
    }
    assert_eq!(vcpu.rip(), CODE + u64::from(mmio.length));
    if let MmioOperation::String(string) = mmio.operation {
        let is_done = !string.repeat || vcpu.gprs().rcx & string.address_size.mask() == 0;
        assert!(is_done, "{string:?} is not done");
        let moves = matches!(string.kind, MmioStringKind::Move);
        assert!(moves || device.reads == 0 || device.writes == 0);
        return;
    }
    if mmio.second.is_some() {
        // Each byte is in one piece, or in memory.
        let bytes = usize::from(mmio.size.bytes());
        assert!(device.reads <= bytes && device.writes <= bytes);
        return;
    }
    assert!(device.reads <= 1 && device.writes <= 1);
    assert_eq!(device.reads == 1, mmio.operation.reads());
    assert!(device.writes == 0 || mmio.operation.writes());
    model(&before, &vcpu.state(), mmio, &device);
});

fn part(state: &CpuState, register: MmioRegister) -> u64 {
    let value = state.gprs.get(register.gpr).unwrap_or(state.rsp);
    if register.is_high_byte { value >> 8 & 0xff } else { value & register.size.mask() }
}

fn other(state: &CpuState, source: MmioSource) -> u64 {
    match source {
        MmioSource::Register(register) => part(state, register),
        MmioSource::Immediate(value) => value,
    }
}

/// The result in wide numbers, without flags.
fn result(operation: Arithmetic, size: OperandSize, value: u64, other: u64, carry: bool) -> Option<u64> {
    let (value, other, carry) = (u128::from(value), u128::from(other), u128::from(carry));
    let wide = 1_u128 << 100;
    let result = match operation {
        Arithmetic::Add => value + other,
        Arithmetic::AddWithCarry => value + other + carry,
        Arithmetic::Subtract => wide + value - other,
        Arithmetic::SubtractWithBorrow => wide + value - other - carry,
        Arithmetic::Or => value | other,
        Arithmetic::And => value & other,
        Arithmetic::Xor => value ^ other,
        Arithmetic::Increment => value + 1,
        Arithmetic::Decrement => wide + value - 1,
        Arithmetic::Not => !value,
        Arithmetic::Negate => wide - value,
        Arithmetic::Compare | Arithmetic::Test => return None,
    };
    u64::try_from(result & u128::from(size.mask())).ok()
}

fn model(before: &CpuState, after: &CpuState, mmio: Mmio, device: &Device) {
    let mask = mmio.size.mask();
    let value = device.value & mask;
    let carry = before.rflags.cf();
    match mmio.operation {
        MmioOperation::Load { destination, extension } => {
            let sign = mmio.size.sign();
            let extended = if extension == Extension::Sign && value & sign != 0 { value | !mask } else { value };
            assert_eq!(part(after, destination), extended & destination.size.mask());
            assert_eq!(after.rflags, before.rflags);
        }
        MmioOperation::Store(source) => assert_eq!(device.written, Some(other(before, source) & mask)),
        MmioOperation::Modify { operation, source } => {
            let expected = result(operation, mmio.size, value, other(before, source) & mask, carry);
            assert_eq!(device.written, expected, "{operation:?}");
            let is_zero = expected.map(|expected| expected == 0).filter(|_| operation != Arithmetic::Not);
            assert_eq!(after.rflags.zf(), is_zero.unwrap_or(after.rflags.zf()));
        }
        MmioOperation::Combine { operation, destination } => {
            let expected = result(operation, mmio.size, part(before, destination), value, carry);
            assert_eq!(part(after, destination), expected.unwrap_or(part(before, destination)), "{operation:?}");
        }
        MmioOperation::Bit { operation, index } => {
            assert!(u32::from(index) < mmio.size.bits());
            let bit = 1 << index;
            assert_eq!(after.rflags.cf(), value & bit != 0);
            let expected = match operation {
                BitOperation::Test => None,
                BitOperation::Set => Some(value | bit),
                BitOperation::Reset => Some(value & !bit),
                BitOperation::Complement => Some(value ^ bit),
            };
            assert_eq!(device.written, expected);
        }
        MmioOperation::Exchange(register) => {
            assert_eq!((device.written, part(after, register)), (Some(part(before, register)), value));
        }
        MmioOperation::ExchangeAdd(register) => {
            let sum = value.wrapping_add(part(before, register)) & mask;
            assert_eq!((device.written, part(after, register)), (Some(sum), value));
        }
        MmioOperation::CompareExchange(register) => {
            let accumulator = MmioRegister { gpr: Gpr::Rax, size: mmio.size, is_high_byte: false };
            let is_equal = part(before, accumulator) == value;
            assert_eq!((after.rflags.zf(), part(after, accumulator)), (is_equal, value));
            assert_eq!(device.written, is_equal.then_some(part(before, register)));
        }
        _ => {}
    }
}
