//! Under which conditions VMRUN may be executed at all.

use crate::check::rule::Verdict;
use crate::check::view::{Missing, View};

type Outcome = Result<Verdict, Missing>;

pub(crate) fn host_svme(view: &View<'_>) -> Outcome {
    let efer = view.context.host_efer.ok_or(Missing("EFER of the host"))?;
    Ok(Verdict::broken_if(!efer.svme()))
}

pub(crate) fn host_protected(view: &View<'_>) -> Outcome {
    let cr0 = view.context.host_cr0.ok_or(Missing("CR0 of the host"))?;
    Ok(Verdict::broken_if(!cr0.pe()))
}

pub(crate) fn cpl(view: &View<'_>) -> Outcome {
    let cpl = view.context.cpl.ok_or(Missing("CPL of the host"))?;
    Ok(Verdict::broken_if(cpl != 0))
}

pub(crate) fn vmcb_address(view: &View<'_>) -> Outcome {
    let address = view.context.vmcb_address.ok_or(Missing("the address of the VMCB"))?.get();
    Ok(Verdict::broken_if(address & 0xfff != 0 || view.beyond(address)? != 0))
}

pub(crate) fn hsave(view: &View<'_>) -> Outcome {
    let address = view.context.hsave_pa.ok_or(Missing("VM_HSAVE_PA"))?;
    Ok(Verdict::broken_if(address.get() == 0))
}
