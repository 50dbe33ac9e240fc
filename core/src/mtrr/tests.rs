extern crate std;

use std::vec::Vec;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::{collection, proptest};

use super::{MtrrDefaultType, MtrrPhysBase, MtrrPhysMask, Mtrrs, RawMtrrs, VARIABLE};
use crate::addr::{Gpa, Hpa};
use crate::mapping::MemoryType;

const UC: MemoryType = MemoryType::Uncacheable;
const WC: MemoryType = MemoryType::WriteCombining;
const WT: MemoryType = MemoryType::WriteThrough;
const WP: MemoryType = MemoryType::WriteProtected;
const WB: MemoryType = MemoryType::WriteBack;

/// E and FE of IA32_MTRR_DEF_TYPE.
const E: u64 = 0x800;
const FE: u64 = 0x400;

fn mtrrs(default_type: u64, variable: &[(u64, u64)]) -> Mtrrs {
    let mut raw = RawMtrrs { capabilities: 0x508, default_type, ..RawMtrrs::default() };
    raw.variable[..variable.len()].copy_from_slice(variable);
    Mtrrs::from_raw(raw)
}

fn ranges(mtrrs: &Mtrrs, range: core::ops::Range<u64>) -> Vec<(u64, MemoryType)> {
    let ranges = mtrrs.uniform_ranges(Hpa::new(range.start)..Hpa::new(range.end));
    ranges.map(|(range, memory_type)| (range.end.get(), memory_type)).collect()
}

#[test]
fn bits_are_where_the_manual_has_them() {
    let capabilities = mtrrs(0, &[]).capabilities();
    assert_eq!(
        (capabilities.vcnt(), capabilities.fix(), capabilities.wc(), capabilities.smrr()),
        (8, true, true, false)
    );
    let default_type = MtrrDefaultType::from_bits(E | FE | 6);
    assert_eq!((default_type.r#type(), default_type.fe(), default_type.e()), (6, true, true));
    assert_eq!(MtrrPhysBase::from_bits(0x000f_ffff_ffff_f0ff).physbase(), 0xff_ffff_ffff);
    assert_eq!(MtrrPhysBase::from_bits(0x1234_5006), MtrrPhysBase::new().with_type(6).with_physbase(0x12345));
    assert_eq!(MtrrPhysMask::from_bits(0xf_fc00_0800), MtrrPhysMask::new().with_v(true).with_physmask(0xff_c000));
}

#[test]
fn disabled_registers_make_all_memory_uncacheable() {
    let mtrrs = mtrrs(FE | 6, &[(6, 0x800)]);
    assert_eq!(ranges(&mtrrs, 0..1 << 40), [(1 << 40, UC)]);
}

/// Intel SDM vol. 3, section 13.11.3, "Example Base and Mask Calculations": 96 MiB of WB memory, 4 MiB of it UC and the
/// last 1 MiB too, and a frame buffer.
#[test]
fn the_example_of_the_manual_has_its_types() {
    let mtrrs = mtrrs(
        E,
        &[
            (0x6, 0xf_fc00_0800),
            (0x400_0006, 0xf_fe00_0800),
            (0x600_0006, 0xf_ffc0_0800),
            (0x640_0000, 0xf_ffc0_0800),
            (0x0, 0xf_fff0_0000),
            (0xa000_0001, 0xf_ff80_0800),
        ],
    );
    assert_eq!(
        ranges(&mtrrs, 0..1 << 32),
        [(0x640_0000, WB), (0xa000_0000, UC), (0xa080_0000, WC), (0x1_0000_0000, UC)]
    );
}

#[test]
fn fixed_ranges_win_below_one_mebibyte() {
    let mut raw = RawMtrrs { capabilities: 0x108, default_type: E | FE | 6, ..RawMtrrs::default() };
    raw.variable[0] = (0x0, 0xf_fff0_0800);
    raw.fixed = [0x0606_0606_0606_0606; 11];
    raw.fixed[2] = 0x0101_0101_0101_0101;
    raw.fixed[3] = 0x0505_0505_0505_0505;
    raw.fixed[10] = 0x0406_0606_0606_0606;
    let mtrrs = Mtrrs::from_raw(raw);
    let expected = [(0xa_0000, WB), (0xc_0000, WC), (0xc_8000, WP), (0xf_f000, WB), (0x10_0000, WT)];
    assert_eq!(ranges(&mtrrs, 0..0x10_0000), expected);
    assert_eq!(ranges(&mtrrs, 0xa_3000..0xa_4000), [(0xa_4000, WC)]);
    // Without FE, or without FIX, the variable range counts.
    for raw in [RawMtrrs { default_type: E | 6, ..raw }, RawMtrrs { capabilities: 8, ..raw }] {
        assert_eq!(ranges(&Mtrrs::from_raw(raw), 0..0x20_0000), [(0x10_0000, UC), (0x20_0000, WB)]);
    }
}

#[test]
fn of_overlapping_ranges_uncacheable_and_write_through_win() {
    for (one, other, both) in
        [(WB, UC, UC), (WC, UC, UC), (WB, WT, WT), (WT, WB, WT), (WC, WC, WC), (WP, WB, UC), (WC, WB, UC), (WC, WT, UC)]
    {
        let base = |memory_type: MemoryType| u64::from(memory_type.encoding());
        let mtrrs = mtrrs(E | 5, &[(base(one), 0xf_ff00_0800), (base(other), 0xf_ff00_0800)]);
        assert_eq!(mtrrs.memory_type(Hpa::new(0xff_ffff)), both, "{one} and {other}");
        assert_eq!(mtrrs.memory_type(Hpa::new(0x100_0000)), WP);
    }
}

#[test]
fn reserved_types_count_as_uncacheable() {
    for encoding in [2, 3, 7, 8, 0x86] {
        assert_eq!(mtrrs(E | encoding, &[]).memory_type(Hpa::new(0)), UC);
        assert_eq!(mtrrs(E | 6, &[(encoding, 0xf_ff00_0800)]).memory_type(Hpa::new(0)), UC);
    }
}

#[test]
fn pairs_that_the_processor_has_not_are_left_out() {
    let mut raw = RawMtrrs { capabilities: 1, default_type: E | 6, ..RawMtrrs::default() };
    raw.variable[1] = (0, 0xf_ff00_0800);
    assert_eq!(Mtrrs::from_raw(raw).memory_type(Hpa::new(0)), WB);
    raw.capabilities = 0xff;
    assert_eq!(Mtrrs::from_raw(raw).memory_type(Hpa::new(0)), UC);
    assert_eq!(Mtrrs::from_raw(raw).variable().count(), VARIABLE);
}

#[test]
fn a_mask_with_a_hole_makes_several_ranges() {
    // Bit 21 does not count: 1 MiB at 1 MiB and at 3 MiB.
    let mtrrs = mtrrs(E | 6, &[(0x10_0000, 0xf_ffd0_0800)]);
    let expected = [(0x10_0000, WB), (0x20_0000, UC), (0x30_0000, WB), (0x40_0000, UC), (0x80_0000, WB)];
    assert_eq!(ranges(&mtrrs, 0..0x80_0000), expected);
}

#[test]
fn memory_above_4_gib_may_be_write_back_by_the_top_of_memory() {
    let raw = RawMtrrs { default_type: E, top_of_memory_2: 0x2_4000_0000, ..RawMtrrs::default() };
    let mtrrs = Mtrrs::from_raw(raw);
    assert_eq!(ranges(&mtrrs, 0..1 << 40), [(1 << 32, UC), (0x2_4000_0000, WB), (1 << 40, UC)]);
}

#[test]
fn parts_follow_the_host_addresses() {
    let mtrrs = mtrrs(E | 6, &[(0xc000_0000, 0xf_c000_0800)]);
    let parts: Vec<_> = mtrrs
        .parts(Gpa::new(0x1000)..Gpa::new(0x5000), Hpa::new(0xbfff_e000))
        .map(|part| (part.gpa, part.hpa, part.memory_type))
        .collect();
    assert_eq!(
        parts,
        [
            (Gpa::new(0x1000)..Gpa::new(0x3000), Hpa::new(0xbfff_e000), WB),
            (Gpa::new(0x3000)..Gpa::new(0x5000), Hpa::new(0xc000_0000), UC),
        ]
    );
    assert_eq!(mtrrs.parts(Gpa::new(0x5000)..Gpa::new(0x1000), Hpa::new(0)).count(), 0);
}

/// The memory type of the page at `hpa`, straight from the manual's text, bit by bit.
fn oracle(raw: &RawMtrrs, hpa: u64) -> MemoryType {
    let known = |encoding: u64| [UC, WC, WT, WP, WB].into_iter().find(|known| u64::from(known.encoding()) == encoding);
    let decode = |encoding| known(encoding).unwrap_or(UC);
    if raw.default_type & 0x800 == 0 {
        return UC;
    }
    if hpa < 1 << 20 && raw.capabilities & 0x100 != 0 && raw.default_type & 0x400 != 0 {
        let mut bytes = raw.fixed.iter().flat_map(|register| register.to_le_bytes());
        let sizes = [0x1_0000_u64; 8].into_iter().chain([0x4000; 16]).chain([0x1000; 64]);
        let mut end = 0;
        for size in sizes {
            end += size;
            let byte = bytes.next().unwrap();
            if hpa < end {
                return decode(u64::from(byte));
            }
        }
    }
    let count = usize::try_from(raw.capabilities & 0xff).unwrap();
    let is_in = |&&(base, mask): &&(u64, u64)| {
        mask >> 11 & 1 == 1 && (12..52).all(|bit| mask >> bit & 1 == 0 || (hpa ^ base) >> bit & 1 == 0)
    };
    let types: Vec<_> = raw.variable.iter().take(count).filter(is_in).map(|(base, _)| decode(base & 0xff)).collect();
    match types.as_slice() {
        [] if hpa >= 1 << 32 && hpa < raw.top_of_memory_2 => WB,
        [] => decode(raw.default_type & 0xff),
        [first, rest @ ..] if rest.iter().all(|other| other == first) => *first,
        types if types.iter().all(|one| matches!(one, MemoryType::WriteThrough | MemoryType::WriteBack)) => WT,
        _ => UC,
    }
}

/// Pages of the window that is compared page by page.
const PAGES: u64 = 4096;

fn memory_type() -> impl Strategy<Value = u64> {
    prop_oneof![8 => prop_oneof![Just(0_u64), Just(1), Just(4), Just(5), Just(6)], 1 => 0..=0xff_u64]
}

/// A pair of registers whose range has borders in a window of [`PAGES`] pages, with a mask that may have holes.
fn pair() -> impl Strategy<Value = (u64, u64)> {
    let contiguous = (12..25_u32).prop_map(|shift| u64::MAX << shift);
    let with_holes = any::<u64>().prop_map(|bits| bits | 0x00ff_f000_0000);
    let mask = prop_oneof![3 => contiguous, 1 => with_holes, 1 => any::<u64>()];
    (any::<u64>(), memory_type(), mask, 0..8_u32).prop_map(|(base, memory_type, mask, unused)| {
        let base = base & 0x00ff_f000 | memory_type;
        (base, mask & 0x000f_ffff_ffff_f000 | if unused > 0 { 0x800 } else { 0 })
    })
}

fn raw() -> impl Strategy<Value = RawMtrrs> {
    let fixed = any::<[[u8; 8]; 11]>().prop_map(|bytes| {
        let encodings = [0, 1, 4, 5, 6, 6, 6, 3];
        bytes.map(|register| u64::from_le_bytes(register.map(|byte| encodings[usize::from(byte % 8)])))
    });
    let top = prop_oneof![Just(0), 0x200..0x210_u64].prop_map(|top| top << 23);
    let flags = prop_oneof![4 => Just(E | FE), 2 => Just(E), 1 => Just(FE)];
    (fixed, collection::vec(pair(), 0..10), 0..10_u64, any::<bool>(), memory_type(), flags, top).prop_map(
        |(fixed, pairs, vcnt, has_fixed, memory_type, flags, top_of_memory_2)| {
            let mut variable = [(0, 0); VARIABLE];
            variable[..pairs.len()].copy_from_slice(&pairs);
            let capabilities = vcnt | if has_fixed { 0x100 } else { 0 };
            RawMtrrs { capabilities, default_type: flags | memory_type, fixed, variable, top_of_memory_2 }
        },
    )
}

proptest! {
    #[test]
    fn ranges_agree_with_the_oracle(
        raw in raw(),
        start in prop_oneof![Just(0), Just((1 << 32) - 0x80_0000), Just(1 << 39), (0..1_u64 << 40).prop_map(|page| page << 12)],
    ) {
        let mtrrs = Mtrrs::from_raw(raw);
        let mut expected: Vec<(u64, MemoryType)> = Vec::new();
        for page in 0..PAGES {
            let at = start + page * 4096;
            let memory_type = oracle(&raw, at);
            assert_eq!(mtrrs.memory_type(Hpa::new(at)), memory_type);
            assert_eq!(mtrrs.memory_type(Hpa::new(at + 0xfff)), memory_type);
            match expected.last_mut() {
                Some((end, last)) if *last == memory_type => *end = at + 4096,
                _ => expected.push((at + 4096, memory_type)),
            }
        }
        assert_eq!(ranges(&mtrrs, start..start + PAGES * 4096), expected);
    }

    #[test]
    fn any_values_have_an_answer(
        capabilities: u64,
        default_type: u64,
        fixed: [u64; 11],
        variable: [(u64, u64); VARIABLE],
        top_of_memory_2: u64,
        start: u64,
    ) {
        let mtrrs = Mtrrs::from_raw(RawMtrrs { capabilities, default_type, fixed, variable, top_of_memory_2 });
        let end = start.saturating_add(1 << 20);
        let mut next = Hpa::new(start);
        for (range, memory_type) in mtrrs.uniform_ranges(next..Hpa::new(end)) {
            assert_eq!(range.start, next);
            assert_eq!(mtrrs.memory_type(range.start), memory_type);
            next = range.end;
        }
        assert_eq!(next.get(), end);
    }
}
