//! Memory of this process that stands for physical memory.
#![expect(unsafe_code, reason = "makes physical memory from host memory")]

use core::alloc::Layout;
use core::ptr::NonNull;
use std::alloc::alloc_zeroed;
use std::sync::LazyLock;

use x86_virt::{DirectMap, FramePool, GuestRam, Hpa};

/// How many frames there are for tables.
pub const FRAMES: usize = 64;
/// Bytes of guest memory.
pub const RAM_BYTES: u64 = 4 * 4096;

const BASE: u64 = 0x1000_0000;
const FRAME_BYTES: u64 = 64 * 4096;

/// Where the memory is. It is never freed, and one input at a time uses it.
static START: LazyLock<u64> = LazyLock::new(|| {
    let bytes = usize::try_from(FRAME_BYTES + RAM_BYTES).unwrap_or_default();
    let Ok(layout) = Layout::from_size_align(bytes, 4096) else { return 0 };
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    u64::try_from(memory.expose_provenance()).unwrap_or_default()
});

/// A pool of the first `frames` frames, at most [`FRAMES`] and at least one.
///
/// # Panics
///
/// If this process is out of memory.
#[must_use]
pub fn pool(frames: usize) -> FramePool<FRAMES> {
    assert_ne!(*START, 0, "out of memory");
    // SAFETY: the memory below the limit is there for good; nothing below BASE is used. It serves one input, which is done with
    // its pool and its guest memory before the next comes.
    let map = unsafe { DirectMap::new(START.wrapping_sub(BASE), Hpa::new(BASE + FRAME_BYTES + RAM_BYTES)) };
    let pool = FramePool::new(Hpa::new(BASE), map);
    let bytes = u64::try_from(frames.clamp(1, FRAMES)).unwrap_or(1) * 4096;
    // SAFETY: as above.
    let donated = unsafe { pool.donate(Hpa::new(BASE)..Hpa::new(BASE + bytes)) };
    assert_eq!(donated, Ok(()));
    pool
}

/// The guest memory, all zero.
///
/// # Panics
///
/// If this process is out of memory.
#[must_use]
pub fn ram() -> GuestRam<'static> {
    let address = usize::try_from(*START + FRAME_BYTES).unwrap_or_default();
    let pointer = NonNull::new(core::ptr::with_exposed_provenance_mut(address)).unwrap_or(NonNull::dangling());
    // SAFETY: the memory is there for good behind the frames of the pool, and is used by what the function returns alone.
    let ram = unsafe { GuestRam::new(pointer, Hpa::new(BASE + FRAME_BYTES), RAM_BYTES) };
    let ram = ram.unwrap_or_else(|error| panic!("{error}"));
    ram.fill(0);
    ram
}
