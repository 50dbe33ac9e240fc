//! Lengths and operands of guest instructions, for processors that do not report them.

use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind};

use crate::GuestMemory;
use crate::addr::Gva;
use crate::io::AddressSize;
use crate::linear;
use crate::register::Gpr;
use crate::segment::SegmentRegister;
use crate::vcpu::{SkipError, Vcpu};

/// The longest instruction.
///
/// Intel SDM vol. 2, section 2.3.11, "AVX Instruction Length".
const MAX_INSTRUCTION: usize = 15;

/// What the library needs to know of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// Length in bytes.
    pub length: u8,
    /// The general-purpose register operand of a MOV to or from a control or debug register.
    pub register: Option<Gpr>,
    /// Address size of a string instruction.
    pub address_size: Option<AddressSize>,
}

/// Decodes the instruction at the guest's CS:RIP.
///
/// # Errors
///
/// [`SkipError::NotDecoded`] if its bytes cannot be read or are no instruction.
pub fn at_rip<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory) -> Result<Decoded, SkipError> {
    let rip = vcpu.rip();
    let failed = SkipError::NotDecoded { rip };
    let bitness = bitness(vcpu);
    let start = linear::address(vcpu, SegmentRegister::Cs, rip);
    let mut bytes = [0; MAX_INSTRUCTION];
    // The instruction may end right before a page that is not mapped.
    let here = linear::to_page_end(start).min(MAX_INSTRUCTION);
    let (first, second) = bytes.split_at_mut(here);
    linear::read(vcpu, memory, Gva::new(start), first).map_err(|_| failed)?;
    let next_page = Gva::new(start.wrapping_add(u64::try_from(here).unwrap_or(0)));
    let length = if linear::read(vcpu, memory, next_page, second).is_ok() { MAX_INSTRUCTION } else { here };
    let fetched = bytes.get(..length).ok_or(failed)?;
    decode(fetched, bitness, rip).ok_or(failed)
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

/// Decodes the first instruction of `bytes`.
fn decode(bytes: &[u8], bitness: u32, rip: u64) -> Option<Decoded> {
    let instruction = Decoder::with_ip(bitness, bytes, rip, DecoderOptions::NONE).decode();
    if instruction.is_invalid() {
        return None;
    }
    Some(Decoded {
        length: u8::try_from(instruction.len()).ok()?,
        register: move_register(&instruction),
        address_size: string_address_size(&instruction),
    })
}

fn move_register(instruction: &Instruction) -> Option<Gpr> {
    let (first, second) = (instruction.op0_register(), instruction.op1_register());
    let register = match (first.is_cr() || first.is_dr(), second.is_cr() || second.is_dr()) {
        (true, false) => second,
        (false, true) => first,
        _ => return None,
    };
    register.is_gpr().then(|| u64::try_from(register.number()).ok().map(Gpr::from_number)).flatten()
}

fn string_address_size(instruction: &Instruction) -> Option<AddressSize> {
    if !instruction.is_string_instruction() {
        return None;
    }
    (0..instruction.op_count()).find_map(|operand| match instruction.op_kind(operand) {
        OpKind::MemorySegSI | OpKind::MemoryESDI => Some(AddressSize::Bits16),
        OpKind::MemorySegESI | OpKind::MemoryESEDI => Some(AddressSize::Bits32),
        OpKind::MemorySegRSI | OpKind::MemoryESRDI => Some(AddressSize::Bits64),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::decode;
    use crate::io::AddressSize;
    use crate::register::Gpr;

    #[test]
    fn lengths_operands_and_address_sizes_are_found() {
        let cpuid = decode(&[0x0f, 0xa2, 0x90], 64, 0).unwrap();
        assert_eq!((cpuid.length, cpuid.register, cpuid.address_size), (2, None, None));
        let mov_to_cr4 = decode(&[0x41, 0x0f, 0x22, 0xe1], 64, 0).unwrap();
        assert_eq!((mov_to_cr4.length, mov_to_cr4.register), (4, Some(Gpr::R9)));
        let mov_from_cr0 = decode(&[0x0f, 0x20, 0xc3], 64, 0).unwrap();
        assert_eq!((mov_from_cr0.length, mov_from_cr0.register), (3, Some(Gpr::Rbx)));
        let rep_outsb = decode(&[0xf3, 0x6e], 64, 0).unwrap();
        assert_eq!((rep_outsb.length, rep_outsb.address_size), (2, Some(AddressSize::Bits64)));
        let outsb_in_16_bit = decode(&[0x6e], 16, 0).unwrap();
        assert_eq!(outsb_in_16_bit.address_size, Some(AddressSize::Bits16));
        let a32_outsb = decode(&[0x67, 0x6e], 64, 0).unwrap();
        assert_eq!(a32_outsb.address_size, Some(AddressSize::Bits32));
    }

    #[test]
    fn what_is_no_instruction_is_refused() {
        assert_eq!(decode(&[], 64, 0), None);
        assert_eq!(decode(&[0x0f], 64, 0), None);
        assert_eq!(decode(&[0x06], 64, 0), None);
    }
}
