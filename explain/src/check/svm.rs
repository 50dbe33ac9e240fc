//! Rules of VMRUN.

use x86_virt_svm::DumpEntry;
use x86_virt_svm::check::{self as svm, Place, Rule, RuleKind, VmrunContext};
use x86_virt_svm::vmcb::{VmcbFieldInfo, control, save};
use x86_virt_svm::vmsa;

use super::Checked;
use crate::dump::{VmcbImage, VmsaImage, vmcb_fields};
use crate::finding::{Class, FieldValue, Finding, Needed, Verdict};
use crate::machine::SvmMachine;
use crate::prediction::Prediction;

/// What the rules say about `image`.
pub(super) fn check(image: &VmcbImage, machine: Option<&SvmMachine>) -> Checked {
    let mut context = VmrunContext::UNKNOWN;
    context.leaf_8000_0008_ebx = machine.and_then(|machine| machine.leaf_8000_0008_ebx);
    context.leaf_8000_0021_eax = machine.and_then(|machine| machine.leaf_8000_0021_eax);
    let vmsa = VmsaImage::of(image);
    if let Some(vmsa) = &vmsa {
        context.vmsa = Some(vmsa);
    }
    let report = svm::check(image, machine.map(SvmMachine::cpuid), context);
    let mut findings = Vec::new();
    for violation in report.violations() {
        let mut finding = finding(violation.rule(), Verdict::Violated);
        finding.values = values(image, violation.values());
        finding.valid = violation.fix().map(|fix| format!("{} = {:#x}", fix.place, fix.value));
        findings.push(finding);
    }
    for note in report.notes() {
        let rule = note.rule();
        let is_open = rule.kind == RuleKind::Open && rule.class != svm::RuleClass::Entered;
        let mut finding = finding(rule, if is_open { Verdict::Open } else { Verdict::Taken });
        finding.values = values(image, note.values());
        if let Some(value) = note.becomes() {
            finding.sentence += &format!(", and it becomes {value:#x}");
        }
        findings.push(finding);
    }
    for undecided in report.undecided() {
        let what = undecided.missing.what();
        let is_field = vmcb_fields().chain(vmsa::ALL).any(|info| info.name == what);
        let needed = if is_field { Needed::Field(what.to_owned()) } else { Needed::Fact(what.to_owned()) };
        findings.push(finding(undecided.rule, Verdict::CannotTell(needed)));
    }
    Checked {
        findings,
        notes: too_high_asid(image, machine).into_iter().collect(),
        prediction: Prediction::Svm(report.prediction()),
    }
}

fn finding(rule: &'static Rule, verdict: Verdict) -> Finding {
    Finding {
        rule: rule.id,
        class: Class::Svm(rule.class),
        verdict,
        sentence: rule.requirement.to_owned(),
        values: Vec::new(),
        citation: format!(
            "AMD APM vol. 2, section {}{}",
            rule.section,
            if rule.provisional { "; provisional" } else { "" }
        ),
        valid: None,
    }
}

/// The values that are known.
fn values(image: &VmcbImage, values: impl Iterator<Item = (&'static Place, Option<u64>)>) -> Vec<FieldValue> {
    let known = values.filter_map(|(place, value)| Some((place, value?)));
    known
        .map(|(place, value)| FieldValue {
            name: place.to_string(),
            text: text(image, place, value),
            place: where_is(image, place),
        })
        .collect()
}

/// The value of a field, and what it means.
fn text(image: &VmcbImage, place: &Place, value: u64) -> String {
    let field =
        field(place).filter(|(info, offset)| info.name == place.name() && image.known(*offset, info.bytes).is_some());
    let Some((info, offset)) = field else { return format!("{value:#x}") };
    let bytes = image.known(offset, info.bytes).unwrap_or_default();
    let line = DumpEntry { field: Some(info), offset, bytes }.to_string();
    // Behind the name and the offset.
    line.splitn(3, ' ').nth(2).unwrap_or_default().to_owned()
}

/// Where the value was, or that of which it is a part.
fn where_is(image: &VmcbImage, place: &Place) -> Option<crate::place::Place> {
    let (_, start) = field(place)?;
    place.offset().and_then(|offset| image.place(offset)).or_else(|| image.place(start))
}

/// The field that a place is, or is a part of, and where in the image it is. `None` for registers of the host.
fn field(place: &Place) -> Option<(&'static VmcbFieldInfo, usize)> {
    match place.offset() {
        Some(offset) => vmcb_fields()
            .find(|info| (info.offset..info.offset + info.bytes).contains(&offset))
            .map(|info| (info, info.offset)),
        None => {
            let name = place.to_string();
            let name = name.strip_prefix("VMSA.")?;
            vmsa::ALL.iter().find(|info| info.name == name).map(|info| (info, save::START + info.offset))
        }
    }
}

/// What to say of an ASID that the processor does not have. No rule of VMRUN is known to be about it.
fn too_high_asid(image: &VmcbImage, machine: Option<&SvmMachine>) -> Option<String> {
    let asids = machine?.cpuid.leaf_8000_000a_ebx;
    let asid: u32 = image.get(control::GUEST_ASID).filter(|asid| *asid >= asids)?;
    Some(format!("GUEST_ASID = {asid:#x} is not below {asids:#x}, the number of ASIDs (CPUID Fn8000_000A EBX)"))
}
