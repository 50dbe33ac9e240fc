//! Operands that take more than one field, or that few exits have.
//!
//! The functions are kept out of line, so that the exits that come often save no registers for them.

use x86_virt_core::{
    AddressSize, ApicAccess, ApicAccessKind, DescriptorTableAccess, ExitKind, Gpr, Gprs, Gva, Invpcid, Operand,
    OperandSize, SegmentRegister, TableAccess, TableRegister, TaskSwitch, TaskSwitchSource as Source,
};

use super::low;
use crate::access::VmcsRead;
use crate::exit::basic_reason::BasicExitReason;
use crate::exit::instruction_information::{
    DescriptorTableInformation, DescriptorTableInstruction, InvalidationInformation, MsrInformation, RandomInformation,
    SegmentTableInformation, SegmentTableInstruction, WaitInformation,
};
use crate::exit::memory_operand::MemoryOperand;
use crate::exit::operand::SizeCode;
use crate::exit::qualification::{
    ApicAccessQualification, ApicAccessType, MsrQualification, TaskSwitchQualification, TaskSwitchSource,
};
use crate::exit::reason::ExitReason;
use crate::field;
use crate::segment::SegmentFields;

/// The value of a register: RSP is in the VMCS.
fn value(vmcs: &impl VmcsRead, gprs: &Gprs, register: Gpr) -> u64 {
    gprs.get(register).unwrap_or_else(|| vmcs.get(field::GUEST_RSP))
}

fn is_64_bit(vmcs: &impl VmcsRead) -> bool {
    vmcs.get(field::GUEST_IA32_EFER).lma() && vmcs.get(field::GUEST_CS_ACCESS_RIGHTS).long()
}

/// The linear address of a memory operand. Reads no more than it must: RSP if it is the base, the mode if the address size does not
/// tell it, and the base of the segment if it counts.
///
/// Intel SDM vol. 3, section 3.4.4, "Segment Loading Instructions in IA-32e Mode".
fn linear(vmcs: &impl VmcsRead, gprs: &Gprs, operand: MemoryOperand) -> Gva {
    let rsp = if operand.base == Some(Gpr::Rsp) { vmcs.get(field::GUEST_RSP) } else { 0 };
    let offset = operand.effective_address(gprs, rsp);
    let is_64_bit = operand.address_size == AddressSize::Bits64 || is_64_bit(vmcs);
    let has_base = !is_64_bit || matches!(operand.segment, SegmentRegister::Fs | SegmentRegister::Gs);
    let base = if has_base { vmcs.get(SegmentFields::of(operand.segment).base) } else { 0 };
    let linear = base.wrapping_add(offset);
    Gva::new(if is_64_bit { linear } else { linear & 0xffff_ffff })
}

#[inline(never)]
pub(super) fn msr(reason: ExitReason, vmcs: &impl VmcsRead, gprs: &Gprs) -> ExitKind {
    let msr = MsrQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION)).msr();
    match reason.basic() {
        BasicExitReason::RDMSRLIST => return ExitKind::ReadMsrList(msr),
        BasicExitReason::WRMSRLIST => return ExitKind::WriteMsrList { msr, value: vmcs.get(field::MSR_DATA) },
        _ => {}
    }
    let information = MsrInformation::from_bits(vmcs.get(field::EXIT_INSTRUCTION_INFORMATION));
    let register = Gpr::from(information.reg1());
    match reason.basic() {
        BasicExitReason::RDMSR_IMMEDIATE | BasicExitReason::URDMSR => {
            ExitKind::ReadMsrTo { msr, destination: register }
        }
        _ => ExitKind::WriteMsr { msr, value: value(vmcs, gprs, register) },
    }
}

#[inline(never)]
pub(super) fn random(reason: ExitReason, vmcs: &impl VmcsRead) -> ExitKind {
    let information = RandomInformation::from_bits(vmcs.get(field::EXIT_INSTRUCTION_INFORMATION));
    let destination = information.destination().into();
    let size = match information.operand_size() {
        SizeCode::BITS_16 => OperandSize::Bits16,
        SizeCode::BITS_32 => OperandSize::Bits32,
        SizeCode::BITS_64 => OperandSize::Bits64,
        _ => return ExitKind::Vendor,
    };
    match reason.basic() {
        BasicExitReason::RDRAND => ExitKind::Rdrand { destination, size },
        _ => ExitKind::Rdseed { destination, size },
    }
}

#[inline(never)]
pub(super) fn wait(reason: ExitReason, vmcs: &impl VmcsRead, gprs: &Gprs) -> ExitKind {
    let information = WaitInformation::from_bits(vmcs.get(field::EXIT_INSTRUCTION_INFORMATION));
    let state = low(value(vmcs, gprs, information.source().into()));
    let deadline = gprs.edx_eax();
    match reason.basic() {
        BasicExitReason::UMWAIT => ExitKind::Umwait { state, deadline },
        _ => ExitKind::Tpause { state, deadline },
    }
}

#[inline(never)]
pub(super) fn invpcid(vmcs: &impl VmcsRead, gprs: &Gprs) -> ExitKind {
    let information = InvalidationInformation::from_bits(vmcs.get(field::EXIT_INSTRUCTION_INFORMATION));
    let Some(operand) = information.memory_operand(vmcs.get(field::EXIT_QUALIFICATION)) else {
        return ExitKind::Vendor;
    };
    let register = value(vmcs, gprs, information.reg2().into());
    // Outside of 64-bit mode the register has 32 bits.
    let kind = if register >> 32 == 0 || is_64_bit(vmcs) { register } else { register & 0xffff_ffff };
    ExitKind::Invpcid(Invpcid { kind, descriptor: linear(vmcs, gprs, operand) })
}

#[inline(never)]
pub(super) fn descriptor_table(vmcs: &impl VmcsRead, gprs: &Gprs) -> ExitKind {
    let information = DescriptorTableInformation::from_bits(vmcs.get(field::EXIT_INSTRUCTION_INFORMATION));
    let Some(operand) = information.memory_operand(vmcs.get(field::EXIT_QUALIFICATION)) else {
        return ExitKind::Vendor;
    };
    let (table, direction) = match information.instruction() {
        DescriptorTableInstruction::SGDT => (TableRegister::Gdtr, TableAccess::Store),
        DescriptorTableInstruction::SIDT => (TableRegister::Idtr, TableAccess::Store),
        DescriptorTableInstruction::LGDT => (TableRegister::Gdtr, TableAccess::Load),
        _ => (TableRegister::Idtr, TableAccess::Load),
    };
    let size = if operand.address_size == AddressSize::Bits64 || is_64_bit(vmcs) {
        OperandSize::Bits64
    } else if information.operand_size_32() {
        OperandSize::Bits32
    } else {
        OperandSize::Bits16
    };
    let operand = Operand::Memory(linear(vmcs, gprs, operand));
    ExitKind::DescriptorTable(DescriptorTableAccess { table, direction, operand, size: Some(size) })
}

#[inline(never)]
pub(super) fn segment_table(vmcs: &impl VmcsRead, gprs: &Gprs) -> ExitKind {
    let information = SegmentTableInformation::from_bits(vmcs.get(field::EXIT_INSTRUCTION_INFORMATION));
    let (table, direction) = match information.instruction() {
        SegmentTableInstruction::SLDT => (TableRegister::Ldtr, TableAccess::Store),
        SegmentTableInstruction::STR => (TableRegister::Tr, TableAccess::Store),
        SegmentTableInstruction::LLDT => (TableRegister::Ldtr, TableAccess::Load),
        _ => (TableRegister::Tr, TableAccess::Load),
    };
    let operand = if information.register_operand() {
        Operand::Register(information.reg1().into())
    } else {
        let Some(operand) = information.memory_operand(vmcs.get(field::EXIT_QUALIFICATION)) else {
            return ExitKind::Vendor;
        };
        Operand::Memory(linear(vmcs, gprs, operand))
    };
    ExitKind::DescriptorTable(DescriptorTableAccess { table, direction, operand, size: None })
}

#[inline(never)]
pub(super) fn task_switch(vmcs: &impl VmcsRead) -> ExitKind {
    let qualification = TaskSwitchQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    let source = match qualification.source() {
        TaskSwitchSource::CALL => Source::Call,
        TaskSwitchSource::IRET => Source::Iret,
        TaskSwitchSource::JMP => Source::Jmp,
        _ => Source::TaskGate,
    };
    let has_code = source == Source::TaskGate && {
        let vectoring = vmcs.get(field::IDT_VECTORING_INFORMATION);
        vectoring.valid() && vectoring.error_code_valid()
    };
    let error_code = has_code.then(|| vmcs.get(field::IDT_VECTORING_ERROR_CODE));
    ExitKind::TaskSwitch(TaskSwitch { selector: qualification.selector(), source, error_code })
}

#[inline(never)]
pub(super) fn apic_access(vmcs: &impl VmcsRead) -> ExitKind {
    let qualification = ApicAccessQualification::from_bits(vmcs.get(field::EXIT_QUALIFICATION));
    let kind = match qualification.access_type() {
        ApicAccessType::LINEAR_READ => ApicAccessKind::Read,
        ApicAccessType::LINEAR_WRITE => ApicAccessKind::Write,
        ApicAccessType::LINEAR_FETCH => ApicAccessKind::Fetch,
        ApicAccessType::LINEAR_EVENT_DELIVERY | ApicAccessType::GUEST_PHYSICAL_EVENT_DELIVERY => {
            ApicAccessKind::EventDelivery
        }
        _ => ApicAccessKind::Other,
    };
    ExitKind::ApicAccess(ApicAccess { offset: qualification.offset(), kind })
}
