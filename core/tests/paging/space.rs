//! Address spaces on both entry formats.

use crate::common::{BASE, Failing, Machine, ept, gpa, npt};
use static_assertions::{assert_impl_all, assert_not_impl_any};
use x86_virt_core::{
    Access, AccessError, AddressSpace, Format, FramePool, Gpa, GuestMappings, GuestMemory, GuestRamError, Hpa,
    MapError, Mapping, MemoryType, OutOfFrames, PageSize, Unsupported,
};
use x86_virt_ept::{EptCapabilities, EptFormat};
use x86_virt_npt::{NptFormat, Pat};

const K4: u64 = 0x1000;
const M2: u64 = 0x20_0000;
const G1: u64 = 0x4000_0000;

type Pool = FramePool<64>;

assert_impl_all!(Pool: Send, Sync);
assert_impl_all!(AddressSpace<'static, EptFormat, &'static Pool>: Send, Sync, GuestMappings<'static>);
assert_impl_all!(AddressSpace<'static, NptFormat, &'static Pool>: Send, Sync, GuestMappings<'static>);
assert_not_impl_any!(AddressSpace<'static, EptFormat, &'static Pool>: Clone);

/// Runs a test on both formats.
macro_rules! on_both {
    ($($name:ident => $body:ident;)*) => {
        $(
            #[test]
            fn $name() {
                $body(ept());
                $body(npt());
                $body(ept().with_five_levels().unwrap());
                $body(npt().with_five_levels());
            }
        )*
    };
}

on_both! {
    largest_pages_are_chosen => chooses_pages;
    overlap_is_refused => refuses_overlap;
    bad_ranges_are_refused => refuses_bad_ranges;
    gaps_are_refused => refuses_gaps;
    splitting_keeps_the_neighbours => splits;
    four_gib_of_small_pages => remaps_one_of_a_million;
    every_allocation_may_fail => fails_at_each_allocation;
    detached_tables_wait => keeps_spare_frames;
    the_host_reads_and_writes => copies;
    generations_count_changes => counts_generations;
    the_trait_is_the_type => works_through_the_trait;
    physical_pages_are_mapped => maps_physical;
}

fn sizes<F: Format>(space: &AddressSpace<'_, F, &Pool>, addresses: &[u64]) -> Vec<Option<PageSize>> {
    addresses.iter().map(|address| space.translate(Gpa::new(*address)).map(|to| to.size)).collect()
}

fn chooses_pages<F: Format>(format: F) {
    use PageSize::{Size1G, Size2M, Size4K};
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    // Host memory starts at 0x5000_0000: in phase with the guest at 0x1000_0000 for 1 GiB, elsewhere for 2 MiB or 4 KiB.
    let ram = machine.phantom_ram(4 * G1);
    space.map(gpa(0x1000_0000..0x1000_0000 + 3 * G1), &ram, 0, Access::ALL).unwrap();
    let at = [0x1000_0000, G1 - 1, G1, 3 * G1 - 1, 3 * G1, 0x1000_0000 + 3 * G1];
    assert_eq!(sizes(&space, &at), [Some(Size2M), Some(Size2M), Some(Size1G), Some(Size1G), Some(Size2M), None]);
    // Root, level 3, and two of level 2, and one of level 4 below a root of level 5.
    assert_eq!(space.tables(), 4 + usize::from(format.levels() - 4));
    assert_eq!(space.translate(Gpa::new(2 * G1 + 0x123)).unwrap().hpa, Hpa::new(BASE + 2 * G1 + 0x123));

    space.map(gpa(8 * G1 - K4..8 * G1 + 2 * M2), &ram, 3 * M2 - K4, Access::ALL).unwrap();
    assert_eq!(sizes(&space, &[8 * G1 - K4, 8 * G1, 8 * G1 + M2]), [Some(Size4K), Some(Size2M), Some(Size2M)]);
    space.map(gpa(16 * G1..16 * G1 + 2 * M2), &ram, K4, Access::ALL).unwrap();
    assert_eq!(sizes(&space, &[16 * G1, 16 * G1 + 2 * M2 - 1]), [Some(Size4K); 2]);
    let small = Mapping::new(Access::ALL).largest(Size2M);
    space.map(gpa(32 * G1 + 0x1000_0000..33 * G1 + 0x1000_0000), &ram, 0, small).unwrap();
    assert_eq!(sizes(&space, &[33 * G1]), [Some(Size2M)]);
}

fn refuses_overlap<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(4 * G1);
    space.map(gpa(5 * K4..6 * K4), &ram, 0, Access::ALL).unwrap();
    space.map(gpa(2 * M2..3 * M2), &ram, 0, Access::RX).unwrap();
    let before = (space.frames_in_use(), pool.free_frames(), space.generation());
    for (range, first, level) in [
        (5 * K4..6 * K4, 5 * K4, 1),
        (0..M2, 5 * K4, 1),
        (0..G1, 5 * K4, 1),
        (4 * K4..7 * K4, 5 * K4, 1),
        (M2..3 * M2, 2 * M2, 2),
        (2 * M2 + K4..2 * M2 + 2 * K4, 2 * M2 + K4, 2),
        (3 * M2 - K4..4 * M2, 3 * M2 - K4, 2),
    ] {
        let result = space.map(gpa(range), &ram, 0, Access::ALL);
        assert_eq!(result, Err(MapError::AlreadyMapped { gpa: Gpa::new(first), level }));
    }
    assert_eq!((space.frames_in_use(), pool.free_frames(), space.generation()), before);
    assert_eq!(space.translate(Gpa::new(4 * K4)), None);
    assert_eq!(space.translate(Gpa::new(2 * M2)).unwrap().access, Access::RX);
    space.map(gpa(0..5 * K4), &ram, 0, Access::ALL).unwrap();
    assert_eq!(space.translate(Gpa::new(4 * K4)).unwrap().access, Access::ALL);
}

fn refuses_bad_ranges<F: Format>(format: F) {
    let machine = Machine::new(64, 16 * K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.ram();
    let all = |range| space.map(gpa(range), &ram, 0, Access::ALL);
    assert_eq!(all(0x10..K4), Err(MapError::MisalignedGuest { gpa: Gpa::new(0x10) }));
    assert_eq!(all(0..0x1001), Err(MapError::MisalignedGuest { gpa: Gpa::new(0x1001) }));
    assert_eq!(all(K4..K4), Err(MapError::EmptyRange { start: Gpa::new(K4), end: Gpa::new(K4) }));
    assert_eq!(
        space.map(Gpa::new(2 * K4)..Gpa::new(K4), &ram, 0, Access::ALL),
        Err(MapError::EmptyRange { start: Gpa::new(2 * K4), end: Gpa::new(K4) })
    );
    let width = if format.levels() == 5 { 57 } else { 48 };
    let end = 1 << width;
    let beyond = MapError::BeyondGuestWidth { end: Gpa::new(end + K4), width };
    assert_eq!(all(end - K4..end + K4), Err(beyond));
    assert_eq!(space.unmap(gpa(end..end + K4)), Err(beyond));
    assert_eq!(space.protect(gpa(end..end + K4), Access::ALL), Err(beyond));
    assert_eq!(space.translate(Gpa::new(end)), None);
    assert_eq!(space.translate(Gpa::new(u64::MAX)), None);

    let outside = GuestRamError::Outside { offset: 0, bytes: 17 * K4 };
    assert_eq!(all(0..17 * K4), Err(MapError::Ram(outside)));
    let misaligned = GuestRamError::Misaligned { hpa: Hpa::new(ram.hpa().get() + 0x80) };
    assert_eq!(space.map(gpa(0..K4), &ram, 0x80, Access::ALL), Err(MapError::Ram(misaligned)));

    let hpa = Hpa::new((1 << 46) - K4);
    // SAFETY: refused.
    let result = unsafe { space.map_physical(gpa(0..2 * K4), hpa, Access::ALL) };
    assert_eq!(result, Err(MapError::BeyondHostWidth { hpa, bytes: 2 * K4, width: 46 }));
    let hpa = Hpa::new(0u64.wrapping_sub(K4));
    // SAFETY: refused.
    let result = unsafe { space.map_physical(gpa(0..K4), hpa, Access::ALL) };
    assert_eq!(result, Err(MapError::BeyondHostWidth { hpa, bytes: K4, width: 46 }));
    // SAFETY: refused.
    let result = unsafe { space.map_physical(gpa(0..K4), Hpa::new(0x123), Access::ALL) };
    assert_eq!(result, Err(MapError::MisalignedHost { hpa: Hpa::new(0x123) }));

    let unsupported = |mapping: Mapping| space.map(gpa(0..K4), &ram, 0, mapping).unwrap_err();
    let access = Access::WRITE;
    let error = MapError::Unsupported(Unsupported::WriteWithoutRead { access });
    assert_eq!(unsupported(access.into()), error);
    assert_eq!(unsupported(Access::NONE.into()), MapError::Unsupported(Unsupported::NoAccess));
    let memory_type = MemoryType::WriteProtected;
    let mapping = Mapping::new(Access::ALL).memory_type(memory_type);
    // EPT has all types, and the PAT of the test has no WP.
    match space.map(gpa(0..K4), &ram, 0, mapping) {
        Ok(()) => space.unmap(gpa(0..K4)).unwrap().at_next_entry(),
        Err(error) => assert_eq!(error, MapError::Unsupported(Unsupported::MemoryType { memory_type })),
    }

    assert_eq!(space.tables(), 1);
    all(0..16 * K4).unwrap();
    space.map(gpa(end - K4..end), &ram, 0, Access::ALL).unwrap();
    assert_eq!(space.translate(Gpa::new(end - 1)).unwrap().hpa, Hpa::new(ram.hpa().get() + 0xfff));
    assert_eq!(space.protect(gpa(0..K4), Access::WRITE), Err(error));
    assert_eq!(space.translate(Gpa::new(0)).unwrap().access, Access::ALL);
}

fn refuses_gaps<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(4 * G1);
    let not_mapped = |address, level| MapError::NotMapped { gpa: Gpa::new(address), level };
    assert_eq!(space.unmap(gpa(0..K4)), Err(not_mapped(0, format.levels())));
    space.map(gpa(0..2 * M2), &ram, 0, Access::ALL).unwrap();
    space.unmap(gpa(M2 + K4..M2 + 2 * K4)).unwrap().at_next_entry();
    let before = (space.frames_in_use(), space.generation());
    for (range, gap, level) in
        [(0..2 * M2, M2 + K4, 1), (M2 + K4..M2 + 2 * K4, M2 + K4, 1), (M2 + 2 * K4..2 * M2 + K4, 2 * M2, 2)]
    {
        assert_eq!(space.unmap(gpa(range.clone())), Err(not_mapped(gap, level)));
        assert_eq!(space.protect(gpa(range), Access::READ), Err(not_mapped(gap, level)));
    }
    assert_eq!((space.frames_in_use(), space.generation()), before);
    assert_eq!(sizes(&space, &[0, M2, M2 + K4]), [Some(PageSize::Size2M), Some(PageSize::Size4K), None]);
    space.unmap(gpa(0..M2 + K4)).unwrap().at_next_entry();
    space.unmap(gpa(M2 + 2 * K4..2 * M2)).unwrap().at_next_entry();
    assert_eq!(space.tables(), 1);
    space.map(gpa(0..2 * M2), &ram, 0, Access::ALL).unwrap();
}

fn splits<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(4 * G1);
    let mapping = Mapping::new(Access::RX).memory_type(MemoryType::WriteThrough);
    space.map(gpa(G1..3 * G1), &ram, 0x3000_0000, mapping).unwrap();
    assert_eq!(sizes(&space, &[G1, 2 * G1]), [Some(PageSize::Size1G); 2]);
    let page = G1 + 7 * M2 + 5 * K4;
    space.protect(gpa(page..page + K4), Access::ALL).unwrap().at_next_entry();
    for address in [G1, page - K4, page, page + K4, 2 * G1 - K4, 2 * G1] {
        let to = space.translate(Gpa::new(address)).unwrap();
        assert_eq!(to.hpa, Hpa::new(BASE + 0x1000_0000 + 0x3000_0000 + address - G1));
        assert_eq!(to.memory_type, MemoryType::WriteThrough);
        assert_eq!(to.access, if address == page { Access::ALL } else { Access::RX });
    }
    assert_eq!(
        sizes(&space, &[page, page + K4, page + M2, 2 * G1]),
        [PageSize::Size4K, PageSize::Size4K, PageSize::Size2M, PageSize::Size1G].map(Some)
    );
    let tables = space.tables();
    // Both ends of a large page in one go.
    space.unmap(gpa(2 * G1 + K4..3 * G1 - K4)).unwrap().at_next_entry();
    assert_eq!(space.translate(Gpa::new(2 * G1)).unwrap().access, Access::RX);
    assert_eq!(space.translate(Gpa::new(2 * G1 + K4)), None);
    assert_eq!(space.translate(Gpa::new(3 * G1 - 1)).unwrap().access, Access::RX);
    assert_eq!((space.tables(), space.spare()), (tables + 3, 0));
}

fn remaps_one_of_a_million<F: Format>(format: F) {
    let machine = Machine::new(2100, K4);
    let pool: FramePool<2100> = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(4 * G1);
    let small = Mapping::new(Access::ALL).largest(PageSize::Size4K);
    space.map(gpa(0..4 * G1), &ram, 0, small).unwrap();
    assert_eq!(space.tables(), 1 + 1 + 4 + 4 * 512 + usize::from(format.levels() - 4));
    space.unmap(gpa(0xa000..0xb000)).unwrap().at_next_entry();
    // SAFETY: nothing runs on the space, and the host has no pointer to the page.
    unsafe { space.map_physical(gpa(0xa000..0xb000), Hpa::new(0x1f00_0000), small) }.unwrap();
    assert_eq!(space.translate(Gpa::new(0xa123)).unwrap().hpa, Hpa::new(0x1f00_0123));
    for page in (0..4 * G1).step_by(0x1000).filter(|page| *page != 0xa000) {
        let to = space.translate(Gpa::new(page)).unwrap();
        assert_eq!((to.hpa, to.size), (Hpa::new(BASE + 0x1000_0000 + page), PageSize::Size4K));
    }
    space.unmap(gpa(0..4 * G1)).unwrap().at_next_entry();
    assert_eq!(space.tables(), 1);
    drop(space);
    assert_eq!(pool.free_frames(), 2100);
}

fn fails_at_each_allocation<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let failing = Failing::new(&pool);
    let ram = machine.phantom_ram(4 * G1);
    failing.allow(0);
    assert!(matches!(AddressSpace::new(format, &failing), Err(OutOfFrames { count: 1 })));
    let mut needed = Vec::new();
    for change in 0..3 {
        for allowed in 0.. {
            failing.allow(usize::MAX);
            let space = AddressSpace::new(format, &failing).unwrap();
            if change > 0 {
                space.map(gpa(0x1000_0000..0x1000_0000 + 2 * G1), &ram, 0, Access::ALL).unwrap();
            }
            let probes: Vec<u64> = (0..3 * G1).step_by(0x10_0000).chain([G1 - K4, 2 * G1 + K4]).collect();
            let snapshot = || probes.iter().map(|at| space.translate(Gpa::new(*at))).collect::<Vec<_>>();
            let state =
                || (space.tables(), space.spare(), space.frames_in_use(), pool.free_frames(), space.generation());
            let before = (snapshot(), state());
            failing.allow(allowed);
            let range = G1 - K4..2 * G1 + K4;
            let result = match change {
                0 => space.map(gpa(range), &ram, 0x3000_0000 - K4, Access::ALL),
                1 => space.unmap(gpa(range)).map(|token| token.at_next_entry()),
                _ => space.protect(gpa(range), Access::READ).map(|token| token.at_next_entry()),
            };
            if result.is_ok() {
                needed.push(allowed);
                assert_ne!(snapshot(), before.0);
                break;
            }
            assert_eq!(result, Err(MapError::OutOfFrames(OutOfFrames { count: 1 })));
            assert_eq!((snapshot(), state()), before);
            failing.allow(usize::MAX);
            space.map(gpa(8 * G1..8 * G1 + K4), &ram, 0, Access::ALL).unwrap();
        }
        assert_eq!(pool.free_frames(), 64, "dropping the space frees all");
    }
    // A 4 KiB page, 1 GiB and a 4 KiB page: one table of each level, two of levels 2 and 1 more; the changes split a 2 MiB page at
    // the start and a 1 GiB page at the end.
    assert_eq!(needed, [usize::from(format.levels()) - 1 + 2, 1 + 1, 1 + 1]);
}

fn keeps_spare_frames<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let mut space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(4 * G1);
    let below_root = usize::from(format.levels()) - 1;
    space.map(gpa(0..K4), &ram, 0, Access::ALL).unwrap();
    assert_eq!((space.tables(), space.spare()), (1 + below_root, 0));
    space.unmap(gpa(0..K4)).unwrap().at_next_entry();
    assert_eq!((space.tables(), space.spare(), space.frames_in_use()), (1, below_root, 1 + below_root));
    // Same levels: reused. Not the same level: not reused, however many are spare.
    space.map(gpa(5 * G1..5 * G1 + K4), &ram, 0, Access::ALL).unwrap();
    assert_eq!((space.tables(), space.spare()), (1 + below_root, 0));
    space.map(gpa(5 * G1 + M2..5 * G1 + M2 + K4), &ram, 0, Access::ALL).unwrap();
    space.unmap(gpa(5 * G1..5 * G1 + K4)).unwrap().at_next_entry();
    space.unmap(gpa(5 * G1 + M2..5 * G1 + M2 + K4)).unwrap().at_next_entry();
    assert_eq!((space.tables(), space.spare()), (1, below_root + 1));
    space.map(gpa(M2..2 * M2), &ram, 0, Access::ALL).unwrap();
    assert_eq!((space.tables(), space.spare()), (below_root, 2), "tables of level 1 do not become tables of level 2");
    space.map(gpa(G1..G1 + M2), &ram, 0, Access::ALL).unwrap();
    assert_eq!((space.tables(), space.spare()), (below_root + 1, 2), "a new frame for the second table of level 2");

    let generation = space.generation();
    let free = pool.free_frames();
    assert_eq!(space.trim(), 2);
    assert_eq!((space.spare(), pool.free_frames()), (0, free + 2));
    assert!(space.generation() > generation);
    assert_eq!(space.translate(Gpa::new(M2)).unwrap().size, PageSize::Size2M);
    drop(space);
    assert_eq!(pool.free_frames(), 64);
}

fn copies<F: Format>(format: F) {
    let machine = Machine::new(64, 16 * K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.ram();
    // Neighbours in the guest, apart in the host.
    space.map(gpa(0..K4), &ram, 4 * K4, Access::RW | Access::EXECUTE).unwrap();
    space.map(gpa(K4..2 * K4), &ram, 0, Access::RW).unwrap();
    space.map(gpa(2 * K4..3 * K4), &ram, 8 * K4, Access::RX).unwrap();
    let data: Vec<u8> = (0..=255).cycle().take(0x1100).collect();
    space.write(Gpa::new(0xf80), &data).unwrap_err();
    space.write(Gpa::new(0xf80), &data[..0x1080]).unwrap();
    let mut buffer = vec![0; 0x1080];
    space.read(Gpa::new(0xf80), &mut buffer).unwrap();
    assert_eq!(buffer, data[..0x1080]);
    let mut host = vec![0; 0x80];
    ram.read(4 * K4 + 0xf80, &mut host).unwrap();
    assert_eq!(host, data[..0x80]);
    ram.read(0xf80, &mut host).unwrap();
    assert_eq!(host, data[0x1000..0x1080]);

    let denied = AccessError::Denied { gpa: Gpa::new(2 * K4), allowed: Access::RX };
    assert_eq!(space.write(Gpa::new(2 * K4 - 1), &[1, 2]), Err(denied));
    space.read(Gpa::new(2 * K4), &mut buffer[..0x1000]).unwrap();
    let not_mapped = |at| AccessError::NotMapped { gpa: Gpa::new(at) };
    assert_eq!(space.read(Gpa::new(3 * K4 - 1), &mut buffer[..2]), Err(not_mapped(3 * K4)));
    assert_eq!(space.read(Gpa::new(u64::MAX), &mut buffer[..2]), Err(not_mapped(u64::MAX)));
    space.read(Gpa::new(u64::MAX), &mut []).unwrap();
    // SAFETY: nothing runs on the space, and the host has no pointer to the page.
    unsafe { space.map_physical(gpa(3 * K4..4 * K4), Hpa::new(0xfee0_0000), Access::RW) }.unwrap();
    let unreachable = AccessError::Unreachable { gpa: Gpa::new(3 * K4), hpa: Hpa::new(0xfee0_0000) };
    assert_eq!(space.read(Gpa::new(3 * K4 - 1), &mut buffer[..2]), Err(unreachable));
    space.read(Gpa::new(0), &mut buffer[..8]).unwrap();
}

fn counts_generations<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(4 * G1);
    assert_eq!(space.generation(), 1);
    space.map(gpa(0..M2), &ram, 0, Access::ALL).unwrap();
    assert_eq!(space.generation(), 1, "what was not mapped is in no cache");
    let token = space.protect(gpa(0..K4), Access::READ).unwrap();
    assert_eq!((token.generation(), space.generation()), (2, 2));
    token.at_next_entry();
    let token = space.unmap(gpa(0..M2)).unwrap();
    assert_eq!((token.generation(), space.generation()), (3, 3));
    token.at_next_entry();
}

fn works_through_the_trait<F: Format>(format: F) {
    let machine = Machine::new(64, 4 * K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.ram();
    let memory: &dyn GuestMappings<'_> = &space;
    memory.map(gpa(K4..3 * K4), &ram, 0, Mapping::new(Access::ALL)).unwrap();
    memory.write(Gpa::new(2 * K4 - 2), &[1, 2, 3, 4]).unwrap();
    let mut buffer = [0; 4];
    let reader: &dyn GuestMemory = memory;
    reader.read(Gpa::new(2 * K4 - 2), &mut buffer).unwrap();
    assert_eq!(buffer, [1, 2, 3, 4]);
    memory.protect(gpa(K4..2 * K4), Access::READ).unwrap().at_next_entry();
    assert!(memory.write(Gpa::new(K4), &[0]).is_err());
    memory.unmap(gpa(K4..2 * K4)).unwrap().at_next_entry();
    assert_eq!(reader.translate(Gpa::new(K4)), None);
}

fn maps_physical<F: Format>(format: F) {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(format, &pool).unwrap();
    let registers = Mapping::new(Access::RW).memory_type(MemoryType::Uncacheable);
    // SAFETY: nothing runs on the space, and the host has no pointer to the page.
    unsafe { space.map_physical(gpa(0xfee0_0000..0xfee0_1000), Hpa::new(0xfee0_0000), registers) }.unwrap();
    let to = space.translate(Gpa::new(0xfee0_0020)).unwrap();
    assert_eq!(to.to_string(), "0xfee00020 rw- UC (4 KiB page)");
}

#[test]
fn pages_are_no_larger_than_the_processor_has() {
    let machine = Machine::new(1100, K4);
    let pool: FramePool<1100> = machine.pool();
    let ram = machine.phantom_ram(4 * G1);
    let range = gpa(0x1000_0000..0x1000_0000 + G1 + M2);
    for (capabilities, size) in [(0x4040, PageSize::Size4K), (0x1_4040, PageSize::Size2M), (0x3_4040, PageSize::Size1G)]
    {
        let format = EptFormat::new(EptCapabilities::from_bits(capabilities), 46).unwrap();
        let space = AddressSpace::new(format, &pool).unwrap();
        space.map(gpa(0x3000_0000 + 0x1000_0000..2 * G1), &ram, 0x3000_0000, Access::ALL).unwrap();
        assert_eq!(space.translate(Gpa::new(G1)).unwrap().size, size);
    }
    let space = AddressSpace::new(NptFormat::new(Pat::RESET, 46).unwrap(), &pool).unwrap();
    space.map(range, &ram, 0, Access::ALL).unwrap();
    assert_eq!(space.translate(Gpa::new(G1)).unwrap().size, PageSize::Size2M);
}

#[test]
fn accessed_and_dirty_flags_that_the_processor_sets_survive() {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(ept(), &pool).unwrap();
    let ram = machine.phantom_ram(4 * G1);
    space.map(gpa(0x1000_0000..0x1000_0000 + M2), &ram, 0, Access::ALL).unwrap();
    // Walk as the processor does, from the root, and set both flags of the page.
    let entry_at = |table: u64, index: u64| -> u64 { table + index * 8 };
    let load = |at: u64| {
        let pointer = x86_virt_core::Frames::pointer(&&pool, Hpa::new(at)).unwrap().cast::<u64>();
        // SAFETY: an entry of a table; nothing else runs.
        unsafe { pointer.read() }
    };
    let mut table = space.root().get();
    for shift in [39, 30] {
        table = load(entry_at(table, (0x1000_0000 >> shift) & 511)) & 0xf_ffff_ffff_f000;
    }
    let at = entry_at(table, (0x1000_0000 >> 21) & 511);
    let pointer = x86_virt_core::Frames::pointer(&&pool, Hpa::new(at)).unwrap().cast::<u64>();
    // SAFETY: as above.
    unsafe { pointer.write(load(at) | 0x300) };
    space.protect(gpa(0x1000_0000..0x1000_1000), Access::READ).unwrap().at_next_entry();
    let small = load(at) & 0xf_ffff_ffff_f000;
    assert_eq!(load(at) & 0xfff, 0x7);
    assert_eq!(load(small), (BASE + 0x1000_0000) | 0x331);
    assert_eq!(load(small + 8), (BASE + 0x1000_0000 + K4) | 0x337);
    assert_eq!(load(small + 511 * 8), (BASE + 0x1000_0000 + M2 - K4) | 0x337);
}

#[test]
fn threads_change_and_read_one_space() {
    let machine = Machine::new(64, 64 * K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(ept(), &pool).unwrap();
    let ram = machine.ram();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (space, ram) = (&space, &ram);
            scope.spawn(move || {
                // The threads share tables of all levels; each has pages of its own.
                let range = M2 + thread * 8 * K4..M2 + (thread + 1) * 8 * K4;
                for round in 0..200u64 {
                    space.map(gpa(range.clone()), ram, thread * 8 * K4, Access::RW).unwrap();
                    let value = ((thread << 32) | round).to_le_bytes();
                    space.write(Gpa::new(range.start + 0xffc), &value).unwrap();
                    let mut read = [0; 8];
                    space.read(Gpa::new(range.start + 0xffc), &mut read).unwrap();
                    assert_eq!(read, value);
                    space.unmap(gpa(range.clone())).unwrap().at_next_entry();
                    assert_eq!(space.translate(Gpa::new(range.start)), None);
                }
            });
        }
    });
    assert_eq!((space.tables(), space.generation()), (1, 1 + 4 * 200));
}
