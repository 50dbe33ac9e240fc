//! Rules: what each requires, where the manual says so, and how an entry fails that breaks it.

use core::fmt;

use super::view::{Outcome, View};
use crate::exit::EntryFailureCause;
use crate::field::Encoding;
use crate::instruction_error::{InstructionError, VmFail};

/// A rule of VM entries.
///
/// Rules are compared by their identifiers, which stay the same from version to version.
#[derive(Clone, Copy)]
pub struct Rule {
    /// The identifier, such as `VMX-GUEST-SEG-CS-TYPE`.
    pub id: &'static str,
    /// How an entry fails that breaks the rule.
    pub class: RuleClass,
    /// The fields on which the rule depends: first those that it restricts, then those that say whether it counts. For rules
    /// of VM-execution controls there is a VM-entry control besides: entry to SMM, in system-management mode.
    pub fields: &'static [Encoding],
    /// What is required, in one sentence.
    pub requirement: &'static str,
    /// Where the manual says so.
    pub section: Section,
    /// Whether the rule rests on one source, and may change.
    pub provisional: bool,
    /// Whether the processor checks it.
    pub kind: RuleKind,
    pub(super) test: fn(&View<'_>) -> Outcome,
    /// The rows of the list of checks from which the rule was made.
    #[cfg(test)]
    pub(super) rows: &'static [&'static str],
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Rule {}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.id)
    }
}

impl fmt::Display for Rule {
    /// The identifier, the requirement and the citation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.id, self.requirement, self.section)
    }
}

/// How an entry fails that breaks a rule, in the order in which processors check.
///
/// Controls and host state are checked in any order; with both wrong, either error can come.
///
/// Intel SDM vol. 3, chapter 29, "VM Entries".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuleClass {
    /// VMLAUNCH or VMRESUME does not come to check the VMCS.
    Instruction(InstructionFailure),
    /// VMfailValid with error 7.
    Controls,
    /// VMfailValid with error 8.
    HostState,
    /// VMfailValid with this error: the entry returns from system-management mode.
    ReturnFromSmm(InstructionError),
    /// VM exit with reason 33 and this exit qualification.
    GuestState(EntryFailureCause),
    /// VM exit with reason 34.
    MsrLoading,
}

impl RuleClass {
    /// The error number, if the instruction fails with one.
    #[must_use]
    pub const fn instruction_error(self) -> Option<InstructionError> {
        match self {
            Self::Instruction(InstructionFailure::Fail(VmFail::Valid(error))) | Self::ReturnFromSmm(error) => {
                Some(error)
            }
            Self::Controls => Some(InstructionError::INVALID_CONTROL_FIELDS),
            Self::HostState => Some(InstructionError::INVALID_HOST_STATE),
            Self::Instruction(_) | Self::GuestState(_) | Self::MsrLoading => None,
        }
    }
}

impl fmt::Display for RuleClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instruction(failure) => failure.fmt(f),
            Self::Controls => write!(f, "{}", VmFail::Valid(InstructionError::INVALID_CONTROL_FIELDS)),
            Self::HostState => write!(f, "{}", VmFail::Valid(InstructionError::INVALID_HOST_STATE)),
            Self::ReturnFromSmm(error) => write!(f, "{}", VmFail::Valid(*error)),
            Self::GuestState(cause) => write!(f, "exit reason 33, qualification {}", cause.into_bits()),
            Self::MsrLoading => f.write_str("exit reason 34"),
        }
    }
}

/// How VMLAUNCH and VMRESUME fail without a look at the VMCS.
///
/// Intel SDM vol. 3, section 33.3, "VMX Instructions".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum InstructionFailure {
    /// \#UD.
    InvalidOpcode,
    /// A VM exit to the hypervisor of whoever executes the instruction.
    VmExit,
    /// \#GP(0).
    GeneralProtection,
    /// VMfailInvalid or VMfailValid.
    Fail(VmFail),
}

impl fmt::Display for InstructionFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOpcode => f.write_str("#UD"),
            Self::VmExit => f.write_str("VM exit"),
            Self::GeneralProtection => f.write_str("#GP(0)"),
            Self::Fail(fail) => fail.fmt(f),
        }
    }
}

/// Whether a processor checks a rule.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RuleKind {
    /// It does, and refuses the entry.
    Checked,
    /// It does not, contrary to what one may expect. No entry breaks the rule; it is listed so that nobody adds the
    /// check.
    NotChecked,
    /// What other rules mean. No entry breaks it.
    Premise,
}

/// A section of the Intel SDM, volume 3.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Section {
    /// The number, as of the edition that the crate names.
    pub number: &'static str,
    /// The title.
    pub title: &'static str,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SDM vol. 3, section {}, \"{}\"", self.number, self.title)
    }
}

/// Defines rules of a class and a section from rows.
///
/// A row is `"ID", [rows of the list of checks], [FIELDS], "requirement", test;`. `@provisional`, or a kind other than
/// checked, stands in front.
macro_rules! rules {
    (
        class $class:expr;
        section $section:expr;
        $(
            $(@$mark:ident)? $id:expr, [$($row:expr),+], [$($field:expr),* $(,)?], $requirement:expr, $test:expr;
        )*
    ) => {
        &[$(
            $crate::check::rule::Rule {
                id: $id,
                class: $class,
                fields: &[$($field.encoding()),*],
                requirement: $requirement,
                section: $section,
                provisional: rules!(@provisional $($mark)?),
                kind: rules!(@kind $($mark)?),
                test: $test,
                #[cfg(test)]
                rows: &[$($row),+],
            }
        ),*]
    };
    (@provisional provisional) => { true };
    (@provisional $($mark:ident)?) => { false };
    (@kind not_checked) => { $crate::check::rule::RuleKind::NotChecked };
    (@kind premise) => { $crate::check::rule::RuleKind::Premise };
    (@kind $($mark:ident)?) => { $crate::check::rule::RuleKind::Checked };
}
