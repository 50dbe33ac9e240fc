//! Instructions, executive VMCSs and lists of MSRs.

use super::state::{EXECUTIVE, Mode, VMXON};
use super::{Pair, pair};
use crate::check::{EntryInstruction, ProcessorMode};
use crate::control::EntryControls;
use crate::field;

pub(super) fn pairs() -> Vec<Pair> {
    let long = Mode::Long;
    let vmlaunch = Some(EntryInstruction::Vmlaunch);
    let vmresume = Some(EntryInstruction::Vmresume);
    vec![
        pair("VMX-INSN-OPERATION", long, |s| s.entry.mode = ProcessorMode::OutsideVmx, |_| {}),
        pair("VMX-INSN-MODE", long, |s| s.entry.mode = ProcessorMode::Legacy, |_| {}),
        pair("VMX-INSN-ROOT", long, |s| s.entry.mode = ProcessorMode::NonRoot, |_| {}),
        pair("VMX-INSN-CPL", long, |s| s.entry.privilege_level = 1, |_| {}),
        pair("VMX-INSN-CURRENT-VMCS", long, |s| s.entry.has_current_vmcs = false, |_| {}),
        pair("VMX-INSN-SHADOW-VMCS", long, |s| s.entry.is_shadow_vmcs = true, |_| {}),
        pair("VMX-INSN-MOV-SS", long, |s| s.entry.blocking_by_mov_ss = true, |_| {}),
        pair(
            "VMX-INSN-VMLAUNCH",
            long,
            move |s| (s.entry.instruction, s.entry.is_launched) = (vmlaunch, Some(true)),
            move |s| (s.entry.instruction, s.entry.is_launched) = (vmlaunch, Some(false)),
        ),
        pair(
            "VMX-INSN-VMRESUME",
            long,
            move |s| (s.entry.instruction, s.entry.is_launched) = (vmresume, Some(false)),
            move |s| (s.entry.instruction, s.entry.is_launched) = (vmresume, Some(true)),
        ),
        pair(
            "VMX-SMM-EXECUTIVE-POINTER",
            long,
            |s| {
                s.return_to_guest();
                s.put(field::EXECUTIVE_VMCS_POINTER, EXECUTIVE + 8);
            },
            |s| s.return_to_guest(),
        ),
        pair(
            "VMX-SMM-EXECUTIVE-POINTER",
            long,
            |s| {
                s.return_to_guest();
                s.world.memory.insert(EXECUTIVE, 0x8000_0013);
            },
            |s| s.return_to_root(),
        ),
        pair(
            "VMX-SMM-EXECUTIVE-LAUNCHED",
            long,
            |s| {
                s.return_to_guest();
                s.entry.executive_is_launched = Some(false);
            },
            |s| {
                s.return_to_root();
                s.entry.executive_is_launched = Some(false);
            },
        ),
        pair(
            "VMX-SMM-EXECUTIVE-VMXON",
            long,
            |s| {
                s.return_to_guest();
                s.on(EntryControls::DEACTIVATE_DUAL_MONITOR_TREATMENT.control());
            },
            |s| {
                s.return_to_root();
                s.on(EntryControls::DEACTIVATE_DUAL_MONITOR_TREATMENT.control());
            },
        ),
        pair(
            "VMX-SMM-EXECUTIVE-CONTROLS",
            long,
            |s| {
                s.return_to_guest();
                s.entry.executive_controls_are_valid = Some(false);
            },
            |s| {
                // The controls of this VMCS do not count.
                s.return_to_guest();
                s.put(field::PIN_CONTROLS, 0);
            },
        ),
        pair(
            "VMX-GUEST-LINK-EXECUTIVE",
            long,
            |s| {
                s.return_to_guest();
                s.put(field::VMCS_LINK_POINTER, EXECUTIVE);
            },
            |s| {
                s.return_to_guest();
                s.put(field::VMCS_LINK_POINTER, VMXON);
            },
        ),
        pair("VMX-MSR-LOAD-BASE", long, |s| s.load_msr(0xc000_0100, 0), |s| s.load_msr(0xc000_0102, 0)),
        pair("VMX-MSR-LOAD-X2APIC", long, |s| s.load_msr(0x8ff, 0), |s| s.load_msr(0x900, 0)),
        pair(
            "VMX-MSR-LOAD-SMM",
            long,
            |s| s.load_msr(0x9b, 0),
            |s| {
                s.return_to_root();
                s.load_msr(0x9b, 0);
            },
        ),
        pair(
            "VMX-MSR-LOAD-MODEL",
            long,
            |s| {
                s.load_msr(0x79, 0);
                s.world.refused_msr = Some(0x79);
            },
            |s| s.load_msr(0x79, 0),
        ),
        pair("VMX-MSR-LOAD-RESERVED", long, |s| s.load_msr(1 << 32 | 0x277, 0), |s| s.load_msr(0x277, 0)),
        pair(
            "VMX-MSR-LOAD-VALUE",
            long,
            |s| {
                s.load_msr(0x277, 2);
                s.world.refused_value = Some(0x277);
            },
            |s| s.load_msr(0x277, 0),
        ),
    ]
}
