//! Pages of 512 entries.

use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering};

use static_assertions::const_assert_eq;
use x86_virt_core::Register;
use x86_virt_ept::Eptp;

use super::frame::FrameLayout;
use super::pasid::PasidDirectoryEntry;
use super::pid_table::PidPointer;

/// An EPTP list: the pointers from which EPTP switching (VM function 0) chooses.
///
/// Intel SDM vol. 3, section 27.6.14, "VM-Function Controls", and section 28.5.6.3, "EPTP Switching".
pub type EptpList = EntryPage<Eptp>;

/// The first 512 entries of a PID-pointer table, which IPI virtualization uses; the table may go on in the next pages.
///
/// Intel SDM vol. 3, section 27.6.8, "Controls for APIC Virtualization".
pub type PidPointerTable = EntryPage<PidPointer>;

/// A PASID directory.
///
/// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields", "Fields Related to PASID Translation".
pub type PasidDirectory = EntryPage<PasidDirectoryEntry>;

/// A page of 512 entries of 64 bits, which the processor reads.
///
/// ```
/// use x86_virt_ept::Eptp;
/// use x86_virt_vmx::{EntryIndex, EptpList};
///
/// let list = EptpList::new();
/// let index = EntryIndex::new(1).unwrap();
/// list.set(index, Eptp::from_bits(0x1234_501e));
/// assert_eq!(list.get(index).levels(), 4);
/// ```
#[repr(C, align(4096))]
pub struct EntryPage<E> {
    entries: [AtomicU64; 512],
    _entry: PhantomData<fn(E) -> E>,
}

const_assert_eq!(size_of::<EptpList>(), 4096);
const_assert_eq!(align_of::<EptpList>(), 4096);

impl<E: Register> EntryPage<E> {
    /// A page of zeros.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "zeroed is no default")]
    pub const fn new() -> Self {
        Self { entries: [const { AtomicU64::new(0) }; 512], _entry: PhantomData }
    }

    /// The entry at `index`.
    #[must_use]
    pub fn get(&self, index: EntryIndex) -> E {
        E::from_raw(self.entry(index).map_or(0, |entry| entry.load(Ordering::Relaxed)))
    }

    /// Sets the entry at `index`: all of it at once.
    ///
    /// What was written to memory before is seen by a processor that follows the entry.
    pub fn set(&self, index: EntryIndex, entry: E) {
        if let Some(word) = self.entry(index) {
            word.store(entry.into_raw(), Ordering::Release);
        }
    }

    fn entry(&self, index: EntryIndex) -> Option<&AtomicU64> {
        self.entries.get(usize::from(index.get()))
    }
}

impl<E: Register> fmt::Debug for EntryPage<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = (0..512).filter_map(EntryIndex::new).map(|index| (index.get(), self.get(index)));
        f.debug_map().entries(entries.filter(|(_, entry)| entry.into_raw() != 0)).finish()
    }
}

#[expect(unsafe_code, reason = "states what the layout is")]
// SAFETY: an array of atomics, in which every value is one. `E` is a value that comes and goes; none is stored.
unsafe impl<E: Register> FrameLayout for EntryPage<E> {}

/// The index of an entry in a page of 512.
///
/// ```
/// use x86_virt_vmx::EntryIndex;
///
/// assert_eq!(EntryIndex::new(511).unwrap().get(), 511);
/// assert_eq!(EntryIndex::new(512), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EntryIndex(u16);

impl EntryIndex {
    /// The first index.
    pub(crate) const FIRST: Self = Self(0);

    /// The last index.
    pub(crate) const LAST: Self = Self(511);

    /// The index `index`, or `None` above 511.
    #[must_use]
    pub const fn new(index: u16) -> Option<Self> {
        if index < 512 { Some(Self(index)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};
    use x86_virt_ept::Eptp;

    use super::{EntryIndex, EptpList};

    proptest! {
        #[test]
        fn an_entry_is_what_was_set(index in 0_u16..512, other in 0_u16..512, bits in any::<u64>()) {
            let list = EptpList::new();
            list.set(EntryIndex::new(index).unwrap(), Eptp::from_bits(bits));
            let expected = if index == other { bits } else { 0 };
            prop_assert_eq!(list.get(EntryIndex::new(other).unwrap()).into_bits(), expected);
        }
    }

    #[test]
    fn the_text_leaves_zeros_out() {
        let list = EptpList::new();
        assert_eq!(format!("{list:?}"), "{}");
        list.set(EntryIndex::new(3).unwrap(), Eptp::from_bits(0x501e));
        assert!(format!("{list:?}").starts_with("{3: Eptp(0x000000000000501e"));
    }
}
