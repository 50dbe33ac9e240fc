# A 64-bit guest that reads eight bytes at 0xA123 and prints them.

.section .rodata.guests, "a", @progbits
.code64
.globl reader_start, reader_end
reader_start:
    mov $0xa123, %esi
    mov $8, %ecx
    mov $0x3f8, %edx
    rep outsb
    mov $10, %al
    out %al, (%dx)
    hlt
reader_end:
.text
