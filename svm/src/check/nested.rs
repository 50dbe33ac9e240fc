//! Paging: nested, and legacy PAE without it.

use x86_virt_npt::{Ncr3, Pat};

use crate::check::rule::Verdict;
use crate::check::view::{Missing, View};
use crate::vmcb::{control, save};

type Outcome = Result<Verdict, Missing>;

pub(crate) fn ncr3(view: &View<'_>) -> Outcome {
    if view.nested_paging()?.is_none() {
        return Ok(Verdict::Kept);
    }
    let ncr3 = view.get(control::N_CR3)?;
    let width = view.processor()?.physical_width();
    let wrong = Ncr3::from_bits(ncr3).must_be_zero_bits(width) & (view.beyond(ncr3)? | (0xfff << 52));
    Ok(Verdict::broken_if(wrong != 0))
}

pub(crate) fn host_paging(view: &View<'_>) -> Outcome {
    if view.nested_paging()?.is_none() {
        return Ok(Verdict::Kept);
    }
    Ok(Verdict::broken_if(!view.context.host_cr0.ok_or(Missing("CR0 of the host"))?.pg()))
}

pub(crate) fn pat(view: &View<'_>) -> Outcome {
    if view.nested_paging()?.is_none() {
        return Ok(Verdict::Kept);
    }
    let pat = Pat::new(view.get(save::G_PAT)?);
    Ok(Verdict::broken_if((0..8).any(|index| pat.memory_type(index).is_none())))
}

pub(crate) fn exists(view: &View<'_>) -> Outcome {
    Ok(match view.nested_paging()? {
        Some(nested) if !view.processor()?.features().np() => {
            Verdict::Becomes(nested.with_np_enable(false).into_bits())
        }
        _ => Verdict::Kept,
    })
}

/// Bits 2:1 and 8:5 of a page-directory-pointer entry of legacy PAE paging must be 0.
const PDPTE_RESERVED: u64 = 0b11 << 1 | 0xf << 5;

pub(crate) fn pdptes(view: &View<'_>) -> Outcome {
    if view.nested_paging()?.is_some() {
        return Ok(Verdict::Kept);
    }
    if !view.get(save::CR0)?.pg() || !view.get(save::CR4)?.pae() || view.is_long()? {
        return Ok(Verdict::Kept);
    }
    let entries = view.context.pdptes.ok_or(Missing("the page-directory-pointer entries"))?;
    for entry in entries.into_iter().filter(|entry| entry & 1 != 0) {
        if entry & PDPTE_RESERVED != 0 || entry >> 52 != 0 || view.beyond(entry)? != 0 {
            return Ok(Verdict::Broken);
        }
    }
    Ok(Verdict::Kept)
}
