//! Where an emulator departs from the manual, one row for each rule.

use alloc::vec::Vec;

use x86_virt::svm::{Capabilities, RawCpuid};

use crate::check_svm::Try;
use crate::check_svm::field::FIELDS;
use crate::differential::{Departures, Edit, Happening, Row, Stop, extends, skips};
use crate::feature::is_tcg;

/// The values of the fields.
pub(super) struct State {
    values: Vec<u64>,
}

impl State {
    /// The values of the valid state after `edits`.
    pub(super) fn new(valid: &[u64], edits: &[Edit]) -> Self {
        let mut values = valid.to_vec();
        for edit in edits {
            if let Some(value) = values.get_mut(edit.field) {
                *value = edit.value;
            }
        }
        Self { values }
    }

    /// The value of the field at this place.
    pub(super) fn at(&self, index: usize) -> u64 {
        self.values.get(index).copied().unwrap_or_default()
    }

    /// The value of the field with this name.
    fn get(&self, name: &str) -> u64 {
        FIELDS.iter().position(|field| field.name == name).map_or(0, |index| self.at(index))
    }
}

const fn always(_: &State) -> bool {
    true
}

const fn bits(value: u64, low: u32, count: u32) -> u64 {
    value >> low & ((1 << count) - 1)
}

/// QEMU 7.2, TCG.
const QEMU: &[Row<State>] = &[
    skips(
        "SVM-VMRUN-CR4-RESERVED",
        has_only_lenient_cr4,
        "PCIDE and PKS are taken without PCID, and on a processor of AMD",
    ),
    skips(
        "SVM-VMRUN-EFER-RESERVED",
        |state| state.get("EFER") & !EFER_TAKEN == 0,
        "FFXSR is taken though CPUID does not report it",
    ),
    extends(
        "SVM-VMRUN-MSRPM",
        |state| state.get("MSRPM_BASE_PA") >> 12 == (1 << (WIDTH - 12)) - 2,
        "the last place is refused",
    ),
    skips("SVM-VMRUN-NCR3", always, "N_CR3 is not checked"),
    skips("SVM-VMRUN-G-PAT", always, "G_PAT is not used"),
    extends(
        "SVM-VMRUN-CR3-RESERVED",
        |state| state.get("CR3") >> WIDTH != 0,
        "in every mode, since it looks at EFER.LMA of the host",
    ),
    extends("SVM-VMRUN-EFER-RESERVED", |state| bits(state.get("EFER"), 13, 1) == 1, "EFER does not have LMSLE"),
    skips("SVM-VMRUN-EVENTINJ-MODE", always, "#OF and #BR are taken in every mode"),
    skips(
        "SVM-VMRUN-EVENTINJ-RESERVED-VECTOR",
        |state| bits(state.get("EVENTINJ"), 0, 8) != 31,
        "every vector below 31 but 2 is taken",
    ),
];

/// Bits of a physical address on the processors of both.
const WIDTH: u32 = 40;

/// SCE, LME, LMA, NXE, SVME, FFXSR.
const EFER_TAKEN: u64 = 0x5d01;

/// Whether CR4 has no bits that the processor does not have but PCIDE, and PKS as CPUID says.
fn has_only_lenient_cr4(state: &State) -> bool {
    let cpuid = RawCpuid::read();
    let legal = Capabilities::new(cpuid).map_or(0, |capabilities| capabilities.guest_cr4());
    let flag = |leaf_bit: u32, bit: u32| u64::from(cpuid.leaf_7_ecx >> leaf_bit & 1) << bit;
    let (pke, pks, pcide) = (flag(3, 22), flag(31, 24), 1_u64 << 17);
    state.get("CR4") & !(legal | pke | pks | pcide) == 0
}

/// Bochs 2.7.
const BOCHS: &[Row<State>] = &[
    skips("SVM-VMRUN-CR3-RESERVED", always, "CR3 is not checked"),
    skips("SVM-VMRUN-EVENTINJ-MODE", always, "#OF and #BR are taken in every mode"),
    skips("SVM-VMRUN-EVENTINJ-RESERVED-VECTOR", always, "every vector below 32 but 2 is taken"),
    extends("SVM-VMRUN-CS-L-D", |state| has_l_and_d(state) && !is_system(state), "in every mode"),
    skips("SVM-VMRUN-CS-L-D", is_system, "L and D are not looked at if P = 1 and S = 0"),
    extends(
        "SVM-VMRUN-EFER-RESERVED",
        |state| bits(state.get("EFER"), 15, 1) == 1,
        "CPUID reports TCE, which EFER does not have",
    ),
    extends("SVM-VMRUN-EFER-RESERVED", |state| bits(state.get("EFER"), 13, 1) == 1, "EFER does not have LMSLE"),
    skips("SVM-VMRUN-IOPM", |state| state.get("IOPM_BASE_PA") >> WIDTH == 0, "only the first page is looked at"),
    skips("SVM-VMRUN-MSRPM", |state| state.get("MSRPM_BASE_PA") >> WIDTH == 0, "only the first page is looked at"),
    extends("SVM-VMRUN-IOPM", |state| bits(state.get("IOPM_BASE_PA"), C_BIT, 1) == 1, NO_ENCRYPTION),
    extends("SVM-VMRUN-MSRPM", |state| bits(state.get("MSRPM_BASE_PA"), C_BIT, 1) == 1, NO_ENCRYPTION),
    extends("SVM-VMRUN-NCR3", |state| bits(state.get("N_CR3"), C_BIT, 1) == 1, NO_ENCRYPTION),
    skips("SVM-VMRUN-SEV-ASID", always, NO_ENCRYPTION),
];

const NO_ENCRYPTION: &str = "CPUID reports memory encryption, which is not there";

/// The C-bit of Bochs' ryzen.
const C_BIT: u32 = 47;

/// Whether CS.L and CS.D are 1.
fn has_l_and_d(state: &State) -> bool {
    bits(state.get("CS.ATTRIBUTES"), 9, 2) == 3
}

/// Whether CS is a system segment that is present.
fn is_system(state: &State) -> bool {
    bits(state.get("CS.ATTRIBUTES"), 4, 1) == 0 && bits(state.get("CS.ATTRIBUTES"), 7, 1) == 1
}

const QEMU_STOPS: &[Stop<State>] = &[
    Stop {
        condition: |state| {
            bits(state.get("EFER"), 8, 1) == 1
                && bits(state.get("CR0"), 31, 1) == 0
                && bits(state.get("CR4"), 5, 1) == 0
        },
        what: "EFER.LME = 1, CR0.PG = 0, CR4.PAE = 0: at the exit CR0 of the host is not loaded",
    },
    Stop {
        condition: |state| bits(state.get("EVENTINJ"), 31, 1) == 1 && state.get("N_CR3") >> WIDTH != 0,
        what: "an event to deliver and N_CR3 beyond all memory: it ends with \"could not find TB\"",
    },
];

const BOCHS_STOPS: &[Stop<State>] = &[
    Stop {
        condition: |state| bits(state.get("EVENTINJ"), 31, 1) == 1 && state.get("SS.ATTRIBUTES") & 0x8a != 0x82,
        what: "an event to deliver and SS that is no present, writable data: it ends with an assertion",
    },
    Stop {
        condition: |state| {
            bits(state.get("EFER"), 8, 1) == 1
                && bits(state.get("CR0"), 31, 1) == 1
                && bits(state.get("CR0"), 0, 1) == 0
        },
        what: "EFER.LME = 1, CR0.PG = 1, CR0.PE = 0: it enters and ends with \"EFER.LMA is set when CR0.PE=0\"",
    },
];

/// The rows of this machine.
pub(super) fn here() -> Departures<State> {
    let (rows, stops) = if is_tcg() { (QEMU, QEMU_STOPS) } else { (BOCHS, BOCHS_STOPS) };
    Departures::new::<Try<'_, '_, '_>>(rows, stops, |_| Happening::INVALID)
}
