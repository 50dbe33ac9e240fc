//! The program.

use std::path::Path;
use std::process::{Command, Output};

fn explain(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_x86-virt-explain"))
        .args(arguments)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dumps"))
        .output()
        .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_exit_status_tells_whether_a_rule_is_violated() {
    for (arguments, expected) in [
        (["--profile", "haswell", "linux-cr4-reserved.txt"].as_slice(), 1),
        (["linux-cr4-reserved.txt"].as_slice(), 0),
        (["linux-cr4-reserved.txt", "--all"].as_slice(), 0),
        (["linux-6-exit.txt", "--profile", "conroe"].as_slice(), 0),
        (["linux-6-exit.txt", "--profile", "conroe", "--error", "0x7"].as_slice(), 1),
        (["linux-6-exit.txt", "--profile", "z80"].as_slice(), 2),
        (["linux-6-exit.txt", "--profile", "milan"].as_slice(), 2),
        (["linux-6-exit.txt", "--msrs", "linux-6-exit.txt"].as_slice(), 2),
        (["linux-6-exit.txt", "--cpuid", "linux-6-exit.txt"].as_slice(), 2),
        (["no-such-file.txt"].as_slice(), 2),
        (["../corpus.rs"].as_slice(), 2),
        (["--profiles"].as_slice(), 0),
        ([].as_slice(), 2),
    ] {
        let output = explain(arguments);
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}");
        assert_eq!(output.stdout.is_empty(), expected == 2, "{arguments:?}");
        assert_eq!(output.stderr.is_empty(), expected != 2, "{arguments:?}");
    }
}

#[test]
fn an_error_names_the_file() {
    let output = explain(&["linux-6-exit.txt", "--msrs", "linux-vmcb-invalid.txt"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        text,
        "error: linux-vmcb-invalid.txt: line 2, column 4: `100.000001`: neither the number nor the name of an MSR\n"
    );
}
