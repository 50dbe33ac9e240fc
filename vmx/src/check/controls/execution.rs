//! Rules of VM-execution controls that have no file of their own.

use super::{EXECUTION, address};
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, Verdict, must, when, when_settled};
use crate::control::{EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls};
use crate::field;

/// CR3 targets, and the bitmaps of ports and MSRs.
pub(super) const BITMAPS: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    "VMX-CTL-CR3-TARGET-COUNT", ["ctl-exec-09"], [field::CR3_TARGET_COUNT],
        "the CR3-target count must not exceed bits 24:16 of IA32_VMX_MISC",
        |v| must(v.get(field::CR3_TARGET_COUNT).and_then(|count| {
            Ok(count == 0 || count <= u32::from(v.misc()?.cr3_target_count()))
        }));
    "VMX-CTL-IO-BITMAP-A", ["ctl-exec-10"], [field::IO_BITMAP_A, field::PRIMARY_CONTROLS],
        "the address of I/O bitmap A must be a multiple of 4096 inside the physical-address width if I/O bitmaps are \
         used",
        |v| address(
            v,
            v.primary().map(|word| word.contains(PrimaryControls::USE_IO_BITMAPS)),
            field::IO_BITMAP_A,
            4096,
        );
    "VMX-CTL-IO-BITMAP-B", ["ctl-exec-11"], [field::IO_BITMAP_B, field::PRIMARY_CONTROLS],
        "the address of I/O bitmap B must be a multiple of 4096 inside the physical-address width if I/O bitmaps are \
         used",
        |v| address(
            v,
            v.primary().map(|word| word.contains(PrimaryControls::USE_IO_BITMAPS)),
            field::IO_BITMAP_B,
            4096,
        );
    "VMX-CTL-MSR-BITMAPS", ["ctl-exec-12"], [field::MSR_BITMAPS, field::PRIMARY_CONTROLS],
        "the address of the MSR bitmaps must be a multiple of 4096 inside the physical-address width if they are used",
        |v| address(
            v,
            v.primary().map(|word| word.contains(PrimaryControls::USE_MSR_BITMAPS)),
            field::MSR_BITMAPS,
            4096,
        );
    @premise "VMX-CTL-ADDRESS-WIDTH", ["ctl-exec-67"], [],
        "addresses have as many bits as CPUID reports, less the key-identifier bits of TME outside of SEAM, and those \
         of VMX structures at most 32 if bit 48 of IA32_VMX_BASIC is 1",
        |_| Ok(Verdict::Holds);
};

/// Non-maskable interrupts.
pub(super) const NMIS: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    "VMX-CTL-VIRTUAL-NMIS", ["ctl-exec-13"], [field::PIN_CONTROLS],
        "NMI exiting must be 1 if virtual NMIs is",
        |v| must(v.pin().map(|word| {
            !word.contains(PinControls::VIRTUAL_NMIS) || word.contains(PinControls::NMI_EXITING)
        }));
    "VMX-CTL-NMI-WINDOW", ["ctl-exec-14"], [field::PRIMARY_CONTROLS, field::PIN_CONTROLS],
        "virtual NMIs must be 1 if NMI-window exiting is",
        |v| when(
            v.primary().map(|word| word.contains(PrimaryControls::NMI_WINDOW_EXITING)),
            || Ok(v.pin()?.contains(PinControls::VIRTUAL_NMIS)),
        );
};

/// Virtual-processor identifiers.
pub(super) const VPID: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    "VMX-CTL-VPID", ["ctl-exec-27"], [field::VIRTUAL_PROCESSOR_ID, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the VPID must not be 0 if VPIDs are enabled",
        |v| when(
            v.secondary().map(|word| word.contains(SecondaryControls::ENABLE_VPID)),
            || Ok(v.get(field::VIRTUAL_PROCESSOR_ID)? != 0),
        );
};

/// What the manual lists behind VM functions.
pub(super) const LATER: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    "VMX-CTL-VMREAD-BITMAP", ["ctl-exec-41"],
        [field::VMREAD_BITMAP_ADDRESS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the address of the VMREAD bitmap must be a multiple of 4096 inside the physical-address width with VMCS \
         shadowing",
        |v| address(
            v,
            v.secondary().map(|word| word.contains(SecondaryControls::VMCS_SHADOWING)),
            field::VMREAD_BITMAP_ADDRESS,
            4096,
        );
    "VMX-CTL-VMWRITE-BITMAP", ["ctl-exec-42"],
        [field::VMWRITE_BITMAP_ADDRESS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the address of the VMWRITE bitmap must be a multiple of 4096 inside the physical-address width with VMCS \
         shadowing",
        |v| address(
            v,
            v.secondary().map(|word| word.contains(SecondaryControls::VMCS_SHADOWING)),
            field::VMWRITE_BITMAP_ADDRESS,
            4096,
        );
    "VMX-CTL-VE-INFORMATION", ["ctl-exec-43"],
        [field::VIRTUALIZATION_EXCEPTION_ADDRESS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the address of the virtualization-exception information must be a multiple of 4096 inside the \
         physical-address width with EPT-violation #VE",
        |v| address(
            v,
            v.secondary().map(|word| word.contains(SecondaryControls::EPT_VIOLATION_VE)),
            field::VIRTUALIZATION_EXCEPTION_ADDRESS,
            4096,
        );
    @provisional "VMX-CTL-TRACE-AT-ENTRY", ["ctl-exec-60"], [field::ENTRY_CONTROLS],
        "load IA32_RTIT_CTL must be 0 if the entry happens while IA32_RTIT_CTL.TraceEn is 1",
        |v| when_settled(
            v.entry_controls().map(|word| word.contains(EntryControls::LOAD_IA32_RTIT_CTL)),
            || match v.entry.is_tracing {
                Some(is_tracing) => must(Ok(!is_tracing)),
                None => Err(Missing::Fact("IA32_RTIT_CTL.TraceEn at the entry")),
            },
        );
    @provisional "VMX-CTL-PT-GUEST-PHYSICAL", ["ctl-exec-45"],
        [field::SECONDARY_CONTROLS, field::ENTRY_CONTROLS, field::EXIT_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT, load IA32_RTIT_CTL at entries and clear IA32_RTIT_CTL at exits must be 1 if processor tracing uses \
         guest-physical addresses",
        |v| when(
            v.secondary().map(|word| word.contains(SecondaryControls::PT_USES_GUEST_PHYSICAL_ADDRESSES)),
            || {
                Ok(v.has_ept()?
                    && v.entry_controls()?.contains(EntryControls::LOAD_IA32_RTIT_CTL)
                    && v.exit()?.contains(ExitControls::CLEAR_IA32_RTIT_CTL))
            },
        );
    "VMX-CTL-TSC-MULTIPLIER", ["ctl-exec-44"],
        [field::TSC_MULTIPLIER, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the TSC multiplier must not be 0 if TSC scaling is used",
        |v| when(
            v.secondary().map(|word| word.contains(SecondaryControls::USE_TSC_SCALING)),
            || Ok(v.get(field::TSC_MULTIPLIER)? != 0),
        );
    @provisional "VMX-CTL-PASID-LOW", ["ctl-exec-48"],
        [field::LOW_PASID_DIRECTORY_ADDRESS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the low PASID directory address must be a multiple of 4096 inside the physical-address width with PASID \
         translation",
        |v| address(
            v,
            v.secondary().map(|word| word.contains(SecondaryControls::PASID_TRANSLATION)),
            field::LOW_PASID_DIRECTORY_ADDRESS,
            4096,
        );
    @provisional "VMX-CTL-PASID-HIGH", ["ctl-exec-49"],
        [field::HIGH_PASID_DIRECTORY_ADDRESS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the high PASID directory address must be a multiple of 4096 inside the physical-address width with PASID \
         translation",
        |v| address(
            v,
            v.secondary().map(|word| word.contains(SecondaryControls::PASID_TRANSLATION)),
            field::HIGH_PASID_DIRECTORY_ADDRESS,
            4096,
        );
};

/// Entries in SEAM.
pub(super) const SEAM: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    @provisional "VMX-CTL-SEAM-EPT", ["ctl-exec-63"], [field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled for an entry in SEAM",
        |v| when(Ok(v.entry.in_seam), || v.has_ept());
    "VMX-CTL-SEAM-SHARED-EPTP", ["ctl-exec-56"], [field::SHARED_EPT_POINTER],
        "the shared EPTP must be a multiple of 4096 inside the physical-address width for an entry in SEAM",
        |v| address(v, Ok(v.entry.in_seam), field::SHARED_EPT_POINTER, 4096);
};

/// What one may expect, and no processor checks.
pub(super) const UNCHECKED: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    @not_checked "VMX-CTL-SPEC-CTRL-ANY", ["ctl-exec-53"], [field::IA32_SPEC_CTRL_MASK, field::IA32_SPEC_CTRL_SHADOW],
        "the mask and the shadow of IA32_SPEC_CTRL are not checked",
        |_| Ok(Verdict::Holds);
    @not_checked "VMX-CTL-NESTED-EXCEPTION-ANY", ["ctl-exec-55"], [field::PRIMARY_CONTROLS],
        "no VM-execution control is checked against nested exceptions or FRED",
        |_| Ok(Verdict::Holds);
    @not_checked "VMX-CTL-MSR-LISTS-ANY", ["ctl-exec-57"], [field::TERTIARY_CONTROLS],
        "enable MSR-list instructions needs no other control",
        |_| Ok(Verdict::Holds);
    @not_checked "VMX-CTL-LEAF-BITMAPS-ANY", ["ctl-exec-58"],
        [field::PCONFIG_EXITING_BITMAP, field::ENCLS_EXITING_BITMAP, field::ENCLV_EXITING_BITMAP],
        "the exiting bitmaps of PCONFIG, ENCLS and ENCLV are not checked",
        |_| Ok(Verdict::Holds);
};
