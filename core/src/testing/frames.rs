//! Frames in ordinary memory.
#![expect(unsafe_code, reason = "implements `Frames`")]

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};

use alloc::alloc::{alloc, dealloc};
use alloc::sync::Arc;

use crate::addr::Hpa;
use crate::frame::{FRAME_BYTES, Frames};
use crate::ram::GuestRam;

/// What is in a frame at first: not zeros, which nobody may rely on.
const CONTENT: u8 = 0xa5;

/// An allocator of frames on the heap, where physical addresses are the pointers, for tests without a processor.
///
/// ```
/// use x86_virt_core::Frames;
/// use x86_virt_core::testing::FakeFrames;
///
/// let frames = FakeFrames::limited(1);
/// let hpa = frames.allocate(1).ok_or("no frame")?;
/// assert!(frames.allocate(1).is_none(), "there was one");
/// # let pointer = frames.pointer(hpa).ok_or("no pointer")?;
/// // SAFETY: it came from `allocate(1)`.
/// unsafe { frames.free(hpa, 1) };
/// assert_eq!(frames.in_use(), 0);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Debug)]
pub struct FakeFrames {
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct Counts {
    limit: usize,
    in_use: AtomicUsize,
}

impl FakeFrames {
    /// As many frames as the heap has.
    #[must_use]
    pub fn new() -> Self {
        Self::limited(usize::MAX)
    }

    /// No more than `frames` at a time.
    #[must_use]
    pub fn limited(frames: usize) -> Self {
        Self { counts: Arc::new(Counts { limit: frames, in_use: AtomicUsize::new(0) }) }
    }

    /// So many frames as the memory of a guest, filled with zeros, for ever: what the guest has is not given back.
    ///
    /// `None` if there are not so many.
    #[must_use]
    pub fn guest_ram(&self, frames: usize) -> Option<GuestRam<'static>> {
        let hpa = self.allocate(frames)?;
        let bytes = u64::try_from(frames.checked_mul(FRAME_BYTES)?).ok()?;
        // SAFETY: the memory is the heap's, of this length, mapped at the address that counts as the physical one, and leaked: it is no
        // Rust object, and nobody else gets it.
        let ram = unsafe { GuestRam::new(self.pointer(hpa)?, hpa, bytes) }.ok()?;
        ram.fill(0);
        Some(ram)
    }

    /// How many frames are allocated.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.counts.in_use.load(Ordering::Relaxed)
    }
}

impl Default for FakeFrames {
    fn default() -> Self {
        Self::new()
    }
}

fn layout(count: usize) -> Option<Layout> {
    let bytes = count.checked_mul(FRAME_BYTES).filter(|bytes| *bytes > 0)?;
    Layout::from_size_align(bytes, FRAME_BYTES).ok()
}

// SAFETY: the heap hands out memory that nobody else uses, aligned as asked, at addresses that stay the same; its physical addresses are
// made up, and no processor uses them. Clones share the counts.
unsafe impl Frames for FakeFrames {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        let layout = layout(count)?;
        let Counts { limit, in_use } = &*self.counts;
        let take = |used: usize| used.checked_add(count).filter(|used| used <= limit);
        in_use.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        // SAFETY: `layout` makes none of size zero.
        let Some(pointer) = NonNull::new(unsafe { alloc(layout) }) else {
            in_use.fetch_sub(count, Ordering::Relaxed);
            return None;
        };
        // SAFETY: the memory has this size, and nobody else has it.
        unsafe { pointer.write_bytes(CONTENT, layout.size()) };
        Some(Hpa::new(u64::try_from(pointer.as_ptr().expose_provenance()).ok()?))
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        if let (Some(pointer), Some(layout)) = (self.pointer(hpa), layout(count)) {
            // SAFETY: the caller promises that it came from `allocate(count)`.
            unsafe { dealloc(pointer.as_ptr(), layout) };
            self.counts.in_use.fetch_sub(count, Ordering::Relaxed);
        }
    }

    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(hpa.get()).ok()?))
    }
}
