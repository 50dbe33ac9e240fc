//! Guests in real mode.
#![expect(unsafe_code, reason = "assembly")]

use core::arch::{global_asm, x86_64::__cpuid};

/// Where an image goes, and starts.
pub(crate) const LOAD_ADDRESS: u64 = 0x7c00;

// Each is at LOAD_ADDRESS. BX is 0 on Intel processors, 1 on AMD's. Ports are those of `linux_module_abi::guest`.
global_asm!(
    r#"
    .section .rodata.guests, "a", @progbits
    .code16

    # Prints; asks a port, CPUID and the module; halts.
    .globl guest_hello, guest_hello_end
    guest_hello:
        mov $0x7000, %sp
        mov %bx, %bp
        mov $(hello_text - guest_hello + 0x7c00), %si
    1:  lodsb
        test %al, %al
        jz 2f
        out %al, $0x10
        jmp 1b
    2:  mov $0x1234, %ax
        out %ax, $0x12
        in $0x12, %ax
        cmp $0xedcb, %ax
        jne 9f
        xor %eax, %eax
        cpuid
        cmp $0x2d363878, %ebx
        jne 9f
        mov $1, %eax
        mov $41, %ebx
        test %bp, %bp
        jnz 3f
        .byte 0x0f, 0x01, 0xc1
        jmp 4f
    3:  .byte 0x0f, 0x01, 0xd9
    4:  cmp $42, %eax
        jne 9f
        hlt
    9:  mov $0xbad, %eax
        hlt
    hello_text:
        .asciz "hello from a guest under Linux\n"
    guest_hello_end:

    # Computes in general registers, on the x87 and in memory until its time is over; an exit now and then; halts if something is wrong. EAX counts.
    .globl guest_worker, guest_worker_end
    guest_worker:
        mov $0x7000, %sp
        sti
        fninit
        fldpi
        fldl2e
        xor %edi, %edi
        mov $0x12345678, %ebp
    1:  mov $2000, %ecx
        mov $1, %edx
    2:  imul $1103515245, %edx, %edx
        add $12345, %edx
        push %edx
        pop %esi
        cmp %esi, %edx
        jne 9f
        loop 2b
        fldl2e
        fcomip %st(1), %st
        jne 9f
        fxch
        fldpi
        fcomip %st(1), %st
        jne 9f
        fxch
        cmp $0x12345678, %ebp
        jne 9f
        inc %edi
        mov %edi, %eax
        out %ax, $0x12
        in $0x12, %ax
        not %ax
        cmp %ax, %di
        je 1b
    9:  mov $0xbad, %eax
        hlt
    guest_worker_end:

    # Does nothing, and lets nothing in; but Bochs 2.7, which is used for Intel, ends no run for an interrupt while the guest has IF = 0.
    .globl guest_spin, guest_spin_end
    guest_spin:
        test %bx, %bx
        jnz 1f
        sti
    1:  jmp 1b
    guest_spin_end:

    # Lets the module panic.
    .globl guest_panic, guest_panic_end
    guest_panic:
        mov $2, %eax
        test %bx, %bx
        jnz 3f
        .byte 0x0f, 0x01, 0xc1
        hlt
    3:  .byte 0x0f, 0x01, 0xd9
        hlt
    guest_panic_end:

    # Shuts down.
    .globl guest_triple_fault, guest_triple_fault_end
    guest_triple_fault:
        lidt 1f - guest_triple_fault + 0x7c00
        ud2
    1:  .word 0
        .long 0
    guest_triple_fault_end:

    # Reaches for memory that it has not.
    .globl guest_outside, guest_outside_end
    guest_outside:
        mov $0xffff, %ax
        mov %ax, %ds
        mov 0xffff, %al
        hlt
    guest_outside_end:

    .code64
    .text
    "#,
    options(att_syntax)
);

/// Defines functions that return the bytes between two symbols.
macro_rules! images {
    ($($name:ident: $start:ident..$end:ident;)*) => {
        $(
            pub(crate) fn $name() -> Vec<u8> {
                unsafe extern "C" {
                    static $start: u8;
                    static $end: u8;
                }
                let (start, end) = (&raw const $start, &raw const $end);
                let length = end.addr() - start.addr();
                // SAFETY: the symbols enclose bytes of the read-only data above.
                unsafe { core::slice::from_raw_parts(start, length) }.to_vec()
            }
        )*
    };
}

images! {
    hello: guest_hello..guest_hello_end;
    worker: guest_worker..guest_worker_end;
    spin: guest_spin..guest_spin_end;
    panic: guest_panic..guest_panic_end;
    triple_fault: guest_triple_fault..guest_triple_fault_end;
    outside: guest_outside..guest_outside_end;
}

/// What the guests take for the vendor.
pub(crate) fn vendor() -> u64 {
    u64::from(is_amd())
}

/// Whether the processor has SVM.
pub(crate) fn is_amd() -> bool {
    __cpuid(0x8000_0000).eax >= 0x8000_0001 && __cpuid(0x8000_0001).ecx & 1 << 2 != 0
}
