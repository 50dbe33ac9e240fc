//! Bytes of a frame that the processor only reads.

use x86_virt_core::{FRAME_BYTES, Frame, Frames};

/// The byte at `index`, or 0 outside of the frame.
#[expect(unsafe_code, reason = "reads a frame")]
pub(crate) fn byte<A: Frames>(frame: &Frame<A>, index: usize) -> u8 {
    if index >= frame.count().saturating_mul(FRAME_BYTES) {
        return 0;
    }
    // SAFETY: `index` is inside the frame.
    let pointer = unsafe { frame.pointer().add(index) };
    // SAFETY: the frame is ours; the processor does not write to it.
    unsafe { pointer.read() }
}

/// Sets the byte at `index`; outside of the frame nothing happens.
#[expect(unsafe_code, reason = "writes a frame")]
pub(crate) fn set_byte<A: Frames>(frame: &mut Frame<A>, index: usize, value: u8) {
    if index >= frame.count().saturating_mul(FRAME_BYTES) {
        return;
    }
    // SAFETY: `index` is inside the frame.
    let pointer = unsafe { frame.pointer().add(index) };
    // SAFETY: the frame is ours alone (`&mut`). The processor reads it only in the guest, which this code is not in.
    unsafe { pointer.write_volatile(value) };
}
