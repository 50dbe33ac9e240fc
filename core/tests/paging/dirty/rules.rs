//! Dirty logs and flags: what is refused, kept, and left out.

use core::ops::Range;
use core::sync::atomic::AtomicU64;

use super::{FIRST, LARGE, PAGES, Pool, Processor, address, ept_with_flags, ept_with_log, page_of, range};
use crate::common::{Machine, ept, gpa, npt};
use x86_virt_core::{
    Access, AddressSpace, DirtyLog, Format, Frames as _, Gpa, LogError, LogMethod, MapError, Mapping, NestedFault,
    NestedFaultCause, PageFlags, PageSize, Unsupported, UsedPage,
};

/// Runs a test on all formats.
macro_rules! on_all {
    ($($name:ident => $body:ident;)*) => {
        $(
            #[test]
            fn $name() {
                $body(ept());
                $body(ept_with_flags());
                $body(ept_with_log());
                $body(npt());
                $body(npt().with_five_levels());
            }
        )*
    };
}

on_all! {
    bad_logs_are_refused => refuses;
    holes_and_frames => leaves_holes_out;
    what_is_protected_stays_so => keeps_protection;
    the_host_writes => logs_the_host;
    flags_are_harvested => harvests;
}

fn words(count: usize) -> Vec<AtomicU64> {
    (0..count).map(|_| AtomicU64::new(0)).collect()
}

fn refuses<F: Format>(format: F) {
    let bits = words(2);
    let machine = Machine::new(64, 4096);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let start = |range: Range<u64>| space.start_dirty_log(DirtyLog::new(gpa(range), &bits));
    assert_eq!(start(0..0x1001), Err(MapError::MisalignedGuest { gpa: Gpa::new(0x1001) }.into()));
    let empty = MapError::EmptyRange { start: Gpa::new(0), end: Gpa::new(0) };
    assert_eq!(start(0..0), Err(empty.into()));
    assert_eq!(start(0..129 * 4096), Err(LogError::Bitmap { words: 2, needed: 3 }));
    for method in [LogMethod::DirtyFlags, LogMethod::PageModificationLog] {
        let log = DirtyLog::new(gpa(0..0x1000), &bits).method(method);
        if method > format.log_method() {
            assert_eq!(space.start_dirty_log(log), Err(LogError::Unsupported { method }));
        }
    }
    assert_eq!(space.collect_dirty(&mut [0; 2]).unwrap_err(), LogError::NotStarted);
    assert_eq!((space.generation(), space.dirty_log_method()), (1, None));
    start(0..128 * 4096).unwrap().at_next_entry();
    assert_eq!(start(0..0x1000), Err(LogError::AlreadyStarted));
    assert_eq!(space.collect_dirty(&mut [0]).unwrap_err(), LogError::Bitmap { words: 1, needed: 2 });
    space.stop_dirty_log().unwrap();
    start(0..0x1000).unwrap().at_next_entry();
}

fn leaves_holes_out<F: Format>(format: F) {
    const M2: u64 = 2 << 20;
    let bits = words(64);
    let machine = Machine::new(64, 4096);
    let pool: Pool = machine.pool();
    let ram = machine.phantom_ram(1 << 30);
    let space = AddressSpace::new(format, &pool).unwrap();
    // A page of 2 MiB, a hole, one more of which the log covers a part.
    space.map(gpa(0..M2), &ram, 0, Access::ALL).unwrap();
    space.map(gpa(4 * M2..5 * M2), &ram, 0, Access::ALL).unwrap();
    let log = DirtyLog::new(gpa(0..4 * M2 + 0x1000), &bits);
    let before = (space.dump().to_string(), pool.free_frames());
    // All frames but one are taken.
    let kept: Vec<_> = core::iter::from_fn(|| (&pool).allocate(1)).collect();
    // SAFETY: just allocated.
    unsafe { (&pool).free(kept[0], 1) };
    let error = space.start_dirty_log(log).unwrap_err();
    assert!(matches!(error, LogError::Map(MapError::OutOfFrames(_))), "{error}");
    assert_eq!((space.dump().to_string(), pool.free_frames()), (before.0, 1));
    assert_eq!(space.dirty_log_method(), None);
    // SAFETY: just allocated.
    kept.into_iter().skip(1).for_each(|hpa| unsafe { (&pool).free(hpa, 1) });
    // Only the page that is partly in the range.
    space.start_dirty_log(log.largest(PageSize::Size2M)).unwrap().at_next_entry();
    assert_eq!(pool.free_frames(), before.1 - 1);
    space.stop_dirty_log().unwrap();
    space.start_dirty_log(log).unwrap().at_next_entry();
    assert_eq!(pool.free_frames(), before.1 - 2);
    let mut processor = Processor::new(&space, &pool);
    processor.leave_and_enter();
    assert!(!processor.write(page_of(Gpa::new(FIRST))));
    let size = |at: u64| space.translate(Gpa::new(at)).map(|to| to.size);
    assert_eq!([size(0), size(M2), size(4 * M2)], [Some(PageSize::Size4K), None, Some(PageSize::Size4K)]);
}

fn keeps_protection<F: Format>(format: F) {
    let bits = words(PAGES / 64);
    let machine = Machine::new(64, 4096);
    let pool: Pool = machine.pool();
    let ram = machine.phantom_ram(1 << 30);
    let space = AddressSpace::new(format, &pool).unwrap();
    space.map(range(&(0..PAGES)), &ram, 0, Mapping::new(Access::ALL)).unwrap();
    space.protect(range(&(3..4)), Access::RX).unwrap().at_next_entry();
    let before = space.dump().to_string();
    let log = DirtyLog::new(range(&(0..PAGES)), &bits).method(LogMethod::WriteProtection).largest(PageSize::Size2M);
    space.start_dirty_log(log).unwrap().at_next_entry();
    assert_eq!(space.dump().to_string(), before, "as the caller has it");
    let mut processor = Processor::new(&space, &pool);
    processor.leave_and_enter();
    assert!(!processor.write(3), "read-only, and not for the log");
    assert!(processor.write(4));
    space.protect(range(&(5..6)), Access::RX).unwrap().at_next_entry();
    processor.leave_and_enter();
    assert!(!processor.write(5), "read-only from now on");
    let fault = |access| NestedFault {
        gpa: address(7),
        gva: None,
        access,
        cause: NestedFaultCause::Permission,
        table_walk: false,
    };
    assert!(!space.log_fault(&fault(Access::READ)), "no write");
    assert!(!space.log_fault(&NestedFault { cause: NestedFaultCause::NotMapped, ..fault(Access::WRITE) }));
    assert!(space.log_fault(&fault(Access::WRITE)));
    assert!(space.log_fault(&fault(Access::WRITE)), "another processor was slower");
    space.stop_dirty_log().unwrap();
    assert!(space.log_fault(&fault(Access::WRITE)), "a fault from before");
    assert!(!processor.write(3) && !processor.write(5) && processor.write(6));
}

fn logs_the_host<F: Format>(format: F) {
    let bits = words(1);
    let machine = Machine::new(64, 64 * 4096);
    let pool: Pool = machine.pool();
    let ram = machine.ram();
    let space = AddressSpace::new(format, &pool).unwrap();
    space.map(gpa(0..64 * 4096), &ram, 0, Access::ALL).unwrap();
    space.unmap(gpa(0x9000..0xa000)).unwrap().at_next_entry();
    space.write(Gpa::new(0x1000), &[1]).unwrap();
    space.start_dirty_log(DirtyLog::new(gpa(0..64 * 4096), &bits)).unwrap().at_next_entry();
    let mut found = [0];
    let mut collect = || {
        let (pages, cleared) = space.collect_dirty(&mut found).unwrap();
        cleared.at_next_entry();
        pages.collect::<Vec<_>>()
    };
    assert_eq!(collect(), []);
    space.write(Gpa::new(0x2fff), &[1, 2]).unwrap();
    space.write(Gpa::new(0x7000), &[1; 4096]).unwrap();
    space.write(Gpa::new(0x8ffe), &[1; 4]).unwrap_err();
    let dirty = collect();
    assert_eq!(dirty[0], gpa(0x2000..0x4000));
    assert!(dirty[1].start == Gpa::new(0x7000) && dirty[1].end >= Gpa::new(0x9000), "{dirty:?}");
    assert_eq!(collect(), []);
}

fn harvests<F: Format>(format: F) {
    let bits = words(PAGES / 64);
    let machine = Machine::new(64, 4096);
    let pool: Pool = machine.pool();
    let ram = machine.phantom_ram(1 << 30);
    let space = AddressSpace::new(format, &pool).unwrap();
    space.map(range(&(0..2 * LARGE)), &ram, 0, Access::ALL).unwrap();
    space.split(range(&(0..LARGE)), PageSize::Size4K).unwrap().at_next_entry();
    let harvest = |flags| {
        let mut pages = Vec::new();
        let generation = space.generation();
        let token = space.harvest(range(&(0..PAGES)), flags, |page| pages.push(page))?;
        assert_eq!(token.generation(), generation + u64::from(!pages.is_empty()));
        Ok(pages)
    };
    if format.log_method() == LogMethod::WriteProtection {
        assert_eq!(harvest(PageFlags::ACCESSED), Err(MapError::Unsupported(Unsupported::Flags)));
        return;
    }
    let mut processor = Processor::new(&space, &pool);
    processor.read(3);
    assert!(processor.write(5) && processor.write(LARGE + 7));
    let page = |page, size, flags| UsedPage { gpa: address(page), size, flags };
    let (small, large) = (PageSize::Size4K, PageSize::Size2M);
    let (accessed, dirty) = (PageFlags::ACCESSED, PageFlags::DIRTY);
    assert_eq!(
        harvest(accessed),
        Ok(vec![page(3, small, accessed), page(5, small, accessed), page(LARGE, large, accessed)])
    );
    assert_eq!(harvest(accessed), Ok(Vec::new()));
    processor.read(5);
    assert_eq!(harvest(accessed | dirty), Ok(vec![page(5, small, accessed | dirty), page(LARGE, large, dirty)]));
    assert_eq!(harvest(accessed | dirty), Ok(Vec::new()));

    // A harvest takes nothing from a log.
    space.start_dirty_log(DirtyLog::new(range(&(0..PAGES)), &bits)).unwrap().at_next_entry();
    processor.leave_and_enter();
    assert!(processor.write(9));
    assert_eq!(harvest(dirty), Ok(vec![page(9, small, dirty)]));
    processor.leave_and_enter();
    let mut found = vec![0; PAGES / 64];
    let (pages, cleared) = space.collect_dirty(&mut found).unwrap();
    cleared.at_next_entry();
    assert_eq!(pages.collect::<Vec<_>>(), [range(&(9..10))]);
}
