# From the start-up interrupt of an application processor to boot.s. AT&T syntax. Copied to {trampoline} before it runs.
.section .rodata.machine_trampoline, "a", @progbits
.globl machine_trampoline, machine_trampoline_end
.code16
machine_trampoline:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl ({trampoline} + trampoline_gdtr - machine_trampoline)
    movl %cr0, %eax
    orb  $1, %al                                # PE
    movl %eax, %cr0
    ljmpl $0x08, $({trampoline} + trampoline32 - machine_trampoline)
.code32
trampoline32:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl {starting}, %ebx                       # our index
    movl $machine_enter_long_mode, %eax
    jmpl *%eax
.balign 8
trampoline_gdt:
    .quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
trampoline_gdtr:
    .word . - trampoline_gdt - 1
    .long {trampoline} + trampoline_gdt - machine_trampoline
machine_trampoline_end:
.code64
.text
