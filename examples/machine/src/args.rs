//! The command line, which the launcher puts into memory.

#![expect(unsafe_code, reason = "reads memory that the launcher filled")]

use core::{ffi::CStr, ptr, slice};

/// Where the launcher puts it, ended by a zero byte.
const ADDRESS: usize = 0x7000;
/// With the zero byte.
const MAX_LENGTH: usize = 4096;

/// The command line: ASCII words between spaces. Empty where the launcher gave none.
pub fn args() -> &'static str {
    // SAFETY: RAM at a fixed address, mapped, and written by nobody after the launcher: it is below the image, which
    // is all that rustc knows of, and apart from the trampoline and from `memory`.
    let bytes: &'static [u8] = unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(ADDRESS), MAX_LENGTH) };
    match CStr::from_bytes_until_nul(bytes).map(CStr::to_str) {
        Ok(Ok(text)) if text.is_ascii() => text,
        _ => "",
    }
}

/// The value of `name=value` on the command line, or an empty one for the bare word `name`.
pub fn arg(name: &str) -> Option<&'static str> {
    args().split_ascii_whitespace().find_map(|word| {
        let (word, value) = word.split_once('=').unwrap_or((word, ""));
        (word == name).then_some(value)
    })
}

/// Where the launcher puts a file, if it is told to. A block of 128 KiB, below the image.
const FILE: usize = 0x2_0000;
/// The longest file.
const MAX_FILE: usize = 0x2_0000;

/// The first `length` bytes of the file that the launcher has loaded; `None` if it cannot be so long.
pub fn carried(length: usize) -> Option<&'static [u8]> {
    if length > MAX_FILE {
        return None;
    }
    // SAFETY: RAM at a fixed address, mapped, and written by nobody after the launcher: it is below the image, which is all that rustc
    // knows of, and apart from the command line, the trampoline and `memory`.
    Some(unsafe { slice::from_raw_parts(ptr::with_exposed_provenance(FILE), length) })
}
