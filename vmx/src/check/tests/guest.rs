//! Guest registers and tables.

use super::state::{CANONICAL_57, Mode, NOT_CANONICAL, State};
use super::{Pair, pair};
use crate::control::{Control, EntryControls, SecondaryControls};
use crate::field::{self, AccessClass, Field, FieldValue};

const LONG: Mode = Mode::Long;

/// Bits of CR4.
const CET: u64 = 1 << 23;
const FRED: u64 = 1 << 32;
const PCIDE: u64 = 1 << 17;

/// A field that a control loads, with a wrong and a right value; without the control the wrong one is right, too.
fn loaded<T: FieldValue + 'static, A: AccessClass + 'static>(
    id: &'static str,
    control: Option<Control>,
    field: Field<T, A>,
    wrong: u64,
    right: u64,
) -> [Pair; 2] {
    let with = move |value| {
        move |s: &mut State| {
            s.on(control);
            s.put(field, value);
        }
    };
    [pair(id, LONG, with(wrong), with(right)), pair(id, LONG, with(wrong), move |s| s.put(field, wrong))]
}

/// A field with a wrong and a right value.
fn value<T: FieldValue + 'static, A: AccessClass + 'static>(
    id: &'static str,
    mode: Mode,
    field: Field<T, A>,
    wrong: u64,
    right: u64,
) -> Pair {
    pair(id, mode, move |s| s.put(field, wrong), move |s| s.put(field, right))
}

pub(super) fn pairs() -> Vec<Pair> {
    [registers(), msrs(), tables(), page_directories()].into_iter().flatten().collect()
}

fn registers() -> Vec<Pair> {
    let end = 1 << 46;
    let debug = EntryControls::LOAD_DEBUG_CONTROLS.control();
    let mut pairs = vec![
        value("VMX-GUEST-CR0-FIXED-0", LONG, field::GUEST_CR0, 0x8001_0011, 0x8000_0021),
        value("VMX-GUEST-CR0-FIXED-0", Mode::Protected, field::GUEST_CR0, 0x21, 0x8000_0021),
        pair(
            "VMX-GUEST-CR0-FIXED-0",
            Mode::ProtectedUnrestricted,
            |s| s.put(field::GUEST_CR0, 1),
            |s| {
                s.put(field::GUEST_CR0, 0x21);
            },
        ),
        value("VMX-GUEST-CR0-FIXED-1", LONG, field::GUEST_CR0, 0x1_8001_0031, 0xe001_0031),
        value("VMX-GUEST-CR0-PG", Mode::Real, field::GUEST_CR0, 0x8000_0020, 0x6000_0020),
        value("VMX-GUEST-CR4-FIXED-0", LONG, field::GUEST_CR4, 0x20, 0x2020),
        value("VMX-GUEST-CR4-FIXED-1", LONG, field::GUEST_CR4, 0xa020, 0x20_2020),
        pair(
            "VMX-GUEST-CR4-CET",
            LONG,
            |s| {
                s.or(field::GUEST_CR4, CET);
                s.clear(field::GUEST_CR0, 1 << 16);
            },
            |s| s.or(field::GUEST_CR4, CET),
        ),
        pair(
            "VMX-GUEST-CR4-FRED",
            Mode::Protected,
            |s| {
                s.at_level(3);
                s.or(field::GUEST_CR4, FRED);
            },
            |s| s.at_level(3),
        ),
        pair(
            "VMX-GUEST-IA32E-PG",
            Mode::LongUnrestricted,
            |s| s.put(field::GUEST_CR0, 0x21),
            |s| s.put(field::GUEST_CR0, 0x8000_0021),
        ),
        value("VMX-GUEST-IA32E-PAE", LONG, field::GUEST_CR4, 0x2000, 0x2020),
        value("VMX-GUEST-CR4-PCIDE", Mode::Protected, field::GUEST_CR4, 0x2000 | PCIDE, 0x2000),
        value("VMX-GUEST-CR3", LONG, field::GUEST_CR3, end, (end - 0x1000) | 3 << 61),
        value("VMX-GUEST-SYSENTER-ESP", LONG, field::GUEST_IA32_SYSENTER_ESP, NOT_CANONICAL, CANONICAL_57),
        value("VMX-GUEST-SYSENTER-EIP", LONG, field::GUEST_IA32_SYSENTER_EIP, NOT_CANONICAL, CANONICAL_57),
    ];
    pairs.extend(loaded("VMX-GUEST-DEBUGCTL", debug, field::GUEST_IA32_DEBUGCTL, 0x20, 0xffc7));
    pairs.extend(loaded("VMX-GUEST-DR7", debug, field::GUEST_DR7, 1 << 32 | 0x400, 0xffff_ffff));
    pairs
}

fn msrs() -> Vec<Pair> {
    let cet = EntryControls::LOAD_CET_STATE.control();
    let efer = EntryControls::LOAD_IA32_EFER.control();
    let fred = EntryControls::LOAD_FRED.control();
    let bndcfgs = EntryControls::LOAD_IA32_BNDCFGS.control();
    #[cfg_attr(not(feature = "provisional"), expect(unused_mut, reason = "a rule is added"))]
    let mut pairs = vec![
        loaded("VMX-GUEST-S-CET-ADDRESS", cet, field::GUEST_IA32_S_CET, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-GUEST-S-CET-RESERVED", cet, field::GUEST_IA32_S_CET, 0x200, 0x43f),
        loaded("VMX-GUEST-S-CET-RESERVED", cet, field::GUEST_IA32_S_CET, 0xc00, 0x800),
        loaded("VMX-GUEST-SSP-TABLE", cet, field::GUEST_IA32_INTERRUPT_SSP_TABLE_ADDR, NOT_CANONICAL, CANONICAL_57),
        // RIP and SSP may be off by one bit.
        loaded("VMX-GUEST-SSP-ADDRESS", cet, field::GUEST_SSP, 1 << 57, 1 << 56),
        loaded("VMX-GUEST-SSP-ALIGNMENT", cet, field::GUEST_SSP, 2, 4),
        loaded(
            "VMX-GUEST-PERF-GLOBAL-CTRL",
            EntryControls::LOAD_IA32_PERF_GLOBAL_CTRL.control(),
            field::GUEST_IA32_PERF_GLOBAL_CTRL,
            0x100,
            0xff,
        ),
        loaded("VMX-GUEST-PAT", EntryControls::LOAD_IA32_PAT.control(), field::GUEST_IA32_PAT, 3, 4),
        loaded("VMX-GUEST-EFER-RESERVED", efer, field::GUEST_IA32_EFER, 0x1500, 0xd01),
        loaded("VMX-GUEST-EFER-LMA", efer, field::GUEST_IA32_EFER, 0, 0x500),
        loaded("VMX-GUEST-EFER-LME", efer, field::GUEST_IA32_EFER, 0x400, 0x500),
        loaded("VMX-GUEST-BNDCFGS-RESERVED", bndcfgs, field::GUEST_IA32_BNDCFGS, 4, 3),
        loaded("VMX-GUEST-BNDCFGS-ADDRESS", bndcfgs, field::GUEST_IA32_BNDCFGS, NOT_CANONICAL, CANONICAL_57),
        loaded(
            "VMX-GUEST-RTIT-CTL",
            EntryControls::LOAD_IA32_RTIT_CTL.control(),
            field::GUEST_IA32_RTIT_CTL,
            1 << 18,
            0x3fff,
        ),
        loaded(
            "VMX-GUEST-LBR-CTL",
            EntryControls::LOAD_IA32_LBR_CTL.control(),
            field::GUEST_IA32_LBR_CTL,
            0x10,
            0x7f_000f,
        ),
        loaded("VMX-GUEST-PKRS", EntryControls::LOAD_PKRS.control(), field::GUEST_IA32_PKRS, 1 << 32, 0xffff_ffff),
        loaded("VMX-GUEST-UINV", EntryControls::LOAD_UINV.control(), field::GUEST_UINV, 0x100, 0xff),
        loaded("VMX-GUEST-FRED-CONFIG", fred, field::GUEST_IA32_FRED_CONFIG, 0x800, 0x7cb),
        loaded("VMX-GUEST-FRED-CONFIG", fred, field::GUEST_IA32_FRED_CONFIG, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-GUEST-FRED-RSP", fred, field::GUEST_IA32_FRED_RSP1, 0x20, 0x40),
        loaded("VMX-GUEST-FRED-RSP", fred, field::GUEST_IA32_FRED_RSP2, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-GUEST-FRED-RSP", fred, field::GUEST_IA32_FRED_RSP3, 1, 0x40),
        loaded("VMX-GUEST-FRED-SSP", fred, field::GUEST_IA32_FRED_SSP1, 4, 8),
        loaded("VMX-GUEST-FRED-SSP", fred, field::GUEST_IA32_FRED_SSP2, NOT_CANONICAL, CANONICAL_57),
        loaded("VMX-GUEST-FRED-SSP", fred, field::GUEST_IA32_FRED_SSP3, 1, 8),
    ];
    #[cfg(feature = "provisional")]
    pairs.push(loaded(
        "VMX-GUEST-SPEC-CTRL",
        EntryControls::LOAD_IA32_SPEC_CTRL.control(),
        field::GUEST_IA32_SPEC_CTRL,
        8,
        7,
    ));
    pairs.into_iter().flatten().collect()
}

fn tables() -> Vec<Pair> {
    vec![
        value("VMX-GUEST-GDTR-BASE", LONG, field::GUEST_GDTR_BASE, NOT_CANONICAL, CANONICAL_57),
        value("VMX-GUEST-IDTR-BASE", LONG, field::GUEST_IDTR_BASE, NOT_CANONICAL, CANONICAL_57),
        value("VMX-GUEST-GDTR-LIMIT", LONG, field::GUEST_GDTR_LIMIT, 0x1_0000, 0xffff),
        value("VMX-GUEST-IDTR-LIMIT", LONG, field::GUEST_IDTR_LIMIT, 0x1_0000, 0xffff),
        value("VMX-GUEST-RIP-32", Mode::Protected, field::GUEST_RIP, 1 << 32, 0xffff_ffff),
        pair(
            "VMX-GUEST-RIP-32",
            LONG,
            |s| {
                s.put(field::GUEST_CS_ACCESS_RIGHTS, 0xc09b);
                s.put(field::GUEST_RIP, 1 << 32);
            },
            |s| s.put(field::GUEST_RIP, 1 << 32),
        ),
        value("VMX-GUEST-RIP-64", LONG, field::GUEST_RIP, 1 << 57, 1 << 56),
        pair(
            "VMX-GUEST-RIP-64",
            LONG,
            |s| {
                s.raw.cr4_fixed1 &= !(1 << 12);
                s.put(field::GUEST_RIP, 1 << 48);
            },
            |s| {
                s.raw.cr4_fixed1 &= !(1 << 12);
                s.put(field::GUEST_RIP, 1 << 47);
            },
        ),
        value("VMX-GUEST-RFLAGS-RESERVED", LONG, field::GUEST_RFLAGS, 0xa, 0x25_4ed7),
        value("VMX-GUEST-RFLAGS-RESERVED", LONG, field::GUEST_RFLAGS, 1 << 22 | 2, 1 << 21 | 2),
        value("VMX-GUEST-RFLAGS-ONE", LONG, field::GUEST_RFLAGS, 0, 2),
        value("VMX-GUEST-RFLAGS-VM", Mode::Virtual8086Unrestricted, field::GUEST_CR0, 0x30, 0x31),
        pair(
            "VMX-GUEST-RFLAGS-IF",
            LONG,
            |s| s.inject(0x8000_0020),
            |s| {
                s.inject(0x8000_0020);
                s.or(field::GUEST_RFLAGS, 0x200);
            },
        ),
    ]
}

fn page_directories() -> Vec<Pair> {
    let end = 1 << 46;
    let without_ept = |value| {
        move |s: &mut State| {
            s.off(SecondaryControls::ENABLE_EPT.control());
            s.put(field::GUEST_CR3, 0x2018);
            s.world.memory.insert(0x2010, value);
        }
    };
    vec![
        value("VMX-GUEST-PDPTE", Mode::Pae, field::GUEST_PDPTE0, 0x3003, 0x3002),
        value("VMX-GUEST-PDPTE", Mode::PaeUnrestricted, field::GUEST_PDPTE3, 0x3021, 0x3019),
        value("VMX-GUEST-PDPTE", Mode::Pae, field::GUEST_PDPTE2, end | 1, (end - 0x1000) | 1),
        value("VMX-GUEST-PDPTE", Mode::Pae, field::GUEST_PDPTE1, 1 << 63 | 1, 1 << 63),
        pair(
            "VMX-GUEST-PDPTE-MEMORY",
            Mode::Pae,
            |s| {
                s.off(SecondaryControls::ENABLE_EPT.control());
                s.world.memory.insert(0x2010, 0x3003);
            },
            move |s| {
                without_ept(0x3002)(s);
                s.put(field::GUEST_CR3, 0x2000);
            },
        ),
    ]
}
