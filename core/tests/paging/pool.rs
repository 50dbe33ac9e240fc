//! The frame pool.

use proptest::{collection, prelude::any, proptest};
use x86_virt_core::{DirectMap, DonateError, FramePool, Frames, Hpa};

const BASE: u64 = 0x100_0000;

fn at(frame: u64) -> Hpa {
    Hpa::new(BASE + frame * 4096)
}

fn pool<const N: usize>() -> FramePool<N> {
    // SAFETY: these tests access no frame.
    FramePool::new(at(0), unsafe { DirectMap::new(0xffff_8000_0000_0000, Hpa::new(1 << 32)) })
}

fn donate<const N: usize>(pool: &FramePool<N>, start: u64, end: u64) -> Result<(), DonateError> {
    // SAFETY: these tests access no frame.
    unsafe { pool.donate(Hpa::new(start)..Hpa::new(end)) }
}

#[test]
fn bad_donations_are_refused_and_change_nothing() {
    let pool = pool::<16>().with_address_width(30);
    let end = BASE + 16 * 4096;
    let table = [
        (BASE + 1, end, DonateError::Misaligned { hpa: Hpa::new(BASE + 1) }),
        (BASE, end - 1, DonateError::Misaligned { hpa: Hpa::new(end - 1) }),
        (BASE, BASE, DonateError::EmptyRange { start: at(0), end: at(0) }),
        (end, BASE, DonateError::EmptyRange { start: at(16), end: at(0) }),
        (BASE - 4096, end, DonateError::Outside { hpa: Hpa::new(BASE - 4096) }),
        (BASE, end + 4096, DonateError::Outside { hpa: at(16) }),
        (0x3fff_f000, 0x4000_1000, DonateError::BeyondWidth { hpa: Hpa::new(0x4000_0000), width: 30 }),
    ];
    for (start, end, error) in table {
        assert_eq!(donate(&pool, start, end), Err(error));
        assert_eq!((pool.donated(), pool.free_frames()), (0, 0));
    }
    donate(&pool, BASE + 0x2000, BASE + 0x4000).unwrap();
    assert_eq!(donate(&pool, BASE, end), Err(DonateError::AlreadyDonated { hpa: at(2) }));
    assert_eq!((pool.donated(), pool.free_frames()), (2, 2));
    donate(&pool, BASE, BASE + 0x2000).unwrap();
    assert_eq!((&pool).allocate(4), Some(at(0)));
}

#[test]
fn frames_beyond_the_direct_map_are_refused() {
    // SAFETY: no frame is accessed.
    let map = unsafe { DirectMap::new(0x1000, Hpa::new(BASE + 0x1000)) };
    let pool = FramePool::<16>::new(at(0), map);
    assert_eq!(donate(&pool, BASE, BASE + 0x2000), Err(DonateError::Unreachable { hpa: at(1) }));
    donate(&pool, BASE, BASE + 0x1000).unwrap();
    assert_eq!((&pool).pointer(at(0)).unwrap().addr().get(), 0x100_1000);
    let misaligned = FramePool::<16>::new(Hpa::new(0x123), map);
    assert_eq!(donate(&misaligned, BASE, BASE + 4096), Err(DonateError::Misaligned { hpa: Hpa::new(0x123) }));
}

#[test]
fn runs_are_contiguous_and_used_frames_are_not_handed_out() {
    let pool = pool::<8>();
    donate(&pool, BASE, BASE + 3 * 4096).unwrap();
    donate(&pool, BASE + 4 * 4096, BASE + 8 * 4096).unwrap();
    let frames = &pool;
    assert_eq!(frames.allocate(0), None);
    assert_eq!(frames.allocate(4), Some(at(4)));
    assert_eq!(frames.allocate(4), None);
    assert_eq!(frames.allocate(2), Some(at(0)));
    assert_eq!(frames.allocate(1), Some(at(2)));
    assert_eq!(frames.allocate(1), None);
    // SAFETY: allocated above, and not used.
    unsafe { frames.free(at(4), 4) };
    assert_eq!(frames.allocate(3), Some(at(4)));
    assert_eq!(pool.free_frames(), 1);
    assert!(format!("{pool:?}").contains("free: 1"));
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "are allocated")]
fn freeing_twice_is_noticed() {
    let pool = pool::<8>();
    donate(&pool, BASE, BASE + 4096).unwrap();
    let frames = &pool;
    let hpa = frames.allocate(1).unwrap();
    // SAFETY: allocated above, and not used.
    unsafe { frames.free(hpa, 1) };
    // SAFETY: none: the contract is broken to see that it is noticed; the pool's memory is not accessed.
    unsafe { frames.free(hpa, 1) };
}

proptest! {
    #[test]
    fn no_frame_is_handed_out_twice(steps in collection::vec((any::<bool>(), 0..32usize, 1..5usize), 1..200)) {
        let pool = pool::<32>();
        donate(&pool, BASE, BASE + 32 * 4096).unwrap();
        let frames = &pool;
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for (is_free, which, count) in steps {
            if is_free && !runs.is_empty() {
                let (first, count) = runs.swap_remove(which % runs.len());
                // SAFETY: allocated below, and not used.
                unsafe { frames.free(at(first), usize::try_from(count).unwrap()) };
            } else if let Some(hpa) = frames.allocate(count) {
                let (first, count) = ((hpa.get() - BASE) / 4096, u64::try_from(count).unwrap());
                assert!(first + count <= 32);
                assert!(runs.iter().all(|(other, length)| first + count <= *other || other + length <= first));
                runs.push((first, count));
            } else {
                // Refused only if there is no such run.
                let is_free = |at: u64| runs.iter().all(|(other, length)| at < *other || other + length <= at);
                let count = u64::try_from(count).unwrap();
                assert!(!(0..=32 - count).any(|first| (first..first + count).all(is_free)));
            }
            let used: u64 = runs.iter().map(|(_, count)| count).sum();
            assert_eq!(u64::try_from(pool.free_frames()).unwrap(), 32 - used);
        }
    }
}
