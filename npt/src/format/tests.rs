use x86_virt_core::{Access, Entry, Format, Hpa, MemoryType, PageAttributes, PageSize, Unsupported};

use super::{NptControls, NptEntry, NptFormat, NptUnsupported, Pat};

const SIZES: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];

/// Each memory type once, WC and WP at indices above 3.
const ALL_TYPES: Pat = Pat::new(0x0606_0501_0700_0406);

fn format() -> NptFormat {
    NptFormat::new(ALL_TYPES, 52).unwrap().with_1g_pages().with_no_execute()
}

/// With all controls.
fn rich() -> NptFormat {
    let format = format().with_controls(NptControls::from_bits(3));
    format.with_guest_mode_execute_trap().and_then(NptFormat::with_supervisor_shadow_stack).unwrap()
}

#[test]
fn leaves_are_those_of_the_manual() {
    let table = [
        (0x1f00_0000, PageSize::Size4K, Access::ALL, MemoryType::WriteBack, 0x1f00_0007),
        (0x1f00_0000, PageSize::Size2M, Access::ALL, MemoryType::WriteBack, 0x1f00_0087),
        (0x1_4000_0000, PageSize::Size1G, Access::RX, MemoryType::WriteBack, 0x1_4000_0085),
        (0x1f00_0000, PageSize::Size4K, Access::READ, MemoryType::WriteThrough, 0x8000_0000_1f00_000d),
        (0xfee0_0000, PageSize::Size4K, Access::RW, MemoryType::Uncacheable, 0x8000_0000_fee0_0017),
        (0xe000_0000, PageSize::Size4K, Access::RW, MemoryType::WriteCombining, 0x8000_0000_e000_0087),
        (0xe000_0000, PageSize::Size2M, Access::RW, MemoryType::WriteCombining, 0x8000_0000_e000_1087),
        (0xe000_0000, PageSize::Size2M, Access::ALL, MemoryType::WriteProtected, 0xe000_108f),
    ];
    for (hpa, size, access, memory_type, entry) in table {
        assert_eq!(format().leaf(Hpa::new(hpa), size, access, memory_type), Ok(entry));
    }
    assert_eq!(format().table(Hpa::new(0x1_2345_6000)), 0x1_2345_6007);
}

#[test]
fn classify_inverts_leaf_and_table() {
    inverts_leaf_and_table(format());
    inverts_leaf_and_table(rich());
}

fn inverts_leaf_and_table(format: NptFormat) {
    let shadow_stack = Access::SUPERVISOR_SHADOW_STACK;
    let (has_trap, has_check) =
        (format.controls().guest_mode_execute_trap(), format.controls().supervisor_shadow_stack_check());
    for size in SIZES {
        for hpa in [0, 1 << 30, 0xf_ffff_c000_0000].map(Hpa::new) {
            for access in (0..64).map(Access::from_bits_truncate) {
                for memory_type in MemoryType::ALL {
                    let Ok(entry) = format.leaf(hpa, size, access, memory_type) else {
                        let execute = access.intersection(Access::EXECUTE);
                        let is_partial =
                            execute == Access::EXECUTE_SUPERVISOR || execute == Access::EXECUTE_USER && !has_trap;
                        let is_refused = access.contains(Access::PAGING_WRITE)
                            || access.contains(shadow_stack) && !has_check
                            || access.contains(shadow_stack | Access::WRITE);
                        assert!(!access.contains(Access::READ) || is_partial || is_refused, "{access}");
                        continue;
                    };
                    assert_eq!(entry, format.leaf(Hpa::new(0), size, access, memory_type).unwrap() | hpa.get());
                    let leaf = Entry::Leaf { hpa, access, memory_type };
                    assert_eq!(format.classify(entry, size.level()), leaf);
                    let flags = format.flags_mask();
                    assert_eq!(format.classify(entry | flags, size.level()), leaf, "accessed and dirty");
                    assert_eq!((flags & format.access_mask(), entry & flags), (0, 0));
                    assert_eq!(entry & format.access_mask(), format.access_bits(access).unwrap());
                }
            }
        }
    }
    for level in 2..=5 {
        let entry = format.table(Hpa::new(0xf_ffff_ffff_f000));
        for count in 0..1024 {
            let entry = entry | 0x20 | count << 52;
            assert_eq!(format.classify(entry, level), Entry::Table(Hpa::new(0xf_ffff_ffff_f000)));
        }
        assert_eq!(format.classify(0, level), Entry::Absent);
    }
    assert_eq!(format.classify(0xf_ffff_ffff_f000, 1), Entry::Absent, "a link between spare frames");
}

#[test]
fn split_gives_the_entries_of_the_level_below() {
    let format = format();
    let hpa = Hpa::new(0x7_4000_0000);
    for (large, small) in [(PageSize::Size1G, PageSize::Size2M), (PageSize::Size2M, PageSize::Size4K)] {
        for memory_type in MemoryType::ALL {
            let entry = format.leaf(hpa, large, Access::READ, memory_type).unwrap();
            let first = format.leaf(hpa, small, Access::READ, memory_type).unwrap();
            assert_eq!(format.split(entry, large.level()), first);
            assert_eq!(format.split(entry | 0x60, large.level()), first | 0x60, "accessed and dirty are inherited");
        }
    }
}

#[test]
fn controls_give_bits_of_entries_a_meaning() {
    let leaf = |access| rich().leaf(Hpa::new(0x5000), PageSize::Size4K, access, MemoryType::WriteBack);
    let user = Access::EXECUTE_USER;
    let shadow_stack = Access::READ | Access::SUPERVISOR_SHADOW_STACK;
    let table = [
        (Access::ALL, 0x5043),
        (Access::RW | user, 0x5047),
        (Access::RX, 0x5001),
        (Access::READ | user, 0x5005),
        (Access::RW, 1 << 63 | 0x5047),
        (Access::READ, 1 << 63 | 0x5005),
        (shadow_stack, 1 << 63 | 0x5045),
    ];
    for (access, entry) in table {
        assert_eq!(leaf(access), Ok(entry), "{access}");
    }
    let supervisor = Access::READ | Access::EXECUTE_SUPERVISOR;
    assert_eq!(leaf(supervisor), Err(Unsupported::SupervisorExecute { access: supervisor }));
    let writable = shadow_stack | Access::WRITE;
    assert_eq!(leaf(writable), Err(Unsupported::WritableShadowStack { access: writable }));
    let paging_write = Access::READ | Access::PAGING_WRITE;
    assert_eq!(leaf(paging_write), Err(Unsupported::PagingWrite { access: paging_write }));
    assert_eq!((rich().table(Hpa::new(0x5000)), rich().absent()), (0x5007, 0));
    assert_eq!(rich().controls(), NptControls::from_bits(3));
}

#[test]
fn what_cannot_be_expressed_is_named() {
    let supervisor = Access::READ | Access::EXECUTE_SUPERVISOR;
    assert_eq!(format().access_bits(supervisor), Err(Unsupported::ModeBasedExecute { access: supervisor }));
    let shadow_stack = Access::RX | Access::SUPERVISOR_SHADOW_STACK;
    assert_eq!(format().access_bits(shadow_stack), Err(Unsupported::SupervisorShadowStack { access: shadow_stack }));
    assert_eq!(format().with_guest_mode_execute_trap(), Err(NptUnsupported::GuestModeExecuteTrap));
    assert_eq!(format().with_supervisor_shadow_stack(), Err(NptUnsupported::SupervisorShadowStack));
    let attributes = PageAttributes::SUPPRESS_VE;
    assert_eq!(rich().attribute_bits(attributes), Err(Unsupported::Attributes { attributes }));
    assert_eq!(NptFormat::new(Pat::RESET, 53), Err(NptUnsupported::AddressWidth { width: 53 }));
    let plain = NptFormat::new(Pat::RESET, 48).unwrap();
    assert_eq!((plain.levels(), plain.largest_page()), (4, PageSize::Size2M));
    assert_eq!(plain.with_five_levels().levels(), 5);
    assert_eq!(plain.access_bits(Access::ALL), Ok(2));
    assert_eq!(plain.access_bits(Access::RW), Err(Unsupported::NoExecute { access: Access::RW }));
    assert_eq!(plain.access_bits(Access::NONE), Err(Unsupported::NoAccess));
    assert_eq!(plain.access_bits(Access::EXECUTE), Err(Unsupported::ExecuteOnly { access: Access::EXECUTE }));
    assert_eq!(plain.access_bits(Access::WRITE), Err(Unsupported::WriteWithoutRead { access: Access::WRITE }));
    let result = plain.leaf(Hpa::new(0), PageSize::Size4K, Access::ALL, MemoryType::WriteCombining);
    assert_eq!(result, Err(Unsupported::MemoryType { memory_type: MemoryType::WriteCombining }));
}

/// The shortcuts of the walk say nothing that `classify` does not say, whatever the bits are.
#[test]
fn follow_and_page_agree_with_classify() {
    let (tables, pages) = agree_with_classify(NptFormat::new(Pat::RESET, 46).unwrap().with_1g_pages());
    assert!(tables > 1000 && pages > 1000, "{tables} tables, {pages} pages");
    agree_with_classify(rich());
    let restricted = NptFormat::new(Pat::RESET, 46).unwrap().with_controls(NptControls::from_bits(2));
    agree_with_classify(restricted.with_supervisor_shadow_stack().unwrap());
}

fn agree_with_classify(format: NptFormat) -> (u32, u32) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut tables, mut pages) = (0, 0);
    for round in 0..200_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Entries that exist with up to two bits changed, and anything.
        let base = match round % 3 {
            0 => format.table(Hpa::new(random & 0x3fff_ffff_f000)),
            1 => format
                .leaf(Hpa::new(random & 0x3fff_ffff_f000), PageSize::Size4K, Access::ALL, MemoryType::WriteBack)
                .unwrap(),
            _ => random,
        };
        let entry = base ^ 1 << (random & 63) ^ 1 << ((random >> 8) & 63);
        for level in 2..=5 {
            if let Some(hpa) = format.follow(entry, level) {
                assert_eq!(format.classify(entry, level), Entry::Table(hpa), "{entry:#x} at {level}");
                tables += 1;
            }
        }
        if let Some((hpa, access, memory_type)) = format.page(entry) {
            assert_eq!(format.classify(entry, 1), Entry::Leaf { hpa, access, memory_type }, "{entry:#x}");
            pages += 1;
        }
    }
    (tables, pages)
}

#[test]
fn entries_with_reserved_bits_are_invalid() {
    let format = NptFormat::new(Pat::new(0x0306_0501_0700_0406), 46).unwrap();
    let table = [
        (0x4000_0000_5007, 1, "an address beyond the width"),
        (0x4000_0000_5007, 4, "the same in an entry for a table"),
        (1 << 63 | 0x5007, 1, "NX without EFER.NXE"),
        (0x20_0087 | 0x2000, 2, "an address inside a page of 2 MiB"),
        (0x4000_0087, 3, "a page of 1 GiB, which the processor lacks"),
        (0x5087, 4, "PS at level 4"),
        (0x5107, 5, "bit 8 at level 5"),
        (0x509f, 1, "index 7 of the PAT, which is no memory type"),
        (0x20_109f, 2, "the same in a large page"),
    ];
    for (entry, level, what) in table {
        assert_eq!(format.classify(entry, level), Entry::Invalid, "{what}");
    }
    assert_eq!(format.classify(0x4000_0000_5006, 1), Entry::Absent, "nothing is reserved where nothing is present");
}

#[test]
fn memory_types_are_in_their_mask() {
    for (pat, format) in [(ALL_TYPES, format()), (Pat::RESET, NptFormat::new(Pat::RESET, 52).unwrap())] {
        for size in SIZES {
            for memory_type in MemoryType::ALL {
                let bits = format.memory_type_bits(memory_type, size);
                assert_eq!(bits.is_ok(), pat.index_of(memory_type).is_some());
                let Ok(bits) = bits else { continue };
                let entry = format.leaf(Hpa::new(1 << 30), size, Access::ALL, memory_type).unwrap();
                assert_eq!(entry & format.memory_type_mask(size), bits);
                assert_eq!(
                    NptEntry::from_bits(entry).pat_index(size != PageSize::Size4K),
                    pat.index_of(memory_type).unwrap()
                );
                assert_eq!(entry & format.flags_mask(), 0);
            }
        }
    }
}
