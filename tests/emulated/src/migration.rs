//! Guests write on all processors while the first one copies what the dirty log finds.
#![expect(unsafe_code, reason = "takes back what all processors shared")]

use alloc::vec;
use alloc::vec::Vec;
use core::hint;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use x86_virt::{AnyVcpu, DirtyLog, ExitKind, Gpa, GuestRam, LogMethod, Root, Space, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames, RAM_BYTES, share, take_back};
use crate::dirty::{WRITE_RANGE, methods};
use crate::guest::{CODE, Mode, load, space};
use crate::harness::{Outcome, ensure, ensure_eq};

/// Runs of each guest in which it writes.
const ROUNDS: u64 = 150;
/// The pages of each guest.
const PAGES: u64 = 48;
const FIRST: u64 = 128;
const ALL: core::ops::Range<Gpa> = Gpa::new(0)..Gpa::new(RAM_BYTES);
const WORDS: usize = DirtyLog::words(&ALL);

static BITS: [AtomicU64; WORDS] = [const { AtomicU64::new(0) }; WORDS];
static SPACE: AtomicPtr<Space<'static, Frames>> = AtomicPtr::new(core::ptr::null_mut());
/// Which migration it is, from 1 on; the number after the last one tells that there is no more.
static EPOCH: AtomicUsize = AtomicUsize::new(0);
static IS_OVER: AtomicBool = AtomicBool::new(false);
/// How often the guest of each processor has left.
static EXITS: [AtomicUsize; machine::MAX_PROCESSORS] = [const { AtomicUsize::new(0) }; machine::MAX_PROCESSORS];
/// The epochs that each processor has come to the end of.
static DONE: [AtomicUsize; machine::MAX_PROCESSORS] = [const { AtomicUsize::new(0) }; machine::MAX_PROCESSORS];

fn exits(processor: usize) -> usize {
    EXITS.get(processor).map_or(0, |exits| exits.load(Ordering::Acquire))
}

fn done(processor: usize) -> usize {
    DONE.get(processor).map_or(usize::MAX, |done| done.load(Ordering::Acquire))
}

fn others() -> core::ops::Range<usize> {
    1..machine::processors()
}

/// Each method in turn: at the end the copy is what the guests have.
pub(crate) fn copy_is_complete(bench: &Bench) -> Outcome {
    let mut root = bench.enter()?;
    if bench.processor != 0 {
        return serve(bench, &mut root);
    }
    let ram = bench.ram();
    let result = lead(bench, &mut root, ram);
    IS_OVER.store(true, Ordering::Release);
    EPOCH.fetch_add(1, Ordering::AcqRel);
    while others().any(|processor| done(processor) != usize::MAX) {
        hint::spin_loop();
    }
    let shared = SPACE.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if !shared.is_null() {
        // SAFETY: from `share`; no other processor uses it any more.
        unsafe { take_back(shared) };
    }
    result
}

fn lead(bench: &Bench, root: &mut Root<'_, Frames>, ram: GuestRam<'static>) -> Outcome {
    load(&ram, &WRITE_RANGE)?;
    let shared = share(space(root, &ram)?);
    SPACE.store(core::ptr::from_ref(shared).cast_mut(), Ordering::Release);
    let log = DirtyLog::new(ALL, &BITS);
    let methods = methods(shared, log);
    ensure!(methods.contains(&LogMethod::WriteProtection), "write protection is possible everywhere");
    for method in methods {
        migrate(bench, root, shared, ram, log.method(method))
            .map_err(|why| crate::harness::Failure::new(alloc::format!("by {method}: {why}")))?;
    }
    Ok(())
}

/// Waits until each vCPU of another processor has left the guest, and entered it again, or has come to its end.
fn wait_for_exits(epoch: usize) {
    for processor in others() {
        let seen = exits(processor);
        while exits(processor) < seen + 2 && done(processor) < epoch {
            hint::spin_loop();
        }
    }
}

fn migrate(
    bench: &Bench,
    root: &mut Root<'_, Frames>,
    space: &'static Space<'static, Frames>,
    ram: GuestRam<'static>,
    log: DirtyLog<'static>,
) -> Outcome {
    let mut vcpu = root.vcpu(space, &VcpuConfig::new())?;
    vcpu.set_state(&Mode::Protected.state())?;
    let epoch = EPOCH.fetch_add(1, Ordering::AcqRel) + 1;
    // The guests run for a while before the log is started.
    wait_for_exits(epoch);
    space.start_dirty_log(log)?.at_next_entry();
    wait_for_exits(epoch);
    let mut copy = vec![0_u32; usize::try_from(RAM_BYTES >> 12)?];
    copy_pages(&ram, &mut copy, 0..RAM_BYTES >> 12)?;
    let mut bits = [0; WORDS];
    let mut found = Vec::new();
    let mut own = 0;
    loop {
        let is_last = others().all(|processor| done(processor) >= epoch) && own == ROUNDS;
        if own < ROUNDS {
            step(&mut vcpu, bench.processor, own)?;
            own += 1;
        }
        let (pages, cleared) = space.collect_dirty(&mut bits)?;
        wait_for_exits(epoch);
        cleared.at_next_entry();
        found.push(pages.total());
        for range in pages {
            copy_pages(&ram, &mut copy, range.start.get() >> 12..range.end.get() >> 12)?;
        }
        if is_last {
            break;
        }
    }
    let mut memory = copy.clone();
    copy_pages(&ram, &mut memory, 0..RAM_BYTES >> 12)?;
    ensure_eq!(copy, memory, "the copy after {} rounds, and the memory", found.len());
    ensure!(found.iter().any(|pages| *pages > 0), "nothing was dirty in {} rounds", found.len());
    let (pages, cleared) = space.collect_dirty(&mut bits)?;
    cleared.at_next_entry();
    ensure_eq!(pages.total(), 0, "dirty pages at the end");
    space.stop_dirty_log()?;
    Ok(())
}

/// Copies the word of each page that the guests write.
fn copy_pages(ram: &GuestRam<'_>, copy: &mut [u32], pages: core::ops::Range<u64>) -> Outcome {
    for page in pages {
        let mut bytes = [0; 4];
        ram.read(page * 0x1000 + 0xff0, &mut bytes)?;
        if let Some(word) = copy.get_mut(usize::try_from(page)?) {
            *word = u32::from_le_bytes(bytes);
        }
    }
    Ok(())
}

/// One run of the guest of `processor`, which writes to some of its pages.
fn step(vcpu: &mut AnyVcpu<'_, '_, 'static, Frames>, processor: usize, round: u64) -> Outcome {
    let start = round * 7 % PAGES;
    let count = (1 + round * 5 % 11).min(PAGES - start);
    let first = FIRST + PAGES * u64::try_from(processor)? + start;
    vcpu.set_rip(CODE);
    let gprs = vcpu.gprs_mut();
    (gprs.rdi, gprs.rcx, gprs.rbx) = (first * 0x1000 + 0xff0, count, 1 + round);
    ensure_eq!(vcpu.run()?.kind, ExitKind::Hlt, "exit in round {round}");
    Ok(())
}

/// The part of a processor that is not the first: a guest in each epoch.
fn serve(bench: &Bench, root: &mut Root<'_, Frames>) -> Outcome {
    let mut result = Ok(());
    for epoch in 1.. {
        while EPOCH.load(Ordering::Acquire) < epoch {
            hint::spin_loop();
        }
        if IS_OVER.load(Ordering::Acquire) {
            break;
        }
        let now = run(bench, root);
        if result.is_ok() {
            result = now;
        }
        if let Some(done) = DONE.get(bench.processor) {
            done.store(epoch, Ordering::Release);
        }
    }
    if let Some(done) = DONE.get(bench.processor) {
        done.store(usize::MAX, Ordering::Release);
    }
    result
}

fn run(bench: &Bench, root: &mut Root<'_, Frames>) -> Outcome {
    // SAFETY: from `share`, before the first epoch; it is taken back after this processor has told that it is done.
    let Some(space) = (unsafe { SPACE.load(Ordering::Acquire).as_ref() }) else { return Ok(()) };
    let mut vcpu = root.vcpu(space, &VcpuConfig::new())?;
    vcpu.set_state(&Mode::Protected.state())?;
    for round in 0..ROUNDS {
        if IS_OVER.load(Ordering::Acquire) {
            break;
        }
        let result = step(&mut vcpu, bench.processor, round);
        if let Some(exits) = EXITS.get(bench.processor) {
            exits.fetch_add(1, Ordering::AcqRel);
        }
        result?;
    }
    Ok(())
}
