use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::collections::HashMap;

use proptest::prelude::{Strategy, any, prop_oneof};
use proptest::{collection, proptest};
use x86_virt_core::{DirectMap, FramePool, Frames, Gpa, Hpa, OutOfFrames};

use super::{SppFault, SubPageError, SubPageTable};
use crate::{EptCapabilities, EptControls, EptFormat, SppEntry, SppVector, SubPage};

const FRAMES: usize = 24;
const BASE: u64 = 0x100_0000;

/// Memory that a processor of the test reads as the real one does.
#[repr(align(4096))]
struct Memory([u8; FRAMES * 4096]);

/// Frames of which the `left`-th is the last, or `wrong` ones.
#[derive(Clone, Copy)]
struct Few<'p> {
    pool: &'p FramePool<FRAMES>,
    left: &'p AtomicUsize,
    wrong: Option<Hpa>,
}

// SAFETY: the pool keeps the contract, and to give nothing is allowed; `wrong` breaks it on purpose, and is only compared.
unsafe impl Frames for Few<'_> {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        let left = self.left.load(Ordering::Relaxed).checked_sub(1);
        match (left, self.wrong) {
            (Some(left), _) => {
                self.left.store(left, Ordering::Relaxed);
                self.pool.allocate(count)
            }
            (None, wrong) => wrong,
        }
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        if Some(hpa) != self.wrong {
            // SAFETY: the caller's promise.
            unsafe { self.pool.free(hpa, count) };
        }
    }

    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        self.pool.pointer(hpa)
    }
}

fn format() -> EptFormat {
    EptFormat::new(EptCapabilities::from_bits(0x3_40c1), 46)
        .and_then(|format| format.with_controls(EptControls::from_bits(0x1f)).with_sub_page_write())
        .unwrap()
}

fn with_pool<R>(run: impl FnOnce(&FramePool<FRAMES>, &dyn Fn(u64) -> u64) -> R) -> R {
    let mut memory = Box::new(Memory([0xa5; FRAMES * 4096]));
    let start = NonNull::from(&mut memory.0).cast::<u8>();
    let offset = u64::try_from(start.as_ptr().expose_provenance()).unwrap().wrapping_sub(BASE);
    let end = Hpa::new(BASE + u64::try_from(FRAMES).unwrap() * 4096);
    // SAFETY: the memory is used through the pool, and read below, only.
    let map = unsafe { DirectMap::new(offset, end) };
    let pool = FramePool::<FRAMES>::new(Hpa::new(BASE), map);
    // SAFETY: as above.
    unsafe { pool.donate(Hpa::new(BASE)..end) }.unwrap();
    let read = |hpa: u64| {
        assert!((BASE..end.get()).contains(&hpa), "a processor would read {hpa:#x}");
        let pointer = pool.pointer_of(Hpa::new(hpa));
        // SAFETY: inside the memory, and aligned.
        unsafe { pointer.cast::<u64>().read_volatile() }
    };
    let result = run(&pool, &read);
    assert_eq!(pool.free_frames(), FRAMES, "all frames are given back");
    result
}

trait PointerOf {
    fn pointer_of(&self, hpa: Hpa) -> NonNull<u8>;
}

impl PointerOf for FramePool<FRAMES> {
    fn pointer_of(&self, hpa: Hpa) -> NonNull<u8> {
        Frames::pointer(&self, hpa).unwrap()
    }
}

/// The walk of the manual, on the memory itself.
fn walk(read: &dyn Fn(u64) -> u64, root: u64, gpa: u64) -> Option<u64> {
    let mut table = root;
    for shift in [39, 30, 21] {
        let entry = read(table + 8 * (gpa >> shift & 0x1ff));
        if entry & 1 == 0 {
            return None;
        }
        assert_eq!(entry & 0xffff_c000_0000_0ffe, 0, "reserved bits");
        table = entry & !0xfff;
    }
    Some(read(table + 8 * (gpa >> 12 & 0x1ff)))
}

fn pages(first: u64, count: u64) -> core::ops::Range<Gpa> {
    Gpa::new(first * 4096)..Gpa::new((first + count) * 4096)
}

#[test]
fn a_page_has_the_vector_that_it_was_given_and_others_none() {
    with_pool(|pool, read| {
        let table = SubPageTable::new(&format(), pool).unwrap();
        let gpa = Gpa::new(0x12_3456_7890);
        assert_eq!(table.lookup(gpa), Err(SppFault::Miss { gpa, level: 4 }));
        let vector = SppVector::NONE.with_writable(SubPage::of(gpa));
        let before = table.generation();
        let token = table.set(pages(0x123_4567, 1), vector).unwrap();
        assert_eq!((token.generation(), table.generation()), (before + 1, before + 1));
        token.at_next_entry();
        assert_eq!((table.lookup(gpa), table.frames_in_use()), (Ok(vector), 4));
        assert_eq!(walk(read, table.pointer().into_bits(), gpa.get()), Some(vector.into_bits()));
        // The next page is in the same table, and nothing of it can be written.
        assert_eq!(table.lookup(Gpa::new(0x12_3456_8000)), Ok(SppVector::NONE));
        for (gpa, level) in [(0x12_3460_0000, 2), (0x13_0000_0000, 3), (0x80_0000_0000, 4)] {
            let gpa = Gpa::new(gpa);
            assert_eq!(table.lookup(gpa), Err(SppFault::Miss { gpa, level }));
        }
    });
}

#[test]
fn every_misuse_is_refused_and_changes_nothing() {
    with_pool(|pool, _| {
        let plain = EptFormat::new(EptCapabilities::from_bits(0x3_40c1), 46).unwrap();
        assert!(matches!(SubPageTable::new(&plain, pool), Err(SubPageError::Unsupported(_))));
        let table = SubPageTable::new(&format(), pool).unwrap();
        let gpa = Gpa::new;
        let cases = [
            (gpa(0x80)..gpa(0x1000), SppVector::ALL, SubPageError::MisalignedGuest { gpa: gpa(0x80) }),
            (gpa(0)..gpa(0x1001), SppVector::ALL, SubPageError::MisalignedGuest { gpa: gpa(0x1001) }),
            (
                gpa(0x1000)..gpa(0x1000),
                SppVector::ALL,
                SubPageError::EmptyRange { start: gpa(0x1000), end: gpa(0x1000) },
            ),
            (
                gpa(0)..gpa((1 << 48) + 0x1000),
                SppVector::ALL,
                SubPageError::BeyondWidth { end: gpa((1 << 48) + 0x1000) },
            ),
            (gpa(0)..gpa(0x1000), SppVector::from_bits(3), SubPageError::ReservedBits { bits: 2 }),
            (gpa(0)..gpa(1 << 48), SppVector::ALL, SubPageError::OutOfFrames(OutOfFrames { count: 1 })),
        ];
        for (range, vector, error) in cases {
            assert_eq!(table.set(range, vector), Err(error));
            assert_eq!((table.frames_in_use(), pool.free_frames(), table.generation()), (1, FRAMES - 1, 1));
        }
        let top = Gpa::new(1 << 48);
        assert_eq!(table.lookup(top), Err(SppFault::Miss { gpa: top, level: 4 }));
    });
}

#[test]
fn entries_with_reserved_bits_are_reported_and_not_followed() {
    with_pool(|pool, _| {
        let table = SubPageTable::new(&format(), pool).unwrap();
        table.set(pages(5, 1), SppVector::ALL).unwrap().at_next_entry();
        let gpa = Gpa::new(0x5000);
        let slots: Vec<_> = {
            let mut hpa = table.pointer().into_bits();
            (1..=4_u8)
                .rev()
                .map(|level| {
                    let at = hpa + 8 * u64::from(SppEntry::index(gpa, level).unwrap());
                    let slot = pool.pointer_of(Hpa::new(at)).cast::<u64>();
                    // SAFETY: an entry of the table.
                    hpa = unsafe { slot.read_volatile() } & !0xfff;
                    (level, slot)
                })
                .collect()
        };
        for (level, slot) in slots {
            // SAFETY: an entry of the table.
            let good = unsafe { slot.read_volatile() };
            let bad = good | 2;
            // SAFETY: as above; nobody else uses it.
            unsafe { slot.write_volatile(bad) };
            assert_eq!(table.lookup(gpa), Err(SppFault::Misconfiguration { gpa, level, entry: bad }));
            let refused = table.set(pages(5, 1), SppVector::NONE);
            if level > 1 {
                assert_eq!(refused, Err(SubPageError::InvalidEntry { gpa, level, entry: bad }));
                assert_eq!(
                    table.frames_needed(pages(5, 1)),
                    Err(SubPageError::InvalidEntry { gpa, level, entry: bad })
                );
            }
            // SAFETY: as above.
            unsafe { slot.write_volatile(good) };
        }
        assert_eq!(table.lookup(gpa), Ok(SppVector::ALL));
    });
}

#[test]
fn a_frame_that_cannot_be_a_table_is_named() {
    with_pool(|pool, _| {
        let left = AtomicUsize::new(1);
        let root = {
            let few = Few { pool, left: &left, wrong: None };
            SubPageTable::new(&format(), few).unwrap().pointer().hpa()
        };
        for wrong in [Hpa::new(BASE + 0x800), Hpa::new(1 << 46), root] {
            left.store(1, Ordering::Relaxed);
            let table = SubPageTable::new(&format(), Few { pool, left: &left, wrong: Some(wrong) }).unwrap();
            // The root may be another frame than before.
            let wrong_root = table.pointer().hpa();
            let table = if wrong == root && wrong_root != root { continue } else { table };
            assert_eq!(table.set(pages(0, 1), SppVector::ALL), Err(SubPageError::BadFrame { hpa: wrong }));
            assert_eq!((table.frames_in_use(), table.generation()), (1, 1));
            drop(table);
            assert_eq!(pool.free_frames(), FRAMES);
        }
    });
}

/// A step of the random test: some pages, what they get, and how many frames the allocator may give.
type Step = (u64, u64, u64, usize);

/// Pages at borders of tables of each level, and others.
fn step() -> impl Strategy<Value = Step> {
    let first = prop_oneof![0..8_u64, 500..520_u64, (1 << 18) - 8..(1 << 18) + 8_u64, (1 << 27) - 8..(1 << 27) + 8_u64];
    let count = prop_oneof![3 => 1..8_u64, 1 => 1..1600_u64];
    (first, count, any::<u64>(), prop_oneof![3 => 0..6_usize, 5 => 6..12_usize])
}

proptest! {
    /// Against a map of pages, read as a processor reads it; and with an allocator that fails at each allocation.
    #[test]
    fn tables_agree_with_a_plain_map(steps in collection::vec(step(), 1..24)) {
        with_pool(|pool, read| {
            let left = AtomicUsize::new(1);
            let table = SubPageTable::new(&format(), Few { pool, left: &left, wrong: None }).unwrap();
            let root = table.pointer().into_bits();
            let mut map: HashMap<u64, u64> = HashMap::new();
            for (first, count, bits, few) in steps {
                let vector = SppVector::from_bits(bits & SppVector::ALL.into_bits());
                let needed = table.frames_needed(pages(first, count)).unwrap();
                let (used, free, generation) = (table.frames_in_use(), pool.free_frames(), table.generation());
                let before: Vec<_> = (0..count).map(|page| walk(read, root, (first + page) * 4096)).collect();
                left.store(few, Ordering::Relaxed);
                match table.set(pages(first, count), vector) {
                    Ok(token) => {
                        token.at_next_entry();
                        assert!(needed <= few.min(free));
                        assert_eq!((table.frames_in_use(), pool.free_frames()), (used + needed, free - needed));
                        assert_eq!(table.frames_needed(pages(first, count)), Ok(0));
                        map.extend((first..first + count).map(|page| (page, vector.into_bits())));
                    }
                    Err(error) => {
                        assert_eq!(error, SubPageError::OutOfFrames(OutOfFrames { count: 1 }));
                        assert!(needed > few.min(free));
                        assert_eq!((table.frames_in_use(), pool.free_frames(), table.generation()), (used, free, generation));
                        let after: Vec<_> = (0..count).map(|page| walk(read, root, (first + page) * 4096)).collect();
                        assert_eq!(before, after);
                    }
                }
                for page in [first.saturating_sub(1), first, first + count / 2, first + count - 1, first + count] {
                    let (gpa, known) = (page * 4096 + 0x80, map.get(&page).copied());
                    let found = walk(read, root, gpa);
                    assert_eq!(found.unwrap_or(0), known.unwrap_or(0), "page {page:#x}");
                    assert!(found.is_some() || known.is_none());
                    assert_eq!(table.lookup(Gpa::new(gpa)).ok().map(SppVector::into_bits), found);
                }
            }
            assert_eq!(table.frames_in_use() + pool.free_frames(), FRAMES);
        });
    }
}
