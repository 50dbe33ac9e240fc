//! Measurements for people and for programs.

use serde_json::{Value, json};

use super::Measurement;
use super::goal::{Bounds, GOALS, Goal};

/// The names of this library's implementations start so.
const OURS: &str = "x86-virt-";

/// All measurements as a list, with the times of the build with vectors.
pub(crate) fn json(measurements: &[Measurement]) -> Value {
    let object = |one: &Measurement| {
        json!({
            "workload": one.workload,
            "implementation": one.implementation,
            "instructions_per_entry": one.instructions_per_entry,
            "time_vs_limit": one.default.vs_limit,
        })
    };
    measurements.iter().map(object).collect()
}

/// The measurements of each workload below its goals.
pub(crate) fn table(measurements: &[Measurement]) -> Vec<String> {
    let mut lines = Vec::new();
    for goal in &GOALS {
        let rows: Vec<_> = measurements.iter().filter(|one| one.workload == goal.workload).collect();
        if rows.is_empty() {
            continue;
        }
        lines.push(format!("{}: {}", goal.workload, goal.title));
        lines.push(format!("    floor {}; aim {}", describe(&goal.floor), describe(&goal.aim)));
        lines.push(format!("    {:22}{:>12}{:>8}{:>10}{:>10}", "", "instructions", "loads", "time", "scalar"));
        lines.extend(rows.into_iter().map(|row| line(goal, row)));
        lines.push(String::new());
    }
    lines.push("instructions and loads: for each entry, in the build without vectors".to_owned());
    lines.push(
        "time: the median of the ratios to the limit of the same round, with vectors and without (scalar)".to_owned(),
    );
    lines
}

fn line(goal: &Goal, row: &Measurement) -> String {
    let mut line = format!(
        "    {:22}{:12.2}{:8.2}{:9.2}x{:9.2}x",
        row.implementation, row.instructions_per_entry, row.loads_per_entry, row.default.vs_limit, row.scalar.vs_limit
    );
    if row.implementation.starts_with(OURS) {
        for (name, bounds) in [("floor", &goal.floor), ("aim", &goal.aim)] {
            let misses = row.misses(bounds);
            let verdict = if misses.is_empty() { "met".to_owned() } else { format!("MISSED ({})", misses.join(", ")) };
            line.push_str(&format!("  {name} {verdict}"));
        }
    }
    line
}

fn describe(bounds: &Bounds) -> String {
    let mut parts = vec![format!("{} instructions", bounds.instructions)];
    parts.extend(bounds.loads.map(|loads| format!("{loads} loads")));
    parts.extend(bounds.time.map(|time| format!("{time}x")));
    parts.extend(bounds.times_faster_than_x86_64.map(|factor| format!("{factor} times faster than x86_64")));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::Time;
    use super::*;

    #[test]
    fn the_table_says_whether_goals_are_met_and_the_list_has_its_keys() {
        let time = Time { vs_limit: 1.25, times_faster_than_x86_64: Some(50.0) };
        let row = |implementation: &str| Measurement {
            workload: "w3".to_owned(),
            implementation: implementation.to_owned(),
            instructions_per_entry: 2.5,
            loads_per_entry: 0.5,
            default: time,
            scalar: time,
        };
        let measurements = [row("x86-virt-ept"), row("x86_64")];
        let lines = table(&measurements);
        let ours = lines.iter().find(|line| line.contains("x86-virt-ept")).unwrap();
        assert!(ours.ends_with("  floor met  aim MISSED (1.25x, 1.25x scalar)"), "{ours}");
        assert!(lines.iter().any(|line| line.trim_start().starts_with("x86_64") && line.ends_with('x')));
        let list = json(&measurements);
        let keys: Vec<_> = list[0].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(keys, ["implementation", "instructions_per_entry", "time_vs_limit", "workload"]);
        assert_eq!(list[0]["workload"], "w3");
        assert_eq!(list[1]["implementation"], "x86_64");
        assert_eq!(list[0]["instructions_per_entry"], 2.5);
        assert_eq!(list[0]["time_vs_limit"], 1.25);
    }
}
