//! Memory of a permission map.

use x86_virt_core::{FRAME_BYTES, Frame, Frames, Hpa, Permission};

/// Bits in frames that the processor reads while the guest of the owner runs.
///
/// AMD APM vol. 2, section 15.10.1, "I/O Permissions Map", and section 15.11, "MSR Intercepts".
#[derive(Debug)]
pub(crate) struct PermissionMap<A: Frames> {
    frame: Frame<A>,
}

impl<A: Frames> PermissionMap<A> {
    /// All bits set.
    #[expect(unsafe_code, reason = "fills frames")]
    pub(crate) fn all_intercepted(frame: Frame<A>) -> Self {
        // SAFETY: the pointer is valid for writes of all frames, which are ours.
        unsafe { frame.pointer().write_bytes(0xff, frame.count() * FRAME_BYTES) };
        Self { frame }
    }

    /// The physical address.
    pub(crate) const fn hpa(&self) -> Hpa {
        self.frame.hpa()
    }

    /// The byte at `index`; all bits set beyond the end.
    #[expect(unsafe_code, reason = "reads frames")]
    pub(crate) fn byte(&self, index: usize) -> u8 {
        if index >= self.frame.count() * FRAME_BYTES {
            return 0xff;
        }
        // SAFETY: the index is inside the frames.
        let byte = unsafe { self.frame.pointer().add(index) };
        // SAFETY: as above; the frames were written in full when the map was made.
        unsafe { byte.read_volatile() }
    }

    /// Sets or clears the bits of `mask` in the byte at `index`; nothing beyond the end.
    #[expect(unsafe_code, reason = "writes frames")]
    pub(crate) fn apply(&mut self, index: usize, mask: u8, permission: Permission) {
        if index >= self.frame.count() * FRAME_BYTES {
            return;
        }
        let value = permission.apply(self.byte(index), mask);
        // SAFETY: the index is inside the frames.
        let byte = unsafe { self.frame.pointer().add(index) };
        // SAFETY: as above; the frames are ours, and no VMRUN with this map executes, since its owner is borrowed.
        unsafe { byte.write_volatile(value) };
    }
}
