//! Lengths and operands of guest instructions, for processors that do not report them.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction as Decoded, Mnemonic, OpKind, Register};

use crate::GuestMemory;
use crate::addr::Gva;
use crate::guest_paging::{GuestPaging, Privilege, to_page_end};
use crate::instruction::{Instruction, RegisterOperand, StringOperand, SystemOperand};
use crate::io::{AddressSize, low_dword};
use crate::linear;
use crate::operand::{Operand, OperandSize};
use crate::register::Gpr;
use crate::segment::SegmentRegister;
use crate::vcpu::{SkipError, Vcpu};

/// The longest instruction.
///
/// Intel SDM vol. 2, section 2.3.11, "AVX Instruction Length".
const MAX_INSTRUCTION: usize = 15;

/// Makes the decoder's tables, for which it allocates when it is first used.
///
/// Call it once where allocation may take its time, if exits are handled where it must not: in a kernel with interrupts disabled.
///
/// ```
/// x86_virt_core::decode::prepare();
/// ```
pub fn prepare() {
    const NOP: [u8; 1] = [0x90];
    let decoded = instruction(&NOP, 64, 0);
    debug_assert!(decoded.is_some(), "the decoder knows NOP");
}

/// Decodes the instruction at the guest's CS:RIP.
///
/// # Errors
///
/// [`SkipError::NotDecoded`] if its bytes cannot be read or are no instruction.
pub fn at_rip<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory) -> Result<Instruction, SkipError> {
    let failed = SkipError::NotDecoded { rip: vcpu.rip() };
    let decoded = fetch(vcpu, memory).ok_or(failed)?;
    let register_word = |register| {
        let [low, high, ..] = low_dword(vcpu.gpr(register)).to_le_bytes();
        u16::from_le_bytes([low, high])
    };
    let word = |decoded: &Decoded| word_in_memory(vcpu, memory, decoded);
    operands(&decoded, bitness(vcpu), register_word, word, |decoded| linear_address(vcpu, decoded)).ok_or(failed)
}

/// Fetches and decodes the instruction at the guest's CS:RIP.
pub(crate) fn fetch<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory) -> Option<Decoded> {
    let start = linear::address(vcpu, SegmentRegister::Cs, vcpu.rip());
    let mut bytes = [0; MAX_INSTRUCTION];
    // The instruction may end right before a page that is not mapped.
    let here = to_page_end(Gva::new(start)).min(MAX_INSTRUCTION);
    let (first_page, second_page) = bytes.split_at_mut(here);
    let (paging, privilege) = (GuestPaging::of(vcpu), Privilege::of(vcpu));
    paging.fetch(memory, Gva::new(start), privilege, first_page).ok()?;
    let next_page = Gva::new(start.wrapping_add(u64::try_from(here).unwrap_or(0)));
    let length = if paging.fetch(memory, next_page, privilege, second_page).is_ok() { MAX_INSTRUCTION } else { here };
    first(vcpu, bytes.get(..length)?)
}

/// Decodes the first instruction of `bytes`, which are at RIP.
pub(crate) fn first<V: Vcpu>(vcpu: &V, bytes: &[u8]) -> Option<Decoded> {
    instruction(bytes, bitness(vcpu), vcpu.rip())
}

fn instruction(bytes: &[u8], bitness: u32, rip: u64) -> Option<Decoded> {
    let decoded = Decoder::with_ip(bitness, bytes, rip, DecoderOptions::NONE).decode();
    if decoded.is_invalid() { None } else { Some(decoded) }
}

fn bitness<V: Vcpu>(vcpu: &V) -> u32 {
    let rights = vcpu.segment(SegmentRegister::Cs).rights;
    if linear::is_64_bit(vcpu) {
        64
    } else if rights.default_big() {
        32
    } else {
        16
    }
}

/// What exits need of an instruction; `memory_word` reads the word at a memory operand, whose address `address` finds.
fn operands(
    decoded: &Decoded,
    bitness: u32,
    register_word: impl FnOnce(Gpr) -> u16,
    memory_word: impl FnOnce(&Decoded) -> Option<u16>,
    address: impl FnOnce(&Decoded) -> Option<Gva>,
) -> Option<Instruction> {
    let operand = match decoded.mnemonic() {
        Mnemonic::Clts => Some(RegisterOperand::Clts),
        Mnemonic::Lmsw => Some(RegisterOperand::Lmsw(match gpr(decoded.op0_register()) {
            Some(source) => register_word(source),
            None => memory_word(decoded)?,
        })),
        _ => move_operand(decoded),
    };
    Some(Instruction {
        length: u8::try_from(decoded.len()).ok()?,
        operand,
        string: string_operand(decoded),
        system: system_operand(decoded, bitness, address),
    })
}

fn system_operand(
    decoded: &Decoded,
    bitness: u32,
    address: impl FnOnce(&Decoded) -> Option<Gva>,
) -> Option<SystemOperand> {
    let size = match decoded.mnemonic() {
        Mnemonic::Int => return Some(SystemOperand::Vector(decoded.immediate8())),
        Mnemonic::Sgdt | Mnemonic::Sidt | Mnemonic::Lgdt | Mnemonic::Lidt => base_size(decoded, bitness),
        Mnemonic::Invlpg => OperandSize::Bits8,
        Mnemonic::Smsw | Mnemonic::Sldt | Mnemonic::Str | Mnemonic::Lldt | Mnemonic::Ltr => OperandSize::Bits16,
        _ => return None,
    };
    Some(match gpr(decoded.op0_register()) {
        Some(register) => SystemOperand::Place {
            operand: Operand::Register(register),
            size: u64::try_from(decoded.op0_register().size()).ok().and_then(OperandSize::from_bytes)?,
        },
        None => SystemOperand::Place { operand: Operand::Memory(address(decoded)?), size },
    })
}

/// The size of the base that goes with a limit. In 64-bit mode it does not depend on prefixes.
fn base_size(decoded: &Decoded, bitness: u32) -> OperandSize {
    match decoded.code() {
        _ if bitness == 64 => OperandSize::Bits64,
        Code::Sgdt_m1632_16 | Code::Sidt_m1632_16 | Code::Lgdt_m1632_16 | Code::Lidt_m1632_16 => OperandSize::Bits16,
        _ => OperandSize::Bits32,
    }
}

fn gpr(register: Register) -> Option<Gpr> {
    register.is_gpr().then(|| u64::try_from(register.number()).ok().map(Gpr::from_number)).flatten()
}

fn move_operand(decoded: &Decoded) -> Option<RegisterOperand> {
    let (first, second) = (decoded.op0_register(), decoded.op1_register());
    let is_special = |register: Register| register.is_cr() || register.is_dr();
    let register = match (is_special(first), is_special(second)) {
        (true, false) => second,
        (false, true) => first,
        _ => return None,
    };
    gpr(register).map(RegisterOperand::Move)
}

pub(crate) fn string_operand(decoded: &Decoded) -> Option<StringOperand> {
    if !decoded.is_string_instruction() {
        return None;
    }
    (0..decoded.op_count()).find_map(|operand| {
        let (address_size, is_source) = match decoded.op_kind(operand) {
            OpKind::MemorySegSI => (AddressSize::Bits16, true),
            OpKind::MemorySegESI => (AddressSize::Bits32, true),
            OpKind::MemorySegRSI => (AddressSize::Bits64, true),
            OpKind::MemoryESDI => (AddressSize::Bits16, false),
            OpKind::MemoryESEDI => (AddressSize::Bits32, false),
            OpKind::MemoryESRDI => (AddressSize::Bits64, false),
            _ => return None,
        };
        let segment = if is_source { segment(decoded.memory_segment())? } else { SegmentRegister::Es };
        Some(StringOperand { address_size, segment })
    })
}

pub(crate) fn segment(register: Register) -> Option<SegmentRegister> {
    Some(match register {
        Register::ES => SegmentRegister::Es,
        Register::CS => SegmentRegister::Cs,
        Register::SS => SegmentRegister::Ss,
        Register::DS => SegmentRegister::Ds,
        Register::FS => SegmentRegister::Fs,
        Register::GS => SegmentRegister::Gs,
        _ => return None,
    })
}

/// The linear address of the memory operand of `decoded`.
fn linear_address<V: Vcpu>(vcpu: &V, decoded: &Decoded) -> Option<Gva> {
    let offset = decoded.virtual_address(0, 0, |register, _, _| {
        // Bases of segments are added below.
        let value = if register.is_segment_register() { 0 } else { vcpu.gpr(gpr(register)?) };
        Some(match register.size() {
            2 => value & 0xffff,
            4 => value & 0xffff_ffff,
            _ => value,
        })
    })?;
    Some(Gva::new(linear::address(vcpu, segment(decoded.memory_segment())?, offset)))
}

/// The word at the memory operand of `decoded`.
fn word_in_memory<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory, decoded: &Decoded) -> Option<u16> {
    let mut word = [0; 2];
    let address = linear_address(vcpu, decoded)?;
    GuestPaging::of(vcpu).read(memory, address, Privilege::of(vcpu), &mut word).ok()?;
    Some(u16::from_le_bytes(word))
}

/// The low 16 bits of the source of MOV to a segment register.
pub(crate) fn word_operand<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory, decoded: &Decoded) -> Option<u16> {
    match gpr(decoded.op1_register()) {
        Some(register) => u16::try_from(vcpu.gpr(register) & 0xffff).ok(),
        None => word_in_memory(vcpu, memory, decoded),
    }
}

#[cfg(test)]
mod tests {
    use super::{instruction, operands};
    use crate::addr::Gva;
    use crate::instruction::{Instruction, RegisterOperand, StringOperand, SystemOperand};
    use crate::io::AddressSize;
    use crate::operand::{Operand, OperandSize};
    use crate::register::Gpr;
    use crate::segment::SegmentRegister;

    fn decoded(bytes: &[u8], bitness: u32) -> Option<Instruction> {
        let decoded = instruction(bytes, bitness, 0)?;
        operands(&decoded, bitness, |_| 0x1234, |_| Some(0x5678), |_| Some(Gva::new(0x9abc)))
    }

    #[test]
    fn lengths_and_operands_are_found() {
        let plain = |length| Instruction { length, operand: None, string: None, system: None };
        let with = |length, operand| Instruction { operand: Some(operand), ..plain(length) };
        let string = |length, address_size, segment| {
            let string = Some(StringOperand { address_size, segment });
            Instruction { string, ..plain(length) }
        };
        let system = |length, operand, size| {
            let system = Some(SystemOperand::Place { operand, size });
            Instruction { system, ..plain(length) }
        };
        let there = Operand::Memory(Gva::new(0x9abc));
        use AddressSize::{Bits16, Bits32, Bits64};
        use SegmentRegister::{Ds, Es, Fs};
        let table: &[(&[u8], u32, Instruction)] = &[
            (&[0x0f, 0xa2, 0x90], 64, plain(2)),
            (&[0x41, 0x0f, 0x22, 0xe1], 64, with(4, RegisterOperand::Move(Gpr::R9))),
            (&[0x0f, 0x20, 0xc3], 64, with(3, RegisterOperand::Move(Gpr::Rbx))),
            (&[0x0f, 0x21, 0xf8], 64, with(3, RegisterOperand::Move(Gpr::Rax))),
            (&[0x0f, 0x06], 64, with(2, RegisterOperand::Clts)),
            (&[0x0f, 0x01, 0xf0], 64, with(3, RegisterOperand::Lmsw(0x1234))),
            (&[0x0f, 0x01, 0x30], 64, with(3, RegisterOperand::Lmsw(0x5678))),
            (&[0xf3, 0x6e], 64, string(2, Bits64, Ds)),
            (&[0x64, 0x6e], 64, string(2, Bits64, Fs)),
            (&[0x6e], 16, string(1, Bits16, Ds)),
            (&[0x67, 0x6e], 64, string(2, Bits32, Ds)),
            (&[0x26, 0x6d], 32, string(2, Bits32, Es)),
            (&[0x0f, 0x01, 0x38], 64, system(3, there, OperandSize::Bits8)),
            (&[0x0f, 0x01, 0x0e], 64, system(3, there, OperandSize::Bits64)),
            (&[0x0f, 0x01, 0x1e], 32, system(3, there, OperandSize::Bits32)),
            (&[0x66, 0x0f, 0x01, 0x16], 32, system(4, there, OperandSize::Bits16)),
            (&[0x0f, 0x01, 0x06, 0, 0], 16, system(5, there, OperandSize::Bits16)),
            (&[0x41, 0x0f, 0x00, 0xc1], 64, system(4, Operand::Register(Gpr::R9), OperandSize::Bits32)),
            (&[0x48, 0x0f, 0x01, 0xe0], 64, system(4, Operand::Register(Gpr::Rax), OperandSize::Bits64)),
            (&[0x0f, 0x00, 0x1e], 64, system(3, there, OperandSize::Bits16)),
            (&[0xcd, 0x21], 64, Instruction { system: Some(SystemOperand::Vector(0x21)), ..plain(2) }),
        ];
        for (bytes, bitness, expected) in table {
            assert_eq!(decoded(bytes, *bitness), Some(*expected), "{bytes:x?}");
        }
    }

    #[test]
    fn what_is_no_instruction_is_refused() {
        assert_eq!(decoded(&[], 64), None);
        assert_eq!(decoded(&[0x0f], 64), None);
        assert_eq!(decoded(&[0x06], 64), None);
    }
}
