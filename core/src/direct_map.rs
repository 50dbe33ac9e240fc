//! How the host reaches physical memory.

use core::ptr::{NonNull, with_exposed_provenance_mut};

use crate::addr::Hpa;

/// How the host reaches physical memory: at the physical address plus an offset, up to a limit.
///
/// ```
/// use x86_virt_core::{DirectMap, Hpa};
///
/// // SAFETY: nothing is accessed.
/// let map = unsafe { DirectMap::new(0xffff_8000_0000_0000, Hpa::new(1 << 32)) };
/// assert_eq!(map.pointer(Hpa::new(0x1000)).map(|to| to.addr().get()), Some(0xffff_8000_0000_1000));
/// assert_eq!(map.pointer(Hpa::new(1 << 32)), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DirectMap {
    offset: u64,
    limit: Hpa,
}

impl DirectMap {
    /// The physical address `hpa` is at the address `hpa + offset`, modulo 2^64, if it is below `limit`.
    ///
    /// # Safety
    ///
    /// - `offset` is a multiple of 4096.
    /// - For all frames that are donated to a pool with this map, and for all of a [`GuestRam`](crate::GuestRam) for as long as
    ///   it lasts: the address of each byte below `limit` is valid for reads and writes, and is that byte, for as long as the
    ///   map is used.
    /// - The addresses of such bytes are not 0.
    #[must_use]
    #[expect(unsafe_code, reason = "the caller's promise about memory")]
    pub const unsafe fn new(offset: u64, limit: Hpa) -> Self {
        Self { offset, limit }
    }

    /// The pointer to `hpa`, or `None` if it is not below the limit.
    #[must_use]
    #[inline]
    pub fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        if hpa >= self.limit {
            return None;
        }
        let address = usize::try_from(hpa.get().wrapping_add(self.offset)).ok()?;
        NonNull::new(with_exposed_provenance_mut(address))
    }

    /// The same for an address that is reached.
    ///
    /// # Safety
    ///
    /// [`pointer`](Self::pointer) of `hpa` is `Some`.
    #[inline(always)]
    #[expect(unsafe_code, reason = "skips what the caller knows")]
    pub(crate) unsafe fn reached(&self, hpa: Hpa) -> NonNull<u8> {
        let address = usize::try_from(hpa.get().wrapping_add(self.offset)).unwrap_or(0);
        // SAFETY: the caller promises it: `pointer` is `Some` only if the address fits, and is not 0.
        unsafe { NonNull::new_unchecked(with_exposed_provenance_mut(address)) }
    }
}
