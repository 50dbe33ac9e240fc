//! States that are made on purpose: at least one for each message with which Bochs refuses an entry.

use alloc::vec::Vec;

use x86_virt::vmx::check::{EntryInstruction, Prediction, RULES, check_entry};

use crate::check_vmx::departure::State;
use crate::check_vmx::enter::{Entered, Instruction};
use crate::check_vmx::{Try, happenings, now};
use crate::differential::{Answer, Departures, Edit, Happening, Happenings, Log, Plan, Tally, Trial as _, case};
use crate::harness::{Outcome, ensure_eq, fail};

/// The number of the first of them.
const FIRST: u64 = 1 << 40;

/// Changes of a valid state: a field or a word in memory, what is done with it (`=` set, `^` turn over, `|` and `-` set and clear
/// bits), and a number or one of the regions for a link pointer.
const CASES: &[&str] = &[
    // Controls of the execution.
    "PIN_CONTROLS^0x2",
    "PIN_CONTROLS^0x2000",
    "PRIMARY_CONTROLS^0x2",
    "PRIMARY_CONTROLS^0x1",
    "SECONDARY_CONTROLS|0x80000000",
    "CR3_TARGET_COUNT=0x5",
    "PRIMARY_CONTROLS|0x2000000 IO_BITMAP_A^0x1",
    "PRIMARY_CONTROLS|0x2000000 IO_BITMAP_B^0x800",
    "PRIMARY_CONTROLS|0x10000000 MSR_BITMAPS^0x1",
    "PIN_CONTROLS|0x20 PIN_CONTROLS-0x8",
    "PIN_CONTROLS-0x20 PRIMARY_CONTROLS|0x400000",
    "SECONDARY_CONTROLS|0x4000 VMREAD_BITMAP_ADDRESS^0x1",
    "SECONDARY_CONTROLS|0x4000 VMWRITE_BITMAP_ADDRESS^0x1",
    "SECONDARY_CONTROLS|0x40000 VIRTUALIZATION_EXCEPTION_ADDRESS^0x1",
    "PRIMARY_CONTROLS|0x200000 VIRTUAL_APIC_ADDRESS^0x1",
    "PRIMARY_CONTROLS|0x200000 SECONDARY_CONTROLS|0x200 PIN_CONTROLS-0x1",
    "PRIMARY_CONTROLS|0x200000 SECONDARY_CONTROLS-0x201 TPR_THRESHOLD=0x10",
    "PRIMARY_CONTROLS|0x200000 SECONDARY_CONTROLS-0x201 TPR_THRESHOLD=0x8",
    "PRIMARY_CONTROLS|0x200000 SECONDARY_CONTROLS-0x201 TPR_THRESHOLD=0x9",
    "PRIMARY_CONTROLS-0x200000 SECONDARY_CONTROLS|0x100",
    "SECONDARY_CONTROLS|0x1 SECONDARY_CONTROLS-0x10 APIC_ACCESS_ADDRESS^0x1",
    "PRIMARY_CONTROLS|0x200000 SECONDARY_CONTROLS|0x11",
    "EPT_POINTER^0x1",
    "EPT_POINTER^0x8",
    "EPT_POINTER^0x40",
    "EPT_POINTER^0x80",
    "EPT_POINTER^0x100",
    "EPT_POINTER^0x8000000000000",
    "SECONDARY_CONTROLS-0x822002 SECONDARY_CONTROLS|0x80",
    "SECONDARY_CONTROLS|0x20 VIRTUAL_PROCESSOR_ID=0x0",
    "SECONDARY_CONTROLS|0x2000 VM_FUNCTION_CONTROLS=0x2",
    "SECONDARY_CONTROLS-0x820082 SECONDARY_CONTROLS|0x2000 VM_FUNCTION_CONTROLS=0x1",
    "SECONDARY_CONTROLS|0x2000 VM_FUNCTION_CONTROLS=0x1 EPTP_LIST_ADDRESS^0x1",
    "SECONDARY_CONTROLS-0x802082 SECONDARY_CONTROLS|0x20000",
    "SECONDARY_CONTROLS|0x20000 PML_ADDRESS^0x1",
    "SECONDARY_CONTROLS-0x22082 SECONDARY_CONTROLS|0x800000",
    "SECONDARY_CONTROLS|0x800000 SUB_PAGE_PERMISSION_TABLE_POINTER^0x1",
    "SECONDARY_CONTROLS|0x2000000 TSC_MULTIPLIER=0x0",
    // Controls of exits and entries.
    "EXIT_CONTROLS^0x1",
    "EXIT_CONTROLS^0x80000000",
    "PIN_CONTROLS-0x40 EXIT_CONTROLS|0x400000",
    "EXIT_MSR_STORE_COUNT=0x2 EXIT_MSR_STORE_ADDRESS^0x1",
    "EXIT_MSR_STORE_COUNT=0x2 EXIT_MSR_STORE_ADDRESS=0xfffffffff0",
    "EXIT_MSR_LOAD_COUNT=0x2 EXIT_MSR_LOAD_ADDRESS^0x1",
    "EXIT_MSR_LOAD_COUNT=0x2 EXIT_MSR_LOAD_ADDRESS=0xfffffffff0",
    "ENTRY_CONTROLS^0x1",
    "ENTRY_CONTROLS^0x80000000",
    "ENTRY_CONTROLS|0x800",
    "ENTRY_MSR_LOAD_ADDRESS^0x1",
    "ENTRY_MSR_LOAD_ADDRESS=0xfffffffff0",
    // The injected event.
    "ENTRY_INTERRUPTION_INFORMATION=0x80001306",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000203",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000320",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000480 ENTRY_INSTRUCTION_LENGTH=0x0",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000480 ENTRY_INSTRUCTION_LENGTH=0xf",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000480 ENTRY_INSTRUCTION_LENGTH=0x10",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000700",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000701",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000106",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000b06",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000b0d ENTRY_EXCEPTION_ERROR_CODE=0x8000",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000b0d ENTRY_EXCEPTION_ERROR_CODE=0x10000",
    // The host's state.
    "EXIT_CONTROLS^0x200",
    "HOST_CR0^0x20",
    "HOST_CR0^0x100000000",
    "HOST_CR3^0x10000000000",
    "HOST_CR4^0x2000",
    "HOST_CR4^0x100000000",
    "HOST_CR4-0x20",
    "HOST_ES_SELECTOR^0x1",
    "HOST_CS_SELECTOR=0x0",
    "HOST_TR_SELECTOR=0x0",
    "HOST_TR_SELECTOR^0x4",
    "HOST_TR_BASE^0x800000000000",
    "HOST_FS_BASE^0x800000000000",
    "HOST_GS_BASE^0x800000000000",
    "HOST_GDTR_BASE^0x800000000000",
    "HOST_IDTR_BASE^0x800000000000",
    "HOST_IA32_SYSENTER_ESP^0x800000000000",
    "HOST_IA32_SYSENTER_EIP^0x800000000000",
    "EXIT_CONTROLS|0x80000 HOST_IA32_PAT=0x2",
    "EXIT_CONTROLS|0x10000000 HOST_IA32_S_CET=0x800000000000",
    "EXIT_CONTROLS|0x10000000 HOST_IA32_S_CET=0x40",
    "EXIT_CONTROLS|0x10000000 HOST_IA32_S_CET=0xc00",
    "EXIT_CONTROLS|0x10000000 HOST_SSP=0x800000000000",
    "EXIT_CONTROLS|0x10000000 HOST_SSP=0x1",
    "EXIT_CONTROLS|0x10000000 HOST_IA32_INTERRUPT_SSP_TABLE_ADDR=0x800000000000",
    "EXIT_CONTROLS|0x10000000 HOST_CR4|0x800000 HOST_CR0-0x10000",
    "EXIT_CONTROLS|0x200000 HOST_IA32_EFER^0x2",
    "EXIT_CONTROLS|0x200000 HOST_IA32_EFER^0x400",
    "EXIT_CONTROLS|0x200000 HOST_IA32_EFER^0x100",
    "HOST_RIP^0x800000000000",
    // The guest's registers.
    "GUEST_RFLAGS^0x8",
    "GUEST_RFLAGS^0x2",
    "GUEST_RFLAGS^0x20000",
    "GUEST_CR0^0x20",
    "GUEST_CR0^0x100000000",
    "GUEST_CR0|0x80000000 GUEST_CR0-0x1",
    "GUEST_CR3^0x10000000000",
    "GUEST_CR4^0x2000",
    "GUEST_CR4^0x100000000",
    "GUEST_CR4-0x20",
    "GUEST_CR4|0x20000",
    "GUEST_DR7^0x100000000",
    "GUEST_CR4|0x800000 GUEST_CR0-0x10000",
    "ENTRY_CONTROLS|0x100000 GUEST_IA32_S_CET=0x800000000000",
    "ENTRY_CONTROLS|0x100000 GUEST_IA32_S_CET=0x40",
    "ENTRY_CONTROLS|0x100000 GUEST_IA32_S_CET=0xc00",
    "ENTRY_CONTROLS|0x100000 GUEST_SSP=0x800000000000",
    "ENTRY_CONTROLS|0x100000 GUEST_SSP=0x2000000000000",
    "ENTRY_CONTROLS|0x100000 GUEST_SSP=0x1",
    "ENTRY_CONTROLS|0x100000 GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR=0x800000000000",
    "GUEST_IA32_SYSENTER_ESP^0x800000000000",
    "GUEST_IA32_SYSENTER_EIP^0x800000000000",
    "ENTRY_CONTROLS|0x4000 GUEST_IA32_PAT=0x2",
    "ENTRY_CONTROLS|0x8000 GUEST_IA32_EFER^0x2",
    "ENTRY_CONTROLS|0x8000 GUEST_IA32_EFER^0x400",
    "ENTRY_CONTROLS|0x8000 GUEST_IA32_EFER^0x100",
    "GUEST_RIP|0x100000000",
    "GUEST_RIP|0x800000000000",
    // Segments.
    "GUEST_ES_BASE^0x10",
    "GUEST_ES_LIMIT^0x1",
    "GUEST_ES_ACCESS_RIGHTS^0x1",
    "GUEST_FS_BASE^0x800000000000",
    "GUEST_GS_BASE^0x800000000000",
    "GUEST_DS_BASE^0x100000000",
    "GUEST_DS_ACCESS_RIGHTS^0x10",
    "GUEST_DS_ACCESS_RIGHTS^0x80",
    "GUEST_DS_ACCESS_RIGHTS^0x100",
    "GUEST_DS_LIMIT=0xfff00000 GUEST_DS_ACCESS_RIGHTS|0x8000",
    "GUEST_DS_ACCESS_RIGHTS-0x1",
    "GUEST_DS_ACCESS_RIGHTS-0xf GUEST_DS_ACCESS_RIGHTS|0x9",
    "GUEST_DS_SELECTOR|0x3",
    "GUEST_CS_ACCESS_RIGHTS^0x20",
    "GUEST_CS_ACCESS_RIGHTS|0xd GUEST_CS_ACCESS_RIGHTS^0x20",
    "GUEST_CS_ACCESS_RIGHTS-0xf GUEST_CS_ACCESS_RIGHTS|0x23",
    "GUEST_CS_ACCESS_RIGHTS-0xf",
    "GUEST_CS_ACCESS_RIGHTS|0x6000",
    "GUEST_SS_ACCESS_RIGHTS-0x2",
    "GUEST_SS_SELECTOR^0x1",
    "GUEST_SS_ACCESS_RIGHTS^0x20",
    "GUEST_GDTR_BASE^0x800000000000",
    "GUEST_IDTR_BASE^0x800000000000",
    "GUEST_GDTR_LIMIT|0x10000",
    "GUEST_IDTR_LIMIT|0x10000",
    "GUEST_LDTR_SELECTOR^0x4",
    "GUEST_LDTR_ACCESS_RIGHTS^0x1",
    "GUEST_LDTR_ACCESS_RIGHTS^0x10",
    "GUEST_LDTR_ACCESS_RIGHTS^0x80",
    "GUEST_LDTR_ACCESS_RIGHTS^0x100",
    "GUEST_LDTR_BASE^0x800000000000",
    "GUEST_TR_SELECTOR^0x4",
    "GUEST_TR_ACCESS_RIGHTS^0x2",
    "GUEST_TR_ACCESS_RIGHTS^0x8",
    "GUEST_TR_ACCESS_RIGHTS^0x10",
    "GUEST_TR_ACCESS_RIGHTS^0x80",
    "GUEST_TR_ACCESS_RIGHTS^0x100",
    "GUEST_TR_ACCESS_RIGHTS^0x10000",
    "GUEST_TR_BASE^0x800000000000",
    // What is no register.
    "VMCS_LINK_POINTER=0x1",
    "SECONDARY_CONTROLS-0x4000 VMCS_LINK_POINTER=region",
    "SECONDARY_CONTROLS|0x4000 VMCS_LINK_POINTER=region",
    "SECONDARY_CONTROLS|0x4000 VMCS_LINK_POINTER=shadow",
    "SECONDARY_CONTROLS-0x4000 VMCS_LINK_POINTER=shadow",
    "VMCS_LINK_POINTER=other",
    "SECONDARY_CONTROLS-0x4000 VMCS_LINK_POINTER=current",
    "GUEST_PENDING_DEBUG_EXCEPTIONS^0x10",
    "GUEST_ACTIVITY_STATE=0x4",
    "GUEST_ACTIVITY_STATE=0x1",
    "GUEST_ACTIVITY_STATE=0x1 GUEST_SS_ACCESS_RIGHTS|0x60",
    "GUEST_INTERRUPTIBILITY_STATE=0x20",
    "GUEST_INTERRUPTIBILITY_STATE=0x3 GUEST_RFLAGS|0x200",
    "GUEST_INTERRUPTIBILITY_STATE=0x1 GUEST_RFLAGS|0x200 GUEST_ACTIVITY_STATE=0x1",
    "GUEST_INTERRUPTIBILITY_STATE=0x1 GUEST_RFLAGS-0x200",
    "GUEST_INTERRUPTIBILITY_STATE=0x4",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000020 GUEST_RFLAGS-0x200",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000202 GUEST_INTERRUPTIBILITY_STATE=0x2",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000202 GUEST_INTERRUPTIBILITY_STATE=0x1 GUEST_RFLAGS|0x200",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000306 GUEST_ACTIVITY_STATE=0x3",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000306 GUEST_ACTIVITY_STATE=0x2",
    "ENTRY_CONTROLS|0x400",
    "ENTRY_CONTROLS|0x400 GUEST_INTERRUPTIBILITY_STATE=0x4 GUEST_ACTIVITY_STATE=0x3",
    "GUEST_PDPTE0|0x6",
    "MEMORY_PDPTE0|0x6",
    // Where Bochs departs.
    "GUEST_RFLAGS|0x100 GUEST_ACTIVITY_STATE=0x1",
    "GUEST_PENDING_DEBUG_EXCEPTIONS=0x4000 GUEST_ACTIVITY_STATE=0x1",
    "GUEST_ACTIVITY_STATE=0x2 ENTRY_INTERRUPTION_INFORMATION=0x80000012 GUEST_RFLAGS|0x200",
    "PIN_CONTROLS|0x28 ENTRY_INTERRUPTION_INFORMATION=0x80000202 GUEST_INTERRUPTIBILITY_STATE=0x8",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000701 ENTRY_INSTRUCTION_LENGTH=0x10",
    "ENTRY_INTERRUPTION_INFORMATION=0x80000701 ENTRY_INSTRUCTION_LENGTH=0x0",
    "GUEST_CR0-0x80000000",
    "GUEST_RFLAGS|0x20000 GUEST_ES_ACCESS_RIGHTS=0xf3 GUEST_CS_ACCESS_RIGHTS=0xf3 GUEST_SS_ACCESS_RIGHTS=0xf3 \
     GUEST_DS_ACCESS_RIGHTS=0xf3 GUEST_FS_ACCESS_RIGHTS=0xf3 GUEST_GS_ACCESS_RIGHTS=0xf3",
    "GUEST_CS_ACCESS_RIGHTS|0x2f GUEST_SS_ACCESS_RIGHTS|0x20",
    "GUEST_CS_ACCESS_RIGHTS|0x2f GUEST_CS_SELECTOR|0x1",
    "GUEST_DS_ACCESS_RIGHTS|0x8 GUEST_DS_SELECTOR|0x3",
    "GUEST_ES_ACCESS_RIGHTS|0x8 GUEST_ES_SELECTOR|0x3",
    "GUEST_FS_ACCESS_RIGHTS|0x8 GUEST_FS_SELECTOR|0x3",
    "GUEST_GS_ACCESS_RIGHTS|0x8 GUEST_GS_SELECTOR|0x3",
    "GUEST_SS_SELECTOR=0x0 GUEST_SS_BASE^0x100000000",
    "GUEST_SS_SELECTOR=0x0 GUEST_SS_ACCESS_RIGHTS-0x2",
    "GUEST_SS_SELECTOR=0x0 GUEST_SS_ACCESS_RIGHTS^0x10",
    "GUEST_SS_SELECTOR=0x0 GUEST_SS_ACCESS_RIGHTS^0x80",
    "GUEST_SS_SELECTOR=0x0 GUEST_SS_ACCESS_RIGHTS^0x100",
    "GUEST_SS_SELECTOR=0x0 GUEST_SS_ACCESS_RIGHTS^0x8000",
    "EXIT_CONTROLS-0x10000000 HOST_CR4|0x800000 HOST_CR0-0x10000",
    "ENTRY_CONTROLS|0x2000 GUEST_IA32_PERF_GLOBAL_CTRL=0x8000000000000000",
    "EXIT_CONTROLS|0x1000 HOST_IA32_PERF_GLOBAL_CTRL=0x8000000000000000",
    // The MSRs that are loaded.
    "MEMORY_MSR1_INDEX=0x1c0000082",
    "MEMORY_MSR1_INDEX=0xc0000101",
    "MEMORY_MSR2_INDEX=0x800",
    "MEMORY_MSR2_VALUE=0x800000000000",
];

/// Tries all of them on the valid state.
pub(super) fn run(
    trial: &mut Try<'_, '_, '_>,
    plan: &Plan,
    tally: &mut Tally,
    departures: &mut Departures<State>,
) -> Outcome {
    for (text, number) in CASES.iter().zip(FIRST..) {
        trial.begin(number);
        if let Some(edits) = edits(trial, text)? {
            case(trial, plan, number, edits, tally, departures)?;
        }
    }
    Ok(())
}

/// What `text` changes; `None` if this processor does not have one of the fields.
fn edits(trial: &Try<'_, '_, '_>, text: &str) -> Outcome<Option<Vec<Edit>>> {
    let mut edits: Vec<Edit> = Vec::new();
    for word in text.split_whitespace() {
        let Some(place) = word.find(['=', '^', '|', '-']) else { fail!("{word}: no operator") };
        let (name, rest) = word.split_at(place);
        let (operator, operand) = rest.split_at(1);
        let Some(field) = trial.slots.iter().position(|slot| slot.name == name) else {
            if name.starts_with("MEMORY") {
                fail!("no {name}");
            }
            return Ok(None);
        };
        let operand = match operand {
            "region" => trial.layout.region(),
            "shadow" => trial.layout.shadow_region(),
            "other" => trial.layout.other_region(),
            "current" => trial.vcpu.vmcs().current_pointer().get(),
            number => u64::from_str_radix(number.trim_start_matches("0x"), 16)?,
        };
        let edit = edits.iter().position(|edit| edit.field == field);
        let valid = trial.valid.get(field).copied().unwrap_or_default();
        let old = edit.and_then(|edit| edits.get(edit)).map_or(valid, |edit| edit.value);
        let value = match operator {
            "^" => old ^ operand,
            "|" => old | operand,
            "-" => old & !operand,
            _ => operand,
        };
        edits.retain(|edit| edit.field != field);
        edits.push(Edit { field, value });
    }
    Ok(Some(edits))
}

/// Tries what VMLAUNCH and VMRESUME look at before the VMCS, with the valid state, which must have been entered.
pub(super) fn instructions(trial: &mut Try<'_, '_, '_>, plan: &Plan, log: &mut Log) -> Outcome {
    let launched = Some(true);
    let mut expect = |trial: &mut Try<'_, '_, '_>, id, way, is_launched, happening| {
        let answer = expect(trial, id, way, is_launched, happening)?;
        if plan.log {
            log.add(FIRST - 1, &answer, core::iter::empty());
        }
        Ok(())
    };
    expect(trial, "VMX-INSN-VMLAUNCH", Way::Launch, launched, Happening::error(4))?;
    expect(trial, "VMX-INSN-MOV-SS", Way::AfterMovSs, launched, Happening::error(26))?;
    let pointer = trial.vcpu.vmcs().current_pointer();
    trial.host.clear(pointer);
    expect(trial, "VMX-INSN-CURRENT-VMCS", Way::WithoutVmcs, None, Happening::OTHER)?;
    trial.host.load(pointer);
    expect(trial, "VMX-INSN-VMRESUME", Way::Resume, Some(false), Happening::error(5))
}

/// How the instruction is executed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Launch,
    Resume,
    AfterMovSs,
    WithoutVmcs,
}

fn expect(
    trial: &mut Try<'_, '_, '_>,
    id: &str,
    way: Way,
    is_launched: Option<bool>,
    happening: Happening,
) -> Outcome<Answer> {
    let Some(rule) = RULES.iter().position(|rule| rule.id == id) else { fail!("no rule {id}") };
    let predicted = {
        let mut entry = trial.entry();
        let resumes = matches!(way, Way::Resume | Way::AfterMovSs);
        entry.instruction = Some(if resumes { EntryInstruction::Vmresume } else { EntryInstruction::Vmlaunch });
        entry.is_launched = is_launched;
        entry.blocking_by_mov_ss = way == Way::AfterMovSs;
        entry.has_current_vmcs = way != Way::WithoutVmcs;
        let report = check_entry(trial.vcpu.vmcs(), &trial.capabilities, entry);
        let broken = report.violations().next().map(|violation| violation.rule().id);
        ensure_eq!(broken, Some(id), "what the checker finds first");
        let prediction = report.prediction();
        ensure_eq!(matches!(prediction, Prediction::Instruction(_)), true, "{prediction}");
        prediction
    };
    let before = now();
    let entered = trial.host.execute(match way {
        Way::Launch | Way::WithoutVmcs => Instruction::Launch,
        Way::Resume => Instruction::Resume,
        Way::AfterMovSs => Instruction::ResumeAfterMovSs,
    });
    let after = now();
    let did = super::happening(trial.vcpu, entered)?;
    ensure_eq!(did, happening, "what the processor does for {id}");
    if entered != Entered::FailInvalid {
        ensure_eq!(happenings(predicted), Happenings::one(did), "what the checker says for {id}");
    }
    let here = Happenings::one(did);
    let time = (after, after.wrapping_sub(before));
    Ok(Answer { violated: alloc::vec![rule], predicted: here, here, did, has_passed: false, time })
}
