//! Rules of VM entries.

use x86_virt_vmx::check::{self as vmx, Contradiction, Missing, RuleClass};
use x86_virt_vmx::field::{self, Encoding, FieldInfo};
use x86_virt_vmx::{Capabilities, CapabilityMsr, ExitControls, RawCapabilities};

use super::Checked;
use super::vmcs_lists::WithLists;
use crate::dump::{Dump, Kind, VmcsFields};
use crate::finding::{Class, FieldValue, Finding, Needed, Verdict};
use crate::machine::VmxMachine;
use crate::prediction::Prediction;

/// The MSRs without which it is not known that a control does not exist.
const EXISTENCE: [CapabilityMsr; 4] = [
    CapabilityMsr::IA32_VMX_BASIC,
    CapabilityMsr::IA32_VMX_PROCBASED_CTLS,
    CapabilityMsr::IA32_VMX_EXIT_CTLS,
    CapabilityMsr::IA32_VMX_PROCBASED_CTLS2,
];

/// What the rules say about `fields` of `dump`.
pub(super) fn check(dump: &Dump, fields: &VmcsFields, machine: Option<&VmxMachine>) -> Checked {
    let capabilities = machine.map_or(Capabilities::from_raw(RawCapabilities::NONE), VmxMachine::capabilities);
    let vmcs = WithLists::new(dump, fields);
    let mut entry = vmx::Entry::new();
    entry.is_ia32e = is_ia32e(dump.kind, fields);
    entry.machine = Some(&vmcs);
    let report = vmx::check_entry(&vmcs, &capabilities, entry);
    let mut findings = Vec::new();
    let (mut violations, mut undecided) = (report.violations().peekable(), report.undecided().peekable());
    for rule in vmx::RULES {
        if let Some(violation) = violations.next_if(|violation| violation.rule() == rule) {
            findings.push(violated(fields, &violation));
        } else if let Some(undecided) = undecided.next_if(|undecided| undecided.rule == rule) {
            findings.push(cannot_tell(rule, undecided.missing));
        } else if vmcs.has_made_up_address() && is_about_the_address(rule) {
            findings.push(cannot_tell(rule, Missing::Field(field::ENTRY_MSR_LOAD_ADDRESS.encoding())));
        }
    }
    let contradictions = report.contradictions().filter(|contradiction| is_known(*contradiction, machine));
    Checked {
        findings,
        notes: contradictions.map(|contradiction| contradiction.to_string()).collect(),
        prediction: Prediction::Vmx { prediction: report.prediction(), is_certain: report.is_certain() },
    }
}

/// Whether the host is in IA-32e mode. Linux and Xen are not if they run in the lower half of the address space, and the
/// exit controls agree.
fn is_ia32e(kind: Kind, fields: &VmcsFields) -> bool {
    let is_low = fields.get(field::HOST_RIP).is_some_and(|address| address >> 32 == 0);
    let exit = fields.get(field::EXIT_CONTROLS);
    let is_32 = is_low && exit.is_some_and(|exit| !exit.contains(ExitControls::HOST_ADDRESS_SPACE_SIZE));
    !(is_32 && matches!(kind, Kind::LinuxVmcs | Kind::XenVmcs))
}

/// Whether a rule is about where the VM-entry MSR-load area is, and not about its entries.
fn is_about_the_address(rule: &vmx::Rule) -> bool {
    rule.kind == vmx::RuleKind::Checked
        && rule.class == RuleClass::Controls
        && rule.fields.contains(&field::ENTRY_MSR_LOAD_ADDRESS.encoding())
}

/// Whether a contradiction is not due to what is not known.
fn is_known(contradiction: Contradiction, machine: Option<&VmxMachine>) -> bool {
    let is_known = |msr| machine.is_some_and(|machine| machine.get(msr).is_some());
    match contradiction {
        Contradiction::Absent { msr } => is_known(msr),
        Contradiction::WithoutControl { .. } => EXISTENCE.into_iter().all(is_known),
        _ => true,
    }
}

fn cannot_tell(rule: &'static vmx::Rule, missing: Missing) -> Finding {
    let needed = match missing {
        Missing::Field(field) => Needed::Field(field.to_string()),
        other => Needed::Fact(other.to_string()),
    };
    finding(rule, Verdict::CannotTell(needed))
}

fn violated(fields: &VmcsFields, violation: &vmx::Violation) -> Finding {
    let mut finding = finding(violation.rule(), Verdict::Violated);
    if let Some(number) = violation.item() {
        finding.sentence += &format!("; entry {number} is");
    }
    finding.values = violation.rule().fields.iter().filter_map(|field| value(fields, *field)).collect();
    finding.valid = violation.valid().and_then(|(field, value)| valid(field, fields.raw(field)?, value));
    finding
}

fn finding(rule: &'static vmx::Rule, verdict: Verdict) -> Finding {
    Finding {
        rule: rule.id,
        class: Class::Vmx(rule.class),
        verdict,
        sentence: rule.requirement.to_owned(),
        values: Vec::new(),
        citation: format!("Intel {}{}", rule.section, if rule.provisional { "; one source" } else { "" }),
        valid: None,
    }
}

/// A value that the dump has.
fn value(fields: &VmcsFields, field: Encoding) -> Option<FieldValue> {
    let entry = fields.entry(field)?;
    let text = text(field, entry.value?);
    Some(FieldValue { name: field.to_string(), text, place: Some(entry.place) })
}

/// The `value` that would be valid, and which bits of it are other than those of `present`.
fn valid(field: Encoding, present: u64, value: u64) -> Option<String> {
    let digits = usize::try_from(FieldInfo::of(field)?.encoding.width().bits() / 4 + 2).ok()?;
    let mut valid = format!("{field} = {value:#0digits$x}");
    for (preposition, bits) in [("with", value & !present), ("without", present & !value)] {
        if bits != 0 {
            valid += &format!(", {preposition} {}", text(field, bits));
        }
    }
    Some(valid)
}

fn text(field: Encoding, value: u64) -> String {
    FieldInfo::of(field).map_or_else(|| format!("{value:#x}"), |info| info.text(value).to_string())
}
