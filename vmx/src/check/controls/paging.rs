//! Rules of extended page tables and of what needs them.

use super::{EXECUTION, address};
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, Verdict, View, must_be_zero, when, when_settled};
use crate::control::{SecondaryControls, TertiaryControls, VmFunctionControls};
use crate::field;

fn secondary(v: &View<'_>, control: SecondaryControls) -> Result<bool, Missing> {
    v.secondary().map(|word| word.contains(control))
}

fn tertiary(v: &View<'_>, control: TertiaryControls) -> Result<bool, Missing> {
    v.tertiary().map(|word| word.contains(control))
}

/// The EPT pointer, and secondary controls that need EPT.
pub(super) const EPT: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    "VMX-CTL-EPTP-MEMORY-TYPE", ["ctl-exec-28"],
        [field::EPT_POINTER, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the memory type of the EPTP must be 0 (UC) or 6 (WB), and one that IA32_VMX_EPT_VPID_CAP reports",
        |v| when(v.has_ept(), || {
            let memory_type = v.get(field::EPT_POINTER)?.memory_type_encoding();
            Ok(match memory_type {
                0 => v.ept_capabilities()?.tables_uncacheable(),
                6 => v.ept_capabilities()?.tables_write_back(),
                _ => false,
            })
        });
    "VMX-CTL-EPTP-WALK-LENGTH", ["ctl-exec-29"],
        [field::EPT_POINTER, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the page-walk length of the EPTP must be 4 or 5, and one that IA32_VMX_EPT_VPID_CAP reports",
        |v| when(v.has_ept(), || {
            let levels = v.get(field::EPT_POINTER)?.levels();
            Ok(match levels {
                4 => v.ept_capabilities()?.page_walk_length_4(),
                5 => v.ept_capabilities()?.page_walk_length_5(),
                _ => false,
            })
        });
    "VMX-CTL-EPTP-ACCESSED-DIRTY", ["ctl-exec-30"],
        [field::EPT_POINTER, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "bit 6 of the EPTP must be 0 if the processor has no accessed and dirty flags for EPT",
        |v| when_settled(
            v.has_ept().and_then(|ept| Ok(ept && v.get(field::EPT_POINTER)?.accessed_dirty())),
            || {
                let has_flags = v.ept_capabilities()?.accessed_dirty();
                if has_flags { Ok(Verdict::Holds) } else { must_be_zero(v, field::EPT_POINTER, 1 << 6) }
            },
        );
    "VMX-CTL-EPTP-RESERVED", ["ctl-exec-31"], [field::EPT_POINTER, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "bits 11:8 of the EPTP must be 0, and bit 7 if the processor has no supervisor shadow-stack control in EPT",
        |v| when_settled(v.has_ept(), || {
            let eptp = v.get(field::EPT_POINTER)?;
            let without_shadow_stack =
                eptp.supervisor_shadow_stack() && !v.ept_capabilities()?.supervisor_shadow_stack();
            must_be_zero(v, field::EPT_POINTER, if without_shadow_stack { 0xf80 } else { 0xf00 })
        });
    "VMX-CTL-EPTP-WIDTH", ["ctl-exec-32"], [field::EPT_POINTER, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the EPTP must have no bit beyond the physical-address width",
        |v| when(v.has_ept(), || {
            let eptp = v.get(field::EPT_POINTER)?.into_bits();
            Ok(eptp & !0xfff == 0 || eptp & v.beyond_physical()? == 0)
        });
    "VMX-CTL-PML-EPT", ["ctl-exec-33"], [field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled with page-modification logging",
        |v| when(secondary(v, SecondaryControls::ENABLE_PML), || v.has_ept());
    "VMX-CTL-PML-ADDRESS", ["ctl-exec-34"], [field::PML_ADDRESS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the address of the page-modification log must be a multiple of 4096 inside the physical-address width if it \
         is enabled",
        |v| address(v, secondary(v, SecondaryControls::ENABLE_PML), field::PML_ADDRESS, 4096);
    "VMX-CTL-UNRESTRICTED-EPT", ["ctl-exec-35"], [field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled for an unrestricted guest",
        |v| when(secondary(v, SecondaryControls::UNRESTRICTED_GUEST), || v.has_ept());
    "VMX-CTL-MODE-BASED-EPT", ["ctl-exec-36"], [field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled with mode-based execute control",
        |v| when(secondary(v, SecondaryControls::MODE_BASED_EXECUTE_CONTROL), || v.has_ept());
    "VMX-CTL-SPP-EPT", ["ctl-exec-37"], [field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled with sub-page write permissions",
        |v| when(secondary(v, SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS), || v.has_ept());
    "VMX-CTL-SPP-TABLE", ["ctl-exec-38"],
        [field::SUB_PAGE_PERMISSION_TABLE_POINTER, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the SPPTP must be a multiple of 4096 inside the physical-address width with sub-page write permissions",
        |v| address(
            v,
            secondary(v, SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS),
            field::SUB_PAGE_PERMISSION_TABLE_POINTER,
            4096,
        );
};

fn eptp_switching(v: &View<'_>) -> Result<bool, Missing> {
    v.vm_functions().map(|word| word.contains(VmFunctionControls::EPTP_SWITCHING))
}

/// EPTP switching.
pub(super) const EPTP_LIST: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    "VMX-CTL-EPTP-SWITCHING-EPT", ["ctl-exec-39"],
        [field::VM_FUNCTION_CONTROLS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled with EPTP switching",
        |v| when(eptp_switching(v), || v.has_ept());
    "VMX-CTL-EPTP-LIST", ["ctl-exec-40"],
        [field::EPTP_LIST_ADDRESS, field::VM_FUNCTION_CONTROLS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the address of the EPTP list must be a multiple of 4096 inside the physical-address width with EPTP switching",
        |v| address(v, eptp_switching(v), field::EPTP_LIST_ADDRESS, 4096);
};

/// Tertiary controls that need EPT.
pub(super) const TERTIARY: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    @provisional "VMX-CTL-HLAT-EPT", ["ctl-exec-46"],
        [field::TERTIARY_CONTROLS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled with HLAT",
        |v| when(tertiary(v, TertiaryControls::ENABLE_HLAT), || v.has_ept());
    @provisional "VMX-CTL-HLAT-POINTER", ["ctl-exec-46"],
        [field::HLAT_POINTER, field::TERTIARY_CONTROLS, field::PRIMARY_CONTROLS],
        "bits 2:0 and 11:5 of the HLATP must be 0, and those beyond the physical-address width, with HLAT",
        |v| when(tertiary(v, TertiaryControls::ENABLE_HLAT), || {
            let pointer = v.raw(field::HLAT_POINTER.encoding())?;
            Ok(pointer & 0xfe7 == 0 && (pointer & !0xfff == 0 || pointer & v.beyond_physical()? == 0))
        });
    @not_checked "VMX-CTL-HLAT-PREFIX-ANY", ["ctl-exec-47"], [field::HLAT_PREFIX_SIZE],
        "the HLAT prefix size is not checked",
        |_| Ok(Verdict::Holds);
    @provisional "VMX-CTL-PAGING-WRITE-EPT", ["ctl-exec-52"],
        [field::TERTIARY_CONTROLS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled with EPT paging-write control",
        |v| when(tertiary(v, TertiaryControls::EPT_PAGING_WRITE_CONTROL), || v.has_ept());
    @provisional "VMX-CTL-PAGING-VERIFICATION-EPT", ["ctl-exec-52"],
        [field::TERTIARY_CONTROLS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled with guest-paging verification",
        |v| when(tertiary(v, TertiaryControls::GUEST_PAGING_VERIFICATION), || v.has_ept());
    @provisional "VMX-CTL-PEBS-EPT", ["ctl-exec-59"],
        [field::TERTIARY_CONTROLS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "EPT must be enabled if PEBS uses guest-physical addresses",
        |v| when(tertiary(v, TertiaryControls::PEBS_USES_GUEST_PHYSICAL_ADDRESSES), || v.has_ept());
};
