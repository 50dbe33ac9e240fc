//! Rules of the guest's descriptor tables, RIP, RFLAGS and SSP.

use x86_virt_core::SegmentRegister;

use super::segments::rights;
use super::{RIP_AND_RFLAGS as RIP_AND_RFLAGS_SECTION, TABLES};
use crate::check::controls::injects;
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, View, both, must, must_be, must_be_zero, when, when_settled};
use crate::control::EntryControls;
use crate::event::EventType;
use crate::exit::EntryFailureCause;
use crate::field;

/// GDTR and IDTR.
pub(super) const DESCRIPTOR_TABLES: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section TABLES;
    "VMX-GUEST-GDTR-BASE", ["guest-dt-01"], [field::GUEST_GDTR_BASE],
        "the base of GDTR must be canonical",
        |v| must(v.get(field::GUEST_GDTR_BASE).and_then(|base| v.are_canonical(&[base])));
    "VMX-GUEST-IDTR-BASE", ["guest-dt-03"], [field::GUEST_IDTR_BASE],
        "the base of IDTR must be canonical",
        |v| must(v.get(field::GUEST_IDTR_BASE).and_then(|base| v.are_canonical(&[base])));
    "VMX-GUEST-GDTR-LIMIT", ["guest-dt-02"], [field::GUEST_GDTR_LIMIT],
        "bits 31:16 of the limit of GDTR must be 0",
        |v| must_be_zero(v, field::GUEST_GDTR_LIMIT, 0xffff_0000);
    "VMX-GUEST-IDTR-LIMIT", ["guest-dt-04"], [field::GUEST_IDTR_LIMIT],
        "bits 31:16 of the limit of IDTR must be 0",
        |v| must_be_zero(v, field::GUEST_IDTR_LIMIT, 0xffff_0000);
};

/// Whether the guest will execute 64-bit code.
fn is_64_bit(v: &View<'_>) -> Result<bool, Missing> {
    both(v.ia32e_guest(), rights(v, SegmentRegister::Cs).map(|cs| cs.long()))
}

fn loads_cet(v: &View<'_>) -> Result<bool, Missing> {
    v.entry_controls().map(|word| word.contains(EntryControls::LOAD_CET_STATE))
}

/// Bits of RFLAGS that are reserved and 0: 63:22, 15, 5 and 3.
const RFLAGS_RESERVED: u64 = !0x3f_7fd7;

/// RIP, RFLAGS and SSP.
pub(super) const RIP_AND_RFLAGS: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section RIP_AND_RFLAGS_SECTION;
    "VMX-GUEST-RIP-32", ["guest-rip-rflags-01"],
        [field::GUEST_RIP, field::ENTRY_CONTROLS, field::GUEST_CS_ACCESS_RIGHTS],
        "bits 63:32 of RIP must be 0 if the guest is not in IA-32e mode or L of CS is 0",
        |v| when_settled(
            is_64_bit(v).map(|is_64_bit| !is_64_bit),
            || must_be_zero(v, field::GUEST_RIP, !0xffff_ffff),
        );
    "VMX-GUEST-RIP-64", ["guest-rip-rflags-02"],
        [field::GUEST_RIP, field::GUEST_CS_ACCESS_RIGHTS, field::ENTRY_CONTROLS],
        "bits of RIP from the width of linear addresses on must be alike if the guest executes 64-bit code",
        |v| when(is_64_bit(v), || v.has_equal_high_bits(v.get(field::GUEST_RIP)?));
    "VMX-GUEST-RFLAGS-RESERVED", ["guest-rip-rflags-03"], [field::GUEST_RFLAGS],
        "bits 63:22, 15, 5 and 3 of RFLAGS must be 0",
        |v| must_be_zero(v, field::GUEST_RFLAGS, RFLAGS_RESERVED);
    "VMX-GUEST-RFLAGS-ONE", ["guest-rip-rflags-04"], [field::GUEST_RFLAGS],
        "bit 1 of RFLAGS must be 1",
        |v| must_be(v, field::GUEST_RFLAGS, 2, 2);
    "VMX-GUEST-RFLAGS-VM", ["guest-rip-rflags-05"],
        [field::GUEST_RFLAGS, field::ENTRY_CONTROLS, field::GUEST_CR0],
        "RFLAGS.VM must be 0 if the guest is in IA-32e mode or CR0.PE is 0",
        |v| when(
            v.get(field::GUEST_RFLAGS).map(|rflags| rflags.vm()),
            || Ok(!v.ia32e_guest()? && v.get(field::GUEST_CR0)?.pe()),
        );
    "VMX-GUEST-RFLAGS-IF", ["guest-rip-rflags-06"], [field::GUEST_RFLAGS, field::ENTRY_INTERRUPTION_INFORMATION],
        "RFLAGS.IF must be 1 if the entry injects an external interrupt",
        |v| when_settled(
            injects(v, EventType::EXTERNAL_INTERRUPT),
            || must_be(v, field::GUEST_RFLAGS, 1 << 9, 1 << 9),
        );
    "VMX-GUEST-SSP-ADDRESS", ["guest-rip-rflags-07", "guest-cr-msr-30"], [field::GUEST_SSP, field::ENTRY_CONTROLS],
        "bits of SSP from the width of linear addresses on must be alike if the entry loads CET state",
        |v| when(loads_cet(v), || v.has_equal_high_bits(v.get(field::GUEST_SSP)?));
    "VMX-GUEST-SSP-ALIGNMENT", ["guest-cr-msr-31"], [field::GUEST_SSP, field::ENTRY_CONTROLS],
        "bits 1:0 of SSP must be 0 if the entry loads CET state",
        |v| when_settled(loads_cet(v), || must_be_zero(v, field::GUEST_SSP, 3));
};
