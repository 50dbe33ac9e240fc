//! Control fields.

use super::state::{MSR_AREA, Mode, State};
use super::{Pair, pair};
use crate::control::{
    Control, EntryControls, ExitControls, PinControls, PrimaryControls, SecondaryControls, TertiaryControls,
    VmFunctionControls,
};
use crate::field::{self, AccessClass, Encoding, Field, FieldValue};

const LONG: Mode = Mode::Long;

/// The end of physical memory.
pub(super) const END: u64 = 1 << 46;

pub(super) fn pairs() -> Vec<Pair> {
    [allowed(), addresses(), others(), areas()].into_iter().flatten().collect()
}

fn allowed() -> Vec<Pair> {
    vec![
        pair("VMX-CTL-PIN-ALLOWED-0", LONG, |s| s.clear(field::PIN_CONTROLS, 2), |s| s.or(field::PIN_CONTROLS, 8)),
        pair(
            "VMX-CTL-PIN-ALLOWED-1",
            LONG,
            |s| s.or(field::PIN_CONTROLS, 1 << 8),
            |s| s.on(PinControls::ACTIVATE_PREEMPTION_TIMER.control()),
        ),
        pair(
            "VMX-CTL-PRIMARY-ALLOWED-0",
            LONG,
            |s| s.clear(field::PRIMARY_CONTROLS, 1 << 8),
            |s| s.on(PrimaryControls::HLT_EXITING.control()),
        ),
        pair(
            "VMX-CTL-PRIMARY-ALLOWED-1",
            LONG,
            |s| s.or(field::PRIMARY_CONTROLS, 1 << 18),
            |s| s.or(field::PRIMARY_CONTROLS, 1 << 15),
        ),
        pair(
            "VMX-CTL-SECONDARY-ALLOWED-0",
            LONG,
            |s| s.raw.secondary |= 1 << 3,
            |s| {
                s.raw.secondary |= 1 << 3;
                s.on(SecondaryControls::ENABLE_RDTSCP.control());
            },
        ),
        pair(
            "VMX-CTL-SECONDARY-ALLOWED-1",
            LONG,
            |s| {
                s.raw.secondary &= !(1 << 35);
                s.on(SecondaryControls::ENABLE_RDTSCP.control());
            },
            |s| s.on(SecondaryControls::ENABLE_RDTSCP.control()),
        ),
        pair(
            "VMX-CTL-TERTIARY-ALLOWED-1",
            LONG,
            |s| {
                s.on(TertiaryControls::LOADIWKEY_EXITING.control());
                s.or(field::TERTIARY_CONTROLS, 1 << 40);
            },
            // Not activated.
            |s| s.or(field::TERTIARY_CONTROLS, 1 << 40),
        ),
        pair(
            "VMX-CTL-VM-FUNCTIONS-ALLOWED-1",
            LONG,
            |s| {
                s.on(VmFunctionControls::EPTP_SWITCHING.control());
                s.or(field::VM_FUNCTION_CONTROLS, 1 << 63);
            },
            |s| s.or(field::VM_FUNCTION_CONTROLS, 1 << 63),
        ),
        pair(
            "VMX-EXIT-ALLOWED-0",
            LONG,
            |s| s.clear(field::EXIT_CONTROLS, 1),
            |s| s.on(ExitControls::SAVE_DEBUG_CONTROLS.control()),
        ),
        pair(
            "VMX-EXIT-ALLOWED-1",
            LONG,
            |s| {
                s.raw.true_exit &= !(1 << (32 + 18));
                s.on(ExitControls::SAVE_IA32_PAT.control());
            },
            |s| s.on(ExitControls::SAVE_IA32_PAT.control()),
        ),
        pair(
            "VMX-EXIT-SECONDARY-ALLOWED-1",
            LONG,
            |s| {
                s.on(ExitControls::ACTIVATE_SECONDARY_CONTROLS.control());
                s.or(field::SECONDARY_EXIT_CONTROLS, 1 << 20);
            },
            |s| s.or(field::SECONDARY_EXIT_CONTROLS, 1 << 20),
        ),
        pair(
            "VMX-ENTRY-ALLOWED-0",
            LONG,
            |s| s.clear(field::ENTRY_CONTROLS, 1),
            |s| s.on(EntryControls::LOAD_PKRS.control()),
        ),
        pair(
            "VMX-ENTRY-ALLOWED-1",
            LONG,
            |s| s.or(field::ENTRY_CONTROLS, 1 << 27),
            |s| s.on(EntryControls::ALLOW_SEAM_GUEST_TELEMETRY.control()),
        ),
    ]
}

/// An address that must be aligned, and one that must be inside the width, if a control is 1.
fn address<T: FieldValue + 'static, A: AccessClass + 'static>(
    id: &'static str,
    control: Option<Control>,
    address: Field<T, A>,
) -> Vec<Pair> {
    let with = move |value| {
        move |s: &mut State| {
            s.on(control);
            s.put(address, value);
        }
    };
    vec![
        pair(id, LONG, with(0x1800), with(END - 0x1000)),
        pair(id, LONG, with(END), move |s| s.put(address, END)),
        // Both narrower.
        pair(
            id,
            LONG,
            move |s| {
                with(1 << 32)(s);
                s.raw.basic |= 1 << 48;
            },
            move |s| {
                with(0xffff_f000)(s);
                s.raw.basic |= 1 << 48;
            },
        ),
        pair(
            id,
            LONG,
            move |s| {
                with(1 << 42)(s);
                s.entry.key_id_bits = 4;
            },
            move |s| {
                with((1 << 42) - 0x1000)(s);
                s.entry.key_id_bits = 4;
            },
        ),
    ]
}

fn addresses() -> Vec<Pair> {
    [
        address("VMX-CTL-IO-BITMAP-A", PrimaryControls::USE_IO_BITMAPS.control(), field::IO_BITMAP_A),
        address("VMX-CTL-IO-BITMAP-B", PrimaryControls::USE_IO_BITMAPS.control(), field::IO_BITMAP_B),
        address("VMX-CTL-MSR-BITMAPS", PrimaryControls::USE_MSR_BITMAPS.control(), field::MSR_BITMAPS),
        address("VMX-CTL-VIRTUAL-APIC-PAGE", PrimaryControls::USE_TPR_SHADOW.control(), field::VIRTUAL_APIC_ADDRESS),
        address(
            "VMX-CTL-APIC-ACCESS-PAGE",
            SecondaryControls::VIRTUALIZE_APIC_ACCESSES.control(),
            field::APIC_ACCESS_ADDRESS,
        ),
        address("VMX-CTL-PML-ADDRESS", SecondaryControls::ENABLE_PML.control(), field::PML_ADDRESS),
        address(
            "VMX-CTL-SPP-TABLE",
            SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS.control(),
            field::SUB_PAGE_PERMISSION_TABLE_POINTER,
        ),
        address("VMX-CTL-EPTP-LIST", VmFunctionControls::EPTP_SWITCHING.control(), field::EPTP_LIST_ADDRESS),
        address("VMX-CTL-VMREAD-BITMAP", SecondaryControls::VMCS_SHADOWING.control(), field::VMREAD_BITMAP_ADDRESS),
        address("VMX-CTL-VMWRITE-BITMAP", SecondaryControls::VMCS_SHADOWING.control(), field::VMWRITE_BITMAP_ADDRESS),
        address(
            "VMX-CTL-VE-INFORMATION",
            SecondaryControls::EPT_VIOLATION_VE.control(),
            field::VIRTUALIZATION_EXCEPTION_ADDRESS,
        ),
        address(
            "VMX-CTL-PASID-LOW",
            SecondaryControls::PASID_TRANSLATION.control(),
            field::LOW_PASID_DIRECTORY_ADDRESS,
        ),
        address(
            "VMX-CTL-PASID-HIGH",
            SecondaryControls::PASID_TRANSLATION.control(),
            field::HIGH_PASID_DIRECTORY_ADDRESS,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn others() -> Vec<Pair> {
    let tracing = SecondaryControls::PT_USES_GUEST_PHYSICAL_ADDRESSES;
    let trace = move |s: &mut State| {
        s.on(tracing.control());
        s.on(EntryControls::LOAD_IA32_RTIT_CTL.control());
        s.on(ExitControls::CLEAR_IA32_RTIT_CTL.control());
    };
    let without = move |control: Option<Control>| {
        move |s: &mut State| {
            trace(s);
            s.off(control);
        }
    };
    let pt = "VMX-CTL-PT-GUEST-PHYSICAL";
    vec![
        pair(
            "VMX-CTL-CR3-TARGET-COUNT",
            LONG,
            |s| s.put(field::CR3_TARGET_COUNT, 5),
            |s| s.put(field::CR3_TARGET_COUNT, 4),
        ),
        pair(
            "VMX-CTL-VIRTUAL-NMIS",
            LONG,
            |s| s.on(PinControls::VIRTUAL_NMIS.control()),
            |s| {
                s.on(PinControls::VIRTUAL_NMIS.control());
                s.on(PinControls::NMI_EXITING.control());
            },
        ),
        pair(
            "VMX-CTL-NMI-WINDOW",
            LONG,
            |s| s.on(PrimaryControls::NMI_WINDOW_EXITING.control()),
            |s| {
                s.on(PrimaryControls::NMI_WINDOW_EXITING.control());
                s.on(PinControls::VIRTUAL_NMIS.control());
                s.on(PinControls::NMI_EXITING.control());
            },
        ),
        pair(
            "VMX-CTL-TRACE-AT-ENTRY",
            LONG,
            |s| {
                s.on(EntryControls::LOAD_IA32_RTIT_CTL.control());
                s.entry.is_tracing = Some(true);
            },
            |s| s.entry.is_tracing = Some(true),
        ),
        pair(pt, LONG, without(EntryControls::LOAD_IA32_RTIT_CTL.control()), trace),
        pair(pt, LONG, without(ExitControls::CLEAR_IA32_RTIT_CTL.control()), trace),
        pair(pt, LONG, without(SecondaryControls::ENABLE_EPT.control()), trace),
        pair(
            "VMX-CTL-TSC-MULTIPLIER",
            LONG,
            |s| s.on(SecondaryControls::USE_TSC_SCALING.control()),
            |s| {
                s.on(SecondaryControls::USE_TSC_SCALING.control());
                s.put(field::TSC_MULTIPLIER, 1);
            },
        ),
        pair(
            "VMX-EXIT-SAVE-TIMER",
            LONG,
            |s| s.on(ExitControls::SAVE_PREEMPTION_TIMER.control()),
            |s| {
                s.on(ExitControls::SAVE_PREEMPTION_TIMER.control());
                s.return_to_root();
            },
        ),
        pair(
            "VMX-EXIT-SAVE-TIMER",
            LONG,
            |s| {
                s.on(ExitControls::SAVE_PREEMPTION_TIMER.control());
                s.enter_smm();
            },
            |s| {
                s.on(ExitControls::SAVE_PREEMPTION_TIMER.control());
                s.on(PinControls::ACTIVATE_PREEMPTION_TIMER.control());
            },
        ),
        pair(
            "VMX-ENTRY-OUTSIDE-SMM",
            LONG,
            |s| s.on(EntryControls::DEACTIVATE_DUAL_MONITOR_TREATMENT.control()),
            |s| {
                s.on(EntryControls::DEACTIVATE_DUAL_MONITOR_TREATMENT.control());
                s.return_to_root();
            },
        ),
        pair(
            "VMX-ENTRY-SMM-BOTH",
            LONG,
            |s| {
                s.enter_smm();
                s.on(EntryControls::DEACTIVATE_DUAL_MONITOR_TREATMENT.control());
            },
            |s| s.enter_smm(),
        ),
    ]
}

fn areas() -> Vec<Pair> {
    let areas = [
        ("EXIT-MSR-STORE", field::EXIT_MSR_STORE_COUNT, field::EXIT_MSR_STORE_ADDRESS),
        ("EXIT-MSR-LOAD", field::EXIT_MSR_LOAD_COUNT, field::EXIT_MSR_LOAD_ADDRESS),
        ("ENTRY-MSR-LOAD", field::ENTRY_MSR_LOAD_COUNT, field::ENTRY_MSR_LOAD_ADDRESS),
    ];
    let at = |count_field: Encoding, address_field: Encoding, count, address| {
        move |s: &mut State| {
            s.set_raw(count_field, count);
            s.set_raw(address_field, address);
        }
    };
    areas
        .into_iter()
        .flat_map(|(name, count, address)| {
            let (count, address) = (count.encoding(), address.encoding());
            [
                pair(
                    format!("VMX-{name}-ADDRESS"),
                    LONG,
                    at(count, address, 1, MSR_AREA + 8),
                    at(count, address, 0, MSR_AREA + 8),
                ),
                pair(format!("VMX-{name}-END"), LONG, at(count, address, 2, END - 16), at(count, address, 1, END - 16)),
            ]
        })
        .collect()
}
