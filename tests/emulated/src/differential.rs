//! A checker of entries against the processor: states made by chance, what the checker says of each, and what the processor does.
//!
//! A state is a valid one with one to four fields changed. `cases=N` says how many there are, `seed=S` which, and `first=F` where
//! they start; each state follows from the seed and its number alone. `show` prints each before it is tried, for an emulator that
//! does not survive it; `log` prints each that was refused; `subsets` tries each with every part of its changes,
//! too; `directed` adds states that are made on purpose.

mod departure;
mod happening;
mod log;
mod plan;
mod random;
mod tally;

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use machine::println;

pub(crate) use departure::{Departures, Row, Stop, extends, extends_to, skips};
pub(crate) use happening::{Happening, Happenings};
pub(crate) use log::Log;
pub(crate) use plan::Plan;
pub(crate) use random::Random;
pub(crate) use tally::Tally;

use crate::harness::Outcome;

/// A field, by its place in the list, and what it is set to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edit {
    pub(crate) field: usize,
    pub(crate) value: u64,
}

/// What the checker and the processor say about one state.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The numbers of the rules that it breaks, as the checker says.
    pub(crate) violated: Vec<usize>,
    /// What the processor does, as the checker says; empty if it does not know.
    pub(crate) predicted: Happenings,
    /// What this machine does, as the rows of its departures say.
    pub(crate) here: Happenings,
    /// What it did.
    pub(crate) did: Happening,
    /// Whether it found nothing wrong.
    pub(crate) has_passed: bool,
    /// The time after the entry, and how long that took.
    pub(crate) time: (u64, u64),
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

/// A valid state of one vendor, and how to change and to try it.
pub(crate) trait Trial {
    /// What rows of departures look at.
    type State: 'static;
    /// The manual.
    const MANUAL: &'static str;

    /// How many rules there are.
    fn rules() -> usize;
    /// The identifier of a rule.
    fn id(rule: usize) -> &'static str;
    /// Where the manual has the rule.
    fn section(rule: usize) -> String;

    /// What the valid state is.
    fn base(&self) -> String;
    /// How many fields may change.
    fn fields(&self) -> usize;
    /// The name of a field.
    fn name(&self, field: usize) -> &'static str;
    /// Another value of a field than in the valid state.
    fn change(&self, field: usize, random: &mut Random) -> u64;

    /// Prepares for the state with this number.
    fn begin(&mut self, number: u64) {
        let _ = number;
    }

    /// Makes the valid state, changes it, asks the checker, and runs it. `None` if the machine would not survive it.
    fn answer(&mut self, edits: &[Edit], departures: &mut Departures<Self::State>) -> Outcome<Option<Answer>>;

    /// Whether the checker can decide all rules on which its prediction depends.
    fn is_certain(&mut self, edits: &[Edit]) -> Outcome<bool> {
        let _ = edits;
        Ok(true)
    }
}

/// Tries the states of `plan` for the valid state with the number `base` of `bases`.
pub(crate) fn compare<T: Trial>(
    trial: &mut T,
    plan: &Plan,
    (base, bases): (u64, u64),
    tally: &mut Tally,
    departures: &mut Departures<T::State>,
) -> Outcome {
    for number in plan.numbers(base, bases) {
        trial.begin(number);
        let edits = edits(trial, &mut Random::new(plan.seed, number));
        if plan.subsets {
            for part in subsets(&edits) {
                case(trial, plan, number, part, tally, departures)?;
            }
        } else {
            case(trial, plan, number, edits, tally, departures)?;
        }
    }
    Ok(())
}

/// Tries one state.
pub(crate) fn case<T: Trial>(
    trial: &mut T,
    plan: &Plan,
    number: u64,
    edits: Vec<Edit>,
    tally: &mut Tally,
    departures: &mut Departures<T::State>,
) -> Outcome {
    tally.cases += 1;
    if plan.show || plan.subsets {
        println!("differ case={number} {}: {}", trial.base(), text(trial, &edits));
    }
    let Some(answer) = trial.answer(&edits, departures)? else { return Ok(()) };
    tally.add(&answer);
    if plan.log && !answer.has_passed {
        tally.log.add(number, &answer, departures.extended());
        if plan.subsets {
            tally.log.print();
        }
    }
    match judge(trial, &edits, &answer, departures)? {
        Comparison::Agree => tally.agree += 1,
        Comparison::Explained => {
            tally.explained += 1;
            departures.count();
        }
        Comparison::Undecided => tally.undecided += 1,
        Comparison::Disagree => {
            let text = minimal(trial, edits, departures)?;
            tally.unexplained.push(format!("seed={} case={number} {}: {text}", plan.seed, trial.base()));
        }
    }
    Ok(())
}

/// One to four fields, each with another value.
fn edits<T: Trial>(trial: &T, random: &mut Random) -> Vec<Edit> {
    let count = 1 + random.below(4);
    let mut edits: Vec<Edit> = Vec::new();
    for _ in 0..count {
        let field = random.index(trial.fields());
        if edits.iter().all(|edit| edit.field != field) {
            edits.push(Edit { field, value: trial.change(field, random) });
        }
    }
    edits
}

/// All parts of `edits` but the empty one, the smallest first.
fn subsets(edits: &[Edit]) -> Vec<Vec<Edit>> {
    let mut subsets: Vec<Vec<Edit>> = (1_u32..1 << edits.len())
        .map(|set| edits.iter().zip(0..).filter(|(_, bit)| set >> bit & 1 == 1).map(|(edit, _)| *edit).collect())
        .collect();
    subsets.sort_by_key(Vec::len);
    subsets
}

fn judge<T: Trial>(
    trial: &mut T,
    edits: &[Edit],
    answer: &Answer,
    departures: &Departures<T::State>,
) -> Outcome<Comparison> {
    if answer.predicted.is_empty() {
        return Ok(Comparison::Undecided);
    }
    let by_manual = answer.predicted.contains(answer.did);
    if answer.here.contains(answer.did) {
        if by_manual {
            return Ok(Comparison::Agree);
        }
        if departures.any_apply() {
            return Ok(Comparison::Explained);
        }
    }
    // Neither the manual nor the rows say so; or a row says what is not so.
    Ok(if trial.is_certain(edits)? { Comparison::Disagree } else { Comparison::Undecided })
}

/// What of `edits` is enough to disagree, and how.
fn minimal<T: Trial>(trial: &mut T, mut edits: Vec<Edit>, departures: &mut Departures<T::State>) -> Outcome<String> {
    let mut index = 0;
    while index < edits.len() {
        let mut fewer = edits.clone();
        fewer.remove(index);
        let disagrees = match trial.answer(&fewer, departures)? {
            Some(answer) => judge(trial, &fewer, &answer, departures)? == Comparison::Disagree,
            None => false,
        };
        if disagrees {
            edits = fewer;
        } else {
            index += 1;
        }
    }
    let words = text(trial, &edits);
    let Some(answer) = trial.answer(&edits, departures)? else { return Ok(words) };
    let ids: Vec<_> = answer.violated.iter().map(|rule| T::id(*rule)).collect();
    Ok(format!("{words}: {}, predicted {}, here {}, violated: {ids:?}", answer.did, answer.predicted, answer.here))
}

fn text<T: Trial>(trial: &T, edits: &[Edit]) -> String {
    let words: Vec<_> = edits.iter().map(|edit| format!("{}={:#x}", trial.name(edit.field), edit.value)).collect();
    if words.is_empty() { "the valid state".to_string() } else { words.join(" ") }
}
