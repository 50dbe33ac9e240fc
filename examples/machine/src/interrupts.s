# The entry of every vector. AT&T syntax.
#
# What counts may interrupt any code, so it touches RAX alone, which it restores, and no vector register.

.text
.code64

# The slot of this processor and vector: the selector in TR is 0x18 + 16 * index, a row of counts is 2048 bytes.
.macro COUNT vector
    pushq %rax
    strl  %eax
    shll  $7, %eax
    incq  ({counts} - 0x18 * 128 + \vector * 8)(%rax)
.endm

# #BP and NMI: count, take note of RIP, return.
.macro COUNTED vector
machine_vector_\vector:
    COUNT \vector
    movq  8(%rsp), %rax
    movq  %rax, {interrupted}(%rip)
    popq  %rax
    iretq
.endm

# An interrupt: count, tell the local APIC that it is over, return.
.macro INTERRUPT vector
machine_vector_\vector:
    COUNT \vector
    movl  ${end_of_interrupt}, %eax
    movl  $0, (%rax)
    popq  %rax
    iretq
.endm

# An exception that nobody expects: ends the run. The frame becomes vector, error code, RIP, CS, RFLAGS, RSP, SS.
.macro FATAL vector, has_error_code
machine_vector_\vector:
    .if \has_error_code == 0
    pushq $0
    .endif
    pushq $\vector
    jmp   fatal
.endm

.macro POINTER vector
    .quad machine_vector_\vector
.endm

fatal:
    cld
    movq  %rsp, %rdi
    andq  $-16, %rsp
    call  {exception}
    ud2

.altmacro
.set v, 0
.rept 32
  .if v == 2 || v == 3
    COUNTED %v
  .elseif v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21 || v == 29 || v == 30
    FATAL %v, 1
  .else
    FATAL %v, 0
  .endif
  .set v, v + 1
.endr
.rept 224
    INTERRUPT %v
  .set v, v + 1
.endr

.section .rodata.machine_vectors, "a", @progbits
.balign 8
.globl machine_vectors
machine_vectors:
.set v, 0
.rept 256
    POINTER %v
  .set v, v + 1
.endr
.noaltmacro
.text
