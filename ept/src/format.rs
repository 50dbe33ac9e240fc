//! Extended page tables as a format of the walk.

use static_assertions::const_assert_eq;
use x86_virt_core::{Access, Entry, Format, Hpa, LogMethod, MemoryType, PageSize, Unsupported};

use crate::capabilities::EptCapabilities;
use crate::entry::EptEntry;
use crate::eptp::Eptp;
use crate::misconfiguration::{LARGE, TABLE_RESERVED, beyond};

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
    log_method: LogMethod,
    /// Bits 51:12 from the address width on: reserved in each entry that is present.
    reserved: u64,
    /// What [`Format::follow`] and [`Format::page`] look at: `reserved`, and bits 7:0.
    looked_at: u64,
    /// `looked_at`, and the address.
    kept: u64,
    /// Bit `n`: a page may have `n` in bits 5:0, the access and the memory type.
    pages: u64,
}

/// Bits 2:0: READ, WRITE and EXECUTE.
const ACCESS: u64 = 7;
/// Bits 5:3 of a page.
const MEMORY_TYPE: u64 = 7 << 3;
/// Bits 5:0 of a page of write-back memory with every access.
const USUAL_PAGE: u64 = ACCESS | 6 << 3;
/// Bits 9:8: ACCESSED and DIRTY.
const FLAGS: u64 = 3 << 8;
/// Bit 9: DIRTY.
const DIRTY: u64 = 1 << 9;
/// Bit 1: WRITE.
const WRITE: u64 = 1 << 1;
/// Bit 11, which the processor ignores in every entry: the dirty log has taken WRITE away.
const WRITE_MARK: u64 = 1 << 11;
/// Bits 51:12.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const_assert_eq!(EptEntry::new().with_access(Access::ALL).into_bits(), ACCESS);
const_assert_eq!(EptEntry::new().with_memory_type_encoding(7).into_bits(), MEMORY_TYPE);
const_assert_eq!(
    EptEntry::new().with_access(Access::ALL).with_memory_type(MemoryType::WriteBack).into_bits(),
    USUAL_PAGE
);
const_assert_eq!(EptEntry::new().with_large(true).into_bits(), LARGE);
const_assert_eq!(EptEntry::new().with_accessed(true).with_dirty(true).into_bits(), FLAGS);
const_assert_eq!(EptEntry::new().with_dirty(true).into_bits(), DIRTY);
const_assert_eq!(EptEntry::new().with_write(true).into_bits(), WRITE);
const_assert_eq!(EptEntry::new().with_hpa(Hpa::new(u64::MAX)).into_bits(), ADDRESS);

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
        let reserved = beyond(address_width);
        let looked_at = ACCESS | TABLE_RESERVED | reserved;
        let pages = if capabilities.execute_only() { EXECUTE_ONLY_PAGES } else { PAGES };
        Ok(Self {
            capabilities,
            address_width,
            levels: 4,
            log_method: LogMethod::WriteProtection,
            reserved,
            looked_at,
            kept: looked_at | ADDRESS,
            pages,
        })
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
        Ok(Self { log_method: LogMethod::DirtyFlags, ..self })
    }

    /// The same for a processor with page-modification logging, a secondary VM-execution control, with which the dirty log is kept.
    /// Accessed and dirty flags are enabled for it.
    ///
    /// # Errors
    ///
    /// [`EptUnsupported`] if the processor has no accessed and dirty flags.
    ///
    /// Intel SDM vol. 3, section 31.3.6, "Page-Modification Logging".
    pub const fn with_page_modification_log(self) -> Result<Self, EptUnsupported> {
        match self.with_accessed_dirty() {
            Ok(format) => Ok(Self { log_method: LogMethod::PageModificationLog, ..format }),
            Err(error) => Err(error),
        }
    }

    /// Whether accessed and dirty flags are enabled.
    const fn has_flags(&self) -> bool {
        !matches!(self.log_method, LogMethod::WriteProtection)
    }

    /// The capabilities of the processor.
    #[must_use]
    pub const fn capabilities(&self) -> EptCapabilities {
        self.capabilities
    }

    /// The pointer to the root of tables in this format. The processor reads them as write-back memory.
    #[must_use]
    pub const fn eptp(&self, root: Hpa) -> Eptp {
        Eptp::new(root, self.levels, MemoryType::WriteBack).with_accessed_dirty(self.has_flags())
    }
}

/// The values of bits 5:0 that a page may have, as a set.
const PAGES: u64 = valid_pages(false);
/// The same with pages that can be executed but not read.
const EXECUTE_ONLY_PAGES: u64 = valid_pages(true);

/// The values of bits 5:0 that a page may have, as a set.
///
/// Intel SDM vol. 3, section 31.3.3.1, "EPT Misconfigurations".
const fn valid_pages(has_execute_only: bool) -> u64 {
    let mut pages = 0;
    let mut bits = 0;
    while bits < 64 {
        let entry = EptEntry::from_bits(bits);
        let is_readable = entry.read() || !entry.write() && entry.execute() && has_execute_only;
        if is_readable && entry.memory_type().is_some() {
            pages |= 1 << bits;
        }
        bits += 1;
    }
    pages
}

impl EptFormat {
    /// Whether bits 5:0 of `entry` are those of a page that the processor accepts.
    #[inline]
    const fn has_valid_page_bits(&self, entry: u64) -> bool {
        (self.pages >> (entry & (ACCESS | MEMORY_TYPE))) & 1 != 0
    }

    /// The address in `entry`, if the bits that are looked at are `usual`.
    #[inline]
    const fn address_after(&self, entry: u64, usual: u64) -> Option<Hpa> {
        let rest = (entry & self.kept) ^ usual;
        if rest & self.looked_at == 0 { Some(Hpa::new(rest)) } else { None }
    }
}

// SAFETY: by the tables that `EptEntry` cites. A leaf has READ, WRITE and EXECUTE (bits 2:0) as `access` says, an address in
// bits 51:12 and LARGE at levels 2 and 3 only. An entry for a table has R, W, X and the address, with bits 7:3 clear; bits 61:52
// are ignored there. An entry whose bits 2:0 are clear is not present ("if bits 2:0 are all 0"; bit 10 counts too with
// mode-based execute control, and is clear). `split` keeps all bits of the leaf and takes LARGE away at level 1; bits 29:12 or
// 20:12 were clear. `access_mask` is bits 2:0, `memory_type_mask` bits 5:3, `flags_mask` bits 9:8, `dirty_mask` bit 9,
// `write_mask` bit 1; `write_mark` is bit 11, which the processor ignores, and which counts as bit 1 in `classify`. `classify` and `follow` look at
// bits 2:0, 5:3, 7, 6 in an entry for a table, and 51:12; of what `leaf` and `table` return they find nothing reserved, since the
// walk asks for no address beyond the width and for no page that the processor lacks. `follow` is `Some` only with bits 2:0 all
// 1, 7:3 all 0, and no bit of the address reserved, which `classify` reports as a table; `page` only with bits 5:0 of a page
// that has every access and write-back memory, and the same others. `new` checks the width.
#[expect(unsafe_code, reason = "the walk trusts the format")]
unsafe impl Format for EptFormat {
    #[inline]
    fn levels(&self) -> u8 {
        self.levels
    }

    #[inline]
    fn largest_page(&self) -> PageSize {
        if !self.capabilities.pages_2m() {
            PageSize::Size4K
        } else if !self.capabilities.pages_1g() {
            PageSize::Size2M
        } else {
            PageSize::Size1G
        }
    }

    #[inline]
    fn address_width(&self) -> u8 {
        self.address_width
    }

    #[inline]
    fn leaf(&self, hpa: Hpa, size: PageSize, access: Access, memory_type: MemoryType) -> Result<u64, Unsupported> {
        let bits = self.access_bits(access)? | self.memory_type_bits(memory_type, size)?;
        Ok(bits | if size == PageSize::Size4K { 0 } else { LARGE } | hpa.get() & ADDRESS)
    }

    #[inline]
    fn table(&self, hpa: Hpa) -> u64 {
        ACCESS | hpa.get() & ADDRESS
    }

    #[inline]
    fn classify(&self, entry: u64, level: u8) -> Entry {
        let bits = EptEntry::from_bits(entry);
        // Bits 5:3 are clear in an entry for a table, so that only the access counts there.
        if !self.has_valid_page_bits(entry) || entry & self.reserved != 0 {
            return if bits.access() == Access::NONE { Entry::Absent } else { Entry::Invalid };
        }
        let size = PageSize::of_level(level).filter(|size| *size == PageSize::Size4K || bits.large());
        let Some(size) = size else {
            return if entry & TABLE_RESERVED == 0 { Entry::Table(bits.hpa()) } else { Entry::Invalid };
        };
        if size != PageSize::Size4K && (!bits.hpa().is_aligned(size) || size > self.largest_page()) {
            return Entry::Invalid;
        }
        // With valid bits there always is one.
        let memory_type = bits.memory_type().unwrap_or(MemoryType::Uncacheable);
        let access = if entry & WRITE_MARK == 0 { bits.access() } else { bits.access().union(Access::WRITE) };
        Entry::Leaf { hpa: bits.hpa(), access, memory_type }
    }

    #[inline]
    fn follow(&self, entry: u64, _level: u8) -> Option<Hpa> {
        self.address_after(entry, ACCESS)
    }

    #[inline]
    fn page(&self, entry: u64) -> Option<(Hpa, Access, MemoryType)> {
        // The same bits as in `follow`.
        Some((self.address_after(entry, USUAL_PAGE)?, Access::ALL, MemoryType::WriteBack))
    }

    #[inline]
    fn split(&self, entry: u64, level: u8) -> u64 {
        EptEntry::from_bits(entry).with_large(level > 2).into_bits()
    }

    fn memory_type_mask(&self, _size: PageSize) -> u64 {
        MEMORY_TYPE
    }

    #[inline]
    fn memory_type_bits(&self, memory_type: MemoryType, _size: PageSize) -> Result<u64, Unsupported> {
        if memory_type == MemoryType::UncacheableMinus {
            return Err(Unsupported::MemoryType { memory_type });
        }
        Ok(u64::from(memory_type.encoding()) << 3)
    }

    fn flags_mask(&self) -> u64 {
        FLAGS
    }

    fn dirty_mask(&self) -> u64 {
        DIRTY
    }

    fn write_mask(&self) -> u64 {
        WRITE
    }

    fn write_mark(&self) -> u64 {
        WRITE_MARK
    }

    fn log_method(&self) -> LogMethod {
        self.log_method
    }

    fn access_mask(&self) -> u64 {
        ACCESS
    }

    #[inline]
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
        // The bits of `Access` are those of the entry.
        Ok(u64::from(access.bits()))
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
