//! What a check finds.

use core::fmt;

use super::contradiction::{self, Contradiction};
use super::fix::Fix;
use super::prediction::Prediction;
use super::rule::{Rule, RuleClass, RuleKind};
use super::view::{Correction, Missing, Outcome, Verdict, View};
use super::{RULES, controls};
use crate::field::{Encoding, FieldInfo};

/// What a check finds. It is found when it is asked for, each time anew, from the VMCS as it is then, but for the
/// control words, which are read once.
#[derive(Clone, Copy)]
pub struct Report<'a> {
    view: View<'a>,
}

impl<'a> Report<'a> {
    pub(super) const fn new(view: View<'a>) -> Self {
        Self { view }
    }

    /// What each rule finds.
    fn outcomes(&self) -> impl Iterator<Item = (&'static Rule, Outcome)> + use<'a> {
        let view = self.view;
        RULES.iter().map(move |rule| (rule, evaluate(rule, &view)))
    }

    /// The rules that the entry breaks, in the order of the manual.
    pub fn violations(&self) -> impl Iterator<Item = Violation<'a>> + use<'a> {
        let view = self.view;
        self.outcomes().filter_map(move |(rule, outcome)| match outcome {
            Ok(Verdict::Holds) | Err(_) => None,
            Ok(verdict) => Some(Violation { rule, verdict, view }),
        })
    }

    /// The rules that could not be decided, and what they need, in the order of the manual.
    pub fn undecided(&self) -> impl Iterator<Item = Undecided> + use<'a> {
        self.outcomes().filter_map(|(rule, outcome)| outcome.err().map(|missing| Undecided { rule, missing }))
    }

    /// What of the capabilities contradicts itself, so that they are of no processor.
    pub fn contradictions(&self) -> impl Iterator<Item = Contradiction> + use<'a> {
        contradiction::all(self.view.capabilities)
    }

    /// What the processor will do, as far as rules could be decided.
    #[must_use]
    pub fn prediction(&self) -> Prediction {
        Prediction::of(self.violations())
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
        for violation in self.violations() {
            if let Some((correction, value)) = violation.correction() {
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

/// A rule that the entry breaks, with the values of its fields.
///
/// Its text has the rule, the fields, what is required and where the manual says so.
#[derive(Clone, Copy)]
pub struct Violation<'a> {
    rule: &'static Rule,
    verdict: Verdict,
    view: View<'a>,
}

impl Violation<'_> {
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

    /// The fields of the rule with their values; `None` for one that cannot be read.
    pub fn values(&self) -> impl Iterator<Item = (Encoding, Option<u64>)> {
        self.rule.fields.iter().map(|field| (*field, self.view.raw(*field).ok()))
    }

    /// The field and the value that the rule leaves to it, if the manual leaves one value to the bits that are wrong.
    /// The other bits are as they are.
    #[must_use]
    pub fn valid(&self) -> Option<(Encoding, u64)> {
        self.correction().map(|(correction, value)| (correction.field, value & !correction.mask | correction.bits))
    }

    /// The number of the entry in the MSR list that breaks the rule, from 1.
    #[must_use]
    pub const fn item(&self) -> Option<u32> {
        match self.verdict {
            Verdict::Item(number) => Some(number),
            _ => None,
        }
    }

    /// The correction, and the value that it corrects.
    fn correction(&self) -> Option<(Correction, u64)> {
        match self.verdict {
            Verdict::Wrong(correction) => self.view.raw(correction.field).ok().map(|value| (correction, value)),
            _ => None,
        }
    }
}

/// A value of a field in its width.
pub(super) fn show(field: Encoding, value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let bits = FieldInfo::of(field).map_or(u64::BITS, |info| info.encoding.width().bits());
    let digits = usize::try_from(bits / 4 + 2).unwrap_or_default();
    write!(f, "{field} = {value:#0digits$x}")
}

impl fmt::Display for Violation<'_> {
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

impl fmt::Debug for Violation<'_> {
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
