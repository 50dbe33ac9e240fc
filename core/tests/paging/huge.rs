//! Address spaces that are large, or far apart.

use core::ops::Range;
use std::collections::{BTreeMap, BTreeSet};

use crate::common::{BASE, Machine, ept, gpa, npt};
use x86_virt_core::{Access, AddressSpace, Format, FramePool, Gpa, Hpa, MapError, MappedRange, Mapping, PageSize};

const K4: u64 = 0x1000;
const M2: u64 = 0x20_0000;
const G1: u64 = 0x4000_0000;
const G512: u64 = 512 * G1;

type Pool = FramePool<2048>;
type Space<'p, F> = AddressSpace<'static, F, &'p Pool>;

/// Maps the addresses to themselves.
fn identity<F: Format>(space: &Space<'_, F>, range: Range<u64>, mapping: Mapping) {
    // SAFETY: no processor uses the tables, and nothing is read or written through them.
    unsafe { space.map_physical(gpa(range.clone()), Hpa::new(range.start), mapping) }.unwrap();
}

fn ranges<F: Format>(space: &Space<'_, F>) -> Vec<MappedRange> {
    space.ranges().map(Result::unwrap).collect()
}

/// 512 GiB in pages of `size`, which take `tables` beside those above level 3.
fn maps_512_gib<F: Format>(format: F, size: PageSize, tables: usize) {
    let machine = Machine::new(2048, 0);
    let pool: Pool = machine.pool();
    let space: Space<'_, F> = AddressSpace::new(format, &pool).unwrap();
    let above = usize::from(format.levels() - 3);
    identity(&space, 0..G512, Mapping::new(Access::ALL).largest(size));
    assert_eq!(space.tables(), above + tables);
    let whole = ranges(&space);
    assert_eq!(whole.len(), 1);
    assert_eq!((whole[0].gpa.clone(), whole[0].hpa, whole[0].size), (gpa(0..G512), Hpa::new(0), size));
    for at in [0, K4 - 1, M2, G1 - 1, 300 * G1 + 0x1234_5678, G512 - 1] {
        let to = space.translate(Gpa::new(at)).unwrap();
        assert_eq!((to.hpa.get(), to.size), (at, size));
    }
    assert_eq!(space.translate(Gpa::new(G512)), None);

    let page = 300 * G1 + 7 * M2 + 5 * K4;
    space.protect(gpa(page..page + K4), Access::RX).unwrap().at_next_entry();
    let below = usize::from(size.level() - 1);
    assert_eq!(space.tables(), above + tables + below);
    for (at, access) in [(page - 1, Access::ALL), (page, Access::RX), (page + K4, Access::ALL)] {
        let to = space.translate(Gpa::new(at)).unwrap();
        assert_eq!((to.hpa.get(), to.size, to.access), (at, PageSize::Size4K, access));
    }
    space.protect(gpa(page..page + K4), Access::ALL).unwrap().at_next_entry();
    space.merge(gpa(0..G512)).unwrap().at_next_entry();
    assert_eq!(ranges(&space).len(), 1);

    space.unmap(gpa(0..G512)).unwrap().at_next_entry();
    assert_eq!((space.tables(), ranges(&space).len()), (1, 0));
}

#[test]
fn identity_of_512_gib() {
    maps_512_gib(ept(), PageSize::Size1G, 1);
    maps_512_gib(npt(), PageSize::Size1G, 1);
    maps_512_gib(ept().with_five_levels().unwrap(), PageSize::Size1G, 1);
    maps_512_gib(npt().with_five_levels(), PageSize::Size1G, 1);
}

#[test]
fn identity_of_512_gib_without_pages_of_1_gib() {
    let ept = x86_virt_ept::EptFormat::new(x86_virt_ept::EptCapabilities::from_bits(0x1_4040), 46).unwrap();
    let npt = x86_virt_npt::NptFormat::new(x86_virt_npt::Pat::RESET, 46).unwrap();
    maps_512_gib(ept, PageSize::Size2M, 513);
    maps_512_gib(npt, PageSize::Size2M, 513);
}

/// How many tables pages of 4 KiB at these addresses take.
fn tables(levels: u8, pages: &BTreeMap<u64, u64>) -> usize {
    let below_root = 1..levels;
    let covered = |level: u8| pages.keys().map(|page| page >> (12 + 9 * level)).collect::<BTreeSet<_>>().len();
    1 + below_root.map(covered).sum::<usize>()
}

/// Pages all over the addresses that the tables can translate: at each power of two, at the ends, and at scattered places.
fn maps_sparsely<F: Format>(format: F) {
    let machine = Machine::new(2048, 0);
    let pool: Pool = machine.pool();
    let space: Space<'_, F> = AddressSpace::new(format, &pool).unwrap();
    let width = if format.levels() == 5 { 57 } else { 48 };
    let end = 1 << width;
    let scattered = (0..200_u64).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - width));
    let addresses = (12..width).map(|bit| 1 << bit).chain([0, end / 2 - K4, end - K4]).chain(scattered);
    let pages: BTreeMap<u64, u64> = addresses.map(|at| at & !(K4 - 1)).zip((BASE..).step_by(0x3000)).collect();

    let mut edit = space.edit();
    for (index, (page, hpa)) in pages.iter().rev().enumerate() {
        let range = gpa(*page..page + K4);
        // SAFETY: as in `identity`.
        unsafe { edit.map_physical(range.clone(), Hpa::new(*hpa), Access::RW) }.unwrap();
        if index % 3 == 0 {
            // SAFETY: as above.
            let twice = unsafe { edit.map_physical(range, Hpa::new(*hpa), Access::ALL) };
            assert_eq!(twice, Err(MapError::AlreadyMapped { gpa: Gpa::new(*page), level: 1 }));
        }
        assert_eq!(edit.translate(Gpa::new(page + 0x123)).unwrap().hpa.get(), hpa + 0x123);
    }
    drop(edit);
    assert_eq!(space.tables(), tables(format.levels(), &pages));

    let found: BTreeMap<u64, u64> = ranges(&space)
        .iter()
        .flat_map(|range| (range.gpa.start.get()..range.gpa.end.get()).zip(range.hpa.get()..).step_by(0x1000))
        .collect();
    assert_eq!(found, pages);
    for page in pages.keys() {
        for beside in [page.wrapping_sub(K4), page + K4].into_iter().filter(|page| !pages.contains_key(page)) {
            assert_eq!(space.translate(Gpa::new(beside)), None);
        }
    }
    assert_eq!(space.unmap(gpa(0..end)), Err(MapError::NotMapped { gpa: Gpa::new(first_gap(&pages)), level: 1 }));

    for page in pages.keys() {
        space.unmap(gpa(*page..page + K4)).unwrap().at_next_entry();
    }
    assert_eq!(space.tables(), 1);
}

/// The first address that is not mapped.
fn first_gap(pages: &BTreeMap<u64, u64>) -> u64 {
    (0..).step_by(0x1000).find(|page| !pages.contains_key(page)).unwrap()
}

#[test]
fn sparse_pages_over_48_bits() {
    maps_sparsely(ept());
    maps_sparsely(npt());
}

#[test]
fn sparse_pages_over_57_bits() {
    maps_sparsely(ept().with_five_levels().unwrap());
    maps_sparsely(npt().with_five_levels());
}
