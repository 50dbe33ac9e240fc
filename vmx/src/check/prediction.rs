//! What a processor will do.

use core::fmt;

use super::rule::{InstructionFailure, Rule, RuleClass};
use super::view::Verdict;
use crate::exit::EntryFailureCause;
use crate::instruction_error::{InstructionError, VmFail};

/// What a processor will do with an entry.
///
/// Intel SDM vol. 3, chapter 29, "VM Entries".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Prediction {
    /// The guest runs.
    Enters,
    /// The instruction fails without a look at the fields.
    Instruction(InstructionFailure),
    /// VMfailValid with one of these error numbers. Processors check controls and host state in any order.
    VmFailValid(Numbers),
    /// A VM exit with reason 33 and one of these qualifications. Processors check guest state in any order.
    GuestState(Numbers),
    /// A VM exit with reason 34.
    MsrLoading {
        /// The exit qualification: the number of the entry in the list, from 1.
        entry: u32,
    },
}

impl Prediction {
    /// The prediction from all violations, in order.
    pub(super) fn of(violations: impl Iterator<Item = (RuleClass, Verdict)>) -> Self {
        let mut prediction = Self::Enters;
        for (class, verdict) in violations {
            let item = if let Verdict::Item(number) = verdict { number } else { 0 };
            match (class, &mut prediction) {
                (RuleClass::Instruction(failure), Self::Enters) => return Self::Instruction(failure),
                (RuleClass::GuestState(cause), Self::Enters) => {
                    prediction = Self::GuestState(Numbers::NONE.with(cause_number(cause)));
                }
                (RuleClass::GuestState(cause), Self::GuestState(causes)) => *causes = causes.with(cause_number(cause)),
                (RuleClass::MsrLoading, Self::Enters) => {
                    prediction = Self::MsrLoading { entry: item };
                }
                (RuleClass::MsrLoading, Self::MsrLoading { entry }) => {
                    *entry = (*entry).min(item);
                }
                (class, Self::Enters) => {
                    if let Some(error) = class.instruction_error() {
                        prediction = Self::VmFailValid(Numbers::NONE.with(error.into_bits()));
                    }
                }
                (class, Self::VmFailValid(errors)) => {
                    if let Some(error) = class.instruction_error() {
                        *errors = errors.with(error.into_bits());
                    }
                }
                _ => {}
            }
        }
        prediction
    }

    /// Whether the processor could do something else if `rule` were broken.
    pub(super) fn depends_on(&self, rule: &Rule) -> bool {
        self.stage() >= stage(rule.class)
    }

    /// When it happens: later stages are not reached.
    const fn stage(&self) -> u8 {
        match self {
            Self::Instruction(_) => 0,
            Self::VmFailValid(_) => 1,
            Self::GuestState(_) => 2,
            Self::MsrLoading { .. } => 3,
            Self::Enters => 4,
        }
    }
}

const fn stage(class: RuleClass) -> u8 {
    match class {
        RuleClass::Instruction(_) => 0,
        RuleClass::Controls | RuleClass::HostState | RuleClass::ReturnFromSmm(_) => 1,
        RuleClass::GuestState(_) => 2,
        RuleClass::MsrLoading => 3,
    }
}

fn cause_number(cause: EntryFailureCause) -> u32 {
    u32::try_from(cause.into_bits()).unwrap_or_default()
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enters => f.write_str("the guest runs"),
            Self::Instruction(failure) => failure.fmt(f),
            Self::VmFailValid(errors) => match (errors.iter().next(), errors.iter().nth(1)) {
                (Some(error), None) => VmFail::Valid(InstructionError::from_bits(error)).fmt(f),
                _ => write!(f, "VMfailValid: VM-instruction error {errors}"),
            },
            Self::GuestState(causes) => write!(f, "exit reason 33, qualification {causes}"),
            Self::MsrLoading { entry } => write!(f, "exit reason 34, qualification {entry}"),
        }
    }
}

/// Numbers below 32, one of which it will be.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Numbers(u32);

impl Numbers {
    /// No number.
    const NONE: Self = Self(0);

    /// These, and `number`.
    const fn with(self, number: u32) -> Self {
        match 1_u32.checked_shl(number) {
            Some(bit) => Self(self.0 | bit),
            None => self,
        }
    }

    /// Whether it may be `number`.
    #[must_use]
    pub const fn contains(self, number: u32) -> bool {
        match 1_u32.checked_shl(number) {
            Some(bit) => self.0 & bit != 0,
            None => false,
        }
    }

    /// The numbers, the lowest first.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..u32::BITS).filter(move |number| self.contains(*number))
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { " or " })?;
            number.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
