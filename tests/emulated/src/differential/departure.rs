//! Where an emulator departs from the manual, one row for each rule.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::differential::{Happening, Happenings, Trial};

/// How an emulator treats a rule.
enum Effect {
    /// It does not check it, at least not in such a state.
    Skips,
    /// It refuses such states, though the rule does not: as it is said, or as the rule is broken.
    Extends(Option<Happening>),
}

/// A departure.
pub(crate) struct Row<V> {
    /// The rule, which has the section of the manual.
    id: &'static str,
    effect: Effect,
    /// Whether a state is as the row says.
    condition: fn(&V) -> bool,
    what: &'static str,
}

/// The rule is not checked where the condition holds.
pub(crate) const fn skips<V>(id: &'static str, condition: fn(&V) -> bool, what: &'static str) -> Row<V> {
    Row { id, effect: Effect::Skips, condition, what }
}

/// What the condition holds for is refused as if it broke the rule.
pub(crate) const fn extends<V>(id: &'static str, condition: fn(&V) -> bool, what: &'static str) -> Row<V> {
    Row { id, effect: Effect::Extends(None), condition, what }
}

/// What the condition holds for is refused like this.
pub(crate) const fn extends_to<V>(
    id: &'static str,
    happening: Happening,
    condition: fn(&V) -> bool,
    what: &'static str,
) -> Row<V> {
    Row { id, effect: Effect::Extends(Some(happening)), condition, what }
}

/// A state with which an emulator stops, or the host under it does not go on.
pub(crate) struct Stop<V> {
    pub(crate) condition: fn(&V) -> bool,
    pub(crate) what: &'static str,
}

/// The rows of a machine, and how often each explained a disagreement.
pub(crate) struct Departures<V: 'static> {
    rows: &'static [Row<V>],
    /// The numbers of the rules of the rows, and what happens to a state that breaks them.
    rules: Vec<(usize, Happening)>,
    /// The rows that skip each rule.
    skipping: Vec<Vec<usize>>,
    /// The rows that refuse more.
    extending: Vec<usize>,
    counts: Vec<u64>,
    stops: &'static [Stop<V>],
    stop_counts: Vec<u64>,
    /// Those that apply to the state that was asked for last.
    apply: Vec<usize>,
}

impl<V> fmt::Debug for Departures<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Departures").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl<V> Departures<V> {
    /// The rows and stops of a machine; `class` tells what happens to a state that breaks a rule.
    pub(crate) fn new<T: Trial<State = V>>(
        rows: &'static [Row<V>],
        stops: &'static [Stop<V>],
        class: fn(usize) -> Happening,
    ) -> Self {
        let number = |row: &Row<V>| (0..T::rules()).find(|rule| T::id(*rule) == row.id);
        let rules =
            rows.iter().map(|row| number(row).map_or((usize::MAX, Happening::OTHER), |rule| (rule, class(rule))));
        let rules: Vec<_> = rules.collect();
        let places = |is: &dyn Fn(&Row<V>, usize) -> bool| {
            let rows = rows.iter().zip(&rules).enumerate();
            rows.filter(|(_, (row, rule))| is(row, rule.0)).map(|(place, _)| place).collect::<Vec<_>>()
        };
        let skips = |rule| places(&|row, of| of == rule && matches!(row.effect, Effect::Skips));
        let skipping = (0..T::rules()).map(skips).collect();
        let extending = places(&|row, _| matches!(row.effect, Effect::Extends(_)));
        let (counts, stop_counts) = (rows.iter().map(|_| 0).collect(), stops.iter().map(|_| 0).collect());
        Self { rows, rules, skipping, extending, counts, stops, stop_counts, apply: Vec::new() }
    }

    /// Whether this machine does not survive the state, which is counted.
    pub(crate) fn stops(&mut self, state: &V) -> bool {
        let stop = self.stops.iter().position(|stop| (stop.condition)(state));
        if let Some(count) = stop.and_then(|stop| self.stop_counts.get_mut(stop)) {
            *count += 1;
        }
        stop.is_some()
    }

    /// How many states were not tried.
    pub(crate) fn not_tried(&self) -> u64 {
        self.stop_counts.iter().sum()
    }

    /// What this machine does not survive, as text, and how often it came.
    pub(crate) fn stop_reasons(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.stops.iter().map(|stop| stop.what).zip(self.stop_counts.iter().copied())
    }

    /// What this machine does with a state that breaks these rules.
    pub(crate) fn expect(&mut self, violated: impl Iterator<Item = (usize, Happening)>, state: &V) -> Happenings {
        self.apply.clear();
        let mut happenings = Happenings::NONE;
        for (rule, happening) in violated {
            let rows = self.skipping.get(rule).into_iter().flatten();
            let applies = |place: &&usize| self.rows.get(**place).is_some_and(|row| (row.condition)(state));
            match rows.copied().find(|place| applies(&place)) {
                Some(place) => self.apply.push(place),
                None => happenings = happenings.with(happening),
            }
        }
        for place in &self.extending {
            if let (Some(row), Some(rule)) = (self.rows.get(*place), self.rules.get(*place))
                && let Effect::Extends(how) = row.effect
                && (row.condition)(state)
            {
                happenings = happenings.with(how.unwrap_or(rule.1));
                self.apply.push(*place);
            }
        }
        happenings.first()
    }

    /// Whether a row applies to the state that was asked for last.
    pub(crate) const fn any_apply(&self) -> bool {
        !self.apply.is_empty()
    }

    /// The numbers of the rules that the state that was asked for last breaks here beyond the manual.
    pub(crate) fn extended(&self) -> impl Iterator<Item = usize> {
        let rows = self
            .apply
            .iter()
            .filter(|row| self.rows.get(**row).is_some_and(|row| matches!(row.effect, Effect::Extends(_))));
        rows.filter_map(|row| self.rules.get(*row)).map(|rule| rule.0)
    }

    /// Counts the rows that explain what was asked for last.
    pub(crate) fn count(&mut self) {
        for index in self.apply.drain(..) {
            if let Some(count) = self.counts.get_mut(index) {
                *count += 1;
            }
        }
    }

    /// The rows and their counts, as text.
    pub(crate) fn counted(
        &self,
        section: fn(usize) -> String,
        manual: &'static str,
    ) -> impl Iterator<Item = (String, u64)> {
        self.rows.iter().zip(&self.rules).zip(&self.counts).map(move |((row, rule), count)| {
            let verb = match row.effect {
                Effect::Skips => "not checked",
                Effect::Extends(_) => "checked beyond the manual",
            };
            (format!("{}: {verb}: {} ({manual}, section {})", row.id, row.what, section(rule.0)), *count)
        })
    }
}
