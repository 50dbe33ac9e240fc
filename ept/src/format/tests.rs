use x86_virt_core::{Access, Entry, Format, Hpa, MemoryType, PageAttributes, PageSize, Unsupported};

use super::{EptCapabilities, EptControls, EptFormat, EptUnsupported};

const SIZES: [PageSize; 3] = [PageSize::Size4K, PageSize::Size2M, PageSize::Size1G];

fn capabilities() -> EptCapabilities {
    EptCapabilities::new()
        .with_execute_only(true)
        .with_page_walk_length_4(true)
        .with_page_walk_length_5(true)
        .with_tables_write_back(true)
        .with_pages_2m(true)
        .with_pages_1g(true)
        .with_accessed_dirty(true)
        .with_supervisor_shadow_stack(true)
}

/// With all controls.
fn rich() -> EptFormat {
    EptFormat::new(capabilities(), 52)
        .and_then(|format| format.with_controls(EptControls::from_bits(0x1f)).with_mode_based_execute())
        .and_then(EptFormat::with_supervisor_shadow_stack)
        .and_then(EptFormat::with_paging_write)
        .and_then(EptFormat::with_guest_paging_verification)
        .and_then(EptFormat::with_sub_page_write)
        .and_then(EptFormat::with_absent_suppress_ve)
        .unwrap()
}

#[test]
fn leaves_are_those_of_the_manual() {
    let format = EptFormat::new(capabilities(), 46).unwrap();
    let table = [
        (0x1f00_0000, PageSize::Size4K, Access::ALL, MemoryType::WriteBack, 0x1f00_0037),
        (0x1f00_0000, PageSize::Size2M, Access::ALL, MemoryType::WriteBack, 0x1f00_00b7),
        (0x1_4000_0000, PageSize::Size1G, Access::RX, MemoryType::WriteBack, 0x1_4000_00b5),
        (0xfee0_0000, PageSize::Size4K, Access::RW, MemoryType::Uncacheable, 0xfee0_0003),
        (0xe000_0000, PageSize::Size2M, Access::RW, MemoryType::WriteCombining, 0xe000_008b),
        (0x5000, PageSize::Size4K, Access::READ, MemoryType::WriteThrough, 0x5021),
        (0x5000, PageSize::Size4K, Access::EXECUTE, MemoryType::WriteProtected, 0x502c),
    ];
    for (hpa, size, access, memory_type, entry) in table {
        assert_eq!(format.leaf(Hpa::new(hpa), size, access, memory_type), Ok(entry));
    }
    assert_eq!(format.table(Hpa::new(0x1_2345_6000)), 0x1_2345_6007);
}

#[test]
fn classify_inverts_leaf_and_table() {
    inverts_leaf_and_table(EptFormat::new(capabilities(), 52).unwrap(), Access::ALL);
    inverts_leaf_and_table(rich(), Access::from_bits_truncate(u8::MAX));
}

fn inverts_leaf_and_table(format: EptFormat, known: Access) {
    let needs_read = Access::WRITE | Access::SUPERVISOR_SHADOW_STACK | Access::PAGING_WRITE;
    for size in SIZES {
        for hpa in [0, 1 << 30, 0xf_ffff_c000_0000].map(Hpa::new) {
            for access in (0..64).map(Access::from_bits_truncate) {
                for memory_type in MemoryType::ALL {
                    let Ok(entry) = format.leaf(hpa, size, access, memory_type) else {
                        let lacks_read =
                            access.intersection(needs_read) != Access::NONE && !access.contains(Access::READ);
                        let is_reserved = memory_type == MemoryType::UncacheableMinus;
                        let execute = access.intersection(Access::EXECUTE);
                        let is_partial = known == Access::ALL && execute != Access::NONE && execute != Access::EXECUTE;
                        let is_unknown = access.difference(known) != Access::NONE;
                        assert!(access == Access::NONE || lacks_read || is_reserved || is_partial || is_unknown);
                        continue;
                    };
                    assert_eq!(entry, format.leaf(Hpa::new(0), size, access, memory_type).unwrap() | hpa.get());
                    let leaf = Entry::Leaf { hpa, access, memory_type };
                    assert_eq!(format.classify(entry, size.level()), leaf);
                    assert_eq!(format.classify(entry | 0x300, size.level()), leaf, "accessed and dirty");
                    assert_eq!(entry & format.access_mask(), format.access_bits(access).unwrap());
                    for attributes in (0..8).map(PageAttributes::from_bits_truncate) {
                        let Ok(bits) = format.attribute_bits(attributes) else {
                            assert_eq!(format.attribute_mask(), 0);
                            continue;
                        };
                        assert_eq!(entry & format.attribute_mask(), 0);
                        assert_eq!(format.classify(entry | bits, size.level()), leaf);
                        assert_eq!(format.attributes(entry | bits), attributes);
                    }
                }
            }
        }
    }
    for level in 2..=5 {
        let entry = format.table(Hpa::new(0xf_ffff_ffff_f000));
        for count in 0..1024 {
            // All controls leave the count alone.
            let entry = entry | 0x100 | count << 52;
            assert_eq!(format.classify(entry, level), Entry::Table(Hpa::new(0xf_ffff_ffff_f000)));
        }
        assert_eq!(format.classify(0, level), Entry::Absent);
        assert_eq!(format.classify(format.absent(), level), Entry::Absent);
    }
    let link = 0xf_ffff_ffff_f000 | format.absent();
    assert_eq!(format.classify(link, 1), Entry::Absent, "a link between spare frames");
}

#[test]
fn split_gives_the_entries_of_the_level_below() {
    let format = EptFormat::new(capabilities(), 52).unwrap();
    let hpa = Hpa::new(0x7_4000_0000);
    for (large, small) in [(PageSize::Size1G, PageSize::Size2M), (PageSize::Size2M, PageSize::Size4K)] {
        let entry = format.leaf(hpa, large, Access::RX, MemoryType::WriteThrough).unwrap();
        let first = format.leaf(hpa, small, Access::RX, MemoryType::WriteThrough).unwrap();
        assert_eq!(format.split(entry, large.level()), first);
        assert_eq!(format.split(entry | 0x300, large.level()), first | 0x300, "accessed and dirty are inherited");
    }
}

#[test]
fn what_the_processor_lacks_is_named() {
    let unsupported = |capabilities, width| EptFormat::new(capabilities, width).unwrap_err();
    let all = capabilities();
    assert_eq!(unsupported(all.with_page_walk_length_4(false), 46), EptUnsupported::PageWalkLength { length: 4 });
    assert_eq!(unsupported(all.with_tables_write_back(false), 46), EptUnsupported::WriteBackTables);
    assert_eq!(unsupported(all, 53), EptUnsupported::AddressWidth { width: 53 });
    assert_eq!(unsupported(all, 31), EptUnsupported::AddressWidth { width: 31 });

    let poor = EptFormat::new(EptCapabilities::from_bits(0x4040), 46).unwrap();
    assert_eq!(poor.with_supervisor_shadow_stack(), Err(EptUnsupported::SupervisorShadowStack));
    assert_eq!(poor.with_mode_based_execute(), Err(EptUnsupported::ModeBasedExecute));
    assert_eq!(poor.with_suppress_ve(), Err(EptUnsupported::ViolationVe));
    assert_eq!(poor.with_absent_suppress_ve(), Err(EptUnsupported::ViolationVe));
    assert_eq!(poor.with_sub_page_write(), Err(EptUnsupported::SubPageWrite));
    assert_eq!(poor.with_paging_write(), Err(EptUnsupported::PagingWrite));
    assert_eq!(poor.with_guest_paging_verification(), Err(EptUnsupported::GuestPagingVerification));
    let user = Access::READ | Access::EXECUTE_USER;
    assert_eq!(poor.access_bits(user), Err(Unsupported::ModeBasedExecute { access: user }));
    let shadow_stack = Access::READ | Access::SUPERVISOR_SHADOW_STACK;
    assert_eq!(poor.access_bits(shadow_stack), Err(Unsupported::SupervisorShadowStack { access: shadow_stack }));
    let paging_write = Access::READ | Access::PAGING_WRITE;
    assert_eq!(poor.access_bits(paging_write), Err(Unsupported::PagingWrite { access: paging_write }));
    let paging_write = Access::EXECUTE | Access::PAGING_WRITE;
    assert_eq!(rich().access_bits(paging_write), Err(Unsupported::WithoutRead { access: paging_write }));
    let attributes = PageAttributes::SUPPRESS_VE | PageAttributes::SUB_PAGE_WRITE;
    let some = poor.with_controls(EptControls::new().with_violation_ve(true)).with_suppress_ve().unwrap();
    let lacking = Unsupported::Attributes { attributes: PageAttributes::SUB_PAGE_WRITE };
    assert_eq!(some.attribute_bits(attributes), Err(lacking));
    assert_eq!(lacking.to_string(), "these tables do not have pages with sub-page-write");
    assert_eq!(poor.with_five_levels(), Err(EptUnsupported::PageWalkLength { length: 5 }));
    assert_eq!(poor.with_accessed_dirty(), Err(EptUnsupported::AccessedDirty));
    assert_eq!(poor.largest_page(), PageSize::Size4K);
    assert_eq!(EptFormat::new(all.with_pages_1g(false), 46).unwrap().largest_page(), PageSize::Size2M);
    assert_eq!(EptFormat::new(all.with_pages_2m(false), 46).unwrap().largest_page(), PageSize::Size4K);
    assert_eq!(poor.access_bits(Access::EXECUTE), Err(Unsupported::ExecuteOnly { access: Access::EXECUTE }));
    assert_eq!(poor.access_bits(Access::WRITE), Err(Unsupported::WriteWithoutRead { access: Access::WRITE }));
    assert_eq!(poor.access_bits(Access::NONE), Err(Unsupported::NoAccess));
}

#[test]
fn the_pointer_has_the_levels_and_flags_of_the_format() {
    let format = EptFormat::new(capabilities(), 46).unwrap();
    let root = Hpa::new(0x1234_5000);
    assert_eq!(format.eptp(root).into_bits(), 0x1234_501e);
    assert_eq!(format.with_five_levels().unwrap().eptp(root).into_bits(), 0x1234_5026);
    assert_eq!(format.with_accessed_dirty().unwrap().eptp(root).into_bits(), 0x1234_505e);
    assert_eq!(format.with_supervisor_shadow_stack().unwrap().eptp(root).into_bits(), 0x1234_509e);
    assert_eq!((rich().eptp(root).into_bits(), rich().controls().into_bits()), (0x1234_509e, 0x1d));
}

#[test]
fn controls_give_bits_of_entries_a_meaning() {
    let format = rich();
    let leaf = |access| format.leaf(Hpa::new(0x5000), PageSize::Size4K, access, MemoryType::WriteBack).unwrap();
    let table = [
        (Access::ALL, 0x5437),
        (Access::RW, 0x5033),
        (Access::READ | Access::EXECUTE_SUPERVISOR, 0x5035),
        (Access::READ | Access::EXECUTE_USER, 0x5431),
        (Access::EXECUTE_USER, 0x5430),
        (Access::READ | Access::SUPERVISOR_SHADOW_STACK, 0x1000_0000_0000_5031),
        (Access::READ | Access::PAGING_WRITE, 0x0400_0000_0000_5031),
    ];
    for (access, entry) in table {
        assert_eq!(leaf(access), entry, "{access}");
    }
    let attributes = [
        (PageAttributes::VERIFY_GUEST_PAGING, 1 << 57),
        (PageAttributes::SUB_PAGE_WRITE, 1 << 61),
        (PageAttributes::SUPPRESS_VE, 1 << 63),
    ];
    for (attribute, bits) in attributes {
        assert_eq!(format.attribute_bits(attribute), Ok(bits), "{attribute}");
    }
    assert_eq!((format.table(Hpa::new(0x5000)), format.absent()), (0x5407, 1 << 63));
    // What one control makes of an entry is nothing without it.
    let plain = EptFormat::new(capabilities(), 52).unwrap();
    assert_eq!(plain.classify(0x5430, 1), Entry::Absent);
    assert_eq!(plain.attributes(u64::MAX), PageAttributes::NONE);
    assert_eq!(format.classify(0x0400_0000_0000_5034, 1), Entry::Invalid, "paging-write without read");
    let without = EptFormat::new(capabilities().with_execute_only(false), 52).unwrap();
    let without = without.with_controls(EptControls::from_bits(1)).with_mode_based_execute().unwrap();
    assert_eq!(without.classify(0x5430, 1), Entry::Invalid, "execution in user mode only, which the processor lacks");
    assert_eq!(
        without.access_bits(Access::EXECUTE_USER),
        Err(Unsupported::ExecuteOnly { access: Access::EXECUTE_USER })
    );
}

/// The shortcuts of the walk say nothing that `classify` does not say, whatever the bits are.
#[test]
fn follow_and_page_agree_with_classify() {
    let (tables, pages) = agree_with_classify(EptFormat::new(capabilities(), 46).unwrap());
    assert!(tables > 1000 && pages > 1000, "{tables} tables, {pages} pages");
    agree_with_classify(rich());
    let suppressing = EptFormat::new(capabilities(), 46).unwrap().with_controls(EptControls::from_bits(2));
    agree_with_classify(suppressing.with_suppress_ve().unwrap());
}

fn agree_with_classify(format: EptFormat) -> (u32, u32) {
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
            assert!(format.attributes(entry).is_empty(), "{entry:#x}");
            pages += 1;
        }
    }
    (tables, pages)
}

#[test]
fn misconfigured_entries_are_invalid() {
    let format = EptFormat::new(capabilities().with_execute_only(false).with_pages_1g(false), 46).unwrap();
    let table = [
        (0x5002, 1, "write without read"),
        (0x5006, 2, "the same in an entry for a table"),
        (0x5004, 1, "execute only, which the processor lacks"),
        (0x5017, 1, "memory type 2"),
        (0x503f, 1, "memory type 7"),
        (0x4000_0000_5037, 1, "an address beyond the width"),
        (0x4000_0000_5007, 4, "the same in an entry for a table"),
        (0x20_00b7 | 0x1000, 2, "an address inside a page of 2 MiB"),
        (0x4000_00b7, 3, "a page of 1 GiB, which the processor lacks"),
        (0x5087, 4, "a page of level 4"),
        (0x500f, 3, "bit 3 of an entry for a table"),
        (0x5047, 3, "bit 6 of an entry for a table"),
    ];
    for (entry, level, what) in table {
        assert_eq!(format.classify(entry, level), Entry::Invalid, "{what}");
    }
    assert_eq!(format.classify(0x4000_0000_5038, 1), Entry::Absent, "nothing is reserved where nothing is present");
}

#[test]
fn memory_types_are_in_their_mask() {
    let format = EptFormat::new(capabilities(), 46).unwrap();
    for size in SIZES {
        for memory_type in MemoryType::ALL {
            let Ok(bits) = format.memory_type_bits(memory_type, size) else {
                assert_eq!(memory_type, MemoryType::UncacheableMinus);
                continue;
            };
            let entry = format.leaf(Hpa::new(1 << 30), size, Access::RX, memory_type).unwrap();
            assert_eq!(entry & format.memory_type_mask(size), bits);
            assert_eq!(entry & format.flags_mask(), 0);
        }
    }
}
