//! What passed and what failed.

use core::fmt;

/// The sum of all results.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: usize,
    failures: Vec<String>,
    /// Failures known by their number alone.
    counted: usize,
}

impl Tally {
    /// Adds one result; a failure with what to say about it.
    pub(crate) fn add(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed = self.passed.saturating_add(1),
            Err(failure) => self.failures.push(failure),
        }
    }

    /// Adds results that are told elsewhere.
    pub(crate) fn add_counts(&mut self, passed: usize, failed: usize) {
        self.passed = self.passed.saturating_add(passed);
        self.counted = self.counted.saturating_add(failed);
    }

    /// What is to be said about the failures.
    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> usize {
        self.failures.len().saturating_add(self.counted)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up() {
        let mut tally = Tally::default();
        tally.add(Ok(()));
        tally.add(Err("why".to_owned()));
        tally.add_counts(10, 2);
        assert_eq!(tally.to_string(), "11 passed, 3 failed");
        assert_eq!(tally.failures(), ["why"]);
    }
}
