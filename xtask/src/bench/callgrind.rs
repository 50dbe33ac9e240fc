//! Callgrind, and what it writes.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// What was counted in one region.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Counts {
    pub(crate) instructions: f64,
    pub(crate) loads: f64,
}

/// Runs `program` with its arguments, which are to be added, and counts the regions that it tells, into `folder`, which is new.
pub(crate) fn command(program: &Path, folder: &Path) -> anyhow::Result<Command> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind", "--instr-atstart=no", "--collect-atstart=no", "--cache-sim=yes"])
        .arg(format!("--callgrind-out-file={}", folder.join("out").display()))
        // Else memset fills by an instruction that valgrind counts once for each byte.
        .env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_stosb_threshold=1000000000")
        .arg(program);
    Ok(command)
}

/// The counts in the files of a folder, by the names that the program gave its dumps.
pub(crate) fn dumps(folder: &Path) -> anyhow::Result<HashMap<String, Counts>> {
    let mut dumps = HashMap::new();
    for file in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let file = file?.path();
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        dumps.extend(dump(&text));
    }
    Ok(dumps)
}

/// Name and counts of a dump that the program asked for.
fn dump(text: &str) -> Option<(String, Counts)> {
    let after = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
    let name = after("desc: Trigger: Client Request: ")?;
    let mut totals = after("totals: ")?.split(' ');
    let events = after("events: ")?.split(' ');
    let counts: HashMap<_, f64> = events.map_while(|event| Some((event, totals.next()?.parse().ok()?))).collect();
    Some((name.to_owned(), Counts { instructions: *counts.get("Ir")?, loads: *counts.get("Dr")? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_read_by_its_name() {
        let text = "# callgrind format\npart: 3\n\ndesc: Trigger: Client Request: w3:limit\n\npositions: line\n\
                    events: Ir Dr Dw\nsummary: 9 9 9\n\nfl=(1)\n1 2 3\n\ntotals: 2490402 8 1048579\n";
        assert_eq!(dump(text), Some(("w3:limit".to_owned(), Counts { instructions: 2_490_402.0, loads: 8.0 })));
        assert_eq!(dump(&text.replace("Client Request: w3:limit", "Program termination")), None);
    }
}
