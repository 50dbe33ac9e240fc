//! Guest memory.

use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::addr::{Hpa, PageSize};
use crate::bytes;

/// Memory that is given to guests: physically contiguous, and no Rust object while `'m` lasts.
///
/// Guests write to it at any time and on any processor, so the host reads and writes it only by [`read`](Self::read) and
/// [`write`](Self::write), never by reference.
#[derive(Clone, Copy, Debug)]
pub struct GuestRam<'m> {
    pointer: NonNull<u8>,
    hpa: Hpa,
    bytes: u64,
    _memory: PhantomData<&'m ()>,
}

// SAFETY: every access is by `bytes`, so that threads may race; the memory is no Rust object (contract of `new`).
#[expect(unsafe_code, reason = "guest memory is shared by nature")]
unsafe impl Send for GuestRam<'_> {}
// SAFETY: as for `Send`.
#[expect(unsafe_code, reason = "guest memory is shared by nature")]
unsafe impl Sync for GuestRam<'_> {}

impl<'m> GuestRam<'m> {
    /// Takes the `bytes` of memory at `pointer`, which are at physical address `hpa`, for guests.
    ///
    /// # Errors
    ///
    /// [`GuestRamError`] if `hpa` or `bytes` is not a multiple of 4096, `bytes` is zero, or the range wraps.
    ///
    /// # Safety
    ///
    /// For all of `'m`:
    ///
    /// - the memory is mapped at `pointer` for reads and writes and is at physical addresses `hpa` to `hpa + bytes`;
    /// - the host accesses it only by the `GuestRam`, its copies and the address spaces that map it;
    /// - no part of it is, or becomes, part of a Rust object, a table that the processor uses for the host, or device
    ///   memory: anything may be written to it at any moment.
    #[expect(unsafe_code, reason = "the caller's promise about memory")]
    pub unsafe fn new(pointer: NonNull<u8>, hpa: Hpa, bytes: u64) -> Result<Self, GuestRamError> {
        if !hpa.is_aligned(PageSize::Size4K) {
            return Err(GuestRamError::Misaligned { hpa });
        }
        if bytes == 0 || !bytes.is_multiple_of(PageSize::Size4K.bytes()) || usize::try_from(bytes).is_err() {
            return Err(GuestRamError::Length { bytes });
        }
        if hpa.checked_add(bytes).is_none() {
            return Err(GuestRamError::Length { bytes });
        }
        Ok(Self { pointer, hpa, bytes, _memory: PhantomData })
    }

    /// The physical address of the first byte.
    #[must_use]
    pub const fn hpa(&self) -> Hpa {
        self.hpa
    }

    /// The length in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The part of `bytes` bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`GuestRamError`] if the part is not inside, or does not start and end at a multiple of 4096.
    #[expect(unsafe_code, reason = "narrows the caller's promise")]
    pub fn slice(&self, offset: u64, bytes: u64) -> Result<Self, GuestRamError> {
        let pointer = self.at(offset, bytes).ok_or(GuestRamError::Outside { offset, bytes })?;
        let hpa = self.hpa.checked_add(offset).ok_or(GuestRamError::Outside { offset, bytes })?;
        // SAFETY: a part of memory that fulfils the contract fulfils it.
        unsafe { Self::new(pointer, hpa, bytes) }
    }

    /// The physical address of the 4 KiB page at `offset`, if it is inside and aligned.
    #[inline]
    pub(crate) const fn frame(&self, offset: u64) -> Option<Hpa> {
        // The length is not 0, and a multiple of 4096; adding to the address does not wrap (`new`).
        if offset >= self.bytes || offset & (PageSize::Size4K.bytes() - 1) != 0 {
            return None;
        }
        Some(Hpa::new(self.hpa.get() + offset))
    }

    /// Copies from the memory at `offset` to `buffer`.
    ///
    /// # Errors
    ///
    /// [`GuestRamError::Outside`] if the range is not inside; then nothing is copied.
    #[expect(unsafe_code, reason = "reads guest memory")]
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), GuestRamError> {
        let source = self.range(offset, buffer.len())?;
        // SAFETY: `range` found it inside the memory (contract of `new`).
        unsafe { bytes::load(source, buffer) };
        Ok(())
    }

    /// Copies `data` to the memory at `offset`.
    ///
    /// # Errors
    ///
    /// [`GuestRamError::Outside`] if the range is not inside; then nothing is copied.
    #[expect(unsafe_code, reason = "writes guest memory")]
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), GuestRamError> {
        let target = self.range(offset, data.len())?;
        // SAFETY: `range` found it inside the memory (contract of `new`).
        unsafe { bytes::store(target, data) };
        Ok(())
    }

    /// Fills all of the memory with `byte`.
    #[expect(unsafe_code, reason = "writes guest memory")]
    pub fn fill(&self, byte: u8) {
        // `new` checked that the length fits in `usize`.
        let length = usize::try_from(self.bytes).unwrap_or(0);
        // SAFETY: the contract of `new`.
        unsafe { bytes::fill(self.pointer, byte, length) };
    }

    fn range(&self, offset: u64, length: usize) -> Result<NonNull<u8>, GuestRamError> {
        let bytes = u64::try_from(length).unwrap_or(u64::MAX);
        self.at(offset, bytes).ok_or(GuestRamError::Outside { offset, bytes })
    }

    /// A pointer to `offset`, if `bytes` bytes from there are inside.
    #[expect(unsafe_code, reason = "pointer into guest memory")]
    fn at(&self, offset: u64, bytes: u64) -> Option<NonNull<u8>> {
        if offset.checked_add(bytes)? > self.bytes {
            return None;
        }
        let offset = usize::try_from(offset).ok()?;
        // SAFETY: `offset` is inside the memory, which is one mapping of `self.bytes` bytes (contract of `new`).
        Some(unsafe { self.pointer.add(offset) })
    }
}

/// Why memory cannot be used for a guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum GuestRamError {
    /// The physical address is not a multiple of 4096.
    #[error("guest memory at {hpa} is not aligned to 4 KiB")]
    Misaligned {
        /// The address.
        hpa: Hpa,
    },
    /// The length is zero, not a multiple of 4096, or reaches beyond the address space.
    #[error("guest memory of {bytes:#x} bytes: the length must be a multiple of 4 KiB and not wrap")]
    Length {
        /// The length.
        bytes: u64,
    },
    /// The range is not inside the memory.
    #[error("{bytes:#x} bytes at offset {offset:#x} are not inside the guest memory")]
    Outside {
        /// Where the range starts.
        offset: u64,
        /// How long the range is.
        bytes: u64,
    },
}

#[cfg(test)]
#[expect(unsafe_code, reason = "makes guest memory from an array")]
mod tests {
    use core::ptr::NonNull;

    use super::{GuestRam, GuestRamError};
    use crate::addr::Hpa;

    #[repr(align(4096))]
    struct Page([u8; 8192]);

    #[test]
    fn reads_what_was_written_and_refuses_what_is_outside() {
        let mut page = Page([0; 8192]);
        let pointer = NonNull::from(&mut page.0).cast::<u8>();
        // SAFETY: `page` is not used but through `ram`.
        let ram = unsafe { GuestRam::new(pointer, Hpa::new(0x1000), 8192) }.unwrap();
        ram.write(8190, &[1, 2]).unwrap();
        let mut buffer = [0; 2];
        ram.read(8190, &mut buffer).unwrap();
        assert_eq!(buffer, [1, 2]);
        assert_eq!(ram.write(8191, &[1, 2]), Err(GuestRamError::Outside { offset: 8191, bytes: 2 }));
        assert_eq!(ram.read(u64::MAX, &mut buffer), Err(GuestRamError::Outside { offset: u64::MAX, bytes: 2 }));
        assert_eq!(ram.slice(4096, 4096).unwrap().hpa(), Hpa::new(0x2000));
        assert!(ram.slice(4096, 8192).is_err());
        assert!(ram.slice(1, 4096).is_err());
    }

    #[test]
    fn misaligned_memory_is_refused_with_its_address() {
        let pointer = NonNull::<Page>::dangling().cast();
        // SAFETY: refused before use.
        let result = unsafe { GuestRam::new(pointer, Hpa::new(0x1001), 4096) };
        assert_eq!(result.unwrap_err(), GuestRamError::Misaligned { hpa: Hpa::new(0x1001) });
        // SAFETY: refused before use.
        let result = unsafe { GuestRam::new(pointer, Hpa::new(0x1000), 4095) };
        assert_eq!(result.unwrap_err(), GuestRamError::Length { bytes: 4095 });
    }
}
