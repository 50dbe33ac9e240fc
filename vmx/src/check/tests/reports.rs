//! Texts, predictions, corrections, what is not known, and that nothing panics.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::state::{Mode, State, capabilities};
use crate::access::VmcsRead;
use crate::capability::{Capabilities, CapabilityMsr, RawCapabilities};
use crate::check::{Contradiction, Entry, Missing, Prediction, RULES, check, check_entry};
use crate::dump::VmcsDump;
use crate::field;
use crate::profile;
use crate::testing::{CountingVmcs, FakeVmcs};

#[test]
fn a_violation_says_what_where_and_how_to_correct_it() {
    let mut state = State::new(Mode::Long);
    state.put(field::GUEST_CS_ACCESS_RIGHTS, 0xa093);
    state.put(field::GUEST_GDTR_LIMIT, 0x1_0007);
    let text = state.with_report(|report| report.to_string());
    let cs = "VMX-GUEST-SEG-CS-TYPE: GUEST_CS_ACCESS_RIGHTS = 0x0000a093, SECONDARY_CONTROLS = 0x00000002, \
              PRIMARY_CONTROLS = 0x84006172, GUEST_RFLAGS = 0x0000000000000002: the type of CS must be 9, 11, 13 or 15, \
              or 3 in an unrestricted guest (SDM vol. 3, section 29.3.1.2, \"Checks on Guest Segment Registers\")\n";
    let gdtr = "VMX-GUEST-GDTR-LIMIT: GUEST_GDTR_LIMIT = 0x00010007: bits 31:16 of the limit of GDTR must be 0; valid: \
                GUEST_GDTR_LIMIT = 0x00000007 (SDM vol. 3, section 29.3.1.3, \"Checks on Guest Descriptor-Table \
                Registers\")\n";
    assert_eq!(text, [cs, gdtr].concat());
}

#[test]
fn predictions_follow_the_classes() {
    let predict = |change: fn(&mut State)| {
        let mut state = State::new(Mode::Long);
        change(&mut state);
        state.with_report(|report| {
            assert!(report.is_certain());
            report.prediction().to_string()
        })
    };
    assert_eq!(predict(|_| {}), "the guest runs");
    assert_eq!(predict(|s| s.entry.privilege_level = 3), "#GP(0)");
    let error_7 = predict(|s| s.put(field::PIN_CONTROLS, 0));
    assert_eq!(error_7, "VMfailValid: VM-instruction error 7: VM entry with invalid control field(s)");
    let both = predict(|s| {
        s.put(field::PIN_CONTROLS, 0);
        s.put(field::HOST_CR4, 0);
        s.put(field::GUEST_RFLAGS, 0);
    });
    assert_eq!(both, "VMfailValid: VM-instruction error 7 or 8");
    let guest = predict(|s| {
        s.put(field::GUEST_RFLAGS, 0);
        s.put(field::VMCS_LINK_POINTER, 0x8001);
        s.load_msr(0x800, 0);
    });
    assert_eq!(guest, "exit reason 33, qualification 0 or 4");
    let msr = predict(|s| {
        s.load_msr(0x277, 0);
        s.put(field::ENTRY_MSR_LOAD_COUNT, 3);
        s.world.memory.insert(0x9010, 1 << 32 | 0x277);
        s.world.memory.insert(0x9020, 0xc000_0100);
    });
    assert_eq!(msr, "exit reason 34, qualification 2");
}

#[test]
fn a_fix_gathers_what_rules_leave_to_a_field() {
    let mut state = State::new(Mode::Long);
    state.put(field::PIN_CONTROLS, 0x104);
    state.put(field::GUEST_RFLAGS, 0x28);
    state.put(field::HOST_RIP, 1 << 60);
    let fix: Vec<_> = state.with_report(|report| report.fix().collect());
    assert_eq!(fix, [(field::PIN_CONTROLS.encoding(), 0x16), (field::GUEST_RFLAGS.encoding(), 2)]);
    for (field, value) in fix {
        state.set_raw(field, value);
    }
    assert_eq!(state.broken(), (vec!["VMX-HOST-MODE-RIP-64"], vec![]));
}

#[test]
fn opposite_corrections_are_not_proposed() {
    let mut state = State::new(Mode::Long);
    // No value has bit 4.
    state.raw.true_pin &= !(1 << (32 + 4));
    let (broken, _) = state.broken();
    assert_eq!(broken, ["VMX-CTL-PIN-ALLOWED-1"]);
    state.put(field::PIN_CONTROLS, 6);
    assert_eq!(state.broken().0, ["VMX-CTL-PIN-ALLOWED-0"]);
    let contradictions: Vec<_> = state.with_report(|report| report.contradictions().collect());
    let msr = CapabilityMsr::IA32_VMX_TRUE_PINBASED_CTLS;
    assert_eq!(contradictions, [Contradiction::RequiredNotAllowed { msr, bits: 0x10 }]);
}

#[test]
fn contradictory_capabilities_are_named() {
    let contradictions = |raw| {
        let state = State { raw, ..State::new(Mode::Long) };
        state.with_report(|report| report.contradictions().map(|contradiction| contradiction.to_string()).collect())
    };
    let none: Vec<String> = contradictions(RawCapabilities::NONE);
    assert_eq!(none, [""; 0]);
    let raw = capabilities();
    let all = contradictions(RawCapabilities { true_exit: 0, cr0_fixed1: 1, physical_address_width: 60, ..raw });
    assert_eq!(
        all,
        [
            "contradiction: IA32_VMX_TRUE_EXIT_CTLS is 0, and other capabilities say that it exists",
            "contradiction: IA32_VMX_EXIT_CTLS2 has a value, and no control can be 1 with which it exists",
            "contradiction: IA32_VMX_CR0_FIXED0 requires bits 0x80000020, which cannot be 1",
            "contradiction: no processor has physical addresses of 60 bits",
        ]
    );
}

#[test]
fn what_is_not_known_leaves_other_rules_alone() {
    let mut state = State::new(Mode::Long);
    state.put(field::GUEST_GDTR_LIMIT, 0x1_0000);
    let nothing = Capabilities::from_raw(RawCapabilities::NONE);
    let report = check(&state.vmcs, &nothing);
    let broken: Vec<_> = report.violations().map(|violation| violation.rule().id).collect();
    assert_eq!(broken, ["VMX-GUEST-GDTR-LIMIT"]);
    let undecided: Vec<_> = report.undecided().map(|undecided| (undecided.rule.id, undecided.missing)).collect();
    let msr = CapabilityMsr::IA32_VMX_CR4_FIXED1;
    assert!(undecided.contains(&("VMX-GUEST-CR4-FIXED-1", Missing::Capability(msr))), "{undecided:?}");
    assert!(!report.is_certain());
    let text = report.undecided().find(|undecided| undecided.rule.id == "VMX-GUEST-CR4-FIXED-1").unwrap().to_string();
    assert!(text.starts_with("VMX-GUEST-CR4-FIXED-1: cannot tell: needs the capability IA32_VMX_CR4_FIXED1: every"));
    // A missing field.
    let dump = VmcsDump::parse("GUEST_GDTR_LIMIT = 0x10000\nGUEST_CR0 = 0x80000000").unwrap();
    let capabilities = Capabilities::from_raw(state.raw);
    let report = check(&dump, &capabilities);
    let broken: Vec<_> = report.violations().map(|violation| violation.rule().id).collect();
    assert_eq!(broken, ["VMX-GUEST-CR0-PG", "VMX-GUEST-GDTR-LIMIT"]);
    let field = field::GUEST_RFLAGS.encoding();
    assert!(report.undecided().any(|undecided| undecided.missing == Missing::Field(field)));
}

#[test]
fn memory_is_needed_only_where_it_counts() {
    let mut state = State::new(Mode::Long);
    let capabilities = Capabilities::from_raw(state.raw);
    assert_eq!(check(&state.vmcs, &capabilities).undecided().count(), 0);
    assert_eq!(check(&state.vmcs, &capabilities).prediction(), Prediction::Enters);
    state.put(field::VMCS_LINK_POINTER, 0x8000);
    let report = check(&state.vmcs, &capabilities);
    let ids: Vec<_> = report.undecided().map(|undecided| undecided.rule.id).collect();
    assert_eq!(ids, ["VMX-GUEST-LINK-REVISION", "VMX-GUEST-LINK-SHADOW", "VMX-GUEST-LINK-CURRENT"]);
    assert_eq!(report.prediction(), Prediction::Enters);
    assert!(!report.is_certain());
}

#[test]
fn a_dump_is_checked_as_the_vmcs() {
    let mut state = State::new(Mode::Pae);
    state.put(field::GUEST_CS_ACCESS_RIGHTS, 0);
    let capabilities = Capabilities::from_raw(state.raw);
    let dump = VmcsDump::parse(&state.vmcs.dump().to_string()).unwrap();
    assert_eq!(check(&dump, &capabilities).to_string(), check(&state.vmcs, &capabilities).to_string());
}

/// Fields that the processor may not have are read only if a control that is 1 says so.
#[test]
fn a_check_reads_little() {
    let state = State::new(Mode::Long);
    let vmcs = CountingVmcs::new(state.vmcs);
    let capabilities = Capabilities::from_raw(state.raw);
    assert_eq!(check(&vmcs, &capabilities).prediction(), Prediction::Enters);
    println!("{} rules, {} reads", RULES.len(), vmcs.reads());
    assert!(vmcs.reads() < 2 * u64::try_from(RULES.len()).unwrap());
}

#[test]
fn profiles_of_all_generations_take_what_they_can() {
    for profile in profile::ALL {
        let capabilities = profile.capabilities();
        let report_of =
            |vmcs: &FakeVmcs| check(vmcs, &capabilities).violations().map(|v| v.rule().id).collect::<Vec<_>>();
        let mut state = State::new(Mode::Protected);
        for word in [
            crate::control::ControlWord::Pin,
            crate::control::ControlWord::Primary,
            crate::control::ControlWord::Exit,
            crate::control::ControlWord::Entry,
        ] {
            state.set_raw(super::state::encoding(word), capabilities.bits(word).0);
        }
        state.host_32();
        state.entry.is_ia32e = false;
        let entry = Entry { is_ia32e: false, ..Entry::new() };
        let report = check_entry(&state.vmcs, &capabilities, entry);
        let broken: Vec<_> = report.violations().map(|violation| violation.rule().id).collect();
        // Its GDT is at an address that 32-bit hosts do not reach, which no rule forbids.
        assert_eq!(broken, [""; 0], "{}", profile.name);
        assert_eq!(report.undecided().count(), 0, "{}: {report}", profile.name);
        assert_eq!(report_of(&state.vmcs), ["VMX-HOST-MODE-IA32E"], "{}", profile.name);
    }
}

proptest! {
    #[test]
    fn no_state_panics(
        values in vec(any::<u64>(), field::ALL.len()),
        masks in vec(0_u32..4, field::ALL.len()),
        msrs in vec(any::<u64>(), CapabilityMsr::ALL.len()),
        width in any::<u8>(),
        bits in any::<u16>(),
    ) {
        let mut vmcs = FakeVmcs::new();
        for ((info, value), mask) in field::ALL.iter().zip(values).zip(masks) {
            vmcs.set_raw(info.encoding.get(), if mask == 0 { value } else { value & value >> 16 });
        }
        let mut raw = RawCapabilities { physical_address_width: width, ..RawCapabilities::NONE };
        for (row, value) in CapabilityMsr::ALL.iter().zip(msrs) {
            *raw.get_mut(CapabilityMsr::from_bits(row.value)).unwrap() = value;
        }
        let capabilities = Capabilities::from_raw(raw);
        let mut entry = Entry::new();
        entry.in_smm = bits & 1 != 0;
        entry.in_seam = bits & 2 != 0;
        entry.intel_64 = bits & 4 != 0;
        entry.is_ia32e = bits & 8 != 0;
        let [_, key_id_bits] = bits.to_le_bytes();
        entry.key_id_bits = key_id_bits;
        let report = check_entry(&vmcs, &capabilities, entry);
        let _ = (report.to_string(), report.prediction().to_string(), report.fix().to_string(), report.is_certain());
    }

    /// A state that enters, with a few fields changed: what `fix` proposes breaks nothing more.
    #[test]
    fn a_fix_only_helps(changes in vec((0..field::ALL.len(), any::<u64>()), 1..5)) {
        let mut state = State::new(Mode::Long);
        for (index, value) in changes {
            state.set_raw(field::ALL[index].encoding, value);
        }
        let fix: Vec<_> = state.with_report(|report| report.fix().collect());
        for (field, value) in fix {
            let mut fixed = state.clone();
            fixed.set_raw(field, value);
            fixed.with_report(|report| assert!(report.fix().all(|(again, _)| again != field), "{report}"));
        }
    }
}
