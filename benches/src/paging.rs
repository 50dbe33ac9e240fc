//! What nested page tables cost: `cargo run --release -p benches`.
//!
//! Each workload is timed next to the stores that it cannot do without, in turns, and the median of the ratios is printed:
//! absolute times say nothing on a shared machine, and the ratios say something only on a quiet one. Instructions are counted with callgrind, whose
//! `--toggle-collect=*paging::w3*`, for example, counts one workload.
#![expect(unsafe_code, reason = "makes frames from the heap")]

use core::alloc::Layout;
use core::hint::black_box;
use core::ptr::NonNull;
use core::time::Duration;
use std::alloc::alloc;
use std::time::Instant;

use x86_virt::ept::{EptCapabilities, EptFormat};
use x86_virt::npt::{NptFormat, Pat};
use x86_virt::{Access, AddressSpace, DirectMap, Format, FramePool, Gpa, Hpa};

/// Frames of the pool: 4 GiB in pages of 4 KiB take 2,053.
const FRAMES: usize = 4096;
const ROUNDS: u32 = 11;
const GIB: u64 = 1 << 30;

type Pool = FramePool<FRAMES>;
type Space<'p, F> = AddressSpace<'static, F, &'p Pool>;

fn main() {
    let pool = pool();
    let ept = EptFormat::new(EptCapabilities::from_bits(0x3_40c1), 52).expect("the capabilities suffice");
    let npt = NptFormat::new(Pat::RESET, 52).expect("the width is one").with_1g_pages().with_no_execute();
    println!("time of each workload, as a multiple of the time of its stores alone");
    run("EPT", ept, pool);
    run("NPT", npt, pool);
}

fn run<F: Format>(format: &str, entries: F, pool: &Pool) {
    let ratios = |name, count, workload: &dyn Fn() -> Duration| {
        let mut rounds: Vec<_> = (0..ROUNDS).map(|_| workload().div_duration_f64(stores(count))).collect();
        rounds.sort_by(f64::total_cmp);
        let median = rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN);
        println!("{format} {name:40} {median:8.2}");
    };
    let space = || AddressSpace::new(entries, pool).expect("the pool has frames");
    ratios("w2: map 64 GiB, 2 MiB pages", 32_768, &|| {
        let space = space();
        timed(|| w2(&space))
    });
    ratios("w3: map 4 GiB, 4 KiB pages", 1 << 20, &|| {
        let space = space();
        timed(|| w3(&space))
    });
    ratios("w6: split 512 pages of 2 MiB", 512 * 512, &|| {
        let space = space();
        w2(&space);
        timed(|| w6(&space))
    });
    ratios("w7: unmap 4 GiB of 4 KiB pages", 1 << 20, &|| {
        let space = space();
        w3(&space);
        timed(|| w7(&space))
    });
}

fn timed(workload: impl FnOnce()) -> Duration {
    let start = Instant::now();
    workload();
    start.elapsed()
}

/// The time of storing so many entries one after the other into memory that is there.
fn stores(count: usize) -> Duration {
    let mut entries = vec![1_u64; count];
    let start = Instant::now();
    for (value, entry) in (0..).step_by(4096).zip(black_box(&mut entries)) {
        *entry = value;
    }
    black_box(&entries);
    start.elapsed()
}

/// Maps 64 GiB in pages of 2 MiB.
#[inline(never)]
fn w2<F: Format>(space: &Space<'_, F>) {
    map(space, 64 * GIB, Hpa::new(1 << 21));
}

/// Maps 4 GiB in pages of 4 KiB.
#[inline(never)]
fn w3<F: Format>(space: &Space<'_, F>) {
    map(space, 4 * GIB, Hpa::new(1 << 12));
}

/// Takes write permission from one page of 4 KiB in each of 512 pages of 2 MiB.
#[inline(never)]
fn w6<F: Format>(space: &Space<'_, F>) {
    for start in (0x5000..GIB).step_by(1 << 21) {
        let range = Gpa::new(start)..Gpa::new(start + 0x1000);
        space.protect(range, Access::RX).expect("it is mapped").at_next_entry();
    }
}

/// Unmaps 4 GiB of pages of 4 KiB.
#[inline(never)]
fn w7<F: Format>(space: &Space<'_, F>) {
    space.unmap(Gpa::new(0)..Gpa::new(4 * GIB)).expect("it is mapped").at_next_entry();
}

fn map<F: Format>(space: &Space<'_, F>, bytes: u64, hpa: Hpa) {
    // SAFETY: no processor uses the tables.
    let mapped = unsafe { space.map_physical(Gpa::new(0)..Gpa::new(bytes), hpa, Access::ALL) };
    mapped.expect("nothing is mapped, and the pool has frames");
}

/// A pool of frames on the heap, for ever; physical addresses are virtual ones.
fn pool() -> &'static Pool {
    let layout = Layout::from_size_align(FRAMES * 4096, 4096).expect("it is a layout");
    // SAFETY: the size is not zero.
    let start = NonNull::new(unsafe { alloc(layout) }).expect("there is memory");
    // SAFETY: the memory is that long. Frames come with any content, and their pages are there.
    unsafe { start.write_bytes(0xa5, layout.size()) };
    let base = u64::try_from(start.as_ptr().expose_provenance()).unwrap_or(0);
    let end = base + u64::try_from(layout.size()).unwrap_or(0);
    // SAFETY: the memory is mapped at its own address, and used through the pool only.
    let map = unsafe { DirectMap::new(0, Hpa::new(1 << 47)) };
    let pool: &'static Pool = Box::leak(Box::new(Pool::new(Hpa::new(base), map)));
    // SAFETY: as above.
    unsafe { pool.donate(Hpa::new(base)..Hpa::new(end)) }.expect("it is the window of the pool");
    pool
}
