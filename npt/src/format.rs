//! Nested page tables as a format of the walk.

use x86_virt_core::{Access, Entry, Format, Hpa, MemoryType, PageSize, Unsupported};

use crate::entry::{LARGE_PAT, NptEntry};
use crate::pat::Pat;

/// The entry format of nested page tables on a host of given modes.
///
/// - The processor takes every access of a guest as one of a user, so U/S is set in all entries.
/// - The memory type of a page is an index in the PAT *of the host*, and the guest's PAT is combined with it.
/// - What is mapped is readable. Execute permission can be withheld only while EFER.NXE of the host is 1.
/// - G, MPK, A and D are clear; the processor sets A and D.
///
/// AMD APM vol. 2, section 15.25.5, "Nested Table Walk", section 15.25.6, "Nested versus Guest Page Faults, Fault Ordering",
/// and section 15.25.8, "Combining Memory Types, MTRRs".
///
/// ```
/// use x86_virt_core::{Access, Format, Hpa, MemoryType, PageSize};
/// use x86_virt_npt::{NptFormat, Pat};
///
/// let format = NptFormat::new(Pat::RESET, 48)?.with_no_execute();
/// let leaf = format.leaf(Hpa::new(0x1f00_0000), PageSize::Size4K, Access::RW, MemoryType::WriteBack)?;
/// assert_eq!(leaf, 0x8000_0000_1f00_0007);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NptFormat {
    pat: Pat,
    address_width: u8,
    levels: u8,
    largest_page: PageSize,
    has_no_execute: bool,
}

impl NptFormat {
    /// The format with 4 levels and pages up to 2 MiB, on a host with this PAT and physical addresses of `address_width` bits.
    ///
    /// # Errors
    ///
    /// [`NptUnsupported`] if `address_width` is no width that a processor has.
    pub const fn new(pat: Pat, address_width: u8) -> Result<Self, NptUnsupported> {
        if address_width < 32 || address_width > 52 {
            return Err(NptUnsupported::AddressWidth { width: address_width });
        }
        Ok(Self { pat, address_width, levels: 4, largest_page: PageSize::Size2M, has_no_execute: false })
    }

    /// The same with 1 GiB pages, which the processor must have.
    ///
    /// AMD APM vol. 2, section 5.3.5, "1-Gbyte Page Translation": CPUID Fn8000_0001_EDX bit 26.
    #[must_use]
    pub const fn with_1g_pages(self) -> Self {
        Self { largest_page: PageSize::Size1G, ..self }
    }

    /// The same with pages that cannot be executed, for which EFER.NXE of the host must be 1 whenever a guest runs. With
    /// NXE clear, bit 63 is reserved, and such a page faults.
    ///
    /// AMD APM vol. 2, section 5.6.1, "No Execute (NX) Bit".
    #[must_use]
    pub const fn with_no_execute(self) -> Self {
        Self { has_no_execute: true, ..self }
    }

    /// The same with 5 levels.
    ///
    /// The processor walks as many levels as the host's own paging has. Whoever runs a guest checks that CR4.LA57 of the host
    /// is 1 for tables of 5 levels, and 0 for tables of 4: otherwise a guest could reach the tables.
    ///
    /// AMD APM vol. 2, section 15.25.3, "Enabling Nested Paging".
    #[must_use]
    pub const fn with_five_levels(self) -> Self {
        Self { levels: 5, ..self }
    }

    /// The PAT of the host.
    #[must_use]
    pub const fn pat(&self) -> Pat {
        self.pat
    }

    /// Whether execute permission can be withheld.
    #[must_use]
    pub const fn has_no_execute(&self) -> bool {
        self.has_no_execute
    }
}

// SAFETY: by the sections that `NptEntry` cites. A leaf is present and for users, writable and executable as `access` says, with
// an address in bits 51:12, below which PAT (bit 12) is the only bit of a large page, and PS at levels 2 and 3. An entry for a
// table has P, R/W, U/S and the address; bits 62:52 are available to software there. An entry whose bit 0 is clear is not present.
// `split` moves PAT from bit 12 to bit 7 at level 1 and else keeps the leaf. `access_mask` is R/W and NX, and NX is left alone
// where the host has none. `classify` looks at bits 0, 1, 2, 63, the PAT index, PS and the address only. `new` checks the width.
#[expect(unsafe_code, reason = "the walk trusts the format")]
unsafe impl Format for NptFormat {
    fn levels(&self) -> u8 {
        self.levels
    }

    fn largest_page(&self) -> PageSize {
        self.largest_page
    }

    fn address_width(&self) -> u8 {
        self.address_width
    }

    fn leaf(&self, hpa: Hpa, size: PageSize, access: Access, memory_type: MemoryType) -> Result<u64, Unsupported> {
        let bits = self.access_bits(access)?;
        let index = self.pat.index_of(memory_type).ok_or(Unsupported::MemoryType { memory_type })?;
        let (is_large, has_pat) = (size != PageSize::Size4K, index & 4 != 0);
        let entry = NptEntry::from_bits(bits)
            .with_present(true)
            .with_user(true)
            .with_pwt(index & 1 != 0)
            .with_pcd(index & 2 != 0)
            .with_page_size_or_pat(is_large || has_pat)
            .with_hpa(hpa.align_down(size));
        Ok(entry.into_bits() | if is_large && has_pat { LARGE_PAT } else { 0 })
    }

    #[inline]
    fn table(&self, hpa: Hpa) -> u64 {
        NptEntry::new().with_present(true).with_writable(true).with_user(true).with_hpa(hpa).into_bits()
    }

    #[inline]
    fn classify(&self, entry: u64, level: u8) -> Entry {
        let entry = NptEntry::from_bits(entry);
        if !entry.present() {
            return Entry::Absent;
        }
        if level > 3 || level > 1 && !entry.page_size_or_pat() {
            return Entry::Table(entry.hpa());
        }
        let is_large = level > 1;
        let hpa = if is_large { entry.hpa().align_down(PageSize::Size2M) } else { entry.hpa() };
        match self.pat.memory_type(entry.pat_index(is_large)) {
            Some(memory_type) => Entry::Leaf { hpa, access: entry.access(), memory_type },
            // No format of this PAT writes it.
            None => Entry::Absent,
        }
    }

    fn split(&self, entry: u64, level: u8) -> u64 {
        if level > 2 {
            return entry;
        }
        let has_pat = entry & LARGE_PAT != 0;
        NptEntry::from_bits(entry & !LARGE_PAT).with_page_size_or_pat(has_pat).into_bits()
    }

    fn access_mask(&self) -> u64 {
        NptEntry::new().with_writable(true).with_no_execute(true).into_bits()
    }

    fn access_bits(&self, access: Access) -> Result<u64, Unsupported> {
        if access == Access::NONE {
            return Err(Unsupported::NoAccess);
        }
        let is_executable = access.contains(Access::EXECUTE);
        if !access.contains(Access::READ) {
            return Err(if access.contains(Access::WRITE) {
                Unsupported::WriteWithoutRead { access }
            } else {
                Unsupported::ExecuteOnly { access }
            });
        }
        if !is_executable && !self.has_no_execute {
            return Err(Unsupported::NoExecute { access });
        }
        let entry = NptEntry::new().with_writable(access.contains(Access::WRITE)).with_no_execute(!is_executable);
        Ok(entry.into_bits())
    }
}

/// Why nested page tables are not possible as they are asked for.
///
/// ```
/// use x86_virt_npt::{NptFormat, NptUnsupported, Pat};
///
/// assert_eq!(NptFormat::new(Pat::RESET, 64), Err(NptUnsupported::AddressWidth { width: 64 }));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NptUnsupported {
    /// Physical addresses have 32 to 52 bits.
    #[error("physical addresses do not have {width} bits")]
    AddressWidth {
        /// The width.
        width: u8,
    },
}

#[cfg(test)]
mod tests;
