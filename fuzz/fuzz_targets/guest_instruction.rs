//! Any bytes at CS:RIP: the length does not depend on where they are, and the operands are those of a plain parser.
#![no_main]

use libfuzzer_sys::fuzz_target;
use x86_virt::testing::ScriptedVcpu;
use x86_virt::{
    AccessError, AddressSize, CpuState, Efer, Gpa, Gpr, Gprs, GuestMemory, Instruction, RegisterOperand,
    SegmentAccessRights, SegmentRegister, SkipError, SystemOperand, Translation, decode,
};

/// The longest instruction.
const MOST: usize = 15;
/// Two pages, of which the second may be missing. Elsewhere each byte is that of its address.
const PAGE: u64 = 4096;
const FIRST: u64 = 0x10_0000;

struct Memory {
    start: u64,
    bytes: [u8; MOST],
    /// Whether there is the second page.
    has_second: bool,
}

impl GuestMemory for Memory {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        for (gpa, slot) in (gpa.get()..).zip(buffer) {
            if !self.has_second && (FIRST + PAGE..FIRST + 2 * PAGE).contains(&gpa) {
                return Err(AccessError::NotMapped { gpa: Gpa::new(gpa) });
            }
            let at = usize::try_from(gpa.wrapping_sub(self.start)).unwrap_or(usize::MAX);
            let [low, high, ..] = gpa.to_le_bytes();
            *slot = self.bytes.get(at).copied().unwrap_or(low ^ high);
        }
        Ok(())
    }

    fn write(&self, gpa: Gpa, _: &[u8]) -> Result<(), AccessError> {
        Err(AccessError::NotMapped { gpa })
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
    rsp: u64,
    border: u8,
}

impl Input {
    /// Decodes with the first byte `before` bytes before the end of the first page.
    fn decode(&self, before: u64, has_second: bool) -> Result<Instruction, SkipError> {
        let start = FIRST + PAGE - before;
        let mut state = CpuState::real_mode(0, 0);
        state.gprs = self.gprs;
        state.rip = start;
        state.rsp = self.rsp;
        state.cs.rights = match self.mode {
            Mode::Bits16 => SegmentAccessRights::CODE16,
            Mode::Bits32 => SegmentAccessRights::CODE32,
            Mode::Bits64 => SegmentAccessRights::CODE64,
        };
        state.efer = Efer::new().with_lma(matches!(self.mode, Mode::Bits64));
        let memory = Memory { start, bytes: self.bytes, has_second };
        decode::at_rip(&ScriptedVcpu::vmx(state), &memory)
    }
}

fuzz_target!(|input: Input| {
    let whole = input.decode(PAGE, true);
    let Ok(instruction) = whole else {
        // What is none does not become one by being cut.
        for before in 1..=15 {
            assert!(input.decode(before, false).is_err(), "{before} bytes are an instruction, and more are none");
        }
        return;
    };
    let length = instruction.length;
    assert!((1..=15).contains(&length));
    // Elsewhere, across the border of the pages, and right before a page that is not there: all the same. A word in memory is
    // another one there.
    for (before, has_second) in
        [(u64::from(input.border) + 15, true), (u64::from(input.border % 15) + 1, true), (u64::from(length), false)]
    {
        let moved = input.decode(before, has_second);
        let is_word_in_memory = matches!(instruction.operand, Some(RegisterOperand::Lmsw(_)));
        if is_word_in_memory {
            // The word may be in the page that is not there.
            assert!(moved.is_ok_and(|moved| moved.length == length) || !has_second);
        } else {
            // An address relative to RIP is another one there too.
            let without_address = |instruction: Instruction| Instruction { system: None, ..instruction };
            assert_eq!(moved.map(without_address), whole.map(without_address));
        }
    }
    for before in 1..u64::from(length) {
        assert!(input.decode(before, false).is_err(), "{before} of {length} bytes are not the instruction");
    }
    operands(&input, instruction);
});

/// What the prefixes say, and the bytes that follow them.
struct Prefixes {
    /// REX.B, which counts right before the opcode only.
    has_rex_b: bool,
    has_address_size: bool,
    segment: Option<SegmentRegister>,
}

/// Takes legacy prefixes and REX off. Intel SDM vol. 2, section 2.1.1, "Instruction Prefixes".
fn prefixes(mode: Mode, mut bytes: &[u8]) -> (Prefixes, &[u8]) {
    let mut found = Prefixes { has_rex_b: false, has_address_size: false, segment: None };
    while let [first, rest @ ..] = bytes {
        let mut rex = 0;
        let segment = match first {
            0x26 => Some(SegmentRegister::Es),
            0x2e => Some(SegmentRegister::Cs),
            0x36 => Some(SegmentRegister::Ss),
            0x3e => Some(SegmentRegister::Ds),
            0x64 => Some(SegmentRegister::Fs),
            0x65 => Some(SegmentRegister::Gs),
            0x66 | 0xf0 | 0xf2 | 0xf3 => None,
            0x67 => {
                found.has_address_size = true;
                None
            }
            0x40..=0x4f if matches!(mode, Mode::Bits64) => {
                rex = *first;
                None
            }
            _ => break,
        };
        found.has_rex_b = rex & 1 == 1;
        // In 64-bit mode ES, CS, SS and DS have no base, and their prefixes no effect.
        let has_base = matches!(segment, Some(SegmentRegister::Fs | SegmentRegister::Gs));
        if segment.is_some() && (has_base || !matches!(mode, Mode::Bits64)) {
            found.segment = segment;
        }
        bytes = rest;
    }
    (found, bytes)
}

fn operands(input: &Input, instruction: Instruction) {
    let (prefixes, opcode) = prefixes(input.mode, &input.bytes);
    let register = |modrm: u8| Gpr::from_number(u64::from(modrm & 7 | u8::from(prefixes.has_rex_b) << 3));
    match (opcode, instruction.operand) {
        ([0x0f, 0x20..=0x23, modrm, ..], operand) => {
            assert_eq!(operand, Some(RegisterOperand::Move(register(*modrm))), "MOV of a control or debug register");
        }
        ([0x0f, 0x06, ..], operand) => assert_eq!(operand, Some(RegisterOperand::Clts)),
        ([0x0f, 0x01, modrm, ..], operand) if modrm >> 3 & 7 == 6 => {
            let Some(RegisterOperand::Lmsw(word)) = operand else { panic!("LMSW has {operand:?}") };
            if *modrm >= 0xc0 {
                let value = input.gprs.get(register(*modrm)).unwrap_or(input.rsp);
                assert_eq!(u64::from(word), value & 0xffff);
            }
        }
        (_, operand) => assert_eq!(operand, None, "{opcode:x?}"),
    }
    let group = |modrm: u8| modrm >> 3 & 7;
    let has_system_operand = match opcode {
        [0xcd, ..] => true,
        // SLDT, STR, LLDT, LTR.
        [0x0f, 0x00, modrm, ..] => group(*modrm) < 4,
        // SGDT, SIDT, LGDT, LIDT, INVLPG in memory, and SMSW.
        [0x0f, 0x01, modrm, ..] => group(*modrm) == 4 || *modrm < 0xc0 && matches!(group(*modrm), 0..=3 | 7),
        _ => false,
    };
    assert_eq!(instruction.system.is_some(), has_system_operand, "{opcode:x?}");
    if let [0xcd, vector, ..] = opcode {
        assert_eq!(instruction.system, Some(SystemOperand::Vector(*vector)));
    }
    let string = match opcode {
        // INS, STOS, SCAS and the destination of MOVS.
        [0x6c | 0x6d | 0xa4 | 0xa5 | 0xaa | 0xab | 0xae | 0xaf, ..] => Some(SegmentRegister::Es),
        // OUTS, CMPS and LODS.
        [0x6e | 0x6f | 0xa6 | 0xa7 | 0xac | 0xad, ..] => Some(prefixes.segment.unwrap_or(SegmentRegister::Ds)),
        _ => None,
    };
    assert_eq!(instruction.string.is_some(), string.is_some(), "{opcode:x?}");
    let (Some(found), Some(segment)) = (instruction.string, string) else { return };
    let size = match (input.mode, prefixes.has_address_size) {
        (Mode::Bits16, false) | (Mode::Bits32, true) => AddressSize::Bits16,
        (Mode::Bits16, true) | (Mode::Bits32, false) | (Mode::Bits64, true) => AddressSize::Bits32,
        (Mode::Bits64, false) => AddressSize::Bits64,
    };
    assert_eq!(found.address_size, size);
    let flat = [SegmentRegister::Es, SegmentRegister::Cs, SegmentRegister::Ss, SegmentRegister::Ds];
    let is_flat = matches!(input.mode, Mode::Bits64) && flat.contains(&segment) && flat.contains(&found.segment);
    assert!(found.segment == segment || is_flat, "{segment:?}, not {:?}", found.segment);
}
