//! One run of the matrix: what it is, and what came of it.

use core::fmt;
use core::time::Duration;

use crate::boot::{Boot, Hardware};
use crate::cargo::Profile;
use crate::console::{self, Test};
use crate::coverage::Covered;
use crate::image::Image;
use crate::matrix::{COUNTED_IMAGE, COUNTS, CPUS, IMAGES, PROFILES, Row, Support, TEST_IMAGE};

/// The time limit of a run.
const LIMIT: Duration = Duration::from_secs(240);

/// One run of the matrix.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) row: &'a Row,
    pub(crate) image: &'static str,
    pub(crate) profile: Profile,
    cpus: u8,
    /// Which of several equal runs.
    take: u8,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) job: Job<'a>,
    /// The tests that the image ran.
    pub(crate) tests: Vec<Test>,
    /// The rows of tables that it exercised.
    pub(crate) covered: Vec<Covered>,
    /// The instructions per exit, as printed.
    pub(crate) count: Option<String>,
    /// Why it failed, and what helps to understand it.
    pub(crate) verdict: Result<(), Failure>,
    took: Duration,
}

/// Why a run failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) detail: String,
}

/// Every run on these machines.
pub(crate) fn jobs(rows: &[Row]) -> Vec<Job<'_>> {
    let mut jobs = Vec::new();
    for row in rows {
        for image in IMAGES {
            for profile in PROFILES {
                for cpus in CPUS {
                    let job = Job { row, image, profile, cpus, take: 0 };
                    let takes = if job.is_counted() && profile == Profile::Release { COUNTS } else { 1 };
                    jobs.extend((0..takes).map(|take| Job { take, ..job }));
                }
            }
        }
    }
    jobs
}

impl<'a> Job<'a> {
    /// Whether the image must print its instructions per exit.
    pub(crate) fn is_counted(&self) -> bool {
        self.image == COUNTED_IMAGE && self.cpus == 1 && self.row.support == Support::Full
    }

    /// Whether the image is the one with the tests.
    pub(crate) fn has_tests(&self) -> bool {
        self.image == TEST_IMAGE
    }

    /// Boots the image, and judges. With `only`, it runs no more than the tests whose names contain it.
    pub(crate) fn run(self, image: &Image, only: Option<&str>) -> Outcome<'a> {
        let only = only.map(|only| format!("only={only}"));
        let expect = (self.row.support == Support::Refused).then_some("expect=unsupported");
        let arguments: Vec<&str> = expect.into_iter().chain(only.as_deref()).collect();
        let boot = Boot {
            image,
            machine: &self.row.machine,
            cpus: self.cpus,
            take: self.take,
            arguments: &arguments,
            carried: None,
            limit: LIMIT,
            hardware: Hardware::default(),
        };
        match boot.run(|_| ()) {
            Ok(run) => {
                let tests: Vec<_> = run.lines.iter().filter_map(|line| console::test(line)).collect();
                let covered = run.lines.iter().filter_map(|line| Covered::of(line)).collect();
                let count = console::instructions_per_exit(&run.lines).map(str::to_owned);
                let verdict = run.judge().and_then(|()| self.check(&tests, count.as_deref()));
                let verdict = verdict.map_err(|reason| Failure { reason, detail: run.describe() });
                Outcome { job: self, tests, covered, count, verdict, took: run.took }
            }
            Err(error) => self.fail(format!("{error:#}")),
        }
    }

    /// A run that could not start.
    pub(crate) fn fail(self, reason: String) -> Outcome<'a> {
        let failure = Failure { reason, detail: String::new() };
        Outcome {
            job: self,
            tests: Vec::new(),
            covered: Vec::new(),
            count: None,
            verdict: Err(failure),
            took: Duration::ZERO,
        }
    }

    /// What a passing image must have printed.
    fn check(&self, tests: &[Test], count: Option<&str>) -> Result<(), String> {
        if let Some(test) = tests.iter().find(|test| test.outcome.is_err()) {
            return Err(format!("the image passed, but its test {} failed", test.name));
        }
        if self.is_counted() && count.is_none() {
            return Err("the image printed no `instructions per exit: N`".to_owned());
        }
        Ok(())
    }
}

impl fmt::Display for Job<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { row, image, profile, cpus, .. } = self;
        write!(formatter, "{:32} {image:14} {profile:7} cpus={cpus}", row.machine)
    }
}

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.verdict.is_ok() { "pass" } else { "FAIL" };
        write!(formatter, "{word}  {}  {:6.2} s", self.job, self.took.as_secs_f64())?;
        match &self.verdict {
            Ok(()) => Ok(()),
            Err(failure) if failure.detail.is_empty() => write!(formatter, "  {}", failure.reason),
            Err(failure) => write!(formatter, "  {}\n{}", failure.reason, failure.detail.trim_end()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::rows;

    #[test]
    fn each_machine_has_each_image_in_each_way() {
        let rows = rows();
        let jobs = jobs(&rows);
        let refused = rows.iter().filter(|row| row.support == Support::Refused).count();
        let full = rows.len() - refused;
        assert_eq!((full, refused), (11, 2));
        assert_eq!(jobs.len(), full * (3 * 2 * 3 + 2) + refused * 3 * 2 * 3);
        assert_eq!(jobs.iter().filter(|job| job.is_counted()).count(), full * 4);
    }

    #[test]
    fn a_counted_image_must_count_and_tests_must_pass() {
        let rows = rows();
        let counted = jobs(&rows).into_iter().find(Job::is_counted).unwrap();
        assert!(counted.check(&[], None).is_err());
        assert_eq!(counted.check(&[], Some("95.000")), Ok(()));
        let failed = Test { name: "a".to_owned(), outcome: Err(String::new()) };
        assert!(counted.check(&[failed], Some("95.000")).is_err());
    }
}
