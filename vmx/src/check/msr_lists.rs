//! Rules of the MSRs that an entry loads.

use super::rule::{Rule, RuleClass, Section};
use super::view::{Missing, Outcome, Verdict, View};
use crate::field;
use crate::memory::{InvalidMsrArea, MsrAreaEntry};

/// In the order of the manual.
pub(super) const GROUPS: &[&[Rule]] = &[RULES];

const SECTION: Section = Section { number: "29.4", title: "Loading MSRs" };

/// How many entries are looked at: the most that any processor recommends. What more do is unpredictable.
const MAXIMUM: u32 = 4096;

/// Looks for the first entry that `is_refused`.
fn first(v: &View<'_>, is_refused: impl Fn(&View<'_>, MsrAreaEntry) -> Result<bool, Missing>) -> Outcome {
    let count = v.get(field::ENTRY_MSR_LOAD_COUNT)?;
    if count == 0 {
        return Ok(Verdict::Holds);
    }
    let area = v.get(field::ENTRY_MSR_LOAD_ADDRESS)?.get() & !(MsrAreaEntry::BYTES - 1);
    for number in 1..=count.min(MAXIMUM) {
        let address = area.wrapping_add(u64::from(number - 1) * MsrAreaEntry::BYTES);
        let [a, b, c, d, e, f, g, h] = v.memory(address)?.to_le_bytes();
        let entry = MsrAreaEntry {
            index: u32::from_le_bytes([a, b, c, d]),
            reserved: u32::from_le_bytes([e, f, g, h]),
            value: v.memory(address | 8)?,
        };
        if is_refused(v, entry)? {
            return Ok(Verdict::Item(number));
        }
    }
    if count > MAXIMUM {
        Err(Missing::Fact("what entries of the MSR-load area do beyond 4096"))
    } else {
        Ok(Verdict::Holds)
    }
}

/// IA32_SMM_MONITOR_CTL, which can be written in system-management mode only.
const SMM_MONITOR_CTL: u32 = 0x9b;

const RULES: &[Rule] = rules! {
    class RuleClass::MsrLoading;
    section SECTION;
    "VMX-MSR-LOAD-BASE", ["msr-list-02"], [field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT],
        "no entry of the VM-entry MSR-load area must be for IA32_FS_BASE or IA32_GS_BASE",
        |v| first(v, |_, entry| Ok(matches!(entry.check_load(), Err(InvalidMsrArea::Base { .. }))));
    "VMX-MSR-LOAD-X2APIC", ["msr-list-03"], [field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT],
        "bits 31:8 of the index of no entry of the VM-entry MSR-load area must be 000008H, whatever the mode of the \
         APIC",
        |v| first(v, |_, entry| Ok(entry.index >> 8 == 8));
    "VMX-MSR-LOAD-SMM", ["msr-list-04", "msr-list-07"], [field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT],
        "no entry of the VM-entry MSR-load area must be for an MSR that can be written in system-management mode \
         only, unless the VM entry happens there",
        |v| first(v, |v, entry| Ok(entry.index == SMM_MONITOR_CTL && !v.entry.in_smm));
    "VMX-MSR-LOAD-MODEL", ["msr-list-04", "msr-list-08"], [field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT],
        "no entry of the VM-entry MSR-load area must be for an MSR that the model cannot load at VM entries",
        |v| first(v, |v, entry| match v.entry.machine.and_then(|machine| machine.can_load_msr(entry.index)) {
            Some(can_load) => Ok(!can_load),
            None => Err(Missing::Fact("which MSRs the model can load at VM entries")),
        });
    "VMX-MSR-LOAD-RESERVED", ["msr-list-01"], [field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT],
        "bits 63:32 of each entry of the VM-entry MSR-load area must be 0",
        |v| first(v, |_, entry| Ok(entry.reserved != 0));
    "VMX-MSR-LOAD-VALUE", ["msr-list-05"], [field::ENTRY_MSR_LOAD_ADDRESS, field::ENTRY_MSR_LOAD_COUNT],
        "WRMSR must take the value of each entry of the VM-entry MSR-load area for its MSR",
        |v| first(v, |v, entry| {
            match v.entry.machine.and_then(|machine| machine.accepts_msr(entry.index, entry.value)) {
                Some(accepts) => Ok(!accepts),
                None => Err(Missing::Fact("which values WRMSR takes")),
            }
        });
    @not_checked "VMX-MSR-LOAD-COUNT-ANY", ["msr-list-06"], [field::ENTRY_MSR_LOAD_COUNT],
        "the count of the VM-entry MSR-load area is not checked; the processor may do anything if it exceeds 512 \
         times (bits 27:25 of IA32_VMX_MISC, plus 1)",
        |_| Ok(Verdict::Holds);
};
