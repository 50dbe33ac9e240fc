//! The checker of VMRUN against the processor: states made by chance, what the checker says of each, and what the processor does.
//!
//! A state is a valid one with one to four fields changed. `cases=N` says how many there are, and `seed=S` which; each state
//! follows from the seed and its number alone. `show` prints each before it is tried, for an emulator that does not survive it.

mod departure;
mod field;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use machine::println;
use x86_virt::svm::check::{Prediction, RULES, RuleClass, RuleSet};
use x86_virt::svm::{EntryError, SvmVcpu};
use x86_virt::{Access, AnyVcpu, CpuState, Gpa, Segment, SegmentAccessRights, Vcpu, VcpuConfig};

use crate::bench::{Bench, Frames};
use crate::check_svm::departure::Departures;
use crate::check_svm::field::{FIELDS, Random};
use crate::coverage;
use crate::guest::{self, GDT, Guest};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

type Processor<'r, 's> = SvmVcpu<'r, 's, 'static, Frames>;

/// States, unless the command line says how many.
const CASES: u64 = 2000;
/// States on a processor other than the first.
const FEW: u64 = 200;
/// Disagreements that are printed in full.
const SHOWN: usize = 40;

/// Where the page-directory-pointer table of legacy PAE paging is.
const PDPT: u64 = 0xb000;

/// What a state is made of.
#[derive(Clone, Copy, Debug)]
enum Base {
    Real,
    Protected,
    Pae,
    Long,
}

impl Base {
    const ALL: [Self; 4] = [Self::Real, Self::Protected, Self::Pae, Self::Long];

    const fn mode(self) -> guest::Mode {
        match self {
            Self::Real => guest::Mode::Real,
            Self::Protected | Self::Pae => guest::Mode::Protected,
            Self::Long => guest::Mode::Long,
        }
    }

    /// A guest that executes HLT.
    fn state(self) -> CpuState {
        let mut state = self.mode().state();
        if matches!(self, Self::Pae) {
            state.cr0.set_pg(true);
            state.cr4.set_pae(true);
            state.cr3 = PDPT;
            state.gdtr.base = GDT;
            state.cs = Segment::flat(24, SegmentAccessRights::CODE32);
        }
        state
    }
}

/// A field, by its place in the list, and what it is set to.
#[derive(Clone, Copy, Debug)]
struct Edit {
    field: usize,
    value: u64,
}

/// What the checker and the processor say about one state.
#[derive(Clone, Copy, Debug)]
struct Answer {
    violated: RuleSet,
    prediction: Prediction,
    is_refused: bool,
}

/// What comes of comparing the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Agree,
    /// The processor departs from the manual, as a row says.
    Explained,
    /// The checker does not know.
    Undecided,
    Disagree,
}

/// How often each came.
#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    agree: u64,
    explained: u64,
    undecided: u64,
    unexplained: Vec<String>,
    refused: u64,
    /// How often each rule was violated.
    reached: Vec<u64>,
}

/// The processor does what the checker predicts.
pub(crate) fn agrees_with_the_processor(bench: &Bench) -> Outcome {
    let first = bench.processor == 0;
    let cases = argument("cases")?.filter(|_| first).unwrap_or(if first { CASES } else { FEW });
    let seed = argument("seed")?.unwrap_or(1).wrapping_add(u64::try_from(bench.processor)? << 32);
    let mut tally = Tally { reached: alloc::vec![0; RULES.len()], ..Tally::default() };
    let mut departures = Departures::here();
    for (base, start) in Base::ALL.into_iter().zip(0..) {
        let config = VcpuConfig::new().with_exceptions(!0);
        bench.with_guest(base.mode(), &[0xf4; 64], &config, |guest| {
            prepare(guest)?;
            let AnyVcpu::Svm(vcpu) = &mut guest.vcpu else { fail!("no SVM") };
            let mut bench = Trial::new(vcpu, base)?;
            for number in (start..cases).step_by(Base::ALL.len()) {
                bench.case(seed, number, &mut tally, &mut departures)?;
            }
            Ok(())
        })?;
    }
    report(bench, seed, &tally, &departures);
    ensure_eq!(tally.unexplained.len(), 0, "disagreements with the processor (seed {seed})");
    Ok(())
}

/// A number on the command line.
fn argument(name: &str) -> Outcome<Option<u64>> {
    Ok(machine::arg(name).map(str::parse).transpose()?)
}

/// Nothing that a guest executes gets far: HLT ends its run, and so does each store, also that of a flag in its tables.
fn prepare(guest: &Guest<'_, '_>) -> Outcome {
    const PRESENT: u64 = 1;
    guest.ram.write(PDPT, &(0x3000 | PRESENT).to_le_bytes())?;
    let all = Gpa::new(0)..Gpa::new(guest.ram.bytes());
    guest.space.protect(all, Access::READ.union(Access::EXECUTE))?.at_next_entry();
    Ok(())
}

fn report(bench: &Bench, seed: u64, tally: &Tally, departures: &Departures) {
    let Tally { cases, agree, explained, undecided, unexplained, refused, reached } = tally;
    let rules = reached.iter().filter(|count| **count > 0).count();
    println!(
        "check_svm [cpu{}] seed={seed} cases={cases} agree={agree} explained={explained} undecided={undecided} \
         unexplained={} not_tried={} refused={refused} rules_reached={rules}",
        bench.processor,
        unexplained.len(),
        departures.stopped,
    );
    for (rule, count) in RULES.iter().zip(reached).filter(|(_, count)| **count > 0) {
        println!("check_svm rule {} {count}", rule.id);
    }
    for (row, count) in departures.counted() {
        println!("check_svm departure {count} {row}");
    }
    for what in departures.stop_reasons() {
        println!("check_svm not tried: {what}");
    }
    for text in unexplained.iter().take(SHOWN) {
        println!("check_svm DISAGREE {text}");
    }
}

/// A virtual processor to try states with.
struct Trial<'v, 'r, 's> {
    vcpu: &'v mut Processor<'r, 's>,
    base: Base,
    /// The values of the fields in the valid state.
    valid: Vec<u64>,
}

impl<'v, 'r, 's> Trial<'v, 'r, 's> {
    fn new(vcpu: &'v mut Processor<'r, 's>, base: Base) -> Outcome<Self> {
        vcpu.set_state(&base.state())?;
        let mut trial = Self { valid: FIELDS.iter().map(|field| (field.get)(vcpu)).collect(), vcpu, base };
        let answer = trial.answer(&[])?;
        ensure!(answer.prediction == Prediction::Enters && !answer.is_refused, "{base:?}: {answer:?}");
        Ok(trial)
    }

    /// Tries the state with this number.
    fn case(&mut self, seed: u64, number: u64, tally: &mut Tally, departures: &mut Departures) -> Outcome {
        let edits = self.edits(&mut Random::new(seed, number));
        tally.cases += 1;
        if departures.stops(&self.values(&edits)) {
            return Ok(());
        }
        if machine::arg("show").is_some() {
            println!("check_svm seed={seed} case={number} {:?}: {}", self.base, self.text(&edits));
        }
        let answer = self.answer(&edits)?;
        tally.refused += u64::from(answer.is_refused);
        for rule in answer.violated.iter() {
            let place = RULES.iter().position(|other| other == rule);
            if let Some(count) = place.and_then(|place| tally.reached.get_mut(place)) {
                *count += 1;
            }
        }
        match self.compare(&edits, answer, departures) {
            Comparison::Agree => tally.agree += 1,
            Comparison::Explained => {
                tally.explained += 1;
                departures.count();
            }
            Comparison::Undecided => tally.undecided += 1,
            Comparison::Disagree => {
                let text = self.minimal(edits, departures)?;
                tally.unexplained.push(format!("seed={seed} case={number} {:?}: {text}", self.base));
            }
        }
        Ok(())
    }

    /// One to four fields, each with another value.
    fn edits(&self, random: &mut Random) -> Vec<Edit> {
        let count = 1 + random.below(4);
        let mut edits: Vec<Edit> = Vec::new();
        for _ in 0..count {
            let index = random.index(FIELDS.len());
            let (Some(field), Some(valid)) = (FIELDS.get(index), self.valid.get(index)) else { continue };
            if edits.iter().all(|edit| edit.field != index) {
                edits.push(Edit { field: index, value: field.change(*valid, random) });
            }
        }
        edits
    }

    /// Makes the valid state, changes it, asks the checker, and runs it.
    fn answer(&mut self, edits: &[Edit]) -> Outcome<Answer> {
        self.vcpu.cancel_event();
        self.vcpu.set_state(&self.base.state())?;
        for (field, value) in FIELDS.iter().zip(&self.valid) {
            (field.set)(self.vcpu, *value);
        }
        for edit in edits {
            if let Some(field) = FIELDS.get(edit.field) {
                (field.set)(self.vcpu, edit.value);
            }
        }
        let report = self.vcpu.check();
        let (violated, prediction) = (report.violated(), report.prediction());
        let is_refused = match self.vcpu.run() {
            Ok(exit) => {
                coverage::exit(x86_virt::Reason::Svm(exit.reason));
                false
            }
            Err(EntryError::InvalidState { violated: told, .. }) => {
                ensure_eq!(told, violated, "rules of the error of {}", self.text(edits));
                true
            }
            Err(other) => fail!("{other} for {}", self.text(edits)),
        };
        Ok(Answer { violated, prediction, is_refused })
    }

    /// The values of the fields after the edits, by name.
    fn values(&self, edits: &[Edit]) -> impl Fn(&str) -> u64 {
        move |name| {
            let index = FIELDS.iter().position(|field| field.name == name);
            let changed = edits.iter().find(|edit| Some(edit.field) == index).map(|edit| edit.value);
            changed.or_else(|| self.valid.get(index?).copied()).unwrap_or_default()
        }
    }

    fn compare(&self, edits: &[Edit], answer: Answer, departures: &mut Departures) -> Comparison {
        let predicted = match answer.prediction {
            Prediction::Enters => false,
            Prediction::Refused(RuleClass::InvalidState) => true,
            _ => return Comparison::Undecided,
        };
        let here = departures.expect(answer.violated, &self.values(edits));
        match (predicted == answer.is_refused, here == answer.is_refused) {
            (true, true) => Comparison::Agree,
            (false, true) => Comparison::Explained,
            // Neither the manual nor the rows say so; or a row says what is not so.
            (_, false) => Comparison::Disagree,
        }
    }

    /// What of `edits` is enough to disagree.
    fn minimal(&mut self, mut edits: Vec<Edit>, departures: &mut Departures) -> Outcome<String> {
        let mut index = 0;
        while index < edits.len() {
            let mut fewer = edits.clone();
            fewer.remove(index);
            let answer = self.answer(&fewer)?;
            if self.compare(&fewer, answer, departures) == Comparison::Disagree {
                edits = fewer;
            } else {
                index += 1;
            }
        }
        let answer = self.answer(&edits)?;
        let did = if answer.is_refused { "refused" } else { "entered" };
        Ok(format!("{}: {did}, violated: {:?}", self.text(&edits), answer.violated))
    }

    fn text(&self, edits: &[Edit]) -> String {
        let words: Vec<_> = edits
            .iter()
            .filter_map(|edit| Some(format!("{}={:#x}", FIELDS.get(edit.field)?.name, edit.value)))
            .collect();
        if words.is_empty() { "the valid state".to_string() } else { words.join(" ") }
    }
}
