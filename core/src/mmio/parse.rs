//! From the bytes of an instruction to what it does with a device.

use iced_x86::{Instruction as Decoded, Mnemonic, OpKind, Register};

use super::{
    Arithmetic, BitOperation, Extension, Mmio, MmioError, MmioOperation, MmioRegister, MmioSource, MmioString,
    MmioStringKind,
};
use crate::GuestMemory;
use crate::addr::{Gpa, Gva};
use crate::decode;
use crate::guest_paging::{GuestAccess, GuestPaging, Privilege, to_page_end};
use crate::linear;
use crate::operand::OperandSize;
use crate::register::Gpr;
use crate::segment::SegmentRegister;
use crate::vcpu::{SkipError, Vcpu};

/// Decodes the instruction at RIP as one that accesses `gpa`.
pub(super) fn parse<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory, gpa: Gpa) -> Result<Mmio, MmioError> {
    let rip = vcpu.rip();
    let decoded = fetched(vcpu).or_else(|| decode::fetch(vcpu, memory)).ok_or(SkipError::NotDecoded { rip })?;
    let unknown = MmioError::Unknown { rip, gpa };
    let size = OperandSize::from_bytes(u64::try_from(decoded.memory_size().size()).unwrap_or(0)).ok_or(unknown)?;
    // The size is also told of an instruction whose operand could be in memory, and is not.
    let is_register_form = decoded.op_kinds().all(|kind| kind == OpKind::Register);
    if is_register_form {
        return Err(unknown);
    }
    let operation = operation(vcpu, &decoded, size).ok_or(unknown)?;
    let length = u8::try_from(decoded.len()).unwrap_or(0);
    let (gpa, second) =
        pages(vcpu, memory, &decoded, operation, size)?.map_or((gpa, None), |(gpa, second)| (gpa, Some(second)));
    Ok(Mmio { gpa, second, size, operation, length })
}

/// Where an operand in two pages begins, and where its part in the second is. The processor reports only one of them, and may not have
/// come to the other.
fn pages<V: Vcpu>(
    vcpu: &V,
    memory: &impl GuestMemory,
    decoded: &Decoded,
    operation: MmioOperation,
    size: OperandSize,
) -> Result<Option<(Gpa, Gpa)>, MmioError> {
    if size == OperandSize::Bits8 || matches!(operation, MmioOperation::String(_)) {
        return Ok(None);
    }
    let Some(gva) = linear_address(vcpu, decoded, size) else { return Ok(None) };
    if to_page_end(gva) >= usize::from(size.bytes()) {
        return Ok(None);
    }
    let privilege = Privilege::of(vcpu);
    let access = if operation.writes() { GuestAccess::write(privilege) } else { GuestAccess::read(privilege) };
    let second = Gva::new((gva.get() | 0xfff).wrapping_add(1));
    let paging = GuestPaging::of(vcpu);
    Ok(Some((paging.access(memory, gva, access)?.gpa, paging.access(memory, second, access)?.gpa)))
}

/// The linear address of the operand in memory.
fn linear_address<V: Vcpu>(vcpu: &V, decoded: &Decoded, size: OperandSize) -> Option<Gva> {
    let operand = (0..decoded.op_count()).find(|operand| decoded.op_kind(*operand) == OpKind::Memory)?;
    let address = decoded.virtual_address(operand, 0, |register, _, _| {
        if register.is_segment_register() {
            return decode::segment(register).map(|segment| linear::address(vcpu, segment, 0));
        }
        let gpr = Gpr::from_number(u64::try_from(register.full_register().number()).ok()?);
        let bits = u32::try_from(register.size()).unwrap_or(8).saturating_mul(8);
        Some(vcpu.gpr(gpr) & u64::MAX.checked_shr(64_u32.saturating_sub(bits)).unwrap_or(u64::MAX))
    })?;
    // BT and the like with a register: its upper bits, which have a sign, move the address.
    let is_bit = matches!(decoded.mnemonic(), Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc);
    let moved = match register(decoded.op1_register()) {
        Some(index) if is_bit => {
            let bits = size.sign_extend(index.read(vcpu));
            let units = i64::from_le_bytes(bits.to_le_bytes()) >> size.bits().trailing_zeros();
            u64::from_le_bytes(units.to_le_bytes()).wrapping_mul(u64::from(size.bytes()))
        }
        _ => 0,
    };
    let address = address.wrapping_add(moved);
    let is_64_bit = linear::is_64_bit(vcpu);
    Some(Gva::new(if is_64_bit { address } else { address & 0xffff_ffff }))
}

/// What the processor has fetched. It may end before the instruction does.
fn fetched<V: Vcpu>(vcpu: &V) -> Option<Decoded> {
    let fetched = vcpu.fetched_instruction();
    decode::first(vcpu, fetched.bytes.get(..usize::from(fetched.length))?)
}

fn operation<V: Vcpu>(vcpu: &V, decoded: &Decoded, size: OperandSize) -> Option<MmioOperation> {
    let mnemonic = decoded.mnemonic();
    if let Some(kind) = string_kind(decoded) {
        return string(decoded, kind);
    }
    let is_destination = decoded.op0_kind() == OpKind::Memory;
    if let Some(operation) = arithmetic(mnemonic) {
        return if decoded.op1_kind() != OpKind::Memory {
            if !is_destination {
                return None;
            }
            let source = if decoded.op_count() < 2 { MmioSource::Immediate(0) } else { source(decoded, 1)? };
            Some(MmioOperation::Modify { operation, source })
        } else {
            Some(MmioOperation::Combine { operation, destination: register(decoded.op0_register())? })
        };
    }
    Some(match (mnemonic, is_destination) {
        (Mnemonic::Mov | Mnemonic::Movnti, true) => MmioOperation::Store(source(decoded, 1)?),
        (Mnemonic::Mov | Mnemonic::Movzx, false) => {
            MmioOperation::Load { destination: register(decoded.op0_register())?, extension: Extension::Zero }
        }
        (Mnemonic::Movsx | Mnemonic::Movsxd, false) => {
            MmioOperation::Load { destination: register(decoded.op0_register())?, extension: Extension::Sign }
        }
        (Mnemonic::Xchg, true) => MmioOperation::Exchange(register(decoded.op1_register())?),
        (Mnemonic::Xchg, false) => MmioOperation::Exchange(register(decoded.op0_register())?),
        (Mnemonic::Xadd, true) => MmioOperation::ExchangeAdd(register(decoded.op1_register())?),
        (Mnemonic::Cmpxchg, true) => MmioOperation::CompareExchange(register(decoded.op1_register())?),
        (Mnemonic::Bt | Mnemonic::Bts | Mnemonic::Btr | Mnemonic::Btc, true) => {
            let operation = match mnemonic {
                Mnemonic::Bt => BitOperation::Test,
                Mnemonic::Bts => BitOperation::Set,
                Mnemonic::Btr => BitOperation::Reset,
                _ => BitOperation::Complement,
            };
            // The bits of a register that are above these have moved the address.
            let index = source(decoded, 1)?.read(vcpu) & u64::from(size.bits() - 1);
            MmioOperation::Bit { operation, index: u8::try_from(index).unwrap_or(0) }
        }
        _ => return None,
    })
}

const fn arithmetic(mnemonic: Mnemonic) -> Option<Arithmetic> {
    Some(match mnemonic {
        Mnemonic::Add => Arithmetic::Add,
        Mnemonic::Or => Arithmetic::Or,
        Mnemonic::Adc => Arithmetic::AddWithCarry,
        Mnemonic::Sbb => Arithmetic::SubtractWithBorrow,
        Mnemonic::And => Arithmetic::And,
        Mnemonic::Sub => Arithmetic::Subtract,
        Mnemonic::Xor => Arithmetic::Xor,
        Mnemonic::Cmp => Arithmetic::Compare,
        Mnemonic::Test => Arithmetic::Test,
        Mnemonic::Inc => Arithmetic::Increment,
        Mnemonic::Dec => Arithmetic::Decrement,
        Mnemonic::Not => Arithmetic::Not,
        Mnemonic::Neg => Arithmetic::Negate,
        _ => return None,
    })
}

/// A register or an immediate operand.
fn source(decoded: &Decoded, operand: u32) -> Option<MmioSource> {
    match decoded.op_kind(operand) {
        OpKind::Register => register(decoded.op_register(operand)).map(MmioSource::Register),
        _ => decoded.try_immediate(operand).ok().map(MmioSource::Immediate),
    }
}

/// A general-purpose register, and not a segment register.
fn register(register: Register) -> Option<MmioRegister> {
    if !register.is_gpr() {
        return None;
    }
    Some(MmioRegister {
        gpr: Gpr::from_number(u64::try_from(register.full_register().number()).ok()?),
        size: OperandSize::from_bytes(u64::try_from(register.size()).ok()?)?,
        is_high_byte: matches!(register, Register::AH | Register::CH | Register::DH | Register::BH),
    })
}

/// MOVSD and the like are also names of vector instructions.
fn string_kind(decoded: &Decoded) -> Option<MmioStringKind> {
    if !decoded.is_string_instruction() {
        return None;
    }
    match decoded.mnemonic() {
        Mnemonic::Movsb | Mnemonic::Movsw | Mnemonic::Movsd | Mnemonic::Movsq => Some(MmioStringKind::Move),
        Mnemonic::Stosb | Mnemonic::Stosw | Mnemonic::Stosd | Mnemonic::Stosq => Some(MmioStringKind::Store),
        Mnemonic::Lodsb | Mnemonic::Lodsw | Mnemonic::Lodsd | Mnemonic::Lodsq => Some(MmioStringKind::Load),
        _ => None,
    }
}

fn string(decoded: &Decoded, kind: MmioStringKind) -> Option<MmioOperation> {
    let repeat = decoded.has_rep_prefix() || decoded.has_repne_prefix();
    let operand = decode::string_operand(decoded)?;
    // STOS has no source: its segment is that of the destination.
    let segment = match kind {
        MmioStringKind::Store => SegmentRegister::Ds,
        MmioStringKind::Move | MmioStringKind::Load => decode::segment(decoded.memory_segment())?,
    };
    Some(MmioOperation::String(MmioString { kind, repeat, address_size: operand.address_size, segment }))
}
