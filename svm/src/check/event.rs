//! The event to deliver.

use crate::check::registers::has_cet;
use crate::check::rule::Verdict;
use crate::check::view::{Missing, View};
use crate::vmcb::{EventInjection, EventType, control, save};

type Outcome = Result<Verdict, Missing>;

const OVERFLOW: u8 = 4;
const BOUND_RANGE: u8 = 5;
const CONTROL_PROTECTION: u8 = 21;
const VMM_COMMUNICATION: u8 = 29;

/// The event, if there is one.
pub(crate) fn event(view: &View<'_>) -> Result<Option<EventInjection>, Missing> {
    let event = view.get(control::EVENTINJ)?;
    Ok(event.v().then_some(event))
}

/// The vector of an exception, if there is one.
fn exception(view: &View<'_>) -> Result<Option<u8>, Missing> {
    let exception = event(view)?.filter(|event| event.event_type() == EventType::EXCEPTION);
    Ok(exception.map(|event| event.vector()))
}

const fn is_legal(event_type: EventType) -> bool {
    matches!(event_type.into_bits(), 0 | 2 | 3 | 4)
}

pub(crate) fn reserved_type(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(event(view)?.is_some_and(|event| !is_legal(event.event_type()))))
}

pub(crate) fn legal_type(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(event(view)?.is_some_and(|event| is_legal(event.event_type()))))
}

pub(crate) fn no_exception(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(exception(view)?.is_some_and(|vector| vector == 2 || vector > 31)))
}

pub(crate) fn reserved_exception(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(match exception(view)? {
        Some(9 | 15 | 20 | 22..=27 | 31) => true,
        Some(CONTROL_PROTECTION) => !has_cet(view)?,
        Some(VMM_COMMUNICATION) => !view.processor()?.encryption().sev_es(),
        _ => false,
    }))
}

pub(crate) fn impossible(view: &View<'_>) -> Outcome {
    let Some(OVERFLOW | BOUND_RANGE) = exception(view)? else { return Ok(Verdict::Kept) };
    Ok(Verdict::broken_if(view.is_long()? && view.get(save::CS)?.attributes.l()))
}

/// Bits 30:12.
const SHOULD_BE_ZERO: u64 = 0x7fff_f000;

pub(crate) fn should_be_zero(view: &View<'_>) -> Outcome {
    let event = view.get(control::EVENTINJ)?.into_bits();
    Ok(Verdict::broken_if(event & SHOULD_BE_ZERO != 0 && event >> 31 & 1 != 0))
}
