//! Rules of VMLAUNCH and VMRESUME themselves, and of executive VMCSs.

use super::entry::{EntryInstruction, ProcessorMode};
use super::rule::{InstructionFailure, Rule, RuleClass, Section};
use super::view::{Missing, View, both, must, when};
use crate::control::EntryControls;
use crate::field;
use crate::instruction_error::{InstructionError, VmFail};

/// In the order of the manual.
pub(super) const GROUPS: &[&[Rule]] = &[OPERATION, NON_ROOT, PRIVILEGE, CURRENT_VMCS, MOV_SS, NOT_CLEAR, NOT_LAUNCHED];

/// Rules of entries that return from system-management mode, which come behind those of controls.
pub(super) const EXECUTIVE_GROUPS: &[&[Rule]] =
    &[EXECUTIVE_POINTER, EXECUTIVE_LAUNCHED, EXECUTIVE_VMXON, EXECUTIVE_CONTROLS];

const BASIC: Section = Section { number: "29.1", title: "Basic VM-Entry Checks" };

const INSTRUCTIONS: Section = Section { number: "33.3", title: "VMX Instructions" };

const RETURN_FROM_SMM: Section = Section { number: "34.15.4", title: "VM Entries that Return from SMM" };

const fn valid(error: InstructionError) -> RuleClass {
    RuleClass::Instruction(InstructionFailure::Fail(VmFail::Valid(error)))
}

const OPERATION: &[Rule] = rules! {
    class RuleClass::Instruction(InstructionFailure::InvalidOpcode);
    section INSTRUCTIONS;
    "VMX-INSN-OPERATION", ["insn-level-08"], [],
        "the processor must be in VMX operation",
        |v| must(Ok(v.entry.mode != ProcessorMode::OutsideVmx));
    "VMX-INSN-MODE", ["insn-level-07"], [],
        "the processor must be in protected mode or 64-bit mode, not in real, virtual-8086 or compatibility mode",
        |v| must(Ok(v.entry.mode != ProcessorMode::Legacy));
};

const NON_ROOT: &[Rule] = rules! {
    class RuleClass::Instruction(InstructionFailure::VmExit);
    section INSTRUCTIONS;
    "VMX-INSN-ROOT", ["insn-level-08"], [],
        "the processor must be in VMX root operation",
        |v| must(Ok(v.entry.mode != ProcessorMode::NonRoot));
};

const PRIVILEGE: &[Rule] = rules! {
    class RuleClass::Instruction(InstructionFailure::GeneralProtection);
    section BASIC;
    "VMX-INSN-CPL", ["insn-level-06"], [],
        "the privilege level must be 0",
        |v| must(Ok(v.entry.privilege_level == 0));
};

const CURRENT_VMCS: &[Rule] = rules! {
    class RuleClass::Instruction(InstructionFailure::Fail(VmFail::Invalid));
    section BASIC;
    "VMX-INSN-CURRENT-VMCS", ["insn-level-05"], [],
        "there must be a current VMCS",
        |v| must(Ok(v.entry.has_current_vmcs));
    "VMX-INSN-SHADOW-VMCS", ["insn-level-04"], [],
        "the current VMCS must be no shadow VMCS",
        |v| must(Ok(!v.entry.is_shadow_vmcs));
};

const MOV_SS: &[Rule] = rules! {
    class valid(InstructionError::EVENTS_BLOCKED_BY_MOV_SS);
    section BASIC;
    "VMX-INSN-MOV-SS", ["insn-level-03"], [],
        "events must not be blocked by MOV SS",
        |v| must(Ok(!v.entry.blocking_by_mov_ss));
};

const NOT_CLEAR: &[Rule] = rules! {
    class valid(InstructionError::VMLAUNCH_NOT_CLEAR);
    section BASIC;
    "VMX-INSN-VMLAUNCH", ["insn-level-01"], [],
        "the launch state of the VMCS must be clear for VMLAUNCH",
        |v| launch_state(v, EntryInstruction::Vmlaunch, false);
};

const NOT_LAUNCHED: &[Rule] = rules! {
    class valid(InstructionError::VMRESUME_NOT_LAUNCHED);
    section BASIC;
    "VMX-INSN-VMRESUME", ["insn-level-02"], [],
        "the launch state of the VMCS must be launched for VMRESUME",
        |v| launch_state(v, EntryInstruction::Vmresume, true);
};

fn launch_state(v: &View<'_>, instruction: EntryInstruction, is_launched: bool) -> super::view::Outcome {
    // What is not given is as the other requires.
    must(Ok(v.entry.instruction != Some(instruction) || v.entry.is_launched.is_none_or(|state| state == is_launched)))
}

/// Whether the entry returns from system-management mode with or without the end of dual-monitor treatment.
fn returns(v: &View<'_>, deactivates: bool) -> Result<bool, Missing> {
    if !v.entry.in_smm {
        return Ok(false);
    }
    let controls = v.entry_controls()?;
    Ok(!controls.contains(EntryControls::ENTRY_TO_SMM)
        && controls.contains(EntryControls::DEACTIVATE_DUAL_MONITOR_TREATMENT) == deactivates)
}

fn is_vmxon_pointer(v: &View<'_>) -> Result<bool, Missing> {
    let vmxon = v.entry.vmxon_pointer.ok_or(Missing::Fact("the VMXON pointer"))?;
    Ok(v.get(field::EXECUTIVE_VMCS_POINTER)? == vmxon)
}

const EXECUTIVE_POINTER: &[Rule] = rules! {
    class RuleClass::ReturnFromSmm(InstructionError::INVALID_EXECUTIVE_VMCS);
    section RETURN_FROM_SMM;
    "VMX-SMM-EXECUTIVE-POINTER", ["insn-level-09"], [field::EXECUTIVE_VMCS_POINTER, field::ENTRY_CONTROLS],
        "the executive-VMCS pointer must be a multiple of 4096 inside the physical-address width, of a region with the \
         processor's VMCS revision identifier, if the entry returns from system-management mode",
        |v| when(if v.entry.in_smm { v.returns_from_smm() } else { Ok(false) }, || {
            let pointer = v.get(field::EXECUTIVE_VMCS_POINTER)?.get();
            if pointer & 0xfff != 0 || pointer & v.beyond_structures()? != 0 {
                return Ok(false);
            }
            let [a, b, c, d, ..] = v.memory(pointer)?.to_le_bytes();
            Ok(u32::from_le_bytes([a, b, c, d]) == v.basic()?.revision())
        });
};

const EXECUTIVE_LAUNCHED: &[Rule] = rules! {
    class RuleClass::ReturnFromSmm(InstructionError::EXECUTIVE_VMCS_NOT_LAUNCHED);
    section RETURN_FROM_SMM;
    "VMX-SMM-EXECUTIVE-LAUNCHED", ["insn-level-10"], [field::EXECUTIVE_VMCS_POINTER, field::ENTRY_CONTROLS],
        "the executive VMCS must be launched if the entry returns from system-management mode to VMX non-root \
         operation and does not deactivate dual-monitor treatment",
        |v| when(both(returns(v, false), is_vmxon_pointer(v).map(|is_vmxon| !is_vmxon)), || {
            v.entry.executive_is_launched.ok_or(Missing::Fact("the launch state of the executive VMCS"))
        });
};

const EXECUTIVE_VMXON: &[Rule] = rules! {
    class RuleClass::ReturnFromSmm(InstructionError::EXECUTIVE_VMCS_NOT_VMXON_POINTER);
    section RETURN_FROM_SMM;
    "VMX-SMM-EXECUTIVE-VMXON", ["insn-level-11"], [field::EXECUTIVE_VMCS_POINTER, field::ENTRY_CONTROLS],
        "the executive-VMCS pointer must be the VMXON pointer if the entry deactivates dual-monitor treatment",
        |v| when(returns(v, true), || is_vmxon_pointer(v));
};

const EXECUTIVE_CONTROLS: &[Rule] = rules! {
    class RuleClass::ReturnFromSmm(InstructionError::INVALID_EXECUTION_CONTROLS_OUTSIDE_SMM);
    section RETURN_FROM_SMM;
    "VMX-SMM-EXECUTIVE-CONTROLS", ["insn-level-12"], [field::EXECUTIVE_VMCS_POINTER, field::ENTRY_CONTROLS],
        "the VM-execution controls in the executive VMCS, not those in the current VMCS, must be valid if the entry \
         returns from system-management mode to VMX non-root operation",
        |v| {
            let returns = if v.entry.in_smm { v.returns_from_smm() } else { Ok(false) };
            when(both(returns, is_vmxon_pointer(v).map(|is_vmxon| !is_vmxon)), || {
                let fact = "whether the VM-execution controls in the executive VMCS are valid";
                v.entry.executive_controls_are_valid.ok_or(Missing::Fact(fact))
            })
        };
};
