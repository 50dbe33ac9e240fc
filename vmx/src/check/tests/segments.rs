//! Guest segment registers.

use x86_virt_core::SegmentRegister;

use super::state::{CANONICAL_57, Mode, NOT_CANONICAL, State};
use super::{Pair, pair};
use crate::check::guest::segment_fields;
use crate::control::SecondaryControls;
use crate::field;
use crate::segment::SegmentFields;

const LONG: Mode = Mode::Long;

/// An accessed data segment, an accessed readable code segment of 64 bits, the same with 32 bits.
const DATA: u64 = 0xc093;
const CODE: u64 = 0xa09b;
const CODE_32: u64 = 0xc09b;

/// CR4.FRED.
const FRED: u64 = 1 << 32;

const CODE_OR_DATA: [(&str, SegmentRegister); 6] = [
    ("CS", SegmentRegister::Cs),
    ("SS", SegmentRegister::Ss),
    ("DS", SegmentRegister::Ds),
    ("ES", SegmentRegister::Es),
    ("FS", SegmentRegister::Fs),
    ("GS", SegmentRegister::Gs),
];

/// The registers that hold data.
const DATA_ONLY: [(&str, SegmentRegister); 4] = [
    ("DS", SegmentRegister::Ds),
    ("ES", SegmentRegister::Es),
    ("FS", SegmentRegister::Fs),
    ("GS", SegmentRegister::Gs),
];

fn id(name: &str, suffix: &str) -> String {
    format!("VMX-GUEST-SEG-{name}-{suffix}")
}

pub(super) fn pairs() -> Vec<Pair> {
    [virtual_8086(), bases(), rights(), data(), privilege(), fred(), code(), task(), local()]
        .into_iter()
        .flatten()
        .collect()
}

/// Changes the access rights of a register.
fn change(register: SegmentRegister, clear: u64, set: u64) -> impl Fn(&mut State) {
    let SegmentFields { rights, .. } = segment_fields(register);
    move |s| {
        s.clear(rights, clear);
        s.or(rights, set);
    }
}

fn virtual_8086() -> Vec<Pair> {
    let modes = [Mode::Virtual8086, Mode::Virtual8086Unrestricted];
    let every = modes.into_iter().flat_map(|mode| CODE_OR_DATA.map(|(name, register)| (mode, name, register)));
    every
        .flat_map(|(mode, name, register)| {
            let SegmentFields { selector, limit, base, .. } = segment_fields(register);
            [
                pair(
                    id(name, "V86-BASE"),
                    mode,
                    move |s| s.put(selector, 0x1234),
                    move |s| {
                        s.put(selector, 0x1234);
                        s.put(base, 0x1_2340);
                    },
                ),
                pair(id(name, "V86-LIMIT"), mode, move |s| s.put(limit, 0xf_ffff), |_| {}),
                pair(id(name, "V86-RIGHTS"), mode, change(register, 3 << 5, 0), |_| {}),
            ]
        })
        .collect()
}

fn bases() -> Vec<Pair> {
    let usable = |register| {
        let SegmentFields { base, .. } = segment_fields(register);
        (
            move |s: &mut State| s.put(base, 1 << 32),
            move |s: &mut State| {
                s.put(base, 1 << 32);
                change(register, 0, 1 << 16)(s);
            },
        )
    };
    let mut pairs = vec![
        pair(
            id("CS", "BASE"),
            LONG,
            |s| s.put(field::GUEST_CS_BASE, 1 << 32),
            |s| s.put(field::GUEST_CS_BASE, 0xffff_ffff),
        ),
        pair(
            id("LDTR", "BASE"),
            LONG,
            |s| {
                s.put(field::GUEST_LDTR_ACCESS_RIGHTS, 0x82);
                s.put(field::GUEST_LDTR_BASE, NOT_CANONICAL);
            },
            |s| s.put(field::GUEST_LDTR_BASE, NOT_CANONICAL),
        ),
        pair(id("TR", "SELECTOR"), LONG, |s| s.or(field::GUEST_TR_SELECTOR, 4), |s| s.or(field::GUEST_TR_SELECTOR, 3)),
        pair(
            id("LDTR", "SELECTOR"),
            LONG,
            |s| {
                s.put(field::GUEST_LDTR_ACCESS_RIGHTS, 0x82);
                s.put(field::GUEST_LDTR_SELECTOR, 4);
            },
            |s| s.put(field::GUEST_LDTR_SELECTOR, 4),
        ),
    ];
    for (name, register) in [("SS", SegmentRegister::Ss), ("DS", SegmentRegister::Ds), ("ES", SegmentRegister::Es)] {
        let (breaks, keeps) = usable(register);
        pairs.push(pair(id(name, "BASE"), LONG, breaks, keeps));
    }
    for (name, register) in [("TR", SegmentRegister::Tr), ("FS", SegmentRegister::Fs), ("GS", SegmentRegister::Gs)] {
        let SegmentFields { base, .. } = segment_fields(register);
        let put = move |value| move |s: &mut State| s.put(base, value);
        pairs.push(pair(id(name, "BASE"), LONG, put(NOT_CANONICAL), put(CANONICAL_57)));
    }
    pairs
}

/// S, P, reserved bits and G of all registers.
fn rights() -> Vec<Pair> {
    CODE_OR_DATA
        .into_iter()
        .flat_map(|(name, register)| {
            let SegmentFields { limit, .. } = segment_fields(register);
            [
                pair(id(name, "S"), LONG, change(register, 0x10, 0), |_| {}),
                pair(id(name, "P"), LONG, change(register, 0x80, 0), |_| {}),
                pair(id(name, "RESERVED"), LONG, change(register, 0, 0x800), change(register, 0, 0x1000)),
                pair(id(name, "RESERVED"), LONG, change(register, 0, 1 << 31), |_| {}),
                pair(id(name, "G"), LONG, change(register, 1 << 15, 0), move |s| {
                    change(register, 1 << 15, 0)(s);
                    s.put(limit, 0xf_ffff);
                }),
                pair(id(name, "G"), LONG, move |s| s.put(limit, 0xf_fffe), move |s| s.put(limit, 0xfff)),
                pair(id(name, "G"), LONG, move |s| s.put(limit, 0xffff_fffe), |_| {}),
            ]
        })
        .collect()
}

/// What holds for DS, ES, FS and GS if they are usable.
fn data() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (name, register) in DATA_ONLY {
        let SegmentFields { selector, .. } = segment_fields(register);
        pairs.push(pair(id(name, "TYPE"), LONG, change(register, 0xf, 2), change(register, 0xf, 1)));
        pairs.push(pair(id(name, "TYPE"), LONG, change(register, 0xf, 9), change(register, 0xf, 11)));
        // Nothing of an unusable register counts.
        pairs.push(pair(id(name, "TYPE"), LONG, change(register, 0xf, 0), change(register, 0x20ff, 0x1_0f00)));
        pairs.push(pair(
            id(name, "DPL"),
            LONG,
            move |s| s.put(selector, 3),
            move |s| {
                s.put(selector, 3);
                change(register, 0, 3 << 5)(s);
            },
        ));
        pairs.push(pair(
            id(name, "DPL"),
            LONG,
            move |s| s.put(selector, 1),
            move |s| {
                s.put(selector, 1);
                change(register, 0xf, 15)(s);
            },
        ));
        pairs.push(pair(
            id(name, "DPL"),
            LONG,
            move |s| s.put(selector, 2),
            move |s| {
                s.put(selector, 2);
                s.on(SecondaryControls::UNRESTRICTED_GUEST.control());
            },
        ));
    }
    pairs
}

/// Sets the access rights of CS and SS.
fn code_and_stack(code: u64, stack: u64) -> impl Fn(&mut State) {
    move |s| {
        s.put(field::GUEST_CS_ACCESS_RIGHTS, code);
        s.put(field::GUEST_SS_ACCESS_RIGHTS, stack);
    }
}

fn privilege() -> Vec<Pair> {
    let selectors = |code: u64, stack: u64| {
        move |s: &mut State| {
            // Conforming code of level 0 on a stack of level 1.
            code_and_stack(CODE | 4, DATA | 1 << 5)(s);
            s.put(field::GUEST_CS_SELECTOR, code);
            s.put(field::GUEST_SS_SELECTOR, stack);
        }
    };
    let unrestricted = Mode::ProtectedUnrestricted;
    vec![
        pair(id("SS", "SELECTOR"), LONG, selectors(8, 0x11), selectors(9, 0x11)),
        pair(id("SS", "SELECTOR"), LONG, selectors(8, 0x11), move |s| {
            selectors(8, 0x11)(s);
            s.on(SecondaryControls::UNRESTRICTED_GUEST.control());
        }),
        pair(id("SS", "DPL-RPL"), LONG, selectors(8, 0x10), selectors(9, 0x11)),
        pair(id("CS", "TYPE"), LONG, change(SegmentRegister::Cs, 0xf, 8), change(SegmentRegister::Cs, 0xf, 9)),
        pair(id("CS", "TYPE"), LONG, change(SegmentRegister::Cs, 0xf, 3), |_| {}),
        pair(id("CS", "TYPE"), Mode::Real, change(SegmentRegister::Cs, 0xf, 2), change(SegmentRegister::Cs, 0xf, 3)),
        pair(id("SS", "TYPE"), LONG, change(SegmentRegister::Ss, 0xf, 1), change(SegmentRegister::Ss, 0xf, 7)),
        pair(id("SS", "TYPE"), LONG, change(SegmentRegister::Ss, 0xf, 11), change(SegmentRegister::Ss, 0xf, 1 << 16)),
        pair(id("CS", "DPL-DATA"), unrestricted, code_and_stack(DATA | 3 << 5, DATA), code_and_stack(DATA, DATA)),
        pair(id("CS", "DPL"), LONG, code_and_stack(CODE | 3 << 5, DATA), |s| s.at_level(3)),
        pair(id("CS", "DPL-CONFORMING"), LONG, code_and_stack(CODE | 4 | 1 << 5, DATA), code_and_stack(CODE | 4, DATA)),
        pair(
            id("SS", "DPL"),
            unrestricted,
            code_and_stack(DATA, DATA | 3 << 5),
            code_and_stack(CODE_32 | 3 << 5, DATA | 3 << 5),
        ),
        pair(id("SS", "DPL"), Mode::Real, code_and_stack(0xfb, 0xf3), code_and_stack(0x9b, 0x93)),
    ]
}

fn fred() -> Vec<Pair> {
    let at_level = |level| {
        move |s: &mut State| {
            s.at_level(level);
            s.or(field::GUEST_CR4, FRED);
        }
    };
    vec![
        pair(id("SS", "FRED"), LONG, at_level(1), at_level(3)),
        pair(
            id("SS", "FRED-USER"),
            LONG,
            move |s| {
                at_level(3)(s);
                s.or(field::GUEST_RFLAGS, 1 << 12);
            },
            move |s| {
                at_level(0)(s);
                s.or(field::GUEST_RFLAGS, 3 << 12);
            },
        ),
        pair(
            id("SS", "FRED-SUPERVISOR"),
            LONG,
            move |s| {
                s.put(field::GUEST_CS_ACCESS_RIGHTS, CODE_32);
                at_level(0)(s);
            },
            move |s| {
                s.put(field::GUEST_CS_ACCESS_RIGHTS, CODE_32);
                at_level(3)(s);
            },
        ),
    ]
}

fn code() -> Vec<Pair> {
    let cs = |value| move |s: &mut State| s.put(field::GUEST_CS_ACCESS_RIGHTS, value);
    vec![
        pair(id("CS", "D"), LONG, cs(0xe09b), cs(0xc09b)),
        // L means nothing outside of IA-32e mode.
        pair(id("CS", "D"), LONG, cs(0xe09b), cs(0x809b)),
    ]
}

fn task() -> Vec<Pair> {
    let tr = |value| move |s: &mut State| s.put(field::GUEST_TR_ACCESS_RIGHTS, value);
    let limit = |value| move |s: &mut State| s.put(field::GUEST_TR_LIMIT, value);
    vec![
        pair(id("TR", "TYPE"), LONG, tr(0x83), tr(0x8b)),
        pair(id("TR", "TYPE"), Mode::Protected, tr(0x89), tr(0x83)),
        pair(id("TR", "S"), LONG, tr(0x9b), tr(0xeb)),
        pair(id("TR", "P"), LONG, tr(0xb), tr(0x8b)),
        pair(id("TR", "RESERVED"), LONG, tr(0x18b), tr(0x708b)),
        pair(id("TR", "G"), LONG, tr(0x808b), limit(0xfff)),
        pair(id("TR", "G"), LONG, limit(0x10_0fff), move |s| {
            tr(0x808b)(s);
            limit(0x10_0fff)(s);
        }),
        pair(id("TR", "USABLE"), LONG, tr(0x1_008b), tr(0x8b)),
    ]
}

fn local() -> Vec<Pair> {
    let ldtr = |value, limit| {
        move |s: &mut State| {
            s.put(field::GUEST_LDTR_ACCESS_RIGHTS, value);
            s.put(field::GUEST_LDTR_LIMIT, limit);
        }
    };
    vec![
        pair(id("LDTR", "TYPE"), LONG, ldtr(0x83, 7), ldtr(0x82, 7)),
        pair(id("LDTR", "S"), LONG, ldtr(0x92, 7), ldtr(0x1_0092, 7)),
        pair(id("LDTR", "P"), LONG, ldtr(0x2, 7), ldtr(0x1_0002, 7)),
        pair(id("LDTR", "RESERVED"), LONG, ldtr(0x182, 7), ldtr(0x1_0182, 7)),
        pair(id("LDTR", "G"), LONG, ldtr(0x8082, 7), ldtr(0x8082, 0xfff)),
        pair(id("LDTR", "G"), LONG, ldtr(0x82, 0xffff_ffff), ldtr(0x8082, 0xffff_ffff)),
    ]
}
