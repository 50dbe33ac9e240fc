//! What an exit costs: accesses and instructions of a round trip, by emulated processors, and the assembly of the world switch.

mod decode;
mod stub;
mod trace;

use core::time::Duration;
use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};

use self::trace::Trace;
use crate::boot::{Boot, Hardware};
use crate::cargo::{Profile, Workspace};
use crate::console::{self, Verdict};
use crate::image::Image;
use crate::machine::{Machine, Vendor};
use crate::watch::{self, End};
use crate::{bochs, output, setup};

const IMAGE: &str = "exit-cost";
/// Exits whose instructions are counted.
const EXITS: &str = "exits=200000";
/// They are counted so often, each time the same.
const COUNTS: u8 = 2;
/// Exits before those that are traced.
const FEW_EXITS: &str = "exits=1000";
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Prints a list in JSON
    #[arg(long)]
    json: bool,
}

/// Something that was counted.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    vendor: &'static str,
    metric: String,
    value: f64,
    /// What must be reached, and what is aimed at, where there is such.
    goal: Option<Goal>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Goal {
    floor: f64,
    aim: f64,
}

/// Counts, and prints what came of it. It fails if counts of the same differ, or vectors are in the stub.
pub(super) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    setup::run()?;
    setup::run_for("valgrind", "valgrind")?;
    output::progress(format_args!("building {IMAGE}"));
    let built = workspace.build_images(&[IMAGE], Profile::Release)?;
    let elf = built.into_iter().next().flatten().context("the image was not built")?;
    let mut rows = Vec::new();
    {
        let folder = workspace.lock_folder()?;
        let image = Image::convert(&elf, IMAGE, Profile::Release, folder.path())?;
        for (vendor, machine) in [
            ("vmx", Machine::bochs("corei7_haswell_4770", Vendor::Intel)),
            ("svm", Machine::bochs("ryzen", Vendor::Amd)),
        ] {
            rows.extend(stub::count(&elf, vendor)?);
            let counts = counts(&image, &machine)?;
            let traces = traces(&image, &machine, counts.len())?;
            rows.extend(of_cases(vendor, &counts, &traces)?);
        }
    }
    rows.extend(decode::count(workspace)?);
    for vendor in ["vmx", "svm"] {
        rows.push(path(&rows, vendor)?);
    }
    if arguments.json {
        output::line(json(&rows));
    } else {
        table(&rows).into_iter().for_each(output::line);
    }
    Ok(())
}

/// Instructions of a round trip, by case.
type Counts = BTreeMap<String, f64>;

/// Runs the image several times, with the same result.
fn counts(image: &Image, machine: &Machine) -> anyhow::Result<Counts> {
    output::progress(format_args!("counting on {machine}"));
    let mut all = Vec::new();
    for take in 0..COUNTS {
        let boot = boot(image, machine, take, &[EXITS], Hardware::default());
        let run = boot.run(|_| ())?;
        if let Err(reason) = run.judge() {
            bail!("{machine}: {reason}\n{}", run.describe());
        }
        all.push(run.lines.iter().filter_map(|line| cost(line)).collect::<Counts>());
    }
    same(all).with_context(|| format!("{machine} counts differently each time"))
}

/// The one value that all of `counts` have.
fn same(mut counts: Vec<Counts>) -> anyhow::Result<Counts> {
    counts.dedup();
    match counts.as_slice() {
        [only] if !only.is_empty() => Ok(only.clone()),
        _ => bail!("{counts:?}"),
    }
}

/// Case and number of a line that tells a cost.
fn cost(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.strip_prefix("cost ")?.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

/// Runs the image under Bochs's debugger, which prints each instruction of some exits.
fn traces(image: &Image, machine: &Machine, cases: usize) -> anyhow::Result<BTreeMap<String, Trace>> {
    output::progress(format_args!("tracing on {machine}"));
    let script = format!("c\n{}", "trace on\nc\ntrace off\nc\n".repeat(cases));
    let hardware = Hardware { script, ..Hardware::default() };
    let boot = boot(image, machine, COUNTS, &[FEW_EXITS, "trace"], hardware);
    let mut process = boot.start()?;
    let mut reader = trace::Reader::default();
    let mut lines = Vec::new();
    let end = watch::raw_until_end(&mut process, LIMIT, |line| {
        if let Some(text) = console::filter(line) {
            reader.console(text);
            lines.push(text.to_owned());
        } else {
            reader.emulator(line);
        }
        true
    })?;
    let passed = matches!(end, End::Exit(status) if status.code() == Some(bochs::PASS));
    if !passed || console::verdict(&lines) != Some(Verdict::Pass) {
        bail!("{machine} did not pass with its instructions traced: {end:?}\n{}", lines.join("\n"));
    }
    Ok(reader.finish())
}

fn boot<'a>(
    image: &'a Image,
    machine: &'a Machine,
    take: u8,
    arguments: &'a [&'a str],
    hardware: Hardware,
) -> Boot<'a> {
    Boot { image, machine, cpus: 1, take, arguments, carried: None, limit: LIMIT, hardware }
}

/// What is told of each case.
fn of_cases(vendor: &'static str, counts: &Counts, traces: &BTreeMap<String, Trace>) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (case, &instructions) in counts {
        let trace = traces.get(case).with_context(|| format!("case {case} was not traced"))?;
        rows.extend(trace.groups(vendor).map(|(group, value)| Row {
            vendor,
            metric: format!("{case}: {group}"),
            value,
            goal: goal(vendor, case, group),
        }));
        rows.push(Row {
            vendor,
            metric: format!("{case}: instructions"),
            value: instructions,
            goal: goal(vendor, case, "instructions"),
        });
    }
    Ok(rows)
}

/// Instructions of a whole CPUID in software: floor and aim.
const WHOLE: (f64, f64) = (150.0, 110.0);

/// What a CPUID takes of the library's path from the guest and back: the assembly, the decoding, and what its completion adds to a round
/// trip in which the handler only looks at the kind. The rest of a round trip keeps the host as it was, and looks for events and kicks.
fn path(rows: &[Row], vendor: &'static str) -> anyhow::Result<Row> {
    let value = |metric: &str| {
        let row = rows.iter().find(|row| row.vendor == vendor && row.metric == metric);
        row.map(|row| row.value).with_context(|| format!("nothing tells the {metric} of {vendor}"))
    };
    let completion = value("resident: instructions")? - value("again: instructions")?;
    let value = value("stub: instructions")? + value("decode: CPUID: instructions")? + completion;
    let metric = "CPUID path: stub, decoding, completion".to_owned();
    let (floor, aim) = WHOLE;
    Ok(Row { vendor, metric, value, goal: Some(Goal { floor, aim }) })
}

/// The goals of what is counted by case.
fn goal(vendor: &str, case: &str, group: &str) -> Option<Goal> {
    let (floor, aim) = match (vendor, case, group) {
        ("vmx", "again", "VMREAD") => (1.0, 1.0),
        ("vmx", "again", "VMWRITE") => (0.0, 0.0),
        ("vmx", _, "VMREAD") => (4.0, 4.0),
        ("vmx", _, "VMWRITE") => (1.0, 1.0),
        (_, _, "RDMSR, WRMSR, XSETBV") => (0.0, 0.0),
        ("svm", _, "VMLOAD, VMSAVE") => (2.0, 0.0),
        (_, _, "instructions") => WHOLE,
        _ => return None,
    };
    Some(Goal { floor, aim })
}

fn json(rows: &[Row]) -> Value {
    let object = |row: &Row| {
        json!({
            "vendor": row.vendor,
            "metric": row.metric,
            "value": row.value,
            "floor": row.goal.map(|goal| goal.floor),
            "aim": row.goal.map(|goal| goal.aim),
        })
    };
    rows.iter().map(object).collect()
}

fn table(rows: &[Row]) -> Vec<String> {
    let mut lines = vec![format!("{:8}{:48}{:>10}{:>8}{:>8}", "vendor", "metric", "value", "floor", "aim")];
    lines.extend(rows.iter().map(|Row { vendor, metric, value, goal }| {
        let (floor, aim) = goal.map_or_else(Default::default, |goal| (goal.floor.to_string(), goal.aim.to_string()));
        format!("{vendor:8}{metric:48}{value:10}{floor:>8}{aim:>8}")
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_has_a_case_and_a_number() {
        assert_eq!(cost("cost shared 381.000"), Some(("shared".to_owned(), 381.0)));
        assert_eq!(cost("traced shared 100"), None);
        assert_eq!(cost("cost shared x"), None);
    }

    #[test]
    fn the_path_is_the_sum_of_its_parts() {
        let row = |metric: &str, value| Row { vendor: "svm", metric: metric.to_owned(), value, goal: None };
        let mut rows = vec![row("stub: instructions", 50.0), row("decode: CPUID: instructions", 14.0)];
        rows.push(row("resident: instructions", 390.0));
        assert!(path(&rows, "svm").unwrap_err().to_string().contains("again"));
        rows.push(row("again: instructions", 320.0));
        assert_eq!(path(&rows, "svm").unwrap().value, 134.0);
        assert!(path(&rows, "vmx").is_err());
    }

    #[test]
    fn counts_that_differ_are_an_error() {
        let of = |value| Counts::from([("shared".to_owned(), value)]);
        assert_eq!(same(vec![of(381.0), of(381.0)]).unwrap(), of(381.0));
        assert!(same(vec![of(381.0), of(381.5)]).is_err());
        assert!(same(vec![Counts::new(), Counts::new()]).is_err());
    }

    #[test]
    fn goals_are_told_where_there_are_some() {
        let row = |metric: &str, goal| Row { vendor: "vmx", metric: metric.to_owned(), value: 5.0, goal };
        let rows = [row("a", Some(Goal { floor: 4.0, aim: 4.0 })), row("b", None)];
        assert_eq!(
            json(&rows).to_string(),
            r#"[{"aim":4.0,"floor":4.0,"metric":"a","value":5.0,"vendor":"vmx"},{"aim":null,"floor":null,"metric":"b","value":5.0,"vendor":"vmx"}]"#
        );
        assert!(table(&rows)[1].ends_with("5       4       4"), "{:?}", table(&rows));
    }
}
