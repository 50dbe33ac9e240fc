//! The global allocator: the kernel's heap.
#![expect(unsafe_code, reason = "is an allocator")]

use core::alloc::{GlobalAlloc, Layout};

use crate::kernel;

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: `kernel::allocate` returns null or a block of at least so many bytes that nobody else has, aligned to the next power of two of its
// size; so a block of at least `align` bytes, which is a power of two, is aligned to `align`.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        kernel::allocate(layout.size().max(layout.align()))
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the contract of `dealloc`: the block is from `alloc`, and this is its end.
        unsafe { kernel::free(block) };
    }
}
