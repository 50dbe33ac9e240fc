//! Dumps as people pasted them, with the reports that are expected.
//!
//! `X86_VIRT_BLESS=1 cargo test -p x86-virt-explain` writes the reports anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::{env, fs};

use x86_virt_explain::{Fit, Machine, Report, State, read};

/// The dumps, and the profile of the processor that they are checked against.
const CORPUS: [(&str, &str); 13] = [
    ("linux-4-syslog-cut", "haswell"),
    ("linux-5-mail", "haswell-ep"),
    ("linux-6-exit", "alder-lake"),
    ("linux-6-fred", "granite-rapids"),
    ("linux-6-svsm-error-7", "skylake-sp"),
    ("linux-cr4-reserved", "haswell"),
    ("linux-two-vcpus", ""),
    ("linux-vmcb-invalid", "milan"),
    ("linux-vmcb-sev-snp", "turin"),
    ("xen-4.4", "haswell"),
    ("xen-4.8-msr-loading", "haswell"),
    ("xen-4.12-quoted-error-7", "westmere"),
    ("xen-4.12-wrapped-mail", "haswell-ep"),
];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dumps").join(name)
}

fn source(name: &str) -> String {
    fs::read_to_string(path(&format!("{name}.txt"))).unwrap()
}

fn report(text: &str, profile: &str) -> String {
    let machine = Machine::of_profile(profile).unwrap_or_default();
    let dumps = read(text).unwrap_or_else(|error| panic!("{error}"));
    dumps.into_iter().map(|dump| Report::new(dump, &machine).to_string()).collect::<Vec<_>>().join("\n----\n\n")
}

#[test]
fn reports_are_as_expected() {
    let is_blessed = env::var_os("X86_VIRT_BLESS").is_some();
    let mut differing = Vec::new();
    for (name, profile) in CORPUS {
        let report = report(&source(name), profile);
        let expected = path(&format!("{name}.report"));
        if is_blessed {
            fs::write(&expected, &report).unwrap();
        } else if fs::read_to_string(&expected).unwrap_or_default() != report {
            eprintln!("==== {name}\n{report}");
            differing.push(name);
        }
    }
    assert!(differing.is_empty(), "other reports than expected: {differing:?}");
}

/// What people found to be why, in the reports that the dumps are from.
#[test]
fn causes_that_were_found_are_named() {
    for (name, profile, cause) in [
        ("xen-4.12-quoted-error-7", "skylake-sp", "VMX-ENTRY-EVENT-ERROR-CODE-FLAG"),
        ("xen-4.12-wrapped-mail", "haswell-ep", "VMX-GUEST-PENDING-BS-ONE"),
        ("linux-vmcb-sev-snp", "turin", "SVM-VMRUN-SEV-FEATURES"),
    ] {
        let machine = Machine::of_profile(profile).unwrap();
        let report = Report::new(read(&source(name)).unwrap().remove(0), &machine);
        assert_eq!(report.violated().map(|finding| finding.rule).collect::<Vec<_>>(), [cause], "{report}");
        assert_eq!(report.misfits().count(), 0, "{report}");
        assert_eq!(report.prediction().fit(report.outcome()), Fit::AsRecorded, "{report}");
    }
}

#[test]
fn the_readme_shows_a_report() {
    let readme = include_str!("../README.md");
    let (_, block) = readme.split_once("dmesg.txt\n").unwrap();
    let (block, _) = block.split_once("\n```").unwrap();
    assert!(report(&source("linux-cr4-reserved"), "haswell").starts_with(block), "{block}");
}

#[test]
fn every_dump_is_in_the_corpus() {
    let files = fs::read_dir(path("")).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "txt")) {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        assert!(CORPUS.iter().any(|(known, _)| *known == name), "{name}");
    }
}

/// The values of all dumps in a text.
fn values(text: &str) -> Vec<Vec<(String, u64)>> {
    let dumps = read(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let values = dumps.into_iter().map(|dump| match dump.state {
        State::Vmcs(fields) => {
            fields.iter().filter_map(|(field, entry)| Some((field.to_string(), entry.value?))).collect()
        }
        State::Vmcb(image) => image
            .iter()
            .filter(|(info, _)| image.known(info.offset, info.bytes).is_some())
            .map(|(info, bytes)| {
                let value = bytes.iter().rev().fold(0_u64, |value, byte| value.wrapping_shl(8) | u64::from(*byte));
                (info.name.to_owned(), value)
            })
            .collect(),
    });
    values.collect()
}

/// Every line behind a prefix.
fn prefixed(text: &str, prefix: &str) -> String {
    text.lines().map(|line| format!("{prefix}{line}\n")).collect()
}

/// Lines broken at the last space before a width, as programs for mail do.
fn wrapped(text: &str, width: usize) -> String {
    let mut output = String::new();
    for line in text.lines() {
        let mut rest = line;
        while rest.len() > width {
            let Some(space) = rest[..width].rfind(' ').filter(|space| !rest[..*space].trim().is_empty()) else { break };
            output.push_str(&rest[..space]);
            output.push('\n');
            rest = &rest[space + 1..];
        }
        output.push_str(rest);
        output.push('\n');
    }
    output
}

/// Lines broken at a width, as terminals do.
fn broken(text: &str, width: usize) -> String {
    text.lines()
        .flat_map(|line| {
            let bytes = line.as_bytes().chunks(width).map(|chunk| String::from_utf8(chunk.to_vec()).unwrap());
            if line.is_empty() { vec![String::new()] } else { bytes.collect::<Vec<_>>() }
        })
        .map(|line| line + "\n")
        .collect()
}

/// Lines as an archive of mail has them.
fn quoted_printable(text: &str) -> String {
    let mut output = String::new();
    for line in text.lines() {
        let line = line.replace('=', "=3D");
        let mut rest = line.as_str();
        while rest.len() > 60 {
            let mut end = 60;
            // An encoded character is not broken.
            while rest[..end].ends_with('=') || rest[..end].ends_with("=3") {
                end -= 1;
            }
            output.push_str(&rest[..end]);
            output.push_str("=\n");
            rest = &rest[end..];
        }
        output.push_str(rest);
        output.push('\n');
    }
    output
}

/// Another message behind every line.
fn interleaved(text: &str) -> String {
    text.lines().map(|line| format!("{line}\n[   99.9] usb 1-1: new device, idVendor=1d6b, x: 0010 y\n")).collect()
}

/// A dump without prefixes.
fn clean(name: &str, prefix: &str) -> String {
    let prefix_of = |line: &str| match line.split_once(prefix) {
        Some((_, rest)) => rest.to_owned(),
        None => line.to_owned(),
    };
    source(name).lines().filter(|line| !line.starts_with('#')).map(|line| prefix_of(line) + "\n").collect()
}

#[test]
fn pasted_variants_read_equal() {
    for (name, prefix) in [("linux-6-exit", "kvm_intel: "), ("linux-vmcb-sev-snp", "kvm_amd: "), ("xen-4.4", "(XEN) ")]
    {
        let clean = clean(name, prefix);
        let expected = values(&clean);
        assert_eq!(expected.len(), 1);
        assert!(expected[0].len() > 60, "{}", expected[0].len());
        for prefix in [
            "> ",
            ">>>> ",
            "> > | ",
            "[  123.456789] ",
            "[  123.456789][ T7889] kvm_intel: ",
            "Mar  3 12:00:00 host kernel: ",
            "2024-03-03T12:00:00.123456+00:00 host kernel: [  1.2] kvm_amd: ",
            "(XEN) [2019-11-02 14:09:46] ",
            "> Nov  2 14:09:46.123 (XEN) ",
            "\t",
        ] {
            assert_eq!(values(&prefixed(&clean, prefix)), expected, "{name} {prefix}");
            assert_eq!(values(&prefixed(&interleaved(&clean), prefix)), expected, "{name} {prefix} interleaved");
        }
        for width in [72, 78, 80] {
            assert_eq!(values(&wrapped(&clean, width)), expected, "{name} wrapped at {width}");
            assert_eq!(values(&prefixed(&wrapped(&clean, width), "> ")), expected, "{name} quoted, wrapped at {width}");
            assert_eq!(values(&broken(&clean, width)), expected, "{name} broken at {width}");
        }
        assert_eq!(values(&quoted_printable(&clean)), expected, "{name} quoted-printable");
        assert_eq!(values(&clean.replace('\n', "\r\n")), expected, "{name} CRLF");
        assert_eq!(values(&format!("{clean}{clean}")), [expected.clone(), expected].concat(), "{name} twice");
    }
}

#[test]
fn a_cut_dump_gives_what_is_left_of_it() {
    // A piece of two dumps that are mixed does not tell that they are.
    for (name, _) in CORPUS.into_iter().filter(|(name, _)| *name != "linux-two-vcpus") {
        let source = source(name);
        let whole = values(&source);
        let lines: Vec<_> = source.lines().collect();
        for start in 0..lines.len() {
            for end in [start + 7, start + 20] {
                let piece = lines[start..end.min(lines.len())].join("\n");
                // A piece without a line that tells what it is has no dump.
                let Ok(_) = read(&piece) else { continue };
                for (field, value) in values(&piece).into_iter().flatten() {
                    let is_known = whole.iter().flatten().any(|known| *known == (field.clone(), value));
                    assert!(is_known, "{name} from {start}: {field} = {value:#x}");
                }
            }
        }
    }
}
