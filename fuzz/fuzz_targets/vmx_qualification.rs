//! Any exit qualification: no bit is lost, the format is the one that the manual has for the reason, and its text tells the bits.
#![no_main]

use fuzz::reason::Reason;
use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::vmx::{
    ApicAccessQualification, ApicWriteQualification, BasicExitReason, ControlRegisterQualification,
    DebugExceptionQualification, DebugRegisterQualification, EntryFailureCause, EptViolationQualification,
    ExitQualification, ExitReason, FakeVmcs, InstructionTimeoutQualification, IoQualification, MsrQualification,
    MwaitQualification, PageModificationLogFullQualification, PasidQualification, SppQualification,
    StartupIpiQualification, TaskSwitchQualification, VirtualizedEoiQualification, VmExitInterruption,
    WbinvdQualification, WrmsrQualification, field,
};

/// The formats by reason: SDM section 30.2.1, "Basic VM-Exit Information". Of exceptions and NMIs the event decides.
const FORMATS: [(u32, &str); 39] = [
    (4, "start-up IPI"),
    (9, "task switch"),
    (14, "INVLPG"),
    (19, "displacement"),
    (21, "displacement"),
    (22, "displacement"),
    (23, "displacement"),
    (25, "displacement"),
    (27, "displacement"),
    (28, "control register"),
    (29, "debug register"),
    (30, "I/O"),
    (32, "WRMSR"),
    (33, "guest state"),
    (34, "MSR loading"),
    (36, "MWAIT"),
    (44, "APIC access"),
    (45, "EOI"),
    (46, "displacement"),
    (47, "displacement"),
    (48, "EPT violation"),
    (50, "displacement"),
    (53, "displacement"),
    (54, "WBINVD"),
    (56, "APIC write"),
    (58, "displacement"),
    (62, "PML"),
    (63, "displacement"),
    (64, "displacement"),
    (66, "SPP"),
    (72, "PASID"),
    (73, "PASID"),
    (75, "instruction timeout"),
    (78, "MSR"),
    (79, "MSR"),
    (80, "MSR"),
    (81, "MSR"),
    (84, "MSR"),
    (85, "MSR"),
];

fuzz_target!(|input: (Reason, u64, u32)| {
    let (reason, raw, interruption) = input;
    let information = VmExitInterruption::from_bits(interruption);
    let exit_reason = ExitReason::from_bits(reason.get());
    let qualification = ExitQualification::new(exit_reason, raw, information);
    assert_eq!(qualification.into_raw(), raw);
    assert_eq!(name(qualification, raw), expected(reason.get(), interruption), "{exit_reason} {information}");

    // The flags of the reason change nothing, and what is read is what is in the fields.
    let basic = ExitReason::from(BasicExitReason::from_bits(exit_reason.basic().into_bits()));
    assert_eq!(ExitQualification::new(basic, raw, information), qualification);
    let mut vmcs = FakeVmcs::new();
    vmcs.set_raw(field::EXIT_QUALIFICATION.encoding().get(), raw);
    vmcs.set_raw(field::EXIT_INTERRUPTION_INFORMATION.encoding().get(), interruption.into());
    assert_eq!(ExitQualification::read(exit_reason, &vmcs), qualification);
});

fn expected(reason: u32, interruption: u32) -> &'static str {
    let basic = reason & 0xffff;
    if basic != 0 {
        return FORMATS.iter().find(|(number, _)| *number == basic).map_or("unused", |(_, format)| *format);
    }
    let word = u64::from(interruption);
    match (bits(word, 31, 1), bits(word, 8, 3), bits(word, 0, 8)) {
        (1, 2, _) => "NMI",
        // #DB, and INT1 with type 5.
        (1, 3 | 5, 1) => "debug exception",
        (1, 3, 14) => "page fault",
        _ => "unused",
    }
}

/// The format, of which the text is checked too.
fn name(qualification: ExitQualification, raw: u64) -> &'static str {
    let text = qualification.to_string();
    /// The format of a word of named bits.
    macro_rules! word {
        ($type:ident, $name:literal) => {{
            assert_eq!(check::<$type>(raw).to_string(), text);
            $name
        }};
    }
    let number = |label: &str, name| {
        assert_eq!(text, format!("{raw:#018x}{label}"));
        name
    };
    match qualification {
        ExitQualification::DebugException(_) => word!(DebugExceptionQualification, "debug exception"),
        ExitQualification::StartupIpi(_) => word!(StartupIpiQualification, "start-up IPI"),
        ExitQualification::TaskSwitch(_) => word!(TaskSwitchQualification, "task switch"),
        ExitQualification::ControlRegister(_) => word!(ControlRegisterQualification, "control register"),
        ExitQualification::DebugRegister(_) => word!(DebugRegisterQualification, "debug register"),
        ExitQualification::Io(_) => word!(IoQualification, "I/O"),
        ExitQualification::Mwait(_) => word!(MwaitQualification, "MWAIT"),
        ExitQualification::ApicAccess(_) => word!(ApicAccessQualification, "APIC access"),
        ExitQualification::EptViolation(_) => word!(EptViolationQualification, "EPT violation"),
        ExitQualification::VirtualizedEoi(_) => word!(VirtualizedEoiQualification, "EOI"),
        ExitQualification::ApicWrite(_) => word!(ApicWriteQualification, "APIC write"),
        ExitQualification::PageModificationLogFull(_) => word!(PageModificationLogFullQualification, "PML"),
        ExitQualification::Spp(_) => word!(SppQualification, "SPP"),
        ExitQualification::InstructionTimeout(_) => word!(InstructionTimeoutQualification, "instruction timeout"),
        ExitQualification::Msr(_) => word!(MsrQualification, "MSR"),
        ExitQualification::Wbinvd(_) => word!(WbinvdQualification, "WBINVD"),
        ExitQualification::Wrmsr(_) => word!(WrmsrQualification, "WRMSR"),
        ExitQualification::Pasid(_) => word!(PasidQualification, "PASID"),
        ExitQualification::InvalidGuestState(cause) => {
            assert_eq!(cause, EntryFailureCause::from_bits(raw));
            number(&format!(" CAUSE={cause}"), "guest state")
        }
        ExitQualification::PageFault(gva) => {
            assert_eq!(gva.get(), raw);
            number(" LINEAR_ADDRESS", "page fault")
        }
        ExitQualification::Invlpg(gva) => {
            assert_eq!(gva.get(), raw);
            number(" LINEAR_ADDRESS", "INVLPG")
        }
        ExitQualification::Displacement(_) => number(" DISPLACEMENT", "displacement"),
        ExitQualification::NmiSource(_) => number(" NMI_SOURCE", "NMI"),
        ExitQualification::MsrLoading(_) => number(" MSR_ENTRY", "MSR loading"),
        ExitQualification::Unused(_) => number("", "unused"),
        other => panic!("a format that this target does not know: {other:?}"),
    }
}
