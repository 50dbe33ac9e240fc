//! Entries of nested page tables: each setter changes its own bits only, and the getters read what the manual has there.
#![no_main]

use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::npt::{NptEntry, Pat};
use x86_virt::{Access, Hpa, MemoryType};

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

fuzz_target!(|input: (u64, u64, Pat, MemoryType)| {
    let (raw, hpa, pat, memory_type) = input;
    let entry = check::<NptEntry>(raw);
    assert_eq!(entry.hpa().get(), raw & ADDRESS);
    assert_eq!(entry.with_hpa(Hpa::new(hpa)).into_bits(), raw & !ADDRESS | hpa & ADDRESS);

    // P and U/S open a page, R/W makes it writable, NX takes instructions away.
    let access = entry.access();
    let is_open = raw & 5 == 5;
    assert_eq!(access.contains(Access::READ), is_open);
    assert_eq!(access.contains(Access::WRITE), is_open && raw & 2 != 0);
    assert_eq!(access.contains(Access::EXECUTE), is_open && raw >> 63 == 0);

    for (is_large, bit) in [(false, 7), (true, 12)] {
        let index = bits(raw, 3, 2) | bits(raw, bit, 1) << 2;
        assert_eq!(u64::from(entry.pat_index(is_large)), index);
        let encoding = pat.get() >> (8 * index) & 0xff;
        let found = pat.memory_type(entry.pat_index(is_large));
        assert_eq!(
            found.map(|kind| u64::from(kind.encoding())),
            Some(encoding).filter(|kind| matches!(kind, 0 | 1 | 4..=7))
        );
    }
    match pat.index_of(memory_type) {
        Some(index) => {
            assert_eq!(pat.memory_type(index), Some(memory_type));
            assert!((0..index).all(|before| pat.memory_type(before) != Some(memory_type)));
        }
        None => assert!((0..8).all(|index| pat.memory_type(index) != Some(memory_type))),
    }
});
