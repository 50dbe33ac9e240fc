//! What the rules say that the processor does, and how that fits what is recorded.

use core::fmt;

use x86_virt_svm::check as svm;
use x86_virt_vmx::check::{self as vmx, InstructionFailure};
use x86_virt_vmx::{BasicExitReason, InstructionError, VmFail};

use crate::outcome::Outcome;

/// What the rules that could be decided say that the processor does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Prediction {
    /// With a VM entry.
    Vmx {
        /// What it does.
        prediction: vmx::Prediction,
        /// Whether no rule is undecided that could make it do something else.
        is_certain: bool,
    },
    /// With VMRUN.
    Svm(svm::Prediction),
}

/// How a prediction fits what is recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fit {
    /// It is what is recorded.
    AsRecorded,
    /// The processor checks at the same time what is recorded and what is predicted, and reported another one.
    Otherwise,
    /// The processor would not have come as far as is recorded.
    TooEarly,
    /// What was recorded happens before what is predicted: of what was checked by then, nothing is violated.
    TooLate,
    /// It cannot be compared.
    Unknown,
}

impl Prediction {
    /// How it fits `outcome`.
    #[must_use]
    pub fn fit(self, outcome: Outcome) -> Fit {
        match self {
            Self::Vmx { prediction, .. } => {
                let (Some(recorded), Some(predicted)) = (recorded_stage(outcome), predicted_stage(prediction)) else {
                    return Fit::Unknown;
                };
                match predicted.cmp(&recorded) {
                    core::cmp::Ordering::Less => Fit::TooEarly,
                    core::cmp::Ordering::Greater => Fit::TooLate,
                    core::cmp::Ordering::Equal if is_same(prediction, outcome) => Fit::AsRecorded,
                    core::cmp::Ordering::Equal => Fit::Otherwise,
                }
            }
            Self::Svm(prediction) => fit_svm(prediction, outcome),
        }
    }
}

/// When an outcome of a VM entry happens.
fn recorded_stage(outcome: Outcome) -> Option<Stage> {
    match outcome {
        Outcome::Refused(InstructionError::INVALID_CONTROL_FIELDS | InstructionError::INVALID_HOST_STATE)
        | Outcome::RefusedWithoutNumber => Some(Stage::ControlsAndHost),
        Outcome::Refused(_) => Some(Stage::Instruction),
        Outcome::Failed { reason, .. } => match reason.basic() {
            BasicExitReason::INVALID_GUEST_STATE => Some(Stage::Guest),
            BasicExitReason::MSR_LOADING => Some(Stage::MsrLoading),
            _ => None,
        },
        _ => None,
    }
}

/// When a rule is checked, or an entry fails: in the order in which processors check.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Stage {
    Instruction,
    ControlsAndHost,
    Guest,
    MsrLoading,
    Entered,
}

const fn predicted_stage(prediction: vmx::Prediction) -> Option<Stage> {
    match prediction {
        vmx::Prediction::Instruction(_) => Some(Stage::Instruction),
        vmx::Prediction::VmFailValid(_) => Some(Stage::ControlsAndHost),
        vmx::Prediction::GuestState(_) => Some(Stage::Guest),
        vmx::Prediction::MsrLoading { .. } => Some(Stage::MsrLoading),
        vmx::Prediction::Enters => Some(Stage::Entered),
        _ => None,
    }
}

const fn stage(class: vmx::RuleClass) -> Stage {
    match class {
        vmx::RuleClass::Instruction(_) => Stage::Instruction,
        vmx::RuleClass::Controls | vmx::RuleClass::HostState | vmx::RuleClass::ReturnFromSmm(_) => {
            Stage::ControlsAndHost
        }
        vmx::RuleClass::GuestState(_) => Stage::Guest,
        vmx::RuleClass::MsrLoading => Stage::MsrLoading,
    }
}

/// Whether a processor that does what is recorded has found rules of `class` kept.
pub(crate) fn contradicts(class: vmx::RuleClass, outcome: Outcome) -> bool {
    recorded_stage(outcome).is_some_and(|recorded| stage(class) < recorded)
}

/// Whether two outcomes of one stage are the same.
fn is_same(prediction: vmx::Prediction, outcome: Outcome) -> bool {
    match (prediction, outcome) {
        (vmx::Prediction::Instruction(InstructionFailure::Fail(VmFail::Valid(predicted))), Outcome::Refused(error)) => {
            predicted == error
        }
        (vmx::Prediction::VmFailValid(errors), Outcome::Refused(error)) => errors.contains(error.into_bits()),
        (vmx::Prediction::VmFailValid(_), Outcome::RefusedWithoutNumber) => true,
        (vmx::Prediction::GuestState(causes), Outcome::Failed { qualification: Some(cause), .. }) => {
            u32::try_from(cause).is_ok_and(|cause| causes.contains(cause))
        }
        (vmx::Prediction::MsrLoading { entry }, Outcome::Failed { qualification: Some(number), .. }) => {
            number == u64::from(entry)
        }
        (_, Outcome::Failed { qualification: None, .. }) => true,
        _ => false,
    }
}

fn fit_svm(prediction: svm::Prediction, outcome: Outcome) -> Fit {
    let Outcome::VmcbRefused(code) = outcome else { return Fit::Unknown };
    match prediction {
        svm::Prediction::Refused(class) => match class.exit_code() {
            Some(expected) if expected == code || expected.is_invalid() && code.is_invalid() => Fit::AsRecorded,
            Some(_) => Fit::Otherwise,
            None => Fit::TooEarly,
        },
        svm::Prediction::Enters | svm::Prediction::Undecided => Fit::TooLate,
        _ => Fit::Unknown,
    }
}

impl fmt::Display for Prediction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vmx { prediction, is_certain } => {
                prediction.fmt(f)?;
                f.write_str(if *is_certain { "" } else { ", by the rules that can be told" })
            }
            Self::Svm(svm::Prediction::Enters) => f.write_str("the guest runs"),
            Self::Svm(svm::Prediction::Refused(class)) => class.fmt(f),
            Self::Svm(_) => f.write_str("the guest runs, by the rules that can be told"),
        }
    }
}
