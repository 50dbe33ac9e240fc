//! The world switch.
#![expect(unsafe_code, reason = "assembly")]

use core::arch::{asm, naked_asm};
use core::mem::offset_of;

use x86_virt_core::fpu::{self, FpuSwitch};
use x86_virt_core::{Gprs, Hpa};

/// Calls a function of assembly that keeps RBX and RBP, with what it takes in RDI, RSI, RDX and RCX. The registers that it changes and the
/// ABI keeps are named.
macro_rules! call {
    ($function:ident, $($register:tt = $value:expr),*) => {
        asm!(
            "call {}",
            sym $function,
            $(in($register) $value,)*
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        )
    };
}

/// Runs the guest until a #VMEXIT. RAX and RSP of the guest are in its VMCB, the other registers in `gprs`.
///
/// # Safety
///
/// - EFER.SVME is 1 and VM_HSAVE_PA is the address of an owned frame; the global interrupt flag is 1, RFLAGS.IF is 0, at
///   privilege level 0.
/// - `vmcb` is the physical address of a VMCB that intercepts what the host needs, whose permission maps and nested tables
///   live on.
/// - `host` is the physical address of a frame with what VMSAVE stored of the host, and the host still is so.
/// - `fpu` fulfils the contract of [`fpu::enter`].
#[inline]
pub(crate) unsafe fn enter(gprs: &mut Gprs, vmcb: Hpa, host: Hpa, fpu: Option<&mut FpuSwitch>) {
    if let Some(fpu) = fpu {
        // SAFETY: the caller fulfils the conditions, and the references are valid.
        unsafe { call!(run_with_fpu, "rdi" = gprs, "rsi" = vmcb.get(), "rdx" = host.get(), "rcx" = fpu) };
    } else {
        // SAFETY: as above.
        unsafe { call!(run, "rdi" = gprs, "rsi" = vmcb.get(), "rdx" = host.get()) };
    }
}

/// The same for a guest whose state stays in the registers, where `load` brings it from the VMCB. The global interrupt flag is 0 afterwards.
///
/// # Safety
///
/// - As for [`enter`], but that the global interrupt flag may be 0. What VMSAVE stored of the host is kept.
/// - Unless `load` is [`Load::Yes`], what VMLOAD loads is in the registers since the last exit.
/// - Until it has its own state back and the flag is 1, the host uses neither FS, GS, LDTR and TR nor the MSRs of SYSCALL and SYSENTER.
#[inline]
pub(crate) unsafe fn enter_resident(gprs: &mut Gprs, vmcb: Hpa, load: Load, fpu: Option<&mut FpuSwitch>) {
    let load = u64::from(load == Load::Yes);
    if let Some(fpu) = fpu {
        // SAFETY: the caller fulfils the conditions, and the references are valid.
        unsafe { call!(run_resident_with_fpu, "rdi" = gprs, "rsi" = vmcb.get(), "rdx" = load, "rcx" = fpu) };
    } else {
        // SAFETY: as above.
        unsafe { call!(run_resident, "rdi" = gprs, "rsi" = vmcb.get(), "rdx" = load) };
    }
}

/// Whether an entry executes VMLOAD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Load {
    Yes,
    No,
}

/// `$run` with the FPU state of the guest, by the `FpuSwitch` in RCX. Interrupts are disabled, and handlers of NMIs and machine checks
/// neither use nor change that state (`CpuPin`).
macro_rules! with_fpu {
    ($name:ident, $run:ident) => {
        #[doc = concat!("[`", stringify!($run), "`] with the FPU state of the guest.")]
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name() {
            naked_asm!(
                "push rcx",
                "push rsi",
                "push rdx",
                "push rdi",
                "mov rdi, rcx",
                "call {enter}",
                "pop rdi",
                "pop rdx",
                "pop rsi",
                "call {run}",
                "pop rdi",
                "jmp {leave}",
                enter = sym fpu::enter,
                leave = sym fpu::leave,
                run = sym $run,
            )
        }
    };
}

with_fpu!(run_with_fpu, run);
with_fpu!(run_resident_with_fpu, run_resident);

/// The world switch, with the address of the registers in RDI, that of the VMCB in RSI, and RDX for the three parts that differ: before
/// the guest's registers are loaded, with the VMCB in RAX; behind the exit, likewise; and when they are stored. RDX is on the stack
/// then, and leaves it. The caller has the compiler keep R12 to R15.
///
/// - RFLAGS.IF is 1 at VMRUN and no STI is right before it, whose shadow would reach into the guest. With V_INTR_MASKING it
///   is this IF that lets interrupts of the host end the run. It is 0 again before the global flag is 1, so that they wait
///   until the caller lets them in.
/// - VMRUN and #VMEXIT switch RFLAGS, RSP, RIP, CS, SS, DS, ES, CR0, CR2 of the guest, CR3, CR4, EFER, GDTR, IDTR, DR6, DR7
///   and the PAT. VMLOAD and VMSAVE switch what [`vmsave`](crate::instructions::vmsave) lists, the rest is done here.
/// - The addresses are kept on the host's stack: RSP never points into memory of the virtual processor.
///
/// AMD APM vol. 2, section 15.5, "VMRUN Instruction", section 15.6, "#VMEXIT", section 15.17, "Global Interrupt Flag, STGI
/// and CLGI Instructions", and section 15.21.1, "Physical (INTR) Interrupt Masking in EFLAGS".
macro_rules! world_switch {
    ($(#[$doc:meta])* $name:ident, enter: [$($enter:literal),*], exit: [$($exit:literal),*], leave: [$($leave:literal),*]) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name() {
            naked_asm!(
                "push rbp",
                "push rbx",
                "push rdi",
                "push rdx",
                "clgi",
                "sti",
                "mov rax, rsi",
                $($enter,)*
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
                $($exit,)*
                "mov rax, [rsp + 8]",
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
                $($leave,)*
                "pop rdi",
                "pop rbx",
                "pop rbp",
                "ret",
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
    };
}

world_switch! {
    /// The one that leaves the host with its own state, stored at the address in RDX. The global interrupt flag is 0 from the first change
    /// of the host's state to the last restoration, but for the FPU's: neither an NMI nor a machine check nor an SMI sees registers of the
    /// guest. While the guest runs the flag is 1, and these are taken or intercepted as the VMCB says. STGI at the end takes what is pending.
    run,
    enter: ["vmload rax"],
    exit: ["vmsave rax"],
    leave: ["pop rax", "vmload rax", "stgi"]
}

world_switch! {
    /// The one that leaves the guest's state in the registers, and the global interrupt flag 0. It is loaded unless EDX is 0.
    run_resident,
    enter: ["test edx, edx", "jz 2f", "vmload rax", "2:"],
    exit: [],
    leave: ["pop rdx"]
}
