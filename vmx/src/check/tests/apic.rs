//! Virtualization of the APIC.

use super::controls::END;
use super::state::{Mode, State};
use super::{Pair, pair};
use crate::control::{ExitControls, PinControls, PrimaryControls, SecondaryControls, TertiaryControls};
use crate::field;

const LONG: Mode = Mode::Long;

pub(super) fn pairs() -> Vec<Pair> {
    let threshold = |vtpr| {
        move |s: &mut State| {
            s.on(PrimaryControls::USE_TPR_SHADOW.control());
            s.put(field::VIRTUAL_APIC_ADDRESS, 0xa000);
            s.put(field::TPR_THRESHOLD, 5);
            s.world.memory.insert(0xa080, vtpr);
        }
    };
    vec![
        pair(
            "VMX-CTL-TPR-THRESHOLD-RESERVED",
            LONG,
            |s| {
                s.on(PrimaryControls::USE_TPR_SHADOW.control());
                s.put(field::TPR_THRESHOLD, 0x10);
            },
            |s| {
                s.virtual_interrupts();
                s.put(field::TPR_THRESHOLD, 0x10);
            },
        ),
        pair("VMX-CTL-TPR-THRESHOLD", LONG, threshold(0xffff_ff4f), threshold(0x50)),
        pair("VMX-CTL-TPR-THRESHOLD", LONG, threshold(0), move |s| {
            threshold(0)(s);
            s.on(SecondaryControls::VIRTUALIZE_APIC_ACCESSES.control());
        }),
        pair(
            "VMX-CTL-WITHOUT-TPR-SHADOW",
            LONG,
            |s| s.on(SecondaryControls::VIRTUALIZE_X2APIC_MODE.control()),
            |s| {
                s.on(SecondaryControls::VIRTUALIZE_X2APIC_MODE.control());
                s.on(PrimaryControls::USE_TPR_SHADOW.control());
            },
        ),
        pair(
            "VMX-CTL-WITHOUT-TPR-SHADOW",
            LONG,
            |s| s.on(TertiaryControls::IPI_VIRTUALIZATION.control()),
            |s| s.or(field::TERTIARY_CONTROLS, 1 << 4),
        ),
        pair(
            "VMX-CTL-X2APIC",
            LONG,
            |s| {
                s.on(PrimaryControls::USE_TPR_SHADOW.control());
                s.on(SecondaryControls::VIRTUALIZE_X2APIC_MODE.control());
                s.on(SecondaryControls::VIRTUALIZE_APIC_ACCESSES.control());
            },
            |s| s.on(SecondaryControls::VIRTUALIZE_APIC_ACCESSES.control()),
        ),
        pair(
            "VMX-CTL-VIRTUAL-INTERRUPTS",
            LONG,
            |s| {
                s.virtual_interrupts();
                s.off(PinControls::EXTERNAL_INTERRUPT_EXITING.control());
            },
            |s| s.virtual_interrupts(),
        ),
        pair(
            "VMX-CTL-POSTED-DELIVERY",
            LONG,
            |s| {
                s.posted_interrupts();
                s.off(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY.control());
            },
            |s| s.posted_interrupts(),
        ),
        pair(
            "VMX-CTL-POSTED-ACKNOWLEDGE",
            LONG,
            |s| {
                s.posted_interrupts();
                s.off(ExitControls::ACKNOWLEDGE_INTERRUPT_ON_EXIT.control());
            },
            |s| s.posted_interrupts(),
        ),
        pair("VMX-CTL-POSTED-VECTOR", LONG, posted(0x100, 0), posted(0xff, 0)),
        pair("VMX-CTL-POSTED-ALIGNMENT", LONG, posted(0, 0x1020), posted(0, 0x1040)),
        pair("VMX-CTL-POSTED-WIDTH", LONG, posted(0, END), posted(0, END - 64)),
        pair("VMX-CTL-IPI-TABLE", LONG, ipi(0x1004, 0), ipi(0x1008, 0)),
        pair("VMX-CTL-IPI-TABLE-END", LONG, ipi(END - 8, 1), ipi(END - 8, 0)),
        pair(
            "VMX-CTL-TIMER-VECTOR",
            LONG,
            |s| {
                s.timer();
                s.put(field::VIRTUAL_TIMER_VECTOR, 0x100);
            },
            |s| {
                s.timer();
                s.put(field::VIRTUAL_TIMER_VECTOR, 1);
            },
        ),
        pair(
            "VMX-CTL-TIMER-DELIVERY",
            LONG,
            |s| s.on(TertiaryControls::APIC_TIMER_VIRTUALIZATION.control()),
            |s| s.timer(),
        ),
        pair(
            "VMX-CTL-TIMER-RDTSC",
            LONG,
            |s| {
                s.timer();
                s.on(PrimaryControls::RDTSC_EXITING.control());
            },
            |s| s.on(PrimaryControls::RDTSC_EXITING.control()),
        ),
    ]
}

fn posted(vector: u64, descriptor: u64) -> impl Fn(&mut State) {
    move |s| {
        s.posted_interrupts();
        s.put(field::POSTED_INTERRUPT_NOTIFICATION_VECTOR, vector);
        s.put(field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS, descriptor);
    }
}

fn ipi(table: u64, last: u64) -> impl Fn(&mut State) {
    move |s| {
        s.on(PrimaryControls::USE_TPR_SHADOW.control());
        s.on(TertiaryControls::IPI_VIRTUALIZATION.control());
        s.put(field::PID_POINTER_TABLE_ADDRESS, table);
        s.put(field::LAST_PID_POINTER_INDEX, last);
    }
}
