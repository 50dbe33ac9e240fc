extern crate std;

use std::string::{String, ToString as _};
use std::vec::Vec;

use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};
use x86_virt_core::{Cr0, Efer, Segment, SegmentAccessRights};

use super::{DumpLayout, PageDump, ParseDumpErrorKind, VmcbDump, VmsaDump};
use crate::ExitCode;
use crate::vmcb::{Vmcb, control, save};

fn vmcb() -> Vmcb {
    let mut vmcb = Vmcb::from_bytes(&[0; 4096]);
    vmcb.control.INTERCEPT_MISC1 = 1 << 18 | 1 << 24;
    vmcb.control.EXITCODE = ExitCode::CPUID;
    vmcb.save.CS = Segment::flat(8, SegmentAccessRights::CODE64).into();
    vmcb.save.EFER = Efer::new().with_svme(true).with_lme(true);
    vmcb
}

#[test]
fn text_has_a_line_for_each_field_with_its_meaning() {
    let text = VmcbDump::new(&vmcb()).to_string();
    for line in [
        "# control",
        "INTERCEPT_CR_READ 0x000 0x0000",
        "INTERCEPT_MISC1 0x00c 0x01040000 CPUID HLT",
        "TLB_CONTROL 0x05c 0x00",
        "EXITCODE 0x070 0x0000000000000072 CPUID",
        "INSN_BYTES 0x0d1 0",
        "# save",
        "CS 0x410 08009b0affffffff0000000000000000 selector=0x8 limit=0xffffffff base=0x0 attributes=0xa9b \
         SEGMENT_TYPE=0xb S P L G",
        "EFER 0x4d0 0x0000000000001100 LME SVME",
    ] {
        assert!(text.lines().any(|other| other == line), "{line}\n{text}");
    }
    assert_eq!(text.lines().count(), 2 + control::ALL.len() + save::ALL.len());
    assert!(!text.contains("\nRESERVED"));
}

#[test]
fn values_are_read_by_field() {
    let dump = VmcbDump::new(&vmcb());
    assert_eq!((dump.get(control::EXITCODE), dump.get(save::CR0)), (ExitCode::CPUID, Cr0::new()));
    assert_eq!(dump.structure(), vmcb());
}

#[test]
fn differences_are_by_field_and_reserved_bytes_count() {
    let dump = VmcbDump::new(&vmcb());
    assert_eq!(dump.differences(&dump).count(), 0);
    let mut bytes = *dump.as_bytes();
    bytes[0x20] = 0xee;
    bytes[save::CR0.offset()] = 1;
    let other = VmcbDump::from_bytes(bytes);
    let lines: Vec<String> = dump.differences(&other).map(|difference| difference.to_string()).collect();
    let reserved = "0000000000000000ee".to_string() + &"00".repeat(0x24 - 9);
    assert_eq!(
        lines,
        [
            "RESERVED 0x018 0 -> ".to_string() + &reserved,
            "CR0 0x558 0x0000000000000000 -> 0x0000000000000001 PE".to_string()
        ]
    );
    assert!(other.to_string().contains("\nRESERVED 0x018 "));
}

#[test]
fn errors_say_where_they_are() {
    for (text, line, column, kind) in [
        ("RIP 0x578 0x0000000000000000\nNOTHING 0x579 0x0", 2, 1, ParseDumpErrorKind::Name),
        ("\n  RIP 578 0x0000000000000000", 2, 7, ParseDumpErrorKind::Offset),
        ("RIP", 1, 4, ParseDumpErrorKind::Offset),
        ("RIP 0x+578 0x0000000000000000", 1, 5, ParseDumpErrorKind::Offset),
        ("RESERVED 0x019 0", 1, 10, ParseDumpErrorKind::Offset),
        ("RIP 0x578 0x0000000000000000\nRIP 0x578 0x0000000000000000", 2, 1, ParseDumpErrorKind::Order),
        ("RIP 0x578 0x0", 1, 11, ParseDumpErrorKind::Value),
        ("RIP 0x578", 1, 10, ParseDumpErrorKind::Value),
        ("RIP 0x578 0x000000000000000g", 1, 11, ParseDumpErrorKind::Value),
        ("RIP 0x578 0", 1, 11, ParseDumpErrorKind::Value),
        ("INSN_BYTES 0x0d1 00", 1, 18, ParseDumpErrorKind::Value),
        ("CPL 0x4cb \u{e9}", 1, 11, ParseDumpErrorKind::Value),
    ] {
        let error = VmcbDump::parse(text).unwrap_err();
        assert_eq!((error.line, error.column, error.kind), (line, column, kind), "{text}");
    }
    assert_eq!(VmcbDump::parse(""), Ok(VmcbDump::from_bytes([0; 4096])));
}

fn survives<S: DumpLayout>(bytes: [u8; 4096]) {
    let dump = PageDump::<S>::from_bytes(bytes);
    assert_eq!(dump.to_string().parse(), Ok(dump));
    assert_eq!(PageDump::new(&dump.structure()), dump);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_page_comes_back_from_its_text(edits in proptest::collection::vec((0..4096_usize, any::<u8>()), 0..256)) {
        let mut bytes = [0; 4096];
        for (offset, byte) in edits {
            bytes[offset] = byte;
        }
        survives::<Vmcb>(bytes);
        survives::<crate::vmsa::Vmsa>(bytes);
        survives::<crate::ghcb::Ghcb>(bytes);
        prop_assert_eq!(*VmsaDump::from_bytes(bytes).as_bytes(), bytes);
    }

    #[test]
    fn no_text_is_too_much(text in "(RIP|CS|RESERVED|#|0x578|0x[0-9a-f]{0,16}|[ \n]|\\PC){0,40}") {
        let _result = VmcbDump::parse(&text);
    }
}
