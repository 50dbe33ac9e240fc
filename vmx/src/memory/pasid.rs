//! PASID translation: the directories and the tables.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use static_assertions::const_assert_eq;
use x86_virt_core::{Hpa, TableRow, register, register_rows};

use super::entry_page::EntryIndex;
use super::frame::FrameLayout;

/// A process address-space identifier (PASID) of a guest, of 20 bits.
///
/// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields", "Fields Related to PASID Translation".
///
/// ```
/// use x86_virt_vmx::Pasid;
///
/// let pasid = Pasid::new(0xc_0403).unwrap();
/// assert!(pasid.is_in_high_directory());
/// assert_eq!((pasid.directory_index().get(), pasid.table_index()), (0x101, 3));
/// assert_eq!(Pasid::new(1 << 20), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pasid(u32);

impl Pasid {
    /// The last identifier.
    #[cfg(feature = "arbitrary")]
    pub(crate) const LAST: Self = Self(0xf_ffff);

    /// The identifier, or `None` with more than 20 bits.
    #[must_use]
    pub const fn new(pasid: u32) -> Option<Self> {
        if pasid >> 20 == 0 { Some(Self(pasid)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Bit 19: the high PASID directory translates it, not the low one.
    #[must_use]
    pub const fn is_in_high_directory(self) -> bool {
        self.0 >> 19 & 1 == 1
    }

    /// Bits 18:10: the index in the directory.
    #[must_use]
    pub const fn directory_index(self) -> EntryIndex {
        let [low, high, ..] = (self.0 >> 10 & 0x1ff).to_le_bytes();
        match EntryIndex::new(u16::from_le_bytes([low, high])) {
            Some(index) => index,
            None => EntryIndex::LAST,
        }
    }

    /// Bits 9:0: the index in the table.
    #[must_use]
    pub const fn table_index(self) -> u16 {
        let [low, high, ..] = (self.0 & 0x3ff).to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}

register! {
    /// An entry of a PASID directory.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields", "Fields Related to PASID Translation".
    ///
    /// ```
    /// use x86_virt_core::Hpa;
    /// use x86_virt_vmx::PasidDirectoryEntry;
    ///
    /// let entry = PasidDirectoryEntry::new().with_present(true).with_table(Hpa::new(0x7000));
    /// assert_eq!(entry.into_bits(), 0x7001);
    /// ```
    pub struct PasidDirectoryEntry(u64) {
        /// Bit 0: the entry refers to a table.
        pub present: bool,
        #[bits(11)]
        _reserved1: u16,
        /// Bits 51:12: the address of the table. Bits from the physical-address width on are reserved.
        #[bits(40)]
        pub frame_number: u64,
        #[bits(12)]
        _reserved52: u16,
    }
}

impl PasidDirectoryEntry {
    /// The address of the table.
    #[must_use]
    pub const fn table(self) -> Hpa {
        Hpa::new(self.frame_number() << 12)
    }

    /// The same with the table at `table`, of which bits 51 to 12 count.
    #[must_use]
    pub const fn with_table(self, table: Hpa) -> Self {
        self.with_frame_number((table.get() >> 12) & 0xff_ffff_ffff)
    }
}

register! {
    /// An entry of a PASID table.
    ///
    /// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields", "Fields Related to PASID Translation".
    ///
    /// ```
    /// use x86_virt_vmx::PasidTableEntry;
    ///
    /// assert_eq!(PasidTableEntry::new().with_valid(true).with_host_pasid(0x12).into_bits(), 0x8000_0012);
    /// ```
    pub struct PasidTableEntry(u32) {
        /// Bits 19:0: the PASID of the host.
        #[bits(20)]
        pub host_pasid: u32,
        #[bits(11)]
        _reserved20: u16,
        /// Bit 31: the entry is valid.
        pub valid: bool,
    }
}

/// A PASID table: the 1024 identifiers of a host.
///
/// Intel SDM vol. 3, section 27.6, "VM-Execution Control Fields", "Fields Related to PASID Translation".
///
/// ```
/// use x86_virt_vmx::{Pasid, PasidTable, PasidTableEntry};
///
/// let (table, pasid) = (PasidTable::new(), Pasid::new(0x403).unwrap());
/// table.set(pasid, PasidTableEntry::from_bits(0x8000_0012));
/// assert_eq!(table.get(pasid).host_pasid(), 0x12);
/// ```
#[repr(C, align(4096))]
pub struct PasidTable {
    entries: [AtomicU32; 1024],
}

const_assert_eq!(size_of::<PasidTable>(), 4096);

impl PasidTable {
    /// A table of zeros.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "zeroed is no default")]
    pub const fn new() -> Self {
        Self { entries: [const { AtomicU32::new(0) }; 1024] }
    }

    /// The entry for `pasid`, of which bits 9:0 count.
    #[must_use]
    pub fn get(&self, pasid: Pasid) -> PasidTableEntry {
        let entry = self.entries.get(usize::from(pasid.table_index()));
        PasidTableEntry::from_bits(entry.map_or(0, |entry| entry.load(Ordering::Relaxed)))
    }

    /// Sets the entry for `pasid`, of which bits 9:0 count.
    pub fn set(&self, pasid: Pasid, entry: PasidTableEntry) {
        if let Some(word) = self.entries.get(usize::from(pasid.table_index())) {
            word.store(entry.into_bits(), Ordering::Release);
        }
    }
}

impl fmt::Debug for PasidTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasidTable").finish_non_exhaustive()
    }
}

#[expect(unsafe_code, reason = "states what the layout is")]
// SAFETY: an array of atomics, in which every value is one.
unsafe impl FrameLayout for PasidTable {}

/// Visits the rows of the entries.
pub(super) fn rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    register_rows::<PasidDirectoryEntry>(super::TABLE, "PASID directory entry", visit);
    register_rows::<PasidTableEntry>(super::TABLE, "PASID table entry", visit);
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::{Pasid, PasidDirectoryEntry, PasidTable, PasidTableEntry};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        assert!(PasidDirectoryEntry::from_bits(1).present());
        assert_eq!(PasidDirectoryEntry::from_bits(u64::MAX).table().get(), 0x000f_ffff_ffff_f000);
        assert_eq!(PasidTableEntry::from_bits(u32::MAX).host_pasid(), 0xf_ffff);
        assert!(PasidTableEntry::from_bits(1 << 31).valid());
    }

    proptest! {
        #[test]
        fn an_identifier_is_made_of_its_indices(number in 0_u32..1 << 20) {
            let pasid = Pasid::new(number).unwrap();
            let directory = u32::from(pasid.directory_index().get());
            let high = u32::from(pasid.is_in_high_directory());
            prop_assert_eq!(high << 19 | directory << 10 | u32::from(pasid.table_index()), number);
            let table = PasidTable::new();
            table.set(pasid, PasidTableEntry::from_bits(number));
            prop_assert_eq!(table.get(pasid).into_bits(), number);
        }
    }
}
