//! What Linux gives, by way of `kernel/shim.c`. The same in C is `kernel/shim.h`.
#![expect(unsafe_code, reason = "calls C")]

use core::ffi::c_void;
use core::fmt::{self, Write};
use core::ptr::NonNull;

use linux_module_abi::{Exit, Run};

/// A physically contiguous part of a guest's memory.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Chunk {
    pub(crate) address: u64,
    pub(crate) physical: u64,
    pub(crate) bytes: u64,
}

/// What a thread gets to run.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Job {
    pub(crate) run: Run,
    pub(crate) chunks: *const Chunk,
    pub(crate) chunk_count: u64,
    pub(crate) exits: *mut Exit,
}

const _: () = {
    assert!(size_of::<Chunk>() == 24);
    assert!(size_of::<Job>() == size_of::<Run>() + 24);
};

/// Error numbers.
pub(crate) const EBUSY: i32 = 16;
pub(crate) const ENODEV: i32 = 19;

mod c {
    use core::ffi::c_void;

    unsafe extern "C" {
        pub(super) fn shim_log(level: u32, text: *const u8, length: usize);
        pub(super) fn shim_allocate(bytes: usize) -> *mut c_void;
        pub(super) fn shim_free(block: *mut c_void);
        pub(super) fn shim_allocate_frames(count: u64) -> u64;
        pub(super) fn shim_free_frames(physical: u64, count: u64);
        pub(super) safe fn shim_direct_map() -> u64;
        pub(super) fn shim_pin(processor: *mut u32) -> *mut c_void;
        pub(super) fn shim_unpin();
        pub(super) safe fn shim_is_over() -> i32;
        pub(super) safe fn shim_give_up() -> !;
    }
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level {
    Error = 0,
    Information = 1,
}

/// Writes a line to the kernel's log. It is cut where the room for it ends.
pub(crate) fn log(level: Level, text: fmt::Arguments<'_>) {
    let mut line = Line::default();
    // What does not fit is left out.
    let _ = line.write_fmt(text);
    let text = line.text();
    let level = match level {
        Level::Error => 0,
        Level::Information => 1,
    };
    // SAFETY: the text is initialized for its length, and only read.
    unsafe { c::shim_log(level, text.as_ptr(), text.len()) };
}

/// Text on the stack.
pub(crate) struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; 256], length: 0 }
    }
}

impl Line {
    pub(crate) fn text(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            *self.bytes.get_mut(self.length).ok_or(fmt::Error)? = byte;
            self.length += 1;
        }
        Ok(())
    }
}

/// A block of the kernel's heap, aligned to the next power of two of its size.
pub(crate) fn allocate(bytes: usize) -> *mut u8 {
    // SAFETY: no condition but that of any function of the kernel: not from an NMI, where no Rust code of the module runs.
    unsafe { c::shim_allocate(bytes) }.cast()
}

/// Gives a block back.
///
/// # Safety
///
/// It is from [`allocate`], was not given back before, and nobody uses it.
pub(crate) unsafe fn free(block: *mut u8) {
    // SAFETY: the caller's promise is the same.
    unsafe { c::shim_free(block.cast()) };
}

/// The physical address of `count` contiguous pages of the kernel's, which are the caller's from now on.
pub(crate) fn allocate_frames(count: usize) -> Option<u64> {
    let count = u64::try_from(count).ok()?;
    // SAFETY: as for `allocate`.
    let physical = unsafe { c::shim_allocate_frames(count) };
    (physical != u64::MAX).then_some(physical)
}

/// Gives pages back.
///
/// # Safety
///
/// `physical` is from [`allocate_frames`] of `count`, was not given back before, and neither software nor a processor uses the pages.
pub(crate) unsafe fn free_frames(physical: u64, count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    // SAFETY: the caller's promise is the same.
    unsafe { c::shim_free_frames(physical, count) };
}

/// The address of physical address 0 in the kernel's map of all memory.
pub(crate) fn direct_map() -> u64 {
    c::shim_direct_map()
}

/// Whether the guest of this thread must end: its time is over, or nobody waits for it any more.
pub(crate) fn is_over() -> bool {
    c::shim_is_over() != 0
}

/// Ends the thread without running any more of it; whoever waits for it gets an error.
pub(crate) fn give_up() -> ! {
    c::shim_give_up()
}

/// The thread stays on its processor, with interrupts disabled, until this is dropped.
pub(crate) struct Pinned {
    pub(crate) processor: u32,
    /// What [`enter`](crate::entry) has left for the processor.
    pub(crate) slot: Option<NonNull<c_void>>,
    _here: core::marker::PhantomData<*mut ()>,
}

impl Pinned {
    /// Called by the threads of guests, which have interrupts and preemption enabled, and not twice at a time.
    pub(crate) fn new() -> Self {
        let mut processor = 0;
        // SAFETY: it writes the number of the processor, and keeps the thread there.
        let slot = unsafe { c::shim_pin(&raw mut processor) };
        Self { processor, slot: NonNull::new(slot), _here: core::marker::PhantomData }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: `new` has disabled what this enables.
        unsafe { c::shim_unpin() };
    }
}
