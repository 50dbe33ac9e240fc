//! Rules of VM-entry controls: the injected event, the MSRs to load, and system-management mode.

use x86_virt_core::Cr4;

use super::{ENTRY, area_begins, area_ends};
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, Outcome, Verdict, View, must, must_be, must_be_zero, when, when_settled};
use crate::control::{ControlWord, EntryControls, PrimaryControls};
use crate::event::{EntryInterruption, EventType};
use crate::field;

/// The event that the entry injects, if there is one.
pub(in crate::check) fn injected(v: &View<'_>) -> Result<Option<EntryInterruption>, Missing> {
    let event = v.get(field::ENTRY_INTERRUPTION_INFORMATION)?;
    Ok(event.valid().then_some(event))
}

/// Whether the entry injects an event of this type.
pub(in crate::check) fn injects(v: &View<'_>, event_type: EventType) -> Result<bool, Missing> {
    Ok(injected(v)?.is_some_and(|event| event.event_type() == event_type))
}

/// The vector of the event that the entry injects, if it is of this type.
fn vector_of(v: &View<'_>, event_type: EventType) -> Result<Option<u8>, Missing> {
    Ok(injected(v)?.filter(|event| event.event_type() == event_type).map(|event| event.vector()))
}

const FRED: u64 = Cr4::new().with_fred(true).into_bits();

const CET: u64 = Cr4::new().with_cet(true).into_bits();

fn has_monitor_trap_flag(v: &View<'_>) -> Result<bool, Missing> {
    let (_, may_be_one) = v.allowed(ControlWord::Primary)?;
    Ok(may_be_one & u64::from(PrimaryControls::MONITOR_TRAP_FLAG.into_bits()) != 0)
}

/// Whether the entry injects an event whose instruction length counts.
fn has_length(v: &View<'_>) -> Result<bool, Missing> {
    Ok(injected(v)?.is_some_and(|event| match event.event_type() {
        EventType::SOFTWARE_INTERRUPT | EventType::PRIVILEGED_SOFTWARE_EXCEPTION | EventType::SOFTWARE_EXCEPTION => {
            true
        }
        EventType::OTHER => matches!(event.vector(), 1 | 2),
        _ => false,
    }))
}

/// Whether the exception with this vector pushes an error code.
fn pushes_error_code(v: &View<'_>, vector: u8) -> Result<bool, Missing> {
    Ok(match vector {
        8 | 10..=14 | 17 => true,
        21 => v.can_set_cr4(CET)?,
        _ => false,
    })
}

fn error_code_flag(v: &View<'_>) -> Outcome {
    let Some(event) = injected(v)? else { return Ok(Verdict::Holds) };
    let may_have_one =
        event.event_type() == EventType::HARDWARE_EXCEPTION && (!v.unrestricted()? || v.get(field::GUEST_CR0)?.pe());
    let holds = if !may_have_one {
        !event.deliver_error_code()
    } else {
        v.basic()?.any_error_code() || event.deliver_error_code() == pushes_error_code(v, event.vector())?
    };
    Ok(if holds { Verdict::Holds } else { Verdict::Broken })
}

/// The injected event.
pub(super) const EVENT: &[Rule] = rules! {
    class RuleClass::Controls;
    section ENTRY;
    "VMX-ENTRY-EVENT-TYPE", ["ctl-entry-07"], [field::ENTRY_INTERRUPTION_INFORMATION],
        "the type of the injected event must not be 1, and 7 only if the processor has the monitor trap flag or FRED",
        |v| {
            let Some(event) = injected(v)? else { return Ok(Verdict::Holds) };
            let is_known = match event.event_type() {
                EventType::OTHER => has_monitor_trap_flag(v)? || v.can_set_cr4(FRED)?,
                event_type => event_type.name().is_some(),
            };
            Ok(if is_known { Verdict::Holds } else { Verdict::Broken })
        };
    "VMX-ENTRY-EVENT-NMI-VECTOR", ["ctl-entry-08"], [field::ENTRY_INTERRUPTION_INFORMATION],
        "the vector of an injected NMI must be 2",
        |v| match vector_of(v, EventType::NMI)? {
            Some(_) => must_be(v, field::ENTRY_INTERRUPTION_INFORMATION, 0xff, 2),
            None => Ok(Verdict::Holds),
        };
    "VMX-ENTRY-EVENT-EXCEPTION-VECTOR", ["ctl-entry-09"], [field::ENTRY_INTERRUPTION_INFORMATION],
        "the vector of an injected hardware exception must be at most 31",
        |v| Ok(match vector_of(v, EventType::HARDWARE_EXCEPTION)? {
            Some(32..) => Verdict::Broken,
            _ => Verdict::Holds,
        });
    "VMX-ENTRY-EVENT-OTHER-VECTOR", ["ctl-entry-10"], [field::ENTRY_INTERRUPTION_INFORMATION],
        "the vector of an injected event of type 7 must be 0, 1 or 2",
        |v| Ok(match vector_of(v, EventType::OTHER)? {
            Some(3..) => Verdict::Broken,
            _ => Verdict::Holds,
        });
    "VMX-ENTRY-EVENT-MONITOR-TRAP", ["ctl-entry-19", "ctl-entry-23"], [field::ENTRY_INTERRUPTION_INFORMATION],
        "a pending monitor-trap exit (type 7, vector 0) can be injected only if the processor has the monitor trap \
         flag",
        |v| match vector_of(v, EventType::OTHER)? {
            // A processor without FRED refuses the type.
            Some(0) => when(v.can_set_cr4(FRED), || has_monitor_trap_flag(v)),
            _ => Ok(Verdict::Holds),
        };
    "VMX-ENTRY-EVENT-FRED", ["ctl-entry-16", "ctl-entry-22"], [field::ENTRY_INTERRUPTION_INFORMATION, field::GUEST_CR4],
        "SYSCALL and SYSENTER (type 7, vectors 1 and 2) can be injected only if CR4.FRED of the guest is 1",
        |v| when(
            vector_of(v, EventType::OTHER).map(|vector| matches!(vector, Some(1 | 2))),
            || Ok(v.get(field::GUEST_CR4)?.fred()),
        );
    @not_checked "VMX-ENTRY-EVENT-PRIVILEGED-ANY", ["ctl-entry-20"], [field::ENTRY_INTERRUPTION_INFORMATION],
        "the vector of a privileged software exception is not checked",
        |_| Ok(Verdict::Holds);
    "VMX-ENTRY-EVENT-ERROR-CODE-FLAG", ["ctl-entry-11"],
        [field::ENTRY_INTERRUPTION_INFORMATION, field::GUEST_CR0, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "an error code must not be delivered with what is no hardware exception, nor to an unrestricted guest in real \
         mode; unless bit 56 of IA32_VMX_BASIC is 1, it must be with just the exceptions that have one",
        error_code_flag;
    "VMX-ENTRY-EVENT-RESERVED", ["ctl-entry-12"], [field::ENTRY_INTERRUPTION_INFORMATION],
        "bits 30:14 and 12 of the interruption information must be 0 if an event is injected",
        |v| when_settled(
            injected(v).map(|event| event.is_some()),
            || must_be_zero(v, field::ENTRY_INTERRUPTION_INFORMATION, 0x7fff_d000),
        );
    "VMX-ENTRY-EVENT-NESTED-SUPPORT", ["ctl-entry-21"], [field::ENTRY_INTERRUPTION_INFORMATION],
        "a nested exception can be injected only if bit 58 of IA32_VMX_BASIC is 1",
        |v| when_settled(
            injected(v).map(|event| event.is_some_and(|event| event.nested_exception())),
            || if v.basic()?.nested_exception() {
                Ok(Verdict::Holds)
            } else {
                must_be_zero(v, field::ENTRY_INTERRUPTION_INFORMATION, 1 << 13)
            },
        );
    "VMX-ENTRY-EVENT-NESTED-TYPE", ["ctl-entry-18"], [field::ENTRY_INTERRUPTION_INFORMATION],
        "a nested exception must be a hardware exception",
        |v| when_settled(
            injected(v).map(|event| event.is_some_and(|event| event.event_type() != EventType::HARDWARE_EXCEPTION)),
            || {
                let is_nested = v.get(field::ENTRY_INTERRUPTION_INFORMATION)?.nested_exception();
                // A processor without nested exceptions refuses the bit whatever the type.
                when(v.basic().map(|basic| basic.nested_exception()), || Ok(!is_nested))
            },
        );
    "VMX-ENTRY-EVENT-ERROR-CODE", ["ctl-entry-13"],
        [field::ENTRY_EXCEPTION_ERROR_CODE, field::ENTRY_INTERRUPTION_INFORMATION],
        "bits 31:16 of the error code must be 0 if it is delivered",
        |v| when_settled(
            injected(v).map(|event| event.is_some_and(|event| event.deliver_error_code())),
            || must_be_zero(v, field::ENTRY_EXCEPTION_ERROR_CODE, 0xffff_0000),
        );
    "VMX-ENTRY-EVENT-LENGTH-ZERO", ["ctl-entry-14", "ctl-entry-17"],
        [field::ENTRY_INSTRUCTION_LENGTH, field::ENTRY_INTERRUPTION_INFORMATION],
        "the instruction length of an injected software event, SYSCALL or SYSENTER must not be 0 unless bit 30 of \
         IA32_VMX_MISC is 1",
        |v| when(
            has_length(v),
            || Ok(v.get(field::ENTRY_INSTRUCTION_LENGTH)? != 0 || v.misc()?.zero_length_injection()),
        );
    "VMX-ENTRY-EVENT-LENGTH", ["ctl-entry-15", "ctl-entry-17"],
        [field::ENTRY_INSTRUCTION_LENGTH, field::ENTRY_INTERRUPTION_INFORMATION],
        "the instruction length of an injected software event, SYSCALL or SYSENTER must be at most 15",
        |v| when(has_length(v), || Ok(v.get(field::ENTRY_INSTRUCTION_LENGTH)? <= 15));
    "VMX-ENTRY-EVENT-TO-ROOT", ["ctl-entry-24"],
        [field::ENTRY_INTERRUPTION_INFORMATION, field::EXECUTIVE_VMCS_POINTER, field::ENTRY_CONTROLS],
        "an entry that returns from system-management mode to VMX root operation must not inject an event whose type \
         is not 7 and whose vector is not 0",
        |v| when(v.returns_to_root(), || {
            Ok(!injected(v)?.is_some_and(|event| event.event_type() != EventType::OTHER && event.vector() != 0))
        });
};

/// MSRs and system-management mode.
pub(super) const REST: &[Rule] = rules! {
    class RuleClass::Controls;
    section ENTRY;
    "VMX-ENTRY-MSR-LOAD-ADDRESS", ["ctl-entry-05"], [field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT],
        "the address of the VM-entry MSR-load area must be a multiple of 16 inside the physical-address width if the \
         count is not 0",
        |v| area_begins(v, field::ENTRY_MSR_LOAD_COUNT, field::ENTRY_MSR_LOAD_ADDRESS);
    "VMX-ENTRY-MSR-LOAD-END", ["ctl-entry-06"], [field::ENTRY_MSR_LOAD_COUNT, field::ENTRY_MSR_LOAD_ADDRESS],
        "the last byte of the VM-entry MSR-load area must be inside the physical-address width if the count is not 0",
        |v| area_ends(v, field::ENTRY_MSR_LOAD_COUNT, field::ENTRY_MSR_LOAD_ADDRESS);
    "VMX-ENTRY-OUTSIDE-SMM", ["ctl-entry-03"], [field::ENTRY_CONTROLS],
        "entry to SMM and deactivate dual-monitor treatment must be 0 outside of system-management mode",
        |v| when_settled(Ok(!v.entry.in_smm), || must_be_zero(v, field::ENTRY_CONTROLS, SMM));
    "VMX-ENTRY-SMM-BOTH", ["ctl-entry-04"], [field::ENTRY_CONTROLS],
        "entry to SMM and deactivate dual-monitor treatment must not both be 1",
        |v| must(v.entry_controls().map(|word| {
            !word.contains(EntryControls::ENTRY_TO_SMM.union(EntryControls::DEACTIVATE_DUAL_MONITOR_TREATMENT))
        }));
};

/// Entry to SMM, and deactivate dual-monitor treatment.
const SMM: u64 = 1 << 10 | 1 << 11;
