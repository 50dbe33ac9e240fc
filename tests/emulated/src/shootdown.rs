//! Changes of an address space while guests run in it on other processors.

use core::sync::atomic::{AtomicUsize, Ordering};

use x86_virt::{AccessError, Gpa, GuestMemory, GuestRam, PageSize, Processor, Space, Vcpu};

use crate::bench::{Bench, Frames, guest_ram};
use crate::code;
use crate::feature::is_tcg;
use crate::flushes::{counts, expected};
use crate::guest::{DATA, load, page, space};
use crate::harness::{Outcome, ensure, ensure_eq};
use crate::together::{Guests, Leader};

/// Where guests count their rounds, by processor.
const ROUNDS: u64 = 0x2_0000;
/// The number that holds since the last change.
const RESOLVED: u64 = 0x3_0000;
/// The two places that the page at [`DATA`] is mapped to in turn.
const PLACES: [u64; 2] = [0x4_0000, 0x5_0000];

const fn rounds_of(processor: u64) -> u64 {
    ROUNDS + 0x40 * processor
}

fn word(space: &Space<'static, Frames>, address: u64) -> Result<u64, AccessError> {
    let mut bytes = [0; 8];
    space.read(Gpa::new(address), &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

impl Leader<'_> {
    /// Waits until each guest has gone through two more rounds, so that it has begun and ended one meanwhile.
    fn wait_for_progress(&self) -> Outcome {
        for processor in 1..=u64::try_from(self.last)? {
            let address = rounds_of(processor);
            let before = word(self.space, address)?;
            // A word that is read while it is written may be too large, which a later look tells.
            self.wait(|| (0..2).all(|_| word(self.space, address).is_ok_and(|now| now >= before + 2)))?;
        }
        Ok(())
    }
}

/// From when the token of a change is resolved no guest reads what was before, on whichever processor; and each processor
/// invalidates once for each change, however often it enters.
pub(crate) fn stale_translations_are_not_used(bench: &Bench) -> Outcome {
    /// The number that the guests compare fits a byte, which is written at once.
    const CHANGES: u64 = 200;
    static GUESTS: Guests = Guests::new();
    if bench.processor != 0 {
        let own = u64::try_from(bench.processor)?;
        return GUESTS.follow(
            bench,
            |guest| {
                let gprs = guest.vcpu.gprs_mut();
                (gprs.rsi, gprs.r8, gprs.r9) = (rounds_of(own), RESOLVED, DATA);
                Ok(())
            },
            |guest, entries| {
                let expected = expected(&guest.vcpu, 1, CHANGES, 0)?;
                ensure_eq!(counts(&guest.vcpu)?, expected, "what was invalidated in {entries} entries");
                ensure!(entries > 2 * CHANGES, "{entries} entries are too few");
                Ok(())
            },
        );
    }
    let ram = bench.ram();
    load(&ram, code::shared_reader())?;
    let make = |root: &x86_virt::Root<'_, Frames>| {
        let space = space(root, &ram)?;
        space.remap(page(DATA), &ram, PLACES[0])?.at_next_entry();
        Ok(space)
    };
    GUESTS.lead(bench, machine::processors() - 1, make, |leader| {
        leader.wait_for_progress()?;
        for (number, place) in (1..=CHANGES).zip(PLACES.iter().rev().cycle()) {
            ram.write(*place, &number.to_le_bytes())?;
            let token = leader.space.remap(page(DATA), &ram, *place)?;
            leader.kick()?;
            token.at_next_entry();
            ram.write(RESOLVED, &number.to_le_bytes())?;
            leader.wait_for_progress()?;
            // Entries without a change before them.
            leader.kick()?;
            leader.wait_for_progress()?;
        }
        Ok(())
    })
}

/// How often the pages are split and merged: 10 000 splits and merges in all, on one machine of each kind, with two processors and
/// optimized; elsewhere a tenth.
fn turns() -> u64 {
    let processor = Processor::detect();
    let is_chosen = is_tcg() || ["i7-4770", "Ryzen"].iter().any(|name| processor.brand().contains(name));
    if is_chosen && machine::processors() == 2 && !cfg!(debug_assertions) { 625 } else { 63 }
}

/// Guests on another processor read and execute a range while it is split into small pages; they leave for the moment in which it
/// is merged again, as `merge` asks for. They see no fault and no wrong byte, and invalidate once each time.
pub(crate) fn splits_and_merges_are_not_seen(bench: &Bench) -> Outcome {
    const REGION: u64 = 0x1000_0000;
    const LARGE: u64 = 0x20_0000;
    const PAGES: u64 = 8;
    static GUESTS: Guests = Guests::new();
    static ENTRIES: AtomicUsize = AtomicUsize::new(0);
    if bench.processor > 1 {
        return Ok(());
    }
    if bench.processor == 1 {
        return GUESTS.follow(
            bench,
            |guest| {
                let gprs = guest.vcpu.gprs_mut();
                (gprs.rsi, gprs.r8, gprs.r9) = (rounds_of(1), REGION, PAGES * LARGE);
                Ok(())
            },
            |guest, entries| {
                let expected = expected(&guest.vcpu, 1, turns(), 0)?;
                ensure_eq!(counts(&guest.vcpu)?, expected, "what was invalidated in {entries} entries");
                ENTRIES.store(usize::try_from(entries)?, Ordering::Relaxed);
                Ok(())
            },
        );
    }
    let ram = bench.ram();
    load(&ram, code::shared_caller())?;
    let region = guest_ram(PAGES * LARGE, LARGE);
    fill_with_numbers(&region)?;
    let range = Gpa::new(REGION)..Gpa::new(REGION + PAGES * LARGE);
    let make = |root: &x86_virt::Root<'_, Frames>| {
        let space = space(root, &ram)?;
        space.map(range.clone(), &region, 0, x86_virt::Access::ALL)?;
        Ok(space)
    };
    let pages = || {
        (REGION..)
            .step_by(0x20_0000)
            .take(usize::try_from(PAGES).unwrap_or(0))
            .map(|start| Gpa::new(start)..Gpa::new(start + LARGE))
    };
    let size = |leader: &Leader<'_>| leader.space.translate(Gpa::new(REGION)).map(|to| to.size);
    GUESTS.lead(bench, 1, make, |leader| {
        leader.wait_for_progress()?;
        for _ in 0..turns() {
            for page in pages() {
                leader.space.split(page, PageSize::Size4K)?.at_next_entry();
                core::hint::spin_loop();
            }
            ensure_eq!(size(leader), Some(PageSize::Size4K), "size after splitting");
            leader.while_out(|| {
                for page in pages() {
                    leader.space.merge(page)?.at_next_entry();
                }
                Ok(())
            })?;
            ensure_eq!(size(leader), Some(PageSize::Size2M), "size after merging");
        }
        leader.wait_for_progress()
    })?;
    let (entries, turns) = (ENTRIES.load(Ordering::Relaxed), usize::try_from(turns())?);
    ensure!((turns..=turns + 2).contains(&entries), "{entries} entries for {turns} turns");
    Ok(())
}

/// MOV EAX, number; RET in each page of 4 KiB, and the number in the second word.
fn fill_with_numbers(region: &GuestRam<'static>) -> Outcome {
    for number in 0..region.bytes() / 0x1000 {
        let [a, b, c, d, ..] = number.to_le_bytes();
        region.write(0x1000 * number, &[0xb8, a, b, c, d, 0xc3])?;
        region.write(0x1000 * number + 8, &number.to_le_bytes())?;
    }
    Ok(())
}
