//! Checks of VMRUN: any VMCB on any processor has one report, and what the report says of a rule is true.
#![no_main]

use fuzz::vmcb_run::{Input, SAVE, State, vmsa_offset};
use libfuzzer_sys::fuzz_target;
use x86_virt::svm::check::{Fix, Missing, Prediction, RULES, Report, Rule, RuleClass, RuleKind, check};

#[derive(Clone, Debug, arbitrary::Arbitrary)]
enum Question {
    /// The text has every rule, and is the same again.
    Text,
    /// What is predicted is what the broken rules do.
    Prediction,
    /// A correction is one.
    Fix(u8),
    /// All corrections in order, again and again.
    Fixes,
    /// Less is known.
    Less { fields: Vec<u16>, facts: u32 },
    /// More is known.
    More(u8),
    /// What a plain reading of the manual says about some rules.
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
    match question {
        Question::Text => look(&state, text),
        Question::Prediction => look(&state, prediction),
        Question::Fix(number) => fix(state, number),
        Question::Fixes => fixes(state),
        Question::Less { fields, facts } => less(state, &fields, facts),
        Question::More(number) => more(state, number),
        Question::Plain => plain(state),
    }
});

fn look<R>(state: &State, look: impl FnOnce(&Report<'_, &State>) -> R) -> R {
    state.with_context(|context| look(&check(state, state.cpuid, context)))
}

/// What each rule that is checked finds, in the order of the list, which is that of the report.
fn outcomes(report: &Report<'_, &State>) -> Vec<(&'static Rule, Outcome)> {
    let mut violations = report.violations().peekable();
    let mut undecided = report.undecided().peekable();
    let each = RULES.iter().filter(|rule| rule.kind == RuleKind::Checked).map(|rule| {
        let is_broken = violations.next_if(|violation| violation.rule() == rule).is_some();
        let missing = undecided.next_if(|undecided| undecided.rule == rule);
        let outcome = match (is_broken, missing) {
            (false, None) => Outcome::Kept,
            (true, None) => Outcome::Broken,
            (false, Some(undecided)) => Outcome::Undecided(undecided.missing),
            (true, Some(_)) => panic!("{rule} is broken and undecided"),
        };
        (rule, outcome)
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
            None if report.violated().contains(rule) => Outcome::Broken,
            None => Outcome::Kept,
        }
    })
}

fn text(report: &Report<'_, &State>) {
    let text = report.to_string();
    let mut lines = text.lines();
    for violation in report.violations() {
        let line = lines.next().unwrap_or_default();
        let rule = violation.rule();
        assert!(line.starts_with(&format!("violated: {}: ", rule.id)), "{line}");
        assert_eq!(line.strip_prefix("violated: "), Some(violation.to_string().as_str()));
        assert!(line.contains(rule.requirement) && line.contains(rule.section), "{line}");
        assert!(violation.values().map(|(place, _)| place.name()).eq(rule.fields.iter().map(|place| place.name())));
        for (place, value) in violation.values() {
            assert!(line.contains(place.name()), "{line}");
            assert!(value.is_some() || line.contains("unknown"), "{line}");
        }
    }
    for undecided in report.undecided() {
        let line = lines.next().unwrap_or_default();
        assert!(line.starts_with(&format!("undecided: {}: ", undecided.rule.id)), "{line}");
        assert!(line.contains(undecided.missing.what()), "{line}");
    }
    for note in report.notes() {
        let line = lines.next().unwrap_or_default();
        assert!(note.rule().kind != RuleKind::Checked && line.starts_with(&format!("note: {}: ", note.rule().id)));
    }
    let mut contradictions = report.contradictions();
    assert!(lines.eq(contradictions.by_ref().map(|contradiction| format!("contradiction: {contradiction}"))));
    assert!(report.violations().map(|violation| violation.rule()).eq(report.violated().iter()));
}

fn prediction(report: &Report<'_, &State>) {
    let prediction = report.prediction();
    let open = report.notes().any(|note| note.rule().kind == RuleKind::Open && note.rule().class != RuleClass::Entered);
    let expected = match report.violations().next() {
        Some(violation) => Prediction::Refused(violation.rule().class),
        None if open || report.undecided().next().is_some() => Prediction::Undecided,
        None => Prediction::Enters,
    };
    assert_eq!(prediction, expected, "{report}");
}

/// Writes the value of a correction where the rule has its field.
fn apply(state: &mut State, fix: &Fix) {
    let bytes = fix.value.to_le_bytes();
    let is_encrypted = state.is_encrypted();
    let (page, offset, length) = match fix.place.offset() {
        Some(offset) if offset >= SAVE && is_encrypted => (&mut state.vmsa, offset - SAVE, 8),
        // INTERCEPT_MISC2 is the only field of four bytes with a correction.
        Some(offset) => (&mut state.vmcb, offset, if offset >= SAVE { 8 } else { 4 }),
        None => {
            let Some(offset) = vmsa_offset(fix.place.name()) else { panic!("{fix}: no field") };
            (&mut state.vmsa, offset, 8)
        }
    };
    let place = page.get_mut(offset..offset + length).unwrap_or_default();
    place.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
}

fn fix(mut state: State, number: u8) {
    let found = look(&state, |report| {
        let count = report.fixes().count().max(1);
        report.fixes().nth(usize::from(number) % count)
    });
    let Some(fix) = found else { return };
    let before = state.clone();
    apply(&mut state, &fix);
    assert!(before.vmcb != state.vmcb || before.vmsa != state.vmsa, "{fix}: nothing changes");
    assert_eq!(outcome(&state, fix.rule), Outcome::Kept, "{fix}");
}

/// How often corrections are applied: one may undo another of the same field.
const ROUNDS: usize = 8;

fn fixes(mut state: State) {
    for _ in 0..ROUNDS {
        let fixes: Vec<_> = look(&state, |report| report.fixes().collect());
        if fixes.is_empty() {
            look(&state, |report| assert!(report.violations().all(|violation| violation.fix().is_none())));
            return;
        }
        fixes.iter().for_each(|fix| apply(&mut state, fix));
    }
    panic!("no end: {:?}", look(&state, |report| report.fixes().map(|fix| fix.to_string()).collect::<Vec<_>>()));
}

/// What was broken is still, or cannot be told. Where it is not known whether the guest has SEV-ES, the checker takes the save area
/// for that of a guest without.
fn less(mut state: State, fields: &[u16], facts: u32) {
    let before = look(&state, outcomes);
    let was_encrypted = state.is_encrypted();
    state.forget(fields, facts);
    if state.is_encrypted() != was_encrypted {
        return;
    }
    let after = look(&state, outcomes);
    for ((rule, before), (_, after)) in before.into_iter().zip(after) {
        let is_less = matches!(after, Outcome::Undecided(_)) || before == after;
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
    for _ in 0..32 {
        let Outcome::Undecided(missing) = outcome(&state, rule) else { return };
        state.supply(missing);
    }
    panic!("{rule} is never decided");
}

/// Rules as one reads them, where the VMCB is known.
fn plain(mut state: State) {
    state.missing.clear();
    let word = |offset: usize| {
        let (page, offset) =
            if offset >= SAVE && state.is_encrypted() { (&state.vmsa, offset - SAVE) } else { (&state.vmcb, offset) };
        let bytes = page.get(offset..offset + 8).and_then(|bytes| bytes.try_into().ok());
        u64::from_le_bytes(bytes.unwrap_or_default())
    };
    // The VMSA may not be known.
    let (cr0, cr4, efer) = (word(0x558), word(0x548), word(0x4d0));
    let low = |value: u64| value & 0xffff_ffff;
    let is_long = efer >> 8 & 1 == 1 && cr0 >> 31 & 1 == 1;
    let attributes = word(0x410) >> 16;
    let event = word(0xa8);
    let (is_event, kind, vector) = (event >> 31 & 1 == 1, event >> 8 & 7, event & 0xff);
    let expected = [
        ("SVM-VMRUN-EFER-SVME", efer >> 12 & 1 == 0),
        ("SVM-VMRUN-CR0-NW", cr0 >> 29 & 3 == 1),
        ("SVM-VMRUN-CR0-HIGH", cr0 >> 32 != 0),
        ("SVM-VMRUN-DR6-HIGH", word(0x568) >> 32 != 0),
        ("SVM-VMRUN-DR7-HIGH", word(0x560) >> 32 != 0),
        ("SVM-VMRUN-LONG-MODE-PAE", is_long && cr4 >> 5 & 1 == 0),
        ("SVM-VMRUN-LONG-MODE-PE", is_long && cr0 & 1 == 0),
        ("SVM-VMRUN-CS-L-D", is_long && cr4 >> 5 & 1 == 1 && attributes >> 9 & 3 == 3),
        ("SVM-VMRUN-INTERCEPT-VMRUN", word(0x10) & 1 == 0),
        ("SVM-VMRUN-ASID", low(word(0x58)) == 0),
        ("SVM-VMRUN-EVENTINJ-TYPE", is_event && !matches!(kind, 0 | 2 | 3 | 4)),
        ("SVM-VMRUN-EVENTINJ-VECTOR", is_event && kind == 3 && (vector == 2 || vector > 31)),
    ];
    look(&state, |report| {
        let broken: Vec<&str> = report.violations().map(|violation| violation.rule().id).collect();
        let undecided: Vec<&str> = report.undecided().map(|undecided| undecided.rule.id).collect();
        for (id, expected) in expected {
            assert!(Rule::find(id).is_some(), "{id}");
            assert!(broken.contains(&id) == expected || undecided.contains(&id), "{id}\n{report}");
        }
    });
}
