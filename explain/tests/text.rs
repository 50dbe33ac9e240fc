//! Texts that are no dumps, or malformed ones, and the library's own dumps.

use proptest::prelude::{any, prop, proptest};
use x86_virt_explain::{Fit, Kind, Machine, Outcome, Report, State, read, read_cpuid, read_msrs};
use x86_virt_svm::vmcb::save;
use x86_virt_svm::{VmcbDump, vmcb};
use x86_virt_vmx::{FakeVmcs, InstructionError, VmcsRead as _, field};

const LINUX: &str = include_str!("dumps/linux-6-exit.txt");
const XEN: &str = include_str!("dumps/xen-4.12-wrapped-mail.txt");
const VMCB: &str = include_str!("dumps/linux-vmcb-invalid.txt");

#[test]
fn errors_name_line_and_column() {
    for (text, expected) in [
        ("", "line 1, column 1: no dump of a VMCS or a VMCB from here on"),
        ("just\nsome text\n", "line 1, column 1: no dump of a VMCS or a VMCB from here on"),
        (
            "\n[  1.2] CR0: actual=0xg000000000000000, shadow=",
            "line 2, column 21: GUEST_CR0: `0xg000000000000000` is no number",
        ),
        ("CS:   sel=0x10010, attr=0x0a09b", "line 1, column 11: GUEST_CS_SELECTOR: 0x10010 has more than 16 bits"),
        ("> PinBased=000000ff CPUBased=b5a26dfaz", "line 1, column 30: PRIMARY_CONTROLS: `b5a26dfaz` is no number"),
        ("PinBased=12345678901234567", "line 1, column 10: PIN_CONTROLS: `12345678901234567` is no number"),
        (
            "*** Control State ***\nVMEntry: intr_info=00000000 errcode=x ilen=00000000",
            "line 2, column 37: ENTRY_EXCEPTION_ERROR_CODE: `x` is no number",
        ),
        ("VMCB Control Area:\nasid:               three", "line 2, column 21: GUEST_ASID: `three` is no number"),
        ("es:   s: 0000 a: zz l: 0000ffff", "line 1, column 18: ES: `zz` is no number"),
        ("tlb_ctl:            256", "line 1, column 21: TLB_CONTROL: 0x100 has more than 8 bits"),
        (
            "  GUEST_RIP = 0x1\n  GUEST_RIPP = 0x1",
            "line 2, column 3: GUEST_RIPP: no field of a VMCS that is known here",
        ),
        ("> GUEST_ES_SELECTOR = 0x12345", "line 1, column 23: GUEST_ES_SELECTOR: no value of 16 bits"),
        ("# control\nN_CR3 0x0b0 0x0", "line 2, column 13: no value of a field of this size"),
        ("RIP 0x578 0x0000000000000000\nCPL 0x4cb 0x00", "line 2, column 1: the field is not behind the one before it"),
    ] {
        assert_eq!(read(text).unwrap_err().to_string(), expected, "{text}");
    }
}

#[test]
fn what_other_messages_have_in_common_with_a_dump_is_ignored() {
    let oops = "[ 1.2] *** Host State ***\n\
                [ 1.2] FSBase=00007f5088e006c0 GSBase=ffff90ecbec00000 TRBase=fffffe4d122bd000\n\
                [ 1.3] RIP: 0010:vmx_vcpu_run+0x1/0x2\n\
                [ 1.3] CS:  0010 DS: 0000 ES: 0000 CR0: 0000000080050033\n\
                [ 1.3] CR0=80050033 CR2=0 CS=zz efer: x cr0: 80050033\n\
                [ 1.4] some=thing reason=timeout EFER=none\n";
    let dumps = read(oops).unwrap();
    let State::Vmcs(fields) = &dumps[0].state else { panic!("no VMCS") };
    let names: Vec<_> = fields.iter().map(|(encoding, _)| encoding.to_string()).collect();
    assert_eq!(names, ["HOST_FS_BASE", "HOST_GS_BASE", "HOST_TR_BASE"]);
}

#[test]
fn own_dumps_of_a_vmcs_are_read() {
    let mut vmcs = FakeVmcs::new();
    vmcs.set_raw(field::GUEST_CR4.encoding().get(), 0x20);
    vmcs.set_raw(field::VM_INSTRUCTION_ERROR.encoding().get(), 7);
    vmcs.set_raw(field::EXIT_REASON.encoding().get(), 10);
    let text = vmcs.dump().to_string();
    let unsupported = text.replace("PLE_GAP = 0x00000000", "PLE_GAP = unsupported");
    let pasted: String =
        unsupported.lines().map(|line| format!("> [  1.2] {line}\r\n> [  1.2] another message\r\n")).collect();
    for text in [unsupported.clone(), pasted, unsupported.replace("GUEST_CR4 = ", "GUEST_CR4 =\n")] {
        let dump = read(&text).unwrap().remove(0);
        assert_eq!(dump.kind, Kind::Vmcs);
        let State::Vmcs(fields) = &dump.state else { panic!("no VMCS") };
        assert_eq!((fields.len(), fields.get(field::PLE_GAP)), (field::ALL.len() - 1, None));
        assert!(fields.entry(field::PLE_GAP.encoding()).is_some() && fields.missing().next().is_none());
        assert_eq!(fields.get(field::GUEST_CR4).map(|cr4| cr4.into_bits()), Some(0x20));
        assert_eq!(Outcome::of(&dump), Outcome::Refused(InstructionError::INVALID_CONTROL_FIELDS));
        let report = Report::new(dump, &Machine::of_profile("haswell").unwrap());
        assert!(report.violated().any(|finding| finding.rule == "VMX-CTL-PIN-ALLOWED-0"), "{report}");
        assert!(report.misfits().any(|finding| finding.rule == "VMX-GUEST-CR4-FIXED-0"), "{report}");
    }
    assert_eq!(read(&format!("{text}{text}")).unwrap().len(), 2);
}

#[test]
fn own_dumps_of_a_vmcb_are_read() {
    let mut bytes = [0; 4096];
    bytes[save::RIP.offset()] = 0x12;
    bytes[0x70..0x78].fill(0xff);
    bytes[0x100] = 0x77;
    let text = VmcbDump::from_bytes(bytes).to_string();
    let pasted: String = text.lines().map(|line| format!(">> Mar  3 12:00:00 host kernel: {line}\n")).collect();
    for text in [text.clone(), pasted] {
        let dump = read(&text).unwrap().remove(0);
        assert_eq!(dump.kind, Kind::Vmcb);
        let State::Vmcb(image) = &dump.state else { panic!("no VMCB") };
        assert_eq!(
            (image.get(save::RIP), image.known(0x100, 8)),
            (Some(0x12), Some([0x77, 0, 0, 0, 0, 0, 0, 0].as_slice()))
        );
        assert_eq!(image.len(), vmcb::control::ALL.len() + vmcb::save::ALL.len());
        let report = Report::new(dump, &Machine::Unknown);
        assert!(matches!(report.outcome(), Outcome::VmcbRefused(_)));
        let violated: Vec<_> = report.violated().map(|finding| finding.rule).collect();
        assert_eq!(violated, ["SVM-VMRUN-EFER-SVME", "SVM-VMRUN-INTERCEPT-VMRUN", "SVM-VMRUN-ASID"]);
        assert!(report.cannot_tell().any(|finding| finding.rule == "SVM-VMRUN-MSRPM"));
    }
    assert_eq!(read(&format!("{text}{text}")).unwrap().len(), 2);
}

#[test]
fn an_entry_that_did_not_fail_accuses_nothing() {
    let machine = Machine::of_profile("conroe").unwrap();
    let dump = read(LINUX).unwrap().remove(0);
    let report = Report::new(dump.clone(), &machine);
    assert!(report.outcome().is_exit());
    assert_eq!(report.violated().chain(report.misfits()).chain(report.cannot_tell()).count(), 0);
    assert!(report.to_string().ends_with("\nNothing is accused.\n"));
    // The same with the number that KVM reported.
    let report = Report::with_error(dump, &machine, 7);
    assert!(report.violated().count() > 0);
}

#[test]
fn what_needs_a_capability_says_so() {
    let dump = read(include_str!("dumps/linux-cr4-reserved.txt")).unwrap().remove(0);
    let report = Report::new(dump, &Machine::Unknown).to_string();
    assert!(report.contains("1 rule needs the capability IA32_VMX_CR4_FIXED1: VMX-GUEST-CR4-FIXED-1"), "{report}");
    assert!(!report.contains("violated:"), "{report}");
}

#[test]
fn all_rules_that_cannot_be_told_are_listed_if_asked_for() {
    let dump = read(include_str!("dumps/linux-cr4-reserved.txt")).unwrap().remove(0);
    let report = Report::new(dump, &Machine::Unknown);
    let text = format!("{report:#}");
    assert!(report.cannot_tell().count() > 20);
    for finding in report.cannot_tell() {
        assert!(text.contains(&format!("\n{}: {}\n  needs ", finding.rule, finding.sentence)), "{text}");
    }
}

#[test]
fn what_the_rules_predict_is_compared_with_what_is_recorded() {
    let haswell = Machine::of_profile("haswell").unwrap();
    let text = "CR4: actual=0x0000000000000020, shadow=0x0000000000000000, gh_mask=0000000000000000\n\
                PinBased=00000000 reason=80000021 qualification=0000000000000000\n";
    let dump = read(text).unwrap().remove(0);
    let fit = |number: u64| {
        let report = Report::with_error(dump.clone(), &haswell, number);
        report.prediction().fit(report.outcome())
    };
    assert_eq!((fit(7), fit(8), fit(0)), (Fit::AsRecorded, Fit::Otherwise, Fit::AsRecorded));
    assert_eq!((fit(0x8000_0021), fit(0x8000_0022)), (Fit::TooEarly, Fit::TooEarly));
    assert_eq!((fit(4), fit(0x8000_0029)), (Fit::TooLate, Fit::Unknown));
}

#[test]
fn listed_entries_of_the_msr_load_area_are_checked() {
    let linux = "EntryControls=000053ff\nMSR guest autoload:\n  0: msr=0x00000010 value=0x0000000000000001\n  \
                 1: msr=0xc0000100 value=0x0000000000000000\n*** Control State ***\n\
                 reason=80000022 qualification=0000000000000002\n";
    let xen = "vmentry failure (reason 0x80000022): MSR loading (entry 1)\nmsr c0000101 val 0 (mbz 0)\n\
               *** Control State ***\nEntryControls=000053ff\nreason=80000022 qualification=0000000000000002\n";
    for text in [linux, xen] {
        let report = Report::new(read(text).unwrap().remove(0), &Machine::Unknown);
        assert_eq!(
            report.violated().map(|finding| finding.rule).collect::<Vec<_>>(),
            ["VMX-MSR-LOAD-BASE"],
            "{report}"
        );
        assert_eq!(report.prediction().fit(report.outcome()), Fit::AsRecorded, "{report}");
        let text = report.to_string();
        assert!(text.contains("IA32_GS_BASE; entry 2 is\n  Intel SDM"), "{text}");
        assert!(text.contains("predicted: exit reason 34, qualification 2"), "{text}");
    }
}

/// Everything that a text goes through.
fn all(text: &str) {
    for machine in ["", "haswell", "milan"] {
        let machine = Machine::of_profile(machine).unwrap_or_default();
        for dump in read(text).unwrap_or_default() {
            let report = Report::with_error(dump.clone(), &machine, 7);
            assert!(!report.to_string().is_empty());
            assert!(!Report::new(dump, &machine).to_string().is_empty());
        }
    }
    let _ = (read_msrs(text), read_cpuid(text));
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        all(&text);
    }

    #[test]
    fn no_text_of_the_words_of_dumps_panics(words in prop::collection::vec(prop::sample::select(&[
        "*** Guest State ***", "*** Host State ***", "*** Control State ***", "VMCB Control Area:", "VMCB State Save Area:",
        "CR0:", "actual=", "shadow=", "0x", "0", "ffffffff", "8000000000000000", " ", "\n", "=", "=\n", "=3D", "=C2", "(", ")", ",", ":", "CS:", "sel=",
        "attr=", "EFER=", "(effective)", "reason=", "80000021", "PinBased=", "es: s:", "a:", "exit_code:", "asid:", "-1", "msr ", "val ",
        "MSR guest autoload:", "msr=", "value=", "[ 1.2]", "(XEN)", "kernel:", "> ", "GUEST_RIP = ", "RIP 0x578 ", "0x480 ", "rdmsr -a ", "é", "\u{a0}",
        "entry failed, hardware error 0x", "Instruction Error 7", "sev_features ", "unsupported", "RESERVED 0x100 ",
    ][..]), 0..60)) {
        all(&words.concat());
    }

    #[test]
    fn no_changed_dump_panics(
        which in 0..3_usize, start in any::<prop::sample::Index>(), length in 0..80_usize, with in "[ -~\n=0-9a-f]{0,20}",
    ) {
        let source: Vec<char> = [LINUX, XEN, VMCB][which].chars().collect();
        let start = start.index(source.len());
        let end = (start + length).min(source.len());
        let text: String = source[..start].iter().copied().chain(with.chars()).chain(source[end..].iter().copied()).collect();
        all(&text);
    }

    #[test]
    fn values_of_a_vmcs_survive(values in prop::collection::vec(any::<u64>(), field::ALL.len())) {
        let mut vmcs = FakeVmcs::new();
        for (info, value) in field::ALL.iter().zip(values) {
            vmcs.set_raw(info.encoding.get(), value);
        }
        let dump = vmcs.dump();
        let read = read(&dump.to_string()).unwrap().remove(0);
        let State::Vmcs(fields) = read.state else { panic!("no VMCS") };
        for (info, value) in dump.fields() {
            assert_eq!(fields.raw(info.encoding), value, "{}", info.name);
        }
    }
}
