//! A guest's own tables, with entries made by chance: what the processor does at an access is what `GuestPaging` says.

use core::arch::x86_64::__cpuid;

use x86_virt::{
    CpuState, Cr0, Cr4, Efer, ExitKind, GuestAccess, GuestFault, GuestPaging, Gva, PageSize, Privilege, Rflags,
    Segment, SegmentAccessRights, Vcpu, VcpuConfig,
};

use crate::bench::Bench;
use crate::differential::Random;
use crate::feature::{Feature, has};
use crate::guest::{CODE, DATA, Guest, Mode, STACK};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

const CASES: u64 = 1500;

/// MOV AL, [RBX]; CPUID. MOV [RBX], AL; CPUID. JMP RBX. Each at a multiple of 8.
const PROBES: [u8; 24] =
    [0x8a, 0x03, 0x0f, 0xa2, 0, 0, 0, 0, 0x88, 0x03, 0x0f, 0xa2, 0, 0, 0, 0, 0xff, 0xe3, 0, 0, 0, 0, 0, 0];
const CPUID: [u8; 2] = [0x0f, 0xa2];

/// Tables of the code: from the root down, one for each level.
const OWN: [u64; 4] = [0x2_0000, 0x2_1000, 0x2_2000, 0x2_3000];
/// Tables of the page that is accessed, below the root.
const OTHER: [u64; 3] = [0x2_4000, 0x2_5000, 0x2_6000];
/// That page, and where in a page the access is.
const PAGE: u64 = 0x1_8000;
const OFFSET: u64 = 0x123;

const P: u64 = 1;
const W: u64 = 1 << 1;
const U: u64 = 1 << 2;
const A: u64 = 1 << 5;
const PS: u64 = 1 << 7;

/// How the guest translates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Paging {
    Bits32,
    Pae,
    Four,
}

impl Paging {
    /// The linear address of the access: other entries than those of the code, but for the root of 3 levels.
    fn target(self) -> u64 {
        let high = 3 << 30 | PAGE | OFFSET;
        if self == Self::Four { 1 << 39 | high } else { high }
    }

    /// Where the entries of the target are, from the root down.
    fn path(self) -> &'static [u64] {
        match self {
            Self::Bits32 => &[OWN[0] + 4 * 0x300, OTHER[2] + 4 * 0x18],
            Self::Pae => &[OWN[1] + 8 * 3, OTHER[1], OTHER[2] + 8 * 0x18],
            Self::Four => &[OWN[0] + 8, OTHER[0] + 8 * 3, OTHER[1], OTHER[2] + 8 * 0x18],
        }
    }

    /// The entries above that of the code's page.
    fn own(self) -> &'static [(u64, u64)] {
        const ALL: u64 = P | W | U | A;
        match self {
            Self::Bits32 => const { &[(OWN[0], OWN[3] | ALL)] },
            Self::Pae => const { &[(OWN[1], OWN[2] | P), (OWN[2], OWN[3] | ALL)] },
            Self::Four => const { &[(OWN[0], OWN[1] | ALL), (OWN[1], OWN[2] | ALL), (OWN[2], OWN[3] | ALL)] },
        }
    }

    fn entry_bytes(self) -> usize {
        if self == Self::Bits32 { 4 } else { 8 }
    }
}

/// Random entries, registers and accesses.
pub(crate) fn faults_are_the_processors(bench: &Bench) -> Outcome {
    let config = VcpuConfig::new().with_exceptions(1 << 14);
    bench.with_guest(Mode::Long, &PROBES, &config, |guest| {
        let mut allowed = 0;
        for number in 0..CASES {
            let mut random = Random::new(7, number);
            allowed += u64::from(check(guest, &mut random, number)?);
        }
        ensure!((CASES / 5..CASES * 4 / 5).contains(&allowed), "{allowed} of {CASES} accesses were allowed");
        Ok(())
    })
}

/// One access; says whether it was allowed.
fn check(guest: &mut Guest<'_, '_>, random: &mut Random, number: u64) -> Outcome<bool> {
    let paging = [Paging::Bits32, Paging::Pae, Paging::Four].get(random.index(3)).copied().unwrap_or(Paging::Four);
    let is_user = random.below(2) == 0;
    let state = some_state(paging, is_user, random);
    for table in OWN.into_iter().chain(OTHER) {
        guest.ram.write(table, &[0; 0x1000])?;
    }
    for (at, entry) in paging.own() {
        write_entry(guest, paging, *at, *entry)?;
    }
    let code = OWN[3] + (CODE >> 12) * u64::try_from(paging.entry_bytes())?;
    write_entry(guest, paging, code, CODE | P | A | if is_user { U } else { 0 })?;
    let entries = some_entries(paging, random);
    for (at, entry) in paging.path().iter().zip(entries) {
        write_entry(guest, paging, *at, entry)?;
    }
    guest.ram.write(PAGE + OFFSET, &CPUID)?;
    let privilege = if is_user { Privilege::User } else { Privilege::Supervisor };
    let (probe, access) = match random.below(3) {
        0 => (0, GuestAccess::read(privilege)),
        1 => (8, GuestAccess::write(privilege)),
        _ => (16, GuestAccess::fetch(privilege)),
    };
    guest.vcpu.set_state(&CpuState { rip: CODE + probe, ..state })?;
    let what = alloc::format!("case {number}: {access:?}, {paging:?}, entries {entries:x?}, {state:x?}");
    let gva = Gva::new(paging.target());
    let predicted = walk(guest).translate(guest.space, gva, access);
    let before = read_path(guest, paging)?;
    let exit = guest.run()?.kind;
    match (predicted, exit) {
        (Ok(_), ExitKind::Cpuid) => {
            // The flags, too, are those that the processor sets.
            let mut marked = read_path(guest, paging)?;
            if paging == Paging::Pae && !has(Feature::ExactPageWalks) {
                marked[0] &= !A;
            }
            for (at, entry) in paging.path().iter().zip(before) {
                write_entry(guest, paging, *at, entry)?;
            }
            walk(guest).access(guest.space, gva, access)?;
            ensure_eq!(read_path(guest, paging)?, marked, "entries after {what}");
            Ok(true)
        }
        (Err(GuestFault::Page { error_code, .. }), ExitKind::Exception { exception, address }) => {
            let is_present = error_code.p() && (!error_code.rsvd() || has(Feature::ExactPageWalks));
            let error_code = error_code.with_p(is_present);
            ensure_eq!(exception.error_code, Some(error_code.into_bits()), "error code of {what}");
            ensure_eq!(address, Some(gva), "address of {what}");
            Ok(false)
        }
        _ => fail!("{exit:x?} at {:#x}, predicted {predicted:x?}, {what}", guest.vcpu.rip()),
    }
}

/// The walk of this guest, on this processor.
fn walk(guest: &Guest<'_, '_>) -> GuestPaging {
    let [address_width, ..] = __cpuid(0x8000_0008).eax.to_le_bytes();
    let has_1g = __cpuid(0x8000_0001).edx >> 26 & 1 == 1;
    let largest_page = if has_1g || !has(Feature::ExactPageWalks) { PageSize::Size1G } else { PageSize::Size2M };
    GuestPaging { address_width, largest_page, ..GuestPaging::of(&guest.vcpu) }
}

fn some_state(paging: Paging, is_user: bool, random: &mut Random) -> CpuState {
    let features = __cpuid(7).ebx;
    let mut coin = || random.below(2) == 0;
    let base = Mode::Long.state();
    let cr0 = Cr0::new().with_pe(true).with_pg(true).with_et(true).with_ne(true).with_wp(coin());
    let cr4 = Cr4::new()
        .with_pse(coin() || paging != Paging::Bits32)
        .with_pae(paging != Paging::Bits32)
        .with_smep(coin() && features >> 7 & 1 == 1)
        .with_smap(coin() && features >> 20 & 1 == 1);
    let is_long = paging == Paging::Four;
    let efer = Efer::new().with_lme(is_long).with_lma(is_long).with_nxe(coin());
    let code = if is_long { SegmentAccessRights::CODE64 } else { SegmentAccessRights::CODE32 };
    let level = if is_user { 3 } else { 0 };
    let selector = |index: u16| index << 3 | u16::from(level);
    let data = Segment::flat(selector(2), SegmentAccessRights::DATA32.with_dpl(level));
    CpuState {
        rsp: STACK,
        rflags: Rflags::new().with_ac(coin()),
        cr0,
        cr3: if paging == Paging::Pae { OWN[1] } else { OWN[0] },
        cr4,
        efer,
        cs: Segment::flat(selector(1), code.with_dpl(level)),
        ss: data,
        ds: data,
        es: data,
        fs: data,
        gs: data,
        gprs: x86_virt::Gprs { rbx: paging.target(), rsi: DATA, ..base.gprs },
        ..base
    }
}

/// Entries that lead to the page, with up to two bits turned over.
fn some_entries(paging: Paging, random: &mut Random) -> [u64; 4] {
    let path = paging.path();
    let last = path.len() - 1;
    let mut entries = [0; 4];
    let tables = [OTHER[0], OTHER[1], OTHER[2]];
    for (level, entry) in entries.iter_mut().enumerate().take(path.len()) {
        let next = tables.iter().rev().nth(last.saturating_sub(level + 1)).copied().unwrap_or(PAGE);
        *entry = if level == last { PAGE } else { next } | P | W | U;
    }
    // PDPTE registers have neither rights nor flags, and an entry of VMX fails for their reserved bits.
    let first = usize::from(paging == Paging::Pae);
    if let Some(entry) = entries.first_mut().filter(|_| paging == Paging::Pae) {
        *entry &= !(W | U);
    }
    // A large page at address 0 has the same byte, since the bits of the target below it do.
    let large = first.max(last.saturating_sub(1 + random.index(2)));
    if random.below(3) == 0
        && let Some(entry) = entries.get_mut(large)
        && large < last
    {
        *entry = P | W | U | PS;
    }
    for _ in 0..random.below(3) {
        let position = first + random.index(path.len() - first);
        let bit = if paging == Paging::Bits32 {
            random.one_of(&[0, 1, 2, 1, 2, 5, 6, 8, 9])
        } else {
            random.one_of(&[0_u64, 1, 2, 1, 2, 5, 6, 8, 9, 11, 51, 52, 62, 63, 63])
        };
        if let Some(entry) = entries.get_mut(position) {
            *entry ^= 1 << bit;
        }
    }
    entries
}

fn write_entry(guest: &Guest<'_, '_>, paging: Paging, at: u64, entry: u64) -> Outcome {
    Ok(guest.ram.write(at, entry.to_le_bytes().get(..paging.entry_bytes()).unwrap_or_default())?)
}

fn read_path(guest: &Guest<'_, '_>, paging: Paging) -> Outcome<[u64; 4]> {
    let mut entries = [0; 4];
    for (at, slot) in paging.path().iter().zip(&mut entries) {
        let mut bytes = [0; 8];
        guest.ram.read(*at, bytes.get_mut(..paging.entry_bytes()).unwrap_or_default())?;
        *slot = u64::from_le_bytes(bytes);
    }
    Ok(entries)
}
