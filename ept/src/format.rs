//! Extended page tables as a format of the walk.

mod options;
#[cfg(test)]
mod tests;

use static_assertions::const_assert_eq;
use x86_virt_core::{Access, Entry, Format, Hpa, LogMethod, MemoryType, PageAttributes, PageSize, Unsupported};

use crate::capabilities::EptCapabilities;
use crate::controls::EptControls;
use crate::entry::EptEntry;
use crate::eptp::Eptp;
use crate::misconfiguration::{EptRules, LARGE, TABLE_RESERVED, beyond};
use crate::unsupported::EptUnsupported;

/// The entry format of extended page tables on a processor of given capabilities.
///
/// Pages leave IGNORE_PAT clear: the memory type in the entry is that of the mapping, and the processor combines it with the
/// guest's PAT as it combines an MTRR with the PAT. So a guest can make a write-back page write-combining for a frame buffer,
/// but not an uncacheable page write-back. ACCESSED and DIRTY are clear; the processor sets them.
///
/// The other bits mean something only with certain VM-execution controls. The format takes them after a function that is named for
/// the control, such as [`with_mode_based_execute`](Self::with_mode_based_execute), and refuses an access or an attribute that it does
/// not have. A virtual processor on tables in this format runs with the [`controls`](Self::controls) that they need.
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
    available: EptControls,
    /// What the tables need, among `available`.
    enabled: EptControls,
    /// The bits of a page that say what is allowed.
    access_mask: u64,
    /// The bits of a page that say its attributes.
    attribute_mask: u64,
    /// An entry that maps nothing.
    absent: u64,
    /// Bit 2 if bit 10 counts too for whether an entry is present.
    user_execute: u64,
    /// Bits 51:12 from the address width on: reserved in each entry that is present.
    reserved: u64,
    /// What [`Format::follow`] and [`Format::page`] look at: `reserved`, and bits 7:0.
    looked_at: u64,
    /// `looked_at`, and the address; without bit 0, so that nothing looks as usual, if more bits say access or attributes.
    kept: u64,
    /// Bit `n`: a page may have `n` in bits 5:0, the access and the memory type. Bit 2 stands for any execution.
    pages: u64,
}

/// Bits 2:0: READ, WRITE and EXECUTE.
const ACCESS: u64 = 7;
/// Bit 0.
const READ: u64 = 1;
/// Bit 10.
const EXECUTE_USER: u64 = 1 << 10;
/// Bit 58.
const PAGING_WRITE: u64 = 1 << 58;
/// Bit 60.
const SUPERVISOR_SHADOW_STACK: u64 = 1 << 60;
/// Bit 57.
const VERIFY_GUEST_PAGING: u64 = 1 << 57;
/// Bit 61.
const SUB_PAGE_WRITE: u64 = 1 << 61;
/// Bit 63.
const SUPPRESS_VE: u64 = 1 << 63;
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
const_assert_eq!(EptEntry::new().with_read(true).into_bits(), READ);
const_assert_eq!(EptEntry::new().with_execute_user(true).into_bits(), EXECUTE_USER);
const_assert_eq!(EptEntry::new().with_paging_write(true).into_bits(), PAGING_WRITE);
const_assert_eq!(EptEntry::new().with_supervisor_shadow_stack(true).into_bits(), SUPERVISOR_SHADOW_STACK);
const_assert_eq!(EptEntry::new().with_verify_guest_paging(true).into_bits(), VERIFY_GUEST_PAGING);
const_assert_eq!(EptEntry::new().with_sub_page_write(true).into_bits(), SUB_PAGE_WRITE);
const_assert_eq!(EptEntry::new().with_suppress_ve(true).into_bits(), SUPPRESS_VE);
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
            available: EptControls::new(),
            enabled: EptControls::new(),
            access_mask: ACCESS,
            attribute_mask: 0,
            absent: 0,
            user_execute: 0,
            reserved,
            looked_at,
            kept: looked_at | ADDRESS,
            pages,
        })
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

    /// The VM-execution controls that tables in this format need. With another setting of them, entries mean something else.
    #[must_use]
    pub const fn controls(&self) -> EptControls {
        self.enabled
    }

    /// What of entries is reserved or misconfigured.
    #[must_use]
    pub const fn rules(&self) -> EptRules {
        let mut rules = EptRules::new(self.capabilities, self.address_width);
        if self.enabled.mode_based_execute() {
            rules = rules.with_mode_based_execute();
        }
        if self.enabled.paging_write() {
            rules = rules.with_paging_write();
        }
        rules
    }

    /// The pointer to the root of tables in this format. The processor reads them as write-back memory.
    #[must_use]
    pub const fn eptp(&self, root: Hpa) -> Eptp {
        Eptp::new(root, self.levels, MemoryType::WriteBack)
            .with_accessed_dirty(self.has_flags())
            .with_supervisor_shadow_stack(self.access_mask & SUPERVISOR_SHADOW_STACK != 0)
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
    /// Bits 5:0 of `entry`, with bit 2 for any execution.
    #[inline]
    const fn page_bits(&self, entry: u64) -> u64 {
        (entry | (entry >> 8) & self.user_execute) & (ACCESS | MEMORY_TYPE)
    }

    /// The address in `entry`, if the bits that are looked at are `usual`, of which bit 0 is set.
    #[inline]
    const fn address_after(&self, entry: u64, usual: u64) -> Option<Hpa> {
        let rest = (entry & self.kept) ^ usual;
        if rest & self.looked_at == 0 { Some(Hpa::new(rest)) } else { None }
    }

    /// What the leaf `entry` allows.
    #[inline]
    const fn access(&self, entry: u64) -> Access {
        let bits = EptEntry::from_bits(entry);
        if self.access_mask == ACCESS {
            return bits.access();
        }
        let mut access = if self.user_execute == 0 { bits.access() } else { bits.mode_based_access() };
        let also = entry & self.access_mask;
        if also & SUPERVISOR_SHADOW_STACK != 0 {
            access = access.union(Access::SUPERVISOR_SHADOW_STACK);
        }
        if also & PAGING_WRITE != 0 {
            access = access.union(Access::PAGING_WRITE);
        }
        access
    }

    /// The bits of what only some processors can grant.
    const fn special_bits(&self, access: Access) -> Result<u64, Unsupported> {
        let mut bits = 0;
        let has_user = access.contains(Access::EXECUTE_USER);
        if self.user_execute != 0 {
            if has_user {
                bits |= EXECUTE_USER;
            }
        } else if has_user != access.contains(Access::EXECUTE_SUPERVISOR) {
            return Err(Unsupported::ModeBasedExecute { access });
        }
        if access.contains(Access::SUPERVISOR_SHADOW_STACK) {
            if self.access_mask & SUPERVISOR_SHADOW_STACK == 0 {
                return Err(Unsupported::SupervisorShadowStack { access });
            }
            bits |= SUPERVISOR_SHADOW_STACK;
        }
        if access.contains(Access::PAGING_WRITE) {
            if self.access_mask & PAGING_WRITE == 0 {
                return Err(Unsupported::PagingWrite { access });
            }
            bits |= PAGING_WRITE;
        }
        if bits & (SUPERVISOR_SHADOW_STACK | PAGING_WRITE) != 0 && !access.contains(Access::READ) {
            return Err(Unsupported::WithoutRead { access });
        }
        Ok(bits)
    }
}

// SAFETY: by the tables that `EptEntry` cites. A leaf has READ, WRITE, EXECUTE (bits 2:0), EXECUTE_USER (10),
// SUPERVISOR_SHADOW_STACK (60) and PAGING_WRITE (58) as `access` says, the last three only if the format has them; an address in
// bits 51:12 and LARGE at levels 2 and 3 only. An entry for a table has R, W, X, with mode-based execute control EXECUTE_USER, and
// the address, with bits 7:3 clear; bits 63:52 are ignored there, whatever the controls are. An entry whose bits 2:0, and with
// mode-based execute control bit 10, are clear is not present; `absent` is such an entry, with SUPPRESS_VE or nothing. `split` keeps
// all bits of the leaf and takes LARGE away at level 1; bits 29:12 or 20:12 were clear, and bit 61 of a large page, which is no leaf
// with SUB_PAGE_WRITE, is. `access_mask` is bits 2:0 and those three that the format has, `memory_type_mask` bits 5:3, `flags_mask`
// bits 9:8, `dirty_mask` bit 9, `write_mask` bit 1, `attribute_mask` of bits 63, 61 and 57 those that the format has; `write_mark` is
// bit 11, which the processor ignores, and which counts as bit 1 in `classify`. `classify` and `follow` look at bits 2:0 and 10, 58,
// 5:3, 7, 6 in an entry for a table, and 51:12; of what `leaf` and `table` return they find nothing reserved, since the walk asks for
// no address beyond the width and for no page that the processor lacks. `follow` is `Some` only with bits 2:0 all 1, 7:3 all 0, and no
// bit of the address reserved, which `classify` reports as a table; `page` only with bits 5:0 of a page that has every access and
// write-back memory, and the same others; and neither is with a format where other bits say access or attributes, since bit 0 is not
// kept there. `new` checks the width.
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
    fn absent(&self) -> u64 {
        self.absent
    }

    #[inline]
    fn table(&self, hpa: Hpa) -> u64 {
        // EXECUTE_USER is bit 2 of the field, eight bits up.
        ACCESS | self.user_execute << 8 | hpa.get() & ADDRESS
    }

    #[inline]
    fn classify(&self, entry: u64, level: u8) -> Entry {
        let bits = EptEntry::from_bits(entry);
        let page_bits = self.page_bits(entry);
        // Bits 5:3 are clear in an entry for a table, so that only the access counts there.
        if (self.pages >> page_bits) & 1 == 0 || entry & self.reserved != 0 {
            return if page_bits & ACCESS == 0 { Entry::Absent } else { Entry::Invalid };
        }
        let size = PageSize::of_level(level).filter(|size| *size == PageSize::Size4K || bits.large());
        let Some(size) = size else {
            return if entry & TABLE_RESERVED == 0 { Entry::Table(bits.hpa()) } else { Entry::Invalid };
        };
        if size != PageSize::Size4K && (!bits.hpa().is_aligned(size) || size > self.largest_page()) {
            return Entry::Invalid;
        }
        if entry & self.access_mask & (PAGING_WRITE | READ) == PAGING_WRITE {
            return Entry::Invalid;
        }
        // With valid bits there always is one.
        let memory_type = bits.memory_type().unwrap_or(MemoryType::Uncacheable);
        let access = self.access(entry);
        let access = if entry & WRITE_MARK == 0 { access } else { access.union(Access::WRITE) };
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

    fn attribute_mask(&self) -> u64 {
        self.attribute_mask
    }

    #[inline]
    fn attribute_bits(&self, attributes: PageAttributes) -> Result<u64, Unsupported> {
        if attributes.is_empty() {
            return Ok(0);
        }
        let bits = EptEntry::new().with_attributes(attributes).into_bits();
        if bits & !self.attribute_mask == 0 {
            return Ok(bits);
        }
        Err(Unsupported::Attributes { attributes: attributes.difference(attributes_of(self.attribute_mask)) })
    }

    #[inline]
    fn attributes(&self, entry: u64) -> PageAttributes {
        match entry & self.attribute_mask {
            0 => PageAttributes::NONE,
            bits => attributes_of(bits),
        }
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

    fn can_write_protect(&self) -> bool {
        self.access_mask & (SUPERVISOR_SHADOW_STACK | PAGING_WRITE) == 0
    }

    fn access_mask(&self) -> u64 {
        self.access_mask
    }

    #[inline]
    fn access_bits(&self, access: Access) -> Result<u64, Unsupported> {
        if access == Access::NONE {
            return Err(Unsupported::NoAccess);
        }
        if access == Access::ALL {
            return Ok(ACCESS | self.user_execute << 8);
        }
        let special = self.special_bits(access)?;
        if !access.contains(Access::READ) {
            // SDM section 31.3.3.1, "EPT Misconfigurations".
            if access.contains(Access::WRITE) {
                return Err(Unsupported::WriteWithoutRead { access });
            }
            if !self.capabilities.execute_only() {
                return Err(Unsupported::ExecuteOnly { access });
            }
        }
        // Bits 2:0 of `Access` are those of the entry.
        Ok(u64::from(access.bits()) & ACCESS | special)
    }
}

/// The attributes that a page with these bits has.
const fn attributes_of(bits: u64) -> PageAttributes {
    let mut attributes = PageAttributes::NONE;
    if bits & SUPPRESS_VE != 0 {
        attributes = attributes.union(PageAttributes::SUPPRESS_VE);
    }
    if bits & VERIFY_GUEST_PAGING != 0 {
        attributes = attributes.union(PageAttributes::VERIFY_GUEST_PAGING);
    }
    if bits & SUB_PAGE_WRITE != 0 {
        attributes = attributes.union(PageAttributes::SUB_PAGE_WRITE);
    }
    attributes
}
