//! Random changes of address spaces against a map of pages, with allocations that fail.

use core::ops::Range;

use crate::common::{BASE, Failing, Machine, ept, npt, rich_ept, rich_npt};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::{collection, proptest};
use x86_virt_core::{
    Access, AddressSpace, Format, FramePool, Gpa, GuestRam, Hpa, Invalidation, MapError, MappedRange, Mapping,
    MemoryType, Operation, OutOfFrames, PageAttributes, PageSize,
};

/// The pages that a test uses: 8 MiB around the border of two entries of the root, and so of all levels below.
const PAGES: usize = 2048;
/// Pages in a page of 2 MiB.
const LARGE: usize = 512;
const FRAMES: usize = 64;

type Space<'p, 'm, F> = AddressSpace<'m, F, &'p Failing<'p, FRAMES>>;

/// What is known of 4 KiB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Page {
    hpa: u64,
    size: PageSize,
    access: Access,
    memory_type: MemoryType,
    attributes: PageAttributes,
}

#[derive(Clone, Debug)]
enum Change {
    Map { host_page: usize, mapping: Mapping },
    Remap { host_page: usize },
    Unmap,
    Protect { access: Access },
    SetMemoryType { memory_type: MemoryType },
    SetAttributes { attributes: PageAttributes },
    Split { size: PageSize },
    Merge,
}

#[derive(Clone, Debug)]
struct Step {
    pages: Range<usize>,
    change: Change,
    /// The frames are put aside before.
    is_prepared: bool,
    /// The change is made by a `SpaceEdit` that has made others.
    is_edited: bool,
}

fn access() -> impl Strategy<Value = Access> + Clone {
    prop_oneof![1 => Just(Access::READ), 1 => Just(Access::RW), 1 => Just(Access::RX), 3 => Just(Access::ALL)]
}

/// What only some formats can grant.
fn any_access() -> impl Strategy<Value = Access> {
    prop_oneof![1 => access(), 1 => any::<u8>().prop_map(Access::from_bits_truncate)]
}

fn attributes() -> impl Strategy<Value = PageAttributes> {
    let of_bits = any::<u8>().prop_map(PageAttributes::from_bits_truncate);
    prop_oneof![2 => Just(PageAttributes::NONE), 1 => Just(PageAttributes::SUPPRESS_VE), 1 => of_bits]
}

fn memory_type() -> impl Strategy<Value = MemoryType> {
    prop_oneof![3 => Just(MemoryType::WriteBack), 1 => Just(MemoryType::Uncacheable), 1 => Just(MemoryType::WriteCombining)]
}

fn size() -> impl Strategy<Value = PageSize> {
    prop_oneof![2 => Just(PageSize::Size4K), 1 => Just(PageSize::Size2M), 1 => Just(PageSize::Size1G)]
}

/// A page at which an interesting range starts or ends.
fn border() -> impl Strategy<Value = usize> {
    let at = (0..=PAGES / LARGE).prop_map(|at| at * LARGE);
    prop_oneof![1 => 0..PAGES, 2 => at.clone(), 1 => at.prop_map(|at| at.saturating_sub(1))]
}

fn change(
    access: impl Strategy<Value = Access> + Clone,
    attributes: impl Strategy<Value = PageAttributes> + Clone,
) -> impl Strategy<Value = Change> {
    let host_page = prop_oneof![3 => Just(0), 2 => Just(512), 1 => 0..4096_usize];
    let limit = prop_oneof![3 => size().prop_map(Some), 1 => Just(None)];
    let map = (host_page.clone(), access.clone(), memory_type(), attributes.clone(), limit, size());
    let map = map.prop_map(|(host_page, access, memory_type, attributes, limit, exactly)| {
        let mapping = Mapping::new(access).memory_type(memory_type).attributes(attributes);
        let mapping = limit.map_or_else(|| mapping.exactly(exactly), |limit| mapping.largest(limit));
        Change::Map { host_page, mapping }
    });
    prop_oneof![
        6 => map,
        2 => host_page.prop_map(|host_page| Change::Remap { host_page }),
        3 => Just(Change::Unmap),
        2 => access.prop_map(|access| Change::Protect { access }),
        2 => attributes.prop_map(|attributes| Change::SetAttributes { attributes }),
        2 => memory_type().prop_map(|memory_type| Change::SetMemoryType { memory_type }),
        2 => size().prop_map(|size| Change::Split { size }),
        3 => Just(Change::Merge),
    ]
}

/// A step with what every format has.
fn step() -> impl Strategy<Value = Step> {
    step_of(change(access(), Just(PageAttributes::NONE)))
}

/// A step with anything, which a format may refuse.
fn rich_step() -> impl Strategy<Value = Step> {
    step_of(change(any_access().boxed(), attributes().boxed()))
}

fn step_of(change: impl Strategy<Value = Change>) -> impl Strategy<Value = Step> {
    (border(), border(), any::<bool>(), change, any::<bool>(), any::<bool>()).prop_map(
        |(one, other, is_short, change, is_prepared, is_edited)| {
            let first = one.min(other).min(PAGES - 1);
            let count = if is_short { 1 + other % 3 } else { one.max(other) - first };
            Step { pages: first..first + count.clamp(1, PAGES - first), change, is_prepared, is_edited }
        },
    )
}

/// The slow and plain model: what each page is mapped to.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Oracle {
    first: u64,
    pages: Vec<Option<Page>>,
}

impl Oracle {
    fn gpa(&self, page: usize) -> Gpa {
        Gpa::new(self.first + u64::try_from(page).unwrap() * 4096)
    }

    fn range(&self, pages: &Range<usize>) -> Range<Gpa> {
        self.gpa(pages.start)..self.gpa(pages.end)
    }

    /// The level of the absent entry for a page: the highest that covers nothing that is mapped.
    fn absent_level<F: Format>(&self, format: &F, page: usize) -> u8 {
        let number = |page| (self.gpa(page).get()) >> 12;
        let is_empty = |level: &u8| {
            let bits = 9 * (u32::from(*level) - 1);
            let covers = |other| number(other) >> bits == number(page) >> bits;
            (0..PAGES).all(|other| self.pages[other].is_none() || !covers(other))
        };
        (1..=format.levels()).rev().find(is_empty).unwrap()
    }

    /// Makes the change, or says why it is refused.
    fn apply<F: Format>(&mut self, format: &F, step: &Step) -> Result<(), MapError> {
        match step.change {
            Change::Map { mapping, .. } => {
                format.attribute_bits(mapping.attributes)?;
                format.access_bits(mapping.access)?;
            }
            Change::Protect { access } => drop(format.access_bits(access)?),
            Change::SetAttributes { attributes } => drop(format.attribute_bits(attributes)?),
            _ => {}
        }
        let pages = step.pages.clone();
        let is_large = |page: &usize| page.is_multiple_of(LARGE);
        match &step.change {
            Change::Map { host_page, mapping } => return self.map(pages, *host_page, *mapping),
            Change::Merge => {
                self.merge(&pages);
                return Ok(());
            }
            Change::Split { size } => {
                let is_aligned = *size == PageSize::Size4K || is_large(&pages.start) && is_large(&pages.end);
                if *size == PageSize::Size1G || !is_aligned {
                    let Range { start, end } = self.range(&pages);
                    return Err(MapError::CannotSplit { start, end, size: *size });
                }
            }
            _ => {}
        }
        if let Some(page) = pages.clone().find(|page| self.pages[*page].is_none()) {
            return Err(MapError::NotMapped { gpa: self.gpa(page), level: self.absent_level(format, page) });
        }
        let start = pages.start;
        let splits_all = match step.change {
            Change::Split { size } => Some(size == PageSize::Size4K),
            Change::Remap { host_page } => Some(host_page % LARGE != start % LARGE),
            Change::SetAttributes { attributes } => Some(is_small(attributes)),
            _ => None,
        };
        for block in start / LARGE..pages.end.div_ceil(LARGE) {
            let block = block * LARGE..(block + 1) * LARGE;
            let is_cut = block.start < start || block.end > pages.end;
            let is_split = splits_all.unwrap_or(false) || is_cut && !matches!(step.change, Change::Split { .. });
            if is_split {
                self.pages[block].iter_mut().flatten().for_each(|page| page.size = PageSize::Size4K);
            }
        }
        for at in pages {
            let page = &mut self.pages[at];
            match (page.as_mut(), &step.change) {
                (_, Change::Unmap) => *page = None,
                (Some(page), Change::Remap { host_page }) => page.hpa = host(host_page + at - start),
                (Some(page), Change::Protect { access }) => page.access = *access,
                (Some(page), Change::SetMemoryType { memory_type }) => page.memory_type = *memory_type,
                (Some(page), Change::SetAttributes { attributes }) => page.attributes = *attributes,
                _ => {}
            }
        }
        Ok(())
    }

    fn map(&mut self, pages: Range<usize>, host_page: usize, mapping: Mapping) -> Result<(), MapError> {
        let start = pages.start;
        let (first_block, end_block) = (start.div_ceil(LARGE), pages.end / LARGE);
        let is_in_phase =
            host_page % LARGE == start % LARGE && mapping.largest >= PageSize::Size2M && !is_small(mapping.attributes);
        let is_aligned = start.is_multiple_of(LARGE) && pages.end.is_multiple_of(LARGE);
        let is_possible = match mapping.smallest {
            PageSize::Size4K => true,
            PageSize::Size2M => is_in_phase && is_aligned,
            PageSize::Size1G => false,
        };
        if !is_possible {
            return Err(MapError::PageSize { gpa: self.gpa(start), size: mapping.smallest });
        }
        if let Some((at, page)) = pages.clone().find_map(|at| Some((at, self.pages[at]?))) {
            return Err(MapError::AlreadyMapped { gpa: self.gpa(at), level: page.size.level() });
        }
        for page in pages {
            let is_large = is_in_phase && (first_block..end_block).contains(&(page / LARGE));
            self.pages[page] = Some(Page {
                hpa: host(host_page + page - start),
                size: if is_large { PageSize::Size2M } else { PageSize::Size4K },
                access: mapping.access,
                memory_type: mapping.memory_type,
                attributes: mapping.attributes,
            });
        }
        Ok(())
    }

    fn merge(&mut self, pages: &Range<usize>) {
        for block in pages.start.div_ceil(LARGE)..pages.end / LARGE {
            let block = &mut self.pages[block * LARGE..(block + 1) * LARGE];
            let can_be_large = |first: &Page| first.hpa.is_multiple_of(2 << 20) && !is_small(first.attributes);
            let Some(first) = block[0].filter(can_be_large) else { continue };
            let follows =
                |(at, page): (u64, &Option<Page>)| *page == Some(Page { hpa: first.hpa + at * 4096, ..first });
            if (0..).zip(&*block).all(follows) {
                block.iter_mut().flatten().for_each(|page| page.size = PageSize::Size2M);
            }
        }
    }

    /// The maximal ranges.
    fn ranges(&self) -> Vec<MappedRange> {
        let mut ranges: Vec<MappedRange> = Vec::new();
        for (at, page) in self.pages.iter().enumerate() {
            let Some(Page { hpa, size, access, memory_type, attributes }) = *page else { continue };
            let gpa = self.range(&(at..at + 1));
            let hpa = Hpa::new(hpa);
            if let Some(last) = ranges.last_mut()
                && last.gpa.end == gpa.start
                && last.hpa.get() + (last.gpa.end.get() - last.gpa.start.get()) == hpa.get()
                && (last.size, last.access, last.memory_type, last.attributes)
                    == (size, access, memory_type, attributes)
            {
                last.gpa.end = gpa.end;
            } else {
                ranges.push(MappedRange { gpa, hpa, size, access, memory_type, attributes });
            }
        }
        ranges
    }

    /// Whether the space maps the same.
    fn check<F: Format>(&self, space: &Space<'_, '_, F>) {
        let edit = space.edit();
        for (at, page) in self.pages.iter().enumerate() {
            let to = edit.translate(Gpa::new(self.gpa(at).get() + 0x123));
            let to = to.map(|to| Page {
                hpa: to.hpa.get() - 0x123,
                size: to.size,
                access: to.access,
                memory_type: to.memory_type,
                attributes: to.attributes,
            });
            assert_eq!(to, *page, "page {at}");
        }
        drop(edit);
        assert_eq!(space.ranges().map(Result::unwrap).collect::<Vec<_>>(), self.ranges());
    }
}

/// Whether only 4 KiB pages can have them.
fn is_small(attributes: PageAttributes) -> bool {
    attributes.contains(PageAttributes::SUB_PAGE_WRITE)
}

fn host(page: usize) -> u64 {
    BASE + 0x1000_0000 + u64::try_from(page).unwrap() * 4096
}

fn operation(change: &Change) -> Operation {
    match *change {
        Change::Map { host_page, mapping } => Operation::Map { hpa: Hpa::new(host(host_page)), mapping },
        Change::Remap { host_page } => Operation::Remap { hpa: Hpa::new(host(host_page)) },
        Change::Unmap => Operation::Unmap,
        Change::Protect { .. } => Operation::Protect,
        Change::SetMemoryType { .. } => Operation::SetMemoryType,
        Change::SetAttributes { attributes } => Operation::SetAttributes { attributes },
        Change::Split { size } => Operation::Split { size },
        Change::Merge => Operation::Merge,
    }
}

/// Makes the change, and returns the token of those that have one.
fn perform<'m, F: Format>(
    space: &Space<'_, 'm, F>,
    range: Range<Gpa>,
    ram: &GuestRam<'m>,
    step: &Step,
) -> Result<Option<Invalidation>, MapError> {
    let offset = |page: usize| u64::try_from(page).unwrap() * 4096;
    if step.is_edited {
        let mut edit = space.edit();
        return match step.change {
            Change::Map { host_page, mapping } => edit.map(range, ram, offset(host_page), mapping).map(|()| None),
            Change::Remap { host_page } => edit.remap(range, ram, offset(host_page)).map(Some),
            Change::Unmap => edit.unmap(range).map(Some),
            Change::Protect { access } => edit.protect(range, access).map(Some),
            Change::SetMemoryType { memory_type } => edit.set_memory_type(range, memory_type).map(Some),
            Change::SetAttributes { attributes } => edit.set_attributes(range, attributes).map(Some),
            Change::Split { size } => edit.split(range, size).map(Some),
            Change::Merge => edit.merge(range).map(Some),
        };
    }
    match step.change {
        Change::Map { host_page, mapping } => space.map(range, ram, offset(host_page), mapping).map(|()| None),
        Change::Remap { host_page } => space.remap(range, ram, offset(host_page)).map(Some),
        Change::Unmap => space.unmap(range).map(Some),
        Change::Protect { access } => space.protect(range, access).map(Some),
        Change::SetMemoryType { memory_type } => space.set_memory_type(range, memory_type).map(Some),
        Change::SetAttributes { attributes } => space.set_attributes(range, attributes).map(Some),
        Change::Split { size } => space.split(range, size).map(Some),
        Change::Merge => space.merge(range).map(Some),
    }
}

fn check<F: Format>(format: F, steps: &[Step]) {
    let machine = Machine::new(FRAMES.try_into().unwrap(), 4096);
    let pool: FramePool<FRAMES> = machine.pool();
    let failing = Failing::new(&pool);
    let ram = machine.phantom_ram(32 << 20);
    let mut space = AddressSpace::new(format, &failing).unwrap();
    // The border of two entries of the root.
    let first = (1 << (12 + 9 * (u32::from(format.levels()) - 1))) - (4 << 20);
    let mut oracle = Oracle { first, pages: vec![None; PAGES] };
    for step in steps {
        let range = oracle.range(&step.pages);
        let mut after = oracle.clone();
        let expected = after.apply(&format, step);
        let state = || (space.tables(), space.spare(), pool.free_frames(), space.generation());
        let before = state();
        let needed = space.frames_needed(range.clone(), operation(&step.change));
        // What a `protect` would allow is not asked then.
        let is_asked =
            !matches!(step.change, Change::Protect { .. }) || !matches!(expected, Err(MapError::Unsupported(_)));
        if is_asked {
            assert_eq!(needed.map(|_| ()), expected, "{step:?}");
        }
        let needed = expected.and(needed);
        for allowed in 0..needed.unwrap_or(0) {
            failing.allow(allowed);
            let error = MapError::OutOfFrames(OutOfFrames { count: 1 });
            assert_eq!(perform(&space, range.clone(), &ram, step), Err(error), "{allowed} of {needed:?} for {step:?}");
            assert_eq!(state(), before);
            oracle.check(&space);
        }
        failing.allow(needed.unwrap_or(0));
        if step.is_prepared
            && let Ok(needed) = needed
        {
            space.prepare(needed).unwrap();
            assert_eq!(space.frames_in_use(), before.0 + before.1 + needed);
            failing.allow(0);
        }
        let result = perform(&space, range, &ram, step);
        failing.allow(usize::MAX);
        match result {
            Ok(Some(token)) => {
                assert_eq!((token.generation(), space.generation()), (before.3 + 1, before.3 + 1));
                oracle = after;
            }
            Ok(None) => oracle = after,
            Err(error) => {
                assert_eq!(Err(error), expected, "{step:?}");
                assert_eq!(state(), before);
            }
        }
        oracle.check(&space);
        assert_eq!(space.frames_in_use() + pool.free_frames(), FRAMES);
        if step.is_prepared {
            space.trim();
        }
    }
    assert_eq!(space.spare(), space.trim());
    // Whatever happened, all can be unmapped run by run, and nothing but the root is left.
    while let Some(Ok(MappedRange { gpa, .. })) = space.ranges().next() {
        space.unmap(gpa).unwrap().at_next_entry();
    }
    assert_eq!((space.tables(), space.dump().to_string()), (1, String::new()));
    drop(space);
    assert_eq!(pool.free_frames(), FRAMES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn extended_page_tables_agree_with_the_oracle(steps in collection::vec(step(), 1..48)) {
        check(ept(), &steps);
    }

    #[test]
    fn nested_page_tables_agree_with_the_oracle(steps in collection::vec(step(), 1..48)) {
        check(npt(), &steps);
    }

    #[test]
    fn extended_page_tables_with_every_control_agree_with_the_oracle(steps in collection::vec(rich_step(), 1..48)) {
        check(rich_ept(), &steps);
    }

    #[test]
    fn nested_page_tables_with_every_control_agree_with_the_oracle(steps in collection::vec(rich_step(), 1..48)) {
        check(rich_npt(), &steps);
    }

    #[test]
    fn what_a_format_lacks_is_refused(steps in collection::vec(rich_step(), 1..24)) {
        check(ept(), &steps);
        check(npt(), &steps);
    }

    #[test]
    fn extended_page_tables_of_five_levels_agree_with_the_oracle(steps in collection::vec(step(), 1..48)) {
        check(ept().with_five_levels().unwrap(), &steps);
    }

    #[test]
    fn nested_page_tables_of_five_levels_agree_with_the_oracle(steps in collection::vec(step(), 1..48)) {
        check(npt().with_five_levels(), &steps);
    }
}

/// A range of an aligned block, so that shrunk failures are easy to repeat by hand.
#[test]
fn split_and_merge_are_inverse() {
    let mapping = Mapping::new(Access::ALL);
    let step = |pages, change| Step { pages, change, is_prepared: false, is_edited: false };
    let steps = [
        step(0..2048, Change::Map { host_page: 0, mapping }),
        step(512..1024, Change::Split { size: PageSize::Size4K }),
        step(0..2048, Change::Merge),
        step(5..6, Change::Protect { access: Access::READ }),
        step(0..2048, Change::Merge),
        step(5..6, Change::Protect { access: Access::ALL }),
        step(0..2048, Change::Merge),
    ];
    check(ept(), &steps);
    check(npt(), &steps);
}
