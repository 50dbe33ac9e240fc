# 64-bit guests that switch between address spaces by VMFUNC with EAX = 0 and the index in ECX.

.section .rodata.guests, "a", @progbits
.code64
.globl views_sum_start, views_sum_end, views_fault_start, views_fault_end

# R10 times adds to RDI the word at R8 in the spaces 0, 1 and 2.
views_sum_start:
    xor %edi, %edi
1:
    xor %edx, %edx
2:
    xor %eax, %eax
    mov %edx, %ecx
    vmfunc
    add (%r8), %rdi
    inc %edx
    cmp $3, %edx
    jb 2b
    dec %r10
    jnz 1b
    hlt
views_sum_end:

# The handler of #VE, at the start: copies what the area at R9 says to R11, counts in R12, frees the area and switches to the
# space 1. Behind it, at 128: R10 times switches to the space 0 and adds the word at R8 to RDI.
views_fault_start:
    push %rax
    push %rcx
    mov (%r9), %rax
    mov %rax, (%r11)
    mov 8(%r9), %rax
    mov %rax, 8(%r11)
    mov 16(%r9), %rax
    mov %rax, 16(%r11)
    mov 24(%r9), %rax
    mov %rax, 24(%r11)
    movzwl 32(%r9), %eax
    mov %rax, 32(%r11)
    inc %r12
    movl $0, 4(%r9)
    xor %eax, %eax
    mov $1, %ecx
    vmfunc
    pop %rcx
    pop %rax
    iretq
    .fill 128 - (. - views_fault_start), 1, 0xcc
    xor %edi, %edi
3:
    xor %eax, %eax
    xor %ecx, %ecx
    vmfunc
    add (%r8), %rdi
    dec %r10
    jnz 3b
    hlt
views_fault_end:
.text
