//! Dirty logs and flags, against a processor that caches entries and logs, and a count of the writes to each page.

mod rules;

use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use std::collections::HashSet;

use crate::common::{Machine, ept, npt};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::{collection, option, proptest};
use x86_virt_core::{
    Access, AddressSpace, DirtyLog, Entry, Format, FramePool, Frames as _, Gpa, LogError, LogMethod, NestedFault,
    NestedFaultCause, Operation, PageSize,
};
use x86_virt_ept::{EptCapabilities, EptFormat};

const FRAMES: usize = 64;
/// Pages that a test uses, from [`FIRST`] on: four of 2 MiB.
const PAGES: usize = 2048;
const LARGE: usize = 512;
const FIRST: u64 = 0x7fc0_0000;
/// Addresses that a processor logs before the log is full.
const LOGGED: usize = 4;

type Pool = FramePool<FRAMES>;
type Space<'p, 'm, F> = AddressSpace<'m, F, &'p Pool>;

fn ept_with_flags() -> EptFormat {
    EptFormat::new(EptCapabilities::from_bits(0x23_40c1), 46).unwrap().with_accessed_dirty().unwrap()
}

fn ept_with_log() -> EptFormat {
    ept_with_flags().with_page_modification_log().unwrap()
}

fn address(page: usize) -> Gpa {
    Gpa::new(FIRST + u64::try_from(page).unwrap() * 4096)
}

fn range(pages: &Range<usize>) -> Range<Gpa> {
    address(pages.start)..address(pages.end)
}

fn page_of(gpa: Gpa) -> usize {
    usize::try_from((gpa.get() - FIRST) / 4096).unwrap()
}

/// A processor inside a guest, as the manuals have it.
struct Processor<'s, 'p, 'm, F: Format> {
    space: &'s Space<'p, 'm, F>,
    pool: &'p Pool,
    /// The generation of the space at the last entry.
    seen: u64,
    /// Pages that can be written without a look at the tables.
    cached: HashSet<usize>,
    /// What page-modification logging has logged, while it is on.
    log: Option<Vec<Gpa>>,
}

impl<'s, 'p, 'm, F: Format> Processor<'s, 'p, 'm, F> {
    fn new(space: &'s Space<'p, 'm, F>, pool: &'p Pool) -> Self {
        Self { space, pool, seen: 0, cached: HashSet::new(), log: None }
    }

    /// The run ends, and the vCPU does what it has to, as does its next entry.
    fn leave_and_enter(&mut self) {
        let is_logging = || self.space.dirty_log_method() == Some(LogMethod::PageModificationLog);
        if is_logging() {
            match &mut self.log {
                Some(log) => self.space.log_pages(log.drain(..)),
                None => self.space.log_missed(),
            }
        }
        if self.seen != self.space.generation() {
            self.seen = self.space.generation();
            self.cached.clear();
            if is_logging() != self.log.is_some() {
                self.log = is_logging().then(Vec::new);
            }
        }
    }

    /// The entry of the page for `gpa`, and its size.
    fn leaf(&self, gpa: Gpa) -> Option<(&'p AtomicU64, PageSize)> {
        let format = self.space.format();
        let (mut table, mut level) = (self.space.root(), format.levels());
        loop {
            let index = (gpa.get() >> (3 + 9 * u32::from(level))) & 0x1ff;
            let pointer = self.pool.pointer(table).unwrap().cast::<AtomicU64>();
            // SAFETY: the index is below 512, and the table is a frame.
            let pointer = unsafe { pointer.add(usize::try_from(index).unwrap()) };
            // SAFETY: the tables are made of atomics, in memory that outlives the pool, and are freed after the test.
            let slot: &'p AtomicU64 = unsafe { pointer.as_ref() };
            match format.classify(slot.load(Ordering::Relaxed), level) {
                Entry::Table(next) => (table, level) = (next, level - 1),
                Entry::Leaf { .. } => return Some((slot, PageSize::of_level(level).unwrap())),
                _ => return None,
            }
        }
    }

    fn read(&self, page: usize) {
        let (slot, _) = self.leaf(address(page)).unwrap();
        if self.space.format().log_method() != LogMethod::WriteProtection {
            let format = self.space.format();
            slot.fetch_or(format.flags_mask() & !format.dirty_mask(), Ordering::Relaxed);
        }
    }

    /// Writes to the page; `false` if it is not mapped for that.
    fn write(&mut self, page: usize) -> bool {
        let format = *self.space.format();
        while !self.cached.contains(&page) {
            let Some((slot, _)) = self.leaf(address(page)) else { return false };
            let entry = slot.load(Ordering::Relaxed);
            if entry & format.write_mask() == 0 {
                let fault = NestedFault {
                    gpa: Gpa::new(address(page).get() + 0x123),
                    gva: None,
                    access: Access::WRITE,
                    cause: NestedFaultCause::Permission,
                    table_walk: false,
                };
                self.leave_and_enter();
                if !self.space.log_fault(&fault) {
                    return false;
                }
                continue;
            }
            if format.log_method() != LogMethod::WriteProtection && entry & format.dirty_mask() == 0 {
                if self.log.as_ref().is_some_and(|log| log.len() == LOGGED) {
                    self.leave_and_enter();
                    continue;
                }
                slot.fetch_or(format.flags_mask(), Ordering::Relaxed);
                if let Some(log) = &mut self.log {
                    log.push(address(page));
                }
            }
            self.cached.insert(page);
        }
        true
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write(usize),
    WriteMany(Range<usize>),
    HostWrite(usize),
    Leave,
    Collect,
    Split(usize),
    Merge(usize),
    Protect(Range<usize>, Access),
    Remap(Range<usize>),
    Replace(Range<usize>),
}

/// Few pages, so that steps meet, and all over the range.
fn page() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0..8_usize, 2 => 508..516_usize, 1 => 0..PAGES]
}

fn pages() -> impl Strategy<Value = Range<usize>> {
    prop_oneof![
        3 => (page(), 1..6_usize).prop_map(|(first, count)| first..(first + count).min(PAGES)),
        1 => (0..4_usize).prop_map(|block| block * LARGE..(block + 1) * LARGE),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => page().prop_map(Step::Write),
        2 => pages().prop_map(Step::WriteMany),
        2 => page().prop_map(Step::HostWrite),
        4 => Just(Step::Leave),
        5 => Just(Step::Collect),
        1 => (0..4_usize).prop_map(Step::Split),
        2 => (0..4_usize).prop_map(Step::Merge),
        1 => (pages(), any::<bool>()).prop_map(|(pages, is_all)| Step::Protect(pages, if is_all { Access::ALL } else { Access::RX })),
        1 => pages().prop_map(Step::Remap),
        1 => pages().prop_map(Step::Replace),
    ]
}

/// How a log is kept.
#[derive(Clone, Debug)]
struct Setup {
    pages: Range<usize>,
    largest: PageSize,
    method: Option<LogMethod>,
    /// The guest had written these before.
    before: Vec<usize>,
    /// Writes of the guest after the log was started, before it was made to leave.
    between: Vec<usize>,
}

fn setup() -> impl Strategy<Value = Setup> {
    let pages = prop_oneof![
        2 => Just(0..PAGES),
        1 => (page(), page()).prop_map(|(one, other)| one.min(other)..one.max(other) + 1)
    ];
    let largest = prop_oneof![3 => Just(PageSize::Size4K), 2 => Just(PageSize::Size2M), 1 => Just(PageSize::Size1G)];
    let method = option::of(prop_oneof![Just(LogMethod::WriteProtection), Just(LogMethod::DirtyFlags)]);
    let some = || collection::vec(page(), 0..4);
    (pages, largest, method, some(), some()).prop_map(|(pages, largest, method, before, between)| Setup {
        pages,
        largest,
        method,
        before,
        between,
    })
}

/// Migrates a guest: at the end, the other side has what the guest has.
struct Migration<'s, 'p, 'm, F: Format> {
    processor: Processor<'s, 'p, 'm, F>,
    /// How often each page was written, which stands for its contents, and what the other side has.
    here: Vec<u64>,
    there: Vec<u64>,
    pages: Range<usize>,
    /// What may be found although it was not written: what is in a large page with it, or was changed.
    is_coarse: bool,
    /// What was found the last time may be found again: it had not been drained.
    may_repeat: bool,
}

impl<F: Format> Migration<'_, '_, '_, F> {
    fn write(&mut self, page: usize) {
        if self.processor.write(page) {
            self.here[page] += 1;
        }
    }

    /// What the log has found is sent, after the vCPU has left the guest.
    fn collect(&mut self) -> usize {
        let mut bits = vec![u64::MAX; PAGES / 64];
        let is_drained = self.processor.log.as_ref().is_none_or(Vec::is_empty);
        let may_repeat = core::mem::replace(&mut self.may_repeat, !is_drained);
        let (found, cleared) = self.processor.space.collect_dirty(&mut bits).unwrap();
        self.processor.leave_and_enter();
        cleared.at_next_entry();
        let total = found.total();
        let mut sent = 0;
        for pages in found {
            for page in page_of(pages.start)..page_of(pages.end) {
                assert!(self.pages.contains(&page));
                let is_new = self.there[page] != self.here[page];
                assert!(is_new || self.is_coarse || may_repeat, "page {page} was not written");
                self.there[page] = self.here[page];
                sent += 1;
            }
        }
        assert_eq!(u64::try_from(sent).unwrap(), total);
        sent
    }

    /// A step that changes no mapping.
    fn go_on(&mut self, step: &Step) {
        match step {
            Step::Write(page) => self.write(*page),
            Step::WriteMany(pages) => pages.clone().for_each(|page| self.write(page)),
            Step::HostWrite(page) => {
                self.here[*page] += 1;
                let start = address(*page).get() + 0xff0;
                self.processor.space.mark_dirty(Gpa::new(start)..Gpa::new(start + 8));
            }
            Step::Collect => {
                self.collect();
            }
            _ => self.processor.leave_and_enter(),
        }
    }
}

fn check<F: Format>(format: F, setup: &Setup, steps: &[Step]) {
    let bits: Vec<AtomicU64> = (0..PAGES / 64).map(|_| AtomicU64::new(u64::MAX)).collect();
    let machine = Machine::new(FRAMES.try_into().unwrap(), 4096);
    let pool: Pool = machine.pool();
    let ram = machine.phantom_ram(2 * u64::try_from(PAGES).unwrap() * 4096);
    let space = AddressSpace::new(format, &pool).unwrap();
    space.map(range(&(0..PAGES)), &ram, 0, Access::ALL).unwrap();
    let mut processor = Processor::new(&space, &pool);
    processor.leave_and_enter();
    setup.before.iter().for_each(|page| assert!(processor.write(*page)));

    let method = setup.method.filter(|method| *method <= format.log_method());
    let log = DirtyLog::new(range(&setup.pages), &bits).largest(setup.largest);
    let log = method.map_or(log, |method| log.method(method));
    let needed = space.frames_needed(range(&setup.pages), Operation::StartDirtyLog { largest: setup.largest }).unwrap();
    let before = pool.free_frames();
    space.start_dirty_log(log).unwrap().at_next_entry();
    assert_eq!(before - pool.free_frames(), needed);
    assert_eq!(space.dirty_log_method(), Some(method.unwrap_or(format.log_method())));
    let mut migration = Migration {
        processor,
        here: vec![0; PAGES],
        there: vec![0; PAGES],
        pages: setup.pages.clone(),
        is_coarse: setup.largest != PageSize::Size4K || !setup.between.is_empty(),
        may_repeat: false,
    };
    setup.between.iter().for_each(|page| migration.write(*page));
    migration.processor.leave_and_enter();
    migration.there = migration.here.clone();

    for step in steps {
        let token = match step {
            Step::Split(block) => space.split(range(&(block * LARGE..(block + 1) * LARGE)), PageSize::Size4K),
            Step::Merge(block) => space.merge(range(&(block * LARGE..(block + 1) * LARGE))),
            Step::Protect(pages, access) => space.protect(range(pages), *access),
            Step::Remap(pages) => {
                pages.clone().for_each(|page| migration.here[page] += 1);
                space.remap(range(pages), &ram, u64::try_from(pages.start).unwrap() * 4096 + (8 << 20))
            }
            Step::Replace(pages) => {
                pages.clone().for_each(|page| migration.here[page] += 1);
                let token = space.unmap(range(pages)).unwrap();
                space.map(range(pages), &ram, u64::try_from(pages.start).unwrap() * 4096, Access::ALL).unwrap();
                Ok(token)
            }
            _ => {
                migration.go_on(step);
                continue;
            }
        };
        migration.is_coarse = true;
        token.unwrap().at_next_entry();
        migration.processor.leave_and_enter();
    }

    migration.processor.leave_and_enter();
    migration.collect();
    let (here, there) = (&migration.here[setup.pages.clone()], &migration.there[setup.pages.clone()]);
    assert_eq!(here, there, "what the guest has, and what was sent");
    let generation = space.generation();
    migration.is_coarse = false;
    assert_eq!(migration.collect(), 0, "nothing was written");
    assert_eq!(space.generation(), generation, "nothing to invalidate");
    space.stop_dirty_log().unwrap();
    migration.processor.leave_and_enter();
    assert_eq!(space.stop_dirty_log(), Err(LogError::NotStarted));
    let marked =
        |page| migration.processor.leaf(address(page)).unwrap().0.load(Ordering::Relaxed) & format.write_mark();
    assert!((0..PAGES).all(|page| marked(page) == 0), "write access that was not given back");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_a_log_misses_is_nothing_with_write_protection(setup in setup(), steps in collection::vec(step(), 1..64)) {
        check(ept(), &setup, &steps);
    }

    #[test]
    fn what_a_log_misses_is_nothing_with_dirty_flags(setup in setup(), steps in collection::vec(step(), 1..64)) {
        check(ept_with_flags(), &setup, &steps);
    }

    #[test]
    fn what_a_log_misses_is_nothing_with_page_modification_logging(
        setup in setup(),
        steps in collection::vec(step(), 1..64),
    ) {
        check(ept_with_log(), &setup, &steps);
    }

    #[test]
    fn what_a_log_misses_is_nothing_with_nested_page_tables(setup in setup(), steps in collection::vec(step(), 1..64)) {
        check(npt(), &setup, &steps);
    }
}
