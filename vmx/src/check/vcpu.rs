//! Checks of a virtual processor: before an entry, or after one that failed.

use core::fmt;

use x86_virt_core::{Frames, Vcpu};

use super::RULES;
use super::entry::{Entry, EntryInstruction};
use super::report::{Report, Violation};
use super::rule::RuleClass;
use super::rule_set::RuleSet;
use super::view::{ReadField, View};
use crate::access::VmcsRead;
use crate::event::Injection;
use crate::exit::BasicExitReason;
use crate::field::{self, Encoding, FieldInfo};
use crate::instruction_error::{InstructionError, VmFail};
use crate::vcpu::{EntryError, VmxVcpu};

/// What the next entry will see: the VMCS with the registers and the event that are not written to it yet.
impl<A: Frames> ReadField for VmxVcpu<'_, '_, '_, A> {
    fn read_field(&self, field: Encoding) -> Result<u64, VmFail> {
        // VMREAD of a field that does not exist would change the VM-instruction error.
        if FieldInfo::of(field).is_some_and(|info| !info.is_supported(self.capabilities())) {
            return Err(VmFail::Valid(InstructionError::UNSUPPORTED_FIELD));
        }
        let injection = self.pending_event().and_then(Injection::of);
        match injection {
            Some(injection) if field == field::ENTRY_INTERRUPTION_INFORMATION.encoding() => {
                Ok(u64::from(injection.information.into_bits()))
            }
            Some(injection)
                if field == field::ENTRY_EXCEPTION_ERROR_CODE.encoding()
                    && injection.information.deliver_error_code() =>
            {
                Ok(u64::from(injection.error_code))
            }
            Some(injection) if field == field::ENTRY_INSTRUCTION_LENGTH.encoding() && injection.length != 0 => {
                Ok(u64::from(injection.length))
            }
            _ if field == field::GUEST_RIP.encoding() => Ok(self.rip()),
            _ if field == field::GUEST_RSP.encoding() => Ok(self.rsp()),
            _ if field == field::GUEST_RFLAGS.encoding() => Ok(self.rflags().into_bits()),
            _ if field == field::GUEST_INTERRUPTIBILITY_STATE.encoding() => {
                Ok(u64::from(self.interruptibility_state().into_bits()))
            }
            _ => self.vmcs.read_raw(field),
        }
    }
}

impl<A: Frames> VmxVcpu<'_, '_, '_, A> {
    /// Which rules of VM entries the next run would break. It reads the fields that the rules are about; a run does
    /// not do this.
    ///
    /// CR0, CR3, CR4, FS and GS of the host are those of the last run, or of when the virtual processor was loaded.
    ///
    /// ```no_run
    /// use x86_virt_core::{Frames, Vcpu};
    /// use x86_virt_vmx::VmxVcpu;
    ///
    /// fn run<A: Frames>(vcpu: &mut VmxVcpu<'_, '_, '_, A>) {
    ///     for violation in vcpu.check().violations() {
    ///         println!("{violation}");
    ///     }
    ///     if let Err(error) = vcpu.run() {
    ///         // Names the first rule.
    ///         println!("{error}");
    ///         vcpu.why(&error).skip(1).for_each(|violation| println!("{violation}"));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn check(&self) -> Report<'_> {
        let is_launched = self.vmcs.is_launched();
        let features = x86::cpuid::CpuId::new().get_extended_feature_info();
        let mut entry = Entry::new();
        entry.instruction = Some(if is_launched { EntryInstruction::Vmresume } else { EntryInstruction::Vmlaunch });
        entry.is_launched = Some(is_launched);
        entry.current_vmcs = Some(self.vmcs.current_pointer());
        entry.has_rtm = Some(features.as_ref().is_some_and(|features| features.has_rtm()));
        entry.has_sgx = Some(features.as_ref().is_some_and(|features| features.has_sgx()));
        Report::new(View::new(self, self.capabilities(), entry))
    }

    /// The rules by which the last run failed with `error`, with the values of now: those that it broke, of the class that
    /// the processor named. Nothing may have been changed since.
    pub fn why(&self, error: &EntryError) -> impl Iterator<Item = Violation> {
        let error = *error;
        self.check().violations().filter(move |violation| error.comes_of(violation.class()))
    }

    /// Adds to `error` which rules the entry broke that failed just now.
    #[cold]
    pub(crate) fn explain(&self, mut error: EntryError) -> EntryError {
        let mut rules = RuleSet::NONE;
        for (index, rule) in RULES.iter().enumerate() {
            if error.comes_of(rule.class) {
                rules.insert(index);
            }
        }
        let report = self.check().only(rules);
        if let EntryError::Instruction { violated, first, .. } | EntryError::Failed { violated, first, .. } = &mut error
        {
            (*violated, *first) = (report.violated(), report.violations().next());
        }
        error
    }
}

impl EntryError {
    /// Whether an entry fails like this that breaks a rule of `class`. After exit reason 33 the qualification does not
    /// count: processors check guest state in any order.
    ///
    /// ```
    /// use x86_virt_vmx::check::{RuleClass, RuleSet};
    /// use x86_virt_vmx::{EntryError, InstructionError, VmFail};
    ///
    /// let fail = VmFail::Valid(InstructionError::INVALID_HOST_STATE);
    /// let error = EntryError::Instruction { fail, violated: RuleSet::NONE, first: None };
    /// assert!(error.comes_of(RuleClass::HostState) && !error.comes_of(RuleClass::Controls));
    /// ```
    #[must_use]
    pub fn comes_of(&self, class: RuleClass) -> bool {
        match (self, class) {
            (Self::Failed { reason, .. }, RuleClass::GuestState(_)) => {
                reason.basic() == BasicExitReason::INVALID_GUEST_STATE
            }
            (Self::Failed { reason, .. }, RuleClass::MsrLoading) => reason.basic() == BasicExitReason::MSR_LOADING,
            (Self::Instruction { fail: VmFail::Valid(error), .. }, class) => class.instruction_error() == Some(*error),
            _ => false,
        }
    }
}

impl EntryError {
    /// The rules that the entry broke, of the class that the processor named. If there are none, the processor checks more
    /// than is known here, or something else was wrong.
    ///
    /// ```no_run
    /// use x86_virt_core::{Frames, Vcpu};
    /// use x86_virt_vmx::VmxVcpu;
    ///
    /// fn run<A: Frames>(vcpu: &mut VmxVcpu<'_, '_, '_, A>) {
    ///     if let Err(error) = vcpu.run() {
    ///         error.violated().iter().for_each(|rule| println!("{rule}"));
    ///     }
    /// }
    /// ```
    #[must_use]
    pub const fn violated(&self) -> RuleSet {
        match self {
            Self::Instruction { violated, .. } | Self::Failed { violated, .. } => *violated,
            _ => RuleSet::NONE,
        }
    }

    /// The first of them, with the values that its fields had.
    #[must_use]
    pub const fn first(&self) -> Option<&Violation> {
        match self {
            Self::Instruction { first, .. } | Self::Failed { first, .. } => first.as_ref(),
            _ => None,
        }
    }
}

/// The first rule that is violated, and how many more.
pub(crate) struct Why<'v> {
    pub(crate) violated: RuleSet,
    pub(crate) first: Option<&'v Violation>,
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.first else { return f.write_str("it violates no rule that is known") };
        write!(f, "{first}")?;
        match self.violated.len().saturating_sub(1) {
            0 => Ok(()),
            more => write!(f, ", and {more} more"),
        }
    }
}
