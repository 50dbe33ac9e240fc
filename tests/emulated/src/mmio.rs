//! Instructions that access a device: done by the processor on memory and by the library on a device, they leave the same behind.

use alloc::format;
use alloc::vec::Vec;

use x86_virt::{
    Access, CpuState, ExitKind, Gpa, Gprs, Mapping, Mmio, MmioDevice, OperandSize, PageSize, Rflags, Segment,
    SegmentAccessRights, Vcpu, VcpuConfig,
};

use crate::bench::Bench;
use crate::guest::{CODE, DATA, Guest, Mode, page};
use crate::harness::{Failure, Outcome, ensure, ensure_eq, fail};

/// An instruction whose memory operand is at RSI, or for string instructions at RDI or RSI.
struct Case {
    name: &'static str,
    code: &'static [u8],
    /// The flags that it defines.
    flags: u64,
    /// Whether RSI is in memory that stays, and the device is at RDI.
    has_source: bool,
}

/// CF, PF, AF, ZF, SF, OF.
const ARITHMETIC: u64 = 0x8d5;
/// All but AF.
const LOGIC: u64 = 0x8c5;
/// CF and ZF.
const BIT: u64 = 0x41;

const fn case(name: &'static str, code: &'static [u8]) -> Case {
    Case { name, code, flags: ARITHMETIC, has_source: false }
}

impl Case {
    const fn flags(self, flags: u64) -> Self {
        Self { flags, ..self }
    }

    const fn with_source(self) -> Self {
        Self { has_source: true, ..self }
    }
}

#[rustfmt::skip]
const LONG: &[Case] = &[
    case("mov al, [rsi]", &[0x8a, 0x06]),
    case("mov ch, [rsi+1]", &[0x8a, 0x6e, 0x01]),
    case("mov dil, [rsi]", &[0x40, 0x8a, 0x3e]),
    case("mov ax, [rsi]", &[0x66, 0x8b, 0x06]),
    case("mov eax, [rsi+4]", &[0x8b, 0x46, 0x04]),
    case("mov r9, [rsi]", &[0x4c, 0x8b, 0x0e]),
    case("mov eax, [moffs]", &[0xa1, 0, 0, 1, 0, 0, 0, 0, 0]),
    case("mov [moffs], al", &[0xa2, 1, 0, 1, 0, 0, 0, 0, 0]),
    case("movzx eax, byte [rsi]", &[0x0f, 0xb6, 0x06]),
    case("movzx r10, word [rsi]", &[0x4c, 0x0f, 0xb7, 0x16]),
    case("movsx ax, byte [rsi]", &[0x66, 0x0f, 0xbe, 0x06]),
    case("movsx rcx, word [rsi]", &[0x48, 0x0f, 0xbf, 0x0e]),
    case("movsxd rdx, dword [rsi]", &[0x48, 0x63, 0x16]),
    case("mov [rsi], ah", &[0x88, 0x26]),
    case("mov [rsi], cx", &[0x66, 0x89, 0x0e]),
    case("mov [rsi], r11d", &[0x44, 0x89, 0x1e]),
    case("mov [rsi], rdx", &[0x48, 0x89, 0x16]),
    case("mov [rsi+rax], rdx", &[0x48, 0x89, 0x14, 0x2e]),
    case("mov byte [rsi], 5a", &[0xc6, 0x06, 0x5a]),
    case("mov qword [rsi], -2", &[0x48, 0xc7, 0x06, 0xfe, 0xff, 0xff, 0xff]),
    case("a32 mov [esi], ecx", &[0x67, 0x89, 0x0e]),
    case("movnti [rsi], edx", &[0x0f, 0xc3, 0x16]),
    case("add [rsi], ecx", &[0x01, 0x0e]),
    case("add al, [rsi]", &[0x02, 0x06]),
    case("adc [rsi], rdx", &[0x48, 0x11, 0x16]),
    case("sbb word [rsi], -1", &[0x66, 0x83, 0x1e, 0xff]),
    case("sub dword [rsi], imm32", &[0x81, 0x2e, 0xf0, 0xde, 0xbc, 0x9a]),
    case("or byte [rsi], 1", &[0x80, 0x0e, 0x01]).flags(LOGIC),
    case("lock and [rsi], edx", &[0xf0, 0x21, 0x16]).flags(LOGIC),
    case("xor rcx, [rsi]", &[0x48, 0x33, 0x0e]).flags(LOGIC),
    case("cmp [rsi], al", &[0x38, 0x06]),
    case("cmp edx, [rsi]", &[0x3b, 0x16]),
    case("test dword [rsi], imm32", &[0xf7, 0x06, 0, 0, 0, 0x80]).flags(LOGIC),
    case("test [rsi], cl", &[0x84, 0x0e]).flags(LOGIC),
    case("inc byte [rsi]", &[0xfe, 0x06]),
    case("dec qword [rsi]", &[0x48, 0xff, 0x0e]),
    case("not dword [rsi]", &[0xf7, 0x16]),
    case("neg word [rsi]", &[0x66, 0xf7, 0x1e]),
    case("bt dword [rsi], 4", &[0x0f, 0xba, 0x26, 0x04]).flags(BIT),
    case("bts [rsi], ecx", &[0x0f, 0xab, 0x0e]).flags(BIT),
    case("lock btr qword [rsi], 33", &[0xf0, 0x48, 0x0f, 0xba, 0x36, 33]).flags(BIT),
    case("btc word [rsi], 15", &[0x66, 0x0f, 0xba, 0x3e, 15]).flags(BIT),
    case("xchg [rsi], edx", &[0x87, 0x16]),
    case("xchg [rsi], ch", &[0x86, 0x2e]),
    case("lock xadd [rsi], rcx", &[0xf0, 0x48, 0x0f, 0xc1, 0x0e]),
    case("lock cmpxchg [rsi], edx, not equal", &[0xf0, 0x0f, 0xb1, 0x16]),
    case("mov eax, [rsi]; lock cmpxchg [rsi], edx", &[0x8b, 0x06, 0xf0, 0x0f, 0xb1, 0x16]),
    case("movsb", &[0xa4]).with_source(),
    case("rep movsd", &[0xf3, 0xa5]).with_source(),
    case("std; rep movsw; cld", &[0xfd, 0xf3, 0x66, 0xa5, 0xfc]).with_source(),
    case("stosq", &[0x48, 0xab]).with_source(),
    case("rep stosb", &[0xf3, 0xaa]).with_source(),
    case("rep a32 stosd", &[0x67, 0xf3, 0xab]).with_source(),
    case("lodsd", &[0xad]),
    case("xchg rsi, rdi; rep movsb", &[0x48, 0x87, 0xf7, 0xf3, 0xa4]).with_source(),
];

#[rustfmt::skip]
const PROTECTED: &[Case] = &[
    case("mov eax, [esi]", &[0x8b, 0x06]),
    case("mov dx, [moffs]", &[0x66, 0xa1, 2, 0, 1, 0]),
    case("mov [esi], dh", &[0x88, 0x36]),
    case("movzx ebp, word [esi]", &[0x0f, 0xb7, 0x2e]),
    case("or dword [esi], 80000000", &[0x81, 0x0e, 0, 0, 0, 0x80]).flags(LOGIC),
    case("xchg [esi], ecx", &[0x87, 0x0e]),
    case("inc dword [esi]", &[0xff, 0x06]),
    case("rep movsd", &[0xf3, 0xa5]).with_source(),
    case("rep stosw", &[0xf3, 0x66, 0xab]).with_source(),
];

#[rustfmt::skip]
const REAL: &[Case] = &[
    case("mov ax, [si]", &[0x8b, 0x04]),
    case("mov eax, [si]", &[0x66, 0x8b, 0x04]),
    case("mov [si+2], cl", &[0x88, 0x4c, 0x02]),
    case("mov word [si], 1234", &[0xc7, 0x04, 0x34, 0x12]),
    case("and [esi], dx", &[0x67, 0x21, 0x16]).flags(LOGIC),
    case("sub ax, [si]", &[0x2b, 0x04]),
    case("rep movsw", &[0xf3, 0xa5]).with_source(),
    case("rep stosb", &[0xf3, 0xaa]).with_source(),
    case("lodsb", &[0xac]),
];

/// What is in the memory, and in the device, before.
const PATTERN: [u8; BYTES] = [
    0x81, 0x22, 0xc3, 0x84, 0xf5, 0x66, 0x77, 0x88, 0x99, 0x0a, 0xbb, 0x1c, 0xdd, 0x2e, 0xff, 0x30, 0x13, 0xe2, 0x3d,
    0x4c, 0x5b, 0x6a, 0x79, 0xf8,
];
/// As many as any of the instructions reaches.
const BYTES: usize = 24;
/// Where the memory is that a string comes from.
const OTHER: u64 = DATA + 0x1000;

/// Memory at [`DATA`] that the guest does not have.
struct Device<const N: usize> {
    bytes: [u8; N],
    accesses: usize,
}

impl<const N: usize> Device<N> {
    /// The `size` bytes at `gpa`.
    fn at(&mut self, gpa: Gpa, size: OperandSize) -> Option<&mut [u8]> {
        self.accesses += 1;
        let start = usize::try_from(gpa.get().checked_sub(DATA)?).ok()?;
        self.bytes.get_mut(start..start + usize::from(size.bytes()))
    }
}

impl<const N: usize> MmioDevice for Device<N> {
    fn read(&mut self, gpa: Gpa, size: OperandSize) -> u64 {
        let mut value = [0; 8];
        for (byte, there) in value.iter_mut().zip(self.at(gpa, size).unwrap_or_default()) {
            *byte = *there;
        }
        u64::from_le_bytes(value)
    }

    fn write(&mut self, gpa: Gpa, size: OperandSize, value: u64) {
        for (byte, there) in value.to_le_bytes().iter().zip(self.at(gpa, size).unwrap_or_default()) {
            *there = *byte;
        }
    }
}

/// In 64-bit mode, with paging.
pub(crate) fn long_mode(bench: &Bench) -> Outcome {
    run(bench, Mode::Long, LONG)
}

/// In 32-bit protected mode, without.
pub(crate) fn protected_mode(bench: &Bench) -> Outcome {
    run(bench, Mode::Protected, PROTECTED)
}

/// In real mode.
pub(crate) fn real_mode(bench: &Bench) -> Outcome {
    run(bench, Mode::Real, REAL)
}

#[rustfmt::skip]
const ACROSS: &[(&str, &[u8])] = &[
    ("mov ax, [rsi]", &[0x66, 0x8b, 0x06]),
    ("mov eax, [rsi]", &[0x8b, 0x06]),
    ("mov rax, [rsi]", &[0x48, 0x8b, 0x06]),
    ("movsxd rcx, dword [rsi]", &[0x48, 0x63, 0x0e]),
    ("mov [rsi], rdx", &[0x48, 0x89, 0x16]),
    ("mov dword [rsi], imm32", &[0xc7, 0x06, 0x78, 0x56, 0x34, 0x12]),
    ("add [rsi], edx", &[0x01, 0x16]),
    ("xchg [rsi], rdx", &[0x48, 0x87, 0x16]),
    ("neg qword [rsi]", &[0x48, 0xf7, 0x1e]),
    ("bts dword [rsi], 30", &[0x0f, 0xba, 0x2e, 30]),
];

/// Operands in two pages: one memory and one the device, in both orders, at each place where they can be.
pub(crate) fn across_pages(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &[], &VcpuConfig::new(), |guest| {
        for (name, code) in ACROSS {
            for border in [DATA, DATA + 0x1000] {
                for before in 1..8 {
                    check_across(guest, code, border - before)
                        .map_err(|why| Failure::new(format!("{name} at {:#x}: {why}", border - before)))?;
                }
            }
        }
        Ok(())
    })
}

/// The same instruction on memory alone, and with the page at DATA a device.
fn check_across(guest: &mut Guest<'_, '_>, code: &[u8], address: u64) -> Outcome {
    const AROUND: usize = 16;
    let start = address - 4;
    let fill = |guest: &Guest<'_, '_>| -> Outcome<CpuState> {
        guest.ram.write(CODE, &[0xf4; 32])?;
        guest.ram.write(CODE, code)?;
        for (byte, offset) in (0x81_u8..).step_by(7).zip(0..16) {
            guest.ram.write(start + offset, &[byte])?;
        }
        let mut state = Mode::Long.state();
        state.gprs = Gprs { rax: u64::MAX, rdx: 0xfedc_ba98_7654_3210, rsi: address, ..Gprs::default() };
        Ok(state)
    };
    let state = fill(guest)?;
    guest.vcpu.set_state(&state)?;
    guest.expect(ExitKind::Hlt)?;
    let mut expected = [0; AROUND];
    guest.ram.read(start, &mut expected)?;
    let (gprs, flags, rip) = (*guest.vcpu.gprs(), guest.vcpu.rflags().into_bits() & BIT, guest.vcpu.rip());

    let state = fill(guest)?;
    let mut device = Device { bytes: [0; 0x1000], accesses: 0 };
    guest.ram.read(DATA, &mut device.bytes)?;
    guest.space.unmap(page(DATA))?.at_next_entry();
    guest.vcpu.set_state(&state)?;
    let outcome = run_across(guest, &mut device);
    let mapping = Mapping::new(Access::ALL).largest(PageSize::Size4K);
    guest.space.map(page(DATA), &guest.ram, DATA, mapping)?;
    let is_accessed = outcome?;
    let mut found = [0; AROUND];
    for (byte, gpa) in found.iter_mut().zip(start..) {
        match gpa.checked_sub(DATA).and_then(|offset| device.bytes.get(usize::try_from(offset).ok()?)) {
            Some(there) => *byte = *there,
            None => guest.ram.read(gpa, core::slice::from_mut(byte))?,
        }
    }
    ensure!(is_accessed || device.accesses == 0, "the device was accessed without an exit");
    ensure_eq!(*guest.vcpu.gprs(), gprs, "registers");
    ensure_eq!(guest.vcpu.rflags().into_bits() & BIT, flags, "flags");
    ensure_eq!(found, expected, "bytes");
    ensure_eq!(guest.vcpu.rip(), rip, "RIP");
    Ok(())
}

/// Runs to HLT, and says whether an exit was answered: not where the operand ends before the device.
fn run_across(guest: &mut Guest<'_, '_>, device: &mut Device<0x1000>) -> Outcome<bool> {
    let mut is_accessed = false;
    for _ in 0..3 {
        match guest.run()?.kind {
            ExitKind::NestedFault(fault) => {
                let mmio = Mmio::of(&guest.vcpu, guest.space, &fault)?;
                mmio.complete(&mut guest.vcpu, guest.space, device)?;
                is_accessed = true;
            }
            ExitKind::Hlt => return Ok(is_accessed),
            kind => fail!("{kind:x?} at {:#x}", guest.vcpu.rip()),
        }
    }
    fail!("the guest does not come to its end")
}

/// What an instruction leaves behind.
struct After {
    gprs: Gprs,
    rflags: u64,
    rip: u64,
    bytes: [u8; BYTES],
}

fn run(bench: &Bench, mode: Mode, cases: &[Case]) -> Outcome {
    bench.with_guest(mode, &[], &VcpuConfig::new(), |guest| {
        let mut failures = Vec::new();
        for case in cases {
            if let Err(why) = check(guest, mode, case) {
                failures.push(format!("{}: {why}", case.name));
            }
        }
        ensure!(failures.is_empty(), "{}", failures.join("; "));
        Ok(())
    })
}

fn check(guest: &mut Guest<'_, '_>, mode: Mode, case: &Case) -> Outcome {
    let state = prepare(guest, mode, case)?;
    guest.vcpu.set_state(&state)?;
    guest.expect(ExitKind::Hlt)?;
    let mut bytes = [0; BYTES];
    guest.ram.read(DATA, &mut bytes)?;
    let expected = After {
        gprs: *guest.vcpu.gprs(),
        rflags: guest.vcpu.rflags().into_bits() & case.flags,
        rip: guest.vcpu.rip(),
        bytes,
    };

    guest.space.unmap(page(DATA))?.at_next_entry();
    let state = prepare(guest, mode, case)?;
    guest.vcpu.set_state(&state)?;
    let found = on_device(guest, case);
    let mapping = Mapping::new(Access::ALL).largest(PageSize::Size4K);
    guest.space.map(page(DATA), &guest.ram, DATA, mapping)?;
    let found = found?;
    ensure_eq!(found.gprs, expected.gprs, "registers");
    ensure_eq!(found.rflags, expected.rflags, "flags");
    ensure_eq!(found.bytes, expected.bytes, "device");
    ensure_eq!(found.rip, expected.rip, "RIP");
    Ok(())
}

fn prepare(guest: &Guest<'_, '_>, mode: Mode, case: &Case) -> Outcome<CpuState> {
    guest.ram.write(CODE, &[0xf4; 32])?;
    guest.ram.write(CODE, case.code)?;
    guest.ram.write(DATA, &PATTERN)?;
    guest.ram.write(OTHER, &PATTERN.map(|byte| byte.rotate_left(3)))?;
    let mut state = mode.state();
    state.rflags = Rflags::new().with_cf(true);
    state.gprs = Gprs {
        rax: 0x7766_5544_3322_1100,
        // The count, and a bit.
        rcx: 4,
        rdx: 0xfedc_ba98_7654_3210,
        rbx: 3,
        rbp: 8,
        rsi: if case.has_source { OTHER + 6 } else { DATA },
        rdi: if case.has_source { DATA + 6 } else { OTHER },
        r11: 0x1111_2222_3333_4444,
        ..Gprs::default()
    };
    if mode == Mode::Real {
        // Segments with these bases, and the same addresses in them.
        for (segment, address) in [(&mut state.ds, state.gprs.rsi), (&mut state.es, state.gprs.rdi)] {
            *segment = Segment::real_mode(u16::try_from(address >> 4 & 0xff00)?, SegmentAccessRights::DATA16);
        }
        state.gprs.rsi &= 0xfff;
        state.gprs.rdi &= 0xfff;
    }
    Ok(state)
}

/// Runs to HLT with the page at DATA a device.
fn on_device(guest: &mut Guest<'_, '_>, case: &Case) -> Outcome<After> {
    let mut device = Device { bytes: PATTERN, accesses: 0 };
    for _ in 0..4 {
        match guest.run()?.kind {
            ExitKind::NestedFault(fault) => {
                let mmio = Mmio::of(&guest.vcpu, guest.space, &fault)?;
                mmio.complete(&mut guest.vcpu, guest.space, &mut device)?;
            }
            ExitKind::Hlt => {
                ensure!(device.accesses > 0, "the device was not accessed");
                return Ok(After {
                    gprs: *guest.vcpu.gprs(),
                    rflags: guest.vcpu.rflags().into_bits() & case.flags,
                    rip: guest.vcpu.rip(),
                    bytes: device.bytes,
                });
            }
            kind => fail!("{kind:x?} at {:#x}", guest.vcpu.rip()),
        }
    }
    fail!("the guest does not come to its end")
}
