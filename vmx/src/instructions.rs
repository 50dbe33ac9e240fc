//! VMX instructions: one per function, with RFLAGS taken in the same block.
//!
//! Intel SDM vol. 3, chapter 33, "VMX Instruction Reference".
#![expect(unsafe_code, reason = "instructions")]

use core::arch::asm;

use x86_virt_core::Hpa;

use crate::invept::{InveptDescriptor, InveptType};
use crate::invvpid::{InvvpidDescriptor, InvvpidType};

/// CF and ZF after a VMX instruction.
///
/// Intel SDM vol. 3, section 33.2, "Conventions".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Outcome {
    Succeed,
    FailInvalid,
    FailValid,
}

impl Outcome {
    #[inline]
    pub(crate) const fn new(carry: u8, zero: u8) -> Self {
        match (carry, zero) {
            (0, 0) => Self::Succeed,
            (0, _) => Self::FailValid,
            _ => Self::FailInvalid,
        }
    }
}

/// Defines functions for instructions with a 64-bit address in memory as operand.
macro_rules! pointer_instruction {
    ($($(#[$doc:meta])* $name:ident = $mnemonic:literal;)*) => {
        $(
            $(#[$doc])*
            #[inline]
            pub(crate) unsafe fn $name(address: Hpa) -> Outcome {
                let operand = address.get();
                let (carry, zero): (u8, u8);
                // SAFETY: the caller fulfils the conditions above; the operand is on the stack.
                unsafe {
                    asm!(
                        concat!($mnemonic, " [{operand}]"),
                        "setc {carry}",
                        "setz {zero}",
                        operand = in(reg) &raw const operand,
                        carry = lateout(reg_byte) carry,
                        zero = lateout(reg_byte) zero,
                        options(nostack),
                    );
                }
                Outcome::new(carry, zero)
            }
        )*
    };
}

pointer_instruction! {
    /// VMXON: enters VMX root operation.
    ///
    /// # Safety
    ///
    /// - The code runs at privilege level 0, CR4.VMXE is 1, and IA32_FEATURE_CONTROL allows VMXON.
    /// - The frame at `address` is used by nothing else until VMXOFF.
    vmxon = "vmxon";

    /// VMCLEAR: makes a VMCS clear, inactive and not current, with all of its data in memory.
    ///
    /// # Safety
    ///
    /// - The processor is in VMX root operation.
    /// - The frame at `address` is a VMCS that no other processor has active.
    vmclear = "vmclear";

    /// VMPTRLD: makes a VMCS current and active.
    ///
    /// # Safety
    ///
    /// - The processor is in VMX root operation.
    /// - The frame at `address` is a VMCS that no other processor has active, and is used by nothing else until VMCLEAR.
    vmptrld = "vmptrld";
}

/// VMXOFF: leaves VMX operation.
///
/// # Safety
///
/// The processor is in VMX root operation, and nothing relies on a VMCS that is active on it.
#[inline]
pub(crate) unsafe fn vmxoff() -> Outcome {
    let (carry, zero): (u8, u8);
    // SAFETY: the caller fulfils the condition above.
    unsafe {
        asm!("vmxoff", "setc {}", "setz {}", lateout(reg_byte) carry, lateout(reg_byte) zero, options(nostack));
    }
    Outcome::new(carry, zero)
}

/// VMPTRST: the address of the current VMCS, or all ones.
///
/// # Safety
///
/// The processor is in VMX root operation.
#[inline]
pub(crate) unsafe fn vmptrst() -> Hpa {
    let mut address = 0_u64;
    // SAFETY: the caller fulfils the condition above; the instruction stores eight bytes to `address`.
    unsafe { asm!("vmptrst [{}]", in(reg) &raw mut address, options(nostack)) };
    Hpa::new(address)
}

/// VMREAD of the field with the encoding `field`. `None` if it failed.
///
/// # Safety
///
/// The processor is in VMX root operation.
#[inline]
pub(crate) unsafe fn vmread(field: u32) -> Option<u64> {
    let value;
    let has_failed: u8;
    // SAFETY: the caller fulfils the condition above.
    unsafe {
        asm!(
            "vmread {value}, {field}",
            "setbe {has_failed}",
            field = in(reg) u64::from(field),
            value = lateout(reg) value,
            has_failed = lateout(reg_byte) has_failed,
            options(nostack, nomem),
        );
    }
    (has_failed == 0).then_some(value)
}

/// How VMREAD of a field that has failed fails.
///
/// # Safety
///
/// The processor is in VMX root operation.
#[cold]
pub(crate) unsafe fn vmread_failure(field: u32) -> Outcome {
    let (carry, zero): (u8, u8);
    // SAFETY: the caller fulfils the condition above.
    unsafe {
        asm!(
            "vmread {field}, {field}",
            "setc {carry}",
            "setz {zero}",
            field = inout(reg) u64::from(field) => _,
            carry = lateout(reg_byte) carry,
            zero = lateout(reg_byte) zero,
            options(nostack, nomem),
        );
    }
    Outcome::new(carry, zero)
}

/// VMWRITE of `value` to the field with the encoding `field`.
///
/// # Safety
///
/// - The processor is in VMX root operation.
/// - The value is right for the field: see [`Access::Sensitive`](crate::field::Access::Sensitive).
#[inline]
pub(crate) unsafe fn vmwrite(field: u32, value: u64) -> Outcome {
    // SAFETY: the caller fulfils the conditions above.
    unsafe {
        asm!(
            "vmwrite {field}, {value}",
            "jc {invalid}",
            "jz {valid}",
            field = in(reg) u64::from(field),
            value = in(reg) value,
            invalid = label { return Outcome::FailInvalid },
            valid = label { return Outcome::FailValid },
            options(nostack),
        );
    }
    Outcome::Succeed
}

/// INVEPT: invalidates translations that were made through extended page tables.
///
/// # Safety
///
/// The processor is in VMX root operation and supports INVEPT of this type.
#[inline]
pub(crate) unsafe fn invept(kind: InveptType, descriptor: InveptDescriptor) -> Outcome {
    let (carry, zero): (u8, u8);
    // SAFETY: the caller fulfils the condition above; the descriptor is on the stack.
    unsafe {
        asm!(
            "invept {kind}, [{descriptor}]",
            "setc {carry}",
            "setz {zero}",
            kind = in(reg) kind.into_bits(),
            descriptor = in(reg) &raw const descriptor,
            carry = lateout(reg_byte) carry,
            zero = lateout(reg_byte) zero,
            options(nostack),
        );
    }
    Outcome::new(carry, zero)
}

/// INVVPID: invalidates translations that were made under a VPID.
///
/// # Safety
///
/// The processor is in VMX root operation and supports INVVPID of this type.
#[inline]
pub(crate) unsafe fn invvpid(kind: InvvpidType, descriptor: InvvpidDescriptor) -> Outcome {
    let (carry, zero): (u8, u8);
    // SAFETY: the caller fulfils the condition above; the descriptor is on the stack.
    unsafe {
        asm!(
            "invvpid {kind}, [{descriptor}]",
            "setc {carry}",
            "setz {zero}",
            kind = in(reg) kind.into_bits(),
            descriptor = in(reg) &raw const descriptor,
            carry = lateout(reg_byte) carry,
            zero = lateout(reg_byte) zero,
            options(nostack),
        );
    }
    Outcome::new(carry, zero)
}

/// Loads GS without changing its base: KERNEL_GS_BASE becomes the base of the descriptor in its place, so that an NMI finds
/// the host's GS base at any moment, or one that its handler exchanges for it.
///
/// # Safety
///
/// - The code runs at privilege level 0 in 64-bit mode, with interrupts disabled.
/// - The selector is null, or of a data segment in the host's tables.
pub(crate) unsafe fn load_gs_behind_swapgs(selector: x86::segmentation::SegmentSelector) {
    // SAFETY: the caller fulfils the conditions above; nothing between the two exchanges uses GS.
    unsafe {
        asm!(
            "swapgs",
            "mov gs, {:e}",
            "swapgs",
            in(reg) u32::from(selector.bits()),
            options(nostack, preserves_flags),
        );
    }
}
