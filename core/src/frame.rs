//! Frames: the 4 KiB units of memory that the library takes from the caller for structures that the processor reads.

use core::ptr::NonNull;

use crate::addr::{Hpa, PageSize};
use crate::direct_map::DirectMap;

/// Bytes in a frame.
pub const FRAME_BYTES: usize = 4096;

/// Where the library takes frames from, and how it reaches physical memory.
///
/// The library allocates through this trait only, and never on the path of an exit except inside a `map` that the caller
/// makes there. Implement it for a handle that is cheap to copy, such as `&MyPool`; [`FramePool`](crate::FramePool) is a
/// ready implementation.
///
/// # Safety
///
/// The implementor promises, for every `count` of frames that [`allocate`](Self::allocate) returned at `hpa` and that
/// [`free`](Self::free) was not yet called for:
///
/// - `hpa` is a multiple of 4096, and the `count * 4096` bytes from there are ordinary write-back memory;
/// - nothing but the holder uses that memory: it is part of no Rust object and is not handed out again;
/// - [`pointer`](Self::pointer) of `hpa` is `Some`, stays the same, is a multiple of 4096, and is valid for reads and writes
///   of `count * 4096` bytes, which are the bytes at physical address `hpa`.
///
/// For any other address, `pointer` is `None` or a pointer to the byte at that physical address, with the same low 12 bits,
/// and valid for volatile reads and writes up to the next multiple of 4096 for as long as the memory belongs to a
/// [`GuestRam`](crate::GuestRam). No method uses the address space that calls it: that holds a lock meanwhile.
///
/// [`direct_map`](Self::direct_map) is always `None`, or always `Some` of one map whose [`pointer`](DirectMap::pointer) of each
/// allocated frame is what `pointer` of this trait is.
///
/// Copies of a handle are the same allocator.
#[expect(unsafe_code, reason = "unsafe code trusts the implementor")]
pub unsafe trait Frames: Clone {
    /// Takes `count` frames that are contiguous in physical memory, with any content, or `None` if there are not so many.
    fn allocate(&self, count: usize) -> Option<Hpa>;

    /// Gives back what [`allocate`](Self::allocate) returned.
    ///
    /// # Safety
    ///
    /// - `hpa` came from `allocate(count)` of this allocator and was not freed since.
    /// - The caller, and the processor, no longer use the memory.
    unsafe fn free(&self, hpa: Hpa, count: usize);

    /// The address at which the host reaches physical address `hpa`.
    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>>;

    /// The direct map by which the host reaches all frames, if it does so: it spares a walk of the tables a call of
    /// [`pointer`](Self::pointer) at each level.
    #[inline]
    fn direct_map(&self) -> Option<DirectMap> {
        None
    }
}

/// How the walk reaches the frames of an allocator.
#[derive(Debug)]
pub(crate) struct Reach<'s, A> {
    frames: &'s A,
    /// What [`Frames::direct_map`] says.
    direct: Option<DirectMap>,
}

impl<A> Clone for Reach<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Reach<'_, A> {}

impl<'s, A: Frames> Reach<'s, A> {
    #[inline]
    pub(crate) fn new(frames: &'s A) -> Self {
        Self { frames, direct: frames.direct_map() }
    }

    /// The allocator.
    pub(crate) const fn frames(self) -> &'s A {
        self.frames
    }

    /// The pointer to the frame at `hpa`.
    ///
    /// # Safety
    ///
    /// The frame is allocated from this allocator.
    #[inline(always)]
    #[expect(unsafe_code, reason = "relies on the allocator's promise")]
    pub(crate) unsafe fn pointer(self, hpa: Hpa) -> NonNull<u8> {
        if let Some(map) = self.direct {
            // SAFETY: `Frames` promises that the map reaches each frame that is allocated.
            return unsafe { map.reached(hpa) };
        }
        // SAFETY: `Frames` promises that `pointer` is `Some` for a frame that is allocated.
        unsafe { self.frames.pointer(hpa).unwrap_unchecked() }
    }
}

/// Owned, zeroed, physically contiguous frames that go back to their allocator when dropped.
///
/// Leaking it leaks the memory.
#[derive(Debug)]
pub struct Frame<A: Frames> {
    frames: A,
    hpa: Hpa,
    pointer: NonNull<u8>,
    count: usize,
}

// SAFETY: the memory is owned by the `Frame` alone (contract of `Frames`), so where the handle may go, it may go.
#[expect(unsafe_code, reason = "owns memory through a pointer")]
unsafe impl<A: Frames + Send> Send for Frame<A> {}

impl<A: Frames> Frame<A> {
    /// Takes `count` contiguous frames from `frames` and fills them with zeros.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`] if the allocator has not so many.
    #[expect(unsafe_code, reason = "writes memory through a pointer")]
    pub fn zeroed(frames: &A, count: usize) -> Result<Self, OutOfFrames> {
        let hpa = frames.allocate(count).ok_or(OutOfFrames { count })?;
        let Some(pointer) = frames.pointer(hpa) else {
            // An allocator that breaks its contract loses the memory; nothing else is safe.
            return Err(OutOfFrames { count });
        };
        debug_assert!(hpa.is_aligned(PageSize::Size4K), "contract of `Frames`: {hpa} is aligned");
        // SAFETY: `Frames` promises that `pointer` is valid for writes of `count` frames, which we own.
        unsafe { pointer.write_bytes(0, count.saturating_mul(FRAME_BYTES)) };
        Ok(Self { frames: frames.clone(), hpa, pointer, count })
    }

    /// The physical address.
    #[must_use]
    pub const fn hpa(&self) -> Hpa {
        self.hpa
    }

    /// The first byte. It is valid for reads and writes of all frames for as long as `self` is.
    #[must_use]
    pub const fn pointer(&self) -> NonNull<u8> {
        self.pointer
    }

    /// How many frames there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count
    }

    /// The allocator.
    #[must_use]
    pub const fn frames(&self) -> &A {
        &self.frames
    }
}

impl<A: Frames> Drop for Frame<A> {
    #[expect(unsafe_code, reason = "gives memory back")]
    fn drop(&mut self) {
        // SAFETY: `hpa` and `count` are what `zeroed` got from this allocator, and `self`, which alone used the memory,
        // ends here.
        unsafe { self.frames.free(self.hpa, self.count) };
    }
}

/// The allocator has no such run of frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error("out of frames: {count} contiguous frames were asked for")]
pub struct OutOfFrames {
    /// How many contiguous frames were asked for.
    pub count: usize,
}
