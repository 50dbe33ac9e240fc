//! What every implementation is to do.

use core::hint::black_box;
use core::mem;

use x86_virt::PageSize;

use crate::arena::arena;
use crate::meter::Meter;
use crate::tables::Tables;

pub(crate) const GIB: u64 = 1 << 30;
pub(crate) const MIB_2: u64 = 1 << 21;
pub(crate) const PAGE: u64 = 1 << 12;
/// How often `w1` is repeated: it writes two tables only.
pub(crate) const REPEATS: u64 = 512;
/// The page of each large page that `w6` takes write permission from, as an offset.
const PROTECTED: u64 = 5 * PAGE;
/// How many translations are checked.
const SAMPLES: u64 = 4096;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Maps this many bytes in pages of this size, this often.
    Map { bytes: u64, size: PageSize, repeats: u64 },
    /// Maps 2^20 pages of 64 GiB one by one.
    MapPages,
    /// Translates 2^20 addresses in 4 GiB of 4 KiB pages.
    Translate,
    /// Splits 512 pages of 2 MiB, by a change of one 4 KiB page in each.
    Split,
    /// Unmaps 4 GiB of 4 KiB pages.
    Unmap,
}

#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// How many entries are written, read or cleared.
    pub(crate) entries: u64,
}

pub(crate) const WORKLOADS: [Workload; 7] = [
    Workload {
        name: "w1",
        kind: Kind::Map { bytes: 512 * GIB, size: PageSize::Size1G, repeats: REPEATS },
        entries: 512 * REPEATS,
    },
    Workload {
        name: "w2",
        kind: Kind::Map { bytes: 64 * GIB, size: PageSize::Size2M, repeats: 1 },
        entries: 64 * GIB / MIB_2,
    },
    Workload {
        name: "w3",
        kind: Kind::Map { bytes: 4 * GIB, size: PageSize::Size4K, repeats: 1 },
        entries: 4 * GIB / PAGE,
    },
    Workload { name: "w4", kind: Kind::MapPages, entries: 1 << 20 },
    Workload { name: "w5", kind: Kind::Translate, entries: 1 << 20 },
    Workload { name: "w6", kind: Kind::Split, entries: 512 * 512 },
    Workload { name: "w7", kind: Kind::Unmap, entries: 4 * GIB / PAGE },
];

/// Addresses in random order.
#[derive(Debug)]
pub(crate) struct Orders {
    /// 2^20 pages of 64 GiB.
    pub(crate) sparse: Vec<u64>,
    /// All pages of 4 GiB, with an offset in the page.
    pub(crate) dense: Vec<u64>,
}

impl Orders {
    pub(crate) fn new() -> Self {
        let dense = (0..1 << 20).map(|index| mix(index, 20) * PAGE + (index & 0xfff)).collect();
        Self { sparse: (0..1 << 20).map(|index| mix(index, 24) * PAGE).collect(), dense }
    }
}

/// A permutation of the numbers of `bits` bits.
fn mix(index: u64, bits: u32) -> u64 {
    let mask = (1 << bits) - 1;
    [0x9e37_79b1, 0x85eb_ca6b, 0xc2b2_ae35].into_iter().fold(index, |value, odd: u64| {
        let value = value.wrapping_mul(odd) & mask;
        value ^ value >> (bits / 2)
    })
}

/// Does the workload, measures it, and checks what came of it.
pub(crate) fn run<T: Tables>(workload: &Workload, orders: &Orders, meter: &mut Meter) {
    let tables = match workload.kind {
        Kind::Map { bytes, size, repeats } => {
            let tables = meter.measure(|| map::<T>(bytes, size, repeats));
            for gpa in samples(bytes) {
                check(&tables, gpa, Some(gpa + size.bytes()));
            }
            check(&tables, bytes, None);
            tables
        }
        Kind::MapPages => {
            reset();
            let tables = meter.measure(|| map_pages::<T>(&orders.sparse));
            for gpa in orders.sparse.iter().step_by(256) {
                check(&tables, gpa + 0x123, Some(gpa + PAGE + 0x123));
            }
            tables
        }
        Kind::Translate => {
            let tables = map::<T>(4 * GIB, PageSize::Size4K, 1);
            let sum = meter.measure(|| translate(&tables, &orders.dense));
            let expected = orders.dense.iter().fold(0, |sum: u64, gpa| sum.wrapping_add(gpa + PAGE));
            assert_eq!(sum, expected, "{} translates all pages", workload.name);
            tables
        }
        Kind::Split => {
            let mut tables = map::<T>(GIB, PageSize::Size2M, 1);
            meter.measure(|| split(&mut tables));
            let around = [PROTECTED - 1, PROTECTED, PROTECTED + PAGE - 1, PROTECTED + PAGE];
            let borders = (0..GIB / MIB_2).flat_map(|large| around.map(|offset| large * MIB_2 + offset));
            for gpa in samples(GIB).chain(borders) {
                check(&tables, gpa, Some(gpa + MIB_2));
                assert_eq!(tables.is_writable(gpa), gpa % MIB_2 / PAGE != PROTECTED / PAGE, "of {gpa:#x}");
            }
            tables
        }
        Kind::Unmap => {
            let mut tables = map::<T>(4 * GIB, PageSize::Size4K, 1);
            meter.measure(|| unmap(&mut tables));
            for gpa in samples(4 * GIB) {
                check(&tables, gpa, None);
            }
            tables
        }
    };
    // The arena gets the frames back all at once.
    mem::forget(tables);
}

/// Maps `bytes` from 0 on to the pages one further, which keeps implementations that look for larger pages to this size.
#[inline(never)]
fn map<T: Tables>(bytes: u64, size: PageSize, repeats: u64) -> T {
    let repeat = || {
        reset();
        let mut tables = T::new();
        tables.map(black_box(0), size.bytes(), bytes, size);
        tables
    };
    for _ in 1..repeats {
        mem::forget(black_box(repeat()));
    }
    repeat()
}

#[inline(never)]
fn map_pages<T: Tables>(order: &[u64]) -> T {
    let mut tables = T::new();
    tables.map_pages(order, PAGE);
    tables
}

#[inline(never)]
fn translate<T: Tables>(tables: &T, order: &[u64]) -> u64 {
    tables.translate_all(order)
}

#[inline(never)]
fn split<T: Tables>(tables: &mut T) {
    let mut large = 0;
    while large < GIB {
        tables.protect_page(large + PROTECTED, large + MIB_2 + PROTECTED);
        large += MIB_2;
    }
}

#[inline(never)]
fn unmap<T: Tables>(tables: &mut T) {
    tables.unmap(black_box(0), 4 * GIB);
}

/// Makes the arena start over: tables were forgotten before.
#[expect(unsafe_code, reason = "the frames are used again")]
fn reset() {
    // SAFETY: `run` is the only user of the arena beside `limit::run`. Both leave what they took before they return or reset.
    unsafe { arena().reset() };
}

fn samples(bytes: u64) -> impl Iterator<Item = u64> {
    (0..SAMPLES)
        .map(move |index| bytes / SAMPLES * index + ((index * 0x123) & 0xfff))
        .chain([bytes - 1, bytes / 2 + PROTECTED])
}

fn check<T: Tables>(tables: &T, gpa: u64, hpa: Option<u64>) {
    assert_eq!(tables.translate(gpa), hpa, "what {gpa:#x} is mapped to");
}
