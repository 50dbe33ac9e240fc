# A 64-bit guest that fills every register it can with values of its own, then ends runs with CPUID for ever and checks
# after each that nothing has changed. The host leaves all registers as they are at a CPUID.
#
# R14 bit 0: YMM registers may be used; the byte above: how many of the MSRs in the list it has for itself. Port 0xF0: failure, with the number of the check in AL.

.set FAILURE, 0xf0

.section .rodata.guests, "a", @progbits
.code64
.globl world_switch_start, world_switch_end

.macro fail_unless_equal check
    je 99f
    mov $\check, %al
    jmp failed
99:
.endm

.macro load register, index
    mov gprs + 8 * \index(%rip), %\register
.endm

.macro check register, index
    cmp gprs + 8 * \index(%rip), %\register
    fail_unless_equal 1
.endm

# Does something with every general-purpose register.
.macro with_every_gpr what
    \what rax, 0
    \what rcx, 1
    \what rdx, 2
    \what rbx, 3
    \what rsp, 4
    \what rbp, 5
    \what rsi, 6
    \what rdi, 7
    \what r8, 8
    \what r9, 9
    \what r10, 10
    \what r11, 11
    \what r12, 12
    \what r13, 13
    \what r14, 14
    \what r15, 15
.endm

world_switch_start:
    mov %r14, has_ymm(%rip)
    movzbl has_ymm + 1(%rip), %ebx
    mov %ebx, msr_count(%rip)
    fninit
    fldcw control_word(%rip)
    fldl number(%rip)
    ldmxcsr mxcsr(%rip)
    testb $1, has_ymm(%rip)
    jnz 1f
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movups vectors + 32 * \n(%rip), %xmm\n
    .endr
    jmp 2f
1:  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovups vectors + 32 * \n(%rip), %ymm\n
    .endr
2:  lgdt table_pointer(%rip)
    lidt table_pointer(%rip)
    xor %eax, %eax
    lldt %ax
    mov fault_address(%rip), %rax
    mov %rax, %cr2
    lea msrs(%rip), %rsi
    mov msr_count(%rip), %edi
3:  mov (%rsi), %ecx
    mov 8(%rsi), %eax
    mov 12(%rsi), %edx
    wrmsr
    add $16, %rsi
    dec %edi
    jnz 3b

again:
    # New values for the general-purpose registers.
    lea gprs(%rip), %rsi
    mov $16, %ecx
    mov $0x9e3779b97f4a7c15, %rax
4:  add %rax, (%rsi)
    add $8, %rsi
    dec %ecx
    jnz 4b
    swapgs
    with_every_gpr load
    cpuid
    with_every_gpr check
    # Bochs 2.7 takes note of an interrupt that was pending before an entry only when IF changes.
    sti
    cli
    swapgs

    # MSRs.
    lea msrs(%rip), %rsi
    mov msr_count(%rip), %edi
5:  mov (%rsi), %ecx
    rdmsr
    cmp 8(%rsi), %eax
    fail_unless_equal 2
    cmp 12(%rsi), %edx
    fail_unless_equal 2
    add $16, %rsi
    dec %edi
    jnz 5b

    mov %cr2, %rax
    cmp fault_address(%rip), %rax
    fail_unless_equal 3
    sgdt scratch(%rip)
    mov table_pointer(%rip), %rax
    cmp scratch(%rip), %rax
    fail_unless_equal 4
    sidt scratch(%rip)
    cmp scratch(%rip), %rax
    fail_unless_equal 5

    # x87, MXCSR, XMM and YMM.
    fnstcw scratch(%rip)
    mov control_word(%rip), %ax
    cmp scratch(%rip), %ax
    fail_unless_equal 6
    fstl scratch(%rip)
    mov number(%rip), %rax
    cmp scratch(%rip), %rax
    fail_unless_equal 7
    stmxcsr scratch(%rip)
    mov mxcsr(%rip), %eax
    cmp scratch(%rip), %eax
    fail_unless_equal 8
    lea scratch(%rip), %rdi
    lea vectors(%rip), %rsi
    testb $1, has_ymm(%rip)
    jnz 6f
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movups %xmm\n, 32 * \n(%rdi)
    .endr
    mov $16, %ecx
7:  mov (%rdi), %rax
    cmp (%rsi), %rax
    fail_unless_equal 9
    mov 8(%rdi), %rax
    cmp 8(%rsi), %rax
    fail_unless_equal 9
    add $32, %rsi
    add $32, %rdi
    dec %ecx
    jnz 7b
    jmp again
6:  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmovups %ymm\n, 32 * \n(%rdi)
    .endr
    mov $64, %ecx
8:  mov (%rdi), %rax
    cmp (%rsi), %rax
    fail_unless_equal 10
    add $8, %rsi
    add $8, %rdi
    dec %ecx
    jnz 8b
    jmp again

failed:
    out %al, $FAILURE
    jmp failed

.balign 16
has_ymm: .quad 0
msr_count: .quad 0
fault_address: .quad 0x5a5a5a5a12345678
table_pointer:
    .word 0x4321
    .quad 0x0000456789abcdef
    .balign 16
number: .double 2.718281828
control_word: .word 0x0f7f                      # round to zero
    .balign 16
mxcsr: .long 0x7f80                             # round to zero, exceptions masked
    .balign 16
msrs:
    .quad 0x174, 0x0000000000005678             # SYSENTER_CS
    .quad 0x175, 0x0000111122223333             # SYSENTER_ESP
    .quad 0x176, 0xffff888822223333             # SYSENTER_EIP
    .quad 0xc0000081, 0x1122334455667788        # STAR
    .quad 0xc0000082, 0xffff999922223333        # LSTAR
    .quad 0xc0000083, 0x0000333344445555        # CSTAR
    .quad 0xc0000084, 0x0000000000047700        # SFMASK
    .quad 0xc0000100, 0x0000444455556666        # FS_BASE
    .quad 0xc0000101, 0xffffaaaa55556666        # GS_BASE
    .quad 0xc0000102, 0x0000666677778888        # KERNEL_GS_BASE
    .quad 0x277, 0x0001040600010406             # PAT
gprs:
.rept 16
    .quad 0x0123456789abcdef
.endr
vectors:
.set v, 0
.rept 64
    .quad 0xfedcba9800000000 + v
    .set v, v + 0x1001
.endr
scratch: .fill 64, 8, 0
world_switch_end:
