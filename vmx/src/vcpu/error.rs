//! Why virtual processors are not made or not entered.

use x86_virt_core::{Activity, Event, OutOfFrames};

use super::LoadError;
use crate::access::FieldError;
use crate::capability::Unsupported;
use crate::check::{RuleSet, Violation, Why};
use crate::eptp_switching::OtherControls;
use crate::exit::ExitReason;
use crate::instruction_error::VmFail;
#[cfg(doc)]
use crate::vcpu::VmxVcpu;

/// Why a virtual processor could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum CreateError {
    /// The processor lacks something.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// There are not enough frames.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
    /// The VMCS could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The processor lacks a field.
    #[error(transparent)]
    Field(FieldError),
    /// Another space needs other controls.
    #[error(transparent)]
    Controls(#[from] OtherControls),
}

/// Why an entry did not happen. The guest is as before, so that [`VmxVcpu::check`] gives the whole report, and
/// [`VmxVcpu::why`] what of it the processor can have meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EntryError {
    /// VMLAUNCH or VMRESUME failed: controls or host state are invalid.
    #[error("VM entry failed: {fail}: {}", Why { violated: *violated, first: first.as_ref() })]
    Instruction {
        /// How it failed.
        fail: VmFail,
        /// The rules that the entry broke, of those for which processors say this.
        violated: RuleSet,
        /// The first of them, with the values.
        #[cfg_attr(feature = "arbitrary", arbitrary(default))]
        first: Option<Violation>,
    },
    /// The guest state is invalid, or MSRs could not be loaded.
    #[error(
        "VM entry failed: {reason}, exit qualification {qualification:#x}: {}",
        Why { violated: *violated, first: first.as_ref() }
    )]
    Failed {
        /// The reason.
        reason: ExitReason,
        /// The exit qualification.
        qualification: u64,
        /// The rules that the entry broke, of those for which processors say this.
        violated: RuleSet,
        /// The first of them, with the values.
        #[cfg_attr(feature = "arbitrary", arbitrary(default))]
        first: Option<Violation>,
    },
    /// INVEPT or INVVPID failed before the entry.
    #[error("translations were not invalidated: {0}")]
    Invalidation(VmFail),
    /// The processor lacks a field that was used since the last entry.
    #[error(transparent)]
    Field(FieldError),
    /// The host has cleared CR4.OSXSAVE, without which the state of its FPU cannot be kept.
    #[error("CR4.OSXSAVE of the host is 0, and was 1 when the virtual processor was made")]
    XsaveDisabled,
    /// The event that waits cannot be injected.
    #[error("{0:?} cannot be injected")]
    Event(Event),
    /// The virtual processor has shut down or waits for a start-up IPI.
    #[error("the virtual processor is {0}")]
    NotRunning(Activity),
}
