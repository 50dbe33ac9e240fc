//! What checks of VM entries cost.

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::{SCALAR, build, callgrind, number, results, text};
use crate::cargo::Workspace;
use crate::{output, setup};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Prints a list in JSON
    #[arg(long)]
    json: bool,
}

/// One check.
#[derive(Debug, Clone, PartialEq)]
struct Cost {
    checker: String,
    state: String,
    /// Rules that are broken.
    violations: f64,
    instructions: f64,
}

/// Counts, and prints what came of it. It fails if a check allocates.
pub(super) fn run(workspace: &Workspace, arguments: &Arguments) -> anyhow::Result<()> {
    setup::run_for("valgrind", "valgrind")?;
    let lock = workspace.lock_folder()?;
    let folder = lock.path().join("bench");
    let program = build(workspace, "check", &folder.join("scalar"), SCALAR)?;
    output::progress("counting instructions");
    let folder = folder.join("callgrind-check");
    let lines = results(&mut callgrind::command(&program, &folder)?)?;
    let dumps = callgrind::dumps(&folder)?;
    let instructions = |name: &str| dumps.get(name).map(|counts| counts.instructions);
    let costs = lines.iter().map(|line| cost(line, instructions)).collect::<Result<Vec<_>, _>>()?;
    if arguments.json {
        output::line(json(&costs));
    } else {
        table(&costs).into_iter().for_each(output::line);
    }
    Ok(())
}

/// What a line of the program tells.
fn cost(line: &Value, instructions: impl Fn(&str) -> Option<f64>) -> anyhow::Result<Cost> {
    let (checker, state) = (text(line, "checker")?, text(line, "state")?);
    let allocations = number(line, "allocations")?;
    if allocations > 0.0 {
        bail!("the check of {checker} ({state}) allocates: {allocations} times");
    }
    let name = text(line, "dump")?;
    let Some(instructions) = instructions(&name) else { bail!("callgrind wrote no dump {name}") };
    Ok(Cost { violations: number(line, "violations")?, checker, state, instructions })
}

fn json(costs: &[Cost]) -> Value {
    let object = |cost: &Cost| json!({"checker": cost.checker, "state": cost.state, "instructions": cost.instructions});
    costs.iter().map(object).collect()
}

fn table(costs: &[Cost]) -> Vec<String> {
    let mut lines = vec![format!("{:8}{:34}{:>12}{:>14}", "checker", "state", "violations", "instructions")];
    lines.extend(costs.iter().map(|Cost { checker, state, violations, instructions }| {
        format!("{checker:8}{state:34}{violations:12}{instructions:14}")
    }));
    lines.push("no check allocates".to_owned());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_allocates_is_an_error() {
        let line = |allocations: u32| json!({"checker": "vmx", "state": "s", "violations": 0, "allocations": allocations, "dump": "vmx: s"});
        let of = |name: &str| (name == "vmx: s").then_some(12345.0);
        let one = cost(&line(0), of).unwrap();
        assert_eq!(
            json(core::slice::from_ref(&one)).to_string(),
            r#"[{"checker":"vmx","instructions":12345.0,"state":"s"}]"#
        );
        assert!(table(&[one]).iter().any(|line| line.starts_with("vmx") && line.ends_with(" 12345")));
        assert!(cost(&line(1), of).unwrap_err().to_string().contains("allocates: 1 times"));
        assert!(cost(&line(0), |_| None).is_err());
    }
}
