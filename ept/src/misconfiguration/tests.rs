use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};
use x86_virt_core::{Access, Format, Hpa, MemoryType, PageAttributes, PageSize, PagingLevel};

use super::{EptMisconfiguration, EptRules};
use crate::{EptCapabilities, EptControls, EptEntry, EptFormat};

/// Execute-only, 4 levels, write-back tables, 2 MiB and 1 GiB pages.
const RICH: EptCapabilities = EptCapabilities::from_bits(0x3_4041);
/// 4 levels and write-back tables.
const POOR: EptCapabilities = EptCapabilities::from_bits(0x4040);

#[test]
fn reserved_bits_are_those_of_the_tables() {
    let rules = EptRules::new(RICH, 46);
    let high = 0x000f_c000_0000_0000;
    let table = [
        (PagingLevel::Pml5, 0, 0xf8 | high),
        (PagingLevel::Pml4, 0, 0xf8 | high),
        (PagingLevel::Pdpt, 0, 0x78 | high),
        (PagingLevel::Pdpt, 0x80, 0x3fff_f000 | high),
        (PagingLevel::Pd, 0, 0x78 | high),
        (PagingLevel::Pd, 0x80, 0x1f_f000 | high),
        (PagingLevel::Pt, 0, high),
        (PagingLevel::Pt, 0x80, high),
    ];
    for (level, large, reserved) in table {
        for bit in (0..64).filter(|&bit| bit != 7) {
            let entry = EptEntry::from_bits(1 << bit | large);
            assert_eq!(entry.reserved_bits(level, &rules), 1 << bit & reserved, "{level} {large:#x} bit {bit}");
        }
    }
    let large = EptEntry::from_bits(0x80);
    for (level, is_reserved) in [(PagingLevel::Pml5, true), (PagingLevel::Pml4, true), (PagingLevel::Pdpt, false)] {
        assert_eq!(large.reserved_bits(level, &rules) != 0, is_reserved);
    }
    for (level, is_reserved) in [(PagingLevel::Pdpt, true), (PagingLevel::Pd, true), (PagingLevel::Pt, false)] {
        assert_eq!(large.reserved_bits(level, &EptRules::new(POOR, 46)) != 0, is_reserved);
    }
}

#[test]
fn each_reason_is_found() {
    let (rich, poor) = (EptRules::new(RICH, 46), EptRules::new(POOR, 46));
    let paging_write = rich.with_paging_write();
    let reserved = |level, bits| Some(EptMisconfiguration::ReservedBits { level, bits });
    let table = [
        (0, PagingLevel::Pt, rich, None),
        (0xf8, PagingLevel::Pml4, rich, None),
        (0x37, PagingLevel::Pt, poor, None),
        (0x32, PagingLevel::Pt, rich, Some(EptMisconfiguration::WriteWithoutRead)),
        (0x36, PagingLevel::Pt, rich, Some(EptMisconfiguration::WriteWithoutRead)),
        (0x34, PagingLevel::Pt, rich, None),
        (0x34, PagingLevel::Pt, poor, Some(EptMisconfiguration::ExecuteOnly)),
        (0x4, PagingLevel::Pml4, poor, Some(EptMisconfiguration::ExecuteOnly)),
        (0x430, PagingLevel::Pt, poor, None),
        (0x430, PagingLevel::Pt, poor.with_mode_based_execute(), Some(EptMisconfiguration::ExecuteUserOnly)),
        (0x430, PagingLevel::Pt, rich.with_mode_based_execute(), None),
        (0x87, PagingLevel::Pml4, rich, Some(EptMisconfiguration::LargePage { level: PagingLevel::Pml4 })),
        (0x87, PagingLevel::Pml5, rich, Some(EptMisconfiguration::LargePage { level: PagingLevel::Pml5 })),
        (0x87, PagingLevel::Pd, poor, Some(EptMisconfiguration::LargePage { level: PagingLevel::Pd })),
        (0xb7, PagingLevel::Pd, rich, None),
        (0x47, PagingLevel::Pd, rich, reserved(PagingLevel::Pd, 0x40)),
        (0x4000_0000_1037, PagingLevel::Pt, rich, reserved(PagingLevel::Pt, 1 << 46)),
        (0x17, PagingLevel::Pt, rich, Some(EptMisconfiguration::MemoryType { encoding: 2 })),
        (0x1f, PagingLevel::Pt, rich, Some(EptMisconfiguration::MemoryType { encoding: 3 })),
        (0x3f, PagingLevel::Pt, rich, Some(EptMisconfiguration::MemoryType { encoding: 7 })),
        (1 << 58 | 0x34, PagingLevel::Pt, rich, None),
        (1 << 58 | 0x34, PagingLevel::Pt, paging_write, Some(EptMisconfiguration::PagingWriteWithoutRead)),
        (1 << 58 | 0x34, PagingLevel::Pd, paging_write, reserved(PagingLevel::Pd, 0x30)),
        (1 << 58 | 0x4, PagingLevel::Pd, paging_write, None),
        (1 << 58 | 0x37, PagingLevel::Pt, paging_write, None),
    ];
    for (bits, level, rules, reason) in table {
        let entry = EptEntry::from_bits(bits);
        assert_eq!(entry.misconfiguration(level, &rules), reason, "{level} {entry} {rules:?}");
    }
}

/// The rules of section 31.3.3.1, written from its list, on plain numbers.
fn is_misconfigured(entry: u64, level: u8, capabilities: u64, width: u8, mode_based: bool, paging_write: bool) -> bool {
    let bit = |number: u8| entry >> number & 1 == 1;
    let has = |number: u8| capabilities >> number & 1 == 1;
    if !(bit(0) || bit(1) || bit(2) || mode_based && bit(10)) {
        return false;
    }
    let is_page = match level {
        1 => true,
        2 => bit(7) && has(16),
        3 => bit(7) && has(17),
        _ => false,
    };
    let mut reserved: Vec<u8> = (width..52).collect();
    match (level, is_page) {
        (1, _) => {}
        (2, true) => reserved.extend(12..21),
        (3, true) => reserved.extend(12..30),
        _ => reserved.extend(3..8),
    }
    let kind = entry >> 3 & 7;
    !bit(0) && bit(1)
        || !bit(0) && !has(0) && (bit(2) || mode_based && bit(10))
        || reserved.into_iter().any(bit)
        || is_page && matches!(kind, 2 | 3 | 7)
        || is_page && paging_write && bit(58) && !bit(0)
}

proptest! {
    #[test]
    fn misconfigurations_are_those_of_the_list(
        bits in any::<u64>(),
        // Clears most of the address in half of the cases, so that other reasons count.
        mask in prop_oneof![Just(u64::MAX), any::<u64>().prop_map(|mask| mask & !0xf_ffff_ffff_f0f8)],
        level in 0_usize..5,
        capabilities in any::<u64>(),
        width in 32_u8..=52,
        mode_based in any::<bool>(),
        paging_write in any::<bool>(),
    ) {
        let level = PagingLevel::ALL[level];
        let entry = EptEntry::from_bits(bits & mask);
        let mut rules = EptRules::new(EptCapabilities::from_bits(capabilities), width);
        if mode_based {
            rules = rules.with_mode_based_execute();
        }
        if paging_write {
            rules = rules.with_paging_write();
        }
        let expected =
            is_misconfigured(bits & mask, level.number(), capabilities, width, mode_based, paging_write);
        prop_assert_eq!(entry.misconfiguration(level, &rules).is_some(), expected);
    }

    #[test]
    fn what_the_format_writes_is_accepted(
        frame in 0_u64..1 << 34,
        size in 0_usize..3,
        access in 0_u8..64,
        attributes in 0_u8..8,
        memory_type in 0_usize..6,
    ) {
        let size = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G][size];
        let hpa = Hpa::new(frame << 12);
        let format = EptFormat::new(RICH, 46)
            .and_then(|format| format.with_controls(EptControls::from_bits(0x1f)).with_mode_based_execute())
            .and_then(EptFormat::with_paging_write)
            .and_then(EptFormat::with_sub_page_write)
            .and_then(EptFormat::with_guest_paging_verification)
            .and_then(EptFormat::with_absent_suppress_ve)
            .unwrap();
        let rules = EptRules::new(RICH, 46).with_mode_based_execute().with_paging_write();
        prop_assert_eq!(format.rules(), rules);
        let attributes = format.attribute_bits(PageAttributes::from_bits_truncate(attributes)).unwrap();
        prop_assert!(!EptEntry::from_bits(format.absent()).is_present(&rules));
        let level = PagingLevel::of_number(size.level()).unwrap();
        let access = Access::from_bits_truncate(access);
        if let Ok(leaf) = format.leaf(hpa.align_down(size), size, access, MemoryType::ALL[memory_type]) {
            let leaf = EptEntry::from_bits(leaf | attributes);
            prop_assert_eq!(leaf.misconfiguration(level, &rules), None);
            prop_assert!(leaf.is_page(level, &rules) && leaf.is_present(&rules));
        }
        let table = EptEntry::from_bits(format.table(hpa));
        for level in [PagingLevel::Pd, PagingLevel::Pdpt, PagingLevel::Pml4, PagingLevel::Pml5] {
            prop_assert_eq!(table.misconfiguration(level, &rules), None);
            prop_assert!(!table.is_page(level, &rules));
        }
    }
}
