//! Host state.

use super::state::{CANONICAL_57, Mode, NOT_CANONICAL, State};
use super::{Pair, pair};
use crate::control::{Control, ExitControls, SecondaryExitControls};
use crate::field::{self, AccessClass, Field, FieldValue};

const LONG: Mode = Mode::Long;

/// A field with a value that counts while a control is 1, if there is one.
fn value<T: FieldValue + 'static, A: AccessClass + 'static>(
    control: Option<Control>,
    field: Field<T, A>,
    value: u64,
) -> impl Fn(&mut State) {
    move |s| {
        if control.is_some() {
            s.on(control);
        }
        s.put(field, value);
    }
}

/// A field that a control loads, with a wrong and a right value; without the control the wrong one is right, too.
fn loaded<T: FieldValue + 'static, A: AccessClass + 'static>(
    id: &'static str,
    control: Option<Control>,
    field: Field<T, A>,
    wrong: u64,
    right: u64,
) -> [Pair; 2] {
    [
        pair(id, LONG, value(control, field, wrong), value(control, field, right)),
        pair(id, LONG, value(control, field, wrong), value(None, field, wrong)),
    ]
}

pub(super) fn pairs() -> Vec<Pair> {
    [registers(), msrs(), segments(), modes()].into_iter().flatten().collect()
}

fn registers() -> Vec<Pair> {
    let end = 1 << 46;
    let cr0 = |value| move |s: &mut State| s.put(field::HOST_CR0, value);
    let cr3 = |value| move |s: &mut State| s.put(field::HOST_CR3, value);
    let cr4 = |value| move |s: &mut State| s.put(field::HOST_CR4, value);
    vec![
        pair("VMX-HOST-CR0-FIXED-0", LONG, cr0(0x8005_0013), cr0(0x8000_0021)),
        pair("VMX-HOST-CR0-FIXED-1", LONG, cr0(0x1_8005_0033), cr0(0xe005_0033)),
        pair("VMX-HOST-CR4-FIXED-0", LONG, cr4(0x20), cr4(0x2020)),
        pair("VMX-HOST-CR4-FIXED-1", LONG, cr4(0xa020), cr4(0x20_2020)),
        pair(
            "VMX-HOST-CR4-CET",
            LONG,
            |s| {
                s.or(field::HOST_CR4, 1 << 23);
                s.clear(field::HOST_CR0, 1 << 16);
            },
            |s| s.or(field::HOST_CR4, 1 << 23),
        ),
        pair("VMX-HOST-CR3", LONG, cr3(end), cr3((end - 0x1000) | 3 << 61)),
        pair(
            "VMX-HOST-CR3",
            LONG,
            move |s| {
                cr3(1 << 61)(s);
                s.raw.cr4_fixed1 &= !(1 << 28);
            },
            |s| s.raw.cr4_fixed1 &= !(1 << 28),
        ),
        pair(
            "VMX-HOST-SYSENTER-ESP",
            LONG,
            |s| s.put(field::HOST_IA32_SYSENTER_ESP, NOT_CANONICAL),
            |s| s.put(field::HOST_IA32_SYSENTER_ESP, CANONICAL_57),
        ),
        pair(
            "VMX-HOST-SYSENTER-EIP",
            LONG,
            |s| {
                s.put(field::HOST_IA32_SYSENTER_EIP, CANONICAL_57);
                s.raw.cr4_fixed1 &= !(1 << 12);
            },
            |s| s.put(field::HOST_IA32_SYSENTER_EIP, CANONICAL_57),
        ),
    ]
}

fn msrs() -> Vec<Pair> {
    let cet = ExitControls::LOAD_CET_STATE.control();
    let efer = ExitControls::LOAD_IA32_EFER.control();
    let fred = SecondaryExitControls::LOAD_FRED.control();
    #[cfg_attr(not(feature = "provisional"), expect(unused_mut, reason = "a rule is added"))]
    let mut pairs = vec![
        loaded(
            "VMX-HOST-PERF-GLOBAL-CTRL",
            ExitControls::LOAD_IA32_PERF_GLOBAL_CTRL.control(),
            field::HOST_IA32_PERF_GLOBAL_CTRL,
            0x100,
            0xf_0000_00ff,
        ),
        loaded(
            "VMX-HOST-PAT",
            ExitControls::LOAD_IA32_PAT.control(),
            field::HOST_IA32_PAT,
            0x0200_0000_0000_0000,
            0x0700_0605_0401_0000,
        ),
        loaded("VMX-HOST-EFER-RESERVED", efer, field::HOST_IA32_EFER, 0x1500, 0xd01),
        loaded("VMX-HOST-EFER-LMA", efer, field::HOST_IA32_EFER, 0x100, 0x500),
        loaded("VMX-HOST-EFER-LME", efer, field::HOST_IA32_EFER, 0x400, 0x500),
        loaded("VMX-HOST-S-CET-ADDRESS", cet, field::HOST_IA32_S_CET, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-HOST-S-CET-RESERVED", cet, field::HOST_IA32_S_CET, 0x40, 0x43f),
        loaded("VMX-HOST-S-CET-RESERVED", cet, field::HOST_IA32_S_CET, 0xc00, 0x800),
        loaded("VMX-HOST-SSP-ADDRESS", cet, field::HOST_SSP, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-HOST-SSP-ALIGNMENT", cet, field::HOST_SSP, 2, 4),
        loaded("VMX-HOST-SSP-TABLE", cet, field::HOST_IA32_INTERRUPT_SSP_TABLE_ADDR, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-HOST-PKRS", ExitControls::LOAD_PKRS.control(), field::HOST_IA32_PKRS, 1 << 32, 0xffff_ffff),
        loaded("VMX-HOST-FRED-CONFIG", fred, field::HOST_IA32_FRED_CONFIG, 0x20, 0x7cb),
        loaded("VMX-HOST-FRED-CONFIG", fred, field::HOST_IA32_FRED_CONFIG, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-HOST-FRED-RSP", fred, field::HOST_IA32_FRED_RSP1, 0x20, 0x40),
        loaded("VMX-HOST-FRED-RSP", fred, field::HOST_IA32_FRED_RSP2, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-HOST-FRED-RSP", fred, field::HOST_IA32_FRED_RSP3, 1, 0x40),
        loaded("VMX-HOST-FRED-SSP", fred, field::HOST_IA32_FRED_SSP1, 4, 8),
        loaded("VMX-HOST-FRED-SSP", fred, field::HOST_IA32_FRED_SSP2, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-HOST-FRED-SSP", fred, field::HOST_IA32_FRED_SSP3, 1, 8),
    ];
    #[cfg(feature = "provisional")]
    pairs.push(loaded(
        "VMX-HOST-SPEC-CTRL",
        SecondaryExitControls::LOAD_IA32_SPEC_CTRL.control(),
        field::HOST_IA32_SPEC_CTRL,
        8,
        7,
    ));
    pairs.into_iter().flatten().collect()
}

fn segments() -> Vec<Pair> {
    let selectors = [
        ("ES", field::HOST_ES_SELECTOR),
        ("CS", field::HOST_CS_SELECTOR),
        ("SS", field::HOST_SS_SELECTOR),
        ("DS", field::HOST_DS_SELECTOR),
        ("FS", field::HOST_FS_SELECTOR),
        ("GS", field::HOST_GS_SELECTOR),
        ("TR", field::HOST_TR_SELECTOR),
    ]
    .into_iter()
    .flat_map(|(name, field)| {
        [4, 3].map(|bits| {
            let id = format!("VMX-HOST-{name}-SELECTOR");
            pair(id, LONG, move |s| s.or(field, bits), move |s| s.or(field, 0xfff8))
        })
    });
    let bases = [
        ("FS", field::HOST_FS_BASE),
        ("GS", field::HOST_GS_BASE),
        ("GDTR", field::HOST_GDTR_BASE),
        ("IDTR", field::HOST_IDTR_BASE),
        ("TR", field::HOST_TR_BASE),
    ]
    .into_iter()
    .map(|(name, field)| {
        let id = format!("VMX-HOST-{name}-BASE");
        pair(id, LONG, move |s| s.put(field, NOT_CANONICAL), move |s| s.put(field, CANONICAL_57))
    });
    let null = [
        pair("VMX-HOST-CS-NULL", LONG, |s| s.put(field::HOST_CS_SELECTOR, 0), |_| {}),
        pair("VMX-HOST-TR-NULL", LONG, |s| s.put(field::HOST_TR_SELECTOR, 0), |_| {}),
        pair(
            "VMX-HOST-SS-NULL",
            Mode::Protected,
            |s| {
                s.host_32();
                s.put(field::HOST_SS_SELECTOR, 0);
                s.put(field::HOST_GDTR_BASE, 0);
            },
            |s| s.put(field::HOST_SS_SELECTOR, 0),
        ),
    ];
    selectors.chain(bases).chain(null).collect()
}

fn modes() -> Vec<Pair> {
    let protected = Mode::Protected;
    fn host_32<T: FieldValue>(field: Field<T, field::Sensitive>, value: u64) -> impl Fn(&mut State) + Copy {
        move |s: &mut State| {
            s.host_32();
            s.on(ExitControls::LOAD_CET_STATE.control());
            s.put(field, value);
        }
    }
    let host_32_cr4 = |bits| {
        move |s: &mut State| {
            s.host_32();
            s.or(field::HOST_CR4, bits);
        }
    };
    let mut guest = pair("VMX-HOST-MODE-GUEST", LONG, State::host_32, |_| {});
    // The manual lists both.
    guest.with = &["VMX-HOST-MODE-32"];
    vec![
        guest,
        pair(
            "VMX-HOST-MODE-NO-INTEL-64",
            protected,
            |s| {
                s.entry.intel_64 = false;
                s.entry.is_ia32e = false;
            },
            |s| {
                s.host_32();
                s.entry.intel_64 = false;
            },
        ),
        pair(
            "VMX-HOST-MODE-IA32E",
            protected,
            |s| {
                s.host_32();
                s.entry.is_ia32e = true;
            },
            |_| {},
        ),
        pair("VMX-HOST-MODE-32", protected, |s| s.entry.is_ia32e = false, State::host_32),
        pair("VMX-HOST-MODE-PCIDE", protected, host_32_cr4(1 << 17), |s| s.or(field::HOST_CR4, 1 << 17)),
        pair("VMX-HOST-MODE-FRED", protected, host_32_cr4(1 << 32), |s| s.or(field::HOST_CR4, 1 << 32)),
        pair(
            "VMX-HOST-MODE-RIP-32",
            protected,
            host_32(field::HOST_RIP, 1 << 32),
            host_32(field::HOST_RIP, 0xffff_ffff),
        ),
        pair(
            "VMX-HOST-MODE-S-CET",
            protected,
            host_32(field::HOST_IA32_S_CET, 1 << 32),
            host_32(field::HOST_IA32_S_CET, 0xffff_f000),
        ),
        pair("VMX-HOST-MODE-SSP", protected, host_32(field::HOST_SSP, 1 << 32), host_32(field::HOST_SSP, 0xffff_fffc)),
        pair("VMX-HOST-MODE-PAE", LONG, |s| s.clear(field::HOST_CR4, 0x20), |_| {}),
        pair(
            "VMX-HOST-MODE-RIP-64",
            LONG,
            |s| s.put(field::HOST_RIP, CANONICAL_57),
            |s| {
                s.put(field::HOST_RIP, CANONICAL_57);
                s.or(field::HOST_CR4, 1 << 12);
            },
        ),
        pair(
            "VMX-HOST-MODE-RIP-64",
            LONG,
            |s| {
                s.put(field::HOST_RIP, NOT_CANONICAL);
                s.or(field::HOST_CR4, 1 << 12);
            },
            |s| s.put(field::HOST_RIP, 0x7fff_ffff_ffff),
        ),
    ]
}
