//! A structure that has a frame for itself.
#![expect(unsafe_code, reason = "gives out references to frames")]

use core::marker::PhantomData;
use core::ops::Deref;

use x86_virt_core::{FRAME_BYTES, Frame, Frames, Hpa, OutOfFrames};

/// A structure in memory that a processor may use at any time.
///
/// # Safety
///
/// - Every value of its bytes is one of the type, all zeros among them.
/// - All its fields are atomics, so that they may change behind a shared reference.
pub unsafe trait FrameLayout: Send + Sync {
    /// Makes the structure, which is all zeros, such that a processor that uses it lets the guest do nothing.
    fn prepare(&self) {}
}

/// A structure `T` at the start of a frame of its own, which goes back to its allocator when dropped.
///
/// ```
/// # use x86_virt_core::{Frames, OutOfFrames};
/// use x86_virt_vmx::{ApicOffset, InFrame, VirtualApicPage};
///
/// # fn example<A: Frames>(frames: &A) -> Result<(), OutOfFrames> {
/// let page = InFrame::<VirtualApicPage, A>::new(frames)?;
/// page.write(ApicOffset::TPR, 0x20);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct InFrame<T: FrameLayout, A: Frames> {
    frame: Frame<A>,
    _content: PhantomData<T>,
}

// SAFETY: a shared reference gives the address, which is a number, a `&T`, and `T` is `Sync`, and the text of `A`, which is
// `Sync`.
unsafe impl<T: FrameLayout, A: Frames + Sync> Sync for InFrame<T, A> {}

impl<T: FrameLayout, A: Frames> InFrame<T, A> {
    /// The structure, in a new frame.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`]: it takes one frame.
    pub fn new(frames: &A) -> Result<Self, OutOfFrames> {
        const { assert!(size_of::<T>() <= FRAME_BYTES && align_of::<T>() <= FRAME_BYTES, "the structure fits a frame") };
        let structure = Self { frame: Frame::zeroed(frames, 1)?, _content: PhantomData };
        structure.prepare();
        Ok(structure)
    }

    /// The physical address. Whoever writes it to a VMCS promises for what the structure holds, then and later, and that it
    /// is kept until the VMCS no longer has it.
    #[must_use]
    pub const fn hpa(&self) -> Hpa {
        self.frame.hpa()
    }
}

impl<T: FrameLayout, A: Frames> Deref for InFrame<T, A> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the frame is ours, aligned, and lives as long as `self`; `new` asserts that `T` fits it. It was zeroed, which
        // is a value of `T`, and `T` is made of atomics (`FrameLayout`), so processors and threads may change it meanwhile.
        unsafe { self.frame.pointer().cast::<T>().as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use super::InFrame;
    use crate::memory::{ApicOffset, EntryIndex, EptpList, VirtualApicPage, VmcsFieldBitmap};
    use x86_virt_core::testing::FakeFrames;

    #[test]
    fn a_structure_is_at_the_start_of_its_frame() {
        let frames = FakeFrames::limited(1);
        let page = InFrame::<VirtualApicPage, _>::new(&frames).unwrap();
        page.write(ApicOffset::TPR, 0x20);
        assert_eq!(u64::try_from(core::ptr::from_ref(&*page).addr()).unwrap(), page.hpa().get());
        assert_eq!(page.read(ApicOffset::TPR), Some(0x20));
        assert!(InFrame::<EptpList, _>::new(&frames).is_err(), "there was one frame");
        drop(page);
        let list = InFrame::<EptpList, _>::new(&frames).unwrap();
        assert_eq!(list.get(EntryIndex::new(511).unwrap()).into_bits(), 0);
    }

    #[test]
    fn a_new_bitmap_intercepts_all() {
        let frames = FakeFrames::limited(1);
        let bitmap = InFrame::<VmcsFieldBitmap, _>::new(&frames).unwrap();
        assert!((0..0x8000).all(|operand| bitmap.is_intercepted(operand)));
    }
}
