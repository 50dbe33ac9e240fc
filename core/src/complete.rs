//! What instructions do that ended a run.

use crate::addr::Gva;
use crate::event::{Event, Exception, InjectError};
use crate::exit::{ControlRegisterAccess, RegisterAccess};
use crate::linear;
use crate::operand::{Operand, OperandSize};
use crate::register::{ControlRegister, Cr0, Cr4, Gpr};
use crate::vcpu::{SkipError, Vcpu};

/// After an instruction: RIP is `next`, shadows end, and a single step traps.
#[inline]
pub(crate) fn finish_at<V: Vcpu + ?Sized>(vcpu: &mut V, next: u64) {
    vcpu.set_rip(next);
    vcpu.clear_shadow();
    if vcpu.rflags().tf() {
        vcpu.raise_single_step();
    }
}

/// Writes an operand of a register.
pub(crate) fn write_gpr<V: Vcpu + ?Sized>(vcpu: &mut V, register: Gpr, size: OperandSize, value: u64) {
    let before = vcpu.gpr(register);
    vcpu.set_gpr(register, size.merge(before, value));
}

pub(crate) fn raise<V: Vcpu + ?Sized>(vcpu: &mut V, exception: Exception) -> Result<(), InjectError> {
    let is_protected = Cr0::from(vcpu.control(ControlRegister::Cr0)).pe();
    let has_code = is_protected && Exception::pushes_error_code(exception.vector);
    let error_code = has_code.then(|| exception.error_code.unwrap_or(0));
    let exception = Exception { error_code, ..exception };
    Event::Exception(exception).validate(is_protected)?;
    vcpu.events_mut().raise(exception, is_protected)?;
    if is_fault(exception.vector) {
        let flags = vcpu.rflags();
        vcpu.set_rflags(flags.with_rf(true));
    }
    Ok(())
}

/// Whether RIP of the exception is that of the instruction that caused it, and RF in the flags on the stack is 1.
///
/// Intel SDM vol. 3, section 7.5, "Exception Classifications", and section 19.3.1.1, "Instruction-Breakpoint Exception Condition".
const fn is_fault(vector: u8) -> bool {
    // #DB, #BP, #OF, #DF and #MC are traps or aborts.
    !matches!(vector, 1 | 3 | 4 | 8 | 18)
}

pub(crate) fn raise_page_fault<V: Vcpu + ?Sized>(
    vcpu: &mut V,
    address: Gva,
    error_code: u32,
) -> Result<(), InjectError> {
    raise(vcpu, Exception::page_fault(error_code))?;
    // CR2 takes any value.
    let _always = vcpu.set_control(ControlRegister::Cr2, address.get());
    Ok(())
}

pub(crate) fn control_register<V: Vcpu + ?Sized>(
    vcpu: &mut V,
    access: ControlRegisterAccess,
) -> Result<(), CompleteError> {
    /// CR0.PE, MP, EM and TS, which LMSW loads.
    const STATUS_WORD: u64 = 0xf;
    let cr0 = vcpu.control(ControlRegister::Cr0);
    match access {
        ControlRegisterAccess::Move { register, access: RegisterAccess::Read(destination) } => {
            let value = vcpu.control(register);
            Ok(vcpu.complete_register(destination, value)?)
        }
        ControlRegisterAccess::Move { register, access: RegisterAccess::Write(source) } => {
            let value = vcpu.gpr(source);
            let value = if linear::is_64_bit(vcpu) { value } else { value & 0xffff_ffff };
            write_control(vcpu, register, value)
        }
        ControlRegisterAccess::Clts => {
            write_control(vcpu, ControlRegister::Cr0, Cr0::from(cr0).with_ts(false).into_bits())
        }
        ControlRegisterAccess::Lmsw { source } => {
            // PE can be set, and not cleared.
            let kept = !STATUS_WORD | Cr0::new().with_pe(true).into_bits();
            write_control(vcpu, ControlRegister::Cr0, cr0 & kept | u64::from(source) & STATUS_WORD)
        }
        ControlRegisterAccess::Smsw { destination: Operand::Register(register), size } => {
            vcpu.skip_instruction()?;
            write_gpr(vcpu, register, size, cr0);
            Ok(())
        }
        ControlRegisterAccess::Smsw { destination: Operand::Memory(address), .. } => {
            Err(CompleteError::MemoryOperand { address })
        }
    }
}

/// Writes a control register and goes to the next instruction, or gives the guest #GP.
///
/// CR3.63 says what not to invalidate, and is not stored: Intel SDM vol. 3, section 5.10.4.1, "Operations that Invalidate TLBs and
/// Paging-Structure Caches".
fn write_control<V: Vcpu + ?Sized>(vcpu: &mut V, register: ControlRegister, value: u64) -> Result<(), CompleteError> {
    // Nothing may be changed if the instruction cannot be skipped.
    let next = vcpu.next_rip()?;
    let has_pcid = Cr4::from(vcpu.control(ControlRegister::Cr4)).pcide();
    let value = if register == ControlRegister::Cr3 && has_pcid { value & !(1 << 63) } else { value };
    if vcpu.set_control(register, value).is_ok() {
        finish_at(vcpu, next);
        Ok(())
    } else {
        Ok(raise(vcpu, Exception::general_protection(0))?)
    }
}

pub(crate) fn xsetbv<V: Vcpu + ?Sized>(vcpu: &mut V, register: u32, value: u64) -> Result<(), CompleteError> {
    let next = vcpu.next_rip()?;
    if register == 0 && vcpu.set_xcr0(value).is_ok() {
        finish_at(vcpu, next);
        Ok(())
    } else {
        Ok(raise(vcpu, Exception::general_protection(0))?)
    }
}

/// Why an instruction could not be completed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum CompleteError {
    /// The instruction cannot be skipped.
    #[error(transparent)]
    Skip(#[from] SkipError),
    /// The exception that the guest should see cannot be injected.
    #[error(transparent)]
    Inject(#[from] InjectError),
    /// The operand is in memory.
    #[error("the operand is in memory, at linear address {address}")]
    MemoryOperand {
        /// Where.
        address: Gva,
    },
}

#[cfg(test)]
mod tests;
