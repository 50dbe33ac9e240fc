//! Handlers of the host's interrupts, by their vectors.
#![expect(unsafe_code, reason = "assembly")]

use core::arch::{asm, naked_asm};

/// Calls the handler of `vector` by its gate, as an interrupt does.
///
/// # Safety
///
/// At privilege level 0; the gate of the vector leads to a handler that may run now, keeps all registers and returns by IRET.
pub(crate) unsafe fn call(vector: u8) {
    // SAFETY: the entry for the vector is INT N and RET; the caller promises what is behind the gate. Without `nostack` there is no
    // red zone below the stack pointer.
    unsafe {
        asm!(
            "lea {entry}, [rip + {entries}]",
            "lea {entry}, [{entry} + 4 * {vector}]",
            "call {entry}",
            entries = sym entries,
            vector = in(reg) u64::from(vector),
            entry = out(reg) _,
        );
    }
}

/// INT N and RET for each vector N, four bytes each: the vector of INT is part of the instruction.
#[unsafe(naked)]
unsafe extern "sysv64" fn entries() {
    naked_asm!(
        ".set x86_virt_vector, 0",
        ".rept 256",
        ".byte 0xcd, x86_virt_vector",
        "ret",
        "nop",
        ".set x86_virt_vector, x86_virt_vector + 1",
        ".endr",
    )
}

#[cfg(test)]
mod tests {
    use super::entries;

    #[test]
    #[expect(clippy::as_conversions, reason = "a function pointer has no other conversion to an address")]
    fn each_vector_has_an_entry() {
        let function: unsafe extern "sysv64" fn() = entries;
        let code = (function as *const ()).cast::<[[u8; 4]; 256]>();
        // SAFETY: the function is 256 entries of four bytes.
        let code = unsafe { code.read_unaligned() };
        for (vector, entry) in (0..=u8::MAX).zip(code) {
            assert_eq!(entry, [0xcd, vector, 0xc3, 0x90]);
        }
    }
}
