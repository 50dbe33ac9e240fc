//! Where an emulator departs from the manual, one row for each rule.

use alloc::string::String;
use alloc::{format, vec::Vec};

use x86_virt::svm::check::{Rule, RuleSet};
use x86_virt::svm::{Capabilities, RawCpuid};

use crate::feature::is_tcg;

/// How an emulator treats a rule.
#[derive(Clone, Copy)]
enum Effect {
    /// It does not check it, at least not in such a state.
    Skips(Condition),
    /// It refuses such states, though the rule does not.
    Extends(Condition),
}

/// Whether the fields, whose values the function tells, are as a row says.
type Condition = fn(&dyn Fn(&str) -> u64) -> bool;

const ALWAYS: Condition = |_| true;

/// A departure.
struct Row {
    /// The rule, which has the section of the manual.
    id: &'static str,
    effect: Effect,
    what: &'static str,
}

const fn skips(id: &'static str, condition: Condition, what: &'static str) -> Row {
    Row { id, effect: Effect::Skips(condition), what }
}

const fn extends(id: &'static str, condition: Condition, what: &'static str) -> Row {
    Row { id, effect: Effect::Extends(condition), what }
}

const fn bits(value: u64, low: u32, count: u32) -> u64 {
    value >> low & ((1 << count) - 1)
}

/// QEMU 7.2, TCG.
const QEMU: &[Row] = &[
    skips(
        "SVM-VMRUN-CR4-RESERVED",
        has_only_lenient_cr4,
        "PCIDE and PKS are taken without PCID, and on a processor of AMD",
    ),
    skips(
        "SVM-VMRUN-EFER-RESERVED",
        |value| value("EFER") & !EFER_TAKEN == 0,
        "FFXSR is taken though CPUID does not report it",
    ),
    extends(
        "SVM-VMRUN-MSRPM",
        |value| value("MSRPM_BASE_PA") >> 12 == (1 << (WIDTH - 12)) - 2,
        "the last place is refused",
    ),
    skips("SVM-VMRUN-NCR3", ALWAYS, "N_CR3 is not checked"),
    skips("SVM-VMRUN-G-PAT", ALWAYS, "G_PAT is not used"),
    extends(
        "SVM-VMRUN-CR3-RESERVED",
        |value| value("CR3") >> WIDTH != 0,
        "in every mode, since it looks at EFER.LMA of the host",
    ),
    extends("SVM-VMRUN-EFER-RESERVED", |value| bits(value("EFER"), 13, 1) == 1, "EFER does not have LMSLE"),
    skips("SVM-VMRUN-EVENTINJ-MODE", ALWAYS, "#OF and #BR are taken in every mode"),
    skips(
        "SVM-VMRUN-EVENTINJ-RESERVED-VECTOR",
        |value| bits(value("EVENTINJ"), 0, 8) != 31,
        "every vector below 31 but 2 is taken",
    ),
];

/// Bits of a physical address on the processors of both.
const WIDTH: u32 = 40;

/// SCE, LME, LMA, NXE, SVME, FFXSR.
const EFER_TAKEN: u64 = 0x5d01;

/// Whether CR4 has no bits that the processor does not have but PCIDE, and PKS as CPUID says.
fn has_only_lenient_cr4(value: &dyn Fn(&str) -> u64) -> bool {
    let cpuid = RawCpuid::read();
    let legal = Capabilities::new(cpuid).map_or(0, |capabilities| capabilities.guest_cr4());
    let flag = |leaf_bit: u32, bit: u32| u64::from(cpuid.leaf_7_ecx >> leaf_bit & 1) << bit;
    let (pke, pks, pcide) = (flag(3, 22), flag(31, 24), 1_u64 << 17);
    value("CR4") & !(legal | pke | pks | pcide) == 0
}

/// Bochs 2.7.
const BOCHS: &[Row] = &[
    skips("SVM-VMRUN-CR3-RESERVED", ALWAYS, "CR3 is not checked"),
    skips("SVM-VMRUN-EVENTINJ-MODE", ALWAYS, "#OF and #BR are taken in every mode"),
    skips("SVM-VMRUN-EVENTINJ-RESERVED-VECTOR", ALWAYS, "every vector below 32 but 2 is taken"),
    extends("SVM-VMRUN-CS-L-D", |value| has_l_and_d(value) && !is_system(value), "in every mode"),
    skips("SVM-VMRUN-CS-L-D", is_system, "L and D are not looked at if P = 1 and S = 0"),
    extends(
        "SVM-VMRUN-EFER-RESERVED",
        |value| bits(value("EFER"), 15, 1) == 1,
        "CPUID reports TCE, which EFER does not have",
    ),
    extends("SVM-VMRUN-EFER-RESERVED", |value| bits(value("EFER"), 13, 1) == 1, "EFER does not have LMSLE"),
    skips("SVM-VMRUN-IOPM", |value| value("IOPM_BASE_PA") >> WIDTH == 0, "only the first page is looked at"),
    skips("SVM-VMRUN-MSRPM", |value| value("MSRPM_BASE_PA") >> WIDTH == 0, "only the first page is looked at"),
    extends("SVM-VMRUN-IOPM", |value| bits(value("IOPM_BASE_PA"), C_BIT, 1) == 1, NO_ENCRYPTION),
    extends("SVM-VMRUN-MSRPM", |value| bits(value("MSRPM_BASE_PA"), C_BIT, 1) == 1, NO_ENCRYPTION),
    extends("SVM-VMRUN-NCR3", |value| bits(value("N_CR3"), C_BIT, 1) == 1, NO_ENCRYPTION),
    skips("SVM-VMRUN-SEV-ASID", ALWAYS, NO_ENCRYPTION),
];

const NO_ENCRYPTION: &str = "CPUID reports memory encryption, which is not there";

/// The C-bit of Bochs' ryzen.
const C_BIT: u32 = 47;

/// Whether CS.L and CS.D are 1.
fn has_l_and_d(value: &dyn Fn(&str) -> u64) -> bool {
    bits(value("CS.ATTRIBUTES"), 9, 2) == 3
}

/// Whether CS is a system segment that is present.
fn is_system(value: &dyn Fn(&str) -> u64) -> bool {
    bits(value("CS.ATTRIBUTES"), 4, 1) == 0 && bits(value("CS.ATTRIBUTES"), 7, 1) == 1
}

/// A state with which an emulator stops, or the host under it does not go on.
struct Stop {
    condition: Condition,
    what: &'static str,
}

const QEMU_STOPS: &[Stop] = &[
    Stop {
        condition: |value| {
            bits(value("EFER"), 8, 1) == 1 && bits(value("CR0"), 31, 1) == 0 && bits(value("CR4"), 5, 1) == 0
        },
        what: "EFER.LME = 1, CR0.PG = 0, CR4.PAE = 0: at the exit CR0 of the host is not loaded",
    },
    Stop {
        condition: |value| bits(value("EVENTINJ"), 31, 1) == 1 && value("N_CR3") >> WIDTH != 0,
        what: "an event to deliver and N_CR3 beyond all memory: it ends with \"could not find TB\"",
    },
];

const BOCHS_STOPS: &[Stop] = &[
    Stop {
        condition: |value| bits(value("EVENTINJ"), 31, 1) == 1 && value("SS.ATTRIBUTES") & 0x8a != 0x82,
        what: "an event to deliver and SS that is no present, writable data: it ends with an assertion",
    },
    Stop {
        condition: |value| {
            bits(value("EFER"), 8, 1) == 1 && bits(value("CR0"), 31, 1) == 1 && bits(value("CR0"), 0, 1) == 0
        },
        what: "EFER.LME = 1, CR0.PG = 1, CR0.PE = 0: it enters and ends with \"EFER.LMA is set when CR0.PE=0\"",
    },
];

/// The rows of this machine, and how often each explained a disagreement.
pub(super) struct Departures {
    rows: &'static [Row],
    stops: &'static [Stop],
    /// How many states were not tried.
    pub(super) stopped: u64,
    counts: Vec<u64>,
    /// Those that apply to the state that was asked for last.
    apply: Vec<usize>,
}

impl Departures {
    pub(super) fn here() -> Self {
        let (rows, stops) = if is_tcg() { (QEMU, QEMU_STOPS) } else { (BOCHS, BOCHS_STOPS) };
        Self { rows, stops, stopped: 0, counts: rows.iter().map(|_| 0).collect(), apply: Vec::new() }
    }

    /// Whether this machine does not survive a state with these values of fields, which is counted.
    pub(super) fn stops(&mut self, value: &dyn Fn(&str) -> u64) -> bool {
        let stops = self.stops.iter().any(|stop| (stop.condition)(value));
        self.stopped += u64::from(stops);
        stops
    }

    /// What this machine does not survive, as text.
    pub(super) fn stop_reasons(&self) -> impl Iterator<Item = &'static str> {
        self.stops.iter().map(|stop| stop.what)
    }

    /// Whether this machine refuses a state that breaks these rules, with these values of fields.
    pub(super) fn expect(&mut self, violated: RuleSet, value: &dyn Fn(&str) -> u64) -> bool {
        self.apply.clear();
        let mut is_refused = false;
        let mut left = violated.len();
        for rule in violated.iter() {
            let skipped = self.rows.iter().position(|row| match row.effect {
                Effect::Skips(condition) => row.id == rule.id && condition(value),
                Effect::Extends(_) => false,
            });
            if let Some(index) = skipped {
                left -= 1;
                self.apply.push(index);
            }
        }
        is_refused |= left > 0;
        for (index, row) in self.rows.iter().enumerate() {
            if let Effect::Extends(condition) = row.effect
                && condition(value)
            {
                is_refused = true;
                self.apply.push(index);
            }
        }
        is_refused
    }

    /// Counts the rows that explain what was asked for last.
    pub(super) fn count(&mut self) {
        for index in self.apply.drain(..) {
            if let Some(count) = self.counts.get_mut(index) {
                *count += 1;
            }
        }
    }

    /// The rows and their counts, as text.
    pub(super) fn counted(&self) -> impl Iterator<Item = (String, u64)> {
        self.rows.iter().zip(&self.counts).map(|(row, count)| {
            let section = Rule::find(row.id).map_or("", |rule| rule.section);
            let verb = match row.effect {
                Effect::Skips(_) => "not checked",
                Effect::Extends(_) => "checked beyond the manual",
            };
            (format!("{}: {verb}: {} (APM vol. 2, section {section})", row.id, row.what), *count)
        })
    }
}
