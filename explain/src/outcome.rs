//! What a dump records about the entry.

use core::fmt;

use x86_virt_svm::ExitCode;
use x86_virt_svm::vmcb::control;
use x86_virt_vmx::check::{InstructionFailure, RuleClass};
use x86_virt_vmx::{
    BasicExitReason, ExitQualification, ExitReason, InstructionError, VmExitInterruption, VmFail, field,
};

use crate::dump::{Dump, Message, MessageMeaning, MsrArea, State};
use crate::finding::Class;

/// Bit 31 of an exit reason: the entry failed.
const ENTRY_FAILURE: u32 = 1 << 31;

/// How the entry went, as the dump and the messages beside it record it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The entry began and failed: the exit reason says so.
    Failed {
        /// The exit reason.
        reason: ExitReason,
        /// The exit qualification, if it is there.
        qualification: Option<u64>,
    },
    /// VMLAUNCH or VMRESUME failed with this error: VMfailValid.
    Refused(InstructionError),
    /// An entry failed without a number: VMfailInvalid, or a VMCS that was not read.
    RefusedWithoutNumber,
    /// VMRUN refused the VMCB.
    VmcbRefused(ExitCode),
    /// The last entry did not fail: the guest ran until this exit.
    Exited(ExitReason),
    /// VMRUN did not fail: the guest ran until this exit.
    VmcbExited(ExitCode),
    /// Nothing is recorded.
    Unknown,
}

impl Outcome {
    /// What `dump` records. The message counts more than the fields, which keep what an earlier exit left.
    #[must_use]
    pub fn of(dump: &Dump) -> Self {
        match &dump.state {
            State::Vmcb(image) => {
                let code = image.get_partly(control::EXITCODE).filter(|code: &ExitCode| code.into_bits() != 0);
                let said = dump.message.map(|message| ExitCode::from_bits(message.number));
                match said.or(code).or(image.get_partly(control::EXITCODE)) {
                    Some(code) if code.is_refusal() => Self::VmcbRefused(code),
                    Some(code) => Self::VmcbExited(code),
                    None => Self::Unknown,
                }
            }
            State::Vmcs(fields) => {
                let qualification = fields.get(field::EXIT_QUALIFICATION);
                let reason = fields.get(field::EXIT_REASON);
                if let Some(outcome) = dump.message.and_then(|message| said(message, reason, qualification)) {
                    return outcome;
                }
                match (reason, fields.get(field::VM_INSTRUCTION_ERROR)) {
                    (Some(reason), _) if reason.entry_failure() => Self::Failed { reason, qualification },
                    (_, Some(error)) if error.into_bits() != 0 => Self::Refused(error),
                    (Some(reason), _) => Self::Exited(reason),
                    (None, _) => Self::Unknown,
                }
            }
        }
    }

    /// Whether the processor reports in this way that a rule of `class` is violated. Any rule, if nothing is recorded.
    #[must_use]
    pub fn accuses(self, class: Class) -> bool {
        match (self, class) {
            (Self::Unknown, _) => true,
            (Self::Failed { reason, .. }, Class::Vmx(RuleClass::GuestState(_))) => {
                reason.basic() == BasicExitReason::INVALID_GUEST_STATE
            }
            (Self::Failed { reason, .. }, Class::Vmx(RuleClass::MsrLoading)) => {
                reason.basic() == BasicExitReason::MSR_LOADING
            }
            (Self::Refused(error), Class::Vmx(class)) => class.instruction_error() == Some(error),
            (
                Self::RefusedWithoutNumber,
                Class::Vmx(
                    RuleClass::Controls
                    | RuleClass::HostState
                    | RuleClass::Instruction(InstructionFailure::Fail(VmFail::Invalid)),
                ),
            ) => true,
            (Self::VmcbRefused(code), Class::Svm(class)) => {
                let reported = class.exit_code();
                reported.is_some_and(|reported| reported == code || reported.is_invalid() && code.is_invalid())
            }
            _ => false,
        }
    }

    /// Whether a rule of `class` can be the one that the processor found violated: it accuses the rule, and the qualification
    /// is that of the rule.
    #[must_use]
    pub fn names(self, class: Class) -> bool {
        let is_other = match (self, class) {
            (Self::Failed { qualification: Some(qualification), .. }, Class::Vmx(RuleClass::GuestState(cause))) => {
                qualification != cause.into_bits()
            }
            _ => false,
        };
        self.accuses(class) && !is_other
    }

    /// Whether the last entry, as far as it is recorded, did not fail.
    #[must_use]
    pub const fn is_exit(self) -> bool {
        matches!(self, Self::Exited(_) | Self::VmcbExited(_))
    }

    /// What it means for where to look.
    fn hint(self, dump: &Dump, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { reason, .. } => match reason.basic() {
                BasicExitReason::INVALID_GUEST_STATE => f.write_str(
                    "the processor took the controls and the host state, and refused the guest state (Intel SDM vol. 3, \
                     chapter 29, \"VM Entries\")",
                ),
                BasicExitReason::MSR_LOADING => {
                    f.write_str("the processor took all fields, and refused an entry of the VM-entry MSR-load area")?;
                    match dump.msrs.iter().find(|entry| entry.area == MsrArea::Failed) {
                        Some(entry) => write!(f, ": MSR {:#x} = {:#x}", entry.index, entry.value),
                        None => Ok(()),
                    }
                }
                BasicExitReason::MACHINE_CHECK_DURING_ENTRY => f.write_str("no field is at fault"),
                _ => f.write_str("not a reason for which an entry fails; is it read rightly?"),
            },
            Self::Refused(InstructionError::INVALID_CONTROL_FIELDS) => f.write_str(
                "a control field is at fault; the host state may not have been looked at, and the guest state was not. The exit \
                 reason is that of an earlier exit",
            ),
            Self::Refused(InstructionError::INVALID_HOST_STATE) => f.write_str(
                "a host-state field is at fault; the guest state was not looked at. The exit reason is that of an earlier exit",
            ),
            Self::Refused(_) => f.write_str("that is not about the fields. The exit reason is that of an earlier exit"),
            Self::RefusedWithoutNumber => f.write_str(
                "no reason is recorded: there was no current VMCS, or the number was not read; what is violated of controls and \
                 host state may be why",
            ),
            Self::VmcbRefused(code) if code.is_invalid() => f.write_str(
                "VMRUN refused the VMCB, and says no more (AMD APM vol. 2, section 15.5.1, \"Basic Operation\")",
            ),
            Self::VmcbRefused(_) => f.write_str("VMRUN refused the VMCB for the reason that the code names"),
            Self::Exited(_) => f.write_str(
                "the last entry did not fail, or failed before it began and left the exit of an earlier one here. If KVM or Xen \
                 reported an error number, give it with --error",
            ),
            Self::VmcbExited(_) => f.write_str("VMRUN did not fail"),
            Self::Unknown => f.write_str("the dump does not say whether the entry failed, and why"),
        }
    }
}

/// What a message says, if it says anything.
fn said(message: Message, reason: Option<ExitReason>, qualification: Option<u64>) -> Option<Outcome> {
    let number = u32::try_from(message.number).ok()?;
    match message.meaning {
        MessageMeaning::ExitReason => {}
        MessageMeaning::HardwareError if number & ENTRY_FAILURE != 0 => {}
        MessageMeaning::HardwareError | MessageMeaning::InstructionError if number == 0 => {
            return Some(Outcome::RefusedWithoutNumber);
        }
        MessageMeaning::HardwareError | MessageMeaning::InstructionError => {
            return Some(Outcome::Refused(InstructionError::from_bits(number)));
        }
    }
    let said = ExitReason::from_bits(number);
    // The qualification belongs to the reason that the VMCS has.
    Some(Outcome::Failed { reason: said, qualification: qualification.filter(|_| reason == Some(said)) })
}

/// The text of an outcome, with what it means for the reader of `dump`.
pub(crate) struct Recorded<'d> {
    pub(crate) outcome: Outcome,
    pub(crate) dump: &'d Dump,
}

impl fmt::Display for Recorded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outcome {
            Outcome::Failed { reason, qualification } => {
                write!(f, "exit reason {}: {reason}", u32::from(reason.basic().into_bits()))?;
                if let Some(raw) = qualification {
                    let decoded = ExitQualification::new(reason, raw, VmExitInterruption::from_bits(0));
                    write!(f, "; qualification {decoded}")?;
                }
            }
            Outcome::Refused(error) => write!(f, "{error}")?,
            Outcome::RefusedWithoutNumber => write!(f, "VM entry refused without an error number")?,
            Outcome::VmcbRefused(code) | Outcome::VmcbExited(code) => {
                let name = if code.is_invalid() { ExitCode::INVALID } else { code };
                write!(f, "exit code {:#x}: {name}", code.into_bits())?;
            }
            Outcome::Exited(reason) => {
                write!(f, "exit reason {}: {reason}", u32::from(reason.basic().into_bits()))?;
            }
            Outcome::Unknown => write!(f, "nothing")?,
        }
        match self.dump.message {
            Some(Message { place: Some(place), .. }) => write!(f, " (the message at {place})")?,
            Some(Message { place: None, .. }) => write!(f, " (as given)")?,
            None => {}
        }
        f.write_str("\n  ")?;
        self.outcome.hint(self.dump, f)
    }
}
