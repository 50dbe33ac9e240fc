//! Every interleaving of a virtual processor that moves between two processors, and of those that kick it.

extern crate std;

use std::collections::BTreeSet;
use std::vec::Vec;

use core::sync::atomic::{AtomicU64, Ordering};

use super::{INSIDE, KICKED, Kick};

/// Where the virtual processor is in its loop.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    /// In the host, with interrupts enabled.
    Host,
    /// Interrupts are disabled.
    Disabled,
    /// It has looked at the kick, and is about to enter.
    Entering,
    Guest,
    /// The run has ended; interrupts are disabled.
    Left,
}

/// Where one who kicks is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kicker {
    Waiting,
    /// He must send an interrupt to this processor.
    Sending(u32),
    Done,
}

/// Whether a processor that has looked at the kick can still take an interrupt in the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Protocol {
    /// No: interrupts are disabled before the look.
    Ours,
    /// Yes: a mistake, which the search must find.
    EnabledTooLong,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct State {
    word: u64,
    step: Step,
    processor: u32,
    /// Interrupts that are pending, by processor.
    pending: [bool; 2],
    kickers: [Kicker; 3],
    /// How often the run has returned `Kicked`.
    seen: u8,
}

impl State {
    const START: Self =
        Self { word: 0, step: Step::Host, processor: 0, pending: [false; 2], kickers: [Kicker::Waiting; 3], seen: 0 };

    /// Calls a function of the kick under test.
    fn with_kick<T>(&mut self, call: impl FnOnce(&Kick) -> T) -> T {
        let kick = Kick { word: AtomicU64::new(self.word) };
        let result = call(&kick);
        self.word = kick.word.load(Ordering::SeqCst);
        result
    }

    fn is_interrupt_pending(&self) -> bool {
        self.pending[usize::try_from(self.processor).unwrap()]
    }

    /// All states that one step of anybody leads to.
    fn next(&self, protocol: Protocol) -> Vec<Self> {
        let mut next = Vec::new();
        let mut push = |change: &dyn Fn(&mut Self)| {
            let mut state = self.clone();
            change(&mut state);
            next.push(state);
        };
        // Processors that do not run the virtual one take their interrupts at any time.
        let other = usize::try_from(1 - self.processor).unwrap();
        if self.pending[other] {
            push(&|state| state.pending[other] = false);
        }
        let takes_interrupts =
            self.step == Step::Host || self.step == Step::Entering && protocol == Protocol::EnabledTooLong;
        if takes_interrupts && self.is_interrupt_pending() {
            push(&|state| state.pending[usize::try_from(state.processor).unwrap()] = false);
        }
        match self.step {
            Step::Host => {
                push(&|state| state.step = Step::Disabled);
                push(&|state| state.processor = 1 - state.processor);
            }
            Step::Disabled => push(&|state| {
                let processor = state.processor;
                let enters = state.with_kick(|kick| kick.enter(processor).map(core::mem::forget).is_some());
                state.step = if enters { Step::Entering } else { Step::Host };
                state.seen += u8::from(!enters);
            }),
            Step::Entering => push(&|state| state.step = Step::Guest),
            Step::Guest if self.is_interrupt_pending() => push(&|state| state.step = Step::Left),
            Step::Guest => {
                // Any other exit, but the guest may stay for ever too.
                push(&|state| state.step = Step::Left);
            }
            Step::Left => push(&|state| {
                state.with_kick(|kick| drop(super::Inside { kick }));
                state.step = Step::Host;
            }),
        }
        for (index, kicker) in self.kickers.iter().enumerate() {
            match *kicker {
                Kicker::Waiting => push(&|state| {
                    let result = state.with_kick(Kick::kick);
                    state.kickers[index] = result.map_or(Kicker::Done, Kicker::Sending);
                }),
                Kicker::Sending(processor) => push(&|state| {
                    state.pending[usize::try_from(processor).unwrap()] = true;
                    state.kickers[index] = Kicker::Done;
                }),
                Kicker::Done => {}
            }
        }
        next
    }

    /// A kick that the guest may never notice: nobody will interrupt it.
    fn is_lost(&self) -> bool {
        let will_be_sent = self.kickers.contains(&Kicker::Sending(self.processor));
        self.step == Step::Guest && self.word & KICKED != 0 && !self.is_interrupt_pending() && !will_be_sent
    }
}

/// All states that can be reached.
fn explore(protocol: Protocol) -> BTreeSet<State> {
    let mut known = BTreeSet::new();
    let mut open = Vec::from([State::START]);
    while let Some(state) = open.pop() {
        if known.insert(state.clone()) {
            open.extend(state.next(protocol));
        }
    }
    known
}

#[test]
fn no_kick_is_lost_in_any_interleaving() {
    let states = explore(Protocol::Ours);
    assert!(states.len() > 1000, "{} states", states.len());
    for state in &states {
        assert!(!state.is_lost(), "{state:?}");
        let is_inside = matches!(state.step, Step::Entering | Step::Guest | Step::Left);
        assert_eq!(state.word & INSIDE != 0, is_inside, "{state:?}");
        assert_eq!(state.word >> 32, if is_inside { state.processor.into() } else { 0 }, "{state:?}");
        // Every kick was seen, or will be: kicks that come together are one.
        let given = state.kickers.iter().filter(|kicker| **kicker != Kicker::Waiting).count();
        let open = usize::from(state.word & KICKED != 0);
        let seen = usize::from(state.seen);
        assert!(seen + open <= given && (given == 0 || seen + open > 0), "{state:?}");
    }
    assert!(states.iter().any(|state| state.seen == 3), "three kicks that are seen one by one");
    assert!(states.iter().any(|state| state.seen == 1 && state.word == 0 && state.kickers == [Kicker::Done; 3]));
}

#[test]
fn the_search_finds_a_kick_that_is_lost() {
    assert!(explore(Protocol::EnabledTooLong).iter().any(State::is_lost));
}
