//! The buffer of page-modification logging (PML).

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use static_assertions::const_assert_eq;
use x86_virt_core::Gpa;

use super::frame::FrameLayout;

/// A page-modification log: the processor writes to it the address of each page whose dirty flag it sets.
///
/// The PML index in the VMCS says where the next one goes, and counts down from [`START`](Self::START). It is above that when
/// the log is full.
///
/// Intel SDM vol. 3, section 31.3.6, "Page-Modification Logging".
///
/// ```
/// use x86_virt_vmx::PmlBuffer;
///
/// let buffer = PmlBuffer::new();
/// assert_eq!(buffer.logged(PmlBuffer::START).count(), 0);
/// assert_eq!(buffer.logged(509).count(), 2);
/// assert_eq!(buffer.logged(0xffff).count(), 512);
/// ```
#[repr(C, align(4096))]
pub struct PmlBuffer {
    entries: [AtomicU64; 512],
}

const_assert_eq!(size_of::<PmlBuffer>(), 4096);
const_assert_eq!(align_of::<PmlBuffer>(), 4096);

impl PmlBuffer {
    /// The PML index of an empty log.
    pub const START: u16 = 511;

    /// An empty log.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "zeroed is no default")]
    pub const fn new() -> Self {
        Self { entries: [const { AtomicU64::new(0) }; 512] }
    }

    /// The pages that the processor has logged when the PML index is `index`, from the first on.
    ///
    /// Read the index after an exit of the virtual processor; it is set to [`START`](Self::START) before the next entry.
    pub fn logged(&self, index: u16) -> impl Iterator<Item = Gpa> {
        let next = if index > Self::START { 0 } else { usize::from(index) + 1 };
        let logged = self.entries.get(next..).unwrap_or_default();
        // Bits 11:0 are zero in what the processor writes.
        logged.iter().rev().map(|entry| Gpa::new(entry.load(Ordering::Relaxed) & !0xfff))
    }
}

impl fmt::Debug for PmlBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PmlBuffer").finish_non_exhaustive()
    }
}

#[expect(unsafe_code, reason = "states what the layout is")]
// SAFETY: an array of atomics, in which every value is one.
unsafe impl FrameLayout for PmlBuffer {}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering;

    use proptest::prelude::any;
    use proptest::{collection, prop_assert_eq, proptest};
    use x86_virt_core::Gpa;

    use super::PmlBuffer;

    proptest! {
        #[test]
        fn what_a_processor_logs_is_read_in_order(pages in collection::vec(0_u64..1 << 40, 0..=512)) {
            let buffer = PmlBuffer::new();
            // As section 31.3.6 has it: the entry is written, then the index decremented, in 16 bits.
            let mut index = PmlBuffer::START;
            for page in &pages {
                buffer.entries[usize::from(index)].store(page << 12, Ordering::Relaxed);
                index = index.wrapping_sub(1);
            }
            let expected: Vec<Gpa> = pages.iter().map(|page| Gpa::new(page << 12)).collect();
            prop_assert_eq!(buffer.logged(index).collect::<Vec<_>>(), expected);
        }

        #[test]
        fn every_index_has_an_answer(index in any::<u16>()) {
            let count = if index > 511 { 512 } else { 511 - usize::from(index) };
            prop_assert_eq!(PmlBuffer::new().logged(index).count(), count);
        }
    }
}
