//! Guest memory in ordinary memory.

use core::cell::RefCell;
use core::fmt;
use core::ops::Range;

use alloc::vec;
use alloc::vec::Vec;

use crate::GuestMemory;
use crate::access::Access;
use crate::addr::{Gpa, Hpa, PageSize};
use crate::guest_memory::AccessError;
use crate::mapping::{MemoryType, Translation};
use crate::page_attributes::PageAttributes;

/// Guest memory from address 0 on, all zero at first, for tests without a processor.
///
/// ```
/// use x86_virt_core::testing::FakeMemory;
/// use x86_virt_core::{Gpa, GuestMemory};
///
/// let memory = FakeMemory::new(0x2000);
/// memory.write(Gpa::new(0x1000), b"hello")?;
/// assert_eq!(memory.bytes(0x1000..0x1005), b"hello");
/// assert!(memory.write(Gpa::new(0x1fff), b"two").is_err());
/// # Ok::<(), x86_virt_core::AccessError>(())
/// ```
pub struct FakeMemory {
    bytes: RefCell<Vec<u8>>,
}

impl FakeMemory {
    /// Memory of so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes: RefCell::new(vec![0; bytes]) }
    }

    /// A copy of a part of it.
    ///
    /// # Panics
    ///
    /// If the part is not inside.
    #[must_use]
    pub fn bytes(&self, range: Range<usize>) -> Vec<u8> {
        let bytes = self.bytes.borrow();
        match bytes.get(range.clone()) {
            Some(part) => part.to_vec(),
            None => panic!("{range:#x?} is not in the guest's memory of {:#x} bytes", bytes.len()),
        }
    }

    /// The part that starts at `gpa`; the error names the first address that is not inside.
    fn range(&self, gpa: Gpa, length: usize) -> Result<Range<usize>, AccessError> {
        let total = self.bytes.borrow().len();
        let start = usize::try_from(gpa.get()).unwrap_or(usize::MAX);
        match start.checked_add(length) {
            Some(end) if end <= total => Ok(start..end),
            _ => {
                let end = u64::try_from(total).unwrap_or(u64::MAX);
                Err(AccessError::NotMapped { gpa: Gpa::new(gpa.get().max(end)) })
            }
        }
    }

    fn exchange<const N: usize>(&self, gpa: Gpa, old: [u8; N], new: [u8; N]) -> Result<bool, AccessError> {
        let range = self.range(gpa, N)?;
        if !range.start.is_multiple_of(N) {
            return Err(AccessError::Misaligned { gpa });
        }
        let mut bytes = self.bytes.borrow_mut();
        let Some(slot) = bytes.get_mut(range).filter(|slot| **slot == old) else { return Ok(false) };
        slot.copy_from_slice(&new);
        Ok(true)
    }
}

impl GuestMemory for FakeMemory {
    /// Nothing is copied where an address is not inside.
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        let range = self.range(gpa, buffer.len())?;
        buffer.copy_from_slice(self.bytes.borrow().get(range).unwrap_or_default());
        Ok(())
    }

    /// Nothing is copied where an address is not inside.
    fn write(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError> {
        let range = self.range(gpa, data.len())?;
        self.bytes.borrow_mut().get_mut(range).unwrap_or_default().copy_from_slice(data);
        Ok(())
    }

    fn compare_exchange_u32(&self, gpa: Gpa, old: u32, new: u32) -> Result<bool, AccessError> {
        self.exchange(gpa, old.to_le_bytes(), new.to_le_bytes())
    }

    fn compare_exchange_u64(&self, gpa: Gpa, old: u64, new: u64) -> Result<bool, AccessError> {
        self.exchange(gpa, old.to_le_bytes(), new.to_le_bytes())
    }

    /// Every address is at the same one of the host, in pages of 4 KiB.
    fn translate(&self, gpa: Gpa) -> Option<Translation> {
        self.range(gpa, 1).ok()?;
        Some(Translation {
            hpa: Hpa::new(gpa.get()),
            access: Access::ALL,
            size: PageSize::Size4K,
            memory_type: MemoryType::WriteBack,
            attributes: PageAttributes::default(),
        })
    }
}

impl fmt::Debug for FakeMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeMemory").field("bytes", &self.bytes.borrow().len()).finish()
    }
}
