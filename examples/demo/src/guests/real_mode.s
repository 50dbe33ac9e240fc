# A 16-bit real-mode guest at 0000:7C00. It prints through port 0x3F8 and halts.

.section .rodata.guests, "a", @progbits
.code16
.globl real_mode_start, real_mode_end
real_mode_start:
    cld
    call 1f
1:  pop %si
    add $real_mode_text - 1b, %si
    mov $0x3f8, %dx
2:  lodsb
    test %al, %al
    jz 3f
    out %al, (%dx)
    jmp 2b
3:  hlt
    jmp 3b
real_mode_text:
    .asciz "hello from 16-bit real mode\n"
real_mode_end:
.code64
.text
