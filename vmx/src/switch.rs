//! The world switch.
#![expect(unsafe_code, reason = "assembly")]

use core::arch::{asm, naked_asm};
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
    /// The state to exchange.
    fpu: *mut FpuSwitch,
}

// SAFETY: the pointer is set by `enter`, used during it, and null otherwise.
unsafe impl Send for Switch {}

/// Whether VMLAUNCH has been executed for the VMCS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LaunchState {
    Clear,
    Launched,
}

impl Switch {
    pub(crate) const fn new(gprs: Gprs) -> Self {
        Self { gprs, host_rsp: 0, fpu: core::ptr::null_mut() }
    }

    /// Enters the guest and comes back at the next exit. RFLAGS are then as an exit makes them: whoever disabled interrupts brings
    /// the host's back.
    ///
    /// # Safety
    ///
    /// - A VMCS is current, with controls that keep the host whole, the state of this host, and [`vm_exit`] as HOST_RIP.
    /// - `state` tells whether VMLAUNCH has been executed for it, and `host_rsp` its HOST_RSP.
    /// - Interrupts are disabled.
    #[inline(always)]
    pub(crate) unsafe fn enter(&mut self, state: LaunchState, fpu: Option<&mut FpuSwitch>) -> Outcome {
        let launched = u32::from(state == LaunchState::Launched);
        let (carry, has_failed): (u8, u8);
        if let Some(fpu) = fpu {
            self.fpu = fpu;
            // SAFETY: the caller fulfils the conditions; `self` and `fpu` live until the call returns. The registers that it changes
            // and the ABI keeps are named; RBX and RBP it keeps.
            unsafe {
                asm!(
                    "call {}",
                    sym vm_enter_with_fpu,
                    in("rdi") self,
                    in("r8") u64::from(launched),
                    lateout("r9b") carry, lateout("r10b") has_failed,
                    lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
                    clobber_abi("sysv64"),
                );
            }
            self.fpu = core::ptr::null_mut();
        } else {
            // SAFETY: as above.
            unsafe {
                asm!(
                    "call {}",
                    "setc r9b",
                    "setbe r10b",
                    sym vm_enter,
                    in("rdi") self,
                    in("r8") u64::from(launched),
                    lateout("r9b") carry, lateout("r10b") has_failed,
                    lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
                    clobber_abi("sysv64"),
                );
            }
        }
        if has_failed == 0 { Outcome::Succeed } else { Outcome::new(carry, 1) }
    }
}

/// [`vm_enter`] with the FPU state of the guest. CF comes back in R9B, whether CF or ZF is 1 in R10B.
#[unsafe(naked)]
unsafe extern "sysv64" fn vm_enter_with_fpu() {
    naked_asm!(
        "push rdi",
        "mov rdi, [rdi + {fpu}]",
        "call {enter}",
        "mov rdi, [rsp]",
        "call {vm_enter}",
        "setc r9b",
        "setbe r10b",
        "pop rdi",
        "mov rdi, [rdi + {fpu}]",
        // Changes neither R9 nor R10.
        "jmp {leave}",
        fpu = const offset_of!(Switch, fpu),
        enter = sym fpu::enter,
        leave = sym fpu::leave,
        vm_enter = sym vm_enter,
    )
}

/// Saves RBX and RBP on the host's stack, with the pointer to the [`Switch`] in RDI on top, loads the guest's registers, and enters:
/// by VMRESUME unless R8D is 0. The caller has the compiler keep R12 to R15.
///
/// If the entry fails without leaving the host, it returns with CF or ZF as the instruction set them; otherwise [`vm_exit`] returns to
/// the caller, with both 0. RSP stays on the host's stack throughout, so that an NMI finds one.
#[unsafe(naked)]
unsafe extern "sysv64" fn vm_enter() {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push rdi",
        "cmp rsp, [rdi + {host_rsp}]",
        "jne 8f",
        "2:",
        "test r8d, r8d",
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
        "jz 7f",
        "vmresume",
        // The entry failed: CF means VMfailInvalid, ZF VMfailValid.
        "3:",
        "pop rdi",
        "pop rbx",
        "pop rbp",
        "ret",
        "7:",
        "vmlaunch",
        "jmp 3b",
        "8:",
        "mov eax, {host_rsp_field}",
        "vmwrite rax, rsp",
        "jbe 3b",
        "mov [rdi + {host_rsp}], rsp",
        "jmp 2b",
        host_rsp = const offset_of!(Switch, host_rsp),
        host_rsp_field = const field::HOST_RSP.encoding().get(),
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

/// HOST_RIP: where the processor goes on at an exit, with RFLAGS = 2. Saves the guest's registers and returns to the caller of
/// [`vm_enter`]; no instruction here changes CF and ZF.
///
/// Intel SDM vol. 3, section 30.5.3, "Loading Host RIP, RSP, RFLAGS, and SSP".
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
        "pop rdi",
        "pop rbx",
        "pop rbp",
        "ret",
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
