//! Rules of APIC virtualization.

use super::{EXECUTION, address};
use crate::check::rule::{Rule, RuleClass};
use crate::check::view::{Missing, Outcome, Verdict, View, must_be_zero, when, when_settled};
use crate::control::{ExitControls, PinControls, PrimaryControls, SecondaryControls, TertiaryControls};
use crate::field;

/// Offset of the virtual task-priority register (VTPR) in the virtual-APIC page.
const VTPR: u64 = 0x80;

/// Whether the TPR threshold counts: with a TPR shadow, without virtual-interrupt delivery.
fn has_threshold(v: &View<'_>) -> Result<bool, Missing> {
    Ok(v.primary()?.contains(PrimaryControls::USE_TPR_SHADOW)
        && !v.secondary()?.contains(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY))
}

/// Bits 3:0 of the TPR threshold against bits 7:4 of VTPR.
fn threshold(v: &View<'_>) -> Outcome {
    let is_compared = has_threshold(v)
        .and_then(|has| Ok(has && !v.secondary()?.contains(SecondaryControls::VIRTUALIZE_APIC_ACCESSES)));
    when(is_compared, || {
        let threshold = u64::from(v.get(field::TPR_THRESHOLD)? & 0xf);
        if threshold == 0 {
            return Ok(true);
        }
        let page = v.get(field::VIRTUAL_APIC_ADDRESS)?.get() & !0xfff;
        Ok(threshold <= v.memory(page | VTPR)? >> 4 & 0xf)
    })
}

/// The virtual-APIC page and the TPR threshold.
pub(super) const PAGE: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    "VMX-CTL-VIRTUAL-APIC-PAGE", ["ctl-exec-15"], [field::VIRTUAL_APIC_ADDRESS, field::PRIMARY_CONTROLS],
        "the address of the virtual-APIC page must be a multiple of 4096 inside the physical-address width with a TPR \
         shadow",
        |v| address(
            v,
            v.primary().map(|word| word.contains(PrimaryControls::USE_TPR_SHADOW)),
            field::VIRTUAL_APIC_ADDRESS,
            4096,
        );
    "VMX-CTL-TPR-THRESHOLD-RESERVED", ["ctl-exec-16"],
        [field::TPR_THRESHOLD, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "bits 31:4 of the TPR threshold must be 0 with a TPR shadow and without virtual-interrupt delivery",
        |v| when_settled(has_threshold(v), || must_be_zero(v, field::TPR_THRESHOLD, !0xf));
    "VMX-CTL-TPR-THRESHOLD", ["ctl-exec-17"],
        [field::TPR_THRESHOLD, field::VIRTUAL_APIC_ADDRESS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "bits 3:0 of the TPR threshold must not exceed bits 7:4 of VTPR in the virtual-APIC page with a TPR shadow, \
         without virtualization of APIC accesses and without virtual-interrupt delivery",
        threshold;
};

/// Interrupts, and which controls of the APIC go together.
pub(super) const INTERRUPTS: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    "VMX-CTL-APIC-ACCESS-PAGE", ["ctl-exec-19"],
        [field::APIC_ACCESS_ADDRESS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the address of the APIC-access page must be a multiple of 4096 inside the physical-address width with \
         virtualization of APIC accesses",
        |v| address(
            v,
            v.secondary().map(|word| word.contains(SecondaryControls::VIRTUALIZE_APIC_ACCESSES)),
            field::APIC_ACCESS_ADDRESS,
            4096,
        );
    "VMX-CTL-WITHOUT-TPR-SHADOW", ["ctl-exec-18"],
        [field::SECONDARY_CONTROLS, field::TERTIARY_CONTROLS, field::PRIMARY_CONTROLS],
        "virtualization of x2APIC mode, of APIC registers and of IPIs, and virtual-interrupt delivery, must be 0 \
         without a TPR shadow",
        |v| when(v.primary().map(|word| !word.contains(PrimaryControls::USE_TPR_SHADOW)), || {
            let secondary = v.secondary()?;
            Ok(!secondary.contains(SecondaryControls::VIRTUALIZE_X2APIC_MODE)
                && !secondary.contains(SecondaryControls::APIC_REGISTER_VIRTUALIZATION)
                && !secondary.contains(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY)
                && !v.tertiary()?.contains(TertiaryControls::IPI_VIRTUALIZATION))
        });
    "VMX-CTL-X2APIC", ["ctl-exec-20"], [field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "virtualization of APIC accesses must be 0 with virtualization of x2APIC mode",
        |v| when(
            v.secondary().map(|word| word.contains(SecondaryControls::VIRTUALIZE_X2APIC_MODE)),
            || Ok(!v.secondary()?.contains(SecondaryControls::VIRTUALIZE_APIC_ACCESSES)),
        );
    "VMX-CTL-VIRTUAL-INTERRUPTS", ["ctl-exec-21"],
        [field::SECONDARY_CONTROLS, field::PIN_CONTROLS, field::PRIMARY_CONTROLS],
        "external-interrupt exiting must be 1 with virtual-interrupt delivery",
        |v| when(
            v.secondary().map(|word| word.contains(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY)),
            || Ok(v.pin()?.contains(PinControls::EXTERNAL_INTERRUPT_EXITING)),
        );
    "VMX-CTL-POSTED-DELIVERY", ["ctl-exec-22"],
        [field::PIN_CONTROLS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "virtual-interrupt delivery must be 1 if posted interrupts are processed",
        |v| when(posted(v), || Ok(v.secondary()?.contains(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY)));
    "VMX-CTL-POSTED-ACKNOWLEDGE", ["ctl-exec-23"], [field::PIN_CONTROLS, field::EXIT_CONTROLS],
        "acknowledge interrupt on exit must be 1 if posted interrupts are processed",
        |v| when(posted(v), || Ok(v.exit()?.contains(ExitControls::ACKNOWLEDGE_INTERRUPT_ON_EXIT)));
    "VMX-CTL-POSTED-VECTOR", ["ctl-exec-24"], [field::POSTED_INTERRUPT_NOTIFICATION_VECTOR, field::PIN_CONTROLS],
        "bits 15:8 of the posted-interrupt notification vector must be 0 if posted interrupts are processed",
        |v| when_settled(posted(v), || must_be_zero(v, field::POSTED_INTERRUPT_NOTIFICATION_VECTOR, 0xff00));
    "VMX-CTL-POSTED-ALIGNMENT", ["ctl-exec-25"], [field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, field::PIN_CONTROLS],
        "bits 5:0 of the address of the posted-interrupt descriptor must be 0 if posted interrupts are processed",
        |v| when(posted(v), || Ok(v.get(field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS)?.get() & 0x3f == 0));
    "VMX-CTL-POSTED-WIDTH", ["ctl-exec-26"], [field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, field::PIN_CONTROLS],
        "the address of the posted-interrupt descriptor must be inside the physical-address width if posted \
         interrupts are processed",
        |v| when(posted(v), || {
            let address = v.get(field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS)?.get();
            Ok(address == 0 || address & v.beyond_structures()? == 0)
        });
};

fn posted(v: &View<'_>) -> Result<bool, Missing> {
    v.pin().map(|word| word.contains(PinControls::PROCESS_POSTED_INTERRUPTS))
}

fn timer(v: &View<'_>) -> Result<bool, Missing> {
    v.tertiary().map(|word| word.contains(TertiaryControls::APIC_TIMER_VIRTUALIZATION))
}

/// IPI virtualization and the virtual timer.
pub(super) const TERTIARY: &[Rule] = rules! {
    class RuleClass::Controls;
    section EXECUTION;
    "VMX-CTL-IPI-TABLE", ["ctl-exec-50"],
        [field::PID_POINTER_TABLE_ADDRESS, field::TERTIARY_CONTROLS, field::PRIMARY_CONTROLS],
        "the address of the table of PID pointers must be a multiple of 8 inside the physical-address width with IPI \
         virtualization",
        |v| address(
            v,
            v.tertiary().map(|word| word.contains(TertiaryControls::IPI_VIRTUALIZATION)),
            field::PID_POINTER_TABLE_ADDRESS,
            8,
        );
    @provisional "VMX-CTL-IPI-TABLE-END", ["ctl-exec-51"],
        [
            field::LAST_PID_POINTER_INDEX, field::PID_POINTER_TABLE_ADDRESS, field::TERTIARY_CONTROLS,
            field::PRIMARY_CONTROLS,
        ],
        "the last entry of the table of PID pointers must be inside the physical-address width with IPI virtualization",
        |v| when(v.tertiary().map(|word| word.contains(TertiaryControls::IPI_VIRTUALIZATION)), || {
            let bytes = u64::from(v.get(field::LAST_PID_POINTER_INDEX)?) * 8;
            let last = v.get(field::PID_POINTER_TABLE_ADDRESS)?.get().checked_add(bytes);
            let beyond = v.beyond_structures()?;
            Ok(last.is_some_and(|last| last & beyond == 0))
        });
    @provisional "VMX-CTL-TIMER-VECTOR", ["ctl-exec-54"],
        [field::VIRTUAL_TIMER_VECTOR, field::TERTIARY_CONTROLS, field::PRIMARY_CONTROLS],
        "bits 15:8 of the virtual-timer vector must be 0 with APIC-timer virtualization",
        |v| when_settled(timer(v), || must_be_zero(v, field::VIRTUAL_TIMER_VECTOR, 0xff00));
    "VMX-CTL-TIMER-DELIVERY", ["ctl-exec-61"],
        [field::TERTIARY_CONTROLS, field::SECONDARY_CONTROLS, field::PRIMARY_CONTROLS],
        "virtual-interrupt delivery must be 1 with APIC-timer virtualization",
        |v| when(timer(v), || Ok(v.secondary()?.contains(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY)));
    @provisional "VMX-CTL-TIMER-RDTSC", ["ctl-exec-62"], [field::TERTIARY_CONTROLS, field::PRIMARY_CONTROLS],
        "RDTSC exiting must be 0 with APIC-timer virtualization",
        |v| when(timer(v), || Ok(!v.primary()?.contains(PrimaryControls::RDTSC_EXITING)));
    @not_checked "VMX-CTL-TIMER-VECTOR-ANY", ["ctl-exec-54"], [field::VIRTUAL_TIMER_VECTOR],
        "the virtual-timer vector may be any from 0 to 255, also below 16",
        |_| Ok(Verdict::Holds);
};
