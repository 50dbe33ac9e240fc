//! Intercepts, permission maps, ASID and extensions.

use crate::check::rule::Verdict;
use crate::check::view::{Missing, View};
use crate::vmcb::control;

type Outcome = Result<Verdict, Missing>;

/// INTERCEPT_MISC2: VMRUN, exit code 80h.
const VMRUN: u32 = 1;
/// INTERCEPT_MISC1: NMI, exit code 61h.
const NMI: u32 = 1 << 1;

const PAGE: u64 = 0xfff;
const MSRPM_BYTES: u64 = 0x2000;
const IOPM_BYTES: u64 = 0x3000;

pub(crate) fn vmrun_intercept(view: &View<'_>) -> Outcome {
    let intercepts = view.get(control::INTERCEPT_MISC2)?;
    Ok(Verdict::must_be(intercepts.into(), u64::from(intercepts | VMRUN)))
}

pub(crate) fn asid(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(view.get(control::GUEST_ASID)? == 0))
}

/// Whether the last byte of a map of `bytes` bytes in the pages at `address` has an address that is none.
fn map_is_beyond(view: &View<'_>, address: u64, bytes: u64) -> Outcome {
    let first = address & !PAGE;
    let last = first.checked_add(bytes - 1);
    let is_beyond = view.beyond(first)? != 0 || last.map_or(Ok(true), |last| Ok(view.beyond(last)? != 0))?;
    Ok(Verdict::broken_if(is_beyond))
}

pub(crate) fn msrpm(view: &View<'_>) -> Outcome {
    map_is_beyond(view, view.get(control::MSRPM_BASE_PA)?.get(), MSRPM_BYTES)
}

pub(crate) fn iopm(view: &View<'_>) -> Outcome {
    map_is_beyond(view, view.get(control::IOPM_BASE_PA)?.get(), IOPM_BYTES)
}

pub(crate) fn msrpm_low(view: &View<'_>) -> Outcome {
    let address = view.get(control::MSRPM_BASE_PA)?.get();
    Ok(Verdict::must_be(address, address & !PAGE))
}

pub(crate) fn iopm_low(view: &View<'_>) -> Outcome {
    let address = view.get(control::IOPM_BASE_PA)?.get();
    Ok(Verdict::must_be(address, address & !PAGE))
}

pub(crate) fn virtual_nmi(view: &View<'_>) -> Outcome {
    let interrupts = view.get(control::VIRTUAL_INTERRUPT_CONTROL)?;
    if !interrupts.v_nmi_enable() || view.get(control::INTERCEPT_MISC1)? & NMI != 0 {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(view.processor()?.features().vnmi()))
}

pub(crate) fn extensions_exist(view: &View<'_>) -> Outcome {
    let enabled = view.get(control::VIRT_EXT)?;
    if enabled.into_bits() == 0 {
        return Ok(Verdict::Kept);
    }
    let features = view.processor()?.features();
    Ok(Verdict::broken_if(
        enabled.lbr_virtualization_enable() && !features.lbr_virt()
            || enabled.virtual_vmload_vmsave() && !features.vmsave_virt()
            || enabled.ibs_virtualization_enable() && !features.ibs_virt()
            || enabled.pmc_virtualization_enable() && !features.pmc_virt(),
    ))
}

pub(crate) fn pmc(view: &View<'_>) -> Outcome {
    if !view.get(control::VIRT_EXT)?.pmc_virtualization_enable() || !view.processor()?.features().pmc_virt() {
        return Ok(Verdict::Kept);
    }
    let permits = view.context.permits_pmc_virtualization;
    Ok(Verdict::broken_if(!permits.ok_or(Missing("the state of the performance counters"))?))
}
