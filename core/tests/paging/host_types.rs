//! Mappings with the memory types of the host, with MTRRs as machines have them.

use core::ops::Range;

use crate::common::{BASE, Failing, Machine, ept, gpa};
use proptest::prelude::any;
use proptest::{collection, proptest};
use x86_virt_core::{
    Access, AddressSpace, Format, FramePool, Gpa, Hpa, MapError, Mapping, MemoryType, Mtrrs, OutOfFrames, PageSize,
    RawMtrrs, Unsupported,
};
use x86_virt_npt::{NptFormat, Pat};

const FRAMES: usize = 64;
const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

type Space<'p, F> = AddressSpace<'p, F, &'p Failing<'p, FRAMES>>;

/// Every memory type is in the PAT.
fn npt() -> NptFormat {
    NptFormat::new(Pat::new(0x0106_0504_0007_0406), 46).unwrap().with_1g_pages().with_no_execute()
}

/// The MTRRs of a machine with these variable ranges, and fixed ranges as firmware leaves them.
fn mtrrs(default_type: u64, variable: &[(u64, u64, u64)]) -> Mtrrs {
    let count = u64::try_from(variable.len()).unwrap();
    let mut raw = RawMtrrs { capabilities: 0xd00 | count, default_type: 0xc00 | default_type, ..RawMtrrs::default() };
    // Write-back up to 640 KiB, uncacheable video memory, write-protected option ROMs, and write-back above.
    raw.fixed = [u64::MAX; 11].map(|ones| ones & 0x0606_0606_0606_0606);
    raw.fixed[2] = 0;
    for register in &mut raw.fixed[3..7] {
        *register = 0x0505_0505_0505_0505;
    }
    for (register, (base, bytes, memory_type)) in raw.variable.iter_mut().zip(variable) {
        *register = (base | memory_type, ((1 << 46) - bytes) | 0x800);
    }
    Mtrrs::from_raw(raw)
}

/// An emulated PC with SeaBIOS: write-back, but for 1 GiB of devices.
fn emulated() -> Mtrrs {
    mtrrs(6, &[(3 * GIB, GIB, 0)])
}

/// A laptop with 8 GiB, whose ranges overlap: 8.5 GiB are write-back, and uncacheable ranges are cut out of them.
fn laptop() -> Mtrrs {
    mtrrs(
        0,
        &[
            (0, 8 * GIB, 6),
            (8 * GIB, GIB / 2, 6),
            (0xbb80_0000, 8 * MIB, 0),
            (0xbc00_0000, 64 * MIB, 0),
            (0xc000_0000, GIB, 0),
            (0x2_1f00_0000, 16 * MIB, 0),
            (0x2_1e80_0000, 8 * MIB, 0),
            (0xe000_0000, 16 * MIB, 1),
        ],
    )
}

/// A server whose firmware gives small ranges their own type, so that there are borders inside of 2 MiB.
fn server() -> Mtrrs {
    mtrrs(
        6,
        &[(0x7fff_f000, 0x1000, 0), (0x7f00_8000, 0x8000, 4), (0x1_4020_0000, 0x20_0000, 1), (0xfee0_0000, 0x1000, 0)],
    )
}

/// Whether each page has the type of its memory, no page has two, and all of the range is mapped as if one by one.
fn check<F: Format>(space: &Space<'_, F>, mtrrs: &Mtrrs, range: Range<u64>, offset: u64) {
    let mut at = range.start;
    for found in space.ranges().map(Result::unwrap) {
        assert_eq!((found.gpa.start.get(), found.hpa.get()), (at, at + offset));
        let bytes = found.gpa.end.get() - at;
        let types = mtrrs.uniform_ranges(found.hpa..Hpa::new(found.hpa.get() + bytes));
        assert_eq!(types.map(|(_, memory_type)| memory_type).collect::<Vec<_>>(), [found.memory_type], "{found}");
        at += bytes;
    }
    assert_eq!(at, range.end);
}

/// Maps the range with as few frames as it takes: with fewer, nothing is changed.
fn map<F: Format>(format: F, mtrrs: &Mtrrs, range: Range<u64>, offset: u64) {
    let machine = Machine::new(FRAMES.try_into().unwrap(), 4096);
    let pool: FramePool<FRAMES> = machine.pool();
    let failing = Failing::new(&pool);
    let mut space: Space<'_, F> = AddressSpace::new(format, &failing).unwrap();
    let hpa = Hpa::new(range.start + offset);
    for allowed in 0.. {
        failing.allow(allowed);
        // SAFETY: nothing runs on the space, and nobody accesses the memory.
        match unsafe { space.map_physical_with_types(gpa(range.clone()), hpa, Access::ALL, mtrrs) } {
            Ok(()) => {
                assert_eq!((space.tables(), space.spare()), (1 + allowed, 0), "no frame was taken in vain");
                break;
            }
            Err(error) => assert_eq!(error, MapError::OutOfFrames(OutOfFrames { count: 1 })),
        }
        assert_eq!((space.tables(), space.spare(), space.dump().to_string()), (1, 0, String::new()));
    }
    check(&space, mtrrs, range.clone(), offset);

    // The same by another way: first all of it with one type, then each with its own.
    let text = space.dump().to_string();
    failing.allow(usize::MAX);
    space.unmap(gpa(range.clone())).unwrap().at_next_entry();
    space.trim();
    // SAFETY: as above.
    unsafe { space.map_physical(gpa(range.clone()), hpa, Access::ALL) }.unwrap();
    let before = (space.tables(), space.dump().to_string());
    for allowed in 0.. {
        failing.allow(allowed);
        match space.set_memory_types(gpa(range.clone()), mtrrs) {
            Ok(token) => {
                assert_eq!((token.generation(), space.tables()), (space.generation(), before.0 + allowed));
                break;
            }
            Err(error) => assert_eq!(error, MapError::OutOfFrames(OutOfFrames { count: 1 })),
        }
        assert_eq!((space.tables(), space.dump().to_string()), before);
    }
    assert_eq!(space.spare(), 0);
    check(&space, mtrrs, range, offset);
    assert_eq!(space.dump().to_string(), text);
}

#[test]
fn each_page_has_the_type_of_its_memory() {
    for mtrrs in [emulated(), laptop(), server()] {
        map(ept(), &mtrrs, 0..10 * GIB, 0);
        map(npt(), &mtrrs, 0..10 * GIB, 0);
        map(ept().with_five_levels().unwrap(), &mtrrs, 0..10 * GIB, 0);
    }
}

/// Guest and host addresses are out of phase, and borders of types are inside of pages.
#[test]
fn types_are_those_of_the_physical_addresses() {
    for mtrrs in [emulated(), laptop(), server()] {
        for (range, offset) in [
            (0x1000..0x1f_f000, 0x8_1000),
            (0x7f80_0000..0x7fc0_0000, 0x40_0000),
            (0x3f_f000..0x40_1000, 0x7fbf_f000),
            (0x4000_0000..0x8000_0000, 0x1_0000_0000),
            (0x8000_0000..0x8040_3000, 0x7e80_7000),
        ] {
            map(ept(), &mtrrs, range.clone(), offset);
            map(npt(), &mtrrs, range, offset);
        }
    }
}

#[test]
fn what_cannot_be_mapped_so_is_refused() {
    let machine = Machine::new(FRAMES.try_into().unwrap(), 4096);
    let pool: FramePool<FRAMES> = machine.pool();
    let failing = Failing::new(&pool);
    let mtrrs = emulated();
    // The PAT after reset has no WP, which option ROMs have.
    let space: Space<'_, _> = AddressSpace::new(NptFormat::new(Pat::RESET, 46).unwrap(), &failing).unwrap();
    let ram = machine.phantom_ram(GIB);
    let missing = MapError::Unsupported(Unsupported::MemoryType { memory_type: MemoryType::WriteProtected });
    // SAFETY: refused.
    let refused = unsafe { space.map_physical_with_types(gpa(0..GIB), Hpa::new(0), Access::ALL, &mtrrs) };
    assert_eq!(refused, Err(missing));
    assert_eq!((space.tables(), space.spare()), (1, 0));
    // SAFETY: nothing runs on the space.
    unsafe { space.map_physical(gpa(0..MIB), Hpa::new(0), Access::ALL) }.unwrap();
    assert_eq!(space.set_memory_types(gpa(0..MIB), &mtrrs).unwrap_err(), missing);
    let gap = MapError::NotMapped { gpa: Gpa::new(MIB), level: 1 };
    assert_eq!(space.set_memory_types(gpa(0xf_0000..2 * MIB), &mtrrs).unwrap_err(), gap);
    assert_eq!(
        space.map_with_types(gpa(0..0x1000), &ram, 0, Access::ALL, &mtrrs).unwrap_err(),
        MapError::AlreadyMapped { gpa: Gpa::new(0), level: 1 }
    );
    let exact = Mapping::new(Access::ALL).exactly(PageSize::Size2M);
    // 2 MiB with a border inside.
    // SAFETY: refused.
    let refused = unsafe {
        space.map_physical_with_types(gpa(0x7fe0_0000..0x8000_0000), Hpa::new(0x7fe0_0000), exact, &server())
    };
    assert_eq!(refused, Err(MapError::PageSize { gpa: Gpa::new(0x7fe0_0000), size: PageSize::Size2M }));
    assert!(matches!(space.map_with_types(gpa(GIB..3 * GIB), &ram, 0, exact, &mtrrs), Err(MapError::Ram(_))));
    // What the types of the memory do not change stays as it was asked for.
    space.map_with_types(gpa(GIB..GIB + 0x1000), &ram, 0x1000, Access::RX, &mtrrs).unwrap();
    let to = space.translate(Gpa::new(GIB)).unwrap();
    assert_eq!((to.hpa.get(), to.access, to.memory_type), (BASE + 0x1000_1000, Access::RX, MemoryType::WriteBack));
}

proptest! {
    /// Any ranges, aligned to their size as processors require.
    #[test]
    fn any_ranges_give_each_page_one_type(
        ranges in collection::vec((0_u64..1 << 14, 0_u32..12, 0_u64..8), 0..8),
        default_type in 0_u64..8,
        start in 0_u64..1 << 14,
        pages in 1_u64..1 << 12,
        is_in_phase in any::<bool>(),
    ) {
        let variable: Vec<_> = ranges
            .into_iter()
            .map(|(page, size, memory_type)| ((page << 12) & !((0x1000 << size) - 1), 0x1000 << size, memory_type))
            .collect();
        let mtrrs = mtrrs(default_type, &variable);
        let offset = if is_in_phase { 0 } else { 0x3000 };
        map(ept(), &mtrrs, start << 12..(start + pages) << 12, offset);
        map(npt(), &mtrrs, start << 12..(start + pages) << 12, offset);
    }
}
