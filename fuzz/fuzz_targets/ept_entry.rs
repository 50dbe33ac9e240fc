//! Entries and pointers of extended page tables: each setter changes its own bits only, and the getter reads it.
#![no_main]

use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::ept::{EptCapabilities, EptEntry, Eptp};
use x86_virt::{Access, Hpa, MemoryType, Register};

const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

fuzz_target!(|input: (u64, u64, Access, MemoryType)| {
    let (raw, hpa, access, memory_type) = input;
    let entry = check::<EptEntry>(raw);
    check::<EptCapabilities>(raw);
    let eptp = check::<Eptp>(raw);

    assert_eq!(entry.hpa().get(), raw & ADDRESS);
    // R, W and X; X counts for user mode, too, unless bit 10 does.
    assert_eq!(u64::from(entry.access().bits()), bits(raw, 0, 3) | bits(raw, 2, 1) << 3);
    assert_eq!(u64::from(entry.mode_based_access().bits()), bits(raw, 0, 3) | bits(raw, 10, 1) << 3);
    let encoding = bits(raw, 3, 3);
    assert_eq!(
        entry.memory_type().map(|kind| u64::from(kind.encoding())),
        Some(encoding).filter(|kind| matches!(kind, 0 | 1 | 4..=6))
    );

    let moved = entry.with_hpa(Hpa::new(hpa)).into_bits();
    assert_eq!(moved, raw & !ADDRESS | hpa & ADDRESS);
    assert_eq!(entry.with_access(access).into_bits(), raw & !7 | u64::from(access.bits() & 7));
    assert_eq!(entry.with_memory_type(memory_type).into_bits(), raw & !0x38 | u64::from(memory_type.encoding()) << 3);

    assert_eq!((eptp.root().get(), u64::from(eptp.levels())), (raw & ADDRESS, bits(raw, 3, 3) + 1));
    let [levels, ..] = raw.to_le_bytes();
    let made = Eptp::new(Hpa::new(hpa), levels, memory_type);
    let length = u64::from(levels.wrapping_sub(1) & 7);
    assert_eq!(made.into_raw(), hpa & ADDRESS | length << 3 | u64::from(memory_type.encoding()));
});
