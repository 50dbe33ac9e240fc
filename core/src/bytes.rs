//! Bytes that guests, and other threads of the host, access at the same time.
//!
//! To the language every access here is a relaxed atomic one to a single byte, so that threads of the host may race on guest
//! memory. On x86-64 the string instructions do it, of which each step is such an access.
#![expect(unsafe_code, reason = "reaches guest memory")]

use core::ptr::NonNull;

/// Copies the bytes from `source` on to `buffer`.
///
/// # Safety
///
/// `buffer.len()` bytes from `source` on are guest memory: mapped, and no Rust object.
#[inline]
pub(crate) unsafe fn load(source: NonNull<u8>, buffer: &mut [u8]) {
    // SAFETY: the caller promises the source; the target is `buffer`.
    unsafe { copy(source.as_ptr(), buffer.as_mut_ptr(), buffer.len()) };
}

/// Copies `data` to the bytes from `target` on.
///
/// # Safety
///
/// `data.len()` bytes from `target` on are guest memory: mapped, and no Rust object.
#[inline]
pub(crate) unsafe fn store(target: NonNull<u8>, data: &[u8]) {
    // SAFETY: the caller promises the target; the source is `data`.
    unsafe { copy(data.as_ptr(), target.as_ptr(), data.len()) };
}

/// Copies `length` bytes upwards.
///
/// # Safety
///
/// Both ranges may be accessed as the caller's contract says, and do not overlap.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn copy(source: *const u8, target: *mut u8, length: usize) {
    // SAFETY: the caller promises both ranges; DF is 0 wherever Rust code runs.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rsi") source => _,
            inout("rdi") target => _,
            inout("rcx") length => _,
            options(nostack, preserves_flags),
        );
    }
}

/// Fills `length` bytes from `target` on with `byte`.
///
/// # Safety
///
/// They are guest memory: mapped, and no Rust object.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn fill(target: NonNull<u8>, byte: u8, length: usize) {
    // SAFETY: the caller promises the range; DF is 0 wherever Rust code runs.
    unsafe {
        core::arch::asm!(
            "rep stosb",
            inout("rdi") target.as_ptr() => _,
            inout("rcx") length => _,
            in("al") byte,
            options(nostack, preserves_flags),
        );
    }
}

/// Copies `length` bytes upwards.
///
/// # Safety
///
/// Both ranges may be accessed as the caller's contract says, and do not overlap.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn copy(source: *const u8, target: *mut u8, length: usize) {
    use core::sync::atomic::{AtomicU8, Ordering};
    for index in 0..length {
        // SAFETY: inside the range that the caller promises.
        let from = unsafe { source.add(index) };
        // SAFETY: as above.
        let to = unsafe { target.add(index) };
        // SAFETY: the byte may be read; it is not written through this reference.
        let byte = unsafe { AtomicU8::from_ptr(from.cast_mut()) }.load(Ordering::Relaxed);
        // SAFETY: the byte may be written.
        unsafe { AtomicU8::from_ptr(to) }.store(byte, Ordering::Relaxed);
    }
}

/// Fills `length` bytes from `target` on with `byte`.
///
/// # Safety
///
/// They are guest memory: mapped, and no Rust object.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) unsafe fn fill(target: NonNull<u8>, byte: u8, length: usize) {
    use core::sync::atomic::{AtomicU8, Ordering};
    for index in 0..length {
        // SAFETY: inside the range that the caller promises.
        let to = unsafe { target.add(index) };
        // SAFETY: the byte may be written.
        unsafe { AtomicU8::from_ptr(to.as_ptr()) }.store(byte, Ordering::Relaxed);
    }
}

/// Replaces the `old` bytes at `target` by `new`, in one locked operation. False if they are others.
///
/// # Safety
///
/// 4 bytes from `target` on, which is a multiple of 4, are guest memory: mapped, and no Rust object.
#[inline]
pub(crate) unsafe fn compare_exchange_u32(target: NonNull<u8>, old: u32, new: u32) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let found: u32;
        // SAFETY: the caller promises the bytes. The assembly, and not the language, mixes sizes of accesses.
        unsafe {
            core::arch::asm!("lock cmpxchg [{}], {:e}", in(reg) target.as_ptr(), in(reg) new, inout("eax") old => found, options(nostack));
        }
        found == old
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        use core::sync::atomic::{AtomicU32, Ordering};
        // SAFETY: the caller promises the bytes and their alignment.
        let target = unsafe { AtomicU32::from_ptr(target.as_ptr().cast()) };
        target.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}

/// Replaces the `old` bytes at `target` by `new`, in one locked operation. False if they are others.
///
/// # Safety
///
/// 8 bytes from `target` on, which is a multiple of 8, are guest memory: mapped, and no Rust object.
#[inline]
pub(crate) unsafe fn compare_exchange_u64(target: NonNull<u8>, old: u64, new: u64) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let found: u64;
        // SAFETY: the caller promises the bytes. The assembly, and not the language, mixes sizes of accesses.
        unsafe {
            core::arch::asm!("lock cmpxchg [{}], {}", in(reg) target.as_ptr(), in(reg) new, inout("rax") old => found, options(nostack));
        }
        found == old
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        use core::sync::atomic::{AtomicU64, Ordering};
        // SAFETY: the caller promises the bytes and their alignment.
        let target = unsafe { AtomicU64::from_ptr(target.as_ptr().cast()) };
        target.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}
