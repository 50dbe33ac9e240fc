//! What a rule is.

use core::fmt;

use crate::check::table::RULES;
use crate::check::view::{Missing, View};
use crate::exit_code::ExitCode;
use crate::vmcb::{Field, save};
use crate::vmsa::Vmsa;

/// A rule of VMRUN.
///
/// ```
/// use x86_virt_svm::check::{RULES, Rule, RuleClass, RuleKind};
///
/// let rule = Rule::find("SVM-VMRUN-ASID").unwrap();
/// assert_eq!((rule.kind, rule.class), (RuleKind::Checked, RuleClass::InvalidState));
/// assert_eq!(rule.section, "15.5.1, \"Basic Operation\"");
/// assert_eq!(rule.fields.iter().map(|field| field.to_string()).collect::<Vec<_>>(), ["GUEST_ASID"]);
/// assert!(RULES.iter().any(|rule| rule.kind == RuleKind::NotChecked));
/// ```
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name, which does not change.
    pub id: &'static str,
    /// The row of the list of rules that it covers; several rules may cover one.
    pub row: &'static str,
    /// Whether processors check it.
    pub kind: RuleKind,
    /// What VMRUN does if it is broken.
    pub class: RuleClass,
    /// On what it depends: fields of the VMCB and of the VMSA, and registers of the host. First what it restricts, then what says
    /// whether it counts; for rules of encrypted guests NESTED_CTL does besides, and so it says where the save area is.
    pub fields: &'static [Place],
    /// What must be so, or what the processor does.
    pub requirement: &'static str,
    /// Section of the AMD APM, volume 2, with its title.
    pub section: &'static str,
    /// Whether it rests on one source, or the manual leaves open what happens.
    pub provisional: bool,
    pub(crate) test: fn(&View<'_>) -> Result<Verdict, Missing>,
}

impl Rule {
    /// The rule with this id.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        RULES.iter().find(|rule| rule.id == id)
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (APM vol. 2, section {})", self.id, self.requirement, self.section)
    }
}

/// Whether processors check a rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum RuleKind {
    /// VMRUN checks it.
    Checked,
    /// VMRUN does not check it: listed so that nobody expects it.
    NotChecked,
    /// VMRUN, or VMLOAD, changes or ignores a value in silence.
    Changed,
    /// The manual requires it, or is silent, and does not say what happens otherwise.
    Open,
}

/// What VMRUN does if a rule is broken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum RuleClass {
    /// It raises #UD in the host.
    UndefinedOpcode,
    /// It raises #GP in the host.
    GeneralProtection,
    /// It ends with VMEXIT_INVALID.
    InvalidState,
    /// It ends with VMEXIT_BUSY.
    Busy,
    /// It ends with VMEXIT_IDLE_REQUIRED.
    IdleRequired,
    /// It ends with VMEXIT_INVALID_PMC.
    InvalidPmc,
    /// The guest is entered, or the manual does not say.
    Entered,
}

impl RuleClass {
    /// The exit code, unless VMRUN faults or enters.
    #[must_use]
    pub const fn exit_code(self) -> Option<ExitCode> {
        match self {
            Self::InvalidState => Some(ExitCode::INVALID),
            Self::Busy => Some(ExitCode::BUSY),
            Self::IdleRequired => Some(ExitCode::IDLE_REQUIRED),
            Self::InvalidPmc => Some(ExitCode::INVALID_PMC),
            Self::UndefinedOpcode | Self::GeneralProtection | Self::Entered => None,
        }
    }
}

impl fmt::Display for RuleClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UndefinedOpcode => "#UD",
            Self::GeneralProtection => "#GP",
            Self::InvalidState => "VMEXIT_INVALID",
            Self::Busy => "VMEXIT_BUSY",
            Self::IdleRequired => "VMEXIT_IDLE_REQUIRED",
            Self::InvalidPmc => "VMEXIT_INVALID_PMC",
            Self::Entered => "entered",
        })
    }
}

/// What a rule finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Kept,
    Broken,
    /// Broken, and this is the only value that the first field may have, as far as the rule is concerned. If the rule tells
    /// what changes, it is what the value becomes.
    Becomes(u64),
}

impl Verdict {
    pub(crate) const fn broken_if(broken: bool) -> Self {
        if broken { Self::Broken } else { Self::Kept }
    }

    pub(crate) const fn must_be(value: u64, required: u64) -> Self {
        if value == required { Self::Kept } else { Self::Becomes(required) }
    }
}

/// Where a value is that a rule is about. Its text is the name, after `SAVE.` or `VMSA.` if it is in the save area.
#[derive(Clone, Copy)]
pub struct Place {
    name: &'static str,
    origin: Origin,
}

#[derive(Clone, Copy)]
enum Origin {
    /// In the VMCB, from its start.
    Vmcb {
        offset: usize,
        bytes: usize,
    },
    /// In the VMSA alone.
    Vmsa {
        offset: usize,
    },
    Host(fn(&View<'_>) -> Option<u64>),
}

impl Place {
    pub(crate) const fn field<T, X>(field: Field<T, X>) -> Self {
        Self { name: field.name(), origin: Origin::Vmcb { offset: field.offset(), bytes: size_of::<T>() } }
    }

    /// `bytes` bytes of `field` from `offset` on, at most eight, as `name`.
    pub(crate) const fn part<T, X>(name: &'static str, field: Field<T, X>, offset: usize, bytes: usize) -> Self {
        Self { name, origin: Origin::Vmcb { offset: field.offset() + offset, bytes } }
    }

    pub(crate) const fn vmsa<T, X>(field: Field<T, X, Vmsa>) -> Self {
        Self { name: field.name(), origin: Origin::Vmsa { offset: field.offset() } }
    }

    pub(crate) const fn host(name: &'static str, read: fn(&View<'_>) -> Option<u64>) -> Self {
        Self { name, origin: Origin::Host(read) }
    }

    /// The name of the field or register.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Offset in the VMCB, if it is there. With SEV-ES, what is at 400h and above is in the VMSA, 400h lower.
    #[must_use]
    pub const fn offset(&self) -> Option<usize> {
        match self.origin {
            Origin::Vmcb { offset, .. } => Some(offset),
            Origin::Vmsa { .. } | Origin::Host(_) => None,
        }
    }

    /// Whether it is among `bytes` bytes of the VMCB from `offset` on; with SEV-ES, the save area is the VMSA.
    #[cfg(test)]
    pub(crate) fn is_among(&self, offset: usize, bytes: usize) -> bool {
        let place = match self.origin {
            Origin::Vmcb { offset, .. } => offset,
            Origin::Vmsa { offset } => save::START + offset,
            Origin::Host(_) => return false,
        };
        (offset..offset + bytes).contains(&place)
    }

    /// How many hexadecimal digits a value has.
    pub(crate) const fn digits(&self) -> usize {
        match self.origin {
            Origin::Vmcb { bytes, .. } => 2 * bytes,
            Origin::Vmsa { .. } | Origin::Host(_) => 16,
        }
    }

    pub(crate) fn value(&self, view: &View<'_>) -> Option<u64> {
        let mut word = [0; 8];
        match self.origin {
            Origin::Vmcb { offset, bytes } => {
                view.bytes(offset, word.get_mut(..bytes)?, self.name).ok()?;
            }
            Origin::Vmsa { offset } => {
                view.vmsa_bytes(offset, &mut word, self.name).ok()?;
            }
            Origin::Host(read) => return read(view),
        }
        Some(u64::from_le_bytes(word))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let area = match self.origin {
            Origin::Vmcb { offset, .. } if offset >= save::START => "SAVE.",
            Origin::Vmsa { .. } => "VMSA.",
            Origin::Vmcb { .. } | Origin::Host(_) => "",
        };
        write!(f, "{area}{}", self.name)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Rules out of [`RULES`].
///
/// ```
/// use x86_virt_svm::check::RuleSet;
///
/// assert!(RuleSet::NONE.is_empty() && RuleSet::NONE.iter().next().is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct RuleSet {
    words: [u64; 2],
}

const _: () = assert!(RULES.len() <= 128);

impl RuleSet {
    /// No rule.
    pub const NONE: Self = Self { words: [0; 2] };

    /// Adds the rule at `index` of the list.
    pub(crate) fn insert(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        matches!(self.words, [0, 0])
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The places of the rules in [`RULES`].
    pub fn indices(self) -> impl Iterator<Item = usize> {
        let has = move |index: &usize| self.words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 != 0);
        (0..RULES.len()).filter(has)
    }

    /// Whether `rule` is one of them.
    #[must_use]
    pub fn contains(&self, rule: &Rule) -> bool {
        self.iter().any(|other| other == rule)
    }

    /// The rules, in the order of the manual.
    pub fn iter(self) -> impl Iterator<Item = &'static Rule> {
        self.indices().filter_map(|index| RULES.get(index))
    }
}

impl fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
