//! Frames: pages of the kernel's allocator.
#![expect(unsafe_code, reason = "is an allocator")]

use core::ptr::NonNull;

use x86_virt::{DirectMap, Frames, Hpa};

use crate::kernel;

/// What the kernel's map of all memory reaches at most, with tables of four levels.
///
/// Linux, Documentation/x86/x86_64/mm.rst: "direct mapping of all physical memory" has 64 TiB.
const LIMIT: Hpa = Hpa::new(64 << 40);

/// Frames from `alloc_pages`, reached through the kernel's map of all memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelFrames {
    map: DirectMap,
}

impl KernelFrames {
    pub(crate) fn new() -> Self {
        // SAFETY: Linux maps all memory write-back, for ever, at a multiple of 1 GiB in the upper half; pages from its allocator, of
        // which frames and guests' memory are made, are in that map. It has one address for each byte.
        Self { map: unsafe { DirectMap::new(kernel::direct_map(), LIMIT) } }
    }
}

// SAFETY: `alloc_pages` returns whole pages of ordinary write-back memory, contiguous, that are the caller's until they are freed, and part of
// no Rust object; `map` reaches them by one pointer, for reads and writes. The same holds for pages of guests' memory. Copies use the same
// kernel. Neither method uses an address space.
unsafe impl Frames for KernelFrames {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        kernel::allocate_frames(count).map(Hpa::new)
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        // SAFETY: the contract of `Frames::free`.
        unsafe { kernel::free_frames(hpa.get(), count) };
    }

    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        self.map.pointer(hpa)
    }

    fn direct_map(&self) -> Option<DirectMap> {
        Some(self.map)
    }
}
