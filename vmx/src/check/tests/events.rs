//! Injected events.

use super::state::{Mode, State};
use super::{Pair, pair};
use crate::control::ControlWord;
use crate::field;

const LONG: Mode = Mode::Long;

/// CR4.FRED.
const FRED: u64 = 1 << 32;

fn inject(information: u64) -> impl Fn(&mut State) {
    move |s| s.inject(information)
}

/// A software interrupt with an instruction length.
fn software(information: u64, length: u64) -> impl Fn(&mut State) {
    move |s| {
        s.inject(information);
        s.put(field::ENTRY_INSTRUCTION_LENGTH, length);
    }
}

/// A processor that injects error codes with just the exceptions that have one.
fn with_consistent_error_code(information: u64) -> impl Fn(&mut State) {
    move |s| {
        s.inject(information);
        s.raw.basic &= !(1 << 56);
    }
}

pub(super) fn pairs() -> Vec<Pair> {
    let flag = "VMX-ENTRY-EVENT-ERROR-CODE-FLAG";
    let monitor_trap = 1 << (32 + 27);
    assert_eq!(ControlWord::Primary.width(), 32);
    vec![
        pair("VMX-ENTRY-EVENT-TYPE", LONG, inject(0x8000_0120), inject(0x0000_0120)),
        pair(
            "VMX-ENTRY-EVENT-TYPE",
            LONG,
            move |s| {
                s.inject(0x8000_0700);
                s.raw.true_primary &= !monitor_trap;
                s.raw.cr4_fixed1 &= !FRED;
            },
            move |s| {
                s.inject(0x8000_0700);
                s.raw.cr4_fixed1 &= !FRED;
            },
        ),
        pair("VMX-ENTRY-EVENT-NMI-VECTOR", LONG, inject(0x8000_0203), inject(0x8000_0202)),
        pair("VMX-ENTRY-EVENT-EXCEPTION-VECTOR", LONG, inject(0x8000_0320), inject(0x8000_031f)),
        pair("VMX-ENTRY-EVENT-OTHER-VECTOR", LONG, inject(0x8000_0703), inject(0x8000_0700)),
        pair(
            "VMX-ENTRY-EVENT-MONITOR-TRAP",
            LONG,
            move |s| {
                s.inject(0x8000_0700);
                s.raw.true_primary &= !monitor_trap;
            },
            inject(0x8000_0700),
        ),
        pair("VMX-ENTRY-EVENT-FRED", LONG, software(0x8000_0701, 2), |s| {
            software(0x8000_0702, 2)(s);
            s.or(field::GUEST_CR4, FRED);
        }),
        pair(flag, LONG, software(0x8000_0c80, 2), software(0x8000_0480, 2)),
        pair(flag, LONG, with_consistent_error_code(0x8000_030d), with_consistent_error_code(0x8000_0b0d)),
        pair(flag, LONG, with_consistent_error_code(0x8000_0b06), with_consistent_error_code(0x8000_0306)),
        pair(flag, LONG, with_consistent_error_code(0x8000_0315), with_consistent_error_code(0x8000_0b15)),
        pair(flag, Mode::Real, inject(0x8000_0b0d), with_consistent_error_code(0x8000_030d)),
        pair("VMX-ENTRY-EVENT-RESERVED", LONG, inject(0x8000_4306), inject(0x0000_4306)),
        pair("VMX-ENTRY-EVENT-RESERVED", LONG, inject(0x8000_1306), inject(0x0000_1306)),
        pair(
            "VMX-ENTRY-EVENT-NESTED-SUPPORT",
            LONG,
            |s| {
                s.inject(0x8000_2306);
                s.raw.basic &= !(1 << 58);
            },
            inject(0x8000_2306),
        ),
        pair("VMX-ENTRY-EVENT-NESTED-TYPE", LONG, inject(0x8000_2202), inject(0x8000_2306)),
        pair(
            "VMX-ENTRY-EVENT-ERROR-CODE",
            LONG,
            |s| {
                s.inject(0x8000_0b0d);
                s.put(field::ENTRY_EXCEPTION_ERROR_CODE, 0x1_0000);
            },
            |s| {
                s.inject(0x8000_0b0d);
                s.put(field::ENTRY_EXCEPTION_ERROR_CODE, 0xffff);
            },
        ),
        pair(
            "VMX-ENTRY-EVENT-LENGTH-ZERO",
            LONG,
            |s| {
                s.inject(0x8000_0603);
                s.raw.misc &= !(1 << 30);
            },
            inject(0x8000_0603),
        ),
        pair("VMX-ENTRY-EVENT-LENGTH", LONG, software(0x8000_0501, 16), software(0x8000_0501, 15)),
        pair(
            "VMX-ENTRY-EVENT-TO-ROOT",
            LONG,
            |s| {
                s.return_to_root();
                s.inject(0x8000_0202);
            },
            |s| {
                s.return_to_guest();
                s.inject(0x8000_0202);
            },
        ),
    ]
}
