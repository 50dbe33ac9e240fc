//! Guest state that is in no register.

use super::state::{CURRENT, LINKED, Mode, REVISION, State};
use super::{Pair, pair};
use crate::control::{PinControls, SecondaryControls};
use crate::field;

const LONG: Mode = Mode::Long;

/// RFLAGS.IF and TF.
const IF: u64 = 1 << 9;
const TF: u64 = 1 << 8;

const STI: u64 = 1;
const MOV_SS: u64 = 2;
const NMI: u64 = 8;

const HLT: u64 = 1;
const SHUTDOWN: u64 = 2;
const WAIT_FOR_SIPI: u64 = 3;

pub(super) fn pairs() -> Vec<Pair> {
    [activity(), interruptibility(), pending(), link()].into_iter().flatten().collect()
}

/// An activity state, and an injected event with interrupts enabled.
fn state(activity: u64, event: u64) -> impl Fn(&mut State) {
    move |s| {
        s.put(field::GUEST_ACTIVITY_STATE, activity);
        s.or(field::GUEST_RFLAGS, IF);
        s.inject(event);
    }
}

fn activity() -> Vec<Pair> {
    vec![
        pair("VMX-GUEST-ACTIVITY", LONG, state(4, 0), state(WAIT_FOR_SIPI, 0)),
        pair(
            "VMX-GUEST-ACTIVITY",
            LONG,
            |s| {
                state(SHUTDOWN, 0)(s);
                s.raw.misc &= !(1 << 7);
            },
            |s| {
                state(HLT, 0)(s);
                s.raw.misc &= !(1 << 7);
            },
        ),
        pair(
            "VMX-GUEST-ACTIVITY-HLT",
            LONG,
            |s| {
                state(HLT, 0)(s);
                s.at_level(3);
            },
            |s| {
                state(SHUTDOWN, 0)(s);
                s.at_level(3);
            },
        ),
        pair(
            "VMX-GUEST-ACTIVITY-BLOCKED",
            LONG,
            |s| {
                state(HLT, 0)(s);
                s.put(field::GUEST_INTERRUPTIBILITY_STATE, STI);
            },
            |s| {
                state(HLT, 0)(s);
                s.put(field::GUEST_INTERRUPTIBILITY_STATE, NMI);
            },
        ),
        pair("VMX-GUEST-ACTIVITY-HLT-EVENT", LONG, state(HLT, 0x8000_0b0d), state(HLT, 0x8000_0301)),
        pair("VMX-GUEST-ACTIVITY-HLT-EVENT", LONG, state(HLT, 0x8000_0501), state(HLT, 0x8000_0020)),
        pair("VMX-GUEST-ACTIVITY-SHUTDOWN-EVENT", LONG, state(SHUTDOWN, 0x8000_0020), state(SHUTDOWN, 0x8000_0202)),
        pair("VMX-GUEST-ACTIVITY-SHUTDOWN-EVENT", LONG, state(SHUTDOWN, 0x8000_0301), state(SHUTDOWN, 0x8000_0312)),
        pair("VMX-GUEST-ACTIVITY-SIPI-EVENT", LONG, state(WAIT_FOR_SIPI, 0x8000_0202), state(WAIT_FOR_SIPI, 0x202)),
        pair(
            "VMX-GUEST-ACTIVITY-SIPI-SMM",
            LONG,
            |s| {
                s.enter_smm();
                state(WAIT_FOR_SIPI, 0)(s);
            },
            |s| {
                s.enter_smm();
                state(SHUTDOWN, 0)(s);
            },
        ),
        pair(
            "VMX-GUEST-ACTIVITY-SIPI-ROOT",
            LONG,
            |s| {
                s.return_to_root();
                state(WAIT_FOR_SIPI, 0)(s);
            },
            |s| {
                s.return_to_guest();
                state(WAIT_FOR_SIPI, 0)(s);
            },
        ),
    ]
}

/// What blocks interrupts, RFLAGS and an injected event.
fn blocked(by: u64, rflags: u64, event: u64) -> impl Fn(&mut State) {
    move |s| {
        s.put(field::GUEST_INTERRUPTIBILITY_STATE, by);
        s.or(field::GUEST_RFLAGS, rflags);
        s.inject(event);
    }
}

fn interruptibility() -> Vec<Pair> {
    let virtual_nmis = |by| {
        move |s: &mut State| {
            s.on(PinControls::VIRTUAL_NMIS.control());
            s.on(PinControls::NMI_EXITING.control());
            blocked(by, 0, 0x8000_0202)(s);
        }
    };
    let fred = |level| {
        move |s: &mut State| {
            s.at_level(level);
            s.or(field::GUEST_CR4, 1 << 32);
            blocked(STI, IF, 0)(s);
        }
    };
    vec![
        pair("VMX-GUEST-BLOCKING-RESERVED", LONG, blocked(0x20, 0, 0), blocked(0x10, 0, 0)),
        pair("VMX-GUEST-BLOCKING-BOTH", LONG, blocked(STI | MOV_SS, IF, 0), blocked(MOV_SS, IF, 0)),
        pair("VMX-GUEST-BLOCKING-STI-IF", LONG, blocked(STI, 0, 0), blocked(MOV_SS, 0, 0)),
        pair("VMX-GUEST-BLOCKING-INTERRUPT", LONG, blocked(STI, IF, 0x8000_0020), blocked(NMI, IF, 0x8000_0020)),
        pair("VMX-GUEST-BLOCKING-INTERRUPT", LONG, blocked(MOV_SS, IF, 0x8000_0020), blocked(MOV_SS, IF, 0x20)),
        pair("VMX-GUEST-BLOCKING-NMI-MOV-SS", LONG, blocked(MOV_SS, 0, 0x8000_0202), blocked(NMI, 0, 0x8000_0202)),
        pair("VMX-GUEST-BLOCKING-NMI-STI", LONG, blocked(STI, IF, 0x8000_0202), blocked(STI, IF, 0x8000_0301)),
        pair("VMX-GUEST-BLOCKING-SMI", LONG, blocked(4, 0, 0), |s| {
            s.return_to_guest();
            blocked(4, 0, 0)(s);
        }),
        pair(
            "VMX-GUEST-BLOCKING-SMI-ENTRY",
            LONG,
            |s| {
                s.enter_smm();
                blocked(0, 0, 0)(s);
            },
            State::enter_smm,
        ),
        pair("VMX-GUEST-BLOCKING-VIRTUAL-NMI", LONG, virtual_nmis(NMI), virtual_nmis(0)),
        pair("VMX-GUEST-BLOCKING-ENCLAVE", LONG, blocked(0x12, 0, 0), blocked(0x11, IF, 0)),
        pair(
            "VMX-GUEST-BLOCKING-ENCLAVE",
            LONG,
            |s| {
                blocked(0x10, 0, 0)(s);
                s.entry.has_sgx = Some(false);
            },
            |s| s.entry.has_sgx = Some(false),
        ),
        pair("VMX-GUEST-BLOCKING-FRED", LONG, fred(3), fred(0)),
    ]
}

fn pending() -> Vec<Pair> {
    let bits = |value| move |s: &mut State| s.put(field::GUEST_PENDING_DEBUG_EXCEPTIONS, value);
    let stepping = |by, rflags, debugctl, value| {
        move |s: &mut State| {
            blocked(by, rflags, 0)(s);
            s.put(field::GUEST_IA32_DEBUGCTL, debugctl);
            bits(value)(s);
        }
    };
    let bs = 1 << 14;
    vec![
        pair("VMX-GUEST-PENDING-RESERVED", LONG, bits(0x10), bits(0x580f)),
        pair("VMX-GUEST-PENDING-RESERVED", LONG, bits(1 << 17), bits(bs)),
        pair("VMX-GUEST-PENDING-BS-ONE", LONG, stepping(STI, IF | TF, 0, 0), stepping(STI, IF | TF, 0, bs)),
        pair("VMX-GUEST-PENDING-BS-ONE", LONG, stepping(MOV_SS, TF, 0, 0), stepping(MOV_SS, TF, 2, 0)),
        pair("VMX-GUEST-PENDING-BS-ZERO", LONG, stepping(STI, IF, 0, bs), stepping(0, IF, 0, bs)),
        pair("VMX-GUEST-PENDING-BS-ZERO", LONG, stepping(STI, IF | TF, 2, bs), stepping(STI, IF | TF, 0, bs)),
        pair(
            "VMX-GUEST-PENDING-BS-ZERO",
            LONG,
            move |s| {
                s.put(field::GUEST_ACTIVITY_STATE, HLT);
                bits(bs)(s);
            },
            |s| s.put(field::GUEST_ACTIVITY_STATE, HLT),
        ),
        pair("VMX-GUEST-PENDING-RTM", LONG, bits(0x1_0000), bits(0x1_1000)),
        pair("VMX-GUEST-PENDING-RTM", LONG, bits(0x1_1001), bits(0x1001)),
        pair("VMX-GUEST-PENDING-RTM", LONG, stepping(MOV_SS, 0, 0, 0x1_1000), stepping(STI, IF, 0, 0x1_1000)),
        pair(
            "VMX-GUEST-PENDING-RTM",
            LONG,
            move |s| {
                bits(0x1_1000)(s);
                s.entry.has_rtm = Some(false);
            },
            move |s| {
                bits(0x1000)(s);
                s.entry.has_rtm = Some(false);
            },
        ),
    ]
}

fn link() -> Vec<Pair> {
    let pointer = |value| move |s: &mut State| s.put(field::VMCS_LINK_POINTER, value);
    let region = move |header| {
        move |s: &mut State| {
            pointer(LINKED)(s);
            s.world.memory.insert(LINKED, header);
        }
    };
    let shadow = move |header| {
        move |s: &mut State| {
            region(header)(s);
            s.on(SecondaryControls::VMCS_SHADOWING.control());
        }
    };
    let end = 1 << 46;
    let at_end = move |address| {
        move |s: &mut State| {
            pointer(address)(s);
            s.world.memory.insert(address, REVISION);
        }
    };
    vec![
        pair("VMX-GUEST-LINK-ADDRESS", LONG, pointer(LINKED + 0x10), pointer(LINKED)),
        pair("VMX-GUEST-LINK-ADDRESS", LONG, at_end(end), at_end(end - 0x1000)),
        pair("VMX-GUEST-LINK-REVISION", LONG, region(REVISION + 1), region(0xffff_ffff_0000_0013)),
        pair("VMX-GUEST-LINK-SHADOW", LONG, region(1 << 31 | REVISION), shadow(1 << 31 | REVISION)),
        pair("VMX-GUEST-LINK-SHADOW", LONG, shadow(REVISION), region(REVISION)),
        pair(
            "VMX-GUEST-LINK-CURRENT",
            LONG,
            move |s| at_end(CURRENT)(s),
            move |s| {
                at_end(CURRENT)(s);
                s.return_to_root();
            },
        ),
    ]
}
