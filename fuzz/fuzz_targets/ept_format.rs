//! Extended page tables keep what the walk trusts, on any processor.
#![no_main]

use fuzz::format::{Question, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::Format;
use x86_virt::ept::EptFormat;

fuzz_target!(|input: (EptFormat, Question)| {
    let (format, question) = input;
    check(&format, &question);
    let eptp = format.eptp(question.hpa());
    assert_eq!((eptp.root(), eptp.levels()), (question.hpa(), format.levels()));
});
