//! Rules of the guest's control registers, debug registers and MSRs.

use super::REGISTERS;
use crate::capability::CapabilityMsr;
use crate::check::msr;
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, Outcome, Verdict, View, both, must, must_be, must_be_zero, when, when_settled};
use crate::control::EntryControls;
use crate::exit::EntryFailureCause;
use crate::field;

/// Whether the entry loads what `control` stands for.
fn loads(v: &View<'_>, control: EntryControls) -> Result<bool, Missing> {
    v.entry_controls().map(|word| word.contains(control))
}

fn cr0_fixed_0(v: &View<'_>) -> Outcome {
    let fixed = v.capability(CapabilityMsr::IA32_VMX_CR0_FIXED0)? & !msr::CR0_UNCHECKED;
    let missing = fixed & !v.get(field::GUEST_CR0)?.into_bits();
    let checked = if missing & msr::CR0_PE_PG != 0 && v.unrestricted()? { fixed & !msr::CR0_PE_PG } else { fixed };
    must_be(v, field::GUEST_CR0, checked, checked)
}

/// Control registers.
pub(super) const CONTROL: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section REGISTERS;
    "VMX-GUEST-CR0-FIXED-0", ["guest-cr-msr-01"],
        [field::GUEST_CR0, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "every bit of CR0 must be 1 that IA32_VMX_CR0_FIXED0 requires, but for NW and CD, and for PE and PG of an \
         unrestricted guest",
        cr0_fixed_0;
    "VMX-GUEST-CR0-FIXED-1", ["guest-cr-msr-02"], [field::GUEST_CR0],
        "every bit of CR0 must be 0 that IA32_VMX_CR0_FIXED1 does not allow, but for NW and CD",
        |v| {
            let fixed = v.capability(CapabilityMsr::IA32_VMX_CR0_FIXED1)? | msr::CR0_UNCHECKED;
            must_be_zero(v, field::GUEST_CR0, !fixed)
        };
    "VMX-GUEST-CR0-PG", ["guest-cr-msr-03"], [field::GUEST_CR0],
        "CR0.PE must be 1 if CR0.PG is",
        |v| must(v.get(field::GUEST_CR0).map(|cr0| !cr0.pg() || cr0.pe()));
    @not_checked "VMX-GUEST-CR0-CACHE-ANY", ["guest-cr-msr-04"], [field::GUEST_CR0],
        "CR0.NW and CR0.CD are not checked",
        |_| Ok(Verdict::Holds);
    "VMX-GUEST-CR4-FIXED-0", ["guest-cr-msr-05"], [field::GUEST_CR4],
        "every bit of CR4 must be 1 that IA32_VMX_CR4_FIXED0 requires",
        |v| {
            let fixed = v.capability(CapabilityMsr::IA32_VMX_CR4_FIXED0)?;
            must_be(v, field::GUEST_CR4, fixed, fixed)
        };
    "VMX-GUEST-CR4-FIXED-1", ["guest-cr-msr-06"], [field::GUEST_CR4],
        "every bit of CR4 must be 0 that IA32_VMX_CR4_FIXED1 does not allow",
        |v| must_be_zero(v, field::GUEST_CR4, !v.capability(CapabilityMsr::IA32_VMX_CR4_FIXED1)?);
    "VMX-GUEST-CR4-CET", ["guest-cr-msr-07"], [field::GUEST_CR4, field::GUEST_CR0],
        "CR0.WP must be 1 if CR4.CET is",
        |v| when(v.get(field::GUEST_CR4).map(|cr4| cr4.cet()), || Ok(v.get(field::GUEST_CR0)?.wp()));
    "VMX-GUEST-CR4-FRED", ["guest-cr-msr-08"], [field::GUEST_CR4, field::ENTRY_CONTROLS],
        "CR4.FRED must be 0 if the guest is not in IA-32e mode",
        |v| when(v.ia32e_guest().map(|ia32e| !ia32e), || Ok(!v.get(field::GUEST_CR4)?.fred()));
    "VMX-GUEST-DEBUGCTL", ["guest-cr-msr-09"], [field::GUEST_IA32_DEBUGCTL, field::ENTRY_CONTROLS],
        "IA32_DEBUGCTL must have no reserved bit if the entry loads debug controls",
        |v| when(loads(v, EntryControls::LOAD_DEBUG_CONTROLS), || {
            msr::DEBUGCTL.takes(v.raw(field::GUEST_IA32_DEBUGCTL.encoding())?, v.entry.debugctl_bits)
        });
    "VMX-GUEST-IA32E-PG", ["guest-cr-msr-10"], [field::GUEST_CR0, field::ENTRY_CONTROLS],
        "CR0.PG must be 1 if the guest is in IA-32e mode",
        |v| when(v.ia32e_guest(), || Ok(v.get(field::GUEST_CR0)?.pg()));
    "VMX-GUEST-IA32E-PAE", ["guest-cr-msr-11"], [field::GUEST_CR4, field::ENTRY_CONTROLS],
        "CR4.PAE must be 1 if the guest is in IA-32e mode",
        |v| when(v.ia32e_guest(), || Ok(v.get(field::GUEST_CR4)?.pae()));
    "VMX-GUEST-CR4-PCIDE", ["guest-cr-msr-12"], [field::GUEST_CR4, field::ENTRY_CONTROLS],
        "CR4.PCIDE must be 0 if the guest is not in IA-32e mode",
        |v| when(v.ia32e_guest().map(|ia32e| !ia32e), || Ok(!v.get(field::GUEST_CR4)?.pcide()));
    "VMX-GUEST-CR3", ["guest-cr-msr-13"], [field::GUEST_CR3],
        "CR3 must have no bit beyond the physical-address width, but for those of linear-address masking",
        |v| must(v.get(field::GUEST_CR3).and_then(|cr3| msr::is_cr3(v, cr3)));
    "VMX-GUEST-DR7", ["guest-cr-msr-14"], [field::GUEST_DR7, field::ENTRY_CONTROLS],
        "bits 63:32 of DR7 must be 0 if the entry loads debug controls",
        |v| when_settled(
            loads(v, EntryControls::LOAD_DEBUG_CONTROLS),
            || must_be_zero(v, field::GUEST_DR7, !0xffff_ffff),
        );
    "VMX-GUEST-SYSENTER-ESP", ["guest-cr-msr-15"], [field::GUEST_IA32_SYSENTER_ESP],
        "IA32_SYSENTER_ESP must be canonical",
        |v| must(v.get(field::GUEST_IA32_SYSENTER_ESP).and_then(|address| v.are_canonical(&[address])));
    "VMX-GUEST-SYSENTER-EIP", ["guest-cr-msr-16"], [field::GUEST_IA32_SYSENTER_EIP],
        "IA32_SYSENTER_EIP must be canonical",
        |v| must(v.get(field::GUEST_IA32_SYSENTER_EIP).and_then(|address| v.are_canonical(&[address])));
};

/// MSRs that entry controls load.
pub(super) const MSRS: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section REGISTERS;
    "VMX-GUEST-S-CET-ADDRESS", ["guest-cr-msr-28"], [field::GUEST_IA32_S_CET, field::ENTRY_CONTROLS],
        "IA32_S_CET must be canonical if the entry loads CET state",
        |v| when(
            loads(v, EntryControls::LOAD_CET_STATE),
            || v.are_canonical(&[v.raw(field::GUEST_IA32_S_CET.encoding())?]),
        );
    "VMX-GUEST-S-CET-RESERVED", ["guest-cr-msr-29"], [field::GUEST_IA32_S_CET, field::ENTRY_CONTROLS],
        "bits 9:6 of IA32_S_CET must be 0, and bits 11:10 not both 1, if the entry loads CET state",
        |v| when(loads(v, EntryControls::LOAD_CET_STATE), || v.raw(field::GUEST_IA32_S_CET.encoding()).map(msr::is_s_cet));
    "VMX-GUEST-SSP-TABLE", ["guest-cr-msr-32"], [field::GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR, field::ENTRY_CONTROLS],
        "IA32_INTERRUPT_SSP_TABLE_ADDR must be canonical if the entry loads CET state",
        |v| when(
            loads(v, EntryControls::LOAD_CET_STATE),
            || v.are_canonical(&[v.get(field::GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR)?]),
        );
    "VMX-GUEST-PERF-GLOBAL-CTRL", ["guest-cr-msr-17"], [field::GUEST_IA32_PERF_GLOBAL_CTRL, field::ENTRY_CONTROLS],
        "IA32_PERF_GLOBAL_CTRL must have no reserved bit if the entry loads it",
        |v| when(loads(v, EntryControls::LOAD_IA32_PERF_GLOBAL_CTRL), || {
            msr::PERF_GLOBAL_CTRL.takes(v.get(field::GUEST_IA32_PERF_GLOBAL_CTRL)?, v.entry.perf_global_ctrl_bits)
        });
    "VMX-GUEST-PAT", ["guest-cr-msr-18"], [field::GUEST_IA32_PAT, field::ENTRY_CONTROLS],
        "each byte of IA32_PAT must be 0, 1, 4, 5, 6 or 7 if the entry loads it",
        |v| when(loads(v, EntryControls::LOAD_IA32_PAT), || v.get(field::GUEST_IA32_PAT).map(msr::is_pat));
    "VMX-GUEST-EFER-RESERVED", ["guest-cr-msr-19"], [field::GUEST_IA32_EFER, field::ENTRY_CONTROLS],
        "IA32_EFER must have no bit but SCE, LME, LMA and NXE if the entry loads it",
        |v| when_settled(
            loads(v, EntryControls::LOAD_IA32_EFER),
            || must_be_zero(v, field::GUEST_IA32_EFER, msr::EFER_RESERVED),
        );
    "VMX-GUEST-EFER-LMA", ["guest-cr-msr-20"], [field::GUEST_IA32_EFER, field::ENTRY_CONTROLS],
        "IA32_EFER.LMA must equal IA-32e mode guest if the entry loads IA32_EFER",
        |v| when(
            loads(v, EntryControls::LOAD_IA32_EFER),
            || Ok(v.get(field::GUEST_IA32_EFER)?.lma() == v.ia32e_guest()?),
        );
    "VMX-GUEST-EFER-LME", ["guest-cr-msr-21"], [field::GUEST_IA32_EFER, field::GUEST_CR0, field::ENTRY_CONTROLS],
        "IA32_EFER.LMA must equal IA32_EFER.LME if CR0.PG is 1 and the entry loads IA32_EFER",
        |v| when(
            both(loads(v, EntryControls::LOAD_IA32_EFER), v.get(field::GUEST_CR0).map(|cr0| cr0.pg())),
            || v.get(field::GUEST_IA32_EFER).map(|efer| efer.lma() == efer.lme()),
        );
    "VMX-GUEST-BNDCFGS-RESERVED", ["guest-cr-msr-22"], [field::GUEST_IA32_BNDCFGS, field::ENTRY_CONTROLS],
        "bits 11:2 of IA32_BNDCFGS must be 0 if the entry loads it",
        |v| when_settled(
            loads(v, EntryControls::LOAD_IA32_BNDCFGS),
            || must_be_zero(v, field::GUEST_IA32_BNDCFGS, 0xffc),
        );
    "VMX-GUEST-BNDCFGS-ADDRESS", ["guest-cr-msr-23"], [field::GUEST_IA32_BNDCFGS, field::ENTRY_CONTROLS],
        "the address in IA32_BNDCFGS must be canonical if the entry loads it",
        |v| when(
            loads(v, EntryControls::LOAD_IA32_BNDCFGS),
            || v.are_canonical(&[v.raw(field::GUEST_IA32_BNDCFGS.encoding())?]),
        );
    @provisional "VMX-GUEST-RTIT-CTL", ["guest-cr-msr-24"], [field::GUEST_IA32_RTIT_CTL, field::ENTRY_CONTROLS],
        "IA32_RTIT_CTL must have no reserved bit if the entry loads it",
        |v| when(loads(v, EntryControls::LOAD_IA32_RTIT_CTL), || {
            msr::RTIT_CTL.takes(v.raw(field::GUEST_IA32_RTIT_CTL.encoding())?, v.entry.rtit_ctl_bits)
        });
    @provisional "VMX-GUEST-LBR-CTL", ["guest-cr-msr-25"], [field::GUEST_IA32_LBR_CTL, field::ENTRY_CONTROLS],
        "IA32_LBR_CTL must have no reserved bit if the entry loads it",
        |v| when(loads(v, EntryControls::LOAD_IA32_LBR_CTL), || {
            msr::LBR_CTL.takes(v.raw(field::GUEST_IA32_LBR_CTL.encoding())?, v.entry.lbr_ctl_bits)
        });
    "VMX-GUEST-PKRS", ["guest-cr-msr-26"], [field::GUEST_IA32_PKRS, field::ENTRY_CONTROLS],
        "bits 63:32 of IA32_PKRS must be 0 if the entry loads it",
        |v| when_settled(
            loads(v, EntryControls::LOAD_PKRS),
            || must_be_zero(v, field::GUEST_IA32_PKRS, !0xffff_ffff),
        );
    "VMX-GUEST-UINV", ["guest-cr-msr-27"], [field::GUEST_UINV, field::ENTRY_CONTROLS],
        "bits 15:8 of UINV must be 0 if the entry loads it",
        |v| when_settled(loads(v, EntryControls::LOAD_UINV), || must_be_zero(v, field::GUEST_UINV, 0xff00));
};

#[cfg(not(feature = "provisional"))]
pub(super) const SPEC_CTRL: &[Rule] = &[];

#[cfg(feature = "provisional")]
pub(super) const SPEC_CTRL: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section REGISTERS;
    @provisional "VMX-GUEST-SPEC-CTRL", ["guest-cr-msr-33"], [field::GUEST_IA32_SPEC_CTRL, field::ENTRY_CONTROLS],
        "IA32_SPEC_CTRL must have no reserved bit if the entry loads it",
        |v| when(
            loads(v, EntryControls::LOAD_IA32_SPEC_CTRL),
            || msr::SPEC_CTRL.takes(v.raw(field::GUEST_IA32_SPEC_CTRL.encoding())?, v.entry.spec_ctrl_bits),
        );
};

/// FRED.
pub(super) const FRED: &[Rule] = rules! {
    class RuleClass::GuestState(EntryFailureCause::OTHER);
    section REGISTERS;
    "VMX-GUEST-FRED-CONFIG", ["guest-cr-msr-34"], [field::GUEST_IA32_FRED_CONFIG, field::ENTRY_CONTROLS],
        "bits 2, 5:4 and 11 of IA32_FRED_CONFIG must be 0 and its address canonical if the entry loads FRED",
        |v| when(
            loads(v, EntryControls::LOAD_FRED),
            || msr::is_fred_config(v, v.raw(field::GUEST_IA32_FRED_CONFIG.encoding())?),
        );
    "VMX-GUEST-FRED-RSP", ["guest-cr-msr-35"],
        [field::GUEST_IA32_FRED_RSP1, field::GUEST_IA32_FRED_RSP2, field::GUEST_IA32_FRED_RSP3, field::ENTRY_CONTROLS],
        "IA32_FRED_RSP1, RSP2 and RSP3 must be canonical multiples of 64 if the entry loads FRED",
        |v| when(loads(v, EntryControls::LOAD_FRED), || {
            let stacks = [
                v.get(field::GUEST_IA32_FRED_RSP1)?,
                v.get(field::GUEST_IA32_FRED_RSP2)?,
                v.get(field::GUEST_IA32_FRED_RSP3)?,
            ];
            msr::are_stacks(v, &stacks, 64)
        });
    "VMX-GUEST-FRED-SSP", ["guest-cr-msr-36"],
        [field::GUEST_IA32_FRED_SSP1, field::GUEST_IA32_FRED_SSP2, field::GUEST_IA32_FRED_SSP3, field::ENTRY_CONTROLS],
        "IA32_FRED_SSP1, SSP2 and SSP3 must be canonical multiples of 8 if the entry loads FRED",
        |v| when(loads(v, EntryControls::LOAD_FRED), || {
            let stacks = [
                v.get(field::GUEST_IA32_FRED_SSP1)?,
                v.get(field::GUEST_IA32_FRED_SSP2)?,
                v.get(field::GUEST_IA32_FRED_SSP3)?,
            ];
            msr::are_stacks(v, &stacks, 8)
        });
};
