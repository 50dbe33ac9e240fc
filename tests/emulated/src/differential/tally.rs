//! How often what came.

use alloc::string::String;
use alloc::vec::Vec;

use machine::println;

use crate::differential::{Answer, Departures, Log, Plan, Trial};

/// Disagreements that are printed in full.
const SHOWN: usize = 40;

/// How often each came.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) cases: u64,
    pub(crate) agree: u64,
    pub(crate) explained: u64,
    pub(crate) undecided: u64,
    pub(crate) unexplained: Vec<String>,
    pub(crate) log: Log,
    refused: u64,
    /// How often each rule was violated.
    reached: Vec<u64>,
}

impl Tally {
    pub(crate) fn new<T: Trial>() -> Self {
        let reached = alloc::vec![0; T::rules()];
        let (log, unexplained) = (Log::default(), Vec::new());
        Self { cases: 0, agree: 0, explained: 0, undecided: 0, unexplained, log, refused: 0, reached }
    }

    pub(crate) fn add(&mut self, answer: &Answer) {
        self.refused += u64::from(!answer.has_passed);
        for rule in &answer.violated {
            if let Some(count) = self.reached.get_mut(*rule) {
                *count += 1;
            }
        }
    }

    /// Prints all of it.
    pub(crate) fn print<T: Trial>(&mut self, processor: usize, plan: &Plan, departures: &Departures<T::State>) {
        self.log.print();
        let Self { cases, agree, explained, undecided, unexplained, refused, reached, .. } = self;
        let rules = reached.iter().filter(|count| **count > 0).count();
        println!(
            "differ [cpu{processor}] seed={} cases={cases} agree={agree} explained={explained} undecided={undecided} \
             unexplained={} not_tried={} refused={refused} rules_reached={rules}",
            plan.seed,
            unexplained.len(),
            departures.not_tried(),
        );
        for (rule, count) in reached.iter().enumerate().filter(|(_, count)| **count > 0) {
            println!("differ rule {} {count}", T::id(rule));
        }
        for (text, count) in departures.counted(T::section, T::MANUAL) {
            println!("differ departure {count} {text}");
        }
        for (what, count) in departures.stop_reasons() {
            println!("differ not tried {count} {what}");
        }
        for text in unexplained.iter().take(SHOWN) {
            println!("differ DISAGREE {text}");
        }
    }
}
