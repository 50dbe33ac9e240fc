//! What a check finds.

use core::fmt;

use crate::check::rule::{Place, Rule, RuleKind, Verdict};
use crate::check::table::RULES;
use crate::check::view::{Missing, View};

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

const _: () = assert!(MOST <= 8, "a bit of `Finding::known` for each field");

/// A rule with the values that it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Finding {
    rule: &'static Rule,
    values: [u64; MOST],
    /// Bit n: value n is known.
    known: u8,
    is_encrypted: bool,
    becomes: Option<u64>,
}

impl Finding {
    fn new(rule: &'static Rule, view: &View<'_>, verdict: Verdict) -> Self {
        let mut finding = Self {
            rule,
            values: [0; MOST],
            known: 0,
            is_encrypted: view.is_encrypted(),
            becomes: match verdict {
                Verdict::Becomes(value) => Some(value),
                Verdict::Kept | Verdict::Broken => None,
            },
        };
        for (index, (place, slot)) in rule.fields.iter().zip(&mut finding.values).enumerate() {
            if let Some(value) = place.value(view) {
                *slot = value;
                finding.known |= 1 << index;
            }
        }
        finding
    }

    fn values(self) -> impl Iterator<Item = (&'static Place, Option<u64>)> {
        let value = move |(index, value)| (self.known >> index & 1 != 0).then_some(value);
        self.rule.fields.iter().zip(self.values.into_iter().enumerate().map(value))
    }

    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.rule.id)?;
        let mut is_first = true;
        for (place, value) in self.values() {
            if !is_first {
                f.write_str(", ")?;
            }
            is_first = false;
            match place.offset() {
                Some(offset) if self.is_encrypted && offset >= crate::vmcb::save::START => {
                    write!(f, "VMSA.{} = ", place.name())?;
                }
                _ => write!(f, "{place} = ")?,
            }
            match value {
                Some(value) => write!(f, "{value:#0width$x}", width = place.digits() + 2)?,
                None => f.write_str("unknown")?,
            }
        }
        let separator = if is_first { "" } else { ": " };
        write!(f, "{separator}{}", self.rule.requirement)
    }
}

/// Shows where the rule is in the manual.
fn cite(rule: &Rule, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, " (APM vol. 2, section {})", rule.section)?;
    if rule.provisional { f.write_str(", provisional") } else { Ok(()) }
}

/// A rule that is broken, for which VMRUN refuses the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation(Finding);

impl Violation {
    pub(crate) fn new(rule: &'static Rule, view: &View<'_>, verdict: Verdict) -> Self {
        Self(Finding::new(rule, view, verdict))
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> &'static Rule {
        self.0.rule
    }

    /// The fields of the rule with their values, as far as they are known.
    pub fn values(&self) -> impl Iterator<Item = (&'static Place, Option<u64>)> {
        self.0.values()
    }

    /// The value with which the rule is kept, if there is only one.
    #[must_use]
    pub fn fix(&self) -> Option<Fix> {
        Some(Fix { rule: self.0.rule, place: self.0.rule.fields.first()?, value: self.0.becomes? })
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(f)?;
        cite(self.0.rule, f)
    }
}

/// What VMRUN changes or ignores, what it does not check, or what the manual leaves open, and this VMCB has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Note(Finding);

impl Note {
    pub(crate) fn new(rule: &'static Rule, view: &View<'_>, verdict: Verdict) -> Self {
        Self(Finding::new(rule, view, verdict))
    }

    /// The rule.
    #[must_use]
    pub const fn rule(&self) -> &'static Rule {
        self.0.rule
    }

    /// The fields of the rule with their values, as far as they are known.
    pub fn values(&self) -> impl Iterator<Item = (&'static Place, Option<u64>)> {
        self.0.values()
    }

    /// What the value becomes in the guest, if the rule says that it changes.
    #[must_use]
    pub const fn becomes(&self) -> Option<u64> {
        self.0.becomes
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(f)?;
        match (self.0.rule.kind, self.0.becomes) {
            (RuleKind::Changed, Some(value)) => write!(f, "; becomes {value:#018x}")?,
            (RuleKind::Open, _) => f.write_str("; the manual does not say what happens otherwise")?,
            _ => {}
        }
        cite(self.0.rule, f)
    }
}

/// A rule about which nothing can be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Undecided {
    /// The rule.
    pub rule: &'static Rule,
    /// What must be known.
    pub missing: Missing,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.rule.id, self.missing, self.rule.requirement)?;
        cite(self.rule, f)
    }
}

/// The only value of a field that keeps a rule, where the other bits of the field stay.
#[derive(Clone, Copy, Debug)]
pub struct Fix {
    /// The rule.
    pub rule: &'static Rule,
    /// The field.
    pub place: &'static Place,
    /// The value.
    pub value: u64,
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.place.digits() + 2;
        write!(f, "{}: set {} to {:#0width$x}", self.rule.id, self.place, self.value)
    }
}
