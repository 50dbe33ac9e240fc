//! Rules of the page-directory-pointer-table entries of PAE paging.

use super::PAGE_DIRECTORIES;
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, View, both, when};
use crate::exit::EntryFailureCause;
use crate::field;

/// Whether the guest will use PAE paging, with EPT or without.
fn uses_pae(v: &View<'_>) -> Result<bool, Missing> {
    both(
        v.ia32e_guest().map(|ia32e| !ia32e),
        both(v.get(field::GUEST_CR0).map(|cr0| cr0.pg()), v.get(field::GUEST_CR4).map(|cr4| cr4.pae())),
    )
}

/// Bits 8:5 and 2:1 of an entry that is present.
const RESERVED: u64 = 0x1e6;

/// Whether an entry that is present has no reserved bit.
fn is_valid(v: &View<'_>, entry: u64) -> Result<bool, Missing> {
    if entry & 1 == 0 {
        return Ok(true);
    }
    Ok(entry & RESERVED == 0 && (entry & !0xfff == 0 || entry & v.beyond_physical()? == 0))
}

/// Whether all four entries are valid. A broken one counts also where another is not known.
fn are_valid(v: &View<'_>, entries: [Result<u64, Missing>; 4]) -> Result<bool, Missing> {
    let mut missing = None;
    for entry in entries {
        match entry.and_then(|entry| is_valid(v, entry)) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(unknown) => missing = missing.or(Some(unknown)),
        }
    }
    missing.map_or(Ok(true), Err)
}

/// In the order of the manual.
pub(super) const RULES: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::PDPTE_LOADING);
    section PAGE_DIRECTORIES;
    "VMX-GUEST-PDPTE", ["guest-pdpte-01"],
        [
            field::GUEST_PDPTE0, field::GUEST_PDPTE1, field::GUEST_PDPTE2, field::GUEST_PDPTE3, field::GUEST_CR0,
            field::GUEST_CR4, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS, field::ENTRY_CONTROLS,
        ],
        "bits 2:1, 8:5 and those beyond the physical-address width of each PDPTE field that is present must be 0 with \
         PAE paging and EPT",
        |v| when(both(v.has_ept(), uses_pae(v)), || {
            let entries = [field::GUEST_PDPTE0, field::GUEST_PDPTE1, field::GUEST_PDPTE2, field::GUEST_PDPTE3];
            are_valid(v, entries.map(|entry| v.get(entry)))
        });
    "VMX-GUEST-PDPTE-MEMORY", ["guest-pdpte-02"],
        [
            field::GUEST_CR3, field::GUEST_CR0, field::GUEST_CR4, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS,
            field::ENTRY_CONTROLS,
        ],
        "bits 2:1, 8:5 and those beyond the physical-address width of each PDPTE in memory that is present must be 0 \
         with PAE paging and without EPT",
        |v| when(both(v.has_ept().map(|ept| !ept), uses_pae(v)), || {
            let table = v.get(field::GUEST_CR3)? & 0xffff_ffe0;
            are_valid(v, [table, table | 8, table | 16, table | 24].map(|address| v.memory(address)))
        });
};
