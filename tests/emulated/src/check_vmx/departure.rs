//! Where Bochs departs from the manual.

use alloc::vec::Vec;
use core::fmt;

use x86_virt::vmx::check::RULES;
use x86_virt::vmx::field::{self, AccessClass, Encoding, Field, FieldValue};
use x86_virt::vmx::{Capabilities, PrimaryControls};

use crate::check_vmx::slot::{Place, Slot};
use crate::check_vmx::{Try, of_class};
use crate::differential::{Departures, Happening, Row, Stop, extends, extends_to, skips};

/// What the fields hold, and what of the processor matters.
pub(super) struct State {
    values: Vec<u64>,
    names: Vec<&'static str>,
    /// Where in `values` a field is.
    places: Vec<usize>,
    has_monitor_trap_flag: bool,
    any_error_code: bool,
    has_x2apic: bool,
}

/// Where a field is in [`State::places`].
fn key(field: Encoding) -> usize {
    let bits = field.get();
    usize::try_from(bits >> 13 & 3 | (bits >> 10 & 3) << 2 | (bits >> 1 & 0x3f) << 4).unwrap_or_default()
}

impl State {
    pub(super) fn new(slots: &[Slot], capabilities: &Capabilities) -> Self {
        let mut places = alloc::vec![usize::MAX; 1024];
        for (index, slot) in slots.iter().enumerate() {
            if let Place::Field(field) = slot.place
                && let Some(place) = places.get_mut(key(field))
            {
                *place = index;
            }
        }
        Self {
            values: slots.iter().map(|_| 0).collect(),
            names: slots.iter().map(|slot| slot.name).collect(),
            places,
            has_monitor_trap_flag: capabilities.primary().may_be_one().contains(PrimaryControls::MONITOR_TRAP_FLAG),
            any_error_code: capabilities.basic().any_error_code(),
            has_x2apic: core::arch::x86_64::__cpuid(1).ecx >> 21 & 1 == 1,
        }
    }

    pub(super) fn take(&mut self, values: &[u64]) {
        self.values.copy_from_slice(values);
    }

    pub(super) fn set(&mut self, index: usize, value: u64) {
        if let Some(slot) = self.values.get_mut(index) {
            *slot = value;
        }
    }

    /// What a field holds; 0 if the processor does not have it.
    pub(super) fn get<T: FieldValue, A: AccessClass>(&self, field: Field<T, A>) -> u64 {
        let place = self.places.get(key(field.encoding())).copied().unwrap_or(usize::MAX);
        self.values.get(place).copied().unwrap_or_default()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.names.iter().zip(&self.values)).finish()
    }
}

const fn bit(value: u64, bit: u32) -> bool {
    value >> bit & 1 == 1
}

impl State {
    fn secondary(&self, control: u32) -> bool {
        bit(self.get(field::PRIMARY_CONTROLS), 31) && bit(self.get(field::SECONDARY_CONTROLS), control)
    }

    fn is_unrestricted(&self) -> bool {
        self.secondary(7)
    }

    fn is_ia32e(&self) -> bool {
        bit(self.get(field::ENTRY_CONTROLS), 9)
    }

    fn is_64_bit(&self) -> bool {
        self.is_ia32e() && bit(self.get(field::GUEST_CS_ACCESS_RIGHTS), 13)
    }

    fn is_protected(&self) -> bool {
        bit(self.get(field::GUEST_CR0), 0)
    }

    fn is_virtual_8086(&self) -> bool {
        bit(self.get(field::GUEST_RFLAGS), 17)
    }

    fn loads_cet(&self) -> bool {
        bit(self.get(field::ENTRY_CONTROLS), 20)
    }

    /// The event that is injected.
    fn event(&self) -> Option<u64> {
        let event = self.get(field::ENTRY_INTERRUPTION_INFORMATION);
        bit(event, 31).then_some(event)
    }

    fn injects(&self, event_type: u64) -> bool {
        self.event().is_some_and(|event| event >> 8 & 7 == event_type)
    }
}

const NMI: u64 = 2;
const OTHER_EVENT: u64 = 7;

const fn always(_: &State) -> bool {
    true
}

/// A null selector in SS of a guest that executes 64-bit code.
fn is_null_ss(state: &State) -> bool {
    state.is_64_bit() && !state.is_virtual_8086() && state.get(field::GUEST_SS_SELECTOR) & !3 == 0
}

const NULL_SS: &str = "SS is not looked at if its selector is null and the guest executes 64-bit code";

/// An event of type 7 on a processor without the monitor trap flag.
fn is_lost_type_7(state: &State) -> bool {
    state.injects(OTHER_EVENT) && !state.has_monitor_trap_flag
}

const TYPE_7: &str = "type 7 is taken with every vector by a processor without the monitor trap flag";

/// Whether RPL and DPL of CS are as a comparison says, which takes them in this order, if CS has one of these types.
fn compares_cs(state: &State, types: [u64; 2], holds: fn(u64, u64) -> bool) -> bool {
    let rights = state.get(field::GUEST_CS_ACCESS_RIGHTS);
    !state.is_virtual_8086()
        && types.contains(&(rights & 0xf))
        && holds(state.get(field::GUEST_CS_SELECTOR) & 3, rights >> 5 & 3)
}

const CS_DPL: &str = "DPL of CS is compared with its RPL, not with DPL of SS";

/// Whether these access rights are of type 11.
const fn is_type_11(rights: u64) -> bool {
    rights & 0xf == 11
}

const TYPE_11: &str = "code segments that can be read do not need DPL >= RPL";

/// Bits of the pending debug exceptions that Bochs refuses.
const PENDING_REFUSED: u64 = 0xffff_aff0;

const fn is_canonical(address: u64) -> bool {
    address >> 47 == 0 || address >> 47 == (1 << 17) - 1
}

/// Bochs 2.7.
const BOCHS: &[Row<State>] = &[
    skips("VMX-GUEST-IA32E-PG", always, "an unrestricted guest in IA-32e mode may have CR0.PG = 0"),
    skips("VMX-GUEST-SEG-SS-BASE", is_null_ss, NULL_SS),
    skips("VMX-GUEST-SEG-SS-TYPE", is_null_ss, NULL_SS),
    skips("VMX-GUEST-SEG-SS-S", is_null_ss, NULL_SS),
    skips("VMX-GUEST-SEG-SS-P", is_null_ss, NULL_SS),
    skips("VMX-GUEST-SEG-SS-RESERVED", is_null_ss, NULL_SS),
    skips("VMX-GUEST-SEG-SS-G", is_null_ss, NULL_SS),
    skips("VMX-GUEST-RFLAGS-VM", |state| !state.is_ia32e(), "RFLAGS.VM may be 1 in real mode"),
    skips("VMX-GUEST-RIP-64", always, "bits 63:48 of RIP are not looked at"),
    skips("VMX-GUEST-DEBUGCTL", always, "IA32_DEBUGCTL is not looked at"),
    skips("VMX-GUEST-PERF-GLOBAL-CTRL", always, "IA32_PERF_GLOBAL_CTRL is not looked at"),
    skips("VMX-HOST-PERF-GLOBAL-CTRL", always, "IA32_PERF_GLOBAL_CTRL is not looked at"),
    skips("VMX-GUEST-PENDING-BS-ONE", always, "BS is not compared with RFLAGS.TF"),
    skips("VMX-GUEST-PENDING-BS-ZERO", always, "BS is not compared with RFLAGS.TF"),
    skips("VMX-GUEST-ACTIVITY-HLT-EVENT", always, "every event can be injected in the activity state HLT"),
    skips(
        "VMX-GUEST-ACTIVITY-SHUTDOWN-EVENT",
        |state| state.event().is_some_and(|event| event & 0xff == 18),
        "every event of vector 18 can be injected in the activity state shutdown",
    ),
    skips("VMX-GUEST-BLOCKING-VIRTUAL-NMI", always, "blocking by NMI does not keep an NMI from being injected"),
    skips("VMX-GUEST-BLOCKING-NMI-STI", always, "the qualification is 0, as for blocking by MOV SS"),
    extends_to(
        "VMX-GUEST-BLOCKING-NMI-STI",
        Happening::guest_state(0),
        |state| state.injects(NMI) && bit(state.get(field::GUEST_INTERRUPTIBILITY_STATE), 0),
        "the qualification is 0, as for blocking by MOV SS",
    ),
    extends(
        "VMX-GUEST-CR0-PG",
        |state| state.is_unrestricted() && !state.is_protected() && state.get(field::GUEST_CR0) >> 31 != 0,
        "every bit from 31 on counts as PG",
    ),
    skips("VMX-GUEST-SEG-CS-DPL", |state| compares_cs(state, [9, 11], |rpl, dpl| rpl == dpl), CS_DPL),
    extends("VMX-GUEST-SEG-CS-DPL", |state| compares_cs(state, [9, 11], |rpl, dpl| rpl != dpl), CS_DPL),
    skips("VMX-GUEST-SEG-CS-DPL-CONFORMING", |state| compares_cs(state, [13, 15], |rpl, dpl| rpl >= dpl), CS_DPL),
    extends("VMX-GUEST-SEG-CS-DPL-CONFORMING", |state| compares_cs(state, [13, 15], |rpl, dpl| rpl < dpl), CS_DPL),
    skips("VMX-GUEST-SEG-DS-DPL", |state| is_type_11(state.get(field::GUEST_DS_ACCESS_RIGHTS)), TYPE_11),
    skips("VMX-GUEST-SEG-ES-DPL", |state| is_type_11(state.get(field::GUEST_ES_ACCESS_RIGHTS)), TYPE_11),
    skips("VMX-GUEST-SEG-FS-DPL", |state| is_type_11(state.get(field::GUEST_FS_ACCESS_RIGHTS)), TYPE_11),
    skips("VMX-GUEST-SEG-GS-DPL", |state| is_type_11(state.get(field::GUEST_GS_ACCESS_RIGHTS)), TYPE_11),
    skips("VMX-ENTRY-EVENT-TYPE", is_lost_type_7, TYPE_7),
    skips("VMX-ENTRY-EVENT-OTHER-VECTOR", is_lost_type_7, TYPE_7),
    skips("VMX-ENTRY-EVENT-FRED", is_lost_type_7, TYPE_7),
    skips("VMX-ENTRY-EVENT-MONITOR-TRAP", is_lost_type_7, TYPE_7),
    skips("VMX-ENTRY-EVENT-LENGTH", is_lost_type_7, TYPE_7),
    skips("VMX-ENTRY-EVENT-LENGTH-ZERO", is_lost_type_7, TYPE_7),
    skips(
        "VMX-ENTRY-EVENT-ERROR-CODE-FLAG",
        |state| state.any_error_code,
        "with CET, an error code can be delivered with everything",
    ),
    skips(
        "VMX-GUEST-PENDING-RESERVED",
        |state| state.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS) & PENDING_REFUSED == 0,
        "bits 63:32 are not looked at",
    ),
    extends(
        "VMX-GUEST-PENDING-RESERVED",
        |state| state.get(field::GUEST_PENDING_DEBUG_EXCEPTIONS) & (1 << 11 | 1 << 16) != 0,
        "bits 11 (bus lock) and 16 (RTM) are refused",
    ),
    skips(
        "VMX-MSR-LOAD-SMM",
        always,
        "IA32_SMM_MONITOR_CTL is not there, and the machine is set up to ignore MSRs that are not",
    ),
    skips(
        "VMX-MSR-LOAD-X2APIC",
        |state| !state.has_x2apic,
        "MSRs of the x2APIC are as others that are not there on a processor without it",
    ),
    skips(
        "VMX-HOST-CR4-CET",
        |state| !bit(state.get(field::EXIT_CONTROLS), 28),
        "only looked at if exits load CET state",
    ),
    extends(
        "VMX-GUEST-S-CET-ADDRESS",
        |state| state.loads_cet() && !state.is_ia32e() && state.get(field::GUEST_IA32_S_CET) >> 32 != 0,
        "bits 63:32 must be 0 if the guest is not in IA-32e mode",
    ),
    extends(
        "VMX-GUEST-SSP-ADDRESS",
        |state| state.loads_cet() && !state.is_ia32e() && state.get(field::GUEST_SSP) >> 32 != 0,
        "bits 63:32 must be 0 if the guest is not in IA-32e mode",
    ),
    extends(
        "VMX-GUEST-SSP-ADDRESS",
        |state| state.loads_cet() && !is_canonical(state.get(field::GUEST_SSP)),
        "SSP must be canonical",
    ),
    skips(
        "VMX-ENTRY-OUTSIDE-SMM",
        |state| !bit(state.get(field::ENTRY_CONTROLS), 11),
        "entry to SMM is no invalid control: what it requires of the guest's state is",
    ),
];

const STOPS: &[Stop<State>] = &[Stop {
    condition: |state| state.is_ia32e() && state.is_unrestricted() && state.get(field::GUEST_CR0) & (1 << 31 | 1) == 0,
    what: "a guest in IA-32e mode with CR0.PE = 0 and CR0.PG = 0: it ends with \"EFER.LMA is set when CR0.PE=0\"",
}];

/// The rows of this machine.
pub(super) fn here() -> Departures<State> {
    Departures::new::<Try<'_, '_, '_>>(BOCHS, STOPS, |rule| {
        RULES.get(rule).map_or(Happening::OTHER, |rule| of_class(rule.class))
    })
}
