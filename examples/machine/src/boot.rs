//! From reset to `main`.

#![expect(unsafe_code, reason = "takes the machine over from the assembly and calls the entry of the image")]

use core::arch::global_asm;

use crate::{Verdict, apic, control, exit, gdt, idt, pic, smp};

global_asm!(
    include_str!("boot.s"),
    start = sym start,
    stacks = sym gdt::STACKS,
    stack_size = const gdt::STACK_SIZE,
    options(att_syntax),
);

unsafe extern "Rust" {
    // SAFETY: only `entry!` defines this symbol, as a safe function of this type.
    safe fn machine_main() -> Verdict;
}

/// The first Rust of every processor, called by `boot.s` once on each, on its own stack.
extern "sysv64" fn start(index: u32) -> ! {
    let index = usize::try_from(index).expect("usize has 64 bits");
    gdt::load(index);
    if index == 0 {
        idt::fill();
    }
    idt::load();
    control::enable_features();
    apic::enable();
    if index == 0 {
        pic::mask();
        exit(machine_main())
    }
    smp::serve(index)
}
