//! Images that run to their end on machines, some at a time, each judged by what it prints.

use core::time::Duration;

use crate::boot::{Boot, Hardware, Run};
use crate::image::Image;
use crate::machine::Machine;
use crate::output;
use crate::parallel::each;
use crate::tally::Tally;

/// The results that a run is worth, in the order of its console; a failure says why.
pub(crate) type Results = Vec<Result<(), String>>;

/// One run.
pub(crate) struct Single<'a> {
    pub(crate) title: String,
    pub(crate) image: &'a Image,
    pub(crate) machine: &'a Machine,
    pub(crate) cpus: u8,
    /// The words of the image's command line.
    pub(crate) words: Vec<String>,
    pub(crate) hardware: Hardware,
    pub(crate) limit: Duration,
    pub(crate) judge: Box<dyn Fn(&Run) -> Results + Sync + 'a>,
}

/// Performs the runs, prints each as it ends, and counts their results.
pub(crate) fn perform(runs: &[Single<'_>], tally: &mut Tally) {
    let numbered: Vec<_> = (0..=u8::MAX).zip(runs).collect();
    for (single, results) in runs.iter().zip(each(&numbered, |(number, single)| single.perform(*number))) {
        for result in results {
            tally.add(result.map_err(|reason| format!("{}: {reason}", single.title)));
        }
    }
}

impl Single<'_> {
    /// Runs it; no other has its number.
    fn perform(&self, number: u8) -> Results {
        let words: Vec<_> = self.words.iter().map(String::as_str).collect();
        let boot = Boot {
            image: self.image,
            machine: self.machine,
            cpus: self.cpus,
            take: number,
            arguments: &words,
            carried: None,
            limit: self.limit,
            hardware: self.hardware.clone(),
        };
        let run = match boot.run(|_| ()) {
            Ok(run) => run,
            Err(error) => return vec![Err(format!("{error:#}"))],
        };
        let results = (self.judge)(&run);
        let title = format!("{}  {:6.2} s", self.title, run.took.as_secs_f64());
        match results.iter().find_map(|result| result.as_ref().err()) {
            None => output::line(format_args!("pass  {title}")),
            Some(reason) => output::line(format_args!("FAIL  {title}  {reason}\n{}", run.describe().trim_end())),
        }
        results
    }
}
