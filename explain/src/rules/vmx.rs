//! Rules of VM entries: controls, and the fixed bits of CR0 and CR4.

use x86_virt_core::{Cr0, Cr4};
use x86_virt_vmx::field::{self, Encoding, FieldInfo};
use x86_virt_vmx::{CapabilityMsr, Control, ControlConflict, ControlValues, ControlWord, SecondaryControls};

use super::{Class, FieldValue, Finding, Verdict};
use crate::dump::VmcsFields;
use crate::machine::VmxMachine;

const CONTROLS: &str = "Intel SDM vol. 3, section 29.2.1, \"Checks on VMX Controls\"";
const FIXED_CR0: &str = "Intel SDM vol. 3, appendix A.7, \"VMX-Fixed Bits in CR0\"";
const FIXED_CR4: &str = "Intel SDM vol. 3, appendix A.8, \"VMX-Fixed Bits in CR4\"";

/// CR0.NW and CR0.CD, which no entry and no exit changes and no check looks at.
const NW_AND_CD: u64 = 3 << 29;
/// CR0.PE and CR0.PG, which an unrestricted guest may have clear.
const PE_AND_PG: u64 = 1 << 31 | 1;

/// What the rules say about `fields`.
pub(super) fn rules(fields: &VmcsFields, machine: Option<&VmxMachine>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let controls = fields.controls();
    for word in ControlWord::ALL {
        control_word(fields, machine, &controls, word, &mut findings);
    }
    for conflict in controls.violations() {
        findings.extend(conflict_of(fields, conflict));
    }
    fixed_bits(fields, machine, &controls, &mut findings);
    findings
}

/// A control word against what the processor can do.
fn control_word(
    fields: &VmcsFields,
    machine: Option<&VmxMachine>,
    controls: &ControlValues,
    word: ControlWord,
    findings: &mut Vec<Finding>,
) {
    if !controls.is_active(word) {
        return;
    }
    let (encoding, id) = word_field(word);
    let name = encoding.to_string();
    let Some(value) = fields.raw(encoding) else {
        findings.push(cannot_tell(
            format!("VMX-CTL-{id}"),
            Class::Controls,
            format!("{name} is not in the dump"),
            CONTROLS,
        ));
        return;
    };
    let Some((msr, content)) = machine.and_then(|machine| {
        let msr = machine.msr_of(word)?;
        machine.get(msr).map(|content| (msr, content))
    }) else {
        let (plain, _) = word.capability_msrs();
        let sentence = format!("{name} against {plain} needs the capability");
        findings.push(cannot_tell(format!("VMX-CTL-{id}"), Class::Controls, sentence, CONTROLS));
        return;
    };
    let (must, may) = match word.width() {
        64 => (0, content),
        _ => (content & 0xffff_ffff, content >> 32),
    };
    for (suffix, bits, text) in
        [("ALLOWED-1", value & !may, "must not have set"), ("ALLOWED-0", must & !value, "must have set")]
    {
        if bits != 0 {
            findings.push(Finding {
                rule: format!("VMX-CTL-{id}-{suffix}"),
                class: Class::Controls,
                verdict: Verdict::Violated,
                sentence: format!("{name} {text} {} ({msr} = {content:#018x})", names(word, bits)),
                values: values(fields, &[encoding]),
                citation: CONTROLS,
                valid: None,
            });
        }
    }
}

/// The field of a control word, and its name in the names of rules.
const fn word_field(word: ControlWord) -> (Encoding, &'static str) {
    match word {
        ControlWord::Pin => (field::PIN_CONTROLS.encoding(), "PIN"),
        ControlWord::Primary => (field::PRIMARY_CONTROLS.encoding(), "PRIMARY"),
        ControlWord::Secondary => (field::SECONDARY_CONTROLS.encoding(), "SECONDARY"),
        ControlWord::Tertiary => (field::TERTIARY_CONTROLS.encoding(), "TERTIARY"),
        ControlWord::Exit => (field::EXIT_CONTROLS.encoding(), "EXIT"),
        ControlWord::SecondaryExit => (field::SECONDARY_EXIT_CONTROLS.encoding(), "SECONDARY-EXIT"),
        ControlWord::Entry => (field::ENTRY_CONTROLS.encoding(), "ENTRY"),
        ControlWord::VmFunction => (field::VM_FUNCTION_CONTROLS.encoding(), "VM-FUNCTION"),
    }
}

/// The names of bits of a control word.
fn names(word: ControlWord, bits: u64) -> String {
    let set = (0..64_u8).filter(|bit| bits >> bit & 1 != 0).map(|bit| {
        let control = Control { word, bit };
        control.info().map_or_else(|| format!("bit {bit}"), |info| format!("{} (bit {bit})", info.name))
    });
    set.collect::<Vec<_>>().join(", ")
}

/// Two controls that contradict each other. `None` if one of them is in a word that the dump does not have.
fn conflict_of(fields: &VmcsFields, conflict: ControlConflict) -> Option<Finding> {
    let (control, other, relation) = match conflict {
        ControlConflict::Needs { control, needed } => (control, needed, "NEEDS"),
        ControlConflict::Excludes { control, excluded } => (control, excluded, "EXCLUDES"),
        _ => return None,
    };
    let (first, _) = word_field(control.word);
    let (second, _) = word_field(other.word);
    let name = |control: Control| control.info().map_or("?", |info| info.name);
    let rule = format!("VMX-CTL-{}-{relation}-{}", name(control), name(other)).replace('_', "-");
    if fields.raw(second).is_none() {
        let sentence = format!("{conflict}, and {second} is not in the dump");
        return Some(cannot_tell(rule, Class::Controls, sentence, CONTROLS));
    }
    let encodings = if first == second { vec![first] } else { vec![first, second] };
    Some(Finding {
        rule,
        class: Class::Controls,
        verdict: Verdict::Violated,
        sentence: conflict.to_string(),
        values: values(fields, &encodings),
        citation: CONTROLS,
        valid: None,
    })
}

/// CR0 and CR4, of the host and of the guest, against the fixed bits.
fn fixed_bits(
    fields: &VmcsFields,
    machine: Option<&VmxMachine>,
    controls: &ControlValues,
    findings: &mut Vec<Finding>,
) {
    let is_unrestricted =
        SecondaryControls::UNRESTRICTED_GUEST.control().is_some_and(|control| controls.is_in_force(control));
    let cr0 = (CapabilityMsr::IA32_VMX_CR0_FIXED0, CapabilityMsr::IA32_VMX_CR0_FIXED1);
    let cr4 = (CapabilityMsr::IA32_VMX_CR4_FIXED0, CapabilityMsr::IA32_VMX_CR4_FIXED1);
    let show_cr0: fn(u64) -> String = show_cr0;
    let missing: fn(u64, u64) -> u64 = |value, fixed| fixed & !value;
    let guest_unchecked = if is_unrestricted { NW_AND_CD | PE_AND_PG } else { NW_AND_CD };
    for (encoding, register, class, (fixed0, fixed1), unchecked, show, citation) in [
        (field::HOST_CR0.encoding(), "CR0", Class::Host, cr0, NW_AND_CD, show_cr0, FIXED_CR0),
        (field::HOST_CR4.encoding(), "CR4", Class::Host, cr4, 0, show_cr4, FIXED_CR4),
        (field::GUEST_CR0.encoding(), "CR0", Class::Guest, cr0, guest_unchecked, show_cr0, FIXED_CR0),
        (field::GUEST_CR4.encoding(), "CR4", Class::Guest, cr4, 0, show_cr4, FIXED_CR4),
    ] {
        let side = if class == Class::Host { "HOST" } else { "GUEST" };
        let id = |suffix: &str| format!("VMX-{side}-{register}-{suffix}");
        let Some(value) = fields.raw(encoding) else {
            findings.push(cannot_tell(id("FIXED"), class, format!("{encoding} is not in the dump"), citation));
            continue;
        };
        let get = |msr| machine.and_then(|machine| machine.get(msr));
        let valid = get(fixed0).zip(get(fixed1)).map(|(fixed0, fixed1)| {
            let valid = (value | fixed0 & !unchecked) & (fixed1 | unchecked);
            format!("{valid:#018x}")
        });
        for (suffix, msr, wrong, text) in [
            ("FIXED0", fixed0, missing, "must have set"),
            ("FIXED1", fixed1, |value, fixed| value & !fixed, "must not have set"),
        ] {
            let Some(fixed) = get(msr) else {
                let sentence = format!("{encoding} against {msr} needs the capability");
                findings.push(cannot_tell(id(suffix), class, sentence, citation));
                continue;
            };
            let bits = wrong(value, fixed) & !unchecked;
            if bits != 0 {
                findings.push(Finding {
                    rule: id(suffix),
                    class,
                    verdict: Verdict::Violated,
                    sentence: format!("{encoding} {text} {} ({msr} = {fixed:#x})", show(bits)),
                    values: values(fields, &[encoding]),
                    citation,
                    valid: valid.clone(),
                });
            }
        }
    }
}

fn show_cr0(bits: u64) -> String {
    Cr0::from_bits(bits).to_string()
}

fn show_cr4(bits: u64) -> String {
    Cr4::from_bits(bits).to_string()
}

fn cannot_tell(rule: String, class: Class, sentence: String, citation: &'static str) -> Finding {
    let verdict = Verdict::CannotTell;
    Finding { rule, class, verdict, sentence, values: Vec::new(), citation, valid: None }
}

fn values(fields: &VmcsFields, encodings: &[Encoding]) -> Vec<FieldValue> {
    let value = |encoding: &Encoding| {
        let info = FieldInfo::of(*encoding)?;
        let entry = fields.entry(*encoding)?;
        let text = info.text(entry.value?).to_string();
        Some(FieldValue { name: info.name, text, place: Some(entry.place) })
    };
    encodings.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests {
    use x86_virt_vmx::field::{self, Encoding};

    use super::rules;
    use crate::dump::{Entry, VmcsFields};
    use crate::machine::{Machine, VmxMachine};
    use crate::place::Place;
    use crate::rules::Verdict;

    fn fields(values: &[(Encoding, u64)]) -> VmcsFields {
        let mut fields = VmcsFields::default();
        for (encoding, value) in values {
            fields.insert(*encoding, Entry { value: Some(*value), place: Place::START });
        }
        fields
    }

    fn haswell() -> VmxMachine {
        let Some(Machine::Vmx(machine)) = Machine::of_profile("haswell") else { panic!("no profile") };
        machine
    }

    fn violated(values: &[(Encoding, u64)]) -> Vec<String> {
        let findings = rules(&fields(values), Some(&haswell())).into_iter();
        findings.filter(|finding| finding.verdict == Verdict::Violated).map(|finding| finding.rule).collect()
    }

    #[test]
    fn fixed_bits_follow_the_guest() {
        let guest_cr0 = field::GUEST_CR0.encoding();
        assert_eq!(violated(&[(guest_cr0, 0x8000_0031)]), [""; 0]);
        assert_eq!(violated(&[(guest_cr0, 0x30)]), ["VMX-GUEST-CR0-FIXED0"]);
        assert_eq!(violated(&[(guest_cr0, 0x6000_0000_u64 | 0x8000_0031)]), [""; 0]);
        let unrestricted =
            [(field::PRIMARY_CONTROLS.encoding(), 0xb5a0_6dfa), (field::SECONDARY_CONTROLS.encoding(), 0x82)];
        let with = |more: &[(Encoding, u64)]| violated(&[&unrestricted, more].concat());
        assert_eq!(with(&[(guest_cr0, 0x30)]), [""; 0]);
        assert_eq!(with(&[(guest_cr0, 0x10)]), ["VMX-GUEST-CR0-FIXED0"]);
        assert_eq!(with(&[(field::HOST_CR0.encoding(), 0x30)]), ["VMX-HOST-CR0-FIXED0"]);
        assert_eq!(with(&[(field::GUEST_CR4.encoding(), 1 << 63)]), ["VMX-GUEST-CR4-FIXED0", "VMX-GUEST-CR4-FIXED1"]);
    }

    #[test]
    fn controls_are_compared_with_the_capability() {
        let pin = field::PIN_CONTROLS.encoding();
        assert_eq!(violated(&[(pin, 0x3f)]), [""; 0]);
        assert_eq!(violated(&[(pin, 0x29)]), ["VMX-CTL-PIN-ALLOWED-0"]);
        assert_eq!(violated(&[(pin, 1 << 31 | 0x3f)]), ["VMX-CTL-PIN-ALLOWED-1"]);
        assert_eq!(violated(&[(pin, 0x36)]), ["VMX-CTL-VIRTUAL-NMIS-NEEDS-NMI-EXITING"]);
    }

    #[test]
    fn nothing_is_told_without_capabilities() {
        let findings = rules(&fields(&[(field::GUEST_CR4.encoding(), 0)]), None);
        assert!(findings.iter().all(|finding| finding.verdict == Verdict::CannotTell));
        let texts: Vec<_> = findings.iter().map(|finding| finding.sentence.as_str()).collect();
        assert!(texts.contains(&"GUEST_CR4 against IA32_VMX_CR4_FIXED1 needs the capability"), "{texts:?}");
        assert!(texts.contains(&"PIN_CONTROLS is not in the dump"), "{texts:?}");
    }

    #[test]
    fn a_word_that_is_not_there_is_not_held_against_another() {
        let findings = rules(&fields(&[(field::PIN_CONTROLS.encoding(), 1 << 7)]), None);
        let posted = findings.iter().find(|finding| finding.rule.contains("PROCESS-POSTED-INTERRUPTS")).unwrap();
        assert_eq!(posted.verdict, Verdict::CannotTell, "{posted}");
    }
}
