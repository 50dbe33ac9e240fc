//! Memory-type range registers: the memory type that the host gives each physical address.

use core::ops::Range;

use crate::addr::{Gpa, Hpa};
use crate::mapping::MemoryType;

#[cfg(target_arch = "x86_64")]
mod hardware;
mod registers;
#[cfg(test)]
mod tests;
mod uniform;

pub use registers::{MtrrCapabilities, MtrrDefaultType, MtrrPhysBase, MtrrPhysMask};
pub use uniform::{MemoryTypePart, MemoryTypeParts, UniformRanges};

/// How many variable ranges there can be. VCNT has eight bits, but processors have eight to ten ranges, and the fixed ranges begin at
/// MSR 250H.
const VARIABLE: usize = 32;
/// Where the fixed ranges end.
const MIB: u64 = 1 << 20;
const GIB_4: u64 = 4 << 30;

/// The values of the MSRs, as a processor has them, or made up for a test.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct RawMtrrs {
    /// IA32_MTRRCAP.
    pub capabilities: u64,
    /// IA32_MTRR_DEF_TYPE.
    pub default_type: u64,
    /// IA32_MTRR_FIX64K_00000, FIX16K_80000, FIX16K_A0000, and FIX4K_C0000 to FIX4K_F8000.
    pub fixed: [u64; 11],
    /// IA32_MTRR_PHYSBASEn and IA32_MTRR_PHYSMASKn. Those from VCNT on are not looked at.
    pub variable: [(u64, u64); VARIABLE],
    /// TOP_MEM2 of an AMD processor if SYSCFG.Tom2ForceMemTypeWB and SYSCFG.MtrrTom2En are set, otherwise 0: the memory
    /// between 4 GiB and this address that no range covers is write-back, whatever the default type is.
    pub top_of_memory_2: u64,
}

/// The memory-type range registers of a processor: what memory type each physical address of the host has.
///
/// The processor ignores them for what a guest reaches through extended page tables, which say the memory type themselves,
/// so a hypervisor copies it from here: [`map_with_types`](crate::AddressSpace::map_with_types) gives each part of a mapping
/// its type, so that no large page has two; [`parts`](Self::parts) says where the type changes. Nested paging of AMD combines the MTRRs with what the tables say, and there, too, no
/// large page may have two types.
///
/// System-management ranges (SMRR) are left out: outside of system-management mode nothing reaches that memory. So are
/// I/O range registers.
///
/// Intel SDM vol. 3, section 13.11, "Memory Type Range Registers (MTRRs)"; AMD APM vol. 2, section 7.7, "Memory-Type Range
/// Registers".
///
/// ```
/// use x86_virt_core::{Hpa, MemoryType, Mtrrs, RawMtrrs};
///
/// // Write-back, but for 1 GiB of devices below 4 GiB, on a processor with 36 bits of address.
/// let mut raw = RawMtrrs { capabilities: 1, default_type: 0x806, ..RawMtrrs::default() };
/// raw.variable[0] = (0xc000_0000, 0xf_c000_0800);
/// let mtrrs = Mtrrs::from_raw(raw);
/// assert_eq!(mtrrs.memory_type(Hpa::new(0xbfff_ffff)), MemoryType::WriteBack);
/// assert_eq!(mtrrs.memory_type(Hpa::new(0xfee0_0000)), MemoryType::Uncacheable);
/// let types = mtrrs.uniform_ranges(Hpa::new(0)..Hpa::new(0x2_0000_0000));
/// assert_eq!(types.map(|(range, _)| range.end.get()).collect::<Vec<_>>(), [0xc000_0000, 0x1_0000_0000, 0x2_0000_0000]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mtrrs {
    raw: RawMtrrs,
}

impl Mtrrs {
    /// The registers with these values.
    #[must_use]
    pub const fn from_raw(raw: RawMtrrs) -> Self {
        Self { raw }
    }

    /// The values.
    #[must_use]
    pub const fn raw(&self) -> &RawMtrrs {
        &self.raw
    }

    /// IA32_MTRRCAP.
    #[must_use]
    pub const fn capabilities(&self) -> MtrrCapabilities {
        MtrrCapabilities::from_bits(self.raw.capabilities)
    }

    /// IA32_MTRR_DEF_TYPE.
    #[must_use]
    pub const fn default_type(&self) -> MtrrDefaultType {
        MtrrDefaultType::from_bits(self.raw.default_type)
    }

    /// The variable ranges that the processor has, whether in use or not.
    pub fn variable(&self) -> impl Iterator<Item = (MtrrPhysBase, MtrrPhysMask)> + '_ {
        let count = usize::from(self.capabilities().vcnt());
        let typed = |&(base, mask): &(u64, u64)| (MtrrPhysBase::from_bits(base), MtrrPhysMask::from_bits(mask));
        self.raw.variable.iter().take(count).map(typed)
    }

    /// The memory type of `hpa`.
    ///
    /// - While E is clear it is UC.
    /// - Below 1 MiB it is that of the fixed range, if there are fixed ranges and FE is set.
    /// - Else it is that of the variable ranges that hold `hpa`. Of several, UC wins, and WT wins over WB. What other types
    ///   give together the manuals leave undefined: it is taken as UC, which is safe for any memory.
    /// - Else it is the default type, or WB up to [`RawMtrrs::top_of_memory_2`].
    ///
    /// A reserved type, which no processor takes, counts as UC.
    ///
    /// Intel SDM vol. 3, section 13.11.4.1, "MTRR Precedences"; AMD APM vol. 2, section 7.7.2, "MTRRs".
    #[must_use]
    pub fn memory_type(&self, hpa: Hpa) -> MemoryType {
        if !self.default_type().e() {
            return MemoryType::Uncacheable;
        }
        if let Some((memory_type, _)) = self.fixed(hpa) {
            return memory_type;
        }
        let types = self.ranges().filter(|range| range.holds(hpa.get())).map(|range| range.memory_type);
        types.reduce(combine).unwrap_or_else(|| {
            if (GIB_4..self.raw.top_of_memory_2).contains(&hpa.get()) {
                MemoryType::WriteBack
            } else {
                decode(self.default_type().r#type())
            }
        })
    }

    /// The memory types of the range in ascending order: each item is as long as the type stays the same.
    ///
    /// It takes a step for each border of a range. There are few, unless the mask of a range has holes.
    ///
    /// Intel SDM vol. 3, section 13.11.3, "Example Base and Mask Calculations".
    #[must_use]
    pub fn uniform_ranges(&self, range: Range<Hpa>) -> UniformRanges<'_> {
        UniformRanges::new(self, range)
    }

    /// Cuts a mapping of `gpa` to the physical addresses from `hpa` on into parts of one memory type each.
    ///
    /// Addresses from 2^64 on are left out.
    #[must_use]
    pub fn parts(&self, gpa: Range<Gpa>, hpa: Hpa) -> MemoryTypeParts<'_> {
        MemoryTypeParts::new(self, gpa, hpa)
    }

    /// The type of `hpa` by the fixed ranges, and where that range ends.
    fn fixed(&self, hpa: Hpa) -> Option<(MemoryType, u64)> {
        if hpa.get() >= MIB || !self.default_type().fe() || !self.capabilities().fix() {
            return None;
        }
        // First address, log2 of the size of a range, and first register.
        let (start, shift, register) = match hpa.get() {
            0..0x8_0000 => (0, 16, 0),
            0x8_0000..0xc_0000 => (0x8_0000, 14, 1),
            _ => (0xc_0000, 12, 3),
        };
        let index = (hpa.get() - start) >> shift;
        let register = usize::try_from(index / 8).ok()?.checked_add(register)?;
        let byte = usize::try_from(index % 8).ok()?;
        let encoding = self.raw.fixed.get(register)?.to_le_bytes().get(byte).copied()?;
        Some((decode(encoding), start + ((index + 1) << shift)))
    }

    /// The variable ranges that are in use.
    fn ranges(&self) -> impl Iterator<Item = VariableRange> + '_ {
        self.variable().filter(|(_, mask)| mask.v()).map(|(base, mask)| {
            let mask = mask.physmask() << 12;
            VariableRange { base: base.physbase() << 12 & mask, mask, memory_type: decode(base.r#type()) }
        })
    }

    /// The next address above `address` at which the type may change.
    fn border(&self, address: u64) -> Option<u64> {
        if !self.default_type().e() {
            return None;
        }
        if let Some((_, end)) = self.fixed(Hpa::new(address)) {
            return Some(end);
        }
        let tops = [GIB_4, self.raw.top_of_memory_2].into_iter().filter(|top| *top > address);
        self.ranges().filter_map(|range| range.border(address)).chain(tops).min()
    }
}

/// A variable range: the addresses whose bits in `mask` are those of `base`.
#[derive(Clone, Copy, Debug)]
struct VariableRange {
    base: u64,
    mask: u64,
    memory_type: MemoryType,
}

impl VariableRange {
    fn holds(self, address: u64) -> bool {
        address & self.mask == self.base
    }

    /// The next address above `address` that is in the range if `address` is not, or the other way round.
    fn border(self, address: u64) -> Option<u64> {
        if self.holds(address) {
            // The addition of the lowest bit of the mask changes that bit. An empty mask holds all addresses.
            let below = (self.mask & self.mask.wrapping_neg()).checked_sub(1)?;
            return (address | below).checked_add(1);
        }
        // The highest bit that is wrong, and those below it.
        let highest = 1_u64 << ((address ^ self.base) & self.mask).checked_ilog2()?;
        let lower = highest - 1;
        if self.base & highest != 0 {
            // The bits above are right, and a 1 for the 0 makes the address greater: the least has zeros below.
            return Some(address & !self.mask & !lower | self.base);
        }
        // A 0 for the 1 makes it less: one of the bits above that are free is to become 1. The carry passes the others.
        let above = (address | self.mask | highest | lower).checked_add(1)?;
        Some(above & !self.mask | self.base)
    }
}

/// The type of what two ranges hold that overlap.
fn combine(one: MemoryType, other: MemoryType) -> MemoryType {
    match (one, other) {
        _ if one == other => one,
        (MemoryType::WriteThrough, MemoryType::WriteBack) | (MemoryType::WriteBack, MemoryType::WriteThrough) => {
            MemoryType::WriteThrough
        }
        _ => MemoryType::Uncacheable,
    }
}

/// The memory type with this encoding in an MTRR. Those that are reserved, among them that of UC-, are UC.
fn decode(encoding: u8) -> MemoryType {
    match MemoryType::from_encoding(encoding) {
        None | Some(MemoryType::UncacheableMinus) => MemoryType::Uncacheable,
        Some(memory_type) => memory_type,
    }
}
