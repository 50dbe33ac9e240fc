//! Operands from what the processor tells, or else from the decoded instruction.

use x86_virt_core::{
    ApicAccess, ApicAccessKind, ControlRegister, ControlRegisterAccess, DescriptorTableAccess, ExitKind, Gpr, Gva,
    Instruction, Invpcid, Operand, OperandSize, RegisterAccess, RegisterOperand, SystemOperand, TableAccess,
    TableRegister, TaskSwitch, TaskSwitchSource,
};

use super::{ExitContext, SvmExit};
use crate::avic::{AvicRegister, AvicWrite};
use crate::exit_code::ExitCode;
use crate::exit_info::{AvicAccessInfo, AvicEoiInfo, MoveInfo, SwintInfo, TaskSwitchInfo, TaskSwitchTarget};

/// Offset of the low half of the interrupt command register, whose write makes an IPI.
pub(super) const ICR_LOW: u16 = AvicRegister::ICRL.into_bits();

/// The operand of an access to a control or debug register.
enum Found {
    Register(RegisterOperand),
    /// Of SMSW.
    Place(Operand, OperandSize),
}

/// The processor reports the operands of MOV only.
fn operand(exit: SvmExit, context: ExitContext<'_>, decode: impl FnOnce() -> Option<Instruction>) -> Option<Found> {
    let info = MoveInfo::from_bits(exit.info1);
    let is_debug_register = exit.code.into_bits() >= 0x20;
    if context.has_decode_assists && (info.is_move() || is_debug_register) {
        return Some(Found::Register(RegisterOperand::Move(Gpr::from_number(u64::from(info.gpr())))));
    }
    let decoded = decode()?;
    match (decoded.operand, decoded.system) {
        (Some(register), _) => Some(Found::Register(register)),
        (None, Some(SystemOperand::Place { operand, size })) if exit.code == ExitCode::CR0_READ => {
            Some(Found::Place(operand, size))
        }
        _ => None,
    }
}

/// A MOV to or from a register, whose exit codes are `number` for reads and `number + 16` for writes.
fn access(code: u64, gpr: Gpr) -> RegisterAccess {
    if code & 0x10 == 0 { RegisterAccess::Read(gpr) } else { RegisterAccess::Write(gpr) }
}

pub(super) fn control_register(
    exit: SvmExit,
    context: ExitContext<'_>,
    decode: impl FnOnce() -> Option<Instruction>,
) -> ExitKind {
    let register = ControlRegister::from_number(exit.code.into_bits() & 0xf);
    let access = match (register, operand(exit, context, decode)) {
        (Some(register), Some(Found::Register(RegisterOperand::Move(gpr)))) => {
            ControlRegisterAccess::Move { register, access: access(exit.code.into_bits(), gpr) }
        }
        (_, Some(Found::Register(RegisterOperand::Clts))) => ControlRegisterAccess::Clts,
        (_, Some(Found::Register(RegisterOperand::Lmsw(source)))) => ControlRegisterAccess::Lmsw { source },
        (_, Some(Found::Place(destination, size))) => ControlRegisterAccess::Smsw { destination, size },
        _ => return ExitKind::Vendor,
    };
    ExitKind::ControlRegister(access)
}

pub(super) fn debug_register(
    exit: SvmExit,
    context: ExitContext<'_>,
    decode: impl FnOnce() -> Option<Instruction>,
) -> ExitKind {
    let [number, ..] = exit.code.into_bits().to_le_bytes();
    match operand(exit, context, decode) {
        Some(Found::Register(RegisterOperand::Move(gpr))) => {
            ExitKind::DebugRegister { number: number & 0xf, access: access(exit.code.into_bits(), gpr) }
        }
        _ => ExitKind::Vendor,
    }
}

/// A write to CR0 that changes more than TS and MP: MOV or LMSW.
///
/// AMD APM vol. 2, section 15.9, "Instruction Intercepts".
pub(super) fn selective_write(
    exit: SvmExit,
    context: ExitContext<'_>,
    decode: impl FnOnce() -> Option<Instruction>,
) -> ExitKind {
    control_register(SvmExit { code: ExitCode::CR0_WRITE, ..exit }, context, decode)
}

/// AMD APM vol. 2, section 15.35.10, "Control Register Write Traps".
pub(super) fn control_register_written(exit: SvmExit) -> ExitKind {
    match ControlRegister::from_number(exit.code.into_bits() & 0xf) {
        Some(register) => ExitKind::ControlRegisterWritten { register, value: exit.info1 },
        None => ExitKind::Vendor,
    }
}

/// The codes 66h to 69h are the stores of IDTR, GDTR, LDTR and TR, 6ah to 6dh the loads.
pub(super) fn descriptor_table(exit: SvmExit, decode: impl FnOnce() -> Option<Instruction>) -> ExitKind {
    let (table, direction) = match exit.code {
        ExitCode::IDTR_READ => (TableRegister::Idtr, TableAccess::Store),
        ExitCode::GDTR_READ => (TableRegister::Gdtr, TableAccess::Store),
        ExitCode::LDTR_READ => (TableRegister::Ldtr, TableAccess::Store),
        ExitCode::TR_READ => (TableRegister::Tr, TableAccess::Store),
        ExitCode::IDTR_WRITE => (TableRegister::Idtr, TableAccess::Load),
        ExitCode::GDTR_WRITE => (TableRegister::Gdtr, TableAccess::Load),
        ExitCode::LDTR_WRITE => (TableRegister::Ldtr, TableAccess::Load),
        _ => (TableRegister::Tr, TableAccess::Load),
    };
    match decode().and_then(|instruction| instruction.system) {
        Some(SystemOperand::Place { operand, size }) => {
            ExitKind::DescriptorTable(DescriptorTableAccess { table, direction, operand, size: Some(size) })
        }
        _ => ExitKind::Vendor,
    }
}

/// AMD APM vol. 2, section 15.8.3, "INVLPG and INVLPGA Intercepts".
pub(super) fn invlpg(
    exit: SvmExit,
    context: ExitContext<'_>,
    decode: impl FnOnce() -> Option<Instruction>,
) -> ExitKind {
    if context.has_decode_assists {
        return ExitKind::Invlpg(Gva::new(exit.info1));
    }
    match decode().and_then(|instruction| instruction.system) {
        Some(SystemOperand::Place { operand: Operand::Memory(address), .. }) => ExitKind::Invlpg(address),
        _ => ExitKind::Vendor,
    }
}

/// EXITINFO1 is the linear address of the descriptor, EXITINFO2 the type.
pub(super) const fn invpcid(exit: SvmExit) -> ExitKind {
    ExitKind::Invpcid(Invpcid { kind: exit.info2, descriptor: Gva::new(exit.info1) })
}

/// AMD APM vol. 2, section 15.8.2, "INTn Intercepts".
pub(super) fn software_interrupt(
    exit: SvmExit,
    context: ExitContext<'_>,
    decode: impl FnOnce() -> Option<Instruction>,
) -> ExitKind {
    if context.has_decode_assists {
        return ExitKind::SoftwareInterrupt(SwintInfo::from_bits(exit.info1).vector());
    }
    match decode().and_then(|instruction| instruction.system) {
        Some(SystemOperand::Vector(vector)) => ExitKind::SoftwareInterrupt(vector),
        _ => ExitKind::Vendor,
    }
}

/// AMD APM vol. 2, section 15.14.1, "Task Switch Intercept". Neither IRET nor JMP is CALL, or an event that goes through a task gate.
pub(super) fn task_switch(exit: SvmExit, context: ExitContext<'_>) -> ExitKind {
    let info = TaskSwitchInfo::from_bits(exit.info2);
    let source = if info.iret() {
        TaskSwitchSource::Iret
    } else if info.jmp() {
        TaskSwitchSource::Jmp
    } else if context.is_delivering {
        TaskSwitchSource::TaskGate
    } else {
        TaskSwitchSource::Call
    };
    ExitKind::TaskSwitch(TaskSwitch {
        selector: TaskSwitchTarget::from_bits(exit.info1).selector(),
        source,
        error_code: info.ev().then_some(info.error_code()),
    })
}

/// AMD APM vol. 2, section 15.29.9.2, "AVIC Access to Un-accelerated vAPIC register".
pub(super) fn apic(exit: SvmExit) -> ExitKind {
    let info = AvicAccessInfo::from_bits(exit.info1);
    let register = info.register();
    let offset = register.into_bits();
    match (info.rw(), register.write()) {
        (true, AvicWrite::Accelerated) if register == AvicRegister::EOI => {
            ExitKind::ApicEoi(AvicEoiInfo::from_bits(exit.info2).vector())
        }
        (true, AvicWrite::Fault) => ExitKind::ApicAccess(ApicAccess { offset, kind: ApicAccessKind::Write }),
        (true, _) => ExitKind::ApicWrite(offset),
        (false, _) => ExitKind::ApicAccess(ApicAccess { offset, kind: ApicAccessKind::Read }),
    }
}
