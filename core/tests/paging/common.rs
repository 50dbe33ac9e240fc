//! What the tests of address spaces share: host memory that stands for physical memory, and both formats.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::alloc::{alloc_zeroed, dealloc};

use x86_virt_core::{DirectMap, FramePool, Frames, Gpa, GuestRam, Hpa};
use x86_virt_ept::{EptCapabilities, EptControls, EptFormat};
use x86_virt_npt::{NptControls, NptFormat, Pat};

/// Where the host memory is, physically.
pub(crate) const BASE: u64 = 0x4000_0000;
/// Guest memory follows the frames of the pool at this offset from [`BASE`].
const RAM: u64 = 0x1000_0000;

/// Host memory with the physical address [`BASE`]: `frames` frames, and `ram` bytes of guest memory.
#[derive(Debug)]
pub(crate) struct Machine {
    memory: NonNull<u8>,
    layout: Layout,
    frames: u64,
    ram: u64,
}

impl Machine {
    pub(crate) fn new(frames: u64, ram: u64) -> Self {
        let bytes = usize::try_from(frames * 4096 + ram).unwrap();
        let layout = Layout::from_size_align(bytes, 4096).unwrap();
        // SAFETY: the size is not zero.
        let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
        Self { memory, layout, frames, ram }
    }

    pub(crate) fn pool<const N: usize>(&self) -> FramePool<N> {
        let address = u64::try_from(self.memory.as_ptr().expose_provenance()).unwrap();
        // SAFETY: the memory is used through pools and guest memory only, which tests drop before the machine.
        let map = unsafe { DirectMap::new(address.wrapping_sub(BASE), Hpa::new(BASE + self.frames * 4096 + self.ram)) };
        let pool = FramePool::new(Hpa::new(BASE), map);
        // SAFETY: as above.
        unsafe { pool.donate(Hpa::new(BASE)..Hpa::new(BASE + self.frames * 4096)) }.unwrap();
        pool
    }

    /// The guest memory.
    pub(crate) fn ram(&self) -> GuestRam<'_> {
        let offset = usize::try_from(self.frames * 4096).unwrap();
        // SAFETY: the offset is inside the allocation.
        let pointer = unsafe { self.memory.add(offset) };
        // SAFETY: the memory is used through pools and guest memory only.
        unsafe { GuestRam::new(pointer, Hpa::new(BASE + self.frames * 4096), self.ram) }.unwrap()
    }

    /// Guest memory with the physical address `BASE + 256 MiB` that is not there, and must not be accessed.
    pub(crate) fn phantom_ram(&self, bytes: u64) -> GuestRam<'_> {
        // SAFETY: no byte of it is accessed: the direct map does not reach it.
        unsafe { GuestRam::new(NonNull::dangling(), Hpa::new(BASE + RAM), bytes) }.unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // SAFETY: allocated by `new` with this layout.
        unsafe { dealloc(self.memory.as_ptr(), self.layout) };
    }
}

/// An allocator that fails after a number of allocations.
#[derive(Debug)]
pub(crate) struct Failing<'p, const N: usize> {
    pub(crate) pool: &'p FramePool<N>,
    pub(crate) left: AtomicUsize,
}

impl<'p, const N: usize> Failing<'p, N> {
    pub(crate) fn new(pool: &'p FramePool<N>) -> Self {
        Self { pool, left: AtomicUsize::new(usize::MAX) }
    }

    /// Allows `left` allocations from now on.
    pub(crate) fn allow(&self, left: usize) {
        self.left.store(left, Ordering::Relaxed);
    }
}

// SAFETY: the pool fulfils the contract; not to allocate is always allowed.
unsafe impl<const N: usize> Frames for &Failing<'_, N> {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        let left = self.left.load(Ordering::Relaxed).checked_sub(1)?;
        self.left.store(left, Ordering::Relaxed);
        self.pool.allocate(count)
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.pool.free(hpa, count) };
    }

    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        self.pool.pointer(hpa)
    }
}

/// Extended page tables with all page sizes and execute-only pages.
pub(crate) fn ept() -> EptFormat {
    EptFormat::new(EptCapabilities::from_bits(0x3_40c1), 46).unwrap()
}

/// Nested page tables with all page sizes and no-execute pages.
pub(crate) fn npt() -> NptFormat {
    NptFormat::new(Pat::new(0x0007_0406_0107_0406), 46).unwrap().with_1g_pages().with_no_execute()
}

/// The same with all that VM-execution controls add to it.
pub(crate) fn rich_ept() -> EptFormat {
    EptFormat::new(EptCapabilities::from_bits(0x83_40c1), 46)
        .and_then(|format| format.with_controls(EptControls::from_bits(0x1f)).with_mode_based_execute())
        .and_then(EptFormat::with_supervisor_shadow_stack)
        .and_then(EptFormat::with_paging_write)
        .and_then(EptFormat::with_guest_paging_verification)
        .and_then(EptFormat::with_sub_page_write)
        .and_then(EptFormat::with_absent_suppress_ve)
        .unwrap()
}

/// The same with all that controls of the VMCB add to it.
pub(crate) fn rich_npt() -> NptFormat {
    npt()
        .with_controls(NptControls::from_bits(3))
        .with_guest_mode_execute_trap()
        .and_then(NptFormat::with_supervisor_shadow_stack)
        .unwrap()
}

pub(crate) fn gpa(range: core::ops::Range<u64>) -> core::ops::Range<Gpa> {
    Gpa::new(range.start)..Gpa::new(range.end)
}

/// The entry of `level` for `at`, in the tables below `root`.
pub(crate) fn entry<const N: usize>(pool: &FramePool<N>, root: Hpa, levels: u8, level: u8, at: u64) -> &AtomicU64 {
    let mut table = root.get();
    for above in (level + 1..=levels).rev() {
        table = slot(pool, table, above, at).load(Ordering::Relaxed) & 0xf_ffff_ffff_f000;
    }
    slot(pool, table, level, at)
}

/// The entry for `at` in the table of `level` at this address.
pub(crate) fn slot<const N: usize>(pool: &FramePool<N>, table: u64, level: u8, at: u64) -> &AtomicU64 {
    let index = (at >> (3 + 9 * u32::from(level))) & 511;
    let pointer: NonNull<AtomicU64> = pool.pointer(Hpa::new(table + index * 8)).unwrap().cast();
    // SAFETY: an entry of a table, which is there as long as the test looks at it.
    unsafe { pointer.as_ref() }
}

/// Runs tests on all formats.
macro_rules! on_all {
    ($($name:ident => $body:ident;)*) => {
        $(
            #[test]
            fn $name() {
                $body($crate::common::ept());
                $body($crate::common::npt());
                $body($crate::common::ept().with_five_levels().unwrap());
                $body($crate::common::npt().with_five_levels());
                $body($crate::common::rich_ept());
                $body($crate::common::rich_npt());
            }
        )*
    };
}
pub(crate) use on_all;
