//! Rules of the guest's activity, of what blocks its interrupts, and of its pending debug exceptions.

use x86_virt_core::SegmentRegister;

use super::NON_REGISTER;
use super::segments::rights;
use crate::check::controls::{injected, injects};
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, Outcome, Verdict, View, both, must, must_be, must_be_zero, when, when_settled};
use crate::control::{EntryControls, PinControls};
use crate::event::{EventType, InterruptibilityState};
use crate::exit::EntryFailureCause;
use crate::field;
use crate::guest_state::ActivityState;

/// Machine check, #DB.
const MACHINE_CHECK: u8 = 18;
const DEBUG: u8 = 1;

/// Whether the guest will be in this state.
fn activity(v: &View<'_>, state: ActivityState) -> Result<bool, Missing> {
    v.get(field::GUEST_ACTIVITY_STATE).map(|activity| activity == state)
}

fn enters_smm(v: &View<'_>) -> Result<bool, Missing> {
    v.entry_controls().map(|word| word.contains(EntryControls::ENTRY_TO_SMM))
}

fn blocking(v: &View<'_>) -> Result<InterruptibilityState, Missing> {
    v.get(field::GUEST_INTERRUPTIBILITY_STATE)
}

/// Whether STI or MOV SS blocks interrupts.
fn is_blocked(v: &View<'_>) -> Result<bool, Missing> {
    blocking(v).map(|state| state.blocking_by_sti() || state.blocking_by_mov_ss())
}

fn is_supported(v: &View<'_>) -> Outcome {
    let is_supported = match v.get(field::GUEST_ACTIVITY_STATE)? {
        ActivityState::ACTIVE => true,
        ActivityState::HLT => v.misc()?.activity_hlt(),
        ActivityState::SHUTDOWN => v.misc()?.activity_shutdown(),
        ActivityState::WAIT_FOR_SIPI => v.misc()?.activity_wait_for_sipi(),
        _ => false,
    };
    Ok(if is_supported { Verdict::Holds } else { Verdict::Broken })
}

/// The activity state.
pub(super) const ACTIVITY: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section NON_REGISTER;
    "VMX-GUEST-ACTIVITY", ["guest-nonreg-01"], [field::GUEST_ACTIVITY_STATE],
        "the activity state must be 0, or 1, 2 or 3 if IA32_VMX_MISC reports it",
        is_supported;
    "VMX-GUEST-ACTIVITY-HLT", ["guest-nonreg-02"], [field::GUEST_ACTIVITY_STATE, field::GUEST_SS_ACCESS_RIGHTS],
        "DPL of SS must be 0 in the activity state HLT",
        |v| when(
            activity(v, ActivityState::HLT),
            || Ok(rights(v, SegmentRegister::Ss)?.dpl() == 0),
        );
    "VMX-GUEST-ACTIVITY-BLOCKED", ["guest-nonreg-03"],
        [field::GUEST_ACTIVITY_STATE, field::GUEST_INTERRUPTIBILITY_STATE],
        "the activity state must be active if STI or MOV SS blocks interrupts",
        |v| when(is_blocked(v), || activity(v, ActivityState::ACTIVE));
    "VMX-GUEST-ACTIVITY-HLT-EVENT", ["guest-nonreg-04"],
        [field::ENTRY_INTERRUPTION_INFORMATION, field::GUEST_ACTIVITY_STATE],
        "only an external interrupt, an NMI, a hardware exception with vector 1 or 18, or an event of type 7 with \
         vector 0 can be injected in the activity state HLT",
        |v| when(activity(v, ActivityState::HLT), || {
            Ok(injected(v)?.is_none_or(|event| match event.event_type() {
                EventType::EXTERNAL_INTERRUPT | EventType::NMI => true,
                EventType::HARDWARE_EXCEPTION => matches!(event.vector(), DEBUG | MACHINE_CHECK),
                EventType::OTHER => event.vector() == 0,
                _ => false,
            }))
        });
    "VMX-GUEST-ACTIVITY-SHUTDOWN-EVENT", ["guest-nonreg-05"],
        [field::ENTRY_INTERRUPTION_INFORMATION, field::GUEST_ACTIVITY_STATE],
        "only an NMI or a machine check can be injected in the activity state shutdown",
        |v| when(activity(v, ActivityState::SHUTDOWN), || {
            Ok(injected(v)?.is_none_or(|event| match event.event_type() {
                EventType::NMI => true,
                EventType::HARDWARE_EXCEPTION => event.vector() == MACHINE_CHECK,
                _ => false,
            }))
        });
    "VMX-GUEST-ACTIVITY-SIPI-EVENT", ["guest-nonreg-06"],
        [field::ENTRY_INTERRUPTION_INFORMATION, field::GUEST_ACTIVITY_STATE],
        "no event can be injected in the activity state wait-for-SIPI",
        |v| when(activity(v, ActivityState::WAIT_FOR_SIPI), || Ok(injected(v)?.is_none()));
    "VMX-GUEST-ACTIVITY-SIPI-SMM", ["guest-nonreg-07"], [field::GUEST_ACTIVITY_STATE, field::ENTRY_CONTROLS],
        "the activity state must not be wait-for-SIPI if the entry is to system-management mode",
        |v| when(enters_smm(v), || activity(v, ActivityState::WAIT_FOR_SIPI).map(|waits| !waits));
    "VMX-GUEST-ACTIVITY-SIPI-ROOT", ["guest-nonreg-23"],
        [field::GUEST_ACTIVITY_STATE, field::EXECUTIVE_VMCS_POINTER, field::ENTRY_CONTROLS],
        "the activity state must not be wait-for-SIPI if the entry returns from system-management mode to VMX root \
         operation",
        |v| when(
            both(activity(v, ActivityState::WAIT_FOR_SIPI), v.returns_to_root()),
            || Ok(false),
        );
};

/// What blocks interrupts.
pub(super) const INTERRUPTIBILITY: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section NON_REGISTER;
    "VMX-GUEST-BLOCKING-RESERVED", ["guest-nonreg-08"], [field::GUEST_INTERRUPTIBILITY_STATE],
        "bits 31:5 of the interruptibility state must be 0",
        |v| must_be_zero(v, field::GUEST_INTERRUPTIBILITY_STATE, 0xffff_ffe0);
    "VMX-GUEST-BLOCKING-BOTH", ["guest-nonreg-09"], [field::GUEST_INTERRUPTIBILITY_STATE],
        "blocking by STI and blocking by MOV SS must not both be 1",
        |v| must(blocking(v).map(|state| !(state.blocking_by_sti() && state.blocking_by_mov_ss())));
    "VMX-GUEST-BLOCKING-STI-IF", ["guest-nonreg-10"], [field::GUEST_INTERRUPTIBILITY_STATE, field::GUEST_RFLAGS],
        "blocking by STI must be 0 if RFLAGS.IF is",
        |v| when(
            v.get(field::GUEST_RFLAGS).map(|rflags| !rflags.r#if()),
            || blocking(v).map(|state| !state.blocking_by_sti()),
        );
    "VMX-GUEST-BLOCKING-INTERRUPT", ["guest-nonreg-11"],
        [field::GUEST_INTERRUPTIBILITY_STATE, field::ENTRY_INTERRUPTION_INFORMATION],
        "blocking by STI and by MOV SS must be 0 if the entry injects an external interrupt",
        |v| when(injects(v, EventType::EXTERNAL_INTERRUPT), || is_blocked(v).map(|blocked| !blocked));
    "VMX-GUEST-BLOCKING-NMI-MOV-SS", ["guest-nonreg-12"],
        [field::GUEST_INTERRUPTIBILITY_STATE, field::ENTRY_INTERRUPTION_INFORMATION],
        "blocking by MOV SS must be 0 if the entry injects an NMI",
        |v| when(
            injects(v, EventType::NMI),
            || blocking(v).map(|state| !state.blocking_by_mov_ss()),
        );
};

/// The rule that has an exit qualification of its own.
pub(super) const BLOCKED_NMI: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::BLOCKED_INJECTION);
    section NON_REGISTER;
    @provisional "VMX-GUEST-BLOCKING-NMI-STI", ["guest-nonreg-13"],
        [field::GUEST_INTERRUPTIBILITY_STATE, field::ENTRY_INTERRUPTION_INFORMATION],
        "blocking by STI must be 0 if the entry injects an NMI",
        |v| when(injects(v, EventType::NMI), || blocking(v).map(|state| !state.blocking_by_sti()));
};

/// What blocks interrupts, from SMIs on.
pub(super) const LATER_INTERRUPTIBILITY: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section NON_REGISTER;
    "VMX-GUEST-BLOCKING-SMI", ["guest-nonreg-14"], [field::GUEST_INTERRUPTIBILITY_STATE],
        "blocking by SMI must be 0 outside of system-management mode",
        |v| when_settled(
            Ok(!v.entry.in_smm),
            || must_be_zero(v, field::GUEST_INTERRUPTIBILITY_STATE, 1 << 2),
        );
    "VMX-GUEST-BLOCKING-SMI-ENTRY", ["guest-nonreg-15"],
        [field::GUEST_INTERRUPTIBILITY_STATE, field::ENTRY_CONTROLS],
        "blocking by SMI must be 1 if the entry is to system-management mode",
        |v| when(enters_smm(v), || blocking(v).map(|state| state.blocking_by_smi()));
    "VMX-GUEST-BLOCKING-VIRTUAL-NMI", ["guest-nonreg-16"],
        [field::GUEST_INTERRUPTIBILITY_STATE, field::PIN_CONTROLS, field::ENTRY_INTERRUPTION_INFORMATION],
        "blocking by NMI must be 0 if virtual NMIs is 1 and the entry injects an NMI",
        |v| when(
            both(injects(v, EventType::NMI), v.pin().map(|word| word.contains(PinControls::VIRTUAL_NMIS))),
            || blocking(v).map(|state| !state.blocking_by_nmi()),
        );
    "VMX-GUEST-BLOCKING-ENCLAVE", ["guest-nonreg-17"], [field::GUEST_INTERRUPTIBILITY_STATE],
        "blocking by MOV SS must be 0 and the processor have SGX if enclave interruption is 1",
        |v| when(blocking(v).map(|state| state.enclave_interruption()), || {
            Ok(!blocking(v)?.blocking_by_mov_ss()
                && v.entry.has_sgx.ok_or(Missing::Fact("whether the processor has SGX"))?)
        });
    "VMX-GUEST-BLOCKING-FRED", ["guest-nonreg-18", "guest-seg-48"],
        [field::GUEST_INTERRUPTIBILITY_STATE, field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_CR4],
        "blocking by STI must be 0 if DPL of SS is 3 and CR4.FRED is 1",
        |v| when(
            both(
                v.get(field::GUEST_CR4).map(|cr4| cr4.fred()),
                rights(v, SegmentRegister::Ss).map(|ss| ss.dpl() == 3),
            ),
            || blocking(v).map(|state| !state.blocking_by_sti()),
        );
};

/// Whether BS must agree with RFLAGS.TF: if STI or MOV SS blocks interrupts, or in the activity state HLT.
fn must_agree(v: &View<'_>) -> Result<bool, Missing> {
    Ok(is_blocked(v)? || activity(v, ActivityState::HLT)?)
}

/// Whether the guest steps instruction by instruction: RFLAGS.TF without IA32_DEBUGCTL.BTF.
fn is_stepping(v: &View<'_>) -> Result<bool, Missing> {
    both(
        v.get(field::GUEST_RFLAGS).map(|rflags| rflags.tf()),
        v.raw(field::GUEST_IA32_DEBUGCTL.encoding()).map(|debugctl| debugctl & DEBUGCTL_BTF == 0),
    )
}

const DEBUGCTL_BTF: u64 = 1 << 1;

const BS: u64 = 1 << 14;

/// All bits that are 1 where RTM is: 12 and 16.
const WITH_RTM: u64 = 1 << 12 | 1 << 16;

/// Bits of pending debug exceptions that are reserved: 10:4, 13, 15 and 63:17.
const RESERVED: u64 = !(0x1_5000 | 1 << 11 | 0xf);

/// Pending debug exceptions.
pub(super) const PENDING_DEBUG: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section NON_REGISTER;
    "VMX-GUEST-PENDING-RESERVED", ["guest-nonreg-19"], [field::GUEST_PENDING_DEBUG_EXCEPTIONS],
        "bits 10:4, 13, 15 and 63:17 of the pending debug exceptions must be 0",
        |v| must_be_zero(v, field::GUEST_PENDING_DEBUG_EXCEPTIONS, RESERVED);
    "VMX-GUEST-PENDING-BS-ONE", ["guest-nonreg-20"],
        [
            field::GUEST_PENDING_DEBUG_EXCEPTIONS, field::GUEST_RFLAGS, field::GUEST_IA32_DEBUGCTL,
            field::GUEST_ACTIVITY_STATE, field::GUEST_INTERRUPTIBILITY_STATE,
        ],
        "BS must be 1 if STI or MOV SS blocks interrupts or the activity state is HLT, and RFLAGS.TF is 1 and \
         IA32_DEBUGCTL.BTF 0",
        |v| when_settled(
            both(must_agree(v), is_stepping(v)),
            || must_be(v, field::GUEST_PENDING_DEBUG_EXCEPTIONS, BS, BS),
        );
    "VMX-GUEST-PENDING-BS-ZERO", ["guest-nonreg-21"],
        [
            field::GUEST_PENDING_DEBUG_EXCEPTIONS, field::GUEST_RFLAGS, field::GUEST_IA32_DEBUGCTL,
            field::GUEST_ACTIVITY_STATE, field::GUEST_INTERRUPTIBILITY_STATE,
        ],
        "BS must be 0 if STI or MOV SS blocks interrupts or the activity state is HLT, and RFLAGS.TF is 0 or \
         IA32_DEBUGCTL.BTF 1",
        |v| when_settled(
            both(must_agree(v), is_stepping(v).map(|steps| !steps)),
            || must_be_zero(v, field::GUEST_PENDING_DEBUG_EXCEPTIONS, BS),
        );
    "VMX-GUEST-PENDING-RTM", ["guest-nonreg-22"],
        [field::GUEST_PENDING_DEBUG_EXCEPTIONS, field::GUEST_INTERRUPTIBILITY_STATE],
        "with RTM, no other bit than bit 12 must be 1, and that must, blocking by MOV SS must be 0, and the processor \
         have RTM",
        |v| when(
            v.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS).map(|pending| pending.rtm()),
            || {
                let pending = v.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS)?.into_bits();
                Ok(pending == WITH_RTM
                    && !blocking(v)?.blocking_by_mov_ss()
                    && v.entry.has_rtm.ok_or(Missing::Fact("whether the processor has RTM"))?)
            },
        );
};
