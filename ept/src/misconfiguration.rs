//! EPT misconfigurations: entries that the processor refuses.

use x86_virt_core::{PageSize, PagingLevel};

use crate::capabilities::EptCapabilities;
use crate::entry::EptEntry;

/// What decides which bits of an entry are reserved, and which entries are misconfigured.
///
/// Intel SDM vol. 3, section 31.3.3.1, "EPT Misconfigurations".
///
/// ```
/// use x86_virt_core::PagingLevel;
/// use x86_virt_ept::{EptCapabilities, EptEntry, EptMisconfiguration, EptRules};
///
/// let rules = EptRules::new(EptCapabilities::from_bits(0x3_4040), 46);
/// let entry = EptEntry::from_bits(0x1f00_0037);
/// assert_eq!(entry.misconfiguration(PagingLevel::Pt, &rules), None);
/// assert_eq!(entry.with_read(false).misconfiguration(PagingLevel::Pt, &rules), Some(EptMisconfiguration::WriteWithoutRead));
/// assert_eq!(entry.reserved_bits(PagingLevel::Pd, &rules), 0x30);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct EptRules {
    capabilities: EptCapabilities,
    address_width: u8,
    has_mode_based_execute: bool,
    has_paging_write: bool,
}

impl EptRules {
    /// The rules of a processor with these `capabilities` and physical addresses of `address_width` bits, with
    /// the controls "mode-based execute control for EPT" and "EPT paging-write control" 0.
    #[must_use]
    pub const fn new(capabilities: EptCapabilities, address_width: u8) -> Self {
        Self { capabilities, address_width, has_mode_based_execute: false, has_paging_write: false }
    }

    /// The same with "mode-based execute control for EPT" 1.
    #[must_use]
    pub const fn with_mode_based_execute(self) -> Self {
        Self { has_mode_based_execute: true, ..self }
    }

    /// The same with "EPT paging-write control" 1.
    #[must_use]
    pub const fn with_paging_write(self) -> Self {
        Self { has_paging_write: true, ..self }
    }

    /// Whether an entry of `level` with bit 7 set maps a page; of a page table every entry does.
    const fn has_page(&self, level: PagingLevel) -> bool {
        match level.page_size() {
            Some(PageSize::Size4K) => true,
            Some(PageSize::Size2M) => self.capabilities.pages_2m(),
            Some(PageSize::Size1G) => self.capabilities.pages_1g(),
            None => false,
        }
    }
}

/// Bits 7:3, which are reserved in an entry that refers to a table.
pub(crate) const TABLE_RESERVED: u64 = 0xf8;

/// Bit 7.
pub(crate) const LARGE: u64 = 1 << 7;

/// The bits of an address, or of an entry, from `address_width` on, up to bit 51.
pub(crate) const fn beyond(address_width: u8) -> u64 {
    const ADDRESS: u64 = (1 << 52) - 1;
    if address_width >= 52 { 0 } else { ADDRESS & !((1 << address_width) - 1) }
}

impl EptEntry {
    /// Whether the entry counts as present: what it allows is not nothing.
    #[must_use]
    pub const fn is_present(self, rules: &EptRules) -> bool {
        self.into_bits() & 7 != 0 || rules.has_mode_based_execute && self.execute_user()
    }

    /// Whether the entry, if it is present, maps a page.
    #[must_use]
    pub const fn is_page(self, level: PagingLevel, rules: &EptRules) -> bool {
        rules.has_page(level) && (self.large() || matches!(level, PagingLevel::Pt))
    }

    /// The reserved bits that are set in the entry of `level`, if it is present.
    ///
    /// Intel SDM vol. 3, section 31.3.2, "EPT Translation Mechanism", tables 31-1 to 31-7.
    #[must_use]
    pub const fn reserved_bits(self, level: PagingLevel, rules: &EptRules) -> u64 {
        let low = match level.page_size() {
            Some(size) if self.is_page(level, rules) => (size.bytes() - 1) & !0xfff,
            _ => TABLE_RESERVED,
        };
        self.into_bits() & (low | beyond(rules.address_width))
    }

    /// Why an access through the entry of `level` is an EPT misconfiguration, or `None` if it is not.
    ///
    /// Of more than one reason it is the first in the order of [`EptMisconfiguration`].
    #[must_use]
    pub const fn misconfiguration(self, level: PagingLevel, rules: &EptRules) -> Option<EptMisconfiguration> {
        if !self.is_present(rules) {
            return None;
        }
        if !self.read() {
            if self.write() {
                return Some(EptMisconfiguration::WriteWithoutRead);
            }
            if !rules.capabilities.execute_only() {
                // Present and neither readable nor writable: EXECUTE, or EXECUTE_USER.
                return Some(if self.execute() {
                    EptMisconfiguration::ExecuteOnly
                } else {
                    EptMisconfiguration::ExecuteUserOnly
                });
            }
        }
        let bits = self.reserved_bits(level, rules);
        if bits & LARGE != 0 {
            return Some(EptMisconfiguration::LargePage { level });
        }
        if bits != 0 {
            return Some(EptMisconfiguration::ReservedBits { level, bits });
        }
        if !self.is_page(level, rules) {
            return None;
        }
        if self.memory_type().is_none() {
            return Some(EptMisconfiguration::MemoryType { encoding: self.memory_type_encoding() });
        }
        if rules.has_paging_write && self.paging_write() && !self.read() {
            return Some(EptMisconfiguration::PagingWriteWithoutRead);
        }
        None
    }
}

/// Why an entry is misconfigured.
///
/// Intel SDM vol. 3, section 31.3.3.1, "EPT Misconfigurations".
///
/// ```
/// use x86_virt_core::PagingLevel;
/// use x86_virt_ept::EptMisconfiguration;
///
/// let reason = EptMisconfiguration::LargePage { level: PagingLevel::Pml4 };
/// assert_eq!(reason.to_string(), "an EPT PML4E has bit 7 set and cannot map a page");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EptMisconfiguration {
    /// WRITE without READ.
    #[error("an EPT entry allows writes and no reads")]
    WriteWithoutRead,
    /// EXECUTE without READ, on a processor without execute-only pages.
    #[error("an EPT entry allows only fetches, and the processor has no execute-only pages")]
    ExecuteOnly,
    /// EXECUTE_USER without READ, with mode-based execute control on a processor without execute-only pages.
    #[error("an EPT entry allows only user-mode fetches, and the processor has no execute-only pages")]
    ExecuteUserOnly,
    /// Bit 7 where the processor has no page of that size.
    #[error("an EPT {level} has bit 7 set and cannot map a page")]
    LargePage {
        /// The level of the entry.
        level: PagingLevel,
    },
    /// Other reserved bits, among them those of the address from the physical-address width on.
    #[error("an EPT {level} has reserved bits set: {bits:#x}")]
    ReservedBits {
        /// The level of the entry.
        level: PagingLevel,
        /// The bits.
        bits: u64,
    },
    /// A page with memory type 2, 3 or 7.
    #[error("an EPT entry has the reserved memory type {encoding}")]
    MemoryType {
        /// Bits 5:3.
        encoding: u8,
    },
    /// A page with PAGING_WRITE and without READ, while the control "EPT paging-write control" is 1.
    #[error("an EPT entry allows paging writes and no reads")]
    PagingWriteWithoutRead,
}

#[cfg(test)]
mod tests;
