//! The report of a check.

use core::fmt;

use crate::capability::RawCpuid;
use crate::check::contradiction::{self, Contradiction};
use crate::check::finding::{Fix, Note, Undecided, Violation};
use crate::check::rule::{Rule, RuleClass, RuleKind, RuleSet, Verdict};
use crate::check::table::RULES;
use crate::check::view::{Missing, View, VmcbRead, VmrunContext};

/// What VMRUN would say about a VMCB. Each iterator evaluates the rules anew.
///
/// Its text has a line for each violation, undecided rule, note and contradiction.
#[derive(Clone, Copy, Debug)]
pub struct Report<'c, S> {
    vmcb: S,
    cpuid: Option<RawCpuid>,
    context: VmrunContext<'c>,
}

/// What a processor does with the VMCB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Prediction {
    /// It enters the guest.
    Enters,
    /// No rule is broken of those that could be decided. Others could not, or the manual leaves open what happens.
    Undecided,
    /// It refuses. If rules of several classes are broken, this is the one that comes first in the manual.
    Refused(RuleClass),
}

impl<'c, S: VmcbRead> Report<'c, S> {
    pub(crate) const fn new(vmcb: S, cpuid: Option<RawCpuid>, context: VmrunContext<'c>) -> Self {
        Self { vmcb, cpuid, context }
    }

    /// What was checked.
    #[must_use]
    pub const fn vmcb(&self) -> &S {
        &self.vmcb
    }

    fn view(&self) -> View<'_> {
        View::new(&self.vmcb, self.cpuid, &self.context)
    }

    /// The results of the rules of which `wanted` is true.
    fn verdicts(
        &self,
        wanted: fn(RuleKind) -> bool,
    ) -> impl Iterator<Item = (usize, &'static Rule, Result<Verdict, Missing>)> {
        let view = self.view();
        let rules = RULES.iter().enumerate().filter(move |(_, rule)| wanted(rule.kind));
        rules.map(move |(index, rule)| (index, rule, (rule.test)(&view)))
    }

    fn broken(&self, wanted: fn(RuleKind) -> bool) -> impl Iterator<Item = (&'static Rule, Verdict)> {
        self.verdicts(wanted).filter_map(|(_, rule, verdict)| match verdict {
            Ok(Verdict::Kept) | Err(_) => None,
            Ok(verdict) => Some((rule, verdict)),
        })
    }

    /// The rules that are broken, in the order of the manual.
    pub fn violations(&self) -> impl Iterator<Item = Violation> {
        let view = self.view();
        self.broken(is_checked).map(move |(rule, verdict)| Violation::new(rule, &view, verdict))
    }

    /// The violation of `rule`, if it is broken.
    #[must_use]
    pub fn violation(&self, rule: &'static Rule) -> Option<Violation> {
        let view = self.view();
        match (rule.test)(&view) {
            Ok(verdict @ (Verdict::Broken | Verdict::Becomes(_))) if is_checked(rule.kind) => {
                Some(Violation::new(rule, &view, verdict))
            }
            _ => None,
        }
    }

    /// The same as a set.
    #[must_use]
    pub fn violated(&self) -> RuleSet {
        let mut set = RuleSet::NONE;
        for (index, _, verdict) in self.verdicts(is_checked) {
            if matches!(verdict, Ok(Verdict::Broken | Verdict::Becomes(_))) {
                set.insert(index);
            }
        }
        set
    }

    /// What VMRUN changes or ignores in silence, what it does not check, and what is open.
    pub fn notes(&self) -> impl Iterator<Item = Note> {
        let view = self.view();
        self.broken(|kind| !is_checked(kind)).map(move |(rule, verdict)| Note::new(rule, &view, verdict))
    }

    /// The rules that could not be checked.
    pub fn undecided(&self) -> impl Iterator<Item = Undecided> {
        self.verdicts(is_checked).filter_map(|(_, rule, verdict)| Some(Undecided { rule, missing: verdict.err()? }))
    }

    /// What of the CPUID values contradicts itself, so that they are of no processor. The rules are checked all the same.
    pub fn contradictions(&self) -> impl Iterator<Item = Contradiction> {
        self.cpuid.into_iter().flat_map(contradiction::all)
    }

    /// The values that the manual leaves no choice about. Nothing is changed.
    pub fn fixes(&self) -> impl Iterator<Item = Fix> {
        self.violations().filter_map(|violation| violation.fix())
    }

    /// What a processor does.
    #[must_use]
    pub fn prediction(&self) -> Prediction {
        let mut is_open = false;
        for (_, rule, verdict) in self.verdicts(|kind| matches!(kind, RuleKind::Checked | RuleKind::Open)) {
            match verdict {
                Ok(Verdict::Kept) => {}
                Ok(_) if is_checked(rule.kind) => return Prediction::Refused(rule.class),
                Ok(_) => is_open |= rule.class != RuleClass::Entered,
                Err(_) => is_open |= is_checked(rule.kind),
            }
        }
        if is_open { Prediction::Undecided } else { Prediction::Enters }
    }
}

const fn is_checked(kind: RuleKind) -> bool {
    matches!(kind, RuleKind::Checked)
}

impl<S: VmcbRead> fmt::Display for Report<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.violations().try_for_each(|violation| writeln!(f, "violated: {violation}"))?;
        self.undecided().try_for_each(|undecided| writeln!(f, "undecided: {undecided}"))?;
        self.notes().try_for_each(|note| writeln!(f, "note: {note}"))?;
        self.contradictions().try_for_each(|contradiction| writeln!(f, "contradiction: {contradiction}"))
    }
}
