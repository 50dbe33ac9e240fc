//! AVIC.

use crate::check::rule::Verdict;
use crate::check::view::{Missing, View};
use crate::vmcb::{VirtualInterruptControl, control};

type Outcome = Result<Verdict, Missing>;

/// The word with the enables, if AVIC is on and the processor has it.
pub(crate) fn enabled(view: &View<'_>) -> Result<Option<VirtualInterruptControl>, Missing> {
    let interrupts = view.get(control::VIRTUAL_INTERRUPT_CONTROL)?;
    if !interrupts.avic_enable() || !view.processor()?.features().avic() {
        return Ok(None);
    }
    Ok(Some(interrupts))
}

/// Bits 63:52, and those that no physical address has.
fn is_beyond(view: &View<'_>, address: u64) -> Outcome {
    Ok(Verdict::broken_if(address >> 52 != 0 || view.beyond(address)? != 0))
}

pub(crate) fn backing_page(view: &View<'_>) -> Outcome {
    match enabled(view)? {
        Some(_) => is_beyond(view, view.get(control::AVIC_APIC_BACKING_PAGE)?.get()),
        None => Ok(Verdict::Kept),
    }
}

pub(crate) fn logical_table(view: &View<'_>) -> Outcome {
    match enabled(view)? {
        Some(_) => is_beyond(view, view.get(control::AVIC_LOGICAL_TABLE)?.get()),
        None => Ok(Verdict::Kept),
    }
}

pub(crate) fn physical_table(view: &View<'_>) -> Outcome {
    match enabled(view)? {
        Some(_) => is_beyond(view, view.get(control::AVIC_PHYSICAL_TABLE)?.into_bits()),
        None => Ok(Verdict::Kept),
    }
}

pub(crate) fn index(view: &View<'_>) -> Outcome {
    let Some(interrupts) = enabled(view)? else { return Ok(Verdict::Kept) };
    let index = view.get(control::AVIC_PHYSICAL_TABLE)?.avic_physical_max_index();
    let last = match (interrupts.x2avic_enable(), view.processor()?.extended_features().x2avic_ext()) {
        (false, _) => 255,
        (true, false) => 511,
        (true, true) => 4095,
    };
    Ok(Verdict::broken_if(index > last))
}

pub(crate) fn x2avic_needs_avic(view: &View<'_>) -> Outcome {
    let interrupts = view.get(control::VIRTUAL_INTERRUPT_CONTROL)?;
    if !interrupts.x2avic_enable() || interrupts.avic_enable() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(view.processor()?.features().x2avic()))
}
