//! Rules of VMRUN.

use x86_virt_core::{Cr0, Cr4, Efer};
use x86_virt_svm::vmcb::{Field, NestedControl, VmcbFieldInfo, VmcbSegment, VmcbValue, control, save};
use x86_virt_svm::{DumpEntry, SvmFeatures};

use super::{Class, FieldValue, Finding, Verdict};
use crate::dump::VmcbImage;
use crate::machine::SvmMachine;

const CHECKS: &str = "AMD APM vol. 2, section 15.5.1, \"Basic Operation\" (canonicalization and consistency checks)";

/// The bit of the VMRUN intercept in the second vector of miscellaneous intercepts.
const VMRUN_INTERCEPT: u32 = 1;

/// What the rules say about `image`.
pub(super) fn rules(image: &VmcbImage, machine: Option<&SvmMachine>) -> Vec<Finding> {
    let mut rules = Rules { image, findings: Vec::new() };
    rules.one(save::EFER, "SVM-EFER-SVME", "EFER.SVME must be 1", |efer: Efer| efer.svme());
    rules.one(save::CR0, "SVM-CR0-CD-NW", "CR0.NW must be 0 where CR0.CD is", |cr0: Cr0| cr0.cd() || !cr0.nw());
    rules.one(save::CR0, "SVM-CR0-HIGH", "CR0[63:32] must be 0", |cr0: Cr0| cr0.into_bits() >> 32 == 0);
    rules.one(save::DR6, "SVM-DR6-HIGH", "DR6[63:32] must be 0", |dr6: u64| dr6 >> 32 == 0);
    rules.one(save::DR7, "SVM-DR7-HIGH", "DR7[63:32] must be 0", |dr7: u64| dr7 >> 32 == 0);
    rules.long_mode();
    rules.one(control::INTERCEPT_MISC2, "SVM-VMRUN-INTERCEPT", "VMRUN must be intercepted", |bits: u32| {
        bits & VMRUN_INTERCEPT != 0
    });
    rules.one(control::GUEST_ASID, "SVM-ASID-ZERO", "the ASID must not be 0", |asid: u32| asid != 0);
    rules.capabilities(machine);
    rules.findings
}

struct Rules<'i> {
    image: &'i VmcbImage,
    findings: Vec<Finding>,
}

impl Rules<'_> {
    /// A rule about one field.
    fn one<T: VmcbValue, A>(&mut self, field: Field<T, A>, rule: &str, sentence: &str, holds: impl Fn(T) -> bool) {
        match self.image.get(field) {
            None => self.cannot_tell(rule, format!("{field} is not in the dump")),
            Some(value) if holds(value) => {}
            Some(_) => self.violated(rule, sentence, &[field.offset()]),
        }
    }

    /// What long mode needs when paging is on.
    fn long_mode(&mut self) {
        let (Some(efer), Some(cr0)): (Option<Efer>, Option<Cr0>) =
            (self.image.get(save::EFER), self.image.get(save::CR0))
        else {
            return;
        };
        if !(efer.lme() && cr0.pg()) {
            return;
        }
        let fields = [save::EFER.offset(), save::CR0.offset()];
        if !cr0.pe() {
            self.violated("SVM-LME-PG-PE", "CR0.PE must be 1 where EFER.LME and CR0.PG are", &fields);
        }
        let Some(cr4): Option<Cr4> = self.image.get(save::CR4) else {
            return self.cannot_tell("SVM-LME-PG-PAE", format!("{} is not in the dump", save::CR4));
        };
        if !cr4.pae() {
            let sentence = "CR4.PAE must be 1 where EFER.LME and CR0.PG are";
            return self.violated("SVM-LME-PG-PAE", sentence, &[fields.as_slice(), &[save::CR4.offset()]].concat());
        }
        let Some(cs): Option<VmcbSegment> = self.image.get(save::CS) else {
            return self.cannot_tell("SVM-CS-L-D", format!("{} is not in the dump", save::CS));
        };
        if cs.attributes.l() && cs.attributes.db() {
            let sentence = "CS.D must be 0 where CS.L is 1 in long mode";
            self.violated(
                "SVM-CS-L-D",
                sentence,
                &[fields.as_slice(), &[save::CR4.offset(), save::CS.offset()]].concat(),
            );
        }
    }

    /// What depends on the processor.
    fn capabilities(&mut self, machine: Option<&SvmMachine>) {
        let Some(machine) = machine else {
            self.cannot_tell("SVM-ASID-RANGE", "GUEST_ASID against CPUID 8000000A EBX needs the capability".to_owned());
            self.cannot_tell("SVM-NP-SUPPORT", "NESTED_CTL against CPUID 8000000A EDX needs the capability".to_owned());
            return;
        };
        let asids = machine.cpuid.leaf_8000_000a_ebx;
        let sentence = format!("the ASID must be below {asids:#x}, the number of ASIDs (CPUID 8000000A EBX)");
        self.one(control::GUEST_ASID, "SVM-ASID-RANGE", &sentence, |asid: u32| asid < asids);
        let features = SvmFeatures::from_bits(machine.cpuid.leaf_8000_000a_edx);
        let sentence = "NP_ENABLE must be 0 on a processor without nested paging (CPUID 8000000A EDX bit 0)";
        self.one(control::NESTED_CTL, "SVM-NP-SUPPORT", sentence, |nested: NestedControl| {
            features.np() || !nested.np_enable()
        });
    }

    fn cannot_tell(&mut self, rule: &str, sentence: String) {
        self.findings.push(Finding {
            rule: rule.to_owned(),
            class: Class::Vmcb,
            verdict: Verdict::CannotTell,
            sentence,
            values: Vec::new(),
            citation: CHECKS,
            valid: None,
        });
    }

    fn violated(&mut self, rule: &str, sentence: &str, offsets: &[usize]) {
        let values = offsets.iter().filter_map(|offset| {
            let (info, bytes) = self.image.iter().find(|(info, _)| info.offset == *offset)?;
            Some(FieldValue { name: info.name, text: text(info, bytes), place: self.image.place(*offset) })
        });
        let values = values.collect();
        self.findings.push(Finding {
            rule: rule.to_owned(),
            class: Class::Vmcb,
            verdict: Verdict::Violated,
            sentence: sentence.to_owned(),
            values,
            citation: CHECKS,
            valid: None,
        });
    }
}

/// The value of a field, and what it means.
fn text(info: &'static VmcbFieldInfo, bytes: &[u8]) -> String {
    let line = DumpEntry { field: Some(info), offset: info.offset, bytes }.to_string();
    // Behind the name and the offset.
    line.splitn(3, ' ').nth(2).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use x86_virt_svm::vmcb::{control, save};

    use super::rules;
    use crate::dump::VmcbImage;
    use crate::machine::{Machine, SvmMachine};
    use crate::place::Place;
    use crate::rules::{Finding, Verdict};

    fn milan() -> SvmMachine {
        let Some(Machine::Svm(machine)) = Machine::of_profile("milan") else { panic!("no profile") };
        machine
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

    fn violated(changes: &[(usize, &[u8])]) -> Vec<String> {
        let findings = rules(&image(changes), Some(&milan())).into_iter();
        findings.filter(|finding| finding.verdict == Verdict::Violated).map(|finding| finding.rule).collect()
    }

    #[test]
    fn each_rule_is_found_alone() {
        assert_eq!(violated(&[]), [""; 0]);
        let cases: [(usize, &[u8], &[&str]); 9] = [
            (save::EFER.offset(), &[0, 5, 0, 0, 0, 0, 0, 0], &["SVM-EFER-SVME"]),
            (save::CR0.offset(), &[0x33, 0, 5, 0xa0, 0, 0, 0, 0], &["SVM-CR0-CD-NW"]),
            (save::CR0.offset(), &[0x33, 0, 5, 0x80, 1, 0, 0, 0], &["SVM-CR0-HIGH"]),
            (save::CR0.offset(), &[0x32, 0, 5, 0x80, 0, 0, 0, 0], &["SVM-LME-PG-PE"]),
            (save::CR4.offset(), &[0; 8], &["SVM-LME-PG-PAE"]),
            (save::CS.offset(), &[0, 0, 0x9b, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &["SVM-CS-L-D"]),
            (control::INTERCEPT_MISC2.offset(), &[0xfe, 0, 0, 0], &["SVM-VMRUN-INTERCEPT"]),
            (control::GUEST_ASID.offset(), &[0; 4], &["SVM-ASID-ZERO"]),
            (control::GUEST_ASID.offset(), &[0, 0, 1, 0], &["SVM-ASID-RANGE"]),
        ];
        for (offset, bytes, expected) in cases {
            assert_eq!(violated(&[(offset, bytes)]), expected);
        }
    }

    #[test]
    fn nothing_is_told_of_what_is_not_there() {
        let findings = rules(&VmcbImage::default(), None);
        assert!(findings.iter().all(|finding: &Finding| finding.verdict == Verdict::CannotTell));
        assert_eq!(findings.len(), 9);
    }
}
