//! The frames that all implementations take their tables from.
#![expect(unsafe_code, reason = "hands out memory by its address")]

use core::alloc::Layout;
use core::ptr::{NonNull, slice_from_raw_parts_mut, with_exposed_provenance_mut};
use core::sync::atomic::{AtomicU64, Ordering};
use std::alloc::alloc;
use std::sync::OnceLock;

use nix::sys::mman::{MmapAdvise, madvise};
use x86_virt::{DirectMap, Frames, Hpa};

const FRAME: u64 = 4096;
/// Tables for 64 GiB in pages of 4 KiB, and room for the tables above them.
const BYTES: u64 = 160 << 20;

/// Memory that is given out from start to end, and starts over when the arena is reset.
///
/// Its physical addresses are its virtual ones. Frames have any content: at first a pattern, later what the last user left.
/// Giving a frame back does nothing.
#[derive(Debug)]
pub(crate) struct Arena {
    start: u64,
    next: AtomicU64,
    map: DirectMap,
}

/// The arena. There is one, since some of the others find theirs without a handle.
pub(crate) fn arena() -> &'static Arena {
    static ARENA: OnceLock<Arena> = OnceLock::new();
    ARENA.get_or_init(Arena::new)
}

impl Arena {
    fn new() -> Self {
        let bytes = usize_from(BYTES);
        let layout = Layout::from_size_align(bytes, 2 << 20).expect("it is a layout");
        // SAFETY: the size is not zero.
        let memory = NonNull::new(unsafe { alloc(layout) }).expect("there is memory");
        // Pages of 2 MiB, if the system has them to give.
        // SAFETY: it only advises; the memory is ours.
        let _ = unsafe { madvise(memory.cast(), bytes, MmapAdvise::MADV_HUGEPAGE) };
        // SAFETY: the memory is that long.
        unsafe { memory.write_bytes(0xa5, bytes) };
        let start = u64::try_from(memory.as_ptr().expose_provenance()).unwrap_or(0);
        // SAFETY: the memory is mapped at its own address for ever; there is no guest memory.
        let map = unsafe { DirectMap::new(0, Hpa::new(start + BYTES)) };
        Self { start, next: AtomicU64::new(start), map }
    }

    /// Starts over.
    ///
    /// # Safety
    ///
    /// Nobody uses what was given out.
    pub(crate) unsafe fn reset(&self) {
        self.next.store(self.start, Ordering::Relaxed);
    }

    /// The address of the next frames. The program has one thread: there is no need for a locked instruction.
    #[inline]
    pub(crate) fn take(&self, count: u64) -> Option<u64> {
        let first = self.next.load(Ordering::Relaxed);
        let next = first + count * FRAME;
        if next > self.start + BYTES {
            return None;
        }
        self.next.store(next, Ordering::Relaxed);
        Some(first)
    }

    /// The next `count` entries of tables.
    pub(crate) fn entries(&self, count: u64) -> &'static mut [u64] {
        let first = self.take(count.div_ceil(FRAME / 8)).expect("the arena is large enough");
        let pointer = with_exposed_provenance_mut(usize_from(first));
        // SAFETY: the memory is valid for ever, aligned to 4 KiB, initialized, and given to this caller alone.
        unsafe { &mut *slice_from_raw_parts_mut(pointer, usize_from(count)) }
    }
}

// SAFETY: `take` gives each frame out once until `reset`, whose caller promises that nobody uses it any more. Frames are
// aligned and in an allocation that is never freed. `DirectMap` reaches all of it at its own address, and there is no
// guest memory. There is one arena.
unsafe impl Frames for &'static Arena {
    #[inline]
    fn allocate(&self, count: usize) -> Option<Hpa> {
        self.take(u64::try_from(count).ok()?).map(Hpa::new)
    }

    #[inline]
    unsafe fn free(&self, _hpa: Hpa, _count: usize) {}

    #[inline]
    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        self.map.pointer(hpa)
    }

    #[inline]
    fn direct_map(&self) -> Option<DirectMap> {
        Some(self.map)
    }
}

/// Addresses are 64 bits long here.
#[inline]
pub(crate) fn usize_from(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
