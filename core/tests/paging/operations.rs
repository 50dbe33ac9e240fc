//! Operations on what is mapped, entry by entry.

use core::sync::atomic::Ordering;

use crate::common::{BASE, Machine, entry, gpa, on_all};
use x86_virt_core::{
    Access, AddressSpace, Format, FramePool, Gpa, Hpa, MapError, Mapping, MemoryType, PageAttributes, PageSize,
    Translation,
};

const K4: u64 = 0x1000;
const M2: u64 = 0x20_0000;
const G1: u64 = 0x4000_0000;
/// Where `phantom_ram` is.
const RAM: u64 = BASE + 0x1000_0000;
/// A guest address that is in phase with it for 1 GiB, and one that is for 2 MiB.
const HUGE: u64 = 0x1000_0000;
const LARGE: u64 = 0x2000_0000;

type Pool = FramePool<64>;

on_all! {
    the_text_is_stable => dumps;
    pages_of_1_gib_split_and_merge => splits_and_merges;
    remapping_is_in_place => remaps;
    memory_types_change_at_every_size => changes_memory_types;
    all_of_the_width_is_mapped_sparsely => maps_sparsely;
    half_a_tebibyte_is_mapped_one_to_one => maps_one_to_one;
    exact_sizes_are_kept_or_refused => keeps_exact_sizes;
    a_leaked_edit_leaks_no_frames => survives_a_leaked_edit;
}

fn dumps<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    assert_eq!(space.dump().to_string(), "");
    space.map(gpa(0..4 * K4), &ram, 3 * K4, Access::RX).unwrap();
    let uncached = Mapping::new(Access::RW).memory_type(MemoryType::Uncacheable);
    space.map(gpa(8 * K4..9 * K4), &ram, 0, uncached).unwrap();
    space.map(gpa(HUGE..HUGE + 4 * G1), &ram, 0, Access::ALL).unwrap();
    space.protect(gpa(HUGE + M2..HUGE + M2 + K4), Access::RX).unwrap().at_next_entry();
    let top = 1 << if format.levels() == 5 { 57 } else { 48 };
    space.map(gpa(top - K4..top), &ram, 0, Access::ALL).unwrap();
    let text = "\
0x0000000000000000..0x0000000000004000 -> 0x0000000050003000 r-x WB 4K
0x0000000000008000..0x0000000000009000 -> 0x0000000050000000 rw- UC 4K
0x0000000010000000..0x0000000010200000 -> 0x0000000050000000 rwx WB 2M
0x0000000010200000..0x0000000010201000 -> 0x0000000050200000 r-x WB 4K
0x0000000010201000..0x0000000010400000 -> 0x0000000050201000 rwx WB 4K
0x0000000010400000..0x0000000040000000 -> 0x0000000050400000 rwx WB 2M
0x0000000040000000..0x0000000100000000 -> 0x0000000080000000 rwx WB 1G
0x0000000100000000..0x0000000110000000 -> 0x0000000140000000 rwx WB 2M
";
    let last = if format.levels() == 5 {
        "0x01fffffffffff000..0x0200000000000000 -> 0x0000000050000000 rwx WB 4K\n"
    } else {
        "0x0000fffffffff000..0x0001000000000000 -> 0x0000000050000000 rwx WB 4K\n"
    };
    assert_eq!(space.dump().to_string(), format!("{text}{last}"));
    assert_eq!(space.ranges().count(), 9);
}

fn splits_and_merges<F: Format>(format: F) {
    let machine = Machine::new(640, K4);
    let pool: FramePool<640> = machine.pool();
    let mut space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let all = || gpa(G1..3 * G1);
    let size = |space: &AddressSpace<'_, F, _>, at| space.translate(Gpa::new(at)).unwrap().size;
    let cached = Mapping::new(Access::RX).memory_type(MemoryType::Uncacheable);
    space.map(all(), &ram, G1 - HUGE, cached).unwrap();
    let (text, tables) = (space.dump().to_string(), space.tables());
    assert_eq!(size(&space, G1), PageSize::Size1G);

    // One page of 2 MiB in the middle splits one page of 1 GiB, and nothing else.
    space.split(gpa(G1 + M2..G1 + 2 * M2), PageSize::Size2M).unwrap().at_next_entry();
    assert_eq!(
        (space.tables(), size(&space, G1), size(&space, 2 * G1)),
        (tables + 1, PageSize::Size2M, PageSize::Size1G)
    );
    space.split(gpa(G1 + M2..G1 + 2 * M2), PageSize::Size4K).unwrap().at_next_entry();
    assert_eq!(
        (space.tables(), size(&space, G1), size(&space, G1 + M2)),
        (tables + 2, PageSize::Size2M, PageSize::Size4K)
    );
    // A range that ends inside leaves the table that it does not cover.
    space.merge(gpa(G1..2 * G1 - K4)).unwrap().at_next_entry();
    assert_eq!((space.tables(), size(&space, G1 + M2)), (tables + 1, PageSize::Size2M));
    space.merge(all()).unwrap().at_next_entry();
    assert_eq!((space.tables(), space.spare(), space.dump().to_string()), (tables, 2, text.clone()));

    // All of it in 4 KiB pages, and back.
    space.split(gpa(G1..2 * G1), PageSize::Size4K).unwrap().at_next_entry();
    assert_eq!(space.tables(), tables + 513);
    assert_eq!(size(&space, 2 * G1 - 1), PageSize::Size4K);
    space.merge(all()).unwrap().at_next_entry();
    assert_eq!((space.tables(), space.dump().to_string()), (tables, text));
    assert_eq!(space.trim(), 513);

    let not_split = |range: core::ops::Range<u64>, size| {
        let (start, end) = (Gpa::new(range.start), Gpa::new(range.end));
        assert_eq!(space.split(gpa(range), size), Err(MapError::CannotSplit { start, end, size }));
    };
    not_split(G1..2 * G1, PageSize::Size1G);
    not_split(G1 + K4..G1 + M2, PageSize::Size2M);
    let gap = MapError::NotMapped { gpa: Gpa::new(3 * G1), level: 3 };
    assert_eq!(space.split(gpa(2 * G1..3 * G1 + K4), PageSize::Size4K), Err(gap));
    space.merge(gpa(0..8 * G1)).unwrap().at_next_entry();
}

fn remaps<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let uncached = Mapping::new(Access::RX).memory_type(MemoryType::Uncacheable);
    space.map(gpa(HUGE..HUGE + 3 * G1), &ram, 0, uncached).unwrap();
    let tables = space.tables();
    // The processor has used the page of 1 GiB.
    let flags = format.flags_mask();
    let huge = entry(&pool, space.root(), format.levels(), 3, G1);
    let before = huge.fetch_or(flags, Ordering::Relaxed);
    // In phase: the entry changes, and nothing else.
    space.remap(gpa(G1..2 * G1), &ram, 3 * G1 - HUGE).unwrap().at_next_entry();
    assert_eq!(huge.load(Ordering::Relaxed), (before + 2 * G1) | flags);
    let expected = |hpa, size| {
        Some(Translation {
            hpa: Hpa::new(hpa),
            size,
            access: Access::RX,
            memory_type: MemoryType::Uncacheable,
            attributes: PageAttributes::NONE,
        })
    };
    assert_eq!(space.translate(Gpa::new(G1 + 5)), expected(RAM + 3 * G1 - HUGE + 5, PageSize::Size1G));
    assert_eq!(space.tables(), tables);
    // In phase for 2 MiB: one table.
    space.remap(gpa(G1..2 * G1), &ram, M2).unwrap().at_next_entry();
    assert_eq!(space.translate(Gpa::new(2 * G1 - 1)), expected(RAM + M2 + G1 - 1, PageSize::Size2M));
    assert_eq!(space.tables(), tables + 1);
    // One page: one more.
    space.remap(gpa(G1 + K4..G1 + 2 * K4), &ram, 0).unwrap().at_next_entry();
    assert_eq!(space.translate(Gpa::new(G1 + K4)), expected(RAM, PageSize::Size4K));
    assert_eq!(space.translate(Gpa::new(G1 + 2 * K4)), expected(RAM + M2 + 2 * K4, PageSize::Size4K));
    assert_eq!(space.tables(), tables + 2);

    // SAFETY: nothing runs on the space, and the host has no pointer to the page.
    unsafe { space.remap_physical(gpa(G1..G1 + K4), Hpa::new(0xfee0_0000)) }.unwrap().at_next_entry();
    assert_eq!(space.translate(Gpa::new(G1)), expected(0xfee0_0000, PageSize::Size4K));
    // SAFETY: refused.
    let beyond = unsafe { space.remap_physical(gpa(G1..G1 + K4), Hpa::new(1 << 46)) };
    assert_eq!(beyond, Err(MapError::BeyondHostWidth { hpa: Hpa::new(1 << 46), bytes: K4, width: 46 }));
    assert!(matches!(space.remap(gpa(G1..G1 + K4), &ram, 8 * G1), Err(MapError::Ram(_))));
    assert_eq!(space.remap(gpa(0..K4), &ram, 0), Err(MapError::NotMapped { gpa: Gpa::new(0), level: 2 }));
}

fn changes_memory_types<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    space.map(gpa(HUGE..HUGE + 2 * G1), &ram, 0, Access::RX).unwrap();
    space.split(gpa(HUGE..HUGE + M2), PageSize::Size4K).unwrap().at_next_entry();
    let sizes = [(HUGE, PageSize::Size4K), (HUGE + M2, PageSize::Size2M), (G1, PageSize::Size1G)];
    let tables = space.tables();
    // The PAT of the test has UC at index 7, so that all three bits of the index change.
    for memory_type in [MemoryType::Uncacheable, MemoryType::WriteCombining, MemoryType::WriteBack] {
        space.set_memory_type(gpa(HUGE..HUGE + 2 * G1), memory_type).unwrap().at_next_entry();
        for (at, size) in sizes {
            let hpa = Hpa::new(at - HUGE + RAM);
            let attributes = PageAttributes::NONE;
            let expected = Translation { hpa, size, access: Access::RX, memory_type, attributes };
            assert_eq!(space.translate(Gpa::new(at)), Some(expected));
            // The same entry that a `map` would have written.
            let written = entry(&pool, space.root(), format.levels(), size.level(), at).load(Ordering::Relaxed);
            assert_eq!(Ok(written), format.leaf(hpa, size, Access::RX, memory_type));
        }
    }
    assert_eq!(space.tables(), tables);
    let unsupported = space.set_memory_type(gpa(G1..G1 + K4), MemoryType::WriteProtected);
    assert_eq!(unsupported.is_ok(), format.memory_type_bits(MemoryType::WriteProtected, PageSize::Size4K).is_ok());
}

/// Runs each operation with every number of frames, on a range that cuts two pages of 1 GiB.
fn maps_sparsely<F: Format>(format: F) {
    let machine = Machine::new(512, K4);
    let pool: FramePool<512> = machine.pool();
    let mut space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let width = if format.levels() == 5 { 57 } else { 48 };
    // One page at each power of two, and the last one.
    let addresses: Vec<u64> = (12..width).map(|bit| 1 << bit).chain([(1 << width) - K4]).collect();
    let bits = |at: u64| u64::from(at.trailing_zeros()) * K4;
    for &at in &addresses {
        space.map(gpa(at..at + K4), &ram, bits(at), Access::ALL).unwrap();
    }
    for &at in &addresses {
        assert_eq!(space.translate(Gpa::new(at)).map(|to| to.hpa), Some(Hpa::new(RAM + bits(at))));
        let edited = space.edit().translate(Gpa::new(at + K4 - 1));
        assert_eq!(edited, space.translate(Gpa::new(at + K4 - 1)));
        let is_mapped = addresses.contains(&(at + K4));
        assert_eq!(space.translate(Gpa::new(at + K4)).is_some(), is_mapped);
    }
    assert_eq!(space.translate(Gpa::new(1 << width)), None);
    let beyond = MapError::BeyondGuestWidth { end: Gpa::new(1 << width), width };
    assert_eq!(space.lookup(Gpa::new(1 << width)), Err(beyond));
    // Those at 0x1000 and 0x2000 are adjacent.
    assert_eq!(space.ranges().count(), addresses.len() - 1);
    for &at in &addresses {
        space.protect(gpa(at..at + K4), Access::RX).unwrap().at_next_entry();
        space.remap(gpa(at..at + K4), &ram, 0).unwrap().at_next_entry();
        space.set_memory_type(gpa(at..at + K4), MemoryType::Uncacheable).unwrap().at_next_entry();
        space.split(gpa(at..at + K4), PageSize::Size4K).unwrap().at_next_entry();
    }
    space.merge(gpa(0..1 << width)).unwrap().at_next_entry();
    for range in space.ranges().map(Result::unwrap) {
        assert_eq!((range.hpa, range.access, range.memory_type), (Hpa::new(RAM), Access::RX, MemoryType::Uncacheable));
        space.unmap(range.gpa).unwrap().at_next_entry();
    }
    assert_eq!(space.tables(), 1);
    space.trim();
    assert_eq!(pool.free_frames(), 511);
}

fn maps_one_to_one<F: Format>(format: F) {
    let machine = Machine::new(600, K4);
    let pool: FramePool<600> = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let end = 512 * G1;
    // SAFETY: nothing runs on the space, and the host does not read through it.
    unsafe { space.map_physical(gpa(0..end), Hpa::new(0), Access::ALL) }.unwrap();
    assert_eq!(space.tables(), usize::from(format.levels()) - 2);
    let text = "0x0000000000000000..0x0000008000000000 -> 0x0000000000000000 rwx WB 1G\n";
    assert_eq!(space.dump().to_string(), text);
    let translate = |at| space.translate(Gpa::new(at)).map(|to| to.hpa.get());
    assert_eq!([0, end - 1, end].map(translate), [Some(0), Some(end - 1), None]);
    space.protect(gpa(300 * G1..300 * G1 + K4), Access::RX).unwrap().at_next_entry();
    assert_eq!(space.tables(), usize::from(format.levels()));
    space.protect(gpa(300 * G1..300 * G1 + K4), Access::ALL).unwrap().at_next_entry();
    space.merge(gpa(0..end)).unwrap().at_next_entry();
    assert_eq!(space.dump().to_string(), text);
    space.unmap(gpa(0..end)).unwrap().at_next_entry();
    assert_eq!(space.tables(), 1);
    // The same in pages of 2 MiB.
    let mapping = Mapping::new(Access::ALL).exactly(PageSize::Size2M);
    // SAFETY: as above.
    unsafe { space.map_physical(gpa(0..end), Hpa::new(0), mapping) }.unwrap();
    assert_eq!(space.tables(), usize::from(format.levels()) - 2 + 512);
    assert_eq!(space.dump().to_string(), text.replace("1G", "2M"));
}

fn keeps_exact_sizes<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let map = |range, offset, size| space.map(gpa(range), &ram, offset, Mapping::new(Access::ALL).exactly(size));
    let error = |at, size| Err(MapError::PageSize { gpa: Gpa::new(at), size });
    assert_eq!(map(LARGE..LARGE + M2 + K4, 0, PageSize::Size2M), error(LARGE, PageSize::Size2M));
    assert_eq!(map(LARGE + K4..LARGE + M2, K4, PageSize::Size2M), error(LARGE + K4, PageSize::Size2M));
    assert_eq!(map(LARGE..LARGE + M2, K4, PageSize::Size2M), error(LARGE, PageSize::Size2M));
    assert_eq!(map(G1..2 * G1, 0, PageSize::Size1G), error(G1, PageSize::Size1G));
    assert_eq!(map(G1..G1 + K4, 0, PageSize::Size1G), error(G1, PageSize::Size1G));
    assert_eq!(space.tables(), 1);
    map(G1..2 * G1, G1 - HUGE, PageSize::Size1G).unwrap();
    map(2 * G1..3 * G1, 2 * G1 - HUGE, PageSize::Size2M).unwrap();
    map(3 * G1..3 * G1 + M2, 3 * G1 - HUGE, PageSize::Size4K).unwrap();
    let sizes = [G1, 2 * G1, 3 * G1].map(|at| space.translate(Gpa::new(at)).unwrap().size);
    assert_eq!(sizes, [PageSize::Size1G, PageSize::Size2M, PageSize::Size4K]);
}

fn survives_a_leaked_edit<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let mut space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let mut edit = space.edit();
    edit.prepare(4).unwrap();
    edit.map(gpa(0..K4), &ram, 0, Access::ALL).unwrap();
    assert_eq!(edit.translate(Gpa::new(5)).map(|to| to.hpa), Some(Hpa::new(RAM + 5)));
    core::mem::forget(edit);
    space.trim();
    drop(space);
    assert_eq!(pool.free_frames(), 64);
}
