//! Instructions at an address where the guest has no memory.
#![expect(unsafe_code, reason = "maps an address of the machine and calls what is there")]

use core::num::NonZero;
use std::fs::File;

use nix::sys::mman::{MapFlags, ProtFlags, mmap};

const ADDRESS: i64 = 0xd000_0000;
const PAGE: usize = 4096;

/// Calls what is there: the hypervisor ends the guest.
pub(crate) fn run() -> Result<(), String> {
    let memory = File::open("/dev/mem").map_err(|error| error.to_string())?;
    let length = NonZero::new(PAGE).ok_or("no page")?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_EXEC;
    // SAFETY: a mapping of its own, at an address that the kernel chooses.
    let page = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, &memory, ADDRESS) };
    let page = page.map_err(|error| format!("cannot map {ADDRESS:#x}: {error}"))?;
    // SAFETY: a pointer and a function's have the same size, and the hypervisor ends the guest before there is an instruction to execute.
    let nothing = unsafe { core::mem::transmute::<*mut core::ffi::c_void, extern "C" fn()>(page.as_ptr()) };
    nothing();
    Err("there is something".to_owned())
}
