//! Entries with nothing around them, and the host that they come back to.
#![expect(unsafe_code, reason = "enters guests, and writes values to fields that the library keeps")]

use core::arch::{asm, naked_asm};
use core::mem::offset_of;

use x86_virt::Hpa;
use x86_virt::vmx::VmFail;
use x86_virt::vmx::VmcsWrite as _;
use x86_virt::vmx::field::{self, Encoding};

use crate::check_vmx::Vcpu;
use crate::harness::{Failure, Outcome};

/// How an entry ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entered {
    Exit,
    FailInvalid,
    FailValid,
}

pub(super) fn failed(fail: VmFail) -> Failure {
    Failure::new(alloc::format!("{fail}"))
}

/// Writes to a field.
pub(super) fn write(vcpu: &mut Vcpu<'_, '_>, field: Encoding, value: u64) -> Outcome {
    // SAFETY: the list of fields, and what they may become, keeps the host whole: see `slot`.
    unsafe { vcpu.vmcs_mut().write_raw(field, value) }.map_err(failed)
}

/// Registers of the host that exits do not bring back, or not as they were.
pub(super) struct Host {
    gdtr: Pseudo,
    idtr: Pseudo,
    msrs: [(u32, u64); 2],
    is_launched: bool,
}

/// Limit and base of a descriptor table.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Pseudo {
    padding: [u16; 3],
    limit: u16,
    base: u64,
}

const _: () = assert!(offset_of!(Pseudo, base) == offset_of!(Pseudo, limit) + 2);

const LSTAR: u32 = 0xc000_0082;
const KERNEL_GS_BASE: u32 = 0xc000_0102;

impl Host {
    /// Lets exits come back to [`enter`](Self::enter).
    pub(super) fn prepare(vcpu: &mut Vcpu<'_, '_>) -> Outcome<Self> {
        let (mut gdtr, mut idtr) = (Pseudo::default(), Pseudo::default());
        // SAFETY: the instruction stores 10 bytes, which are the last two fields.
        unsafe { asm!("sgdt [{}]", in(reg) &raw mut gdtr.limit, options(nostack)) };
        // SAFETY: as above.
        unsafe { asm!("sidt [{}]", in(reg) &raw mut idtr.limit, options(nostack)) };
        write(vcpu, field::HOST_RIP.encoding(), exit_address())?;
        let msrs = [LSTAR, KERNEL_GS_BASE].map(|msr| {
            // SAFETY: every processor in 64-bit mode has these.
            (msr, unsafe { x86::msr::rdmsr(msr) })
        });
        Ok(Self { gdtr, idtr, msrs, is_launched: false })
    }

    /// Enters what the VMCS has.
    pub(super) fn enter(&mut self, vcpu: &mut Vcpu<'_, '_>) -> Outcome<Entered> {
        let entered = self.execute(if self.is_launched { Instruction::Resume } else { Instruction::Launch });
        if entered == Entered::Exit {
            let reason = x86_virt::vmx::VmcsRead::read(vcpu.vmcs(), field::EXIT_REASON)?;
            self.is_launched |= !reason.entry_failure();
        }
        Ok(entered)
    }

    /// Executes an instruction that enters, right or wrong.
    pub(super) fn execute(&mut self, instruction: Instruction) -> Entered {
        // SAFETY: interrupts are disabled, and `prepare` wrote HOST_RIP. No guest of a state that is tried executes anything, and
        // the host of each is one that this code survives. Without a current VMCS, or with one in another launch state, or
        // after MOV SS, the instruction fails.
        match unsafe { vm_enter(instruction) } {
            0 => Entered::Exit,
            1 => Entered::FailInvalid,
            _ => Entered::FailValid,
        }
    }

    /// Makes the current VMCS clear, so that there is none.
    pub(super) fn clear(&mut self, pointer: Hpa) {
        self.is_launched = false;
        let address = pointer.get();
        // SAFETY: the VMCS is active on this processor alone, which is in VMX root operation.
        unsafe { asm!("vmclear [{}]", in(reg) &raw const address, options(nostack)) };
    }

    /// Makes a VMCS current that was made clear.
    pub(super) fn load(&mut self, pointer: Hpa) {
        let address = pointer.get();
        // SAFETY: the VMCS was current before, and has been active nowhere since.
        unsafe { asm!("vmptrld [{}]", in(reg) &raw const address, options(nostack)) };
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // SAFETY: the tables of before.
        unsafe { asm!("lgdt [{}]", in(reg) &raw const self.gdtr.limit, options(nostack, readonly)) };
        // SAFETY: as above.
        unsafe { asm!("lidt [{}]", in(reg) &raw const self.idtr.limit, options(nostack, readonly)) };
        for (msr, value) in self.msrs {
            // SAFETY: the value of before.
            unsafe { x86::msr::wrmsr(msr, value) };
        }
    }
}

/// An instruction that enters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub(super) enum Instruction {
    Launch = 0,
    Resume = 1,
    /// VMRESUME, right after SS was loaded.
    ResumeAfterMovSs = 2,
}

/// Saves the host's registers on its stack and enters. Returns 1 or 2 if the entry failed without leaving the host; otherwise
/// [`vm_exit`] returns 0 to the caller.
#[unsafe(naked)]
unsafe extern "sysv64" fn vm_enter(instruction: Instruction) -> u64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov eax, {host_rsp}",
        "vmwrite rax, rsp",
        "cmp rdi, 1",
        "je 2f",
        "ja 5f",
        "vmlaunch",
        "jmp 3f",
        "5:",
        "mov eax, ss",
        "mov ss, eax",
        "2:",
        "vmresume",
        // CF means VMfailInvalid, ZF VMfailValid.
        "3:",
        "mov eax, 1",
        "jc 4f",
        "mov eax, 2",
        "4:",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        host_rsp = const field::HOST_RSP.encoding().get(),
    )
}

/// Where [`vm_exit`] is.
#[expect(clippy::as_conversions, reason = "there is no other way to the address of a function")]
fn exit_address() -> u64 {
    let function: unsafe extern "sysv64" fn() = vm_exit;
    u64::try_from((function as *const ()).expose_provenance()).unwrap_or_default()
}

/// HOST_RIP.
#[unsafe(naked)]
unsafe extern "sysv64" fn vm_exit() {
    naked_asm!("xor eax, eax", "pop r15", "pop r14", "pop r13", "pop r12", "pop rbp", "pop rbx", "ret",)
}
