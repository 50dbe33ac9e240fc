//! The images on the emulated machines.

use core::iter;
use std::path::Path;

use anyhow::bail;

use crate::cargo::{Profile, Workspace};
use crate::coverage::Coverage;
use crate::image::Image;
use crate::job::{Job, Outcome, jobs};
use crate::matrix::{IMAGES, PROFILES, Row, TEST_IMAGE, rows};
use crate::parallel::{WORKERS, each};
use crate::tally::Tally;
use crate::{carry, diff_entry, levels, output};

/// Builds the images and runs them on the machines whose names contain `filter`. With `only`, there is no more than the tests whose names
/// contain it.
pub(crate) fn run(
    workspace: &Workspace,
    filter: Option<&str>,
    only: Option<&str>,
    tally: &mut Tally,
) -> anyhow::Result<()> {
    let rows: Vec<_> =
        rows().into_iter().filter(|row| filter.is_none_or(|filter| row.machine.to_string().contains(filter))).collect();
    if rows.is_empty() {
        let names: Vec<_> = self::rows().iter().map(|row| row.machine.to_string()).collect();
        bail!("no machine is named so; there are\n  {}", names.join("\n  "));
    }
    let folder = workspace.lock_folder()?;
    let wanted: &[&str] = if only.is_some() { &[TEST_IMAGE] } else { &IMAGES };
    let images = build(workspace, wanted, folder.path())?;
    let mut jobs = jobs(&rows);
    if only.is_some() {
        jobs.retain(Job::has_tests);
    }
    output::progress(format_args!("{} runs, {WORKERS} at a time", jobs.len()));
    let outcomes = perform(&jobs, &images, only);
    for outcome in &outcomes {
        count(outcome, tally);
    }
    if only.is_some() {
        return Ok(());
    }
    output::line("");
    output::line(format_args!("{:32} {:>10} {:>10}   instructions per exit", "machine", "debug", "release"));
    for row in &rows {
        compare(row, &outcomes, tally);
    }
    let mut coverage = Coverage::default();
    for outcome in &outcomes {
        coverage.add(&outcome.job.row.machine.to_string(), &outcome.covered);
    }
    output::line("");
    levels::test(filter, &images, tally);
    carry::test(filter, &images, tally);
    diff_entry::test(rows.iter().map(|row| &row.machine), &images, tally);
    output::line(format_args!("\nrows of the tables of encodings that guests exercised, by machine\n{coverage}"));
    Ok(())
}

/// The images that could be built; the others are told of.
fn build(workspace: &Workspace, wanted: &[&'static str], folder: &Path) -> anyhow::Result<Vec<Image>> {
    let mut images = Vec::new();
    for profile in PROFILES {
        output::progress(format_args!("building {} ({profile})", wanted.join(", ")));
        for (name, elf) in iter::zip(wanted.iter().copied(), workspace.build_images(wanted, profile)?) {
            let Some(elf) = elf else { continue };
            match Image::convert(&elf, name, profile, folder) {
                Ok(image) => images.push(image),
                Err(error) => output::progress(format_args!("error: {error:#}")),
            }
        }
    }
    Ok(images)
}

/// Runs the jobs, some at a time, and prints each as it ends.
fn perform<'a>(jobs: &[Job<'a>], images: &[Image], only: Option<&str>) -> Vec<Outcome<'a>> {
    each(jobs, |job| {
        let image = images.iter().find(|image| image.name == job.image && image.profile == job.profile);
        let outcome =
            image.map_or_else(|| job.fail("the image was not built".to_owned()), |image| job.run(image, only));
        output::line(&outcome);
        outcome
    })
}

/// Adds each test in the image, or else the run as a whole.
fn count(outcome: &Outcome<'_>, tally: &mut Tally) {
    let mut has_failed_test = false;
    for test in &outcome.tests {
        has_failed_test |= test.outcome.is_err();
        let failure = |reason: &String| format!("{}  test {}: {reason}", outcome.job, test.name);
        tally.add(test.outcome.as_ref().copied().map_err(failure));
    }
    match &outcome.verdict {
        Ok(()) if outcome.tests.is_empty() => tally.add(Ok(())),
        Err(failure) if !has_failed_test => tally.add(Err(format!("{}  {}", outcome.job, failure.reason))),
        _ => {}
    }
}

/// Prints a machine's instructions per exit, and adds whether each run of the optimized image counted the same.
fn compare(row: &Row, outcomes: &[Outcome<'_>], tally: &mut Tally) {
    let counts = |profile| {
        let of_row = move |outcome: &&Outcome<'_>| {
            core::ptr::eq(outcome.job.row, row) && outcome.job.profile == profile && outcome.job.is_counted()
        };
        outcomes.iter().filter(of_row).map(|outcome| outcome.count.as_deref().unwrap_or("none")).collect::<Vec<_>>()
    };
    let (debug, mut release) = (counts(Profile::Debug), counts(Profile::Release));
    if release.is_empty() {
        return;
    }
    release.dedup();
    output::line(format_args!("{:32} {:>10} {:>10}", row.machine, debug.join(", "), release.join(", ")));
    tally.add(
        is_one_number(&release)
            .map_err(|counts| format!("{}  release instructions per exit differ: {counts}", row.machine)),
    );
}

/// Fails with the counts, freed of repetition, where they are not all the same number.
fn is_one_number(counts: &[&str]) -> Result<(), String> {
    match counts {
        [count] if *count != "none" => Ok(()),
        _ => Err(counts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::Test;

    fn tally(tests: &[(&str, Result<(), &str>)], verdict: Result<(), &str>) -> String {
        let rows = rows();
        let job = jobs(&rows).into_iter().next().unwrap();
        let mut outcome = job.fail(verdict.err().unwrap_or_default().to_owned());
        outcome.tests.extend(
            tests
                .iter()
                .map(|(name, outcome)| Test { name: (*name).to_owned(), outcome: outcome.map_err(str::to_owned) }),
        );
        if verdict.is_ok() {
            outcome.verdict = Ok(());
        }
        let mut tally = Tally::default();
        count(&outcome, &mut tally);
        tally.to_string()
    }

    #[test]
    fn tests_in_an_image_count_one_by_one() {
        let (ok, failed) = (("a", Ok(())), ("b", Err("why")));
        assert_eq!(tally(&[], Ok(())), "1 passed, 0 failed");
        assert_eq!(tally(&[], Err("no verdict")), "0 passed, 1 failed");
        assert_eq!(tally(&[ok, ok], Ok(())), "2 passed, 0 failed");
        assert_eq!(tally(&[ok, failed], Err("the image failed")), "1 passed, 1 failed");
        // All that ran passed, then the machine stopped.
        assert_eq!(tally(&[ok], Err("no verdict")), "1 passed, 1 failed");
    }

    #[test]
    fn counts_must_be_there_and_equal() {
        assert_eq!(is_one_number(&["95.000"]), Ok(()));
        assert_eq!(is_one_number(&["95.000", "95.001"]), Err("95.000, 95.001".to_owned()));
        assert!(is_one_number(&["none"]).is_err());
        assert!(is_one_number(&[]).is_err());
    }
}
