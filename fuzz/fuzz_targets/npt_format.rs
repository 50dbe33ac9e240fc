//! Nested page tables keep what the walk trusts, on any processor and with any PAT.
#![no_main]

use fuzz::format::{Question, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::npt::{NptEntry, NptFormat};

fuzz_target!(|input: (NptFormat, Question)| {
    let (format, question) = input;
    let flags = NptEntry::new().with_accessed(true).with_dirty(true);
    check(&format, flags.into_bits(), &question);
});
