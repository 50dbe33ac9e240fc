//! Checks of a virtual processor: before an entry, or after one that failed.

use x86_virt_core::{Frames, Vcpu};

use super::entry::{Entry, EntryInstruction};
use super::report::{Report, Violation};
use super::rule::RuleClass;
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
    ///         println!("{error}");
    ///         vcpu.why(&error).for_each(|violation| println!("{violation}"));
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

    /// The rules by which the last run failed with `error`: those that it broke, of the class that the processor
    /// named. Nothing may have been changed since.
    pub fn why(&self, error: &EntryError) -> impl Iterator<Item = Violation<'_>> {
        let error = *error;
        self.check().violations().filter(move |violation| error.comes_of(violation.class()))
    }
}

impl EntryError {
    /// Whether an entry fails like this that breaks a rule of `class`. After exit reason 33 the qualification does not
    /// count: processors check guest state in any order.
    ///
    /// ```
    /// use x86_virt_vmx::check::RuleClass;
    /// use x86_virt_vmx::{EntryError, InstructionError, VmFail};
    ///
    /// let error = EntryError::Instruction(VmFail::Valid(InstructionError::INVALID_HOST_STATE));
    /// assert!(error.comes_of(RuleClass::HostState) && !error.comes_of(RuleClass::Controls));
    /// ```
    #[must_use]
    pub fn comes_of(&self, class: RuleClass) -> bool {
        match (self, class) {
            (Self::Failed { reason, .. }, RuleClass::GuestState(_)) => {
                reason.basic() == BasicExitReason::INVALID_GUEST_STATE
            }
            (Self::Failed { reason, .. }, RuleClass::MsrLoading) => reason.basic() == BasicExitReason::MSR_LOADING,
            (Self::Instruction(VmFail::Valid(error)), class) => class.instruction_error() == Some(*error),
            _ => false,
        }
    }
}
