//! Changes of ranges of every kind, with few frames, against a list of ranges.
#![no_main]

use fuzz::paging::{Step, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::ept::EptFormat;
use x86_virt::npt::NptFormat;

/// The format of either vendor.
#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum AnyFormat {
    Ept(EptFormat),
    Npt(NptFormat),
}

fuzz_target!(|input: (AnyFormat, u8, Vec<Step>)| {
    let (format, frames, steps) = input;
    let steps = steps.get(..32).unwrap_or(&steps);
    let frames = usize::from(frames);
    match format {
        AnyFormat::Ept(format) => check(format, frames, steps),
        AnyFormat::Npt(format) => check(format, frames, steps),
    }
});
