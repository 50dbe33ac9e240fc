//! Frames in ordinary memory, for tests.
#![expect(unsafe_code, reason = "implements `Frames`")]

extern crate std;

use core::alloc::Layout;
use core::ptr::NonNull;
use std::alloc::{alloc_zeroed, dealloc};

use x86_virt_core::{FRAME_BYTES, Frames, Hpa};

/// An allocator on the heap, where physical addresses are the pointers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FakeFrames;

impl FakeFrames {
    pub(crate) fn new() -> Self {
        Self
    }
}

fn layout(count: usize) -> Layout {
    Layout::from_size_align(count * FRAME_BYTES, FRAME_BYTES).unwrap()
}

// SAFETY: the heap hands out memory that nobody else uses, aligned as asked, at addresses that stay the same.
unsafe impl Frames for FakeFrames {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        // SAFETY: the layout is not of zero size: the library asks for one frame or more.
        let pointer = NonNull::new(unsafe { alloc_zeroed(layout(count)) })?;
        Some(Hpa::new(u64::try_from(pointer.as_ptr().expose_provenance()).ok()?))
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        let pointer = self.pointer(hpa).unwrap();
        // SAFETY: the caller promises that it came from `allocate(count)`.
        unsafe { dealloc(pointer.as_ptr(), layout(count)) };
    }

    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(hpa.get()).ok()?))
    }
}
