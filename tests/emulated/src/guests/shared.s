# 64-bit guests that share an address space with others. RSI: where they count their rounds. They end by HLT, and only if something is
# wrong. STI and CLI: Bochs 2.7 takes note of an interrupt that was pending before the entry only when IF changes. PAUSE: QEMU with
# `-icount` lets another processor run.

.section .rodata.guests, "a", @progbits
.code64
.globl shared_reader_start, shared_reader_end, shared_caller_start, shared_caller_end

# Reads the word at R8, then that at R9: the second is never less than the first.
shared_reader_start:
    xor %edi, %edi
1:
    sti
    cli
    mov (%r8), %rax
    mov (%r9), %rbx
    cmp %rax, %rbx
    jb 2f
    inc %rdi
    mov %rdi, (%rsi)
    pause
    jmp 1b
2:
    hlt
shared_reader_end:

# Calls what is in every 73rd page of R9 bytes from R8 on: it returns the number of its page in EAX. The same number is in the
# second word of the page.
shared_caller_start:
    xor %edi, %edi
1:
    xor %r10d, %r10d
2:
    sti
    cli
    lea (%r8, %r10), %rbx
    mov %r10, %rdx
    shr $12, %rdx
    call *%rbx
    cmp %eax, %edx
    jne 3f
    cmp %rdx, 8(%rbx)
    jne 3f
    inc %rdi
    mov %rdi, (%rsi)
    pause
    add $73 * 4096, %r10
    cmp %r9, %r10
    jb 2b
    jmp 1b
3:
    hlt
shared_caller_end:
.code64
.text
