//! The functions on memory to which rustc compiles calls; elsewhere they come from the C library.

#![expect(unsafe_code, reason = "defines functions of C")]

use core::arch::asm;

// SAFETY: no other code in an image defines this symbol, and this is the function that C knows by it.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller may write `length` bytes at `to` and read as many at `from`, which do not overlap; the ABI
    // has DF clear.
    unsafe {
        asm!(
            "mov {rest:e}, ecx",
            "shr rcx, 3",
            "rep movsq",
            "mov ecx, {rest:e}",
            "and ecx, 7",
            "rep movsb",
            rest = out(reg) _,
            inout("rcx") length => _,
            inout("rdi") to => _,
            inout("rsi") from => _,
            options(nostack),
        );
    }
    to
}

// SAFETY: no other code in an image defines this symbol, and this is the function that C knows by it.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= length {
        // SAFETY: as for the caller; copying upwards, in whatever pieces, never writes what is still to be read: `to`
        // is below `from` or after the end.
        return unsafe { memcpy(to, from, length) };
    }
    // SAFETY: the caller may write `length` bytes at `to` and read as many at `from`. `to` is inside of `from`, so
    // copying downwards never writes what is still to be read. `length` is not 0 here. DF is clear again after.
    unsafe {
        asm!(
            "std",
            "rep movsb",
            "cld",
            inout("rcx") length => _,
            inout("rdi") to.wrapping_add(length - 1) => _,
            inout("rsi") from.wrapping_add(length - 1) => _,
            options(nostack),
        );
    }
    to
}

// SAFETY: no other code in an image defines this symbol, and this is the function that C knows by it.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
    // All in assembly, for what rustc makes of an array of eight equal bytes is a call of this function.
    // SAFETY: the caller may write `length` bytes at `to`; the ABI has DF clear.
    unsafe {
        asm!(
            "movzx eax, al",
            "mov {rest}, 0x0101010101010101",
            "imul rax, {rest}",
            "mov {rest:e}, ecx",
            "shr rcx, 3",
            "rep stosq",
            "mov ecx, {rest:e}",
            "and ecx, 7",
            "rep stosb",
            rest = out(reg) _,
            inout("rcx") length => _,
            inout("rdi") to => _,
            inout("eax") value => _,
            options(nostack),
        );
    }
    to
}

// SAFETY: no other code in an image defines this symbol, and this is the function that C knows by it.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
    let (above, below): (u8, u8);
    // SAFETY: the caller may read `length` bytes at `a` and `b`; the ABI has DF clear. TEST makes equal what is empty.
    unsafe {
        asm!(
            "test ecx, 0",
            "repe cmpsb",
            "seta {above}",
            "setb {below}",
            above = out(reg_byte) above,
            below = out(reg_byte) below,
            inout("rcx") length => _,
            inout("rsi") a => _,
            inout("rdi") b => _,
            options(nostack, readonly),
        );
    }
    i32::from(above) - i32::from(below)
}

// SAFETY: no other code in an image defines this symbol, and this is the function that C knows by it.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, length: usize) -> i32 {
    // SAFETY: as for the caller.
    unsafe { memcmp(a, b, length) }
}
