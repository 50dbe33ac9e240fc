//! What each processor has to test with: frames, memory for a guest, and the promises about the machine.
#![expect(unsafe_code, reason = "promises about the machine")]

use alloc::boxed::Box;
use core::cell::Cell;
use core::ops::Range;
use core::ptr::NonNull;

use machine::memory;
use x86_virt::{Access, CpuPin, DirectMap, EnterError, FramePool, Gpa, GuestRam, Hpa, Root, Space};

use crate::harness::Outcome;

/// Frames of one processor: a guest of 4 GiB in pages of 4 KiB takes 2053.
pub(crate) const POOL_FRAMES: usize = 2304;
const POOL_BYTES: u64 = 2304 * 4096;
const POOLS: u64 = 0x0200_0000;

/// Bytes of guest memory of one processor, aligned to its size.
pub(crate) const RAM_BYTES: u64 = 0x20_0000;

/// The machine's memory is mapped one to one.
///
/// SAFETY: `machine` maps the first 4 GiB one to one for ever, and RAM ends at 512 MiB.
const DIRECT_MAP: DirectMap = unsafe { DirectMap::new(0, Hpa::new(0x2000_0000)) };

type Pool = FramePool<POOL_FRAMES>;

/// The allocator that the library takes frames from.
pub(crate) type Frames = &'static Pool;

const fn base(processor: u64) -> Hpa {
    Hpa::new(POOLS + processor * POOL_BYTES)
}

const fn pool(processor: u64) -> Pool {
    Pool::new(base(processor), DIRECT_MAP)
}

static FRAMES: [Pool; machine::MAX_PROCESSORS] =
    [pool(0), pool(1), pool(2), pool(3), pool(4), pool(5), pool(6), pool(7)];

/// This processor: `machine` runs one context on each, for ever.
#[derive(Debug)]
pub(crate) struct ThisProcessor;

// SAFETY: the code runs at privilege level 0 in 64-bit mode, and `machine` never moves it. Nothing else on the machine uses
// virtualization. Tests that change registers which the contract names do so while no root is entered. CR0.TS and EM are 0.
// NMIs have a stack of their own, and their handler, a few lines of assembly, only counts.
unsafe impl CpuPin for ThisProcessor {}

/// What a processor has to test with.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) processor: usize,
    pub(crate) frames: Frames,
    ram: GuestRam<'static>,
    /// Where the host reaches `ram`.
    ram_address: usize,
    pub(crate) pin: ThisProcessor,
    /// Frames that tests have lost on purpose.
    lost: Cell<usize>,
}

impl Bench {
    /// Takes what `processor` needs from the machine, once.
    pub(crate) fn new(processor: usize) -> Self {
        let index = u64::try_from(processor).expect("there are few processors");
        let frames = FRAMES.get(processor).expect("there are pools for all processors");
        let start = base(index);
        let end = base(index + 1);
        // SAFETY: the memory belongs to this pool alone: `take_memory` has taken it for all of them.
        unsafe { frames.donate(start..end) }.expect("the range is the pool's");
        let ram = guest_ram(RAM_BYTES, RAM_BYTES);
        let ram_address = usize::try_from(ram.hpa().get()).expect("usize has 64 bits");
        Self { processor, frames, ram, ram_address, pin: ThisProcessor, lost: Cell::new(0) }
    }

    /// Enables virtualization on this processor.
    pub(crate) fn enter(&self) -> Outcome<Root<'_, Frames>> {
        Ok(self.try_enter()?)
    }

    /// Enables virtualization on this processor, or says why not.
    pub(crate) fn try_enter(&self) -> Result<Root<'_, Frames>, EnterError> {
        Root::enter(&self.pin, self.frames)
    }

    /// 2 MiB of memory for a guest, filled with zeros. It is the same each time.
    pub(crate) fn ram(&self) -> GuestRam<'static> {
        let start = core::ptr::with_exposed_provenance_mut::<u8>(self.ram_address);
        let bytes = usize::try_from(self.ram.bytes()).expect("usize has 64 bits");
        // SAFETY: the memory is mapped and belongs to the guests of this processor, of which none lives between tests. One
        // write for all is faster than `GuestRam::fill` by far without optimization.
        unsafe { start.write_bytes(0, bytes) };
        self.ram
    }

    /// Fills the memory of guests from `offset` on with `bytes`, in one go.
    pub(crate) fn refill(&self, offset: usize, bytes: &[u8]) {
        self.check_part(offset, bytes.len());
        let to = core::ptr::with_exposed_provenance_mut::<u8>(self.ram_address + offset);
        // SAFETY: as in `ram`; the part is inside, and `bytes` are not of that memory, to which there are no references.
        unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Whether `bytes`, which are whole words, are what the memory of guests has from `offset` on, which is aligned.
    pub(crate) fn holds(&self, offset: usize, bytes: &[u8]) -> bool {
        self.check_part(offset, bytes.len());
        let words = bytes.chunks_exact(8).filter_map(|word| word.first_chunk().copied().map(u64::from_le_bytes));
        (offset..).step_by(8).zip(words).all(|(offset, word)| {
            let at = core::ptr::with_exposed_provenance::<u64>(self.ram_address + offset);
            // SAFETY: as in `ram`; the part is inside and aligned, and nobody writes there while no guest runs.
            unsafe { at.read_volatile() == word }
        })
    }

    fn check_part(&self, offset: usize, bytes: usize) {
        let end = offset.checked_add(bytes).and_then(|end| u64::try_from(end).ok());
        let is_inside = end.is_some_and(|end| end <= self.ram.bytes());
        assert!(is_inside && offset.is_multiple_of(8) && bytes.is_multiple_of(8), "no words in the memory of guests");
    }

    /// How many frames are free, with those that are lost on purpose.
    pub(crate) fn free_frames(&self) -> usize {
        self.frames.free_frames() + self.lost.get()
    }

    /// Takes note that `frames` are lost.
    pub(crate) fn lose(&self, frames: usize) {
        self.lost.set(self.lost.get() + frames);
    }
}

/// Frames of a processor, but no more than so many: what is left is counted down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limited<'a> {
    pub(crate) frames: Frames,
    pub(crate) left: &'a Cell<usize>,
}

// SAFETY: the pool fulfils the contract, and this only refuses some of what it would give.
unsafe impl x86_virt::Frames for Limited<'_> {
    fn allocate(&self, count: usize) -> Option<Hpa> {
        let left = self.left.get().checked_sub(count)?;
        let hpa = self.frames.allocate(count)?;
        self.left.set(left);
        Some(hpa)
    }

    unsafe fn free(&self, hpa: Hpa, count: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.frames.free(hpa, count) };
        self.left.set(self.left.get() + count);
    }

    fn pointer(&self, hpa: Hpa) -> Option<NonNull<u8>> {
        self.frames.pointer(hpa)
    }
}

/// Makes a value that all processors can refer to, until [`take_back`].
pub(crate) fn share<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

/// Drops what [`share`] made.
///
/// # Safety
///
/// `shared` came from [`share`], and nobody refers to it any more.
pub(crate) unsafe fn take_back<T>(shared: *mut T) {
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(shared) });
}

/// Takes the memory of the pools of all processors.
pub(crate) fn take_memory() {
    let processors = u64::try_from(machine::processors()).expect("there are few processors");
    let bytes = usize::try_from(processors * POOL_BYTES).expect("usize has 64 bits");
    memory::take_at(POOLS, bytes).expect("the machine has this memory");
}

/// Takes `bytes` of memory for guests for good.
pub(crate) fn guest_ram(bytes: u64, align: u64) -> GuestRam<'static> {
    let size = usize::try_from(bytes).expect("usize has 64 bits");
    let align = usize::try_from(align).expect("usize has 64 bits");
    ram(&memory::take_zeroed(size, align).expect("the machine has enough memory"))
}

/// Takes the `bytes` of memory at `address` for guests, once.
pub(crate) fn guest_ram_at(address: u64, bytes: u64) -> GuestRam<'static> {
    let size = usize::try_from(bytes).expect("usize has 64 bits");
    ram(&memory::take_at(address, size).expect("the machine has this memory"))
}

/// Maps the first GiB of the host for a guest to read.
pub(crate) fn map_first_gigabyte(space: &Space<'static, Frames>, gpa: Range<Gpa>) -> Outcome {
    // SAFETY: the guests that are run with it read ordinary memory there, and nothing allows them more.
    unsafe { space.map_physical(gpa, Hpa::new(0), Access::READ) }?;
    Ok(())
}

fn ram(region: &memory::Region) -> GuestRam<'static> {
    let bytes = u64::try_from(region.len()).expect("u64 has 64 bits");
    // SAFETY: `machine` gives the region to nobody else, and maps it one to one for ever.
    unsafe { GuestRam::new(region.as_ptr(), Hpa::new(region.address()), bytes) }.expect("regions are aligned")
}
