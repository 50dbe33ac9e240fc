//! The tests of the bare machine on a host whose own paging has 5 levels, so that nested paging of AMD has, too.

use core::time::Duration;

use crate::boot::{Boot, Hardware};
use crate::cargo::Profile;
use crate::image::Image;
use crate::machine::Machine;
use crate::matrix::TEST_IMAGE;
use crate::tally::Tally;
use crate::{console, output};

/// The word for `boot.s`.
const WORD: &str = "la57";
/// The time limit of a run.
const LIMIT: Duration = Duration::from_secs(240);
/// Tells the runs apart from those of the matrix.
const TAKE: u8 = 110;

/// The only emulated processor that has such paging.
fn machine() -> Machine {
    Machine::qemu("max")
}

/// Runs the tests with one and with two processors, if `filter` is in the name of the machine.
pub(crate) fn test(filter: Option<&str>, images: &[Image], tally: &mut Tally) {
    let machine = machine();
    if filter.is_some_and(|filter| !machine.to_string().contains(filter)) {
        return;
    }
    let Some(image) = images.iter().find(|image| image.name == TEST_IMAGE && image.profile == Profile::Release) else {
        tally.add(Err("5 levels: the image was not built".to_owned()));
        return;
    };
    for cpus in [1, 2] {
        let boot = Boot {
            image,
            machine: &machine,
            cpus,
            take: TAKE,
            arguments: &[WORD],
            carried: None,
            limit: LIMIT,
            hardware: Hardware::default(),
        };
        let result = boot.run(|_| ()).map_err(|error| format!("{error:#}")).and_then(|run| {
            let tests: Vec<_> = run.lines.iter().filter_map(|line| console::test(line)).collect();
            for test in &tests {
                let failure = |reason: &String| format!("{machine} 5 levels cpus={cpus}  test {}: {reason}", test.name);
                tally.add(test.outcome.as_ref().copied().map_err(failure));
            }
            run.judge().map(|()| tests.len()).map_err(|reason| format!("{reason}\n{}", run.describe()))
        });
        match result {
            Ok(tests) => output::line(format_args!("pass  {machine} 5 levels cpus={cpus}: {tests} tests")),
            Err(failure) => {
                output::line(format_args!("FAIL  {machine} 5 levels cpus={cpus}  {failure}"));
                tally.add(Err(format!("{machine} 5 levels cpus={cpus}  {failure}")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_machine_is_in_the_matrix() {
        assert!(crate::matrix::rows().iter().any(|row| row.machine == super::machine()));
    }
}
