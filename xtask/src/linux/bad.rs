//! Guests that cannot be, and one that goes wrong: the example says so, and ends.

use std::path::PathBuf;

use super::TEST_LIMIT;
use super::files::Kernel;
use super::guest::{Files, Guest};
use crate::boot::Run;
use crate::cargo::{Profile, Workspace};
use crate::console::{self, Verdict};
use crate::machine::Machine;
use crate::output;
use crate::tally::Tally;

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
    /// What the example must say.
    expected: &'static str,
}

const USUAL: Case = Case { title: "", kernel: None, initrd: None, memory_mib: 128, append: "", expected: "" };

fn cases() -> [Case; 5] {
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
        Case {
            title: "an odd size of memory",
            memory_mib: 127,
            expected: "error: 0x7f00000 bytes of memory: a guest has from 64 to 3072 MiB, in multiples of 2 MiB",
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
    ]
}

/// Boots each of them.
pub(super) fn test(
    workspace: &Workspace,
    folder: &std::path::Path,
    machine: &Machine,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let usual = Files::obtain(workspace, folder, &Kernel::Cloud, None)?;
    let kernel = Kernel::File(PathBuf::new());
    for case in cases() {
        let files = usual.with(case.kernel, case.initrd);
        let guest =
            Guest { kernel: &kernel, memory_mib: case.memory_mib, append: case.append, ..Guest::usual(machine) };
        let image = files.image(workspace, folder, &guest, Profile::Release)?;
        let run = guest.boot(&image, TEST_LIMIT, 0, |_| ())?;
        let outcome = judge(&run, case.expected);
        let word = if outcome.is_ok() { "pass" } else { "FAIL" };
        output::line(format_args!("{word}  linux: {}  {:6.2} s", case.title, run.took.as_secs_f64()));
        tally.add(outcome.map_err(|reason| format!("linux: {}: {reason}\n{}", case.title, run.describe())));
    }
    Ok(())
}

fn judge(run: &Run, expected: &str) -> Result<(), String> {
    if console::verdict(&run.lines) != Some(Verdict::Fail) {
        return Err("the example did not end with its verdict".to_owned());
    }
    if run.lines.iter().any(|line| line == expected) { Ok(()) } else { Err(format!("it did not say: {expected}")) }
}
