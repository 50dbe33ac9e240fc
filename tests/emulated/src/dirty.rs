//! Dirty logs: what a guest writes is found, and nothing else, by each method that the processor has.

use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::AtomicU64;

use x86_virt::vmx::SecondaryControls;
use x86_virt::{
    Access, DirtyLog, ExitKind, Gpa, LogMethod, Mapping, PageFlags, PageSize, Root, Space, Vcpu, VcpuConfig,
};

use crate::bench::{Bench, Frames, RAM_BYTES};
use crate::guest::{CODE, DATA, Guest, Mode, load};
use crate::harness::{Failure, Outcome, ensure_eq};

/// The guest has its memory four times, so that it has more pages than a log holds.
const END: u64 = 4 * RAM_BYTES;
const PAGES: Range<Gpa> = Gpa::new(0)..Gpa::new(END);
const WORDS: usize = DirtyLog::words(&PAGES);

/// One for each processor.
static BITS: [[AtomicU64; WORDS]; machine::MAX_PROCESSORS] =
    [const { [const { AtomicU64::new(0) }; WORDS] }; machine::MAX_PROCESSORS];

/// LODSD; MOV [EAX], EAX; LOOP to the start; HLT.
const WRITE_LIST: [u8; 6] = [0xad, 0x89, 0x00, 0xe2, 0xfb, 0xf4];
/// MOV [EDI], EBX; ADD EDI, 1000H; LOOP to the start; HLT.
pub(crate) const WRITE_RANGE: [u8; 11] = [0x89, 0x1f, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0xe2, 0xf6, 0xf4];

/// The methods that can be used with the space.
pub(crate) fn methods(space: &Space<'static, Frames>, log: DirtyLog<'static>) -> Vec<LogMethod> {
    let all = [LogMethod::WriteProtection, LogMethod::DirtyFlags, LogMethod::PageModificationLog];
    let can = |method: &LogMethod| {
        // Nothing is split for the question.
        let log = log.method(*method).largest(PageSize::Size2M);
        let started = space.start_dirty_log(log).map(|token| token.at_next_entry());
        started.and_then(|()| space.stop_dirty_log()).is_ok()
    };
    all.into_iter().filter(can).collect()
}

/// A guest without paging of its own, so that it writes nothing but what it is told to.
fn with_guest(bench: &Bench, code: &[u8], test: impl Fn(&mut Guest<'_, '_>, DirtyLog<'static>) -> Outcome) -> Outcome {
    let bits = BITS.get(bench.processor).map(<[_; _]>::as_slice).unwrap_or_default();
    let log = DirtyLog::new(PAGES, bits);
    let mut root = bench.enter()?;
    let space = space_in_large_pages(&root, bench)?;
    let methods = methods(&space, log);
    ensure_eq!(methods.last(), Some(&best_method(&root)), "the best method");
    for method in methods {
        let ram = bench.ram();
        load(&ram, code)?;
        let vcpu = root.vcpu(&space, &VcpuConfig::new())?;
        let mut guest = Guest { vcpu, space: &space, ram };
        guest.vcpu.set_state(&Mode::Protected.state())?;
        test(&mut guest, log.method(method)).map_err(|why| Failure::new(alloc::format!("by {method}: {why}")))?;
        drop(guest);
        space.merge(PAGES)?.at_next_entry();
    }
    Ok(())
}

/// What the capabilities of the processor promise.
fn best_method(root: &Root<'_, Frames>) -> LogMethod {
    match root {
        Root::Vmx(root) if !root.capabilities().ept().accessed_dirty() => LogMethod::WriteProtection,
        Root::Vmx(root) if root.capabilities().secondary().may_be_one().contains(SecondaryControls::ENABLE_PML) => {
            LogMethod::PageModificationLog
        }
        _ => LogMethod::DirtyFlags,
    }
}

fn space_in_large_pages(root: &Root<'_, Frames>, bench: &Bench) -> Outcome<Space<'static, Frames>> {
    let (space, ram) = (root.address_space()?, bench.ram());
    for start in (0..END).step_by(usize::try_from(RAM_BYTES)?) {
        let pages = Gpa::new(start)..Gpa::new(start + RAM_BYTES);
        space.map(pages, &ram, 0, Mapping::new(Access::ALL).exactly(PageSize::Size2M))?;
    }
    Ok(space)
}

impl Guest<'_, '_> {
    /// Has the guest write to these addresses.
    fn write_list(&mut self, addresses: &[u32]) -> Outcome {
        for (offset, address) in (DATA..).step_by(4).zip(addresses) {
            self.ram.write(offset, &address.to_le_bytes())?;
        }
        self.vcpu.set_rip(CODE);
        let gprs = self.vcpu.gprs_mut();
        (gprs.rsi, gprs.rcx) = (DATA, u64::try_from(addresses.len())?);
        self.expect(ExitKind::Hlt)
    }

    /// Has the guest write `value` to so many pages, 16 bytes before their ends.
    fn write_range(&mut self, first: u64, pages: u64, value: u64) -> Outcome {
        self.vcpu.set_rip(CODE);
        let gprs = self.vcpu.gprs_mut();
        (gprs.rdi, gprs.rcx, gprs.rbx) = (first * 0x1000 + 0xff0, pages, value);
        self.expect(ExitKind::Hlt)
    }

    /// What the log has found, as numbers of pages.
    fn expect_dirty(&self, pages: &[Range<u64>], when: &str) -> Outcome {
        let mut bits = [u64::MAX; WORDS];
        let (found, cleared) = self.space.collect_dirty(&mut bits)?;
        cleared.at_next_entry();
        let found: Vec<_> = found.map(|range| range.start.get() / 0x1000..range.end.get() / 0x1000).collect();
        ensure_eq!(found.as_slice(), pages, "dirty pages {when}");
        Ok(())
    }
}

/// A known set of pages is found, once, and then another one; also after the log was stopped and started again.
pub(crate) fn pages_are_found_once(bench: &Bench) -> Outcome {
    with_guest(bench, &WRITE_LIST, |guest, log| {
        // Before the log is started: these count no more.
        guest.write_list(&[0x2_0000, 0x3_0ffc])?;
        for _ in 0..2 {
            guest.space.start_dirty_log(log)?.at_next_entry();
            guest.expect_dirty(&[], "after the start")?;
            guest.write_list(&[0x2_0000, 0x2_1004, 0x2_0008, 0x40_0000, 0x7f_fffc, 0x3_5123])?;
            guest.expect_dirty(&[0x20..0x22, 0x35..0x36, 0x400..0x401, 0x7ff..0x800], "at first")?;
            guest.expect_dirty(&[], "after they were found")?;
            guest.write_list(&[0x2_1000, 0x2_ffff - 3])?;
            guest.expect_dirty(&[0x21..0x22, 0x2f..0x30], "the second time")?;
            // A word that lies in two pages makes both dirty.
            guest.write_list(&[0x4_0ffe])?;
            guest.expect_dirty(core::slice::from_ref(&(0x40..0x42)), "of a word in two pages")?;
            guest.space.mark_dirty(Gpa::new(0x5_0000)..Gpa::new(0x5_0001));
            guest.expect_dirty(core::slice::from_ref(&(0x50..0x51)), "that the host has marked")?;
            guest.write_list(&[0x6_0000])?;
            guest.space.stop_dirty_log()?;
            guest.write_list(&[0x2_0000, 0x7_0000])?;
        }
        Ok(())
    })
}

/// More pages than the log of a processor holds, in one run.
pub(crate) fn more_than_a_log_holds(bench: &Bench) -> Outcome {
    with_guest(bench, &WRITE_RANGE, |guest, log| {
        guest.space.start_dirty_log(log)?.at_next_entry();
        for round in 0..2 {
            // 512 fill the log, and 513 are one too many.
            for (first, pages) in [(0, 2048), (5, 511), (6, 512), (7, 513), (8, 1500)] {
                guest.write_range(first, pages, round)?;
                guest.expect_dirty(core::slice::from_ref(&(first..first + pages)), "in one run")?;
            }
            for first in (0..2048).step_by(4) {
                guest.write_range(first, 2, round)?;
            }
            let pairs: Vec<_> = (0..2048).step_by(4).map(|first| first..first + 2).collect();
            guest.expect_dirty(&pairs, "in many runs")?;
        }
        guest.space.stop_dirty_log()?;
        Ok(())
    })
}

/// Pages of 2 MiB stay, and are dirty as a whole.
pub(crate) fn large_pages_stay(bench: &Bench) -> Outcome {
    with_guest(bench, &WRITE_RANGE, |guest, log| {
        guest.space.start_dirty_log(log.largest(PageSize::Size2M))?.at_next_entry();
        for _ in 0..2 {
            guest.write_range(0x203, 1, 1)?;
            guest.write_range(0x2ff, 2, 1)?;
            guest.write_range(0x7ff, 1, 1)?;
            guest.expect_dirty(&[0x200..0x400, 0x600..0x800], "in large pages")?;
            guest.expect_dirty(&[], "after they were found")?;
        }
        let size = guest.space.translate(Gpa::new(0x20_3000)).map(|to| to.size);
        ensure_eq!(size, Some(PageSize::Size2M), "size of a page");
        guest.space.stop_dirty_log()?;
        Ok(())
    })
}

/// Accessed and dirty flags tell what was used and what was written.
pub(crate) fn flags_are_harvested(bench: &Bench) -> Outcome {
    bench.with_guest(Mode::Protected, &WRITE_LIST, &VcpuConfig::new(), |guest| {
        let harvest = |space: &Space<'static, Frames>, flags| {
            let mut pages = Vec::new();
            let range = Gpa::new(0)..Gpa::new(RAM_BYTES);
            let harvest = space.harvest(range, flags, |page| pages.push((page.gpa.get() >> 12, page.flags)));
            harvest.map(|token| {
                token.at_next_entry();
                pages
            })
        };
        let (accessed, dirty) = (PageFlags::ACCESSED, PageFlags::DIRTY);
        if harvest(guest.space, accessed).is_err() {
            let method = LogMethod::DirtyFlags;
            let log = DirtyLog::new(PAGES, BITS.get(bench.processor).map(<[_; _]>::as_slice).unwrap_or_default());
            let started = guest.space.start_dirty_log(log.method(method)).map(|token| token.at_next_entry());
            ensure_eq!(started, Err(x86_virt::LogError::Unsupported { method }), "a log by flags, without flags");
            return Ok(());
        }
        for _ in 0..3 {
            guest.write_list(&[0x2_0000, 0x3_0000])?;
            let (code, list) = (CODE >> 12, DATA >> 12);
            let both = accessed | dirty;
            let pages = harvest(guest.space, both)?;
            ensure_eq!(pages, [(code, accessed), (list, accessed), (0x20, both), (0x30, both)], "pages used");
            ensure_eq!(harvest(guest.space, both)?, [], "pages used after the harvest");
        }
        Ok(())
    })
}
