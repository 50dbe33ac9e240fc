//! What the library is to reach in each workload.

use super::Measurement;

/// What `w7` frees: tables for 4 GiB in pages of 4 KiB, less the root.
const FREED_TABLES: f64 = 2053.0;
/// What `w7` clears.
const W7_ENTRIES: f64 = 1_048_576.0;

/// What a workload may cost at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// For each entry; in `w7` for each table that is freed.
    pub(crate) instructions: f64,
    pub(crate) loads: Option<f64>,
    /// As a multiple of the time of the limit, in both builds.
    pub(crate) time: Option<f64>,
    /// How many times the time of `x86_64`, in both builds.
    pub(crate) times_faster_than_x86_64: Option<f64>,
}

impl Bounds {
    const fn new(instructions: f64, time: Option<f64>) -> Self {
        Self { instructions, loads: None, time, times_faster_than_x86_64: None }
    }
}

/// The goals of a workload.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) workload: &'static str,
    pub(crate) title: &'static str,
    /// What must be reached.
    pub(crate) floor: Bounds,
    /// What is to be reached.
    pub(crate) aim: Bounds,
}

pub(crate) const GOALS: [Goal; 7] = [
    Goal {
        workload: "w1",
        title: "map 512 GiB in pages of 1 GiB",
        floor: Bounds::new(10.0, Some(4.0)),
        aim: Bounds::new(5.0, Some(2.0)),
    },
    Goal {
        workload: "w2",
        title: "map 64 GiB in pages of 2 MiB",
        floor: Bounds::new(8.0, Some(2.2)),
        aim: Bounds::new(3.5, Some(1.2)),
    },
    Goal {
        workload: "w3",
        title: "map 4 GiB in pages of 4 KiB",
        floor: Bounds { times_faster_than_x86_64: Some(25.0), ..Bounds::new(4.0, Some(1.5)) },
        aim: Bounds { times_faster_than_x86_64: Some(40.0), ..Bounds::new(2.9, Some(1.1)) },
    },
    Goal {
        workload: "w4",
        title: "map 1,048,576 random pages of 4 KiB in 64 GiB",
        floor: Bounds::new(60.0, Some(3.6)),
        aim: Bounds::new(45.0, Some(3.0)),
    },
    Goal {
        workload: "w5",
        title: "translate 1,048,576 random addresses",
        floor: Bounds { loads: Some(5.0), ..Bounds::new(49.0, None) },
        aim: Bounds { loads: Some(5.0), ..Bounds::new(34.0, None) },
    },
    Goal {
        workload: "w6",
        title: "split 512 pages of 2 MiB, and protect one page of 4 KiB in each",
        floor: Bounds::new(4.0, Some(1.5)),
        aim: Bounds::new(2.6, Some(1.1)),
    },
    Goal {
        workload: "w7",
        title: "unmap 4 GiB of pages of 4 KiB (bounds for each freed table)",
        floor: Bounds::new(40.0, None),
        aim: Bounds::new(20.0, None),
    },
];

impl Measurement {
    /// The instructions in the unit of the goals of the workload.
    pub(crate) fn instructions(&self) -> f64 {
        if self.workload == "w7" {
            self.instructions_per_entry * (W7_ENTRIES / FREED_TABLES)
        } else {
            self.instructions_per_entry
        }
    }

    /// What is beyond the bounds; nothing where they are kept.
    pub(crate) fn misses(&self, bounds: &Bounds) -> Vec<String> {
        let mut misses = Vec::new();
        if self.instructions() > bounds.instructions {
            misses.push(format!("{:.2} instructions", self.instructions()));
        }
        if bounds.loads.is_some_and(|loads| self.loads_per_entry > loads + 0.01) {
            misses.push(format!("{:.2} loads", self.loads_per_entry));
        }
        for (build, time) in [("", self.default), (" scalar", self.scalar)] {
            if bounds.time.is_some_and(|bound| time.vs_limit > bound) {
                misses.push(format!("{:.2}x{build}", time.vs_limit));
            }
            let factor = time.times_faster_than_x86_64;
            let wanted = bounds.times_faster_than_x86_64;
            if let Some((factor, wanted)) = factor.zip(wanted).filter(|(factor, wanted)| factor < wanted) {
                misses.push(format!("{factor:.1} of {wanted:.0} times faster than x86_64{build}"));
            }
        }
        misses
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Measurement, Time, WORKLOADS};
    use super::*;

    fn measurement(workload: &str, instructions_per_entry: f64, vs_limit: f64) -> Measurement {
        let time = Time { vs_limit, times_faster_than_x86_64: Some(30.0) };
        Measurement {
            workload: workload.to_owned(),
            implementation: "x86-virt-ept".to_owned(),
            instructions_per_entry,
            loads_per_entry: 5.0,
            default: time,
            scalar: Time { vs_limit: vs_limit + 0.2, ..time },
        }
    }

    #[test]
    fn each_workload_has_goals_and_aims_are_above_floors() {
        assert_eq!(GOALS.each_ref().map(|goal| goal.workload), WORKLOADS);
        for goal in GOALS {
            assert!(goal.aim.instructions < goal.floor.instructions);
            assert!(goal.aim.time <= goal.floor.time);
        }
    }

    #[test]
    fn a_bound_must_hold_in_both_builds() {
        let w3 = &GOALS[2];
        assert_eq!(measurement("w3", 2.9, 1.2).misses(&w3.floor), [""; 0]);
        assert_eq!(measurement("w3", 4.1, 1.4).misses(&w3.floor), ["4.10 instructions", "1.60x scalar"]);
        let misses = measurement("w3", 2.9, 1.0).misses(&w3.aim);
        let factor = "30.0 of 40 times faster than x86_64";
        assert_eq!(misses, [factor.to_owned(), "1.20x scalar".to_owned(), format!("{factor} scalar")]);
    }

    #[test]
    fn instructions_of_w7_are_for_each_freed_table() {
        let unmap = measurement("w7", 40.0 * FREED_TABLES / W7_ENTRIES, 1.0);
        assert!((unmap.instructions() - 40.0).abs() < 1e-9);
    }
}
