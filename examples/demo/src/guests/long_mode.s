# A 64-bit guest with page tables, GDT and IDT of its own. It is loaded at 0x10000 and starts there, with RSP at 0xF000.
#
# Ports: 0x3F8 console; 0x510 gives the complement of what was written to it; 0x512 gives the letters from "a" on;
# 0x5F0 failure, with the number of the step in AL.
# Hypercalls, number in RAX: 1 answers with RBX + 1; 2 injects #GP with error code 0x18; 3 injects an NMI;
# 4 comes before the measured loop, whose number of CPUIDs is in RBX; 5 tells whether to end in a triple fault.
# Registers: R15 is the address of the variables, R14 is 1 on AMD processors.

.set CONSOLE, 0x3f8
.set ECHO, 0x510
.set LETTERS, 0x512
.set FAILURE, 0x5f0
.set SIGNATURE, 0x40000000
.set LOOP_COUNT, 1000

.section .rodata.guests, "a", @progbits
.code64
.globl long_mode_start, long_mode_end

# Prints a text with REP OUTSB.
.macro say text
    lea 90f(%rip), %rsi
    mov $91f - 90f, %ecx
    mov $CONSOLE, %edx
    rep outsb
    jmp 92f
90: .ascii "\text\n"
91:
92:
.endm

# Reports failure of a step.
.macro fail step
    mov $\step, %al
    jmp failed
.endm

.macro hypercall number
    mov $\number, %eax
    call do_hypercall
.endm

# Makes an interrupt gate for a vector.
.macro gate vector, handler
    lea \handler(%rip), %rax
    lea idt - variables + 16 * \vector(%r15), %rdi
    mov %ax, (%rdi)
    movw $8, 2(%rdi)
    movw $0x8e00, 4(%rdi)
    shr $16, %rax
    mov %ax, 6(%rdi)
    shr $16, %rax
    mov %eax, 8(%rdi)
    movl $0, 12(%rdi)
.endm

long_mode_start:
    lea variables(%rip), %r15
    # Tables of its own: GDT and IDT.
    lea gdt(%rip), %rax
    mov %rax, gdt_pointer - variables + 2(%r15)
    lgdt gdt_pointer - variables(%r15)
    gate 2, on_nmi
    gate 13, on_general_protection
    gate 0x40, on_interrupt
    lea idt - variables(%r15), %rax
    mov %rax, idt_pointer - variables + 2(%r15)
    lidt idt_pointer - variables(%r15)
    say "hello from 64-bit mode"

    # CPUID: the vendor is the processor's, the signature the hypervisor's.
    xor %eax, %eax
    cpuid
    xor %r14d, %r14d
    cmp $0x68747541, %ebx
    sete %r14b
    mov $SIGNATURE, %eax
    cpuid
    cmp $0x2d363878, %ebx
    je 1f
    fail 1
1:  say "CPUID: the hypervisor signs"

    # RDMSR and WRMSR that the hypervisor answers.
    mov $SIGNATURE, %ecx
    mov $0x89abcdef, %eax
    mov $0x01234567, %edx
    wrmsr
    xor %eax, %eax
    xor %edx, %edx
    rdmsr
    cmp $0x89abcdef, %eax
    jne 1f
    cmp $0x01234567, %edx
    je 2f
1:  fail 2
2:  say "RDMSR, WRMSR: intercepted"

    # RDMSR and WRMSR of KERNEL_GS_BASE, which the guest has for itself.
    mov $0xc0000102, %ecx
    mov $0x11112222, %eax
    mov $0x00003333, %edx
    wrmsr
    xor %eax, %eax
    xor %edx, %edx
    rdmsr
    cmp $0x11112222, %eax
    jne 1f
    cmp $0x00003333, %edx
    je 2f
1:  fail 3
2:  say "RDMSR, WRMSR: passed through"

    # IN and OUT of 1, 2 and 4 bytes.
    mov $ECHO, %edx
    mov $-1, %rax
    mov $0x5a, %al
    out %al, (%dx)
    in (%dx), %al
    cmp $0xa5, %al
    jne 1f
    mov $0x1234, %ax
    out %ax, (%dx)
    in (%dx), %ax
    cmp $0xedcb, %ax
    jne 1f
    # The upper half stayed, and a 32-bit IN clears it.
    shr $16, %rax
    inc %rax
    bt $48, %rax
    jnc 1f
    mov $0x12345678, %eax
    out %eax, (%dx)
    in (%dx), %eax
    mov $0xedcba987, %ecx
    cmp %rcx, %rax
    je 2f
1:  fail 4
2:  say "IN, OUT: 1, 2 and 4 bytes"

    # String input.
    lea buffer - variables(%r15), %rdi
    mov $4, %ecx
    mov $LETTERS, %edx
    rep insb
    cmpl $0x64636261, buffer - variables(%r15)
    jne 1f
    test %ecx, %ecx
    jz 2f
1:  fail 5
2:  say "INS, OUTS: with REP"

    # HLT until an interrupt comes.
    sti
    hlt
    cli
    cmpl $1, interrupts - variables(%r15)
    je 1f
    fail 6
1:  say "HLT: an interrupt of vector 0x40 came through the IDT"

    # A hypercall that answers.
    mov $41, %ebx
    hypercall 1
    cmp $42, %eax
    je 1f
    fail 7
1:  say "hypercall: answered"

    # CR4: the guest sees what it wrote.
    mov %cr4, %rax
    or $0x80, %rax
    mov %rax, %r9
    mov %r9, %cr4
    mov %cr4, %rbx
    cmp %r9, %rbx
    je 1f
    fail 8
1:  say "MOV CR4: seen"

    # Memory that is not mapped at first.
    mov $0x203008, %rbx
    mov $0x5555aaaa12345678, %rax
    mov %rax, (%rbx)
    cmp %rax, (%rbx)
    je 1f
    fail 9
1:  say "unmapped memory: mapped on demand"

    # An exception with an error code.
    hypercall 2
    cmpl $0x18, error_code - variables(%r15)
    je 1f
    fail 10
1:  say "#GP: injected, with its error code"

    # A non-maskable interrupt.
    hypercall 3
    cmpl $1, nmis - variables(%r15)
    je 1f
    fail 11
1:  say "NMI: injected"

    # The measured loop.
    mov $LOOP_COUNT, %ebx
    hypercall 4
    mov $LOOP_COUNT, %r13d
1:  mov $(SIGNATURE + 1), %eax
    cpuid
    dec %r13d
    jnz 1b

    # A triple fault, where the emulator has an exit for it.
    hypercall 5
    test %eax, %eax
    jnz 1f
    say "goodbye: no triple fault, which this emulator would stop at"
2:  hlt
    jmp 2b
1:  say "goodbye: a triple fault"
    movw $0, idt_pointer - variables(%r15)
    lidt idt_pointer - variables(%r15)
    ud2

failed:
    mov $FAILURE, %edx
    out %al, (%dx)
1:  hlt
    jmp 1b

do_hypercall:
    test %r14d, %r14d
    jnz 1f
    vmcall
    ret
1:  vmmcall
    ret

on_interrupt:
    incl interrupts - variables(%r15)
    iretq

on_nmi:
    incl nmis - variables(%r15)
    iretq

on_general_protection:
    popq error_code - variables(%r15)
    iretq

.balign 16
variables:
gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
idt:
    .fill 16 * 65, 1, 0
interrupts: .quad 0
nmis:       .quad 0
error_code: .quad 0
buffer:     .quad 0
gdt_pointer:
    .word 23
    .quad 0
idt_pointer:
    .word 16 * 65 - 1
    .quad 0
long_mode_end:
.text
