//! What entries have besides an address and access: flags, attributes, and bits of those that map nothing.

use core::sync::atomic::Ordering;

use crate::common::{BASE, Machine, entry, ept, gpa, rich_ept, rich_npt, slot};
use x86_virt_core::{
    Access, AddressSpace, Format, FramePool, Gpa, MapError, Mapping, MemoryType, Operation, PageAttributes, PageSize,
};

const K4: u64 = 0x1000;
const M2: u64 = 0x20_0000;
const G1: u64 = 0x4000_0000;
/// Where `phantom_ram` is.
const RAM: u64 = BASE + 0x1000_0000;
/// A guest address that is in phase with it for 1 GiB.
const HUGE: u64 = 0x1000_0000;

type Pool = FramePool<64>;

#[test]
fn merging_collects_accessed_and_dirty_flags() {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let format = ept();
    let space = AddressSpace::new(format, &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    space.map(gpa(HUGE..HUGE + M2), &ram, 0, Mapping::new(Access::ALL).exactly(PageSize::Size4K)).unwrap();
    let at = |level, gpa| entry(&pool, space.root(), format.levels(), level, gpa);
    at(1, HUGE + 5 * K4).fetch_or(0x100, Ordering::Relaxed);
    at(1, HUGE + 9 * K4).fetch_or(0x200, Ordering::Relaxed);
    space.merge(gpa(HUGE..HUGE + M2)).unwrap().at_next_entry();
    assert_eq!(at(2, HUGE).load(Ordering::Relaxed), RAM | 0x3b7);
    space.split(gpa(HUGE..HUGE + M2), PageSize::Size4K).unwrap().at_next_entry();
    assert_eq!(at(1, HUGE + K4).load(Ordering::Relaxed), (RAM + K4) | 0x337);
}

#[test]
fn pages_that_the_processor_lacks_do_not_arise_by_merging() {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let format = x86_virt_ept::EptFormat::new(x86_virt_ept::EptCapabilities::from_bits(0x4040), 46).unwrap();
    let space = AddressSpace::new(format, &pool).unwrap();
    space.map(gpa(HUGE..HUGE + M2), &machine.phantom_ram(8 * G1), 0, Access::ALL).unwrap();
    let text = space.dump().to_string();
    space.merge(gpa(HUGE..HUGE + M2)).unwrap().at_next_entry();
    assert_eq!(space.dump().to_string(), text);
}

/// What a format has beyond read, write and execute is in the text, and every operation keeps it.
#[test]
fn attributes_are_kept_and_shown() {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(rich_ept(), &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let attributes = PageAttributes::SUPPRESS_VE | PageAttributes::VERIFY_GUEST_PAGING;
    let access = Access::RW | Access::EXECUTE_USER | Access::SUPERVISOR_SHADOW_STACK;
    space.map(gpa(HUGE..HUGE + 2 * M2), &ram, 0, Mapping::new(access).attributes(attributes)).unwrap();
    let text = "\
0x0000000010000000..0x0000000010400000 -> 0x0000000050000000 rwu+sss WB 2M suppress-ve verify-guest-paging
";
    assert_eq!(space.dump().to_string(), text);
    let to = space.translate(Gpa::new(HUGE + M2)).unwrap();
    assert_eq!(to.to_string(), "0x50200000 rwu+sss WB (2 MiB page) suppress-ve verify-guest-paging");
    // Sub-pages make the page small, and the rest keeps what it had.
    let sub_page = PageAttributes::SUB_PAGE_WRITE;
    let page = || gpa(HUGE + K4..HUGE + 2 * K4);
    assert_eq!(space.frames_needed(page(), Operation::SetAttributes { attributes: sub_page }), Ok(1));
    space.set_attributes(page(), sub_page).unwrap().at_next_entry();
    space.protect(page(), Access::READ | Access::EXECUTE_SUPERVISOR | Access::PAGING_WRITE).unwrap().at_next_entry();
    space.remap(page(), &ram, K4).unwrap().at_next_entry();
    space.set_memory_type(page(), MemoryType::Uncacheable).unwrap().at_next_entry();
    assert_eq!(
        space.dump().to_string(),
        "\
0x0000000010000000..0x0000000010001000 -> 0x0000000050000000 rwu+sss WB 4K suppress-ve verify-guest-paging
0x0000000010001000..0x0000000010002000 -> 0x0000000050001000 r-s+pw UC 4K sub-page-write
0x0000000010002000..0x0000000010200000 -> 0x0000000050002000 rwu+sss WB 4K suppress-ve verify-guest-paging
0x0000000010200000..0x0000000010400000 -> 0x0000000050200000 rwu+sss WB 2M suppress-ve verify-guest-paging
"
    );
    space.merge(gpa(HUGE..HUGE + 2 * M2)).unwrap().at_next_entry();
    assert_eq!(space.translate(Gpa::new(HUGE)).unwrap().size, PageSize::Size4K, "they differ");
    space.set_attributes(gpa(HUGE..HUGE + 2 * M2), attributes).unwrap().at_next_entry();
    space.protect(page(), access).unwrap().at_next_entry();
    space.set_memory_type(page(), MemoryType::WriteBack).unwrap().at_next_entry();
    space.merge(gpa(HUGE..HUGE + 2 * M2)).unwrap().at_next_entry();
    assert_eq!(space.dump().to_string(), text);
    // Pages with sub-pages are never large.
    let small = Mapping::new(Access::READ).attributes(sub_page);
    assert_eq!(
        space.map(gpa(G1..G1 + M2), &ram, G1 - HUGE, small.exactly(PageSize::Size2M)),
        Err(MapError::PageSize { gpa: Gpa::new(G1), size: PageSize::Size2M })
    );
    space.map(gpa(G1..G1 + M2), &ram, G1 - HUGE, small).unwrap();
    space.merge(gpa(G1..G1 + M2)).unwrap().at_next_entry();
    assert_eq!(space.translate(Gpa::new(G1)).unwrap().size, PageSize::Size4K);
}

/// Where nothing is mapped, all entries of all tables suppress #VE, also in tables that were put by.
#[test]
fn absent_entries_suppress_virtualization_exceptions() {
    const SUPPRESS_VE: u64 = 1 << 63;
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(rich_ept(), &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let at = |level, at| entry(&pool, space.root(), 4, level, at).load(Ordering::Relaxed);
    assert_eq!((at(4, 0), at(4, 511 << 39)), (SUPPRESS_VE, SUPPRESS_VE));
    space.map(gpa(0..K4), &ram, 0, Access::ALL).unwrap();
    assert_eq!((at(3, G1), at(2, M2), at(1, K4)), (SUPPRESS_VE, SUPPRESS_VE, SUPPRESS_VE));
    assert_eq!(at(1, 0), RAM | 0x437, "a page only if it is asked for");
    space.map(gpa(K4..2 * K4), &ram, 0, Access::ALL).unwrap();
    let lowest = at(2, 0) & 0xf_ffff_ffff_f000;
    space.unmap(gpa(K4..2 * K4)).unwrap().at_next_entry();
    assert_eq!(at(1, K4), SUPPRESS_VE);
    space.unmap(gpa(0..K4)).unwrap().at_next_entry();
    assert_eq!((space.tables(), space.spare(), at(4, 0)), (1, 3, SUPPRESS_VE));
    // The link to the next spare frame, and what was mapped to.
    let link = slot(&pool, lowest, 1, 0).load(Ordering::Relaxed);
    assert_eq!(link & !0xf_ffff_ffff_f000, SUPPRESS_VE);
    // By way of a lone page, the shortest way.
    let mut edit = space.edit();
    for page in [0, G1, G1 + M2, G1 + K4] {
        edit.map(gpa(page..page + K4), &ram, 0, Access::ALL).unwrap();
    }
    drop(edit);
    assert_eq!(space.ranges().count(), 4);
    assert_eq!((at(1, G1 + 2 * K4), at(2, G1 + 2 * M2)), (SUPPRESS_VE, SUPPRESS_VE));
}

/// On AMD, whether a page is a shadow stack is in the flags that a processor sets elsewhere.
#[test]
fn shadow_stacks_are_told_from_pages_that_are_dirty() {
    let machine = Machine::new(64, K4);
    let pool: Pool = machine.pool();
    let space = AddressSpace::new(rich_npt(), &pool).unwrap();
    let ram = machine.phantom_ram(8 * G1);
    let at = |at| entry(&pool, space.root(), 4, 1, at).load(Ordering::Relaxed);
    space.map(gpa(0..2 * K4), &ram, 0, Access::RW).unwrap();
    assert_eq!(at(0) & 0xfff, 0x47, "what is writable is dirty from the start");
    space.protect(gpa(0..K4), Access::READ).unwrap().at_next_entry();
    assert_eq!(at(0) & 0xfff, 5, "or else it would be a shadow stack now");
    let shadow_stack = Access::READ | Access::SUPERVISOR_SHADOW_STACK;
    space.protect(gpa(K4..2 * K4), shadow_stack).unwrap().at_next_entry();
    assert_eq!(at(K4) & 0xfff, 0x45);
    assert_eq!(space.translate(Gpa::new(K4)).unwrap().access, shadow_stack);
    assert_eq!(space.format().flags_mask(), 0x20);
}
