//! A page that one processor replaces while another reads it: no reader may see a page that was replaced before.
#![expect(unsafe_code, reason = "maps memory at a fixed address and reads it by pointer")]

use core::num::NonZero;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};
use nix::unistd::Pid;

const PAGE: usize = 4096;
const ROUNDS: u64 = 1000;

/// The number in the page that is there now, at least.
static PUBLISHED: AtomicU64 = AtomicU64::new(0);
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// Replaces the page on processor 1 while processor 0 reads it.
pub(crate) fn run() -> Result<(), String> {
    let page = map(None)?;
    let address = page.addr();
    let reader = thread::spawn(move || read(address));
    stay_on(1)?;
    for number in 1..=ROUNDS {
        let page = map(Some(address))?;
        let word = page.cast::<AtomicU64>();
        // SAFETY: the page was just mapped for reads and writes, is aligned, and is accessed by atomics only.
        unsafe { word.as_ref() }.store(number, Ordering::Release);
        PUBLISHED.store(number, Ordering::Release);
        if number % 16 == 0 {
            thread::yield_now();
        }
    }
    IS_OVER.store(true, Ordering::Release);
    reader.join().map_err(|_| "the reader panicked".to_owned())?
}

/// Maps a fresh page, at `address` in place of what is there, or anywhere.
fn map(address: Option<NonZero<usize>>) -> Result<NonNull<u8>, String> {
    let (length, access) = (NonZero::new(PAGE).ok_or("no page")?, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
    let fixed = if address.is_some() { MapFlags::MAP_FIXED } else { MapFlags::empty() };
    // SAFETY: in place of a page that this module has mapped, and which is read by pointer and atomically only.
    let page = unsafe { mmap_anonymous(address, length, access, MapFlags::MAP_PRIVATE | fixed) };
    Ok(page.map_err(|error| format!("cannot map a page: {error}"))?.cast())
}

fn read(address: NonZero<usize>) -> Result<(), String> {
    stay_on(0)?;
    let word = core::ptr::with_exposed_provenance::<AtomicU64>(address.get());
    while !IS_OVER.load(Ordering::Acquire) {
        let published = PUBLISHED.load(Ordering::Acquire);
        // SAFETY: a page is mapped there as long as the program runs, and it is accessed by atomics only.
        let seen = unsafe { &*word }.load(Ordering::Acquire);
        // A page that has just been mapped has 0 in it.
        if seen != 0 && seen < published {
            return Err(format!("page {seen} was read after page {published} was there"));
        }
    }
    Ok(())
}

fn stay_on(processor: usize) -> Result<(), String> {
    let mut set = CpuSet::new();
    set.set(processor).map_err(|error| error.to_string())?;
    sched_setaffinity(Pid::from_raw(0), &set).map_err(|error| format!("processor {processor}: {error}"))
}
