//! Random changes of an address space, and a guest that checks what it can read, write and execute against a plain map of pages.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use x86_virt::{
    Access, ExitKind, Gpa, Invalidation, MapError, Mapping, MemoryType, NestedFaultCause, PageSize, Vcpu, VcpuConfig,
};

use crate::bench::Bench;
use crate::differential::Random;
use crate::guest::{CODE, Guest, Mode};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

/// Where the pages are that are changed: two of 2 MiB, in the first GiB, which the guest's own tables map one to one.
const WINDOW: u64 = 0x1000_0000;
const PAGES: usize = 1024;
/// Pages of the guest's memory. The first half has its code and tables, and the guest never uses these through the window.
const HOST_PAGES: usize = 512;
const FIRST_DATA_PAGE: usize = 256;
const STEPS: usize = 240;
const PROBES: usize = 8;

/// MOV RAX, [RBX]; HLT. 16 bytes on: MOV [RBX], RAX; HLT.
const PROBE: [u8; 20] = [0x48, 0x8b, 0x03, 0xf4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x48, 0x89, 0x03, 0xf4];
/// Where a page has HLT, its number, and what the guest writes.
const HLT: u64 = 0;
const NUMBER: u64 = 8;
const WRITTEN: u64 = 16;

/// Pages of the window: some, those of a large page, or all.
fn some_pages(random: &mut Random) -> Range<usize> {
    match random.index(4) {
        0 => 0..PAGES,
        1 => {
            let first = random.index(2) * 512;
            first..first + 512
        }
        _ => {
            let first = random.index(PAGES);
            first..(first + 1 + random.index(40)).min(PAGES)
        }
    }
}

fn some_access(random: &mut Random) -> Access {
    random.one_of(&[Access::READ, Access::RW, Access::RX, Access::ALL, Access::ALL, Access::EXECUTE])
}

/// Those that every processor has, and two that not every table of nested paging can name.
fn some_type(random: &mut Random) -> MemoryType {
    match random.index(7) {
        0 => MemoryType::WriteThrough,
        1 => MemoryType::Uncacheable,
        2 => MemoryType::WriteCombining,
        3 => MemoryType::WriteProtected,
        _ => MemoryType::WriteBack,
    }
}

/// What a page of the window is mapped to: the page of the guest's memory, what is allowed, and the memory type.
type Page = Option<(usize, Access, MemoryType)>;

fn address(page: usize) -> u64 {
    WINDOW + u64::try_from(page).unwrap_or(0) * 4096
}

/// Whether tables have as many levels as the processor walks: 5 where the host's own paging has, which decides it for SVM. The other tests
/// show that it walks them: it would take each table for that of another level.
pub(crate) fn reach_as_far_as_the_host(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &PROBE, &VcpuConfig::new(), |guest| {
        let far = Gpa::new(1 << 50)..Gpa::new((1 << 50) + 0x1000);
        match (machine::arg("la57"), guest.space.map(far.clone(), &guest.ram, 0, Access::ALL)) {
            (Some(_), Ok(())) => guest.space.unmap(far)?.at_next_entry(),
            (None, Err(MapError::BeyondGuestWidth { width: 48, .. })) => {}
            (word, mapped) => fail!("la57 is {word:?}, and a page at 2^50: {mapped:?}"),
        }
        Ok(())
    })
}

/// Whether the guest finds what the changes, made one after the other, leave.
pub(crate) fn agree_with_a_plain_map(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Long, &PROBE, &VcpuConfig::new(), |guest| {
        for page in FIRST_DATA_PAGE..HOST_PAGES {
            let at = address(page) - WINDOW;
            guest.ram.write(at + HLT, &[0xf4])?;
            guest.ram.write(at + NUMBER, &at.to_le_bytes())?;
        }
        let mut random = Random::new(1, u64::try_from(bench.processor)?);
        let mut map: Vec<Page> = vec![None; PAGES];
        let (mut done, mut found) = (0, 0);
        for step in 0..STEPS {
            let pages = some_pages(&mut random);
            if change(guest, &mut random, &mut map, &pages)? {
                done += 1;
            }
            for _ in 0..PROBES {
                // Pages of the range, at its borders above all, and others.
                let page = match random.index(4) {
                    0 => pages.start.saturating_sub(1),
                    1 => pages.end.min(PAGES - 1),
                    2 => random.index(PAGES),
                    _ => pages.start + random.index(pages.len()),
                };
                let expected = map.get(page).copied().flatten();
                if expected.is_none_or(|(host, ..)| host >= FIRST_DATA_PAGE) {
                    found += usize::from(probe(guest, &mut random, page, expected, step)?);
                }
            }
        }
        ensure!(done > STEPS / 6 && found > STEPS / 3, "{done} changes were made, and {found} accesses allowed");
        Ok(())
    })
}

/// Changes the pages in the space and in the map, and says whether it could be done.
fn change(guest: &Guest<'_, '_>, random: &mut Random, map: &mut [Page], pages: &Range<usize>) -> Outcome<bool> {
    let range = Gpa::new(address(pages.start))..Gpa::new(address(pages.end));
    let space = guest.space;
    let (host, access, memory_type) = (random.index(HOST_PAGES), some_access(random), some_type(random));
    // In phase half of the time, so that there are large pages.
    let host = if random.index(2) == 0 { pages.start % 512 } else { host };
    let host = if host + pages.len() > HOST_PAGES { HOST_PAGES.saturating_sub(pages.len()) } else { host };
    let offset = address(host) - WINDOW;
    let at = map.get_mut(pages.clone()).unwrap_or_default();
    let is_mapped = at.iter().all(Option::is_some);
    let mut is_map = false;
    // Mostly what can be done: there are pages of both kinds in few ranges.
    let choice = if is_mapped {
        3 + random.index(6)
    } else if at.iter().all(Option::is_none) {
        0
    } else {
        random.index(9)
    };
    let result = match choice {
        0..3 => {
            is_map = true;
            let mapping = Mapping::new(access).memory_type(memory_type);
            space.map(range, &guest.ram, offset, mapping).map(|()| {
                for (page, host) in at.iter_mut().zip(host..) {
                    *page = Some((host, access, memory_type));
                }
            })
        }
        3 => space.unmap(range).map(|token| {
            token.at_next_entry();
            at.fill(None);
        }),
        4 => space.protect(range, access).map(|token| {
            token.at_next_entry();
            at.iter_mut().flatten().for_each(|page| page.1 = access);
        }),
        5 => space.remap(range, &guest.ram, offset).map(|token| {
            token.at_next_entry();
            at.iter_mut().flatten().zip(host..).for_each(|(page, host)| page.0 = host);
        }),
        6 => space.set_memory_type(range, memory_type).map(|token| {
            token.at_next_entry();
            at.iter_mut().flatten().for_each(|page| page.2 = memory_type);
        }),
        7 => space.split(range, PageSize::Size4K).map(Invalidation::at_next_entry),
        _ => {
            space.merge(range)?.at_next_entry();
            return Ok(true);
        }
    };
    match result {
        Ok(()) => Ok(true),
        // The processor has no pages that can be executed but not read, or none of such a type.
        Err(MapError::Unsupported(_)) if access == Access::EXECUTE || is_rare(memory_type) => Ok(false),
        // More than the guest's memory.
        Err(MapError::Ram(_)) if pages.len() > HOST_PAGES => Ok(false),
        Err(MapError::AlreadyMapped { .. }) if is_map && at.iter().any(Option::is_some) => Ok(false),
        Err(MapError::NotMapped { .. }) if !is_map && !is_mapped => Ok(false),
        Err(error) => fail!("pages {pages:?}: {error}"),
    }
}

/// Whether the tables of some processors cannot name the type: AMD's name what is in the PAT of the host.
fn is_rare(memory_type: MemoryType) -> bool {
    matches!(memory_type, MemoryType::WriteCombining | MemoryType::WriteProtected)
}

/// Makes the guest read, write or execute the page, and says whether it could.
fn probe(guest: &mut Guest<'_, '_>, random: &mut Random, page: usize, expected: Page, step: usize) -> Outcome<bool> {
    let kind = random.one_of(&[Access::READ, Access::WRITE, Access::EXECUTE]);
    let value = random.next();
    let (rip, offset) = match kind {
        Access::READ => (CODE, NUMBER),
        Access::WRITE => (CODE + 16, WRITTEN),
        _ => (address(page), HLT),
    };
    let target = address(page) + offset;
    guest.vcpu.set_rip(rip);
    let gprs = guest.vcpu.gprs_mut();
    (gprs.rbx, gprs.rax) = (target, value);
    let exit = guest.run()?.kind;
    let found = guest.space.translate(Gpa::new(target)).map(|to| (to.access, to.memory_type));
    ensure_eq!(found, expected.map(|(_, access, memory_type)| (access, memory_type)), "page {page} in step {step}");
    match expected {
        Some((host, access, _)) if access.contains(kind) => {
            ensure_eq!(exit, ExitKind::Hlt, "{kind} of page {page} with {access} in step {step}");
            let at = address(host) - WINDOW;
            match kind {
                Access::READ => {
                    ensure_eq!(guest.vcpu.gprs().rax, at, "what the guest read of page {page} in step {step}")
                }
                Access::WRITE => {
                    ensure_eq!(guest.word(at + WRITTEN)?, value, "what it wrote to page {page} in step {step}")
                }
                _ => ensure_eq!(guest.vcpu.rip(), target, "RIP at HLT in page {page} in step {step}"),
            }
            Ok(true)
        }
        _ => {
            let ExitKind::NestedFault(fault) = exit else {
                fail!("{exit:x?} at {kind} of page {page}, which is {expected:?}, in step {step}");
            };
            ensure_eq!((fault.gpa, fault.access), (Gpa::new(target), kind), "fault at page {page} in step {step}");
            let cause = if expected.is_some() { NestedFaultCause::Permission } else { NestedFaultCause::NotMapped };
            ensure_eq!(fault.cause, cause, "cause of the fault at page {page} in step {step}");
            Ok(false)
        }
    }
}
