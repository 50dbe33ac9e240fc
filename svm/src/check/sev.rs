//! Encrypted guests.

use crate::check::rule::Verdict;
use crate::check::view::{Missing, View};
use crate::check::{avic, event};
use crate::msr::SecureAvicControl;
use crate::sev::SevFeatures;
use crate::vmcb::{EventType, NestedControl, control};
use crate::vmsa;

type Outcome = Result<Verdict, Missing>;

/// NESTED_CTL of a guest with SEV, on a processor that has it.
fn sev(view: &View<'_>) -> Result<Option<NestedControl>, Missing> {
    let nested = view.get(control::NESTED_CTL)?;
    if !nested.sev() || !view.processor()?.encryption().sev() {
        return Ok(None);
    }
    Ok(Some(nested))
}

/// SEV_FEATURES of a guest with SEV-ES.
fn features(view: &View<'_>) -> Result<SevFeatures, Missing> {
    if !view.is_encrypted() {
        return Ok(SevFeatures::new());
    }
    view.vmsa(vmsa::SEV_FEATURES)
}

pub(crate) fn needs_nested_paging(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(sev(view)?.is_some_and(|nested| !nested.np_enable())))
}

pub(crate) fn needs_smm_lock(view: &View<'_>) -> Outcome {
    if sev(view)?.is_none() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(view.context.hwcr.ok_or(Missing("HWCR"))? & 1 == 0))
}

pub(crate) fn asid(view: &View<'_>) -> Outcome {
    if sev(view)?.is_none() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(view.get(control::GUEST_ASID)? > view.processor()?.encrypted_guests()))
}

/// ASIDs from MinSevNoEsAsid on are of guests without SEV-ES.
pub(crate) fn asid_for_es(view: &View<'_>) -> Outcome {
    let Some(nested) = sev(view)? else { return Ok(Verdict::Kept) };
    let is_without_es = view.get(control::GUEST_ASID)? >= view.processor()?.min_sev_no_es_asid();
    Ok(Verdict::broken_if(nested.sev_es() == is_without_es))
}

pub(crate) fn needs_64_bit_host(view: &View<'_>) -> Outcome {
    if sev(view)?.is_none() || !view.processor()?.encryption().host_64_bit() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(!view.context.host_efer.ok_or(Missing("EFER of the host"))?.lma()))
}

pub(crate) fn es_needs_sev(view: &View<'_>) -> Outcome {
    let nested = view.get(control::NESTED_CTL)?;
    if !nested.sev_es() || nested.sev() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(view.processor()?.encryption().sev_es()))
}

pub(crate) fn es_needs_lbr(view: &View<'_>) -> Outcome {
    if !view.is_encrypted() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(!view.get(control::VIRT_EXT)?.lbr_virtualization_enable()))
}

fn snp_is_enabled(view: &View<'_>) -> Result<bool, Missing> {
    Ok(view.context.syscfg.ok_or(Missing("SYSCFG"))? >> 24 & 1 != 0)
}

pub(crate) fn snp_needs_enable(view: &View<'_>) -> Outcome {
    if !features(view)?.snp_active() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(!snp_is_enabled(view)?))
}

/// Whether the reverse map is used: the processor has one, and it is on.
fn has_rmp(view: &View<'_>) -> Result<bool, Missing> {
    Ok(view.processor()?.encryption().sev_snp() && snp_is_enabled(view)?)
}

pub(crate) fn rmp_vmcb(view: &View<'_>) -> Outcome {
    if !has_rmp(view)? {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(!view.context.rmp_allows_vmcb.ok_or(Missing("the RMP entry of the VMCB"))?))
}

pub(crate) fn rmp_avic_backing_page(view: &View<'_>) -> Outcome {
    if avic::enabled(view)?.is_none() || !has_rmp(view)? {
        return Ok(Verdict::Kept);
    }
    let allows = view.context.rmp_allows_avic_backing_page;
    Ok(Verdict::broken_if(!allows.ok_or(Missing("the RMP entry of the APIC backing page"))?))
}

pub(crate) fn rmp_vmsa(view: &View<'_>) -> Outcome {
    if !features(view)?.snp_active() || !has_rmp(view)? {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(!view.context.rmp_allows_vmsa.ok_or(Missing("the RMP entry of the VMSA"))?))
}

pub(crate) fn allowed_features(view: &View<'_>) -> Outcome {
    if !view.is_encrypted() || !view.processor()?.encryption().allowed_sev_features() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(!view.get(control::ALLOWED_SEV_FEATURES)?.permits(features(view)?)))
}

pub(crate) fn vmpl_sss(view: &View<'_>) -> Outcome {
    let both = features(view)?.vmpl_sss() && view.get(control::NESTED_CTL)?.sss_check();
    Ok(Verdict::broken_if(both))
}

pub(crate) fn restricted_excludes_alternate(view: &View<'_>) -> Outcome {
    let features = features(view)?;
    Ok(Verdict::broken_if(features.restricted_injection() && features.alternate_injection()))
}

pub(crate) fn restricted_excludes_avic(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(features(view)?.restricted_injection() && avic::enabled(view)?.is_some()))
}

/// #HV, the only event of restricted injection.
const HYPERVISOR_INJECTION: u8 = 28;

pub(crate) fn restricted_event(view: &View<'_>) -> Outcome {
    if !features(view)?.restricted_injection() {
        return Ok(Verdict::Kept);
    }
    let is_other = event::event(view)?
        .is_some_and(|event| event.event_type() != EventType::EXCEPTION || event.vector() != HYPERVISOR_INJECTION);
    Ok(Verdict::broken_if(is_other))
}

pub(crate) fn alternate_excludes_avic(view: &View<'_>) -> Outcome {
    Ok(Verdict::broken_if(features(view)?.alternate_injection() && avic::enabled(view)?.is_some()))
}

pub(crate) fn host_ibs(view: &View<'_>) -> Outcome {
    if !features(view)?.prevent_host_ibs() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(view.context.host_ibs.ok_or(Missing("IbsFetchEn and IbsOpEn of the host"))?))
}

pub(crate) fn secure_avic_excludes(view: &View<'_>) -> Outcome {
    let features = features(view)?;
    if !features.secure_avic() {
        return Ok(Verdict::Kept);
    }
    let others = features.restricted_injection() || features.alternate_injection();
    Ok(Verdict::broken_if(others || avic::enabled(view)?.is_some()))
}

pub(crate) fn secure_avic_page(view: &View<'_>) -> Outcome {
    if !features(view)?.secure_avic() {
        return Ok(Verdict::Kept);
    }
    let value = SecureAvicControl::from_bits(view.vmsa(vmsa::SECURE_AVIC_CTL)?);
    Ok(Verdict::broken_if(value.secure_avic_en() && view.beyond(value.backing_page().get())? != 0))
}

pub(crate) fn vmsa_busy(view: &View<'_>) -> Outcome {
    if !view.is_encrypted() || !features(view)?.snp_active() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(view.vmsa(vmsa::VINTR_CTRL)?.busy()))
}

pub(crate) fn smt_protection(view: &View<'_>) -> Outcome {
    if !features(view)?.smt_protection() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(!view.context.is_sibling_idle.ok_or(Missing("whether the sibling thread is idle"))?))
}
