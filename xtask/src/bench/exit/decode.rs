//! What the decoding of an exit costs, by callgrind.

use anyhow::Context as _;

use super::{Goal, Row};
use crate::bench::{SCALAR, build, callgrind, number, results, text};
use crate::cargo::Workspace;
use crate::output;

/// Instructions for each decoded exit, with the call.
pub(super) fn count(workspace: &Workspace) -> anyhow::Result<Vec<Row>> {
    let lock = workspace.lock_folder()?;
    let folder = lock.path().join("bench");
    let program = build(workspace, "exit", &folder.join("scalar"), SCALAR)?;
    output::progress("counting instructions of decoding");
    let folder = folder.join("callgrind-exit");
    let lines = results(&mut callgrind::command(&program, &folder)?)?;
    let dumps = callgrind::dumps(&folder)?;
    let mut rows = Vec::new();
    for line in &lines {
        let (vendor, exits) = (text(line, "vendor")?, text(line, "exits")?);
        let instructions = |key| {
            let name = text(line, key)?;
            let counts = dumps.get(&name).with_context(|| format!("callgrind wrote no dump {name}"))?;
            anyhow::Ok(counts.instructions)
        };
        let allocations = number(line, "allocations")?;
        anyhow::ensure!(allocations == 0.0, "decoding allocates: {allocations} times");
        let decoding = instructions("dump")? - instructions("loop")?;
        let vendor = if vendor == "vmx" { "vmx" } else { "svm" };
        let (floor, aim) = if exits == "CPUID" { (26.0, 20.0) } else { (30.0, 26.0) };
        rows.push(Row {
            vendor,
            metric: format!("decode: {exits}: instructions"),
            value: decoding / number(line, "count")?,
            goal: Some(Goal { floor, aim }),
        });
        if vendor == "vmx" {
            let value = number(line, "reads")? / number(line, "kinds")?;
            rows.push(Row { vendor, metric: format!("decode: {exits}: VMREAD"), value, goal: None });
        }
    }
    Ok(rows)
}
