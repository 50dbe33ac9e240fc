//! The world switch.
#![expect(unsafe_code, reason = "assembly")]

use core::arch::naked_asm;
use core::mem::offset_of;

use x86_virt_core::Gprs;
use x86_virt_core::fpu::{self, FpuSwitch};

use crate::field;
use crate::instructions::Outcome;

/// What the assembly works on.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Switch {
    /// The guest's registers.
    pub(crate) gprs: Gprs,
    /// The host's RSP as the VMCS has it; 0 if it has none yet.
    pub(crate) host_rsp: u64,
    /// 1 for VMRESUME, 0 for VMLAUNCH.
    pub(crate) launched: u64,
    /// The state to exchange.
    fpu: *mut FpuSwitch,
}

// SAFETY: the pointer is set by `enter`, used during it, and null otherwise.
unsafe impl Send for Switch {}

impl Switch {
    pub(crate) const fn new(gprs: Gprs) -> Self {
        Self { gprs, host_rsp: 0, launched: 0, fpu: core::ptr::null_mut() }
    }

    /// Enters the guest and comes back at the next exit.
    ///
    /// # Safety
    ///
    /// - A VMCS is current, with controls that keep the host whole, the state of this host, and [`vm_exit`] as HOST_RIP.
    /// - `launched` tells whether VMLAUNCH has been executed for it, and `host_rsp` its HOST_RSP.
    /// - Interrupts are disabled.
    #[inline]
    pub(crate) unsafe fn enter(&mut self, fpu: &mut FpuSwitch) -> Outcome {
        self.fpu = fpu;
        // SAFETY: the caller fulfils the conditions; `self` and `fpu` live until the call returns.
        let code = unsafe { vm_enter(self) };
        self.fpu = core::ptr::null_mut();
        match code {
            0 => Outcome::Succeed,
            1 => Outcome::FailInvalid,
            _ => Outcome::FailValid,
        }
    }
}

/// Saves the host's registers on its stack, with the pointer to `switch` on top, loads the guest's, and enters.
///
/// Returns 1 or 2 if the entry failed without leaving the host; otherwise [`vm_exit`] returns 0 to the caller.
/// RSP stays on the host's stack throughout, so that an NMI finds one.
#[unsafe(naked)]
unsafe extern "sysv64" fn vm_enter(switch: *mut Switch) -> u64 {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "pushfq",
        "push rdi",
        "mov rdi, [rdi + {fpu}]",
        "call {fpu_enter}",
        "mov rdi, [rsp]",
        "cmp rsp, [rdi + {host_rsp}]",
        "je 2f",
        "mov eax, {host_rsp_field}",
        "vmwrite rax, rsp",
        "jbe 4f",
        "mov [rdi + {host_rsp}], rsp",
        "2:",
        "cmp qword ptr [rdi + {launched}], 0",
        "mov rax, [rdi + {rax}]",
        "mov rcx, [rdi + {rcx}]",
        "mov rdx, [rdi + {rdx}]",
        "mov rbx, [rdi + {rbx}]",
        "mov rbp, [rdi + {rbp}]",
        "mov rsi, [rdi + {rsi}]",
        "mov r8, [rdi + {r8}]",
        "mov r9, [rdi + {r9}]",
        "mov r10, [rdi + {r10}]",
        "mov r11, [rdi + {r11}]",
        "mov r12, [rdi + {r12}]",
        "mov r13, [rdi + {r13}]",
        "mov r14, [rdi + {r14}]",
        "mov r15, [rdi + {r15}]",
        "mov rdi, [rdi + {rdi}]",
        "jne 3f",
        "vmlaunch",
        "jmp 4f",
        "3:",
        "vmresume",
        // The entry failed: CF means VMfailInvalid, ZF VMfailValid.
        "4:",
        "mov ebx, 1",
        "jc 5f",
        "mov ebx, 2",
        "5:",
        "mov rdi, [rsp]",
        "mov rdi, [rdi + {fpu}]",
        "call {fpu_leave}",
        "mov eax, ebx",
        "pop rdi",
        "popfq",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        fpu = const offset_of!(Switch, fpu),
        fpu_enter = sym fpu::enter,
        fpu_leave = sym fpu::leave,
        host_rsp = const offset_of!(Switch, host_rsp),
        host_rsp_field = const field::HOST_RSP.encoding().get(),
        launched = const offset_of!(Switch, launched),
        rax = const offset_of!(Switch, gprs.rax),
        rcx = const offset_of!(Switch, gprs.rcx),
        rdx = const offset_of!(Switch, gprs.rdx),
        rbx = const offset_of!(Switch, gprs.rbx),
        rbp = const offset_of!(Switch, gprs.rbp),
        rsi = const offset_of!(Switch, gprs.rsi),
        rdi = const offset_of!(Switch, gprs.rdi),
        r8 = const offset_of!(Switch, gprs.r8),
        r9 = const offset_of!(Switch, gprs.r9),
        r10 = const offset_of!(Switch, gprs.r10),
        r11 = const offset_of!(Switch, gprs.r11),
        r12 = const offset_of!(Switch, gprs.r12),
        r13 = const offset_of!(Switch, gprs.r13),
        r14 = const offset_of!(Switch, gprs.r14),
        r15 = const offset_of!(Switch, gprs.r15),
    )
}

/// HOST_RIP: where the processor goes on at an exit. Saves the guest's registers and returns 0 to the caller of [`vm_enter`].
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn vm_exit() {
    naked_asm!(
        "push rdi",
        "mov rdi, [rsp + 8]",
        "mov [rdi + {rax}], rax",
        "mov [rdi + {rcx}], rcx",
        "mov [rdi + {rdx}], rdx",
        "mov [rdi + {rbx}], rbx",
        "mov [rdi + {rbp}], rbp",
        "mov [rdi + {rsi}], rsi",
        "mov [rdi + {r8}], r8",
        "mov [rdi + {r9}], r9",
        "mov [rdi + {r10}], r10",
        "mov [rdi + {r11}], r11",
        "mov [rdi + {r12}], r12",
        "mov [rdi + {r13}], r13",
        "mov [rdi + {r14}], r14",
        "mov [rdi + {r15}], r15",
        "pop qword ptr [rdi + {rdi}]",
        "mov rdi, [rdi + {fpu}]",
        "call {fpu_leave}",
        "xor eax, eax",
        "pop rdi",
        "popfq",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        fpu = const offset_of!(Switch, fpu),
        fpu_leave = sym fpu::leave,
        rax = const offset_of!(Switch, gprs.rax),
        rcx = const offset_of!(Switch, gprs.rcx),
        rdx = const offset_of!(Switch, gprs.rdx),
        rbx = const offset_of!(Switch, gprs.rbx),
        rbp = const offset_of!(Switch, gprs.rbp),
        rsi = const offset_of!(Switch, gprs.rsi),
        rdi = const offset_of!(Switch, gprs.rdi),
        r8 = const offset_of!(Switch, gprs.r8),
        r9 = const offset_of!(Switch, gprs.r9),
        r10 = const offset_of!(Switch, gprs.r10),
        r11 = const offset_of!(Switch, gprs.r11),
        r12 = const offset_of!(Switch, gprs.r12),
        r13 = const offset_of!(Switch, gprs.r13),
        r14 = const offset_of!(Switch, gprs.r14),
        r15 = const offset_of!(Switch, gprs.r15),
    )
}
