# From reset to Rust. AT&T syntax.
#
# The reset stub: the launcher puts this section into the last 256 bytes of a ROM which ends at 4 GiB.
# It is not loaded with the image, so every address is a distance from `reset` plus the place of the stub.
.section .romstub, "R", @progbits
.set STUB, 0xFFFFFF00
.code16
reset:
    cli
    cld
    lgdtl %cs:(0xFF00 + reset_gdtr - reset)     # CS base is 0xFFFF0000
    movl %cr0, %eax
    orb  $1, %al                                # PE
    movl %eax, %cr0
    ljmpl $0x08, $(STUB + reset32 - reset)
.code32
reset32:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    # Bochs gives memory to 128 KiB blocks of addresses in the order of their first use, but loads a file as if they
    # followed each other: use those of the image, and of what may be loaded with it, in order, before anything else.
    movl $machine_entry, %esi
1:  movb (%esi), %al
    addl $0x20000, %esi
    cmpl $0x08000000, %esi
    jb   1b
    movl $machine_entry, %eax
    jmpl *%eax
.balign 8
reset_gdt:
    .quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
reset_gdtr:
    .word . - reset_gdt - 1
    .long STUB + reset_gdt - reset
.org 0xF0                                       # the reset vector, 0xFFFFFFF0
.code16
    jmp reset
.org 0x100

# The first bytes of the image, at 1 MiB: 32-bit protected mode, flat segments, no stack.
.section .boot, "awx", @progbits
.code32
.globl machine_entry
machine_entry:
    movl $machine_bss_start, %edi
    movl $machine_bss_end, %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl

    # Map the first 4 GiB to themselves, in pages of 2 MiB.
    movl $(pdpt + 0x03), pml4                   # present, writable
    movl $(pd + 0x03), %eax
    movl $pdpt, %edi
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $0x1000, %eax
    addl $8, %edi
    loop 1b
    movl $pd, %edi
    movl $0x83, %eax                            # present, writable, 2 MiB
    movl $2048, %ecx
1:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    loop 1b

    # Paging has 5 levels if the command line says `la57`, which the launcher says only of processors that have it.
    movl $0x620, boot_cr4                       # PAE, OSFXSR, OSXMMEXCPT
    movl $pml4, boot_root
    movl $(pml4 + 0x03), pml5
    movl $0x7000, %esi                          # see args.rs
1:  cmpb $0, (%esi)
    je   2f
    cmpl $0x3735616C, (%esi)                    # "la57"
    je   3f
    incl %esi
    jmp  1b
3:  orl  $0x1000, boot_cr4                      # LA57
    movl $pml5, boot_root
2:
    xorl %ebx, %ebx                             # the bootstrap processor has index 0
    jmp machine_enter_long_mode

# Every processor comes here, from 32-bit protected mode, with its index in EBX.
.globl machine_enter_long_mode
machine_enter_long_mode:
    movl %cr4, %eax
    orl  boot_cr4, %eax
    movl %eax, %cr4
    movl boot_root, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx                      # EFER
    rdmsr
    orl  $0x900, %eax                           # LME, NXE
    wrmsr
    movl %cr0, %eax
    andl $0x9FFFFFFB, %eax                      # not CD, NW, EM
    orl  $0x80010023, %eax                      # PG, WP, NE, MP, PE
    movl %eax, %cr0
    lgdtl boot_gdtr
    ljmpl $0x08, $long_mode
.code64
long_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    fninit
    leal 1(%rbx), %eax                          # the end of stack number EBX
    imull ${stack_size}, %eax, %eax
    leaq {stacks}(%rax), %rsp
    movl %ebx, %edi
    xorl %ebp, %ebp
    call {start}
    ud2

.balign 8
boot_gdt:                                       # until the processor loads its own, see gdt.rs
    .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF
boot_gdtr:
    .word . - boot_gdt - 1
    .long boot_gdt
    .long 0

.section .bss.boot, "aw", @nobits
.balign 4096
pml5: .skip 0x1000
pml4: .skip 0x1000
pdpt: .skip 0x1000
pd:   .skip 0x4000
boot_cr4:  .skip 4
boot_root: .skip 4

.text
