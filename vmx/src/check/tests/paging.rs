//! Extended page tables, and what needs them.

use super::controls::END;
use super::state::{Mode, State};
use super::{Pair, pair};
use crate::control::{Control, SecondaryControls, TertiaryControls, VmFunctionControls};
use crate::field;

const LONG: Mode = Mode::Long;

/// A control that needs EPT, with it and without.
fn needs_ept(id: &'static str, control: Option<Control>) -> Pair {
    pair(
        id,
        LONG,
        move |s| {
            s.on(control);
            s.off(SecondaryControls::ENABLE_EPT.control());
        },
        move |s| s.on(control),
    )
}

pub(super) fn pairs() -> Vec<Pair> {
    let eptp = |value| move |s: &mut State| s.put(field::EPT_POINTER, value);
    let hlat = |value| {
        move |s: &mut State| {
            s.on(TertiaryControls::ENABLE_HLAT.control());
            s.put(field::HLAT_POINTER, value);
        }
    };
    vec![
        pair("VMX-CTL-EPTP-MEMORY-TYPE", LONG, eptp(0x1234_5019), eptp(0x1234_5018)),
        pair(
            "VMX-CTL-EPTP-MEMORY-TYPE",
            LONG,
            |s| s.raw.ept_vpid &= !(1 << 14),
            move |s| {
                eptp(0x1234_5018)(s);
                s.raw.ept_vpid &= !(1 << 14);
            },
        ),
        pair("VMX-CTL-EPTP-WALK-LENGTH", LONG, eptp(0x1234_5016), eptp(0x1234_5026)),
        pair("VMX-CTL-EPTP-WALK-LENGTH", LONG, |s| s.raw.ept_vpid &= !(1 << 6), |s| s.raw.ept_vpid &= !(1 << 7)),
        pair(
            "VMX-CTL-EPTP-ACCESSED-DIRTY",
            LONG,
            move |s| {
                eptp(0x1234_505e)(s);
                s.raw.ept_vpid &= !(1 << 21);
            },
            eptp(0x1234_505e),
        ),
        pair("VMX-CTL-EPTP-RESERVED", LONG, eptp(0x1234_511e), eptp(0x1234_509e)),
        pair(
            "VMX-CTL-EPTP-RESERVED",
            LONG,
            move |s| {
                eptp(0x1234_509e)(s);
                s.raw.ept_vpid &= !(1 << 23);
            },
            |s| s.raw.ept_vpid &= !(1 << 23),
        ),
        pair("VMX-CTL-EPTP-WIDTH", LONG, eptp(END | 0x1e), eptp((END - 0x1000) | 0x1e)),
        needs_ept("VMX-CTL-PML-EPT", SecondaryControls::ENABLE_PML.control()),
        needs_ept("VMX-CTL-UNRESTRICTED-EPT", SecondaryControls::UNRESTRICTED_GUEST.control()),
        needs_ept("VMX-CTL-MODE-BASED-EPT", SecondaryControls::MODE_BASED_EXECUTE_CONTROL.control()),
        needs_ept("VMX-CTL-SPP-EPT", SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS.control()),
        needs_ept("VMX-CTL-EPTP-SWITCHING-EPT", VmFunctionControls::EPTP_SWITCHING.control()),
        needs_ept("VMX-CTL-HLAT-EPT", TertiaryControls::ENABLE_HLAT.control()),
        needs_ept("VMX-CTL-PAGING-WRITE-EPT", TertiaryControls::EPT_PAGING_WRITE_CONTROL.control()),
        needs_ept("VMX-CTL-PAGING-VERIFICATION-EPT", TertiaryControls::GUEST_PAGING_VERIFICATION.control()),
        needs_ept("VMX-CTL-PEBS-EPT", TertiaryControls::PEBS_USES_GUEST_PHYSICAL_ADDRESSES.control()),
        pair("VMX-CTL-HLAT-POINTER", LONG, hlat(0x1020), hlat(0x1018)),
        pair("VMX-CTL-HLAT-POINTER", LONG, hlat(END), hlat(END - 0x1000)),
        pair(
            "VMX-CTL-SEAM-EPT",
            LONG,
            |s| {
                s.entry.in_seam = true;
                s.off(SecondaryControls::ENABLE_EPT.control());
            },
            |s| s.entry.in_seam = true,
        ),
        pair(
            "VMX-CTL-SEAM-SHARED-EPTP",
            LONG,
            |s| {
                s.entry.in_seam = true;
                s.put(field::SHARED_EPT_POINTER, 0x1001);
            },
            |s| s.put(field::SHARED_EPT_POINTER, 0x1001),
        ),
        pair(
            "VMX-CTL-VPID",
            LONG,
            |s| s.on(SecondaryControls::ENABLE_VPID.control()),
            |s| {
                s.on(SecondaryControls::ENABLE_VPID.control());
                s.put(field::VIRTUAL_PROCESSOR_ID, 1);
            },
        ),
    ]
}
