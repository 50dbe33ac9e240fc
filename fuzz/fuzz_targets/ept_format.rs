//! Extended page tables keep what the walk trusts, on any processor.
#![no_main]

use fuzz::format::{Question, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::Format;
use x86_virt::ept::{EptEntry, EptFormat};

fuzz_target!(|input: (EptFormat, Question)| {
    let (format, question) = input;
    let flags = EptEntry::new().with_accessed(true).with_dirty(true);
    check(&format, flags.into_bits(), &question);
    let eptp = format.eptp(question.hpa());
    assert_eq!((eptp.root(), eptp.levels()), (question.hpa(), format.levels()));
});
