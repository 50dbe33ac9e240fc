//! Operations on what is mapped, entry by entry.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::common::{BASE, Failing, Machine, ept, gpa, npt, rich_ept, rich_npt};
use x86_virt_core::{
    Access, AddressSpace, Format, FramePool, Frames, Gpa, Hpa, MapError, Mapping, MemoryType, Operation, OutOfFrames,
    PageAttributes, PageSize, Translation,
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

macro_rules! on_all {
    ($($name:ident => $body:ident;)*) => {
        $(
            #[test]
            fn $name() {
                $body(ept());
                $body(npt());
                $body(ept().with_five_levels().unwrap());
                $body(npt().with_five_levels());
                $body(rich_ept());
                $body(rich_npt());
            }
        )*
    };
}

on_all! {
    the_text_is_stable => dumps;
    pages_of_1_gib_split_and_merge => splits_and_merges;
    remapping_is_in_place => remaps;
    memory_types_change_at_every_size => changes_memory_types;
    every_operation_may_run_out_of_frames => runs_out_of_frames;
    frames_can_be_put_aside => puts_frames_aside;
    invalid_entries_are_reported_and_not_followed => reports_invalid_entries;
    frames_that_cannot_be_tables_are_refused => refuses_frames;
    all_of_the_width_is_mapped_sparsely => maps_sparsely;
    half_a_tebibyte_is_mapped_one_to_one => maps_one_to_one;
    exact_sizes_are_kept_or_refused => keeps_exact_sizes;
    a_leaked_edit_leaks_no_frames => survives_a_leaked_edit;
}

/// The entry of `level` for `at`.
fn entry(pool: &Pool, root: Hpa, levels: u8, level: u8, at: u64) -> &AtomicU64 {
    let mut table = root.get();
    for above in (level + 1..=levels).rev() {
        table = slot(pool, table, above, at).load(Ordering::Relaxed) & 0xf_ffff_ffff_f000;
    }
    slot(pool, table, level, at)
}

fn slot(pool: &Pool, table: u64, level: u8, at: u64) -> &AtomicU64 {
    let index = (at >> (3 + 9 * u32::from(level))) & 511;
    let pointer: NonNull<AtomicU64> = pool.pointer(Hpa::new(table + index * 8)).unwrap().cast();
    // SAFETY: an entry of a table, which is there as long as the test looks at it.
    unsafe { pointer.as_ref() }
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
fn runs_out_of_frames<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let failing = Failing::new(&pool);
    let ram = machine.phantom_ram(8 * G1);
    let range = || gpa(2 * G1 - K4..2 * G1 + M2);
    let hpa = Hpa::new(RAM);
    let mapping = Mapping::new(Access::ALL);
    let below_root = usize::from(format.levels()) - 1;
    let table = [
        (Operation::Map { hpa, mapping }, below_root + 2),
        (Operation::Remap { hpa }, 2 + 2),
        (Operation::Unmap, 2 + 1),
        (Operation::Protect, 2 + 1),
        (Operation::SetMemoryType, 2 + 1),
        (Operation::Split { size: PageSize::Size4K }, 2 + 2),
        (Operation::Merge, 0),
    ];
    for (operation, needed) in table {
        failing.allow(usize::MAX);
        let space = AddressSpace::new(format, &failing).unwrap();
        if !matches!(operation, Operation::Map { .. }) {
            space.map(gpa(HUGE..HUGE + 4 * G1), &ram, 0, mapping).unwrap();
        }
        assert_eq!(space.frames_needed(range(), operation), Ok(needed), "{operation:?}");
        let state =
            || (space.dump().to_string(), space.tables(), space.spare(), pool.free_frames(), space.generation());
        let perform = || match operation {
            Operation::Map { .. } => space.map(range(), &ram, 0, mapping),
            Operation::Remap { .. } => space.remap(range(), &ram, 0).map(|token| token.at_next_entry()),
            Operation::Unmap => space.unmap(range()).map(|token| token.at_next_entry()),
            Operation::Protect => space.protect(range(), Access::RX).map(|token| token.at_next_entry()),
            Operation::SetMemoryType => {
                space.set_memory_type(range(), MemoryType::Uncacheable).map(|token| token.at_next_entry())
            }
            Operation::Split { size } => space.split(range(), size).map(|token| token.at_next_entry()),
            _ => space.merge(range()).map(|token| token.at_next_entry()),
        };
        let before = state();
        for allowed in 0..needed {
            failing.allow(allowed);
            assert_eq!(perform(), Err(MapError::OutOfFrames(OutOfFrames { count: 1 })), "{operation:?}, {allowed}");
            assert_eq!(state(), before);
        }
        failing.allow(needed);
        perform().unwrap();
        assert!(needed == 0 || state() != before);
        drop(space);
        assert_eq!(pool.free_frames(), 64);
    }
}

fn puts_frames_aside<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let failing = Failing::new(&pool);
    let ram = machine.phantom_ram(8 * G1);
    let mut space = AddressSpace::new(format, &failing).unwrap();
    failing.allow(2);
    assert_eq!(space.prepare(3), Err(MapError::OutOfFrames(OutOfFrames { count: 1 })));
    assert_eq!((space.spare(), pool.free_frames()), (0, 63));
    failing.allow(8);
    space.prepare(8).unwrap();
    space.prepare(5).unwrap();
    assert_eq!((space.spare(), space.tables(), pool.free_frames()), (8, 1, 55));
    // Nothing is left in the pool, and two pages are mapped all the same: by a plan, and by the shortcut.
    let below_root = usize::from(format.levels()) - 1;
    space.map(gpa(0..K4), &ram, 0, Access::ALL).unwrap();
    space.map(gpa(M2..M2 + K4), &ram, 0, Access::ALL).unwrap();
    space.edit().map(gpa(2 * M2..2 * M2 + K4), &ram, 0, Access::ALL).unwrap();
    assert_eq!((space.spare(), space.tables()), (8 - below_root - 2, 1 + below_root + 2));
    assert_eq!(space.trim(), 8 - below_root - 2);
    assert_eq!(pool.free_frames(), 63 - below_root - 2);
    let taken = Operation::Map { hpa: Hpa::new(RAM), mapping: Mapping::new(Access::ALL) };
    assert_eq!(space.frames_needed(gpa(0..K4), taken), Err(MapError::AlreadyMapped { gpa: Gpa::new(0), level: 1 }));
}

fn reports_invalid_entries<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let ram = machine.phantom_ram(8 * G1);
    let (levels, root) = (format.levels(), |space: &AddressSpace<'_, F, _>| space.root());
    let mapping = Mapping::new(Access::ALL);
    for level in 1..=levels {
        // An address above the width, bit 50; and where a table is due, what no table has: bits 4 and 3.
        for bits in [1 << 50, if level > 1 { 0x18 } else { 1 << 46 }] {
            let space = AddressSpace::new(format, &pool).unwrap();
            space.map(gpa(LARGE..LARGE + 2 * K4), &ram, K4, Access::ALL).unwrap();
            let bad = entry(&pool, root(&space), levels, level, LARGE);
            let good = bad.fetch_or(bits, Ordering::Relaxed);
            let is_invalid = format.classify(good | bits, level) == x86_virt_core::Entry::Invalid;
            if !is_invalid {
                // PWT and PCD are no error in nested page tables.
                assert_eq!(bits, 0x18);
                assert_eq!(space.translate(Gpa::new(LARGE)).map(|to| to.hpa), Some(Hpa::new(RAM + K4)));
                bad.store(good, Ordering::Relaxed);
                continue;
            }
            let at = Gpa::new(LARGE);
            let error = MapError::InvalidEntry { gpa: at, level, entry: good | bits };
            let page = || gpa(LARGE..LARGE + K4);
            let before = (space.tables(), space.spare(), pool.free_frames(), space.generation());
            assert_eq!((space.translate(at), space.lookup(at)), (None, Err(error)));
            assert_eq!(space.map(page(), &ram, 0, mapping), Err(error));
            let first = Gpa::new((LARGE - M2).max(LARGE & !((1 << (3 + 9 * u32::from(level))) - 1)));
            let first = MapError::InvalidEntry { gpa: first, level, entry: good | bits };
            assert_eq!(space.map(gpa(LARGE - M2..LARGE + M2), &ram, 0, mapping), Err(first));
            assert_eq!(space.remap(page(), &ram, 0), Err(error));
            assert_eq!(space.unmap(page()), Err(error));
            assert_eq!(space.protect(page(), Access::RX), Err(error));
            assert_eq!(space.set_memory_type(page(), MemoryType::Uncacheable), Err(error));
            assert_eq!(space.split(page(), PageSize::Size4K), Err(error));
            assert_eq!(space.merge(page()), Err(error));
            assert_eq!(space.frames_needed(page(), Operation::Merge), Err(error));
            assert!(space.read(at, &mut [0]).is_err());
            let invalid: Vec<MapError> = space.ranges().filter_map(Result::err).collect();
            // The walk comes from below, where the entry starts.
            let start = Gpa::new(LARGE & !((1 << (3 + 9 * u32::from(level))) - 1));
            assert_eq!(invalid, [MapError::InvalidEntry { gpa: start, level, entry: good | bits }]);
            let line = format!(" invalid entry {:#018x} of level {level}\n", good | bits);
            assert!(space.dump().to_string().contains(&line));
            assert_eq!((space.tables(), space.spare(), pool.free_frames(), space.generation()), before);
            bad.store(good, Ordering::Relaxed);
            assert_eq!(space.translate(at).map(|to| to.hpa), Some(Hpa::new(RAM + K4)));
        }
    }
    assert_eq!(pool.free_frames(), 64);
}

/// An allocator that breaks its contract once.
#[derive(Debug)]
struct Wrong<'p> {
    pool: &'p Pool,
    /// The next frame, if it is not 0.
    next: AtomicU64,
}

// SAFETY: none: the contract is broken to see that it is noticed. No frame that breaks it is accessed.
unsafe impl Frames for &Wrong<'_> {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        match self.next.swap(0, Ordering::Relaxed) {
            0 => self.pool.allocate(count),
            next => Some(Hpa::new(next)),
        }
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        if hpa.is_aligned(PageSize::Size4K) && hpa.get() >> 46 == 0 {
            // SAFETY: the caller's promise.
            unsafe { self.pool.free(hpa, count) };
        }
    }

    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        self.pool.pointer(hpa)
    }
}

fn refuses_frames<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let wrong = Wrong { pool: &pool, next: AtomicU64::new(0) };
    for next in [BASE + 0x800, 1 << 46, 1 << 52] {
        wrong.next.store(next, Ordering::Relaxed);
        assert_eq!(AddressSpace::new(format, &wrong).unwrap_err(), OutOfFrames { count: 1 });
    }
    let ram = machine.phantom_ram(8 * G1);
    // One table is missing, or two.
    for at in [M2, G1] {
        for next in [BASE + 0x800, 1 << 46, 0] {
            let space = AddressSpace::new(format, &wrong).unwrap();
            space.map(gpa(0..K4), &ram, 0, Access::ALL).unwrap();
            let is_used = next == 0;
            let next = if is_used { space.root().get() } else { next };
            let before = (space.tables(), space.spare(), pool.free_frames());
            wrong.next.store(next, Ordering::Relaxed);
            let error = Err(MapError::BadFrame { hpa: Hpa::new(next) });
            assert_eq!(space.prepare(1), error);
            wrong.next.store(next, Ordering::Relaxed);
            assert_eq!(space.map(gpa(at..at + K4), &ram, 0, Access::ALL), error);
            assert_eq!((space.tables(), space.spare(), pool.free_frames()), before);
        }
    }
    assert_eq!(pool.free_frames(), 64);
}

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

#[test]
fn merging_collects_accessed_and_dirty_flags() {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let format = ept();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    space.map(gpa(HUGE..HUGE + M2), &ram, 0, Mapping::new(Access::ALL).exactly(PageSize::Size4K)).unwrap();
    let at = |level, gpa| entry(&pool, space.root(), format.levels(), level, gpa);
    at(1, HUGE + 5 * K4).fetch_or(0x100, Ordering::Relaxed);
    at(1, HUGE + 9 * K4).fetch_or(0x200, Ordering::Relaxed);
    space.merge(gpa(HUGE..HUGE + M2)).unwrap().at_next_entry();
    assert_eq!(at(2, HUGE).load(Ordering::Relaxed), RAM | 0x3b7);
    space.split(gpa(HUGE..HUGE + M2), PageSize::Size4K).unwrap().at_next_entry();
    assert_eq!(at(1, HUGE + K4).load(Ordering::Relaxed), (RAM + K4) | 0x337);
}

#[test]
fn pages_that_the_processor_lacks_do_not_arise_by_merging() {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let format = x86_virt_ept::EptFormat::new(x86_virt_ept::EptCapabilities::from_bits(0x4040), 46).unwrap();
    let space = AddressSpace::new(format, &pool).unwrap();
    space.map(gpa(HUGE..HUGE + M2), &machine.phantom_ram(8 * G1), 0, Access::ALL).unwrap();
    let text = space.dump().to_string();
    space.merge(gpa(HUGE..HUGE + M2)).unwrap().at_next_entry();
    assert_eq!(space.dump().to_string(), text);
}

/// What a format has beyond read, write and execute is in the text, and every operation keeps it.
#[test]
fn attributes_are_kept_and_shown() {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(rich_ept(), &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let attributes = PageAttributes::SUPPRESS_VE | PageAttributes::VERIFY_GUEST_PAGING;
    let access = Access::RW | Access::EXECUTE_USER | Access::SUPERVISOR_SHADOW_STACK;
    space.map(gpa(HUGE..HUGE + 2 * M2), &ram, 0, Mapping::new(access).attributes(attributes)).unwrap();
    let text = "\
0x0000000010000000..0x0000000010400000 -> 0x0000000050000000 rwu+sss WB 2M suppress-ve verify-guest-paging
";
    assert_eq!(space.dump().to_string(), text);
    let to = space.translate(Gpa::new(HUGE + M2)).unwrap();
    assert_eq!(to.to_string(), "0x50200000 rwu+sss WB (2 MiB page) suppress-ve verify-guest-paging");
    // Sub-pages make the page small, and the rest keeps what it had.
    let sub_page = PageAttributes::SUB_PAGE_WRITE;
    let page = || gpa(HUGE + K4..HUGE + 2 * K4);
    assert_eq!(space.frames_needed(page(), Operation::SetAttributes { attributes: sub_page }), Ok(1));
    space.set_attributes(page(), sub_page).unwrap().at_next_entry();
    space.protect(page(), Access::READ | Access::EXECUTE_SUPERVISOR | Access::PAGING_WRITE).unwrap().at_next_entry();
    space.remap(page(), &ram, K4).unwrap().at_next_entry();
    space.set_memory_type(page(), MemoryType::Uncacheable).unwrap().at_next_entry();
    assert_eq!(
        space.dump().to_string(),
        "\
0x0000000010000000..0x0000000010001000 -> 0x0000000050000000 rwu+sss WB 4K suppress-ve verify-guest-paging
0x0000000010001000..0x0000000010002000 -> 0x0000000050001000 r-s+pw UC 4K sub-page-write
0x0000000010002000..0x0000000010200000 -> 0x0000000050002000 rwu+sss WB 4K suppress-ve verify-guest-paging
0x0000000010200000..0x0000000010400000 -> 0x0000000050200000 rwu+sss WB 2M suppress-ve verify-guest-paging
"
    );
    space.merge(gpa(HUGE..HUGE + 2 * M2)).unwrap().at_next_entry();
    assert_eq!(space.translate(Gpa::new(HUGE)).unwrap().size, PageSize::Size4K, "they differ");
    space.set_attributes(gpa(HUGE..HUGE + 2 * M2), attributes).unwrap().at_next_entry();
    space.protect(page(), access).unwrap().at_next_entry();
    space.set_memory_type(page(), MemoryType::WriteBack).unwrap().at_next_entry();
    space.merge(gpa(HUGE..HUGE + 2 * M2)).unwrap().at_next_entry();
    assert_eq!(space.dump().to_string(), text);
    // Pages with sub-pages are never large.
    let small = Mapping::new(Access::READ).attributes(sub_page);
    assert_eq!(
        space.map(gpa(G1..G1 + M2), &ram, G1 - HUGE, small.exactly(PageSize::Size2M)),
        Err(MapError::PageSize { gpa: Gpa::new(G1), size: PageSize::Size2M })
    );
    space.map(gpa(G1..G1 + M2), &ram, G1 - HUGE, small).unwrap();
    space.merge(gpa(G1..G1 + M2)).unwrap().at_next_entry();
    assert_eq!(space.translate(Gpa::new(G1)).unwrap().size, PageSize::Size4K);
}

/// Where nothing is mapped, all entries of all tables suppress #VE, also in tables that were put by.
#[test]
fn absent_entries_suppress_virtualization_exceptions() {
    const SUPPRESS_VE: u64 = 1 << 63;
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(rich_ept(), &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let at = |level, at| entry(&pool, space.root(), 4, level, at).load(Ordering::Relaxed);
    assert_eq!((at(4, 0), at(4, 511 << 39)), (SUPPRESS_VE, SUPPRESS_VE));
    space.map(gpa(0..K4), &ram, 0, Access::ALL).unwrap();
    assert_eq!((at(3, G1), at(2, M2), at(1, K4)), (SUPPRESS_VE, SUPPRESS_VE, SUPPRESS_VE));
    assert_eq!(at(1, 0), RAM | 0x437, "a page only if it is asked for");
    space.map(gpa(K4..2 * K4), &ram, 0, Access::ALL).unwrap();
    let lowest = at(2, 0) & 0xf_ffff_ffff_f000;
    space.unmap(gpa(K4..2 * K4)).unwrap().at_next_entry();
    assert_eq!(at(1, K4), SUPPRESS_VE);
    space.unmap(gpa(0..K4)).unwrap().at_next_entry();
    assert_eq!((space.tables(), space.spare(), at(4, 0)), (1, 3, SUPPRESS_VE));
    // The link to the next spare frame, and what was mapped to.
    let link = slot(&pool, lowest, 1, 0).load(Ordering::Relaxed);
    assert_eq!(link & !0xf_ffff_ffff_f000, SUPPRESS_VE);
    // By way of a lone page, the shortest way.
    let mut edit = space.edit();
    for page in [0, G1, G1 + M2, G1 + K4] {
        edit.map(gpa(page..page + K4), &ram, 0, Access::ALL).unwrap();
    }
    drop(edit);
    assert_eq!(space.ranges().count(), 4);
    assert_eq!((at(1, G1 + 2 * K4), at(2, G1 + 2 * M2)), (SUPPRESS_VE, SUPPRESS_VE));
}

/// On AMD, whether a page is a shadow stack is in the flags that a processor sets elsewhere.
#[test]
fn shadow_stacks_are_told_from_pages_that_are_dirty() {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(rich_npt(), &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let at = |at| entry(&pool, space.root(), 4, 1, at).load(Ordering::Relaxed);
    space.map(gpa(0..2 * K4), &ram, 0, Access::RW).unwrap();
    assert_eq!(at(0) & 0xfff, 0x47, "what is writable is dirty from the start");
    space.protect(gpa(0..K4), Access::READ).unwrap().at_next_entry();
    assert_eq!(at(0) & 0xfff, 5, "or else it would be a shadow stack now");
    let shadow_stack = Access::READ | Access::SUPERVISOR_SHADOW_STACK;
    space.protect(gpa(K4..2 * K4), shadow_stack).unwrap().at_next_entry();
    assert_eq!(at(K4) & 0xfff, 0x45);
    assert_eq!(space.translate(Gpa::new(K4)).unwrap().access, shadow_stack);
    assert_eq!(space.format().flags_mask(), 0x20);
}
