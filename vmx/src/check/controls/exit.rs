//! Rules of VM-exit controls.

use super::{EXIT, area_begins, area_ends};
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Verdict, when};
use crate::control::{ExitControls, PinControls};
use crate::field;

/// In the order of the manual.
pub(super) const RULES: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXIT;
    "VMX-EXIT-SAVE-TIMER", ["ctl-exit-04"], [field::EXIT_CONTROLS, field::PIN_CONTROLS, field::ENTRY_CONTROLS],
        "activate preemption timer must be 1 if save preemption timer is",
        |v| when(
            v.exit()
                .map(|word| word.contains(ExitControls::SAVE_PREEMPTION_TIMER))
                .and_then(|saves| Ok(saves && !(v.entry.in_smm && v.returns_from_smm()?))),
            || Ok(v.pin()?.contains(PinControls::ACTIVATE_PREEMPTION_TIMER)),
        );
    @not_checked "VMX-EXIT-SAVE-TIMER-FROM-SMM", ["ctl-exit-10"], [field::EXIT_CONTROLS],
        "entries that return from system-management mode do not check save preemption timer",
        |_| Ok(Verdict::Holds);
    "VMX-EXIT-MSR-STORE-ADDRESS", ["ctl-exit-05"], [field::EXIT_MSR_STORE_ADDRESS, field::EXIT_MSR_STORE_COUNT],
        "the address of the VM-exit MSR-store area must be a multiple of 16 inside the physical-address width if the \
         count is not 0",
        |v| area_begins(v, field::EXIT_MSR_STORE_COUNT, field::EXIT_MSR_STORE_ADDRESS);
    "VMX-EXIT-MSR-STORE-END", ["ctl-exit-06"], [field::EXIT_MSR_STORE_COUNT, field::EXIT_MSR_STORE_ADDRESS],
        "the last byte of the VM-exit MSR-store area must be inside the physical-address width if the count is not 0",
        |v| area_ends(v, field::EXIT_MSR_STORE_COUNT, field::EXIT_MSR_STORE_ADDRESS);
    "VMX-EXIT-MSR-LOAD-ADDRESS", ["ctl-exit-07"], [field::EXIT_MSR_LOAD_ADDRESS, field::EXIT_MSR_LOAD_COUNT],
        "the address of the VM-exit MSR-load area must be a multiple of 16 inside the physical-address width if the \
         count is not 0",
        |v| area_begins(v, field::EXIT_MSR_LOAD_COUNT, field::EXIT_MSR_LOAD_ADDRESS);
    "VMX-EXIT-MSR-LOAD-END", ["ctl-exit-08"], [field::EXIT_MSR_LOAD_COUNT, field::EXIT_MSR_LOAD_ADDRESS],
        "the last byte of the VM-exit MSR-load area must be inside the physical-address width if the count is not 0",
        |v| area_ends(v, field::EXIT_MSR_LOAD_COUNT, field::EXIT_MSR_LOAD_ADDRESS);
};
