//! What a check finds.

use core::fmt;

use super::contradiction::{self, Contradiction};
use super::fix::Fix;
use super::prediction::Prediction;
use super::rule::{Rule, RuleClass, RuleKind};
use super::rule_set::RuleSet;
use super::view::{Correction, Missing, Outcome, Verdict, View};
use super::{RULES, controls};
use crate::field::{Encoding, FieldInfo};

/// What a check finds. It is found when it is asked for, each time anew, from the VMCS as it is then, but for the
/// control words, which are read once.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    view: View<'a>,
    rules: RuleSet,
}

impl<'a> Report<'a> {
    pub(super) const fn new(view: View<'a>) -> Self {
        Self { view, rules: RuleSet::ALL }
    }

    /// The same for some rules alone, such as those about a field that was changed.
    ///
    /// ```
    /// use x86_virt_vmx::check::RuleSet;
    /// use x86_virt_vmx::{FakeVmcs, check, field, profile};
    ///
    /// let (vmcs, capabilities) = (FakeVmcs::new(), profile::SKYLAKE.capabilities());
    /// let report = check(&vmcs, &capabilities).only(RuleSet::about(field::GUEST_TR_ACCESS_RIGHTS.encoding()));
    /// let ids = report.violations().map(|violation| violation.rule().id);
    /// assert!(ids.eq(["VMX-GUEST-SEG-TR-TYPE", "VMX-GUEST-SEG-TR-P"]));
    /// ```
    #[must_use]
    pub const fn only(self, rules: RuleSet) -> Self {
        Self { rules, ..self }
    }

    /// What each rule finds.
    fn outcomes(&self) -> impl Iterator<Item = (usize, &'static Rule, Outcome)> + use<'a> {
        let view = self.view;
        let rules = self.rules.indices().filter_map(|index| RULES.get(index).map(|rule| (index, rule)));
        rules.map(move |(index, rule)| (index, rule, evaluate(rule, &view)))
    }

    /// The rules that are broken.
    fn broken(&self) -> impl Iterator<Item = (usize, &'static Rule, Verdict)> + use<'a> {
        self.outcomes().filter_map(|(index, rule, outcome)| match outcome {
            Ok(Verdict::Holds) | Err(_) => None,
            Ok(verdict) => Some((index, rule, verdict)),
        })
    }

    /// The rules that the entry breaks, in the order of the manual.
    pub fn violations(&self) -> impl Iterator<Item = Violation> + use<'a> {
        let view = self.view;
        self.broken().map(move |(_, rule, verdict)| Violation::new(rule, verdict, &view))
    }

    /// The same as a set.
    #[must_use]
    pub fn violated(&self) -> RuleSet {
        let mut set = RuleSet::NONE;
        self.broken().for_each(|(index, ..)| set.insert(index));
        set
    }

    /// The rules that could not be decided, and what they need, in the order of the manual.
    pub fn undecided(&self) -> impl Iterator<Item = Undecided> + use<'a> {
        self.outcomes().filter_map(|(_, rule, outcome)| outcome.err().map(|missing| Undecided { rule, missing }))
    }

    /// What of the capabilities contradicts itself, so that they are of no processor.
    pub fn contradictions(&self) -> impl Iterator<Item = Contradiction> + use<'a> {
        contradiction::all(self.view.capabilities)
    }

    /// What the processor will do, as far as rules could be decided.
    #[must_use]
    pub fn prediction(&self) -> Prediction {
        Prediction::of(self.broken().map(|(_, rule, verdict)| (rule.class, verdict)))
    }

    /// Whether no rule is undecided that could make the processor do something else than the prediction says.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        let prediction = self.prediction();
        !self.undecided().any(|undecided| prediction.depends_on(undecided.rule))
    }

    /// Values for the fields that are wrong and to whose wrong bits the manual leaves one value. Nothing is written,
    /// and other violations may remain, or be there only then.
    #[must_use]
    pub fn fix(&self) -> Fix {
        let mut fix = Fix::new();
        for (_, _, verdict) in self.broken() {
            if let Verdict::Wrong(correction) = verdict
                && let Ok(value) = self.view.raw(correction.field)
            {
                fix.add(correction, value);
            }
        }
        fix
    }
}

impl fmt::Display for Report<'_> {
    /// One line for each violation, and one for each rule that is undecided.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for violation in self.violations() {
            writeln!(f, "{violation}")?;
        }
        for undecided in self.undecided() {
            writeln!(f, "{undecided}")?;
        }
        for contradiction in self.contradictions() {
            writeln!(f, "{contradiction}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a rule finds. Rules that are not checked find nothing, and those of VM-execution controls only where the entry
/// uses the controls of this VMCS.
fn evaluate(rule: &Rule, view: &View<'_>) -> Outcome {
    if rule.kind != RuleKind::Checked {
        return Ok(Verdict::Holds);
    }
    if view.entry.in_smm && rule.section == controls::EXECUTION && view.returns_from_smm()? {
        return Ok(Verdict::Holds);
    }
    (rule.test)(view)
}

/// Fields of the rule that has the most.
const MOST: usize = {
    let (mut rules, mut most) = (RULES, 0);
    while let [rule, rest @ ..] = rules {
        if rule.fields.len() > most {
            most = rule.fields.len();
        }
        rules = rest;
    }
    most
};

const _: () = assert!(MOST <= 16, "a bit of `Violation::known` for each field");

/// A rule that the entry breaks, with the values that its fields had.
///
/// Its text has the rule, the fields, what is required and where the manual says so.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    rule: &'static Rule,
    /// In the order of the rule's fields.
    values: [u64; MOST],
    /// Bit n: value n is known.
    known: u16,
    valid: Option<(Encoding, u64)>,
    item: Option<u32>,
}

impl Violation {
    fn new(rule: &'static Rule, verdict: Verdict, view: &View<'_>) -> Self {
        let mut violation = Self { rule, values: [0; MOST], known: 0, valid: None, item: None };
        for ((field, slot), bit) in rule.fields.iter().zip(&mut violation.values).zip(0..) {
            if let Ok(value) = view.raw(*field) {
                *slot = value;
                violation.known |= 1 << bit;
            }
        }
        match verdict {
            Verdict::Wrong(Correction { field, mask, bits }) => {
                violation.valid = view.raw(field).ok().map(|value| (field, value & !mask | bits));
            }
            Verdict::Item(number) => violation.item = Some(number),
            Verdict::Holds | Verdict::Broken => {}
        }
        violation
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> &'static Rule {
        self.rule
    }

    /// How the entry fails by this rule alone.
    #[must_use]
    pub const fn class(&self) -> RuleClass {
        self.rule.class
    }

    /// The fields of the rule with their values; `None` for one that could not be read.
    pub fn values(&self) -> impl Iterator<Item = (Encoding, Option<u64>)> {
        let values = self.values.into_iter().zip(0..);
        let values = values.map(|(value, bit)| (self.known >> bit & 1 != 0).then_some(value));
        self.rule.fields.iter().copied().zip(values)
    }

    /// The field and the value that the rule leaves to it, if the manual leaves one value to the bits that are wrong.
    /// The other bits are as they are.
    #[must_use]
    pub const fn valid(&self) -> Option<(Encoding, u64)> {
        self.valid
    }

    /// The number of the entry in the MSR list that breaks the rule, from 1.
    #[must_use]
    pub const fn item(&self) -> Option<u32> {
        self.item
    }
}

/// A value of a field in its width.
pub(super) fn show(field: Encoding, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let bits = FieldInfo::of(field).map_or(u64::BITS, |info| info.encoding.width().bits());
    let digits = usize::try_from(bits / 4 + 2).unwrap_or_default();
    write!(f, "{field} = {value:#0digits$x}")
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.rule.id)?;
        for (index, (field, value)) in self.values().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match value {
                Some(value) => show(field, value, f)?,
                None => write!(f, "{field} unknown")?,
            }
        }
        f.write_str(if self.rule.fields.is_empty() { "" } else { ": " })?;
        f.write_str(self.rule.requirement)?;
        if let Some(number) = self.item() {
            write!(f, "; entry {number}")?;
        }
        if let Some((field, value)) = self.valid() {
            f.write_str("; valid: ")?;
            show(field, value, f)?;
        }
        write!(f, " ({}", self.rule.section)?;
        f.write_str(if self.rule.provisional { "; one source)" } else { ")" })
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A rule that could not be decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undecided {
    /// The rule.
    pub rule: &'static Rule,
    /// What it needs, and is not known.
    pub missing: Missing,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, missing } = self;
        write!(f, "{}: cannot tell: needs {missing}: {} ({})", rule.id, rule.requirement, rule.section)
    }
}
