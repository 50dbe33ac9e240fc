//! Random changes of address spaces against a map of pages, with allocations that fail.

use std::collections::BTreeMap;

use crate::common::{BASE, Failing, Machine, ept, gpa, npt};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::{collection, proptest};
use x86_virt_core::{Access, AddressSpace, Format, FramePool, Gpa, Hpa, MapError, Mapping, MemoryType, PageSize};

/// The pages that a test uses: 8 MiB around the border of two entries of level 4, and so of all levels below.
const FIRST: u64 = (1 << 39) - (4 << 20);
const PAGES: u64 = 2048;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Page {
    hpa: u64,
    access: Access,
    memory_type: MemoryType,
}

#[derive(Clone, Debug)]
enum Change {
    Map { host_page: u64, access: Access, memory_type: MemoryType, largest: PageSize },
    Unmap,
    Protect { access: Access },
}

#[derive(Clone, Debug)]
struct Step {
    page: u64,
    pages: u64,
    change: Change,
    allowed: usize,
}

fn access() -> impl Strategy<Value = Access> {
    prop_oneof![Just(Access::READ), Just(Access::RW), Just(Access::RX), Just(Access::ALL)]
}

/// A page at which an interesting range starts or ends.
fn border() -> impl Strategy<Value = u64> {
    prop_oneof![0..PAGES, (0..=4u64).prop_map(|at| at * 512), (0..=4u64).prop_map(|at| (at * 512).saturating_sub(1))]
}

fn change() -> impl Strategy<Value = Change> {
    let memory_type = prop_oneof![Just(MemoryType::WriteBack), Just(MemoryType::Uncacheable)];
    let largest = prop_oneof![Just(PageSize::Size4K), Just(PageSize::Size2M), Just(PageSize::Size1G)];
    let host_page = prop_oneof![Just(0), Just(512), 0..4096u64];
    let map = (host_page, access(), memory_type, largest)
        .prop_map(|(host_page, access, memory_type, largest)| Change::Map { host_page, access, memory_type, largest });
    prop_oneof![3 => map, 2 => Just(Change::Unmap), 2 => access().prop_map(|access| Change::Protect { access })]
}

fn step() -> impl Strategy<Value = Step> {
    let allowed = prop_oneof![4 => Just(usize::MAX), 1 => 0..4usize];
    (border(), border(), any::<bool>(), change(), allowed).prop_map(|(one, other, is_short, change, allowed)| {
        let page = one.min(other).min(PAGES - 1);
        let pages = if is_short { 1 + other % 3 } else { one.max(other) - page };
        Step { page, pages: pages.clamp(1, PAGES - page), change, allowed }
    })
}

/// What the change does to the pages, or why it is refused.
fn apply(pages: &mut BTreeMap<u64, Page>, step: &Step) -> Result<(), MapError> {
    let range = step.page..step.page + step.pages;
    let at = |page: u64| Gpa::new(FIRST + page * 4096);
    if let Change::Map { host_page, access, memory_type, .. } = step.change {
        if let Some((page, _)) = pages.range(range.clone()).next() {
            return Err(MapError::AlreadyMapped { gpa: at(*page) });
        }
        for page in range {
            let hpa = BASE + 0x1000_0000 + (host_page + page - step.page) * 4096;
            pages.insert(page, Page { hpa, access, memory_type });
        }
        return Ok(());
    }
    if let Some(page) = range.clone().find(|page| !pages.contains_key(page)) {
        return Err(MapError::NotMapped { gpa: at(page) });
    }
    for page in range {
        match step.change {
            Change::Protect { access } => pages.get_mut(&page).unwrap().access = access,
            _ => drop(pages.remove(&page)),
        }
    }
    Ok(())
}

fn pages_of<F: Format>(space: &AddressSpace<'_, F, &Failing<'_, 64>>) -> BTreeMap<u64, Page> {
    let mut pages = BTreeMap::new();
    for page in 0..PAGES {
        if let Some(to) = space.translate(Gpa::new(FIRST + page * 4096)) {
            assert!(to.hpa.get() & 0xfff == 0);
            pages.insert(page, Page { hpa: to.hpa.get(), access: to.access, memory_type: to.memory_type });
        }
    }
    pages
}

fn check<F: Format>(format: F, steps: &[Step]) {
    let machine = Machine::new(64, 4096);
    let pool: FramePool<64> = machine.pool();
    let failing = Failing::new(&pool);
    let ram = machine.phantom_ram(32 << 20);
    let mut space = AddressSpace::new(format, &failing).unwrap();
    let mut pages = BTreeMap::new();
    for step in steps {
        let range = gpa(FIRST + step.page * 4096..FIRST + (step.page + step.pages) * 4096);
        let before = (space.tables(), space.spare(), pool.free_frames(), space.generation());
        failing.allow(step.allowed);
        let result = match step.change {
            Change::Map { host_page, access, memory_type, largest } => {
                let mapping = Mapping::new(access).memory_type(memory_type).largest(largest);
                space.map(range, &ram, host_page * 4096, mapping)
            }
            Change::Unmap => space.unmap(range).map(|token| assert_eq!(token.generation(), before.3 + 1)),
            Change::Protect { access } => {
                space.protect(range, access).map(|token| assert_eq!(token.generation(), before.3 + 1))
            }
        };
        failing.allow(usize::MAX);
        if !matches!(result, Err(MapError::OutOfFrames(_))) {
            assert_eq!(result, apply(&mut pages, step));
        }
        if result.is_err() {
            assert_eq!((space.tables(), space.spare(), pool.free_frames(), space.generation()), before);
        }
        assert_eq!(pages_of(&space), pages);
        assert_eq!(space.frames_in_use() + pool.free_frames(), 64);
    }
    assert_eq!(space.spare(), space.trim());
    assert_eq!(pages_of(&space), pages);
    // Whatever happened, all can be unmapped run by run, and nothing but the root is left.
    while let Some((&page, _)) = pages.first_key_value() {
        let end = (page..).find(|next| !pages.contains_key(next)).unwrap();
        space.unmap(gpa(FIRST + page * 4096..FIRST + end * 4096)).unwrap().at_next_entry();
        pages.retain(|at, _| *at >= end);
    }
    assert_eq!(space.tables(), 1);
    assert_eq!(space.root().get() & 0xfff, 0);
    assert_ne!(space.root(), Hpa::new(0));
    drop(space);
    assert_eq!(pool.free_frames(), 64);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn extended_page_tables_agree_with_the_oracle(steps in collection::vec(step(), 1..24)) {
        check(ept(), &steps);
    }

    #[test]
    fn nested_page_tables_agree_with_the_oracle(steps in collection::vec(step(), 1..24)) {
        check(npt(), &steps);
    }

    #[test]
    fn five_levels_agree_with_the_oracle(steps in collection::vec(step(), 1..24)) {
        check(ept().with_five_levels().unwrap(), &steps);
    }
}
