//! Guests that cannot be, and one that goes wrong: the example says so, and ends.

use std::path::Path;

use super::guest::{Files, Guest, Loaded};
use super::test::TEST_LIMIT;
use crate::boot::Run;
use crate::console::{self, Verdict};
use crate::machine::Machine;
use crate::runs::Single;

const MIB: usize = 1 << 20;

/// One case.
struct Case {
    title: &'static str,
    /// In place of Debian's kernel.
    kernel: Option<Vec<u8>>,
    /// In place of the usual first file system.
    initrd: Option<Vec<u8>>,
    memory_mib: u64,
    append: &'static str,
    /// What a line of the example must have in it.
    expected: &'static str,
}

const USUAL: Case = Case { title: "", kernel: None, initrd: None, memory_mib: 128, append: "", expected: "" };

fn cases(usual: &Files) -> [Case; 8] {
    [
        Case {
            title: "a file that is no kernel",
            kernel: Some(b"#!/bin/sh\n".to_vec()),
            expected: "error: the kernel: this file of 10 bytes is no bzImage of Linux",
            ..USUAL
        },
        Case {
            title: "an ELF file",
            kernel: Some(b"\x7fELF\x02\x01\x01".to_vec()),
            expected: "error: the kernel: this is an ELF file; the bzImage is needed, not vmlinux",
            ..USUAL
        },
        Case { title: "half of a kernel", kernel: Some(usual.half_of_kernel()), expected: "bytes is cut off", ..USUAL },
        Case {
            title: "an odd size of memory",
            memory_mib: 127,
            expected: "error: 0x7f00000 bytes of memory: a guest has from 64 to 3072 MiB, in multiples of 2 MiB",
            ..USUAL
        },
        Case {
            title: "more memory than a guest can have",
            memory_mib: 4096,
            expected: "error: 0x100000000 bytes of memory: a guest has from 64 to 3072 MiB, in multiples of 2 MiB",
            ..USUAL
        },
        Case {
            title: "an initrd larger than memory",
            initrd: Some(vec![0; 65 * MIB]),
            memory_mib: 96,
            expected: "error: the initrd has 0x4100000 bytes, too many after the kernel in 0x6000000 bytes of memory",
            ..USUAL
        },
        Case {
            title: "a triple fault",
            append: "reboot=t end=reset",
            expected: "cpu0: the guest ended with Shutdown",
            ..USUAL
        },
        Case {
            title: "instructions where there is no memory",
            append: "end=fetch",
            expected: "uses 0xd0000000 for instructions or page tables, where it has no memory",
            ..USUAL
        },
    ]
}

/// A case with what it is loaded with.
pub(super) struct Prepared {
    case: Case,
    loaded: Loaded,
}

/// Makes an image for each case.
pub(super) fn prepare(usual: &Files, elf: &Path, folder: &Path) -> anyhow::Result<Vec<Prepared>> {
    let prepare = |(number, mut case): (usize, Case)| {
        let files = usual.with(case.kernel.take(), case.initrd.take());
        let loaded = files.image(elf, &format!("linux-bad-{number}"), folder)?;
        Ok(Prepared { case, loaded })
    };
    cases(usual).into_iter().enumerate().map(prepare).collect()
}

impl Prepared {
    /// The run of the case.
    pub(super) fn run<'a>(&'a self, machine: &'a Machine) -> anyhow::Result<Single<'a>> {
        let Case { title, memory_mib, append, expected, .. } = self.case;
        let guest = Guest { memory_mib, append, ..Guest::usual(machine) };
        let judge = move |run: &Run| vec![judge(run, expected)];
        guest.single(format!("linux: {title}"), &self.loaded, TEST_LIMIT, Box::new(judge))
    }
}

fn judge(run: &Run, expected: &str) -> Result<(), String> {
    if console::verdict(&run.lines) != Some(Verdict::Fail) {
        return Err("the example did not end with its verdict".to_owned());
    }
    if run.lines.iter().any(|line| line.contains(expected)) {
        Ok(())
    } else {
        Err(format!("it did not say: {expected}"))
    }
}
