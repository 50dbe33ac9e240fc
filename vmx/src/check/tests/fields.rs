//! The fields of rules: a rule lists all that it reads.

use core::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any, proptest};

use super::pairs;
use super::state::{Mode, State, encoding};
use crate::access::VmcsRead;
use crate::capability::Capabilities;
use crate::check::controls::EXECUTION;
use crate::check::{Entry, RULES, Report, Rule, RuleKind, RuleSet, check_entry};
use crate::control::ControlWord;
use crate::field::{self, Encoding};
use crate::instruction_error::{InstructionError, VmFail};
use crate::testing::FakeVmcs;

/// A VMCS that takes note of what is read, and of which a field may be missing.
struct Recorder<'a> {
    vmcs: &'a FakeVmcs,
    missing: Option<Encoding>,
    read: RefCell<BTreeSet<Encoding>>,
}

impl VmcsRead for Recorder<'_> {
    fn read_raw(&self, field: Encoding) -> Result<u64, VmFail> {
        self.read.borrow_mut().insert(field);
        if self.missing == Some(field) {
            return Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD));
        }
        self.vmcs.read_raw(field)
    }
}

/// What each rule reads, by its place in the list.
type Reads = BTreeMap<usize, BTreeSet<Encoding>>;

fn one(index: usize) -> RuleSet {
    let mut set = RuleSet::NONE;
    set.insert(index);
    set
}

/// What a rule finds.
fn outcome(report: &Report<'_>, index: usize) -> (bool, Option<String>) {
    let report = report.only(one(index));
    (report.violated().is_empty(), report.undecided().next().map(|undecided| undecided.missing.to_string()))
}

/// Whether the rule counts only if the entry does not return from system-management mode, as one of the VM-entry controls says.
fn is_of_execution(rule: &Rule) -> bool {
    rule.section == EXECUTION
}

/// Adds what each rule reads in `state`, but for that control.
fn record(state: &State, reads: &mut Reads) {
    let capabilities = Capabilities::from_raw(state.raw);
    let entry = Entry { machine: Some(&state.world), ..state.entry };
    let recorder = |missing| Recorder { vmcs: &state.vmcs, missing, read: RefCell::default() };
    let whole = recorder(None);
    let report = check_entry(&whole, &capabilities, entry);
    for index in 0..RULES.len() {
        whole.read.borrow_mut().clear();
        let _ = outcome(&report, index);
        reads.entry(index).or_default().append(&mut whole.read.borrow_mut());
    }
    let counts =
        |rule: &Rule, word| word != field::ENTRY_CONTROLS.encoding() || !(state.entry.in_smm && is_of_execution(rule));
    // Control words are read once for all rules. A rule reads one if it finds something else without it.
    for word in ControlWord::ALL.map(encoding) {
        let cut = recorder(Some(word));
        let without = check_entry(&cut, &capabilities, entry);
        for (index, rule) in RULES.iter().enumerate() {
            if counts(rule, word) && outcome(&report, index) != outcome(&without, index) {
                reads.entry(index).or_default().insert(word);
            }
        }
    }
}

fn assert_listed(reads: &Reads) {
    let missing: Vec<_> = reads
        .iter()
        .filter_map(|(index, read)| {
            let rule = &RULES[*index];
            let missing: Vec<_> = read.iter().filter(|field| !rule.fields.contains(field)).collect();
            (!missing.is_empty()).then(|| format!("{} reads {missing:?}", rule.id))
        })
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_rule_lists_what_it_reads() {
    let mut reads = Reads::new();
    for mode in Mode::ALL {
        record(&State::new(mode), &mut reads);
    }
    for pair in pairs() {
        for change in [&pair.breaks, &pair.keeps] {
            let mut state = State::new(pair.mode);
            change(&mut state);
            record(&state, &mut reads);
        }
    }
    assert_listed(&reads);
    // And nothing else.
    for (rule, read) in RULES.iter().zip(reads.values()).filter(|(rule, _)| rule.kind == RuleKind::Checked) {
        let never: Vec<_> = rule.fields.iter().filter(|field| !read.contains(field)).collect();
        assert!(never.is_empty(), "{} never reads {never:?}", rule.id);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_rule_lists_what_it_reads_in_any_state(
        values in vec(any::<u64>(), field::ALL.len()),
        masks in vec(0_u32..3, field::ALL.len()),
        bits in any::<u8>(),
    ) {
        let mut state = State::new(Mode::Long);
        for ((info, value), mask) in field::ALL.iter().zip(values).zip(masks) {
            match mask {
                0 => state.set_raw(info.encoding, value),
                1 => state.set_raw(info.encoding, value & value >> 16 & value >> 32),
                _ => {}
            }
        }
        state.entry.in_smm = bits & 1 != 0;
        state.entry.in_seam = bits & 2 != 0;
        state.entry.intel_64 = bits & 4 != 0;
        state.entry.is_ia32e = bits & 8 != 0;
        let mut reads = Reads::new();
        record(&state, &mut reads);
        assert_listed(&reads);
    }
}
