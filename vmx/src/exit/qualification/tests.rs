use std::collections::BTreeMap;
use std::vec::Vec;

use proptest::prelude::{any, proptest};
use x86_virt_core::{BitField, Gva, Register};

use super::{
    ApicAccessQualification, ApicAccessType, ApicWriteQualification, ControlRegisterAccessType,
    ControlRegisterQualification, DebugExceptionQualification, DebugRegisterQualification, EntryFailureCause,
    EptViolationQualification, ExitQualification, InstructionTimeoutQualification, IoQualification, MsrQualification,
    MwaitQualification, PageModificationLogFullQualification, PasidQualification, SppQualification,
    StartupIpiQualification, TaskSwitchQualification, TaskSwitchSource, VirtualizedEoiQualification,
    WbinvdQualification, WrmsrQualification, rows,
};
use crate::event::VmExitInterruption;
use crate::exit::{BasicExitReason, ExitReason, RegisterNumber};
use crate::testing::{CountingVmcs, FakeVmcs};

fn qualification(basic: BasicExitReason, raw: u64) -> ExitQualification {
    ExitQualification::new(basic.into(), raw, VmExitInterruption::new())
}

/// That of an exit because of the event with this interruption information.
fn of_event(information: u32, raw: u64) -> ExitQualification {
    let reason = BasicExitReason::EXCEPTION_OR_NMI.into();
    ExitQualification::new(reason, raw, VmExitInterruption::from_bits(information))
}

/// The name, the lowest bit and the width of the fields.
fn fields<R: Register>() -> Vec<(&'static str, u32, u32)> {
    R::FIELDS.iter().map(|&BitField { name, offset, width, .. }| (name, offset, width)).collect()
}

#[test]
fn bits_are_where_the_manual_has_them() {
    assert_eq!(
        fields::<DebugExceptionQualification>(),
        [
            ("B0", 0, 1),
            ("B1", 1, 1),
            ("B2", 2, 1),
            ("B3", 3, 1),
            ("BLD", 11, 1),
            ("BD", 13, 1),
            ("BS", 14, 1),
            ("RTM", 16, 1)
        ]
    );
    assert_eq!(fields::<StartupIpiQualification>(), [("VECTOR", 0, 8)]);
    assert_eq!(fields::<TaskSwitchQualification>(), [("SELECTOR", 0, 16), ("SOURCE", 30, 2)]);
    assert_eq!(
        fields::<ControlRegisterQualification>(),
        [("NUMBER", 0, 4), ("ACCESS_TYPE", 4, 2), ("LMSW_MEMORY", 6, 1), ("GPR", 8, 4), ("LMSW_SOURCE", 16, 16)]
    );
    assert_eq!(fields::<DebugRegisterQualification>(), [("NUMBER", 0, 3), ("READ", 4, 1), ("GPR", 8, 4)]);
    assert_eq!(
        fields::<IoQualification>(),
        [
            ("SIZE_LESS_ONE", 0, 3),
            ("INPUT", 3, 1),
            ("STRING", 4, 1),
            ("REPEAT", 5, 1),
            ("IMMEDIATE", 6, 1),
            ("PORT", 16, 16)
        ]
    );
    assert_eq!(fields::<MwaitQualification>(), [("MONITOR_ARMED", 0, 1)]);
    assert_eq!(
        fields::<ApicAccessQualification>(),
        [("OFFSET", 0, 12), ("ACCESS_TYPE", 12, 4), ("ASYNCHRONOUS", 16, 1)]
    );
    let ept: Vec<u32> = EptViolationQualification::FIELDS.iter().map(|field| field.offset).collect();
    assert_eq!(ept, (0..17).collect::<Vec<u32>>());
    assert_eq!(fields::<VirtualizedEoiQualification>(), [("VECTOR", 0, 8)]);
    assert_eq!(fields::<ApicWriteQualification>(), [("OFFSET", 0, 12)]);
    assert_eq!(
        fields::<PageModificationLogFullQualification>(),
        [("NMI_UNBLOCKING_DUE_TO_IRET", 12, 1), ("ASYNCHRONOUS", 16, 1)]
    );
    assert_eq!(
        fields::<SppQualification>(),
        [("SPP_MISS", 11, 1), ("NMI_UNBLOCKING_DUE_TO_IRET", 12, 1), ("ASYNCHRONOUS", 16, 1)]
    );
    assert_eq!(
        fields::<InstructionTimeoutQualification>(),
        [("CONTEXT_INVALID", 0, 1), ("NMI_UNBLOCKING_DUE_TO_IRET", 12, 1)]
    );
    assert_eq!(fields::<MsrQualification>(), [("MSR", 0, 32)]);
    assert_eq!(fields::<WbinvdQualification>(), [("WBNOINVD", 0, 1)]);
    assert_eq!(fields::<WrmsrQualification>(), [("WRMSRNS", 0, 1)]);
    assert_eq!(fields::<PasidQualification>(), [("PASID", 0, 20), ("PRIVILEGED", 31, 1)]);
}

#[test]
fn codes_are_those_of_the_manual() {
    let task_switch = TaskSwitchQualification::from_bits(0xc000_0028);
    assert_eq!((task_switch.selector(), task_switch.source()), (0x28, TaskSwitchSource::TASK_GATE));
    let write = ApicAccessQualification::from_bits(0x1_1300);
    assert_eq!((write.offset(), write.access_type()), (0x300, ApicAccessType::LINEAR_WRITE));
    assert!(write.asynchronous());
    let types: Vec<u8> = ApicAccessType::ALL.iter().map(|code| code.value).collect();
    assert_eq!(types, [0, 1, 2, 3, 4, 10, 11, 15]);
    let causes: Vec<u64> = EntryFailureCause::ALL.iter().map(|code| code.value).collect();
    assert_eq!(causes, [0, 2, 3, 4]);
    let lmsw = ControlRegisterQualification::from_bits(0x1234_0070);
    assert_eq!((lmsw.access_type(), lmsw.lmsw_source()), (ControlRegisterAccessType::LMSW, 0x1234));
    assert_eq!(DebugRegisterQualification::from_bits(0x0f17).gpr(), RegisterNumber::R15);
}

#[test]
fn an_event_has_the_format_of_its_vector() {
    assert_eq!(of_event(0x8000_030e, 0x1234), ExitQualification::PageFault(Gva::new(0x1234)));
    let step = DebugExceptionQualification::new().with_bs(true);
    for debug in [0x8000_0301, 0x8000_0501] {
        assert_eq!(of_event(debug, 0x4000), ExitQualification::DebugException(step));
    }
    assert_eq!(of_event(0x8000_0202, 2), ExitQualification::NmiSource(2));
    for other in [0x8000_030d, 0x8000_0603, 0x030e, 0x8000_060e] {
        assert_eq!(of_event(other, 1), ExitQualification::Unused(1));
    }
}

#[test]
fn a_reason_has_the_format_of_the_manual() {
    let raw = 0x8765_4321;
    let of = |reason| qualification(reason, raw);
    assert_eq!(of(BasicExitReason::INVLPG), ExitQualification::Invlpg(Gva::new(raw)));
    assert_eq!(of(BasicExitReason::INVALID_GUEST_STATE).into_raw(), raw);
    assert_eq!(
        qualification(BasicExitReason::INVALID_GUEST_STATE, 4),
        ExitQualification::InvalidGuestState(EntryFailureCause::VMCS_LINK_POINTER)
    );
    assert_eq!(of(BasicExitReason::MSR_LOADING), ExitQualification::MsrLoading(raw));
    let displacements: Vec<u16> = (0..=u16::MAX)
        .filter(|&number| of(BasicExitReason::from_bits(number)) == ExitQualification::Displacement(raw))
        .collect();
    assert_eq!(displacements, [19, 21, 22, 23, 25, 27, 46, 47, 50, 53, 58, 63, 64]);
    let msr = ExitQualification::Msr(MsrQualification::from_bits(raw));
    let msrs: Vec<u16> = (0..=u16::MAX).filter(|&number| of(BasicExitReason::from_bits(number)) == msr).collect();
    assert_eq!(msrs, [78, 79, 80, 81, 84, 85]);
    let unused: Vec<u16> = BasicExitReason::ALL
        .iter()
        .map(|code| code.value)
        .filter(|&number| of(BasicExitReason::from_bits(number)) == ExitQualification::Unused(raw))
        .collect();
    let without = [
        0, 1, 2, 3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 16, 17, 18, 20, 24, 26, 31, 37, 39, 40, 41, 43, 49, 51, 52, 55, 57,
        59, 60, 61, 65, 67, 68, 69, 70, 74, 76, 77,
    ];
    assert_eq!(unused, without);
}

#[test]
fn the_text_names_the_bits() {
    let text = |reason, raw| qualification(reason, raw).to_string();
    assert_eq!(text(BasicExitReason::WBINVD, 1), "0x0000000000000001 WBNOINVD");
    assert_eq!(text(BasicExitReason::INVLPG, 0x1000), "0x0000000000001000 LINEAR_ADDRESS");
    assert_eq!(text(BasicExitReason::INVALID_GUEST_STATE, 3), "0x0000000000000003 CAUSE=BLOCKED_INJECTION");
    assert_eq!(text(BasicExitReason::HLT, 0), "0x0000000000000000");
}

#[test]
fn interruption_information_is_read_where_it_counts() {
    let vmcs = CountingVmcs::new(FakeVmcs::new());
    for (reason, reads) in [(BasicExitReason::INVLPG, 1), (BasicExitReason::EXCEPTION_OR_NMI, 2)] {
        let before = vmcs.reads();
        let _ = ExitQualification::read(reason.into(), &vmcs);
        assert_eq!(vmcs.reads() - before, reads);
    }
}

#[test]
fn nineteen_formats_and_four_distinctions_are_listed() {
    let mut formats = BTreeMap::<String, usize>::new();
    rows(&mut |row| {
        if row.table == super::TABLE {
            *formats.entry(row.group.to_string()).or_default() += 1;
        }
    });
    for distinction in ["WBINVD", "WRMSR", "PASID translation", "NMI"] {
        assert!(formats.remove(distinction).is_some(), "{distinction}");
    }
    assert_eq!(formats.len(), 19, "{formats:?}");
    assert_eq!((formats["EPT violation"], formats["VM-entry failure"], formats["debug exception"]), (17, 2, 8));
}

proptest! {
    #[test]
    fn no_bit_is_lost(reason in any::<u32>(), raw in any::<u64>(), event in any::<u32>()) {
        let reason = ExitReason::from_bits(reason);
        let known = BasicExitReason::ALL.iter().map(|code| reason.with_basic(BasicExitReason::from_bits(code.value)));
        // Any event, and those that have a format.
        for event in [event, 0x8000_0301, 0x8000_030e, 0x8000_0202] {
            let interruption = VmExitInterruption::from_bits(event);
            for reason in known.clone().chain([reason]) {
                let qualification = ExitQualification::new(reason, raw, interruption);
                assert_eq!(qualification.into_raw(), raw);
                assert!(qualification.to_string().starts_with(&std::format!("{raw:#018x}")));
            }
        }
    }
}
