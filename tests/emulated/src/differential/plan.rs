//! Which states are tried.

use crate::harness::Outcome;

/// Which states are tried, and what is printed.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    first: u64,
    end: u64,
    pub(crate) show: bool,
    pub(crate) log: bool,
    pub(crate) subsets: bool,
    /// Whether states that are made on purpose are tried, too.
    pub(crate) directed: bool,
}

impl Plan {
    /// What the command line says for this processor; without it, so many states, and a tenth on all processors but the first.
    pub(crate) fn of_command_line(processor: usize, cases: u64) -> Outcome<Self> {
        let is_first = processor == 0;
        let cases = number("cases")?.filter(|_| is_first).unwrap_or(if is_first { cases } else { cases / 10 });
        let first = number("first")?.unwrap_or(0);
        Ok(Self {
            seed: number("seed")?.unwrap_or(1).wrapping_add(u64::try_from(processor)? << 32),
            first,
            end: first.saturating_add(cases),
            show: machine::arg("show").is_some(),
            log: machine::arg("log").is_some(),
            subsets: machine::arg("subsets").is_some(),
            directed: machine::arg("directed").is_some(),
        })
    }

    /// The numbers of the states that are made from the valid state `base` of `bases`.
    pub(crate) fn numbers(&self, base: u64, bases: u64) -> impl Iterator<Item = u64> + use<> {
        let skipped = (base + bases - self.first % bases) % bases;
        let step = usize::try_from(bases).unwrap_or(1);
        (self.first.saturating_add(skipped)..self.end).step_by(step)
    }
}

/// A number on the command line.
fn number(name: &str) -> Outcome<Option<u64>> {
    Ok(machine::arg(name).map(str::parse).transpose()?)
}
