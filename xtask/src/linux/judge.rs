//! Whether a guest did what it should, by its own words.

use super::{guest_line, test_of};
use crate::boot::Run;
use crate::console::Test;

/// What the guest must have tested.
const TESTS: [&str; 16] = [
    "hypervisor_flag",
    "memory_size",
    "processors",
    "cpu",
    "sha256",
    "memory",
    "zeroes",
    "fork",
    "pipes",
    "timer",
    "timer_interrupts",
    "absent_memory",
    "illegal_vmxon",
    "illegal_vmlaunch",
    "illegal_vmrun",
    "illegal_vmsave",
];
/// And on more than one processor.
const MORE_TESTS: [&str; 4] = ["affinity", "interrupts_between_processors", "shootdown", "shootdown_interrupts"];
/// The first words of the system's own name.
const NAME: &str = "guest: Linux ";
const DONE: &str = "guest: done";

/// Why the run is not a pass.
pub(super) fn judge(run: &Run, cpus: u8) -> Result<(), String> {
    run.judge()?;
    check(&run.lines, cpus)
}

/// The tests that the guest reports.
pub(super) fn tests(lines: &[String]) -> Vec<Test> {
    lines.iter().filter_map(|line| test_of(line)).collect()
}

fn check(lines: &[String], cpus: u8) -> Result<(), String> {
    let tests = tests(lines);
    if let Some(test) = tests.iter().find(|test| test.outcome.is_err()) {
        return Err(format!("the guest's test {} failed", test.name));
    }
    let more: &[&str] = if cpus > 1 { &MORE_TESTS } else { &[] };
    for name in TESTS.iter().chain(more) {
        if !tests.iter().any(|test| test.name == **name) {
            return Err(format!("the guest did not make its test {name}"));
        }
    }
    let said = |text: &str| lines.iter().filter_map(|line| guest_line(line)).any(|line| line.starts_with(text));
    match (said(NAME), said(DONE)) {
        (true, true) => Ok(()),
        (false, _) => Err("the guest did not say that it is Linux".to_owned()),
        (_, false) => Err("the guest did not come to its end".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{MORE_TESTS, TESTS, check};

    fn lines(names: &[&str]) -> Vec<String> {
        let mut lines = vec!["| guest: Linux (none) 6.1".to_owned()];
        lines.extend(names.iter().map(|name| format!("| test {name} ... ok")));
        lines.push("| guest: done".to_owned());
        lines
    }

    #[test]
    fn all_tests_must_have_passed() {
        assert_eq!(check(&lines(&TESTS), 1), Ok(()));
        assert!(check(&lines(&TESTS), 2).is_err());
        assert_eq!(check(&lines(&[TESTS.as_slice(), &MORE_TESTS].concat()), 2), Ok(()));
        assert_eq!(check(&lines(&TESTS[1..]), 1), Err("the guest did not make its test hypervisor_flag".to_owned()));
        let mut failed = lines(&TESTS);
        failed.push("| test cpu ... FAILED: 2".to_owned());
        assert_eq!(check(&failed, 1), Err("the guest's test cpu failed".to_owned()));
    }

    #[test]
    fn the_hypervisors_words_do_not_count() {
        let lines: Vec<_> = lines(&TESTS).iter().map(|line| line.replace("| ", "")).collect();
        assert!(check(&lines, 1).is_err());
        assert!(check(&self::lines(&TESTS)[1..], 1).is_err());
        assert!(check(&[], 1).is_err());
    }
}
