//! Rules of the host state.

use super::msr;
use super::rule::{Rule, RuleClass, Section};
use super::view::{
    Missing, Outcome, Verdict, View, both, must, must_be, must_be_zero, sign_extends, when, when_settled,
};
use crate::capability::CapabilityMsr;
use crate::control::{ExitControls, SecondaryExitControls};
use crate::field::{self, Field, FieldValue, Sensitive};

/// In the order of the manual.
pub(super) const GROUPS: &[&[Rule]] = &[REGISTERS, SHADOW_STACKS, SPEC_CTRL, FRED, SEGMENTS, ADDRESS_SPACE];

const REGISTERS_SECTION: Section =
    Section { number: "29.2.2", title: "Checks on Host Control Registers, MSRs, and SSP" };

const SEGMENTS_SECTION: Section =
    Section { number: "29.2.3", title: "Checks on Host Segment and Descriptor-Table Registers" };

const ADDRESS_SPACE_SECTION: Section = Section { number: "29.2.4", title: "Checks Related to Address-Space Size" };

/// Whether exits load what `control` stands for.
fn loads(v: &View<'_>, control: ExitControls) -> Result<bool, Missing> {
    v.exit().map(|word| word.contains(control))
}

fn loads_fred(v: &View<'_>) -> Result<bool, Missing> {
    v.secondary_exit().map(|word| word.contains(SecondaryExitControls::LOAD_FRED))
}

fn is_canonical<T: FieldValue>(v: &View<'_>, field: Field<T, Sensitive>) -> Outcome {
    must(v.raw(field.encoding()).and_then(|address| v.are_canonical(&[address])))
}

/// Control registers and MSRs.
const REGISTERS: &[Rule] = rules! {
    class RuleClass::HostState;
    section REGISTERS_SECTION;
    "VMX-HOST-CR0-FIXED-0", ["host-cr-msr-01"], [field::HOST_CR0],
        "every bit of CR0 must be 1 that IA32_VMX_CR0_FIXED0 requires, but for NW and CD",
        |v| {
            let fixed = v.capability(CapabilityMsr::IA32_VMX_CR0_FIXED0)? & !msr::CR0_UNCHECKED;
            must_be(v, field::HOST_CR0, fixed, fixed)
        };
    "VMX-HOST-CR0-FIXED-1", ["host-cr-msr-02"], [field::HOST_CR0],
        "every bit of CR0 must be 0 that IA32_VMX_CR0_FIXED1 does not allow, but for NW and CD",
        |v| {
            let fixed = v.capability(CapabilityMsr::IA32_VMX_CR0_FIXED1)? | msr::CR0_UNCHECKED;
            must_be_zero(v, field::HOST_CR0, !fixed)
        };
    @not_checked "VMX-HOST-CR0-CACHE-ANY", ["host-cr-msr-24"], [field::HOST_CR0],
        "CR0.NW and CR0.CD are not checked",
        |_| Ok(Verdict::Holds);
    "VMX-HOST-CR4-FIXED-0", ["host-cr-msr-04"], [field::HOST_CR4],
        "every bit of CR4 must be 1 that IA32_VMX_CR4_FIXED0 requires",
        |v| {
            let fixed = v.capability(CapabilityMsr::IA32_VMX_CR4_FIXED0)?;
            must_be(v, field::HOST_CR4, fixed, fixed)
        };
    "VMX-HOST-CR4-FIXED-1", ["host-cr-msr-05"], [field::HOST_CR4],
        "every bit of CR4 must be 0 that IA32_VMX_CR4_FIXED1 does not allow",
        |v| must_be_zero(v, field::HOST_CR4, !v.capability(CapabilityMsr::IA32_VMX_CR4_FIXED1)?);
    "VMX-HOST-CR4-CET", ["host-cr-msr-06"], [field::HOST_CR4, field::HOST_CR0],
        "CR0.WP must be 1 if CR4.CET is",
        |v| when(v.get(field::HOST_CR4).map(|cr4| cr4.cet()), || Ok(v.get(field::HOST_CR0)?.wp()));
    "VMX-HOST-CR3", ["host-cr-msr-03"], [field::HOST_CR3],
        "CR3 must have no bit beyond the physical-address width, but for those of linear-address masking",
        |v| must(v.get(field::HOST_CR3).and_then(|cr3| msr::is_cr3(v, cr3)));
    "VMX-HOST-SYSENTER-ESP", ["host-cr-msr-07"], [field::HOST_IA32_SYSENTER_ESP],
        "IA32_SYSENTER_ESP must be canonical",
        |v| is_canonical(v, field::HOST_IA32_SYSENTER_ESP);
    "VMX-HOST-SYSENTER-EIP", ["host-cr-msr-08"], [field::HOST_IA32_SYSENTER_EIP],
        "IA32_SYSENTER_EIP must be canonical",
        |v| is_canonical(v, field::HOST_IA32_SYSENTER_EIP);
    "VMX-HOST-PERF-GLOBAL-CTRL", ["host-cr-msr-09"], [field::HOST_IA32_PERF_GLOBAL_CTRL, field::EXIT_CONTROLS],
        "IA32_PERF_GLOBAL_CTRL must have no reserved bit if exits load it",
        |v| when(loads(v, ExitControls::LOAD_IA32_PERF_GLOBAL_CTRL), || {
            msr::PERF_GLOBAL_CTRL.takes(v.get(field::HOST_IA32_PERF_GLOBAL_CTRL)?, v.entry.perf_global_ctrl_bits)
        });
    "VMX-HOST-PAT", ["host-cr-msr-10"], [field::HOST_IA32_PAT, field::EXIT_CONTROLS],
        "each byte of IA32_PAT must be 0, 1, 4, 5, 6 or 7 if exits load it",
        |v| when(loads(v, ExitControls::LOAD_IA32_PAT), || v.get(field::HOST_IA32_PAT).map(msr::is_pat));
    "VMX-HOST-EFER-RESERVED", ["host-cr-msr-11"], [field::HOST_IA32_EFER, field::EXIT_CONTROLS],
        "IA32_EFER must have no bit but SCE, LME, LMA and NXE if exits load it",
        |v| when_settled(
            loads(v, ExitControls::LOAD_IA32_EFER),
            || must_be_zero(v, field::HOST_IA32_EFER, msr::EFER_RESERVED),
        );
    "VMX-HOST-EFER-LMA", ["host-cr-msr-12"], [field::HOST_IA32_EFER, field::EXIT_CONTROLS],
        "IA32_EFER.LMA must equal host address-space size if exits load IA32_EFER",
        |v| when(
            loads(v, ExitControls::LOAD_IA32_EFER),
            || Ok(v.get(field::HOST_IA32_EFER)?.lma() == v.host_64()?),
        );
    "VMX-HOST-EFER-LME", ["host-cr-msr-13"], [field::HOST_IA32_EFER, field::EXIT_CONTROLS],
        "IA32_EFER.LME must equal host address-space size if exits load IA32_EFER",
        |v| when(
            loads(v, ExitControls::LOAD_IA32_EFER),
            || Ok(v.get(field::HOST_IA32_EFER)?.lme() == v.host_64()?),
        );
};

/// Shadow stacks and protection keys.
const SHADOW_STACKS: &[Rule] = rules! {
    class RuleClass::HostState;
    section REGISTERS_SECTION;
    "VMX-HOST-S-CET-ADDRESS", ["host-cr-msr-14"], [field::HOST_IA32_S_CET, field::EXIT_CONTROLS],
        "IA32_S_CET must be canonical if exits load CET state to a 64-bit host",
        |v| when_settled(
            both(loads(v, ExitControls::LOAD_CET_STATE), v.host_64()),
            || is_canonical(v, field::HOST_IA32_S_CET),
        );
    "VMX-HOST-S-CET-RESERVED", ["host-cr-msr-15"], [field::HOST_IA32_S_CET, field::EXIT_CONTROLS],
        "bits 9:6 of IA32_S_CET must be 0, and bits 11:10 not both 1, if exits load CET state",
        |v| when(loads(v, ExitControls::LOAD_CET_STATE), || v.raw(field::HOST_IA32_S_CET.encoding()).map(msr::is_s_cet));
    "VMX-HOST-SSP-ADDRESS", ["host-cr-msr-16"], [field::HOST_SSP, field::EXIT_CONTROLS],
        "SSP must be canonical if exits load CET state to a 64-bit host",
        |v| when_settled(
            both(loads(v, ExitControls::LOAD_CET_STATE), v.host_64()),
            || is_canonical(v, field::HOST_SSP),
        );
    "VMX-HOST-SSP-ALIGNMENT", ["host-cr-msr-17"], [field::HOST_SSP, field::EXIT_CONTROLS],
        "bits 1:0 of SSP must be 0 if exits load CET state",
        |v| when_settled(loads(v, ExitControls::LOAD_CET_STATE), || must_be_zero(v, field::HOST_SSP, 3));
    "VMX-HOST-SSP-TABLE", ["host-cr-msr-18"], [field::HOST_IA32_INTERRUPT_SSP_TABLE_ADDR, field::EXIT_CONTROLS],
        "IA32_INTERRUPT_SSP_TABLE_ADDR must be canonical if exits load CET state",
        |v| when_settled(
            loads(v, ExitControls::LOAD_CET_STATE),
            || is_canonical(v, field::HOST_IA32_INTERRUPT_SSP_TABLE_ADDR),
        );
    "VMX-HOST-PKRS", ["host-cr-msr-19"], [field::HOST_IA32_PKRS, field::EXIT_CONTROLS],
        "bits 63:32 of IA32_PKRS must be 0 if exits load it",
        |v| when_settled(loads(v, ExitControls::LOAD_PKRS), || must_be_zero(v, field::HOST_IA32_PKRS, !0xffff_ffff));
};

#[cfg(not(feature = "provisional"))]
const SPEC_CTRL: &[Rule] = &[];

#[cfg(feature = "provisional")]
const SPEC_CTRL: &[Rule] = rules! {
    class RuleClass::HostState;
    section REGISTERS_SECTION;
    @provisional "VMX-HOST-SPEC-CTRL", ["host-cr-msr-20"],
        [field::HOST_IA32_SPEC_CTRL, field::SECONDARY_EXIT_CONTROLS, field::EXIT_CONTROLS],
        "IA32_SPEC_CTRL must have no reserved bit if exits load it",
        |v| when(
            v.secondary_exit().map(|word| word.contains(SecondaryExitControls::LOAD_IA32_SPEC_CTRL)),
            || msr::SPEC_CTRL.takes(v.raw(field::HOST_IA32_SPEC_CTRL.encoding())?, v.entry.spec_ctrl_bits),
        );
};

/// FRED.
const FRED: &[Rule] = rules! {
    class RuleClass::HostState;
    section REGISTERS_SECTION;
    "VMX-HOST-FRED-CONFIG", ["host-cr-msr-21"],
        [field::HOST_IA32_FRED_CONFIG, field::SECONDARY_EXIT_CONTROLS, field::EXIT_CONTROLS],
        "bits 2, 5:4 and 11 of IA32_FRED_CONFIG must be 0 and its address canonical if exits load FRED",
        |v| when(loads_fred(v), || msr::is_fred_config(v, v.raw(field::HOST_IA32_FRED_CONFIG.encoding())?));
    "VMX-HOST-FRED-RSP", ["host-cr-msr-22"],
        [
            field::HOST_IA32_FRED_RSP1, field::HOST_IA32_FRED_RSP2, field::HOST_IA32_FRED_RSP3,
            field::SECONDARY_EXIT_CONTROLS, field::EXIT_CONTROLS,
        ],
        "IA32_FRED_RSP1, RSP2 and RSP3 must be canonical multiples of 64 if exits load FRED",
        |v| when(loads_fred(v), || {
            let stacks = [
                v.get(field::HOST_IA32_FRED_RSP1)?,
                v.get(field::HOST_IA32_FRED_RSP2)?,
                v.get(field::HOST_IA32_FRED_RSP3)?,
            ];
            msr::are_stacks(v, &stacks, 64)
        });
    "VMX-HOST-FRED-SSP", ["host-cr-msr-23"],
        [
            field::HOST_IA32_FRED_SSP1, field::HOST_IA32_FRED_SSP2, field::HOST_IA32_FRED_SSP3,
            field::SECONDARY_EXIT_CONTROLS, field::EXIT_CONTROLS,
        ],
        "IA32_FRED_SSP1, SSP2 and SSP3 must be canonical multiples of 8 if exits load FRED",
        |v| when(loads_fred(v), || {
            let stacks = [
                v.get(field::HOST_IA32_FRED_SSP1)?,
                v.get(field::HOST_IA32_FRED_SSP2)?,
                v.get(field::HOST_IA32_FRED_SSP3)?,
            ];
            msr::are_stacks(v, &stacks, 8)
        });
};

/// Selectors and bases: one rule for each register.
macro_rules! per_register {
    (
        selectors { $($selector_name:literal $selector_row:literal $selector:ident;)* }
        present { $($present_name:literal $present_row:literal $present:ident;)* }
        bases { $($base_name:literal $base_row:literal $base:ident;)* }
    ) => {
        rules! {
            class RuleClass::HostState;
            section SEGMENTS_SECTION;
            $(concat!("VMX-HOST-", $selector_name, "-SELECTOR"), [$selector_row], [field::$selector],
                concat!("RPL and TI of the selector of ", $selector_name, " must be 0"),
                |v| must_be_zero(v, field::$selector, 7);)*
            $(concat!("VMX-HOST-", $present_name, "-NULL"), [$present_row], [field::$present],
                concat!("the selector of ", $present_name, " must not be 0"),
                |v| must(v.get(field::$present).map(|selector| selector != 0));)*
            "VMX-HOST-SS-NULL", ["host-seg-10"], [field::HOST_SS_SELECTOR, field::EXIT_CONTROLS],
                "the selector of SS must not be 0 if the host is not in 64-bit mode",
                |v| when(v.host_64().map(|is_64| !is_64), || Ok(v.get(field::HOST_SS_SELECTOR)? != 0));
            $(concat!("VMX-HOST-", $base_name, "-BASE"), [$base_row], [field::$base],
                concat!("the base of ", $base_name, " must be canonical"),
                |v| is_canonical(v, field::$base);)*
        }
    };
}

/// Segment registers and descriptor tables.
const SEGMENTS: &[Rule] = per_register! {
    selectors {
        "ES" "host-seg-01" HOST_ES_SELECTOR;
        "CS" "host-seg-02" HOST_CS_SELECTOR;
        "SS" "host-seg-03" HOST_SS_SELECTOR;
        "DS" "host-seg-04" HOST_DS_SELECTOR;
        "FS" "host-seg-05" HOST_FS_SELECTOR;
        "GS" "host-seg-06" HOST_GS_SELECTOR;
        "TR" "host-seg-07" HOST_TR_SELECTOR;
    }
    present {
        "CS" "host-seg-08" HOST_CS_SELECTOR;
        "TR" "host-seg-09" HOST_TR_SELECTOR;
    }
    bases {
        "FS" "host-seg-11" HOST_FS_BASE;
        "GS" "host-seg-12" HOST_GS_BASE;
        "GDTR" "host-seg-13" HOST_GDTR_BASE;
        "IDTR" "host-seg-14" HOST_IDTR_BASE;
        "TR" "host-seg-15" HOST_TR_BASE;
    }
};

fn host_32(v: &View<'_>) -> Result<bool, Missing> {
    v.host_64().map(|is_64| !is_64)
}

/// Modes of host and guest that go together.
const ADDRESS_SPACE: &[Rule] = rules! {
    class RuleClass::HostState;
    section ADDRESS_SPACE_SECTION;
    "VMX-HOST-MODE-NO-INTEL-64", ["host-addr-size-11"], [field::EXIT_CONTROLS, field::ENTRY_CONTROLS],
        "host address-space size and IA-32e mode guest must be 0 on a processor without Intel 64",
        |v| when(Ok(!v.entry.intel_64), || Ok(!v.host_64()? && !v.ia32e_guest()?));
    "VMX-HOST-MODE-IA32E", ["host-addr-size-01"], [field::EXIT_CONTROLS],
        "host address-space size must be 1 if the processor is in IA-32e mode",
        |v| when(Ok(v.entry.intel_64 && v.entry.is_ia32e), || v.host_64());
    "VMX-HOST-MODE-32", ["host-addr-size-02"], [field::EXIT_CONTROLS, field::ENTRY_CONTROLS],
        "host address-space size and IA-32e mode guest must be 0 if the processor is not in IA-32e mode",
        |v| when(Ok(v.entry.intel_64 && !v.entry.is_ia32e), || Ok(!v.host_64()? && !v.ia32e_guest()?));
    "VMX-HOST-MODE-GUEST", ["host-addr-size-03"], [field::ENTRY_CONTROLS, field::EXIT_CONTROLS],
        "IA-32e mode guest must be 0 if host address-space size is",
        |v| when(host_32(v).map(|is_32| is_32 && v.entry.intel_64), || Ok(!v.ia32e_guest()?));
    "VMX-HOST-MODE-PCIDE", ["host-addr-size-04"], [field::HOST_CR4, field::EXIT_CONTROLS],
        "CR4.PCIDE must be 0 if host address-space size is",
        |v| when(host_32(v), || Ok(!v.get(field::HOST_CR4)?.pcide()));
    "VMX-HOST-MODE-RIP-32", ["host-addr-size-05"], [field::HOST_RIP, field::EXIT_CONTROLS],
        "bits 63:32 of RIP must be 0 if host address-space size is",
        |v| when(host_32(v), || Ok(v.get(field::HOST_RIP)? >> 32 == 0));
    @provisional "VMX-HOST-MODE-FRED", ["host-addr-size-08"], [field::HOST_CR4, field::EXIT_CONTROLS],
        "CR4.FRED must be 0 if host address-space size is",
        |v| when(host_32(v), || Ok(!v.get(field::HOST_CR4)?.fred()));
    @provisional "VMX-HOST-MODE-S-CET", ["host-addr-size-09"], [field::HOST_IA32_S_CET, field::EXIT_CONTROLS],
        "bits 63:32 of IA32_S_CET must be 0 if host address-space size is and exits load CET state",
        |v| when(
            both(host_32(v), loads(v, ExitControls::LOAD_CET_STATE)),
            || Ok(v.raw(field::HOST_IA32_S_CET.encoding())? >> 32 == 0),
        );
    @provisional "VMX-HOST-MODE-SSP", ["host-addr-size-10"], [field::HOST_SSP, field::EXIT_CONTROLS],
        "bits 63:32 of SSP must be 0 if host address-space size is and exits load CET state",
        |v| when(
            both(host_32(v), loads(v, ExitControls::LOAD_CET_STATE)),
            || Ok(v.get(field::HOST_SSP)? >> 32 == 0),
        );
    "VMX-HOST-MODE-PAE", ["host-addr-size-06"], [field::HOST_CR4, field::EXIT_CONTROLS],
        "CR4.PAE must be 1 if host address-space size is",
        |v| when(v.host_64(), || Ok(v.get(field::HOST_CR4)?.pae()));
    "VMX-HOST-MODE-RIP-64", ["host-addr-size-07"], [field::HOST_RIP, field::EXIT_CONTROLS, field::HOST_CR4],
        "RIP must be canonical for CR4.LA57 if host address-space size is 1",
        |v| when(v.host_64(), || {
            let rip = v.get(field::HOST_RIP)?;
            Ok(sign_extends(rip, 48)
                || sign_extends(rip, 57) && v.get(field::HOST_CR4)?.la57())
        });
};
