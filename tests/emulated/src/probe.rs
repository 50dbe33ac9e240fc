//! Calls a function with values of the caller's choice in registers that it must leave as they are, and sees what is there
//! afterwards.
#![expect(unsafe_code, reason = "assembly")]

use core::arch::naked_asm;
use core::ffi::c_void;
use core::mem::offset_of;

use crate::feature::{Feature, has};

/// Registers that a function keeps: by its ABI, or in practice since compiled code has no use for them.
#[derive(Clone, Copy, PartialEq, Debug)]
#[repr(C)]
pub(crate) struct Kept {
    /// RBX, RBP, R12, R13, R14, R15.
    pub(crate) gprs: [u64; 6],
    pub(crate) rflags: u64,
    /// What is on the x87 stack.
    pub(crate) x87: f64,
    /// YMM8 to YMM15, or in the lower halves XMM8 to XMM15.
    pub(crate) vectors: [[u64; 4]; 8],
    pub(crate) mxcsr: u32,
    pub(crate) x87_control: u32,
}

/// Values before and after.
#[repr(C)]
struct Image {
    before: Kept,
    after: Kept,
    has_ymm: u64,
}

/// Calls `function` with `before` in the registers, and returns what is in them then.
pub(crate) fn call<F: FnMut()>(before: &Kept, mut function: F) -> Kept {
    extern "sysv64" fn trampoline<F: FnMut()>(function: *mut c_void) {
        // SAFETY: `call` passes a pointer to a live `F` that nobody else uses.
        let function = unsafe { &mut *function.cast::<F>() };
        function();
    }
    let mut image = Image { before: *before, after: *before, has_ymm: u64::from(has(Feature::Avx)) };
    // SAFETY: the image and the function live until the call returns; `machine` enables YMM where the processor has them.
    unsafe { probe(&raw mut image, trampoline::<F>, (&raw mut function).cast()) };
    image.after
}

const AFTER: usize = offset_of!(Image, after);

/// Saves what the ABI asks for, loads `before`, calls, stores `after`, and restores.
#[unsafe(naked)]
unsafe extern "sysv64" fn probe(image: *mut Image, function: extern "sysv64" fn(*mut c_void), argument: *mut c_void) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "pushfq",
        "push rdi",
        "sub rsp, 24",
        "stmxcsr [rsp]",
        "fnstcw [rsp + 8]",
        "mov r10, rsi",
        "mov r11, rdx",
        // Load.
        "fninit",
        "fldcw [rdi + {x87_control}]",
        "fld qword ptr [rdi + {x87}]",
        "ldmxcsr [rdi + {mxcsr}]",
        "cmp qword ptr [rdi + {has_ymm}], 0",
        "jne 2f",
        "movups xmm8, [rdi + {vectors} + 0]",
        "movups xmm9, [rdi + {vectors} + 32]",
        "movups xmm10, [rdi + {vectors} + 64]",
        "movups xmm11, [rdi + {vectors} + 96]",
        "movups xmm12, [rdi + {vectors} + 128]",
        "movups xmm13, [rdi + {vectors} + 160]",
        "movups xmm14, [rdi + {vectors} + 192]",
        "movups xmm15, [rdi + {vectors} + 224]",
        "jmp 3f",
        "2:",
        "vmovups ymm8, [rdi + {vectors} + 0]",
        "vmovups ymm9, [rdi + {vectors} + 32]",
        "vmovups ymm10, [rdi + {vectors} + 64]",
        "vmovups ymm11, [rdi + {vectors} + 96]",
        "vmovups ymm12, [rdi + {vectors} + 128]",
        "vmovups ymm13, [rdi + {vectors} + 160]",
        "vmovups ymm14, [rdi + {vectors} + 192]",
        "vmovups ymm15, [rdi + {vectors} + 224]",
        "3:",
        "mov rbx, [rdi + {gprs} + 0]",
        "mov rbp, [rdi + {gprs} + 8]",
        "mov r12, [rdi + {gprs} + 16]",
        "mov r13, [rdi + {gprs} + 24]",
        "mov r14, [rdi + {gprs} + 32]",
        "mov r15, [rdi + {gprs} + 40]",
        "push [rdi + {rflags}]",
        "popfq",
        "mov rdi, r11",
        "call r10",
        // Store.
        "mov rdi, [rsp + 24]",
        "pushfq",
        "pop [rdi + {after} + {rflags}]",
        "mov [rdi + {after} + {gprs} + 0], rbx",
        "mov [rdi + {after} + {gprs} + 8], rbp",
        "mov [rdi + {after} + {gprs} + 16], r12",
        "mov [rdi + {after} + {gprs} + 24], r13",
        "mov [rdi + {after} + {gprs} + 32], r14",
        "mov [rdi + {after} + {gprs} + 40], r15",
        "cmp qword ptr [rdi + {has_ymm}], 0",
        "jne 4f",
        "movups [rdi + {after} + {vectors} + 0], xmm8",
        "movups [rdi + {after} + {vectors} + 32], xmm9",
        "movups [rdi + {after} + {vectors} + 64], xmm10",
        "movups [rdi + {after} + {vectors} + 96], xmm11",
        "movups [rdi + {after} + {vectors} + 128], xmm12",
        "movups [rdi + {after} + {vectors} + 160], xmm13",
        "movups [rdi + {after} + {vectors} + 192], xmm14",
        "movups [rdi + {after} + {vectors} + 224], xmm15",
        "jmp 5f",
        "4:",
        "vmovups [rdi + {after} + {vectors} + 0], ymm8",
        "vmovups [rdi + {after} + {vectors} + 32], ymm9",
        "vmovups [rdi + {after} + {vectors} + 64], ymm10",
        "vmovups [rdi + {after} + {vectors} + 96], ymm11",
        "vmovups [rdi + {after} + {vectors} + 128], ymm12",
        "vmovups [rdi + {after} + {vectors} + 160], ymm13",
        "vmovups [rdi + {after} + {vectors} + 192], ymm14",
        "vmovups [rdi + {after} + {vectors} + 224], ymm15",
        "5:",
        "stmxcsr [rdi + {after} + {mxcsr}]",
        "fnstcw [rdi + {after} + {x87_control}]",
        "fstp qword ptr [rdi + {after} + {x87}]",
        "fninit",
        "fldcw [rsp + 8]",
        "ldmxcsr [rsp]",
        "add rsp, 32",
        "popfq",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        after = const AFTER,
        gprs = const offset_of!(Kept, gprs),
        rflags = const offset_of!(Kept, rflags),
        x87 = const offset_of!(Kept, x87),
        vectors = const offset_of!(Kept, vectors),
        mxcsr = const offset_of!(Kept, mxcsr),
        x87_control = const offset_of!(Kept, x87_control),
        has_ymm = const offset_of!(Image, has_ymm),
    )
}
