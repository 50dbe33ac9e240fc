extern crate std;

use core::sync::atomic::AtomicU64;
use std::vec;
use std::vec::Vec;

use proptest::{collection, prop_assert_eq, proptest};

use super::{DirtyLog, DirtyPages, LogError, LogMethod};
use crate::addr::Gpa;

const START: u64 = 0x12_3000;

fn range(pages: u64) -> core::ops::Range<Gpa> {
    Gpa::new(START)..Gpa::new(START + pages * 4096)
}

fn words(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

#[test]
fn methods_have_numbers_in_their_order() {
    for (method, number) in LogMethod::ALL.into_iter().zip(1..) {
        assert_eq!(method.number(), number);
    }
    assert!(LogMethod::ALL.is_sorted());
}

#[test]
fn words_are_for_64_pages_each() {
    for (pages, expected) in [(0, 0), (1, 1), (64, 1), (65, 2), (512, 8)] {
        assert_eq!(DirtyLog::words(&range(pages)), expected);
    }
    assert_eq!(DirtyLog::words(&(Gpa::new(0x2000)..Gpa::new(0x1000))), 0);
    let bits = words(1);
    assert_eq!(DirtyLog::new(range(65), &bits).check(1), Err(LogError::Bitmap { words: 1, needed: 2 }));
}

#[test]
fn parts_of_pages_count_as_pages_and_others_not() {
    let bits = words(2);
    let log = DirtyLog::new(range(100), &bits);
    let mark = |start: u64, end: u64| log.mark(Gpa::new(start), Gpa::new(end));
    mark(0, START);
    mark(START + 100 * 4096, u64::MAX);
    mark(START + 0x1234, START + 0x1234);
    mark(START + 5, START + 4);
    let mut found = [u64::MAX; 2];
    log.take(&mut found);
    assert_eq!(found, [0, 0]);
    mark(0, START + 1);
    mark(START + 0x3fff, START + 0x4001);
    mark(START + 99 * 4096, u64::MAX);
    log.take(&mut found);
    assert_eq!(found, [0b1_1001, 1 << (99 - 64)]);
    log.take(&mut found);
    assert_eq!(found, [0, 0], "taken once");
    mark(0, u64::MAX);
    log.take(&mut found);
    assert_eq!(found, [u64::MAX, (1 << (100 - 64)) - 1]);
}

proptest! {
    #[test]
    fn marked_ranges_come_back(ranges in collection::vec((0_u64..200, 0_u64..80), 0..8)) {
        let bits = words(4);
        let log = DirtyLog::new(range(200), &bits);
        let mut expected = vec![false; 200];
        for (first, count) in ranges {
            log.mark(Gpa::new(START + first * 4096), Gpa::new(START + (first + count) * 4096));
            for page in first..(first + count).min(200) {
                expected[usize::try_from(page).unwrap()] = true;
            }
        }
        let mut found = [0; 4];
        log.take(&mut found);
        let pages = DirtyPages::new(Gpa::new(START), &found);
        prop_assert_eq!(pages.total(), u64::try_from(expected.iter().filter(|is_dirty| **is_dirty).count()).unwrap());
        let mut dirty = vec![false; 200];
        let mut last = None;
        for range in pages {
            // Ranges do not touch.
            assert!(last.is_none_or(|last| last < range.start) && range.start < range.end);
            last = Some(range.end);
            for page in (range.start.get() - START) / 4096..(range.end.get() - START) / 4096 {
                dirty[usize::try_from(page).unwrap()] = true;
            }
        }
        prop_assert_eq!(dirty, expected);
    }
}
