//! Nested page tables keep what the walk trusts, on any processor and with any PAT.
#![no_main]

use fuzz::format::{Question, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::npt::NptFormat;

fuzz_target!(|input: (NptFormat, Question)| {
    let (format, question) = input;
    check(&format, &question);
});
