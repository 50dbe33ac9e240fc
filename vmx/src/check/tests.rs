//! Every rule with a state that breaks it and one that just does not.

mod apic;
mod controls;
mod events;
mod fields;
mod guest;
mod host;
mod instruction;
mod non_register;
mod paging;
mod reports;
mod segments;
mod state;

use std::collections::BTreeSet;

use super::{RULES, RuleClass, RuleKind};
use crate::capability::Capabilities;
use state::{Mode, State};

/// A state that breaks a rule, and one that just does not.
struct Pair {
    id: String,
    /// Rules that a state cannot keep that breaks this one.
    with: &'static [&'static str],
    mode: Mode,
    breaks: Box<dyn Fn(&mut State)>,
    keeps: Box<dyn Fn(&mut State)>,
}

fn pair(
    id: impl Into<String>,
    mode: Mode,
    breaks: impl Fn(&mut State) + 'static,
    keeps: impl Fn(&mut State) + 'static,
) -> Pair {
    Pair { id: id.into(), with: &[], mode, breaks: Box::new(breaks), keeps: Box::new(keeps) }
}

fn pairs() -> Vec<Pair> {
    [
        instruction::pairs(),
        controls::pairs(),
        apic::pairs(),
        paging::pairs(),
        events::pairs(),
        host::pairs(),
        guest::pairs(),
        segments::pairs(),
        non_register::pairs(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_base_state_enters() {
    for mode in Mode::ALL {
        assert_eq!(State::new(mode).broken(), (vec![], vec![]), "{mode:?}");
    }
}

#[test]
fn a_state_breaks_one_rule_and_its_neighbour_none() {
    for Pair { id, with, mode, breaks, keeps } in pairs() {
        let mut state = State::new(mode);
        breaks(&mut state);
        let mut expected: Vec<_> = with.to_vec();
        expected.push(&id);
        let rank = |id: &str| RULES.iter().position(|rule| rule.id == id);
        expected.sort_by_key(|id| rank(id));
        let (broken, undecided) = state.broken();
        assert_eq!((broken, undecided), (expected, vec![]), "what breaks {id} in {mode:?}");
        let mut state = State::new(mode);
        keeps(&mut state);
        assert_eq!(state.broken(), (vec![], vec![]), "what keeps {id} in {mode:?}");
    }
}

#[test]
fn every_rule_that_is_checked_has_a_pair() {
    let tested: BTreeSet<_> = pairs().into_iter().map(|pair| pair.id).collect();
    let checked = RULES.iter().filter(|rule| rule.kind == RuleKind::Checked).map(|rule| rule.id.to_owned());
    assert_eq!(tested, checked.collect());
}

/// A correction of a state that breaks one rule makes it keep the rule.
#[test]
fn what_is_valid_is_valid() {
    let mut count = 0;
    for Pair { id, mode, breaks, .. } in pairs() {
        let mut state = State::new(mode);
        breaks(&mut state);
        let valid = state.with_report(|report| {
            let violation = report.violations().find(|violation| violation.rule().id == id).unwrap();
            let valid = violation.valid();
            assert!(valid.is_none_or(|(field, _)| violation.rule().fields.contains(&field)), "{id}");
            valid
        });
        if let Some((field, value)) = valid {
            state.set_raw(field, value);
            assert!(!state.broken().0.contains(&id.as_str()), "{id}");
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}

#[test]
fn identifiers_are_unique_and_of_one_form() {
    let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    for rule in RULES {
        assert!(rule.id.starts_with("VMX-"), "{rule}");
        assert!(
            rule.id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-'),
            "{rule}"
        );
        assert!(!rule.requirement.ends_with('.') && !rule.requirement.contains("  "), "{rule}");
        assert_eq!(super::Rule::find(rule.id), Some(rule));
    }
}

/// The list of checks: how many there are in each group.
const ROWS: [(&str, u32); 15] = [
    ("ctl-exec", 67),
    ("ctl-exit", 10),
    ("ctl-entry", 24),
    ("host-cr-msr", 24),
    ("host-seg", 15),
    ("host-addr-size", 11),
    ("guest-cr-msr", 36),
    ("guest-seg", 83),
    ("guest-dt", 4),
    ("guest-rip-rflags", 7),
    ("guest-nonreg", 23),
    ("guest-link", 5),
    ("guest-pdpte", 2),
    ("msr-list", 8),
    ("insn-level", 12),
];

#[test]
fn every_row_of_the_list_has_a_rule() {
    let mut rows: BTreeSet<_> =
        ROWS.iter().flat_map(|(group, count)| (1..=*count).map(move |row| format!("{group}-{row:02}"))).collect();
    assert_eq!(rows.len(), 331);
    if cfg!(not(feature = "provisional")) {
        assert!(rows.remove("host-cr-msr-20") && rows.remove("guest-cr-msr-33"));
    }
    let covered = RULES.iter().flat_map(|rule| rule.rows).map(|row| (*row).to_owned()).collect();
    assert_eq!(rows, covered);
}

#[test]
fn rules_are_counted() {
    let count = |is: fn(&super::Rule) -> bool| RULES.iter().filter(|rule| is(rule)).count();
    let classes = [
        ("instruction", count(|rule| matches!(rule.class, RuleClass::Instruction(_)))),
        ("controls", count(|rule| rule.class == RuleClass::Controls)),
        ("return from SMM", count(|rule| matches!(rule.class, RuleClass::ReturnFromSmm(_)))),
        ("host state", count(|rule| rule.class == RuleClass::HostState)),
        ("guest state", count(|rule| matches!(rule.class, RuleClass::GuestState(_)))),
        ("MSR loading", count(|rule| rule.class == RuleClass::MsrLoading)),
        ("not checked", count(|rule| rule.kind == RuleKind::NotChecked)),
        ("premises", count(|rule| rule.kind == RuleKind::Premise)),
        ("provisional", count(|rule| rule.provisional)),
    ];
    println!("{} rules: {classes:?}", RULES.len());
    assert_eq!(classes.iter().take(6).map(|(_, count)| count).sum::<usize>(), RULES.len());
}

/// The manual's order: what the instruction needs, controls, host state, guest state, MSRs; sections ascend in each.
#[test]
fn rules_are_in_the_order_of_the_manual() {
    let stage = |class| match class {
        RuleClass::Instruction(_) => 0,
        RuleClass::Controls => 1,
        RuleClass::ReturnFromSmm(_) => 2,
        RuleClass::HostState => 3,
        RuleClass::GuestState(_) => 4,
        RuleClass::MsrLoading => 5,
    };
    assert!(RULES.is_sorted_by_key(|rule| stage(rule.class)));
    for class in [RuleClass::Controls, RuleClass::HostState] {
        assert!(RULES.iter().filter(|rule| rule.class == class).is_sorted_by_key(|rule| rule.section.number));
    }
    let guest = RULES.iter().filter(|rule| matches!(rule.class, RuleClass::GuestState(_)));
    assert!(guest.is_sorted_by_key(|rule| rule.section.number));
}

#[test]
fn no_capability_of_a_profile_contradicts_itself() {
    for profile in crate::profile::ALL {
        let capabilities = profile.capabilities();
        let state = State { raw: profile.raw, ..State::new(Mode::Long) };
        let contradictions: Vec<_> = state.with_report(|report| report.contradictions().collect());
        assert_eq!(contradictions, [], "{}", profile.name);
        assert_eq!(Capabilities::from_raw(profile.raw), capabilities);
    }
    assert_eq!(State::new(Mode::Long).with_report(|report| report.contradictions().collect::<Vec<_>>()), []);
}
