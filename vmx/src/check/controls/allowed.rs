//! Bits of control words that the processor requires or refuses.

use super::{ENTRY as ENTRY_SECTION, EXECUTION as EXECUTION_SECTION, EXIT as EXIT_SECTION};
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Outcome, Verdict, View, must_be, when_settled};
use crate::control::{ControlWord, ExitControls, PrimaryControls, SecondaryControls};
use crate::field::{self, AccessClass, Field, FieldValue};

/// Bits that the processor cannot set must be 0.
fn may_be_one<T: FieldValue, A: AccessClass>(view: &View<'_>, word: ControlWord, field: Field<T, A>) -> Outcome {
    let (_, allowed) = view.allowed(word)?;
    must_be(view, field, !allowed, 0)
}

/// Bits that the processor cannot clear must be 1.
fn must_be_one<T: FieldValue, A: AccessClass>(view: &View<'_>, word: ControlWord, field: Field<T, A>) -> Outcome {
    let (required, _) = view.allowed(word)?;
    must_be(view, field, required, required)
}

/// Pin-based and processor-based controls.
pub(super) const EXECUTION: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION_SECTION;
    "VMX-CTL-PIN-ALLOWED-0", ["ctl-exec-05"], [field::PIN_CONTROLS],
        "every pin-based control must be 1 that the capability MSR does not allow to be 0",
        |v| must_be_one(v, ControlWord::Pin, field::PIN_CONTROLS);
    "VMX-CTL-PIN-ALLOWED-1", ["ctl-exec-01"], [field::PIN_CONTROLS],
        "every pin-based control must be 0 that the capability MSR does not allow to be 1",
        |v| may_be_one(v, ControlWord::Pin, field::PIN_CONTROLS);
    "VMX-CTL-PRIMARY-ALLOWED-0", ["ctl-exec-06"], [field::PRIMARY_CONTROLS],
        "every primary processor-based control must be 1 that the capability MSR does not allow to be 0",
        |v| must_be_one(v, ControlWord::Primary, field::PRIMARY_CONTROLS);
    "VMX-CTL-PRIMARY-ALLOWED-1", ["ctl-exec-02"], [field::PRIMARY_CONTROLS],
        "every primary processor-based control must be 0 that the capability MSR does not allow to be 1",
        |v| may_be_one(v, ControlWord::Primary, field::PRIMARY_CONTROLS);
    "VMX-CTL-SECONDARY-ALLOWED-0", ["ctl-exec-07"], [field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "every secondary processor-based control must be 1 that the capability MSR does not allow to be 0",
        |v| when_settled(
            v.primary().map(|word| word.contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS)),
            || must_be_one(v, ControlWord::Secondary, field::SECONDARY_CONTROLS),
        );
    "VMX-CTL-SECONDARY-ALLOWED-1", ["ctl-exec-03"], [field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "every secondary processor-based control must be 0 that the capability MSR does not allow to be 1",
        |v| when_settled(
            v.primary().map(|word| word.contains(PrimaryControls::ACTIVATE_SECONDARY_CONTROLS)),
            || may_be_one(v, ControlWord::Secondary, field::SECONDARY_CONTROLS),
        );
    @not_checked "VMX-CTL-SECONDARY-INACTIVE", ["ctl-exec-64"], [field::SECONDARY_CONTROLS],
        "the secondary processor-based controls are not checked while they are not activated",
        |_| Ok(Verdict::Holds);
    "VMX-CTL-TERTIARY-ALLOWED-1", ["ctl-exec-08"], [field::TERTIARY_CONTROLS, field::PRIMARY_CONTROLS],
        "every tertiary processor-based control must be 0 that the capability MSR does not allow to be 1",
        |v| when_settled(
            v.primary().map(|word| word.contains(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS)),
            || may_be_one(v, ControlWord::Tertiary, field::TERTIARY_CONTROLS),
        );
    @not_checked "VMX-CTL-TERTIARY-INACTIVE", ["ctl-exec-65"], [field::TERTIARY_CONTROLS],
        "the tertiary processor-based controls are not checked while they are not activated",
        |_| Ok(Verdict::Holds);
};

/// VM-function controls.
pub(super) const VM_FUNCTIONS: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION_SECTION;
    "VMX-CTL-VM-FUNCTIONS-ALLOWED-1", ["ctl-exec-04"],
        [field::VM_FUNCTION_CONTROLS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "every VM-function control must be 0 that IA32_VMX_VMFUNC does not allow to be 1",
        |v| when_settled(
            v.secondary().map(|word| word.contains(SecondaryControls::ENABLE_VM_FUNCTIONS)),
            || may_be_one(v, ControlWord::VmFunction, field::VM_FUNCTION_CONTROLS),
        );
    @not_checked "VMX-CTL-VM-FUNCTIONS-INACTIVE", ["ctl-exec-66"], [field::VM_FUNCTION_CONTROLS],
        "the VM-function controls are not checked while VM functions are not enabled",
        |_| Ok(Verdict::Holds);
};

/// VM-exit controls.
pub(super) const EXIT: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXIT_SECTION;
    "VMX-EXIT-ALLOWED-0", ["ctl-exit-01"], [field::EXIT_CONTROLS],
        "every VM-exit control must be 1 that the capability MSR does not allow to be 0",
        |v| must_be_one(v, ControlWord::Exit, field::EXIT_CONTROLS);
    "VMX-EXIT-ALLOWED-1", ["ctl-exit-02"], [field::EXIT_CONTROLS],
        "every VM-exit control must be 0 that the capability MSR does not allow to be 1",
        |v| may_be_one(v, ControlWord::Exit, field::EXIT_CONTROLS);
    "VMX-EXIT-SECONDARY-ALLOWED-1", ["ctl-exit-03"], [field::SECONDARY_EXIT_CONTROLS, field::EXIT_CONTROLS],
        "every secondary VM-exit control must be 0 that the capability MSR does not allow to be 1",
        |v| when_settled(
            v.exit().map(|word| word.contains(ExitControls::ACTIVATE_SECONDARY_CONTROLS)),
            || may_be_one(v, ControlWord::SecondaryExit, field::SECONDARY_EXIT_CONTROLS),
        );
    @not_checked "VMX-EXIT-SECONDARY-INACTIVE", ["ctl-exit-09"], [field::SECONDARY_EXIT_CONTROLS],
        "the secondary VM-exit controls are not checked while they are not activated",
        |_| Ok(Verdict::Holds);
};

/// VM-entry controls.
pub(super) const ENTRY: &[Rule] = rules! {
    class RuleClass::Controls;
    section ENTRY_SECTION;
    "VMX-ENTRY-ALLOWED-0", ["ctl-entry-01"], [field::ENTRY_CONTROLS],
        "every VM-entry control must be 1 that the capability MSR does not allow to be 0",
        |v| must_be_one(v, ControlWord::Entry, field::ENTRY_CONTROLS);
    "VMX-ENTRY-ALLOWED-1", ["ctl-entry-02"], [field::ENTRY_CONTROLS],
        "every VM-entry control must be 0 that the capability MSR does not allow to be 1",
        |v| may_be_one(v, ControlWord::Entry, field::ENTRY_CONTROLS);
};
