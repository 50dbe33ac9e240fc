//! VMX instructions with any operand, also such as the library never gives them.
#![expect(unsafe_code, reason = "instructions")]

use core::arch::asm;

use x86_virt::Hpa;
use x86_virt::vmx::{InveptDescriptor, InveptType, InvvpidDescriptor, InvvpidType};

/// CF and ZF after a VMX instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flags {
    Succeed,
    FailInvalid,
    FailValid,
}

impl Flags {
    const fn new(carry: u8, zero: u8) -> Self {
        match (carry, zero) {
            (0, 0) => Self::Succeed,
            (0, _) => Self::FailValid,
            _ => Self::FailInvalid,
        }
    }
}

/// Executes an instruction, the last of some lines of assembly with operands, for its flags.
macro_rules! flags {
    ([$($line:expr),+] $(, $($operands:tt)+)?) => {{
        let (carry, zero): (u8, u8);
        asm!(
            $($line,)+
            "setc {carry}",
            "setz {zero}",
            carry = lateout(reg_byte) carry,
            zero = lateout(reg_byte) zero,
            $($($operands)+)?
        );
        Flags::new(carry, zero)
    }};
}

/// Defines functions for instructions without an operand.
macro_rules! plain {
    ($($(#[$doc:meta])* $name:ident = $($line:literal),+;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            ///
            /// The processor is in VMX root operation, where the instruction fails.
            pub(crate) unsafe fn $name() -> Flags {
                // SAFETY: the caller promises that it fails: it changes flags, RAX here, and the VM-instruction error.
                unsafe { flags!([$($line),+], out("rax") _) }
            }
        )*
    };
}

plain! {
    /// VMCALL.
    vmcall = "vmcall";
    /// VMLAUNCH.
    vmlaunch = "vmlaunch";
    /// VMRESUME.
    vmresume = "vmresume";
    /// VMLAUNCH while events are blocked by MOV SS.
    vmlaunch_behind_mov_ss = "mov eax, ss", "mov ss, eax", "vmlaunch";
    /// VMRESUME while events are blocked by MOV SS.
    vmresume_behind_mov_ss = "mov eax, ss", "mov ss, eax", "vmresume";
}

/// Defines functions for instructions with a 64-bit address in memory as operand.
macro_rules! pointer {
    ($($(#[$doc:meta])* $name:ident = $mnemonic:literal;)*) => {
        $(
            $(#[$doc])*
            ///
            /// # Safety
            ///
            /// The processor is in VMX root operation, and the instruction fails or the address is that of the VMCS of a virtual processor
            /// that is loaded here.
            pub(crate) unsafe fn $name(address: Hpa) -> Flags {
                let operand = address.get();
                // SAFETY: the caller's promise; the operand is on the stack.
                unsafe { flags!([concat!($mnemonic, " [{operand}]")], operand = in(reg) &raw const operand) }
            }
        )*
    };
}

pointer! {
    /// VMXON.
    vmxon = "vmxon";
    /// VMCLEAR.
    vmclear = "vmclear";
    /// VMPTRLD.
    vmptrld = "vmptrld";
}

/// VMREAD.
///
/// # Safety
///
/// The processor is in VMX root operation.
pub(crate) unsafe fn vmread(field: u64) -> Flags {
    // SAFETY: the caller's promise.
    unsafe { flags!(["vmread {field}, {field}"], field = inout(reg) field => _) }
}

/// VMWRITE of 0.
///
/// # Safety
///
/// The processor is in VMX root operation, where the instruction fails.
pub(crate) unsafe fn vmwrite(field: u64) -> Flags {
    // SAFETY: the caller's promise.
    unsafe { flags!(["vmwrite {field}, {value}"], field = in(reg) field, value = in(reg) 0_u64) }
}

/// VMPTRST.
///
/// # Safety
///
/// The processor is in VMX root operation.
pub(crate) unsafe fn vmptrst() -> Hpa {
    let mut address = 0_u64;
    // SAFETY: the caller's promise; the instruction stores eight bytes to `address`.
    unsafe { asm!("vmptrst [{}]", in(reg) &raw mut address) };
    Hpa::new(address)
}

/// INVEPT.
///
/// # Safety
///
/// The processor is in VMX root operation, and has INVEPT.
pub(crate) unsafe fn invept(kind: InveptType, descriptor: InveptDescriptor) -> Flags {
    // SAFETY: the caller's promise; the descriptor is on the stack. To invalidate is always right.
    unsafe {
        flags!(
            ["invept {kind}, [{descriptor}]"],
            kind = in(reg) kind.into_bits(),
            descriptor = in(reg) &raw const descriptor
        )
    }
}

/// INVVPID.
///
/// # Safety
///
/// The processor is in VMX root operation, and has INVVPID.
pub(crate) unsafe fn invvpid(kind: InvvpidType, descriptor: InvvpidDescriptor) -> Flags {
    // SAFETY: the caller's promise; the descriptor is on the stack. To invalidate is always right.
    unsafe {
        flags!(
            ["invvpid {kind}, [{descriptor}]"],
            kind = in(reg) kind.into_bits(),
            descriptor = in(reg) &raw const descriptor
        )
    }
}
