//! The world switch.
#![expect(unsafe_code, reason = "assembly")]

use core::arch::naked_asm;
use core::mem::offset_of;

use x86_virt_core::Gprs;
use x86_virt_core::fpu::{self, FpuSwitch};

/// Runs the guest until a #VMEXIT. RAX and RSP of the guest are in its VMCB, the other registers in `gprs`.
///
/// - The global interrupt flag is 0 from the first change of the host's state to the last restoration: neither an NMI nor a
///   machine check nor an SMI sees registers of the guest. While the guest runs the flag is 1, and these are taken or
///   intercepted as the VMCB says. STGI at the end takes what is pending.
/// - RFLAGS.IF is 1 at VMRUN and no STI is right before it, whose shadow would reach into the guest. With V_INTR_MASKING it
///   is this IF that lets interrupts of the host end the run. It is 0 again before the global flag is 1, so that they wait
///   until the caller lets them in.
/// - VMRUN and #VMEXIT switch RFLAGS, RSP, RIP, CS, SS, DS, ES, CR0, CR2 of the guest, CR3, CR4, EFER, GDTR, IDTR, DR6, DR7
///   and the PAT. VMLOAD and VMSAVE switch what [`vmsave`](crate::instructions::vmsave) lists, the rest is done here.
/// - The addresses are kept on the host's stack: RSP never points into memory of the virtual processor.
///
/// AMD APM vol. 2, section 15.5, "VMRUN Instruction", section 15.6, "#VMEXIT", section 15.17, "Global Interrupt Flag, STGI
/// and CLGI Instructions", and section 15.21.1, "Physical (INTR) Interrupt Masking in EFLAGS".
///
/// # Safety
///
/// - EFER.SVME is 1 and VM_HSAVE_PA is the address of an owned frame; the global interrupt flag is 1, RFLAGS.IF is 0, at
///   privilege level 0.
/// - `vmcb` is the physical address of a VMCB that intercepts what the host needs, whose permission maps and nested tables
///   live on.
/// - `host` is the physical address of a frame with what VMSAVE stored of the host, and the host still is so.
/// - `gprs` and `fpu` are valid, and `fpu` fulfils the contract of [`fpu::enter`].
#[unsafe(naked)]
pub(crate) unsafe extern "sysv64" fn enter(gprs: *mut Gprs, vmcb: u64, host: u64, fpu: *mut FpuSwitch) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdi",
        "push rdx",
        "push rcx",
        "clgi",
        "sti",
        "mov rbx, rsi",
        "mov rdi, rcx",
        "call {fpu_enter}",
        "mov rax, rbx",
        "vmload rax",
        "mov rdi, [rsp + 16]",
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
        "vmrun rax",
        "cli",
        "vmsave rax",
        "mov rax, [rsp + 16]",
        "mov [rax + {rcx}], rcx",
        "mov [rax + {rdx}], rdx",
        "mov [rax + {rbx}], rbx",
        "mov [rax + {rbp}], rbp",
        "mov [rax + {rsi}], rsi",
        "mov [rax + {rdi}], rdi",
        "mov [rax + {r8}], r8",
        "mov [rax + {r9}], r9",
        "mov [rax + {r10}], r10",
        "mov [rax + {r11}], r11",
        "mov [rax + {r12}], r12",
        "mov [rax + {r13}], r13",
        "mov [rax + {r14}], r14",
        "mov [rax + {r15}], r15",
        "mov rax, [rsp + 8]",
        "vmload rax",
        "mov rdi, [rsp]",
        "call {fpu_leave}",
        "stgi",
        "add rsp, 24",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        fpu_enter = sym fpu::enter,
        fpu_leave = sym fpu::leave,
        rcx = const offset_of!(Gprs, rcx),
        rdx = const offset_of!(Gprs, rdx),
        rbx = const offset_of!(Gprs, rbx),
        rbp = const offset_of!(Gprs, rbp),
        rsi = const offset_of!(Gprs, rsi),
        rdi = const offset_of!(Gprs, rdi),
        r8 = const offset_of!(Gprs, r8),
        r9 = const offset_of!(Gprs, r9),
        r10 = const offset_of!(Gprs, r10),
        r11 = const offset_of!(Gprs, r11),
        r12 = const offset_of!(Gprs, r12),
        r13 = const offset_of!(Gprs, r13),
        r14 = const offset_of!(Gprs, r14),
        r15 = const offset_of!(Gprs, r15),
    )
}
