//! The rules of an entry, against a dump: those of `x86_virt_vmx::check` and of `x86_virt_svm::check`.

mod svm;
mod vmcs_lists;
mod vmx;

use crate::dump::{Dump, State};
use crate::finding::Finding;
use crate::machine::Machine;
use crate::prediction::Prediction;

/// What the rules say about a dump.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Checked {
    /// The rules that are violated, undecided, or worth a note, in the order of the manual.
    pub(crate) findings: Vec<Finding>,
    /// What is odd about values or capabilities.
    pub(crate) notes: Vec<String>,
    /// What the processor would do.
    pub(crate) prediction: Prediction,
}

/// Checks `dump` against what `machine` can do.
pub(crate) fn check(dump: &Dump, machine: &Machine) -> Checked {
    match &dump.state {
        State::Vmcs(fields) => {
            let machine = match machine {
                Machine::Vmx(machine) => Some(machine),
                Machine::Unknown | Machine::Svm(_) => None,
            };
            vmx::check(dump, fields, machine)
        }
        State::Vmcb(image) => {
            let machine = match machine {
                Machine::Svm(machine) => Some(machine),
                Machine::Unknown | Machine::Vmx(_) => None,
            };
            svm::check(image, machine)
        }
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_svm::vmcb::{control, save};
    use x86_virt_vmx::field::{self, Encoding};

    use super::check;
    use crate::dump::{Dump, Entry, Kind, State, VmcbImage, VmcsFields};
    use crate::finding::{Finding, Needed, Verdict};
    use crate::machine::Machine;
    use crate::place::Place;

    fn findings(kind: Kind, state: State, profile: &str) -> Vec<Finding> {
        let (message, place) = (None, Place::START);
        let dump = Dump { kind, place, state, message, msrs: Vec::new(), cut: Vec::new(), doubts: Vec::new() };
        check(&dump, &Machine::of_profile(profile).unwrap_or_default()).findings
    }

    fn of_vmcs(values: &[(Encoding, u64)], profile: &str) -> Vec<Finding> {
        let mut fields = VmcsFields::default();
        for (encoding, value) in values {
            fields.insert(*encoding, Entry { value: Some(*value), place: Place::START });
        }
        findings(Kind::LinuxVmcs, State::Vmcs(fields), profile)
    }

    fn violated(findings: Vec<Finding>) -> Vec<&'static str> {
        let findings = findings.into_iter().filter(|finding| finding.verdict == Verdict::Violated);
        findings.map(|finding| finding.rule).collect()
    }

    fn of_haswell(values: &[(Encoding, u64)]) -> Vec<&'static str> {
        violated(of_vmcs(values, "haswell"))
    }

    #[test]
    fn fixed_bits_follow_the_guest() {
        let guest_cr0 = field::GUEST_CR0.encoding();
        let controls = |secondary| {
            [(field::PRIMARY_CONTROLS.encoding(), 0xb5a0_6dfa), (field::SECONDARY_CONTROLS.encoding(), secondary)]
        };
        for (secondary, cr0, expected) in [
            (0x02, 0x8000_0031, [].as_slice()),
            (0x02, 0x30, &["VMX-GUEST-CR0-FIXED-0"]),
            (0x02, 0xe000_0031, &[]),
            (0x82, 0x30, &[]),
            (0x82, 0x10, &["VMX-GUEST-CR0-FIXED-0"]),
        ] {
            let rules = of_haswell(&[controls(secondary).as_slice(), &[(guest_cr0, cr0)]].concat());
            assert_eq!(rules, expected, "{secondary:#x} {cr0:#x}");
        }
        assert_eq!(of_haswell(&[(field::HOST_CR0.encoding(), 0x30)]), ["VMX-HOST-CR0-FIXED-0"]);
        let wrong = of_haswell(&[(field::GUEST_CR4.encoding(), 1 << 63)]);
        assert_eq!(wrong, ["VMX-GUEST-CR4-FIXED-0", "VMX-GUEST-CR4-FIXED-1"]);
    }

    #[test]
    fn controls_are_compared_with_the_capability() {
        let pin = field::PIN_CONTROLS.encoding();
        assert_eq!(of_haswell(&[(pin, 0x3f)]), [""; 0]);
        assert_eq!(of_haswell(&[(pin, 0x29)]), ["VMX-CTL-PIN-ALLOWED-0"]);
        assert_eq!(of_haswell(&[(pin, 1 << 31 | 0x3f)]), ["VMX-CTL-PIN-ALLOWED-1"]);
        assert_eq!(of_haswell(&[(pin, 0x36)]), ["VMX-CTL-VIRTUAL-NMIS"]);
    }

    #[test]
    fn the_other_value_is_told_with_its_bits() {
        let findings = of_vmcs(&[(field::GUEST_CR4.encoding(), 0x40_0020)], "haswell");
        let valid: Vec<_> = findings.iter().filter_map(|finding| finding.valid.as_deref()).collect();
        assert_eq!(
            valid,
            [
                "GUEST_CR4 = 0x0000000000402020, with 0x0000000000002000 VMXE",
                "GUEST_CR4 = 0x0000000000000020, without 0x0000000000400000 PKE",
            ],
        );
    }

    #[test]
    fn what_is_not_known_is_needed() {
        let findings = of_vmcs(&[(field::GUEST_CR4.encoding(), 0)], "");
        assert_eq!(violated(findings.clone()), [""; 0]);
        let needed = |rule: &str| findings.iter().find(|finding| finding.rule == rule).map(|finding| &finding.verdict);
        let fact = "the capability IA32_VMX_CR4_FIXED1".to_owned();
        assert_eq!(needed("VMX-GUEST-CR4-FIXED-1"), Some(&Verdict::CannotTell(Needed::Fact(fact))));
        let field = "PIN_CONTROLS".to_owned();
        assert_eq!(needed("VMX-CTL-VIRTUAL-NMIS"), Some(&Verdict::CannotTell(Needed::Field(field))));
    }

    #[test]
    fn only_a_linux_or_xen_of_32_bits_is_in_the_lower_half() {
        let values = [(field::HOST_RIP.encoding(), 0xc100_0000), (field::EXIT_CONTROLS.encoding(), 0x0003_6dff)];
        let is_64 = |findings: Vec<Finding>| violated(findings).contains(&"VMX-HOST-MODE-IA32E");
        assert!(!is_64(of_vmcs(&values, "haswell")));
        let mut fields = VmcsFields::default();
        for (encoding, value) in values {
            fields.insert(encoding, Entry { value: Some(value), place: Place::START });
        }
        assert!(is_64(findings(Kind::Vmcs, State::Vmcs(fields), "haswell")));
    }

    /// A VMCB that VMRUN takes, with other bytes at some places.
    fn image(changes: &[(usize, &[u8])]) -> VmcbImage {
        let mut image = VmcbImage::default();
        let valid: [(usize, &[u8]); 10] = [
            (control::INTERCEPT_MISC2.offset(), &[1, 0, 0, 0]),
            (control::GUEST_ASID.offset(), &[1, 0, 0, 0]),
            (control::NESTED_CTL.offset(), &[1, 0, 0, 0, 0, 0, 0, 0]),
            (save::EFER.offset(), &[0, 0x15, 0, 0, 0, 0, 0, 0]),
            (save::CR0.offset(), &[0x33, 0, 5, 0x80, 0, 0, 0, 0]),
            (save::CR4.offset(), &[0x20, 0, 0, 0, 0, 0, 0, 0]),
            (save::DR6.offset(), &[0; 8]),
            (save::DR7.offset(), &[0; 8]),
            (save::CS.offset(), &[0; 16]),
            (save::RIP.offset(), &[0; 8]),
        ];
        for (offset, bytes) in changes.iter().chain(&valid) {
            image.insert(*offset, bytes, Place::START);
        }
        image
    }

    fn of_milan(changes: &[(usize, &[u8])]) -> Vec<&'static str> {
        violated(findings(Kind::LinuxVmcb, State::Vmcb(image(changes)), "milan"))
    }

    #[test]
    fn each_rule_of_vmrun_is_found_alone() {
        assert_eq!(of_milan(&[]), [""; 0]);
        let cases: [(usize, &[u8], &str); 8] = [
            (save::EFER.offset(), &[0, 5, 0, 0, 0, 0, 0, 0], "SVM-VMRUN-EFER-SVME"),
            (save::CR0.offset(), &[0x33, 0, 5, 0xa0, 0, 0, 0, 0], "SVM-VMRUN-CR0-NW"),
            (save::CR0.offset(), &[0x33, 0, 5, 0x80, 1, 0, 0, 0], "SVM-VMRUN-CR0-HIGH"),
            (save::CR0.offset(), &[0x32, 0, 5, 0x80, 0, 0, 0, 0], "SVM-VMRUN-LONG-MODE-PE"),
            (save::CR4.offset(), &[0; 8], "SVM-VMRUN-LONG-MODE-PAE"),
            (save::CS.offset(), &[0, 0, 0x9b, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "SVM-VMRUN-CS-L-D"),
            (control::INTERCEPT_MISC2.offset(), &[0xfe, 0, 0, 0], "SVM-VMRUN-INTERCEPT-VMRUN"),
            (control::GUEST_ASID.offset(), &[0; 4], "SVM-VMRUN-ASID"),
        ];
        for (offset, bytes, expected) in cases {
            assert_eq!(of_milan(&[(offset, bytes)]), [expected]);
        }
    }

    #[test]
    fn nothing_is_told_of_a_vmcb_that_is_not_there() {
        let findings = findings(Kind::LinuxVmcb, State::Vmcb(VmcbImage::default()), "");
        assert!(findings.iter().all(|finding| matches!(finding.verdict, Verdict::CannotTell(_))));
        assert!(findings.len() > 30);
    }

    #[test]
    fn an_asid_that_the_processor_does_not_have_is_noted() {
        let state = State::Vmcb(image(&[(control::GUEST_ASID.offset(), &[0, 0, 1, 0])]));
        let (message, place) = (None, Place::START);
        let kind = Kind::LinuxVmcb;
        let dump = Dump { kind, place, state, message, msrs: Vec::new(), cut: Vec::new(), doubts: Vec::new() };
        let checked = check(&dump, &Machine::of_profile("milan").unwrap());
        assert_eq!(
            checked.notes,
            ["GUEST_ASID = 0x10000 is not below 0x8000, the number of ASIDs (CPUID Fn8000_000A EBX)"]
        );
    }
}
