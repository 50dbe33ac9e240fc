//! Reserved bits of entries, which make an access a nested page fault.

use x86_virt_core::{PageSize, PagingLevel};

use crate::entry::NptEntry;

/// What decides which bits of an entry are reserved.
///
/// AMD APM vol. 2, section 5.3, "Long-Mode Page Translation", and section 5.4, "Page-Translation-Table Entry Fields".
///
/// ```
/// use x86_virt_core::PagingLevel;
/// use x86_virt_npt::{NptEntry, NptRules};
///
/// let rules = NptRules::new(48).with_1g_pages();
/// let entry = NptEntry::from_bits(0x8000_0000_1f00_2087);
/// assert_eq!(entry.reserved_bits(PagingLevel::Pd, &rules), 0x8000_0000_0000_2000);
/// assert_eq!(entry.reserved_bits(PagingLevel::Pt, &rules.with_no_execute()), 0);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct NptRules {
    address_width: u8,
    encryption_bit: Option<u8>,
    has_1g_pages: bool,
    has_no_execute: bool,
}

impl NptRules {
    /// The rules of a processor with physical addresses of `address_width` bits and without 1 GiB pages, while EFER.NXE of
    /// the host is 0.
    #[must_use]
    pub const fn new(address_width: u8) -> Self {
        Self { address_width, encryption_bit: None, has_1g_pages: false, has_no_execute: false }
    }

    /// The same with 1 GiB pages.
    #[must_use]
    pub const fn with_1g_pages(self) -> Self {
        Self { has_1g_pages: true, ..self }
    }

    /// The same while EFER.NXE of the host is 1.
    #[must_use]
    pub const fn with_no_execute(self) -> Self {
        Self { has_no_execute: true, ..self }
    }

    /// The same with memory encryption, for which `bit` of an entry is the C-bit: CPUID Fn8000_001F_EBX bits 5:0.
    ///
    /// AMD APM vol. 2, section 7.10, "Secure Memory Encryption".
    #[must_use]
    pub const fn with_encryption_bit(self, bit: u8) -> Self {
        Self { encryption_bit: Some(bit), ..self }
    }

    /// Bits from the physical-address width on, up to bit 51, without the C-bit.
    const fn high(&self) -> u64 {
        let high = beyond(self.address_width);
        match self.encryption_bit {
            Some(bit) if bit < 64 => high & !(1 << bit),
            _ => high,
        }
    }
}

/// Bits 8:7: G and PS, which are reserved at levels 4 and 5.
pub(crate) const HIGH_RESERVED: u64 = 3 << 7;

/// Bits 51:12 of a table's address from `address_width` on.
pub(crate) const fn beyond(address_width: u8) -> u64 {
    const ADDRESS: u64 = (1 << 52) - 1;
    if address_width >= 52 { 0 } else { ADDRESS & !((1 << address_width) - 1) }
}

impl NptEntry {
    /// Whether the entry, if it is present, maps a page.
    #[must_use]
    pub const fn is_page(self, level: PagingLevel, rules: &NptRules) -> bool {
        match level.page_size() {
            Some(PageSize::Size4K) => true,
            Some(PageSize::Size2M) => self.page_size_or_pat(),
            Some(PageSize::Size1G) => self.page_size_or_pat() && rules.has_1g_pages,
            None => false,
        }
    }

    /// The reserved bits that are set in the entry of `level`, if it is present. Each makes an access a nested page fault
    /// with RSV set.
    ///
    /// AMD APM vol. 2, section 5.3, "Long-Mode Page Translation".
    #[must_use]
    pub const fn reserved_bits(self, level: PagingLevel, rules: &NptRules) -> u64 {
        let low = match level {
            PagingLevel::Pml5 | PagingLevel::Pml4 => HIGH_RESERVED,
            PagingLevel::Pdpt if !rules.has_1g_pages => 0x80,
            PagingLevel::Pdpt if self.page_size_or_pat() => 0x3fff_e000,
            PagingLevel::Pd if self.page_size_or_pat() => 0x1f_e000,
            PagingLevel::Pdpt | PagingLevel::Pd | PagingLevel::Pt => 0,
        };
        let no_execute = if rules.has_no_execute { 0 } else { 1 << 63 };
        self.into_bits() & (low | rules.high() | no_execute)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};
    use x86_virt_core::{Access, Format, Hpa, MemoryType, PageSize, PagingLevel};

    use super::NptRules;
    use crate::{NptControls, NptEntry, NptFormat, Pat};

    #[test]
    fn reserved_bits_are_those_of_the_manual() {
        let rules = NptRules::new(48).with_1g_pages();
        let high = 0x800f_0000_0000_0000;
        let table = [
            (PagingLevel::Pml5, 0, 0x180 | high),
            (PagingLevel::Pml4, 0, 0x180 | high),
            (PagingLevel::Pdpt, 0, high),
            (PagingLevel::Pdpt, 0x80, 0x3fff_e000 | high),
            (PagingLevel::Pd, 0, high),
            (PagingLevel::Pd, 0x80, 0x1f_e000 | high),
            (PagingLevel::Pt, 0, high),
            (PagingLevel::Pt, 0x80, high),
        ];
        for (level, large, reserved) in table {
            for bit in (0..64).filter(|&bit| bit != 7) {
                let entry = NptEntry::from_bits(1 << bit | large);
                assert_eq!(entry.reserved_bits(level, &rules), 1 << bit & reserved, "{level} {large:#x} bit {bit}");
            }
        }
        let large = NptEntry::from_bits(0x80);
        assert_eq!(large.reserved_bits(PagingLevel::Pml4, &rules), 0x80);
        assert_eq!(large.reserved_bits(PagingLevel::Pdpt, &rules), 0);
        assert_eq!(large.reserved_bits(PagingLevel::Pdpt, &NptRules::new(48)), 0x80);
        assert_eq!(large.reserved_bits(PagingLevel::Pd, &NptRules::new(48)), 0);
    }

    #[test]
    fn the_encryption_bit_is_no_address() {
        let entry = NptEntry::from_bits(1 << 51 | 1 << 50);
        assert_eq!(entry.reserved_bits(PagingLevel::Pt, &NptRules::new(48)), 1 << 51 | 1 << 50);
        assert_eq!(entry.reserved_bits(PagingLevel::Pt, &NptRules::new(48).with_encryption_bit(51)), 1 << 50);
        assert_eq!(entry.reserved_bits(PagingLevel::Pt, &NptRules::new(48).with_encryption_bit(64)), 1 << 51 | 1 << 50);
    }

    proptest! {
        #[test]
        fn what_the_format_writes_has_no_reserved_bit(
            frame in 0_u64..1 << 36,
            size in 0_usize..3,
            access in 0_u8..64,
            memory_type in 0_usize..6,
        ) {
            let size = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G][size];
            let hpa = Hpa::new(frame << 12);
            let pat = Pat::new(0x0606_0501_0700_0406);
            let format = NptFormat::new(pat, 48).unwrap().with_1g_pages().with_no_execute();
            let format = format.with_controls(NptControls::from_bits(3)).with_guest_mode_execute_trap().unwrap();
            let format = format.with_supervisor_shadow_stack().unwrap();
            let rules = NptRules::new(48).with_1g_pages().with_no_execute();
            let access = Access::from_bits_truncate(access);
            let level = PagingLevel::of_number(size.level()).unwrap();
            if let Ok(leaf) = format.leaf(hpa.align_down(size), size, access, MemoryType::ALL[memory_type]) {
                prop_assert_eq!(NptEntry::from_bits(leaf).reserved_bits(level, &rules), 0);
                prop_assert_eq!(NptEntry::from_bits(leaf).is_page(level, &rules), true);
            }
            let table = NptEntry::from_bits(format.table(hpa));
            for level in [PagingLevel::Pd, PagingLevel::Pdpt, PagingLevel::Pml4, PagingLevel::Pml5] {
                prop_assert_eq!(table.reserved_bits(level, &rules), 0);
                prop_assert_eq!(table.is_page(level, &rules), false);
            }
        }

        #[test]
        fn reserved_bits_are_bits_of_the_entry(bits in any::<u64>(), level in 0_usize..5, width in any::<u8>()) {
            let reserved = NptEntry::from_bits(bits).reserved_bits(PagingLevel::ALL[level], &NptRules::new(width));
            prop_assert_eq!(reserved & !bits, 0);
        }
    }
}
