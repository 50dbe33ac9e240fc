//! Checks of VM entries: any state on any processor has one report, and what the report says of a rule is true.
#![no_main]

use fuzz::vmx_entry::{Input, State, msr, row};
use libfuzzer_sys::fuzz_target;
use x86_virt::vmx::check::{
    Missing, Prediction, RULES, Report, Rule, RuleClass, RuleKind, Violation, check, check_entry,
};
use x86_virt::vmx::field::{self, AccessClass, Field, FieldValue};
use x86_virt::vmx::{Capabilities, VmcsRead};

#[derive(Clone, Debug, arbitrary::Arbitrary)]
enum Question {
    /// The text has every rule, and is the same again.
    Text,
    /// What is predicted is what the broken rules do.
    Prediction,
    /// A correction is one.
    Valid(u8),
    /// All corrections together, again and again.
    Fix,
    /// Less is known.
    Less { fields: Vec<u16>, msrs: Vec<u8>, facts: u16 },
    /// More is known.
    More(u8),
    /// No other than is asked of each: what a plain reading of the manual says about some rules.
    Plain,
}

/// What a rule finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Kept,
    Broken,
    Undecided(Missing),
}

fuzz_target!(|input: (Question, Input)| {
    let (question, input) = input;
    let state = input.state();
    // It costs little, and finds what no other question does.
    plain(&state);
    match question {
        Question::Text => look(&state, text),
        Question::Prediction => look(&state, prediction),
        Question::Valid(number) => valid(state, number),
        Question::Fix => fix(state, input.is_profile()),
        Question::Less { fields, msrs, facts } => less(state, &fields, &msrs, facts),
        Question::More(number) => more(state, number),
        Question::Plain => {}
    }
});

fn look<R>(state: &State, look: impl FnOnce(&Report<'_>) -> R) -> R {
    let capabilities = Capabilities::from_raw(state.raw);
    look(&check_entry(state, &capabilities, state.facts.entry()))
}

/// What each rule finds, in the order of the list, which is that of the report.
fn outcomes(report: &Report<'_>) -> Vec<Outcome> {
    let mut violations = report.violations().peekable();
    let mut undecided = report.undecided().peekable();
    let each = RULES.iter().map(|rule| {
        let is_broken = violations.next_if(|violation| violation.rule() == rule).is_some();
        let missing = undecided.next_if(|undecided| undecided.rule == rule);
        match (is_broken, missing) {
            (false, None) => Outcome::Kept,
            (true, None) => Outcome::Broken,
            (false, Some(undecided)) => Outcome::Undecided(undecided.missing),
            (true, Some(_)) => panic!("{rule} is broken and undecided"),
        }
    });
    let outcomes = each.collect();
    assert!(violations.next().is_none() && undecided.next().is_none(), "not in the order of the list");
    outcomes
}

fn outcome(state: &State, rule: &Rule) -> Outcome {
    look(state, |report| {
        let undecided = report.undecided().find(|undecided| undecided.rule == rule);
        match undecided {
            Some(undecided) => Outcome::Undecided(undecided.missing),
            None if report.violations().any(|violation| violation.rule() == rule) => Outcome::Broken,
            None => Outcome::Kept,
        }
    })
}

fn text(report: &Report<'_>) {
    let text = report.to_string();
    let mut lines = text.lines();
    for violation in report.violations() {
        let line = lines.next().unwrap_or_default();
        let rule = violation.rule();
        assert_eq!(rule.kind, RuleKind::Checked, "{rule}");
        assert_eq!(violation.to_string(), line);
        assert!(line.starts_with(rule.id) && line.contains(rule.requirement), "{rule}: {line}");
        let place = rule.section.to_string();
        assert!(line.contains(&place), "{place}: {line}");
        assert!(violation.values().map(|(field, _)| field).eq(rule.fields.iter().copied()));
        for (field, value) in violation.values() {
            assert!(line.contains(&field.to_string()), "{field}: {line}");
            assert!(value.is_some() || line.contains("unknown"), "{line}");
        }
    }
    for undecided in report.undecided() {
        let line = lines.next().unwrap_or_default();
        assert!(line.starts_with(undecided.rule.id) && line.contains(&undecided.missing.to_string()), "{line}");
    }
    assert!(lines.eq(report.contradictions().map(|contradiction| contradiction.to_string())));
    let fix = report.fix();
    assert_eq!(fix.to_string().lines().count(), fix.count());
}

/// When a failure of the class comes: instruction, controls and host, guest, MSRs.
const fn stage(class: RuleClass) -> u8 {
    match class {
        RuleClass::Instruction(_) => 0,
        RuleClass::Controls | RuleClass::HostState | RuleClass::ReturnFromSmm(_) => 1,
        RuleClass::GuestState(_) => 2,
        RuleClass::MsrLoading => 3,
    }
}

fn prediction(report: &Report<'_>) {
    let prediction = report.prediction();
    let mut of_first: Vec<Violation> = report.violations().collect();
    let first = of_first.iter().map(|violation| stage(violation.class())).min();
    of_first.retain(|violation| Some(stage(violation.class())) == first);
    let numbers = |number: &dyn Fn(RuleClass) -> Option<u64>| {
        let mut numbers: Vec<_> = of_first.iter().filter_map(|violation| number(violation.class())).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    };
    match (first, prediction) {
        (None, Prediction::Enters) => {}
        (Some(0), Prediction::Instruction(failure)) => {
            assert_eq!(of_first.first().map(Violation::class), Some(RuleClass::Instruction(failure)));
        }
        (Some(1), Prediction::VmFailValid(errors)) => {
            let expected = numbers(&|class| class.instruction_error().map(|error| error.into_bits().into()));
            assert!(errors.iter().map(u64::from).eq(expected), "{errors}");
        }
        (Some(2), Prediction::GuestState(causes)) => {
            let expected = numbers(&|class| match class {
                RuleClass::GuestState(cause) => Some(cause.into_bits()),
                _ => None,
            });
            assert!(causes.iter().map(u64::from).eq(expected), "{causes}");
        }
        (Some(3), Prediction::MsrLoading { entry }) => {
            assert_eq!(of_first.iter().filter_map(Violation::item).min(), Some(entry));
        }
        (first, prediction) => panic!("stage {first:?}, and the prediction is: {prediction}"),
    }
    let last = first.unwrap_or(4);
    let is_certain = report.undecided().all(|undecided| stage(undecided.rule.class) > last);
    assert_eq!(report.is_certain(), is_certain);
    assert!(!prediction.to_string().is_empty());
}

/// What a rule says is valid keeps the rule, and changes only what the rule is about.
fn valid(mut state: State, number: u8) {
    let found = look(&state, |report| {
        let mut found: Vec<_> = report
            .violations()
            .filter_map(|violation| violation.valid().map(|(field, value)| (violation.rule(), field, value)))
            .collect();
        let count = found.len();
        if count == 0 { None } else { Some(found.swap_remove(usize::from(number) % count)) }
    });
    let Some((rule, field, value)) = found else { return };
    assert!(rule.fields.contains(&field), "{rule}: {field}");
    let before = state.read_raw(field);
    assert_ne!(before, Ok(value), "{rule}: nothing changes");
    state.set(field, value);
    assert_eq!(state.read_raw(field), Ok(value), "{rule}: {field} does not have all these bits");
    assert_eq!(outcome(&state, rule), Outcome::Kept, "{rule}: {field} = {value:#x}, was {before:x?}");
}

/// How often corrections are applied. One correction may bring rules into force.
const ROUNDS: usize = 8;

fn fix(mut state: State, is_profile: bool) {
    for _ in 0..ROUNDS {
        let fix: Vec<_> = look(&state, |report| report.fix().collect());
        if fix.is_empty() {
            // What is left has no only value, or two rules want opposite ones.
            look(&state, |report| {
                let wanted: Vec<_> = report.violations().filter_map(|violation| violation.valid()).collect();
                for (field, _) in &wanted {
                    assert!(wanted.iter().filter(|(other, _)| other == field).count() > 1, "{field} is left out");
                }
            });
            return;
        }
        for (field, value) in fix {
            assert_ne!(state.read_raw(field), Ok(value), "{field}");
            state.set(field, value);
        }
    }
    // Only capabilities that no processor has can want this and that.
    assert!(!is_profile, "no end: {:?}", look(&state, |report| report.fix().to_string()));
}

/// What was broken is still, or cannot be told.
fn less(mut state: State, fields: &[u16], msrs: &[u8], facts: u16) {
    let before = look(&state, outcomes);
    state.missing.extend(fields.iter().take(8).map(|number| row(*number).encoding));
    for number in msrs.iter().take(4) {
        if let Some(value) = state.raw.get_mut(msr(*number)) {
            *value = 0;
        }
    }
    state.facts.forget(facts);
    let after = look(&state, outcomes);
    for ((rule, before), after) in RULES.iter().zip(before).zip(after) {
        let is_less = match (before, after) {
            (_, Outcome::Undecided(_)) => true,
            (before, after) => before == after,
        };
        assert!(is_less, "{rule}: {before:?}, and with less known {after:?}");
    }
}

/// What a rule needs decides it in the end.
fn more(mut state: State, number: u8) {
    let found = look(&state, |report| {
        let undecided: Vec<_> = report.undecided().map(|undecided| undecided.rule).collect();
        undecided.get(usize::from(number) % undecided.len().max(1)).copied()
    });
    let Some(rule) = found else { return };
    for _ in 0..64 {
        let Outcome::Undecided(missing) = outcome(&state, rule) else { return };
        if !state.supply(missing) {
            return;
        }
    }
    panic!("{rule} is never decided");
}

/// Rules as one reads them, where all fields are known.
fn plain(state: &State) {
    let mut state = state.clone();
    state.missing.clear();
    let capabilities = Capabilities::from_raw(state.raw);
    let report = check(&state.vmcs, &capabilities);
    let broken = report.violated();
    fn of<T: FieldValue, A: AccessClass>(state: &State, field: Field<T, A>) -> u64 {
        state.read_raw(field.encoding()).unwrap_or_default()
    }
    let cr0 = of(&state, field::GUEST_CR0);
    let rflags = of(&state, field::GUEST_RFLAGS);
    let (cs, ss) = (of(&state, field::GUEST_CS_ACCESS_RIGHTS), of(&state, field::GUEST_SS_ACCESS_RIGHTS));
    let entry = of(&state, field::ENTRY_CONTROLS);
    let has_secondary = of(&state, field::PRIMARY_CONTROLS) >> 31 & 1 == 1;
    let secondary = if has_secondary { of(&state, field::SECONDARY_CONTROLS) } else { 0 };
    let is_unrestricted = secondary >> 7 & 1 == 1;
    let is_virtual_8086 = rflags >> 17 & 1 == 1;
    let is_long = entry >> 9 & 1 == 1;
    let (pe, pg) = (cr0 & 1 == 1, cr0 >> 31 & 1 == 1);
    let ss_counts = !is_virtual_8086 && ss >> 16 & 1 == 0;
    let limit_fits = |rights: u64, limit: u64| {
        let is_page = rights >> 15 & 1 == 1;
        !(is_page && limit & 0xfff != 0xfff || !is_page && limit >> 20 != 0)
    };
    let expected = [
        ("VMX-GUEST-CR0-PG", pg && !pe),
        ("VMX-GUEST-RFLAGS-RESERVED", rflags & 0xffff_ffff_ffc0_8028 != 0),
        ("VMX-GUEST-RFLAGS-ONE", rflags & 2 == 0),
        ("VMX-GUEST-RFLAGS-VM", is_virtual_8086 && (is_long || !pe)),
        ("VMX-GUEST-GDTR-LIMIT", of(&state, field::GUEST_GDTR_LIMIT) >> 16 != 0),
        ("VMX-GUEST-IDTR-LIMIT", of(&state, field::GUEST_IDTR_LIMIT) >> 16 != 0),
        (
            "VMX-GUEST-SEG-CS-TYPE",
            !(is_virtual_8086 || matches!(cs & 0xf, 9 | 11 | 13 | 15) || cs & 0xf == 3 && is_unrestricted),
        ),
        ("VMX-GUEST-SEG-SS-TYPE", ss_counts && !matches!(ss & 0xf, 3 | 7)),
        ("VMX-GUEST-SEG-SS-P", ss_counts && ss >> 7 & 1 == 0),
        ("VMX-GUEST-SEG-SS-S", ss_counts && ss >> 4 & 1 == 0),
        ("VMX-GUEST-SEG-CS-RESERVED", !is_virtual_8086 && cs & 0xfffe_0f00 != 0),
        ("VMX-GUEST-SEG-CS-D", !is_virtual_8086 && is_long && cs >> 13 & 3 == 3),
        ("VMX-GUEST-SEG-CS-G", !is_virtual_8086 && !limit_fits(cs, of(&state, field::GUEST_CS_LIMIT))),
        ("VMX-GUEST-SEG-SS-G", ss_counts && !limit_fits(ss, of(&state, field::GUEST_SS_LIMIT))),
        ("VMX-GUEST-SEG-CS-V86-RIGHTS", is_virtual_8086 && cs != 0xf3),
        ("VMX-GUEST-SEG-TR-USABLE", of(&state, field::GUEST_TR_ACCESS_RIGHTS) >> 16 & 1 == 1),
        ("VMX-GUEST-SEG-CS-DPL", !is_virtual_8086 && matches!(cs & 0xf, 9 | 11) && cs >> 5 & 3 != ss >> 5 & 3),
    ];
    let is = |id: &str| Rule::find(id).map(|rule| broken.contains(rule));
    for (id, expected) in expected {
        assert_eq!(is(id), Some(expected), "{id}\n{report}");
    }
    for (name, rights) in [
        ("CS", field::GUEST_CS_ACCESS_RIGHTS),
        ("SS", field::GUEST_SS_ACCESS_RIGHTS),
        ("DS", field::GUEST_DS_ACCESS_RIGHTS),
        ("ES", field::GUEST_ES_ACCESS_RIGHTS),
        ("FS", field::GUEST_FS_ACCESS_RIGHTS),
        ("GS", field::GUEST_GS_ACCESS_RIGHTS),
        ("LDTR", field::GUEST_LDTR_ACCESS_RIGHTS),
        ("TR", field::GUEST_TR_ACCESS_RIGHTS),
    ] {
        let rights = of(&state, rights);
        let is_system = matches!(name, "LDTR" | "TR");
        let counts = matches!(name, "CS" | "TR") || rights >> 16 & 1 == 0;
        let counts = counts && (is_system || !is_virtual_8086);
        let has_reserved = rights & 0xfffe_0f00 != 0;
        let is_system_bit = rights >> 4 & 1 == 0;
        for (suffix, expected) in [
            ("RESERVED", counts && has_reserved),
            ("P", counts && rights >> 7 & 1 == 0),
            ("S", counts && is_system_bit != is_system),
        ] {
            let id = format!("VMX-GUEST-SEG-{name}-{suffix}");
            assert_eq!(is(&id), Some(expected), "{id}\n{report}");
        }
        if !is_system && name != "CS" && name != "SS" {
            let data = rights & 1 != 0 && (rights & 8 == 0 || rights & 2 != 0);
            let id = format!("VMX-GUEST-SEG-{name}-TYPE");
            assert_eq!(is(&id), Some(counts && !data), "{id}\n{report}");
        }
    }
}
