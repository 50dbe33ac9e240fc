//! The lines of a VMCS dump of Linux and of Xen.
//!
//! The layouts are facts about what `dump_vmcs` of Linux 4.4 and later (`arch/x86/kvm/vmx/vmx.c`, before `arch/x86/kvm/vmx.c`) and
//! `vmcs_dump_vcpu` of Xen 4.4 and later (`xen/arch/x86/hvm/vmx/vmcs.c`) print.

use x86_virt_vmx::field::{self as f, Encoding};

use crate::layout::{Origin, Row, Section, Slot};
use crate::scan::Radix;

/// What a number is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// The value of a field.
    Field(Encoding),
    /// The value of a field, unless parentheses behind it say that it is from elsewhere.
    Efer(Encoding),
    /// Nothing that a VMCS has.
    Nothing,
    /// The index of the MSR of an entry in an MSR area.
    MsrIndex,
    /// The value of the MSR.
    MsrValue,
}

const fn hex(encoding: Encoding, digits: usize) -> Slot<Target> {
    Slot { target: Target::Field(encoding), radix: Radix::Hexadecimal(digits) }
}

const fn efer(encoding: Encoding) -> Slot<Target> {
    Slot { target: Target::Efer(encoding), radix: Radix::Hexadecimal(16) }
}

const fn decimal(encoding: Encoding) -> Slot<Target> {
    Slot { target: Target::Field(encoding), radix: Radix::Decimal }
}

const fn nothing(digits: usize) -> Slot<Target> {
    Slot { target: Target::Nothing, radix: Radix::Hexadecimal(digits) }
}

/// Makes the table. A row is `section origin sure: "label" slot, "label" slot;`, with `opens` before a label that no other
/// section has.
macro_rules! rows {
    ($($section:ident $origin:ident $sure:literal $($opens:ident)?: $($label:literal $slot:expr),+;)*) => {
        &[$(Row {
            section: Section::$section,
            origin: Origin::$origin,
            opens: rows!(@ $($opens)?),
            sure: $sure,
            labels: &[$($label),+],
            slots: &[$($slot),+],
        }),*]
    };
    (@) => { false };
    (@ opens) => { true };
}

macro_rules! field {
    ($name:ident $digits:literal) => {
        hex(f::$name.encoding(), $digits)
    };
}

/// A guest segment, as Linux and old Xen, and as new Xen print it.
macro_rules! segments {
    ($($label:literal $selector:ident $rights:ident $limit:ident $base:ident;)*) => {
        &[$(
            Row {
                section: Section::Guest,
                origin: Origin::Both,
                opens: true,
                sure: 0,
                labels: &[concat!($label, ": sel="), " attr=", " limit=", " base="],
                slots: &[field!($selector 4), field!($rights 4), field!($limit 8), field!($base 16)],
            },
            Row {
                section: Section::Guest,
                origin: Origin::Xen,
                opens: true,
                sure: 3,
                labels: &[concat!($label, ":"), " ", " ", " "],
                slots: &[field!($selector 4), field!($rights 5), field!($limit 8), field!($base 16)],
            },
        )*]
    };
}

/// Guest segments.
pub(crate) const SEGMENTS: &[Row<Target>] = segments! {
    "CS" GUEST_CS_SELECTOR GUEST_CS_ACCESS_RIGHTS GUEST_CS_LIMIT GUEST_CS_BASE;
    "DS" GUEST_DS_SELECTOR GUEST_DS_ACCESS_RIGHTS GUEST_DS_LIMIT GUEST_DS_BASE;
    "SS" GUEST_SS_SELECTOR GUEST_SS_ACCESS_RIGHTS GUEST_SS_LIMIT GUEST_SS_BASE;
    "ES" GUEST_ES_SELECTOR GUEST_ES_ACCESS_RIGHTS GUEST_ES_LIMIT GUEST_ES_BASE;
    "FS" GUEST_FS_SELECTOR GUEST_FS_ACCESS_RIGHTS GUEST_FS_LIMIT GUEST_FS_BASE;
    "GS" GUEST_GS_SELECTOR GUEST_GS_ACCESS_RIGHTS GUEST_GS_LIMIT GUEST_GS_BASE;
    "LDTR" GUEST_LDTR_SELECTOR GUEST_LDTR_ACCESS_RIGHTS GUEST_LDTR_LIMIT GUEST_LDTR_BASE;
    "TR" GUEST_TR_SELECTOR GUEST_TR_ACCESS_RIGHTS GUEST_TR_LIMIT GUEST_TR_BASE;
};

/// All other lines.
pub(crate) const ROWS: &[Row<Target>] = rows! {
    Guest Both 0 opens: "CR0: actual=" field!(GUEST_CR0 16), " shadow=" field!(CR0_READ_SHADOW 16),
        " gh_mask=" field!(CR0_GUEST_HOST_MASK 16);
    Guest Both 0 opens: "CR4: actual=" field!(GUEST_CR4 16), " shadow=" field!(CR4_READ_SHADOW 16),
        " gh_mask=" field!(CR4_GUEST_HOST_MASK 16);
    Guest Both 0: "CR3 = " field!(GUEST_CR3 16);
    Guest Xen 0 opens: "CR3: actual=" field!(GUEST_CR3 16), " target_count=" decimal(f::CR3_TARGET_COUNT.encoding());
    Guest Xen 0: "target0=" field!(CR3_TARGET_0 16), " target1=" field!(CR3_TARGET_1 16);
    Guest Xen 0: "target2=" field!(CR3_TARGET_2 16), " target3=" field!(CR3_TARGET_3 16);
    Guest Linux 0: "PDPTR0 = " field!(GUEST_PDPTE0 16);
    Guest Linux 0: "PDPTR1 = " field!(GUEST_PDPTE1 16);
    Guest Linux 0: "PDPTR2 = " field!(GUEST_PDPTE2 16);
    Guest Linux 0: "PDPTR3 = " field!(GUEST_PDPTE3 16);
    Guest Xen 0: "PDPTE0 = " field!(GUEST_PDPTE0 16);
    Guest Xen 0: "PDPTE1 = " field!(GUEST_PDPTE1 16);
    Guest Xen 0: "PDPTE2 = " field!(GUEST_PDPTE2 16);
    Guest Xen 0: "PDPTE3 = " field!(GUEST_PDPTE3 16);
    Guest Both 0: "RSP = " field!(GUEST_RSP 16);
    Guest Both 0: "RIP = " field!(GUEST_RIP 16);
    Guest Both 0: "RFLAGS = " field!(GUEST_RFLAGS 8);
    Guest Both 0: "DR7 = " field!(GUEST_DR7 16);
    Guest Both 0: "Sysenter RSP = " field!(GUEST_IA32_SYSENTER_ESP 16), " CS:RIP = " field!(GUEST_IA32_SYSENTER_CS 4),
        ":" field!(GUEST_IA32_SYSENTER_EIP 16);
    Guest Both 0 opens: "GDTR: limit=" field!(GUEST_GDTR_LIMIT 8), " base=" field!(GUEST_GDTR_BASE 16);
    Guest Xen 1 opens: "GDTR:" field!(GUEST_GDTR_LIMIT 8), " " field!(GUEST_GDTR_BASE 16);
    Guest Both 0 opens: "IDTR: limit=" field!(GUEST_IDTR_LIMIT 8), " base=" field!(GUEST_IDTR_BASE 16);
    Guest Xen 1 opens: "IDTR:" field!(GUEST_IDTR_LIMIT 8), " " field!(GUEST_IDTR_BASE 16);
    Guest Both 1: "EFER = " efer(f::GUEST_IA32_EFER.encoding());
    Guest Xen 0 opens: "EFER(VMCS) = " field!(GUEST_IA32_EFER 16);
    Guest Xen 0 opens: "EFER(MSR LL) = " nothing(16);
    Guest Xen 0 opens: "Guest PAT = " field!(GUEST_IA32_PAT 16);
    Guest Both 1: "PAT = " field!(GUEST_IA32_PAT 16);
    Guest Xen 0: "PreemptionTimer = " field!(PREEMPTION_TIMER_VALUE 8);
    Guest Xen 0: "SM Base = " field!(GUEST_SMBASE 8);
    Guest Both 0: "DebugCtl = " field!(GUEST_IA32_DEBUGCTL 16);
    Guest Both 0: "DebugExceptions = " field!(GUEST_PENDING_DEBUG_EXCEPTIONS 16);
    Guest Both 0: "PerfGlobCtl = " field!(GUEST_IA32_PERF_GLOBAL_CTRL 16);
    Guest Both 0: "BndCfgS = " field!(GUEST_IA32_BNDCFGS 16);
    Guest Both 0 opens: "Interruptibility = " field!(GUEST_INTERRUPTIBILITY_STATE 4);
    Guest Both 0 opens: "ActivityState = " field!(GUEST_ACTIVITY_STATE 4);
    Guest Both 0 opens: "InterruptStatus = " field!(GUEST_INTERRUPT_STATUS 4);
    Guest Xen 0: "TSC Offset = " field!(TSC_OFFSET 16);
    Guest Linux 0: "S_CET = " field!(GUEST_IA32_S_CET 16);
    Guest Linux 0: "SSP = " field!(GUEST_SSP 16);
    Guest Linux 0: "INTR SSP TABLE = " field!(GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR 16);
    Guest Linux 0: "SSP TABLE = " field!(GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR 16);
    Guest Linux 0 opens: "FRED guest: config=" field!(GUEST_IA32_FRED_CONFIG 16),
        " stack_levels=" field!(GUEST_IA32_FRED_STKLVLS 16), " RSP0=" nothing(16),
        " RSP1=" field!(GUEST_IA32_FRED_RSP1 16), " RSP2=" field!(GUEST_IA32_FRED_RSP2 16),
        " RSP3=" field!(GUEST_IA32_FRED_RSP3 16);

    Host Both 0: "RIP = " field!(HOST_RIP 16);
    Host Both 0: "RSP = " field!(HOST_RSP 16);
    Host Both 1: "CS = " field!(HOST_CS_SELECTOR 4);
    Host Both 1: "SS = " field!(HOST_SS_SELECTOR 4);
    Host Both 1: "DS = " field!(HOST_DS_SELECTOR 4);
    Host Both 1: "ES = " field!(HOST_ES_SELECTOR 4);
    Host Both 1: "FS = " field!(HOST_FS_SELECTOR 4);
    Host Both 1: "GS = " field!(HOST_GS_SELECTOR 4);
    Host Both 1: "TR = " field!(HOST_TR_SELECTOR 4);
    Host Both 0 opens: "FSBase = " field!(HOST_FS_BASE 16);
    Host Both 0 opens: "GSBase = " field!(HOST_GS_BASE 16);
    Host Both 0 opens: "TRBase = " field!(HOST_TR_BASE 16);
    Host Both 0 opens: "GDTBase = " field!(HOST_GDTR_BASE 16);
    Host Both 0 opens: "IDTBase = " field!(HOST_IDTR_BASE 16);
    Host Both 1: "CR0 = " field!(HOST_CR0 16);
    Host Both 1: "CR3 = " field!(HOST_CR3 16);
    Host Both 1: "CR4 = " field!(HOST_CR4 16);
    Host Both 0: "Sysenter RSP = " field!(HOST_IA32_SYSENTER_ESP 16), " CS:RIP = " field!(HOST_IA32_SYSENTER_CS 4),
        ":" field!(HOST_IA32_SYSENTER_EIP 16);
    Host Both 1: "EFER = " efer(f::HOST_IA32_EFER.encoding());
    Host Xen 0 opens: "Host PAT = " field!(HOST_IA32_PAT 16);
    Host Both 1: "PAT = " field!(HOST_IA32_PAT 16);
    Host Both 0: "PerfGlobCtl = " field!(HOST_IA32_PERF_GLOBAL_CTRL 16);
    Host Linux 0: "S_CET = " field!(HOST_IA32_S_CET 16);
    Host Linux 0: "SSP = " field!(HOST_SSP 16);
    Host Linux 0: "INTR SSP TABLE = " field!(HOST_IA32_INTERRUPT_SSP_TABLE_ADDR 16);
    Host Linux 0: "SSP TABLE = " field!(HOST_IA32_INTERRUPT_SSP_TABLE_ADDR 16);
    Host Linux 0 opens: "FRED host: config=" field!(HOST_IA32_FRED_CONFIG 16),
        " stack_levels=" field!(HOST_IA32_FRED_STKLVLS 16), " RSP0=" nothing(16),
        " RSP1=" field!(HOST_IA32_FRED_RSP1 16), " RSP2=" field!(HOST_IA32_FRED_RSP2 16),
        " RSP3=" field!(HOST_IA32_FRED_RSP3 16);

    Control Both 0 opens: "PinBased = " field!(PIN_CONTROLS 8);
    Control Both 0 opens: "CPUBased = " field!(PRIMARY_CONTROLS 8);
    Control Both 0 opens: "SecondaryExec = " field!(SECONDARY_CONTROLS 8);
    Control Linux 0 opens: "TertiaryExec = " field!(TERTIARY_CONTROLS 16);
    Control Both 0 opens: "EntryControls = " field!(ENTRY_CONTROLS 8);
    Control Both 0 opens: "ExitControls = " field!(EXIT_CONTROLS 8);
    Control Linux 0 opens: "SecondaryExitControls = " field!(SECONDARY_EXIT_CONTROLS 16);
    Control Both 0 opens: "ExceptionBitmap = " field!(EXCEPTION_BITMAP 8);
    Control Both 0 opens: "PFECmask = " field!(PAGE_FAULT_ERROR_CODE_MASK 8);
    Control Both 0 opens: "PFECmatch = " field!(PAGE_FAULT_ERROR_CODE_MATCH 8);
    Control Both 0 opens: "VMEntry: intr_info=" field!(ENTRY_INTERRUPTION_INFORMATION 8),
        " errcode=" field!(ENTRY_EXCEPTION_ERROR_CODE 8), " ilen=" field!(ENTRY_INSTRUCTION_LENGTH 8),
        " event_data=" field!(INJECTED_EVENT_DATA 16);
    Control Both 0 opens: "VMExit: intr_info=" field!(EXIT_INTERRUPTION_INFORMATION 8),
        " errcode=" field!(EXIT_INTERRUPTION_ERROR_CODE 8), " ilen=" field!(EXIT_INSTRUCTION_LENGTH 8);
    Control Both 1: "reason=" field!(EXIT_REASON 8);
    Control Both 0: "qualification=" field!(EXIT_QUALIFICATION 8);
    Control Both 0 opens: "IDTVectoring: info=" field!(IDT_VECTORING_INFORMATION 8),
        " errcode=" field!(IDT_VECTORING_ERROR_CODE 8), " event_data=" field!(ORIGINAL_EVENT_DATA 16);
    Control Both 0: "TSC Offset = " field!(TSC_OFFSET 16);
    Control Both 0: "TSC Multiplier = " field!(TSC_MULTIPLIER 16);
    Control Both 0 opens: "TPR Threshold = " field!(TPR_THRESHOLD 2);
    Control Linux 0 opens: "APIC-access addr = " field!(APIC_ACCESS_ADDRESS 16);
    Control Linux 0 opens: "virt-APIC addr = " field!(VIRTUAL_APIC_ADDRESS 16);
    Control Both 0 opens: "PostedIntrVec = " field!(POSTED_INTERRUPT_NOTIFICATION_VECTOR 2);
    Control Both 0 opens: "EPT pointer = " field!(EPT_POINTER 16);
    Control Xen 0 opens: "EPTP index = " field!(EPTP_INDEX 4);
    Control Xen 0: "CR3 target0=" field!(CR3_TARGET_0 16);
    Control Xen 0: "CR3 target2=" field!(CR3_TARGET_2 16);
    Control Xen 0: "target1=" field!(CR3_TARGET_1 16);
    Control Xen 0: "target3=" field!(CR3_TARGET_3 16);
    Control Both 0 opens: "PLE Gap=" field!(PLE_GAP 8), " Window=" field!(PLE_WINDOW 8);
    Control Both 0 opens: "Virtual processor ID = " field!(VIRTUAL_PROCESSOR_ID 4);
    Control Xen 0 opens: "VMfunc controls = " field!(VM_FUNCTION_CONTROLS 16);
};

/// The entry of an MSR area, as Linux lists it.
pub(crate) const MSR_ENTRY: Row<Target> = Row {
    section: Section::Guest,
    origin: Origin::Linux,
    opens: false,
    sure: 1,
    labels: &["msr=", " value="],
    slots: &[
        Slot { target: Target::MsrIndex, radix: Radix::Hexadecimal(8) },
        Slot { target: Target::MsrValue, radix: Radix::Hexadecimal(16) },
    ],
};
