//! Requests to callgrind, a tool of valgrind, to count a region of code.
//!
//! Callgrind recognizes a sequence of instructions that changes nothing, so that elsewhere it does nothing. The manual of
//! valgrind, "The Client Request mechanism", and that of callgrind, "Client request reference".
#![expect(unsafe_code, reason = "only inline assembly has the instructions that valgrind looks for")]

use core::arch::asm;
use core::ffi::CStr;

/// Requests of the tool `CT`.
const TOOL: u64 = 0x4354_0000;
const TOGGLE_COLLECT: u64 = TOOL + 2;
const DUMP_STATS_AT: u64 = TOOL + 3;
const START_INSTRUMENTATION: u64 = TOOL + 4;
const STOP_INSTRUMENTATION: u64 = TOOL + 5;

/// Counts from here on, if callgrind was started with `--instr-atstart=no --collect-atstart=no`.
#[inline(never)]
pub(crate) fn start() {
    request(START_INSTRUMENTATION, None);
    request(TOGGLE_COLLECT, None);
}

/// Stops, and writes what was counted to a dump of this name.
#[inline(never)]
pub(crate) fn stop(dump: &CStr) {
    request(TOGGLE_COLLECT, None);
    request(DUMP_STATS_AT, Some(dump));
    request(STOP_INSTRUMENTATION, None);
}

#[inline(always)]
fn request(number: u64, text: Option<&CStr>) {
    let text = text.map_or(0, |text| text.as_ptr().expose_provenance());
    let arguments = [number, u64::try_from(text).unwrap_or(0), 0, 0, 0, 0];
    // SAFETY: the rotations add up to 128, so RDI keeps its value, and RBX is exchanged with itself: the processor changes
    // nothing but flags, which are not preserved. Valgrind reads the six words, which live until after the block, and the text, and
    // writes RDX.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const arguments,
            inout("rdx") 0_u64 => _,
            options(nostack),
        );
    }
}
