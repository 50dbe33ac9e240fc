//! Instructions of VMX and SVM, which this processor does not have: each ends the program with SIGILL, or SIGSEGV.
#![expect(unsafe_code, reason = "executes instructions that fault")]

use core::arch::asm;

/// Executes the instruction with this name, and comes back only if it did not fault.
pub(crate) fn run(name: &str) -> Result<(), String> {
    let mut operand = 0_u64;
    let operand = &raw mut operand;
    match name {
        // SAFETY: on a processor without VMX and SVM it raises #UD and does nothing else; on one with them a program at CPL 3 gets
        // #GP or #UD.
        "vmxon" => unsafe { asm!("vmxon [{}]", in(reg) operand) },
        // SAFETY: as above.
        "vmlaunch" => unsafe { asm!("vmlaunch") },
        // SAFETY: as above.
        "vmrun" => unsafe { asm!("vmrun", in("rax") operand) },
        // SAFETY: as above.
        "vmsave" => unsafe { asm!("vmsave", in("rax") operand) },
        _ => return Err("there is no such test".to_owned()),
    }
    Ok(())
}
