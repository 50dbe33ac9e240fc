//! Nested page tables as a format of the walk.

use static_assertions::const_assert_eq;
use x86_virt_core::{Access, Entry, Format, Hpa, LogMethod, MemoryType, PageSize, Unsupported};

use crate::controls::NptControls;
use crate::entry::{LARGE_PAT, NptEntry};
use crate::pat::Pat;
use crate::reserved::{HIGH_RESERVED, beyond};

/// The entry format of nested page tables on a host of given modes.
///
/// - The processor takes every access of a guest as one of a user, so U/S is set in all entries; but with guest mode execute trap
///   (GMET) it is clear in the pages that supervisor mode may execute.
/// - The memory type of a page is an index in the PAT *of the host*, and the guest's PAT is combined with it.
/// - What is mapped is readable. Execute permission can be withheld only while EFER.NXE of the host is 1.
/// - G, MPK, A and D are clear; the processor sets A and D. But with supervisor shadow stacks in certain pages only, D is set in those,
///   which R/W of 0 and D of 1 mark, and in each page that is writable: the processor never changes it, so that there is no dirty
///   flag.
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
    available: NptControls,
    /// What the tables need, among `available`.
    enabled: NptControls,
    /// The bits of a page that say what is allowed, NX apart if the host has none.
    access_mask: u64,
    /// A and D, unless D says what is allowed.
    flags_mask: u64,
    /// U/S, where each page has it.
    user: u64,
    /// What a 4 KiB page of each memory type has in bits 7:3, one byte for each encoding, [`NO_INDEX`] if the PAT has it nowhere.
    small_types: u64,
    /// Bit `n`: a 4 KiB page may have `n` in bits 7:3, because the PAT has a memory type there.
    small_pages: u32,
    /// The memory type at index 0 of the PAT.
    first_type: Option<MemoryType>,
    /// Bits 51:12 from the address width on, and NX without EFER.NXE: reserved in each entry that is present.
    reserved: u64,
    /// What [`Format::follow`] and [`Format::page`] look at: `reserved`, NX, and bits 8:7 and 4:0.
    looked_at: u64,
    /// `looked_at`, and the address; without bit 0, so that nothing looks as usual, if U/S says who may execute.
    kept: u64,
}

/// Bits 2:0: P, R/W and U/S.
const ACCESS: u64 = 7;
/// Bit 0: P.
const PRESENT: u64 = 1;
/// Bit 2: U/S.
const USER: u64 = 1 << 2;
/// Bit 6: D.
const DIRTY: u64 = 1 << 6;
/// Bit 1: R/W.
const WRITABLE: u64 = 1 << 1;
/// Bit 7: PS.
const LARGE: u64 = 1 << 7;
/// Bits 4:3: PCD and PWT.
const CACHING: u64 = 3 << 3;
/// Bits 6:5: D and A.
const FLAGS: u64 = 3 << 5;
/// Bit 11, which is available to software: the dirty log has taken R/W away.
const WRITE_MARK: u64 = 1 << 11;
/// Bit 7: PAT of a 4 KiB page.
const SMALL_PAT: u64 = 1 << 7;
/// What no page has in bits 7:3.
const NO_INDEX: u64 = 0xff;
/// Bit 63: NX.
const NO_EXECUTE: u64 = 1 << 63;
/// Bits 51:12.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const_assert_eq!(NptEntry::new().with_present(true).with_writable(true).with_user(true).into_bits(), ACCESS);
const_assert_eq!(NptEntry::new().with_present(true).into_bits(), PRESENT);
const_assert_eq!(NptEntry::new().with_user(true).into_bits(), USER);
const_assert_eq!(NptEntry::new().with_dirty(true).into_bits(), DIRTY);
const_assert_eq!(NptEntry::new().with_writable(true).into_bits(), WRITABLE);
const_assert_eq!(LARGE, SMALL_PAT);
const_assert_eq!(NptEntry::new().with_pwt(true).with_pcd(true).into_bits(), CACHING);
const_assert_eq!(NptEntry::new().with_accessed(true).with_dirty(true).into_bits(), FLAGS);
const_assert_eq!(NptEntry::new().with_dirty(true).into_bits(), DIRTY);
const_assert_eq!(NptEntry::new().with_page_size_or_pat(true).with_global(true).into_bits(), HIGH_RESERVED);
const_assert_eq!(NptEntry::new().with_page_size_or_pat(true).into_bits(), SMALL_PAT);
const_assert_eq!(NptEntry::new().with_no_execute(true).into_bits(), NO_EXECUTE);
const_assert_eq!(NptEntry::new().with_hpa(Hpa::new(u64::MAX)).into_bits(), ADDRESS);

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
        let reserved = beyond(address_width);
        let looked_at = ACCESS | CACHING | HIGH_RESERVED | NO_EXECUTE | reserved;
        Ok(Self {
            pat,
            address_width,
            levels: 4,
            largest_page: PageSize::Size2M,
            has_no_execute: false,
            available: NptControls::new(),
            enabled: NptControls::new(),
            access_mask: WRITABLE | NO_EXECUTE,
            flags_mask: FLAGS,
            user: USER,
            small_types: small_types(pat),
            small_pages: valid_small_pages(pat),
            first_type: pat.memory_type(0),
            reserved: reserved | NO_EXECUTE,
            looked_at,
            kept: looked_at | ADDRESS,
        })
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
        Self { has_no_execute: true, reserved: self.reserved & !NO_EXECUTE, ..self }
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

    /// The same on a processor that can set these controls. It changes no entry: the other functions do, which need them.
    #[must_use]
    pub const fn with_controls(self, available: NptControls) -> Self {
        Self { available, ..self }
    }

    /// The same with guest mode execute trap (GMET): [`Access::EXECUTE_USER`] can be granted alone, and
    /// [`Access::EXECUTE_SUPERVISOR`] with it. There are no pages that supervisor mode can execute and user mode cannot.
    ///
    /// # Errors
    ///
    /// [`NptUnsupported::GuestModeExecuteTrap`] if the processor has none.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout", offset 090h.
    pub const fn with_guest_mode_execute_trap(self) -> Result<Self, NptUnsupported> {
        if !self.available.guest_mode_execute_trap() {
            return Err(NptUnsupported::GuestModeExecuteTrap);
        }
        let enabled = self.enabled.with_guest_mode_execute_trap(true);
        Ok(Self { enabled, access_mask: self.access_mask | USER, user: 0, kept: self.kept & !PRESENT, ..self })
    }

    /// The same with supervisor shadow stacks in certain pages only, those with [`Access::SUPERVISOR_SHADOW_STACK`]. Pages have no
    /// dirty flag then: D, which marks shadow stacks, is set in each page that is writable.
    ///
    /// # Errors
    ///
    /// [`NptUnsupported::SupervisorShadowStack`] if the processor has no such restrictions.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout", offset 090h.
    pub const fn with_supervisor_shadow_stack(self) -> Result<Self, NptUnsupported> {
        if !self.available.supervisor_shadow_stack_check() {
            return Err(NptUnsupported::SupervisorShadowStack);
        }
        let enabled = self.enabled.with_supervisor_shadow_stack_check(true);
        Ok(Self { enabled, access_mask: self.access_mask | DIRTY, flags_mask: FLAGS & !DIRTY, ..self })
    }

    /// The controls that tables in this format need. With another setting of them, entries mean something else.
    #[must_use]
    pub const fn controls(&self) -> NptControls {
        self.enabled
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

/// What a 4 KiB page of each memory type has in bits 7:3, one byte for each encoding, [`NO_INDEX`] if `pat` has it nowhere.
const fn small_types(pat: Pat) -> u64 {
    let mut types = u64::MAX;
    let mut pages = [0, 0x08, 0x10, 0x18, 0x80, 0x88, 0x90, 0x98].as_slice();
    let mut index = 8;
    // Downwards, so that the first index stays.
    while let [rest @ .., bits] = pages {
        pages = rest;
        index -= 1;
        if let Some(memory_type) = pat.memory_type(index) {
            let shift = 8 * memory_type.encoding();
            types = types & !(NO_INDEX << shift) | *bits << shift;
        }
    }
    types
}

/// The values of bits 7:3 that a 4 KiB page may have, as a set.
const fn valid_small_pages(pat: Pat) -> u32 {
    let mut pages = 0;
    let mut bits = 0;
    while bits < 32 {
        // PWT and PCD are bits 0 and 1 here, A and D are bits 2 and 3, PAT is bit 4.
        let index = bits & 3 | (bits >> 2) & 4;
        if pat.memory_type(index).is_some() {
            pages |= 1 << bits;
        }
        bits += 1;
    }
    pages
}

impl NptFormat {
    /// The address in `entry`, if the bits that are looked at are `usual`, of which bit 0 is set.
    #[inline]
    const fn address_after(&self, entry: u64, usual: u64) -> Option<Hpa> {
        let rest = (entry & self.kept) ^ usual;
        if rest & self.looked_at == 0 { Some(Hpa::new(rest)) } else { None }
    }

    /// What the page `entry` allows.
    #[inline]
    const fn access(&self, entry: u64) -> Access {
        let bits = NptEntry::from_bits(entry);
        if self.enabled.into_bits() == 0 {
            return bits.access();
        }
        let mut access = if self.enabled.guest_mode_execute_trap() { bits.trapped_access() } else { bits.access() };
        if self.enabled.supervisor_shadow_stack_check() && bits.is_supervisor_shadow_stack() {
            access = access.union(Access::SUPERVISOR_SHADOW_STACK);
        }
        access
    }

    /// The bits of a page that say who may execute it.
    const fn execute_bits(&self, access: Access) -> Result<u64, Unsupported> {
        let has_user = access.contains(Access::EXECUTE_USER);
        let has_supervisor = access.contains(Access::EXECUTE_SUPERVISOR);
        let has_trap = self.enabled.guest_mode_execute_trap();
        if !has_user && !has_supervisor {
            // Reads and writes do not depend on U/S then, which is as without the trap.
            let user = if has_trap { USER } else { 0 };
            return if self.has_no_execute { Ok(NO_EXECUTE | user) } else { Err(Unsupported::NoExecute { access }) };
        }
        match (has_trap, has_user, has_supervisor) {
            (false, true, true) | (true, true, true) => Ok(0),
            (true, true, false) => Ok(USER),
            (true, false, _) => Err(Unsupported::SupervisorExecute { access }),
            (false, ..) => Err(Unsupported::ModeBasedExecute { access }),
        }
    }

    /// D, where it says what is allowed.
    const fn shadow_stack_bits(&self, access: Access) -> Result<u64, Unsupported> {
        let is_shadow_stack = access.contains(Access::SUPERVISOR_SHADOW_STACK);
        if !self.enabled.supervisor_shadow_stack_check() {
            return if is_shadow_stack { Err(Unsupported::SupervisorShadowStack { access }) } else { Ok(0) };
        }
        let is_writable = access.contains(Access::WRITE);
        if is_shadow_stack && is_writable {
            return Err(Unsupported::WritableShadowStack { access });
        }
        Ok(if is_shadow_stack || is_writable { DIRTY } else { 0 })
    }
}

// SAFETY: by the sections that `NptEntry` cites. A leaf is present and for users, writable and executable as `access` says, with
// an address in bits 51:12, below which PAT (bit 12) is the only bit of a large page, and PS at levels 2 and 3. With GMET, U/S of a
// page says who may execute it, and nothing else; with SSSCheckEn, D of a page that is not writable says whether it may be a shadow
// stack, and D of one that is writable is set, so that the processor changes neither, nor does taking R/W away. An entry for a
// table has P, R/W, U/S and the address; bits 62:52 are available to software there. An entry whose bit 0 is clear is not present.
// `split` moves PAT from bit 12 to bit 7 at level 1 and else keeps the leaf. `access_mask` is R/W, NX, and U/S and D as above; NX is
// left alone where the host has none. `memory_type_mask` is PWT, PCD, and PAT where the size has it; `flags_mask` is A, and D unless it
// is in `access_mask`, `dirty_mask` that D, `write_mask` R/W; `write_mark` is bit 11, which is available to software, and counts as R/W
// in `classify`. Where D says what is allowed, a log can neither look at it nor take R/W away. `classify` and
// `follow` look at bits 0, 1, 2, 6, 63, the PAT index, PS, G at levels 4 and 5, and the address only; of what `leaf` and `table` return
// they find nothing reserved, since the walk asks for no address beyond the width and for no page that the processor lacks.
// `follow` is `Some` only with bits 2:0 all 1, bits 8:7, 4:3 and NX 0, and no bit of the address reserved, which `classify` reports
// as a table at levels 2 and more; `page` looks at the same bits, which are those of a page with every access and PAT index 0. With
// GMET neither ever is, since bit 0 is not kept.
// `new` checks the width.
#[expect(unsafe_code, reason = "the walk trusts the format")]
unsafe impl Format for NptFormat {
    #[inline]
    fn levels(&self) -> u8 {
        self.levels
    }

    #[inline]
    fn largest_page(&self) -> PageSize {
        self.largest_page
    }

    #[inline]
    fn address_width(&self) -> u8 {
        self.address_width
    }

    #[inline]
    fn leaf(&self, hpa: Hpa, size: PageSize, access: Access, memory_type: MemoryType) -> Result<u64, Unsupported> {
        let bits = self.access_bits(access)? | self.memory_type_bits(memory_type, size)?;
        let is_large = size != PageSize::Size4K;
        let large = if is_large { LARGE } else { 0 };
        Ok(PRESENT | self.user | large | bits | hpa.align_down(size).get() & ADDRESS)
    }

    #[inline]
    fn table(&self, hpa: Hpa) -> u64 {
        ACCESS | hpa.get() & ADDRESS
    }

    #[inline]
    fn classify(&self, entry: u64, level: u8) -> Entry {
        let bits = NptEntry::from_bits(entry);
        if !bits.present() {
            return Entry::Absent;
        }
        if entry & self.reserved != 0 {
            return Entry::Invalid;
        }
        let Some(size) = PageSize::of_level(level) else {
            return if entry & HIGH_RESERVED == 0 { Entry::Table(bits.hpa()) } else { Entry::Invalid };
        };
        let is_large = size != PageSize::Size4K;
        let memory_type = self.pat.memory_type(bits.pat_index(is_large));
        let hpa = if is_large {
            if !bits.page_size_or_pat() {
                return Entry::Table(bits.hpa());
            }
            let hpa = Hpa::new(bits.hpa().get() & !LARGE_PAT);
            if !hpa.is_aligned(size) || size > self.largest_page || memory_type.is_none() {
                return Entry::Invalid;
            }
            hpa
        } else {
            if (self.small_pages >> ((entry >> 3) & 0x1f)) & 1 == 0 {
                return Entry::Invalid;
            }
            bits.hpa()
        };
        // It is one: that was looked at.
        let memory_type = memory_type.unwrap_or(MemoryType::Uncacheable);
        let access = self.access(entry);
        let access = if entry & WRITE_MARK == 0 { access } else { access.union(Access::WRITE) };
        Entry::Leaf { hpa, access, memory_type }
    }

    #[inline]
    fn follow(&self, entry: u64, _level: u8) -> Option<Hpa> {
        self.address_after(entry, ACCESS)
    }

    #[inline]
    fn page(&self, entry: u64) -> Option<(Hpa, Access, MemoryType)> {
        // The same bits as in `follow`, of which HIGH_RESERVED holds PAT.
        Some((self.address_after(entry, ACCESS)?, Access::ALL, self.first_type?))
    }

    #[inline]
    fn split(&self, entry: u64, level: u8) -> u64 {
        if level > 2 {
            return entry;
        }
        let has_pat = entry & LARGE_PAT != 0;
        NptEntry::from_bits(entry & !LARGE_PAT).with_page_size_or_pat(has_pat).into_bits()
    }

    #[inline]
    fn memory_type_mask(&self, size: PageSize) -> u64 {
        CACHING | if size == PageSize::Size4K { SMALL_PAT } else { LARGE_PAT }
    }

    #[inline]
    fn memory_type_bits(&self, memory_type: MemoryType, size: PageSize) -> Result<u64, Unsupported> {
        let bits = (self.small_types >> (8 * memory_type.encoding())) & NO_INDEX;
        if bits == NO_INDEX {
            return Err(Unsupported::MemoryType { memory_type });
        }
        // PAT is in bit 7 here.
        let has_large_pat = size != PageSize::Size4K && bits & SMALL_PAT != 0;
        Ok(if has_large_pat { bits & CACHING | LARGE_PAT } else { bits })
    }

    fn flags_mask(&self) -> u64 {
        self.flags_mask
    }

    fn dirty_mask(&self) -> u64 {
        self.flags_mask & DIRTY
    }

    fn write_mask(&self) -> u64 {
        WRITABLE
    }

    fn write_mark(&self) -> u64 {
        WRITE_MARK
    }

    fn log_method(&self) -> LogMethod {
        if self.flags_mask & DIRTY != 0 { LogMethod::DirtyFlags } else { LogMethod::WriteProtection }
    }

    fn can_write_protect(&self) -> bool {
        self.flags_mask & DIRTY != 0
    }

    fn access_mask(&self) -> u64 {
        self.access_mask
    }

    #[inline]
    fn access_bits(&self, access: Access) -> Result<u64, Unsupported> {
        if access == Access::NONE {
            return Err(Unsupported::NoAccess);
        }
        if access.contains(Access::PAGING_WRITE) {
            return Err(Unsupported::PagingWrite { access });
        }
        if !access.contains(Access::READ) {
            return Err(if access.contains(Access::WRITE) {
                Unsupported::WriteWithoutRead { access }
            } else {
                Unsupported::ExecuteOnly { access }
            });
        }
        let writable = if access.contains(Access::WRITE) { WRITABLE } else { 0 };
        Ok(writable | self.execute_bits(access)? | self.shadow_stack_bits(access)?)
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
    /// No guest mode execute trap.
    #[error("the processor has no guest mode execute trap (CPUID Fn8000_000A_EDX bit 17)")]
    GuestModeExecuteTrap,
    /// No supervisor shadow stack restrictions.
    #[error("the processor has no supervisor shadow stack restrictions (CPUID Fn8000_000A_EDX bit 19)")]
    SupervisorShadowStack,
    /// Physical addresses have 32 to 52 bits.
    #[error("physical addresses do not have {width} bits")]
    AddressWidth {
        /// The width.
        width: u8,
    },
}

#[cfg(test)]
mod tests;
