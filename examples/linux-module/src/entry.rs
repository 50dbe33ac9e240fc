//! What C calls.
#![expect(unsafe_code, reason = "is called by C")]

use core::ffi::c_void;
use core::ptr::NonNull;

use x86_virt::{CpuState, Processor};

use crate::kernel::{self, EBUSY, ENODEV, Job, Level};
use crate::{processor, task};

/// Does once what later must not allocate: with interrupts disabled, the kernel gives memory less readily.
#[unsafe(no_mangle)]
extern "C" fn demo_warm_up() -> i32 {
    let processor = Processor::detect();
    match processor.vendor() {
        Some(vendor) => kernel::log(Level::Information, format_args!("{vendor} on {}", processor.brand())),
        None => {
            kernel::log(Level::Error, format_args!("the processor has neither VMX nor SVM"));
            return -ENODEV;
        }
    }
    x86_virt::decode::prepare();
    0
}

/// Makes this processor a host, and leaves in `slot` what [`demo_leave`] takes.
///
/// # Safety
///
/// `slot` may be written to. The caller stays on the processor with interrupts disabled.
#[unsafe(no_mangle)]
unsafe extern "C" fn demo_enter(slot: *mut *mut c_void) -> i32 {
    match processor::enter() {
        Ok(root) => {
            // SAFETY: the caller's promise.
            unsafe { slot.write(root.as_ptr()) };
            0
        }
        Err(error) => {
            kernel::log(Level::Error, format_args!("{error}"));
            if error.is_in_use() { -EBUSY } else { -ENODEV }
        }
    }
}

/// Ends what [`demo_enter`] began.
///
/// # Safety
///
/// `slot` is from it, on this processor, and this is its end. The caller stays on the processor with interrupts disabled.
#[unsafe(no_mangle)]
unsafe extern "C" fn demo_leave(slot: *mut c_void) {
    if let Some(slot) = NonNull::new(slot) {
        // SAFETY: the caller's promise.
        unsafe { processor::leave(slot) };
    }
}

/// Runs a guest to its end, in a thread of its own.
///
/// # Safety
///
/// - `job` is the thread's until the call returns, with as many chunks as it says, each pages that nobody else uses, and room for as many exits as its
///   `run` says.
/// - Interrupts and preemption are enabled.
#[unsafe(no_mangle)]
unsafe extern "C" fn demo_run(job: *mut Job) {
    // SAFETY: the caller's promise.
    let job = unsafe { &mut *job };
    let count = usize::try_from(job.chunk_count).unwrap_or(0);
    // SAFETY: the caller's promise; the shim has allocated them.
    let chunks = unsafe { core::slice::from_raw_parts(job.chunks, count) };
    let room = usize::try_from(job.run.exits_room).unwrap_or(0);
    // SAFETY: the same; zeros are exits.
    let exits = unsafe { core::slice::from_raw_parts_mut(job.exits, room) };
    let state = CpuState::real_mode(0, u16::try_from(job.run.load_address).unwrap_or(0));
    // SAFETY: the chunks are nobody else's until the call returns.
    unsafe { task::run(&mut job.run, chunks, exits, &state) };
}
