//! Lists of pages, mapped in one call, against one call for each page.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{collection, prop_assert, prop_assert_eq, proptest};
use x86_virt_core::{
    Access, AddressSpace, Format, FramePool, Gpa, Hpa, MapError, MapPagesError, Mapping, MemoryType, PageSize,
};

use crate::common::{BASE, Failing, Machine, ept, gpa, npt, rich_ept, rich_npt};

const FRAMES: usize = 48;

type Space<'p, 'm, F> = AddressSpace<'m, F, &'p Failing<'p, FRAMES>>;

/// Pages, each with where it is to be; how; and how many frames there are for it.
type List = (Vec<(u64, u64)>, Mapping, usize);

/// Pages near each other and far apart, now and then the same, misaligned, or out of reach.
fn page() -> impl Strategy<Value = u64> {
    let near = prop_oneof![0..40_u64, 500..560_u64, (1 << 18) - 4..(1 << 18) + 4_u64, (1 << 27) - 4..(1 << 27) + 4_u64];
    let wrong = prop_oneof![Just(1_u64 << 57), Just(!0xfff), Just(0x1800)];
    prop_oneof![60 => near.prop_map(|page| page * 4096), 1 => wrong]
}

fn host() -> impl Strategy<Value = u64> {
    prop_oneof![60 => (0..4096_u64).prop_map(|page| BASE + page * 4096), 1 => Just(1 << 52), 1 => Just(BASE + 0x800)]
}

fn mapping() -> impl Strategy<Value = Mapping> {
    let access = prop_oneof![6 => Just(Access::ALL), 2 => Just(Access::READ), 1 => Just(Access::WRITE)];
    let memory_type = prop_oneof![6 => Just(MemoryType::WriteBack), 1 => Just(MemoryType::UncacheableMinus)];
    (access, memory_type, any::<u8>()).prop_map(|(access, memory_type, size)| {
        let mapping = Mapping::new(access).memory_type(memory_type);
        if size < 16 { mapping.exactly(PageSize::Size2M) } else { mapping }
    })
}

/// One call for each page, up to the first that fails.
fn one_by_one<F: Format>(
    space: &Space<'_, '_, F>,
    pages: &[(u64, u64)],
    mapping: Mapping,
) -> Result<(), MapPagesError> {
    for (mapped, (page, hpa)) in pages.iter().enumerate() {
        let range = Gpa::new(*page)..Gpa::new(page.wrapping_add(4096));
        // SAFETY: no processor uses the tables.
        unsafe { space.map_physical(range, Hpa::new(*hpa), mapping) }
            .map_err(|error| MapPagesError { mapped, error })?;
    }
    Ok(())
}

fn check<F: Format>(format: F, lists: &[List]) {
    let machines = [Machine::new(48, 0), Machine::new(48, 0)];
    let pools: [FramePool<FRAMES>; 2] = [machines[0].pool(), machines[1].pool()];
    let [one, other] = pools.each_ref().map(Failing::new);
    let (space, model) = (Space::new(format, &one).unwrap(), Space::new(format, &other).unwrap());
    for (pages, mapping, few) in lists {
        one.allow(*few);
        other.allow(*few);
        let list = pages.iter().map(|(page, hpa)| (Gpa::new(*page), Hpa::new(*hpa)));
        // SAFETY: no processor uses the tables.
        let result = unsafe { space.map_physical_pages(list, *mapping) };
        assert_eq!(result, one_by_one(&model, pages, *mapping));
        assert_eq!(space.dump().to_string(), model.dump().to_string());
        assert_eq!(
            (space.tables(), space.spare(), space.generation()),
            (model.tables(), model.spare(), model.generation())
        );
        assert_eq!(pools[0].free_frames(), pools[1].free_frames());
    }
}

proptest! {
    #[test]
    fn a_list_is_as_one_call_for_each_page(
        lists in collection::vec((collection::vec((page(), host()), 0..70), mapping(), 0..12_usize), 1..5),
    ) {
        check(ept(), &lists);
        check(npt(), &lists);
        check(rich_ept(), &lists);
        check(rich_npt(), &lists);
        check(ept().with_five_levels().unwrap(), &lists);
        check(npt().with_five_levels(), &lists);
    }

    /// By offsets in guest memory, of which some are not there.
    #[test]
    fn offsets_are_checked(pages in collection::vec((page(), 0..18_u64), 0..40)) {
        let machine = Machine::new(48, 16 * 4096);
        let pool: FramePool<FRAMES> = machine.pool();
        let ram = machine.ram();
        let space = AddressSpace::new(ept(), &pool).unwrap();
        let list = pages.iter().map(|(page, offset)| (Gpa::new(*page), offset * 4096));
        let mapped = match space.map_pages(list, &ram, Access::RW) {
            Ok(()) => pages.len(),
            Err(MapPagesError { mapped, error }) => {
                let (page, offset) = pages[mapped];
                match error {
                    MapError::Ram(_) => prop_assert!(offset >= 16),
                    MapError::AlreadyMapped { gpa, level } => prop_assert_eq!((gpa.get(), level), (page, 1)),
                    MapError::OutOfFrames(_) => prop_assert_eq!(pool.free_frames(), 0),
                    _ => prop_assert!(page >> 48 != 0 || page % 4096 != 0, "{}", error),
                }
                mapped
            }
        };
        for (page, offset) in &pages[..mapped] {
            let found = space.translate(Gpa::new(page + 0x123)).unwrap();
            prop_assert_eq!((found.hpa.get(), found.access), (ram.hpa().get() + offset * 4096 + 0x123, Access::RW));
        }
    }
}

#[test]
fn the_page_that_fails_is_told_and_those_before_it_stay() {
    let machine = Machine::new(48, 64 * 4096);
    let pool: FramePool<FRAMES> = machine.pool();
    let ram = machine.ram();
    let space = AddressSpace::new(npt(), &pool).unwrap();
    space.map(gpa(0x1_4000..0x1_5000), &ram, 0, Access::ALL).unwrap();
    let list = (0..30).map(|page| (Gpa::new(page * 4096), page * 4096));
    let error = MapError::AlreadyMapped { gpa: Gpa::new(0x1_4000), level: 1 };
    assert_eq!(space.map_pages(list, &ram, Access::RW), Err(MapPagesError { mapped: 20, error }));
    assert_eq!(space.translate(Gpa::new(0x1_3000)).unwrap().access, Access::RW);
    assert_eq!(space.translate(Gpa::new(0x1_5000)), None);
    assert_eq!(space.generation(), 1);
}
