//! A guest's memory.
#![expect(unsafe_code, reason = "says which memory it is")]

use core::ptr::NonNull;

use x86_virt::{Access, Gpa, GuestRam, GuestRamError, Hpa, MapError, Space};

use crate::frames::KernelFrames;
use crate::kernel::Chunk;

/// Maps the parts one after the other, from guest-physical address 0 on.
///
/// # Safety
///
/// For all of `'m`: each chunk is pages of the kernel's, at its address and physical address, that nobody but guests uses.
pub(crate) unsafe fn map<'m>(space: &Space<'m, KernelFrames>, chunks: &[Chunk]) -> Result<(), MemoryError> {
    let mut start = 0;
    for chunk in chunks {
        let pointer = NonNull::new(core::ptr::with_exposed_provenance_mut(usize::try_from(chunk.address).unwrap_or(0)));
        let Some(pointer) = pointer else { continue };
        // SAFETY: the caller's promise.
        let ram = unsafe { GuestRam::<'m>::new(pointer, Hpa::new(chunk.physical), chunk.bytes) }?;
        let end = start + chunk.bytes;
        space.map(Gpa::new(start)..Gpa::new(end), &ram, 0, Access::ALL)?;
        start = end;
    }
    Ok(())
}

/// Why a guest has no memory.
#[derive(Debug)]
pub(crate) enum MemoryError {
    Ram(GuestRamError),
    Map(MapError),
}

impl From<GuestRamError> for MemoryError {
    fn from(error: GuestRamError) -> Self {
        Self::Ram(error)
    }
}

impl From<MapError> for MemoryError {
    fn from(error: MapError) -> Self {
        Self::Map(error)
    }
}
