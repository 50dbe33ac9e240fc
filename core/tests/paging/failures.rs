//! Frames that run out or cannot be tables, and entries that no table has.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::common::{BASE, Failing, Machine, entry, gpa, on_all};
use x86_virt_core::{
    Access, AddressSpace, Format, FramePool, Frames, Gpa, Hpa, MapError, Mapping, MemoryType, Operation, OutOfFrames,
    PageSize,
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
    every_operation_may_run_out_of_frames => runs_out_of_frames;
    frames_can_be_put_aside => puts_frames_aside;
    invalid_entries_are_reported_and_not_followed => reports_invalid_entries;
    frames_that_cannot_be_tables_are_refused => refuses_frames;
}

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
