//! Entries of a guest's tables, and what a walk finds.

use crate::GuestMemory;
use crate::addr::{Gpa, Gva, PageSize};

use super::fault::GuestFault;
use super::{GuestPaging, GuestTranslation};

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const GLOBAL: u64 = 1 << 8;
const EXECUTE_DISABLE: u64 = 1 << 63;
/// Bits 51:12 of an entry: a physical address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// How linear addresses are translated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Entries of 4 bytes, 2 levels.
    Bits32,
    /// Physical-address extension: 3 levels.
    Pae,
    /// 4 levels.
    Four,
    /// 5 levels.
    Five,
}

impl Mode {
    /// The mode of the registers; `None` without paging.
    pub(super) fn of(paging: &GuestPaging) -> Option<Self> {
        if !paging.cr0.pg() {
            return None;
        }
        Some(match (paging.cr4.pae(), paging.efer.lma(), paging.cr4.la57()) {
            (false, ..) => Self::Bits32,
            (true, false, _) => Self::Pae,
            (true, true, false) => Self::Four,
            (true, true, true) => Self::Five,
        })
    }

    pub(super) const fn levels(self) -> u32 {
        match self {
            Self::Bits32 => 2,
            Self::Pae => 3,
            Self::Four => 4,
            Self::Five => 5,
        }
    }

    /// The address of the root in `cr3`.
    pub(super) const fn root(self, cr3: u64) -> u64 {
        match self {
            Self::Bits32 => cr3 & 0xffff_f000,
            Self::Pae => cr3 & 0xffff_ffe0,
            Self::Four | Self::Five => cr3 & ADDRESS,
        }
    }

    /// Whether the bits above the width of linear addresses all equal the highest one. Addresses of 32 bits always are.
    pub(super) const fn is_canonical(self, gva: Gva) -> bool {
        let width = match self {
            Self::Bits32 | Self::Pae => return true,
            Self::Four => 48,
            Self::Five => 57,
        };
        let above = gva.get() >> (width - 1);
        above == 0 || above == u64::MAX >> (width - 1)
    }

    /// The lowest bit of the index into a table of `level`.
    const fn shift(self, level: u32) -> u32 {
        match self {
            Self::Bits32 => 12 + 10 * (level - 1),
            _ => 12 + 9 * (level - 1),
        }
    }

    const fn entry_bytes(self) -> u64 {
        match self {
            Self::Bits32 => 4,
            _ => 8,
        }
    }
}

/// An entry, and where it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) bits: u64,
    gpa: Gpa,
    mode: Mode,
    level: u32,
}

impl Entry {
    /// Reads the entry of `gva` in `table`.
    pub(super) fn read(
        memory: &impl GuestMemory,
        mode: Mode,
        table: u64,
        gva: Gva,
        level: u32,
    ) -> Result<Self, GuestFault> {
        let index_mask = match (mode, level) {
            (Mode::Bits32, _) => 0x3ff,
            (Mode::Pae, 3) => 3,
            _ => 0x1ff,
        };
        let index = gva.get() >> mode.shift(level) & index_mask;
        let gpa = Gpa::new(table + index * mode.entry_bytes());
        let mut bytes = [0; 8];
        let (used, _) = bytes.split_at_mut(if mode == Mode::Bits32 { 4 } else { 8 });
        memory.read(gpa, used).map_err(|error| GuestFault::Memory { gva, error })?;
        Ok(Self { bits: u64::from_le_bytes(bytes), gpa, mode, level })
    }

    pub(super) const fn is_present(&self) -> bool {
        self.bits & PRESENT != 0
    }

    /// Whether it is a page and no reference to a table, if its reserved bits are clear.
    pub(super) fn is_page(&self, paging: &GuestPaging) -> bool {
        match (self.mode, self.level) {
            (_, 1) => true,
            (Mode::Bits32, 2) => self.bits & LARGE != 0 && paging.cr4.pse(),
            (_, 2) | (Mode::Four | Mode::Five, 3) => self.bits & LARGE != 0,
            _ => false,
        }
    }

    /// Whether it has an accessed flag and permissions: all have but those that the PDPTE registers take the place of.
    pub(super) fn has_rights(&self) -> bool {
        (self.mode, self.level) != (Mode::Pae, 3)
    }

    /// The bits that must be 0.
    ///
    /// Intel SDM vol. 3, tables of chapter 5, "Format of ..."; AMD APM vol. 2, section 5.3, "Long-Mode Page Translation".
    pub(super) fn reserved(&self, paging: &GuestPaging, is_page: bool) -> u64 {
        let width = u32::from(paging.address_width.clamp(32, 52));
        let above_width = !((1 << width) - 1);
        if self.mode == Mode::Bits32 {
            // Bits 20:13 of a 4 MiB page are bits 39:32 of its address.
            return if is_page && self.level == 2 { bits(width.min(40) - 19, 21) } else { 0 };
        }
        let execute_disable = if paging.efer.nxe() { 0 } else { EXECUTE_DISABLE };
        let upper = match (self.mode, self.level) {
            (Mode::Pae, 3) => return above_width | bits(1, 2) | bits(5, 8),
            (Mode::Pae, _) => above_width & !EXECUTE_DISABLE,
            _ => above_width & ADDRESS,
        };
        let lower = match (self.level, is_page) {
            (4 | 5, _) => LARGE,
            (3, true) if paging.largest_page < PageSize::Size1G => LARGE,
            (3, true) => bits(13, 29),
            (2, true) => bits(13, 20),
            _ => 0,
        };
        upper | lower | execute_disable
    }

    /// The table that it refers to.
    pub(super) const fn table_address(&self) -> u64 {
        self.bits & ADDRESS
    }

    /// How many bytes the page has.
    pub(super) const fn page_bytes(&self) -> u64 {
        1 << self.mode.shift(self.level)
    }

    /// Where the page is.
    pub(super) fn page_address(&self) -> u64 {
        let address = self.bits & ADDRESS & !(self.page_bytes() - 1);
        if (self.mode, self.level) == (Mode::Bits32, 2) { address | (self.bits >> 13 & 0xff) << 32 } else { address }
    }

    /// Sets the accessed flag and, if it `is_written`, the dirty flag. False if another processor has changed the entry.
    pub(super) fn mark(&self, memory: &impl GuestMemory, gva: Gva, is_written: bool) -> Result<bool, GuestFault> {
        let flags = if is_written { ACCESSED | DIRTY } else { ACCESSED };
        let new = self.bits | flags;
        if new == self.bits {
            return Ok(true);
        }
        let exchanged = if self.mode == Mode::Bits32 {
            let half = |bits: u64| u32::try_from(bits & 0xffff_ffff).unwrap_or(0);
            memory.compare_exchange_u32(self.gpa, half(self.bits), half(new))
        } else {
            memory.compare_exchange_u64(self.gpa, self.bits, new)
        };
        exchanged.map_err(|error| GuestFault::Memory { gva, error })
    }
}

/// Bits `low` to `high`, both included.
const fn bits(low: u32, high: u32) -> u64 {
    (u64::MAX >> (63 - high)) & (u64::MAX << low)
}

/// What a walk finds at its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) page: Gpa,
    pub(super) bytes: u64,
    pub(super) is_user: bool,
    pub(super) is_execute_disabled: bool,
    pub(super) key: u8,
    are_tables_writable: bool,
    is_page_writable: bool,
    is_dirty: bool,
    is_global: bool,
}

impl Leaf {
    /// With all rights, which the entries take away.
    pub(super) const fn new() -> Self {
        Self {
            page: Gpa::new(0),
            bytes: 0x1000,
            is_user: true,
            is_execute_disabled: false,
            key: 0,
            are_tables_writable: true,
            is_page_writable: true,
            is_dirty: false,
            is_global: false,
        }
    }

    /// The address is the physical one.
    pub(super) const fn without_paging(gva: Gva) -> Self {
        Self { page: Gpa::new(gva.get() & 0xffff_f000), ..Self::new() }
    }

    /// Takes away what `entry` does not allow.
    pub(super) const fn narrow(&mut self, entry: &Entry, is_page: bool) {
        let bits = entry.bits;
        self.is_user &= bits & USER != 0;
        self.is_execute_disabled |= bits & EXECUTE_DISABLE != 0;
        if is_page {
            self.is_page_writable = bits & WRITABLE != 0;
            self.is_dirty = bits & DIRTY != 0;
            self.is_global = bits & GLOBAL != 0;
            let [.., high] = bits.to_le_bytes();
            self.key = high >> 3 & 0xf;
        } else {
            self.are_tables_writable &= bits & WRITABLE != 0;
        }
    }

    pub(super) const fn is_writable(&self) -> bool {
        self.are_tables_writable && self.is_page_writable
    }

    /// Intel SDM vol. 3, section 5.6, "Access Rights": dirty and not writable, below tables that are.
    pub(super) const fn is_shadow_stack(&self) -> bool {
        self.are_tables_writable && !self.is_page_writable && self.is_dirty
    }

    pub(super) fn translation(&self, gva: Gva) -> GuestTranslation {
        GuestTranslation {
            gpa: Gpa::new(self.page.get() | gva.get() & (self.bytes - 1)),
            page_bytes: self.bytes,
            access: self.access(),
            is_user: self.is_user,
            is_global: self.is_global,
            protection_key: self.key,
        }
    }
}
