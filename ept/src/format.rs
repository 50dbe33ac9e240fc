//! Extended page tables as a format of the walk.

use x86_virt_core::{Access, Entry, Format, Hpa, MemoryType, PageSize, Unsupported};

use crate::capabilities::EptCapabilities;
use crate::entry::EptEntry;
use crate::eptp::Eptp;

/// The entry format of extended page tables on a processor of given capabilities.
///
/// Pages leave IGNORE_PAT clear: the memory type in the entry is that of the mapping, and the processor combines it with the
/// guest's PAT as it combines an MTRR with the PAT. So a guest can make a write-back page write-combining for a frame buffer,
/// but not an uncacheable page write-back. SUPPRESS_VE is clear, and so are ACCESSED and DIRTY, which the processor sets.
///
/// Intel SDM vol. 3, section 31.3.2, "EPT Translation Mechanism", and section 31.3.7.2, "Memory Type Used for Translated
/// Guest-Physical Addresses".
///
/// ```
/// use x86_virt_core::{Access, Format, Hpa, MemoryType, PageSize};
/// use x86_virt_ept::{EptCapabilities, EptFormat};
///
/// // Page walks of length 4, and tables in write-back memory.
/// let format = EptFormat::new(EptCapabilities::from_bits(0x4040), 39)?;
/// let leaf = format.leaf(Hpa::new(0x1f00_0000), PageSize::Size4K, Access::ALL, MemoryType::WriteBack)?;
/// assert_eq!(leaf, 0x1f00_0037);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EptFormat {
    capabilities: EptCapabilities,
    address_width: u8,
    levels: u8,
    is_accessed_dirty_enabled: bool,
}

impl EptFormat {
    /// The format with 4 levels, on a processor with these `capabilities` and physical addresses of `address_width` bits.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported`] if the processor has no page walks of length 4, cannot read tables as write-back memory, or
    /// `address_width` is no width that a processor has.
    pub const fn new(capabilities: EptCapabilities, address_width: u8) -> Result<Self, EptUnsupported> {
        if !capabilities.page_walk_length_4() {
            return Err(EptUnsupported::PageWalkLength { length: 4 });
        }
        if !capabilities.tables_write_back() {
            return Err(EptUnsupported::WriteBackTables);
        }
        if address_width < 32 || address_width > 52 {
            return Err(EptUnsupported::AddressWidth { width: address_width });
        }
        Ok(Self { capabilities, address_width, levels: 4, is_accessed_dirty_enabled: false })
    }

    /// The same with 5 levels.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported`] if the processor has no page walks of length 5.
    pub const fn with_five_levels(self) -> Result<Self, EptUnsupported> {
        if !self.capabilities.page_walk_length_5() {
            return Err(EptUnsupported::PageWalkLength { length: 5 });
        }
        Ok(Self { levels: 5, ..self })
    }

    /// The same with accessed and dirty flags, which the processor sets in the entries that it uses.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported`] if the processor has no such flags.
    ///
    /// Intel SDM vol. 3, section 31.3.5, "Accessed and Dirty Flags for EPT".
    pub const fn with_accessed_dirty(self) -> Result<Self, EptUnsupported> {
        if !self.capabilities.accessed_dirty() {
            return Err(EptUnsupported::AccessedDirty);
        }
        Ok(Self { is_accessed_dirty_enabled: true, ..self })
    }

    /// The capabilities of the processor.
    #[must_use]
    pub const fn capabilities(&self) -> EptCapabilities {
        self.capabilities
    }

    /// The pointer to the root of tables in this format. The processor reads them as write-back memory.
    #[must_use]
    pub const fn eptp(&self, root: Hpa) -> Eptp {
        Eptp::new(root, self.levels, MemoryType::WriteBack).with_accessed_dirty(self.is_accessed_dirty_enabled)
    }
}

// SAFETY: by the tables that `EptEntry` cites. A leaf has READ, WRITE and EXECUTE (bits 2:0) as `access` says, an address in
// bits 51:12 and LARGE at levels 2 and 3 only. An entry for a table has R, W, X and the address, with bits 7:3 clear; bits 61:52
// are ignored there. An entry whose bits 2:0 are clear is not present ("if bits 2:0 are all 0"; bit 10 counts too with
// mode-based execute control, and is clear). `split` keeps all bits of the leaf and takes LARGE away at level 1; bits 29:12 or
// 20:12 were clear. `access_mask` is bits 2:0. `classify` looks at bits 2:0, 5:3, 7 and 51:12 only. `new` checks the width.
#[expect(unsafe_code, reason = "the walk trusts the format")]
unsafe impl Format for EptFormat {
    fn levels(&self) -> u8 {
        self.levels
    }

    fn largest_page(&self) -> PageSize {
        if !self.capabilities.pages_2m() {
            PageSize::Size4K
        } else if !self.capabilities.pages_1g() {
            PageSize::Size2M
        } else {
            PageSize::Size1G
        }
    }

    fn address_width(&self) -> u8 {
        self.address_width
    }

    fn leaf(&self, hpa: Hpa, size: PageSize, access: Access, memory_type: MemoryType) -> Result<u64, Unsupported> {
        let bits = self.access_bits(access)?;
        if memory_type == MemoryType::UncacheableMinus {
            return Err(Unsupported::MemoryType { memory_type });
        }
        let entry = EptEntry::from_bits(bits).with_memory_type(memory_type).with_large(size != PageSize::Size4K);
        Ok(entry.with_hpa(hpa).into_bits())
    }

    #[inline]
    fn table(&self, hpa: Hpa) -> u64 {
        EptEntry::new().with_access(Access::ALL).with_hpa(hpa).into_bits()
    }

    #[inline]
    fn classify(&self, entry: u64, level: u8) -> Entry {
        let entry = EptEntry::from_bits(entry);
        if entry.access() == Access::NONE {
            return Entry::Absent;
        }
        if level > 3 || level > 1 && !entry.large() {
            return Entry::Table(entry.hpa());
        }
        match entry.memory_type() {
            Some(memory_type) => Entry::Leaf { hpa: entry.hpa(), access: entry.access(), memory_type },
            // A misconfiguration: SDM section 31.3.3.1, "EPT Misconfigurations".
            None => Entry::Absent,
        }
    }

    fn split(&self, entry: u64, level: u8) -> u64 {
        EptEntry::from_bits(entry).with_large(level > 2).into_bits()
    }

    fn access_mask(&self) -> u64 {
        EptEntry::new().with_access(Access::ALL).into_bits()
    }

    fn access_bits(&self, access: Access) -> Result<u64, Unsupported> {
        if access == Access::NONE {
            return Err(Unsupported::NoAccess);
        }
        if !access.contains(Access::READ) {
            // SDM section 31.3.3.1, "EPT Misconfigurations".
            if access.contains(Access::WRITE) {
                return Err(Unsupported::WriteWithoutRead { access });
            }
            if !self.capabilities.execute_only() {
                return Err(Unsupported::ExecuteOnly { access });
            }
        }
        Ok(EptEntry::new().with_access(access).into_bits())
    }
}

/// What the processor lacks for extended page tables as they are asked for.
///
/// ```
/// use x86_virt_ept::{EptCapabilities, EptFormat, EptUnsupported};
///
/// let without_write_back = EptCapabilities::new().with_page_walk_length_4(true);
/// assert_eq!(EptFormat::new(without_write_back, 39), Err(EptUnsupported::WriteBackTables));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EptUnsupported {
    /// No page walks of this length.
    #[error("the processor has no EPT page walks of length {length}")]
    PageWalkLength {
        /// The length.
        length: u8,
    },
    /// Tables cannot be in write-back memory.
    #[error("the processor cannot read EPT tables as write-back memory")]
    WriteBackTables,
    /// No accessed and dirty flags.
    #[error("the processor has no accessed and dirty flags for EPT")]
    AccessedDirty,
    /// Physical addresses have 32 to 52 bits.
    #[error("physical addresses do not have {width} bits")]
    AddressWidth {
        /// The width.
        width: u8,
    },
}

#[cfg(test)]
mod tests;
