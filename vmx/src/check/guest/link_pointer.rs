//! Rules of the VMCS link pointer.

use super::NON_REGISTER;
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, View, both, when};
use crate::control::{EntryControls, SecondaryControls};
use crate::exit::EntryFailureCause;
use crate::field;
use crate::memory::RegionRevision;

/// Whether there is a link pointer: not all bits are 1.
fn exists(v: &View<'_>) -> Result<bool, Missing> {
    v.get(field::VMCS_LINK_POINTER).map(|pointer| pointer.get() != u64::MAX)
}

/// The first four bytes of the region that the pointer refers to.
fn header(v: &View<'_>) -> Result<RegionRevision, Missing> {
    let address = v.get(field::VMCS_LINK_POINTER)?.get() & !0xfff;
    let [a, b, c, d, ..] = v.memory(address)?.to_le_bytes();
    Ok(RegionRevision::from_bits(u32::from_le_bytes([a, b, c, d])))
}

/// Whether the entry leaves system-management mode, so that the executive VMCS stays in use and not the current one.
fn leaves_smm(v: &View<'_>) -> Result<bool, Missing> {
    both(Ok(v.entry.in_smm), v.entry_controls().map(|word| !word.contains(EntryControls::ENTRY_TO_SMM)))
}

/// In the order of the manual.
pub(super) const RULES: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::VMCS_LINK_POINTER);
    section NON_REGISTER;
    "VMX-GUEST-LINK-ADDRESS", ["guest-link-01"], [field::VMCS_LINK_POINTER],
        "the VMCS link pointer must have all bits 1, or be a multiple of 4096 inside the physical-address width",
        |v| when(exists(v), || {
            let pointer = v.get(field::VMCS_LINK_POINTER)?.get();
            Ok(pointer & 0xfff == 0 && (pointer == 0 || pointer & v.beyond_structures()? == 0))
        });
    "VMX-GUEST-LINK-REVISION", ["guest-link-02"], [field::VMCS_LINK_POINTER],
        "the VMCS link pointer must refer to a region with the processor's VMCS revision identifier",
        |v| when(exists(v), || Ok(header(v)?.revision_identifier() == v.basic()?.revision()));
    "VMX-GUEST-LINK-SHADOW", ["guest-link-03"],
        [field::VMCS_LINK_POINTER, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the VMCS link pointer must refer to a shadow VMCS just if VMCS shadowing is 1",
        |v| when(exists(v), || {
            Ok(header(v)?.shadow_vmcs_indicator() == v.secondary()?.contains(SecondaryControls::VMCS_SHADOWING))
        });
    "VMX-GUEST-LINK-CURRENT", ["guest-link-04"], [field::VMCS_LINK_POINTER, field::ENTRY_CONTROLS],
        "the VMCS link pointer must not be the current-VMCS pointer, outside of system-management mode or if the \
         entry is to it",
        |v| when(both(exists(v), leaves_smm(v).map(|leaves| !leaves)), || {
            let current = v.entry.current_vmcs.ok_or(Missing::Fact("the current-VMCS pointer"))?;
            Ok(v.get(field::VMCS_LINK_POINTER)? != current)
        });
    "VMX-GUEST-LINK-EXECUTIVE", ["guest-link-05"],
        [field::VMCS_LINK_POINTER, field::EXECUTIVE_VMCS_POINTER, field::ENTRY_CONTROLS],
        "the VMCS link pointer must not be the executive-VMCS pointer if the entry returns from system-management mode",
        |v| when(both(exists(v), leaves_smm(v)), || {
            Ok(v.get(field::VMCS_LINK_POINTER)? != v.get(field::EXECUTIVE_VMCS_POINTER)?)
        });
};
