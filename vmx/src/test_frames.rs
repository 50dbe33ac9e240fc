//! An allocator for tests on the host: physical addresses are virtual ones.
#![expect(unsafe_code, reason = "an allocator")]

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr::NonNull;

use x86_virt_core::{FRAME_BYTES, Frames, Hpa};

/// Hands out so many frames, one after the other.
#[derive(Debug)]
pub(crate) struct TestFrames {
    left: Cell<usize>,
}

impl TestFrames {
    pub(crate) const fn new(frames: usize) -> Self {
        Self { left: Cell::new(frames) }
    }
}

fn layout(count: usize) -> Layout {
    Layout::from_size_align(count * FRAME_BYTES, FRAME_BYTES).unwrap()
}

// SAFETY: memory of the test's own heap, aligned to a frame; addresses are exposed, and virtual = physical.
unsafe impl Frames for &TestFrames {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        self.left.set(self.left.get().checked_sub(count)?);
        // SAFETY: the size is not zero.
        let pointer = unsafe { std::alloc::alloc(layout(count)) };
        Some(Hpa::new(u64::try_from(pointer.expose_provenance()).unwrap()))
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        self.left.set(self.left.get() + count);
        let pointer = self.pointer(hpa).unwrap();
        // SAFETY: `allocate` got it with the same layout.
        unsafe { std::alloc::dealloc(pointer.as_ptr(), layout(count)) };
    }

    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(hpa.get()).unwrap()))
    }
}
