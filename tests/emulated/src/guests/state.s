# A guest that uses a bit of everything, for 16-, 32- and 64-bit code. What it prints tells of each register. Its data is at B000H; the word
# at B100H says what to leave out: see `state.rs`.

.section .rodata.guests, "a", @progbits
.globl state_real_start, state_real_end, state_protected_start, state_protected_end, state_long_start, state_long_end

.macro state_guest mode
    movl $0x11223344, %ebx
    movl $0x55667788, %ebp
    movl $0x99aabbcc, %edi
.if \mode == 64
    movabs $0x0807060504030201, %r8
    movabs $0x1817161514131211, %r9
    movabs $0x2827262524232221, %r10
    movabs $0x3837363534333231, %r11
    movabs $0x4847464544434241, %r12
    movabs $0x5857565554535251, %r13
    movabs $0x6867666564636261, %r14
    movabs $0x7877767574737271, %r15
.endif
    movups 0xb000, %xmm0
    movups 0xb010, %xmm7
    ldmxcsr 0xb104
    fninit
    fldpi
    fld1
    fldcw 0xb108
    testl $1, 0xb100
    jz 1f
.if \mode != 16
    vmovups 0xb020, %ymm2
    vmovups 0xb000, %ymm5
.endif
1:
    # Answered instructions.
    movl $7, %eax
    cpuid
    outl %eax, $0x20
    movl %ebx, %eax
    outl %eax, $0x20
    movl $0x11223344, %ebx
    paddd %xmm0, %xmm7
    movl $0xb000, %esi
    movl $9, %ecx
    movl $0x21, %edx
    cld
    rep outsb
    inl $0x22, %eax
    addl %eax, %ebx
    movl $0x176, %ecx
    movl $0xc0de, %eax
    xorl %edx, %edx
    wrmsr
    xorl %eax, %eax
    rdmsr
    outl %eax, $0x20
.if \mode == 64
    mov %cr0, %rax
    xorl $0x40000, %eax
    mov %rax, %cr0
    mov %cr4, %rax
    orl $4, %eax
    mov %rax, %cr4
.else
    movl %cr0, %eax
    xorl $0x40000, %eax
    movl %eax, %cr0
    movl %cr4, %eax
    orl $4, %eax
    movl %eax, %cr4
.endif
    outl %eax, $0x20
    # Events: an interrupt, an exception and an NMI of the host, a software interrupt, and HLT.
    sti
    nop
    movb $1, %al
    outb %al, $0x30
    movb $2, %al
    outb %al, $0x30
    movb $3, %al
    outb %al, $0x30
    int $0x41
    testl $2, 0xb100
    jz 1f
    movb $4, %al
    outb %al, $0x30
    int $0x43
1:
    hlt
    cli
    # Exits in a shadow.
    sti
    outl %eax, $0x20
    cli
    movw %ss, %ax
    movw %ax, %ss
    outl %eax, $0x20
    # A page that is not there.
    incl 0xc000
    movl 0xc000, %eax
    outl %eax, $0x20
    # All that was set at the start.
    movl %ebx, %eax
    outl %eax, $0x20
    movl %ebp, %eax
    outl %eax, $0x20
    movl %edi, %eax
    outl %eax, $0x20
    movl %esp, %eax
    outl %eax, $0x20
    movl %fs:4, %eax
    outl %eax, $0x20
.if \mode == 64
    mov %dr3, %rax
    outl %eax, $0x20
    movq %r8, %rax
    addq %r9, %rax
    xorq %r10, %rax
    addq %r11, %rax
    xorq %r12, %rax
    addq %r13, %rax
    xorq %r14, %rax
    addq %r15, %rax
    outl %eax, $0x20
    shrq $32, %rax
    outl %eax, $0x20
.else
    movl %dr3, %eax
    outl %eax, $0x20
.endif
    movups %xmm7, 0xb200
    stmxcsr 0xb210
    fnstcw 0xb214
    fstpl 0xb218
    fstpl 0xb220
    testl $1, 0xb100
    jz 1f
.if \mode != 16
    vaddps %ymm2, %ymm5, %ymm3
    vmovups %ymm3, 0xb240
.endif
1:
    movl $0xb200, %esi
    movl $0x60, %ecx
    movl $0x21, %edx
    rep outsb
    cli
    hlt
.endm

.code16
state_real_start:
    state_guest 16
state_real_end:

.code32
state_protected_start:
    state_guest 32
state_protected_end:

.code64
state_long_start:
    state_guest 64
state_long_end:
