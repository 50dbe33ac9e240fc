//! Guests that are saved on one machine and go on on another: what the first run prints is loaded into the second.

use core::time::Duration;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

use crate::boot::{Boot, Hardware, Run};
use crate::cargo::Profile;
use crate::image::Image;
use crate::machine::{Machine, Vendor};
use crate::output;
use crate::tally::Tally;

/// The image that saves and restores.
const IMAGE: &str = "emulated-tests";
/// The time limit of a run.
const LIMIT: Duration = Duration::from_secs(60);
/// Tells the runs apart from those of the matrix.
const SAVING: u8 = 100;
const RESTORING: u8 = 101;

/// From each of these to each other one.
fn machines() -> [Machine; 3] {
    [Machine::bochs("corei7_haswell_4770", Vendor::Intel), Machine::bochs("ryzen", Vendor::Amd), Machine::qemu("max")]
}

/// Carries guests between all pairs of machines of which one has `filter` in its name.
pub(crate) fn test(filter: Option<&str>, images: &[Image], tally: &mut Tally) {
    let is_meant = |machine: &Machine| filter.is_none_or(|filter| machine.to_string().contains(filter));
    let Some(image) = images.iter().find(|image| image.name == IMAGE && image.profile == Profile::Release) else {
        tally.add(Err("carry: the image was not built".to_owned()));
        return;
    };
    let machines = machines();
    for from in &machines {
        let targets: Vec<_> = machines.iter().filter(|to| *to != from && (is_meant(from) || is_meant(to))).collect();
        if targets.is_empty() {
            continue;
        }
        match save(image, from) {
            Ok(bytes) => targets.iter().for_each(|to| tally.add(restore(image, from, to, &bytes))),
            Err(error) => tally.add(Err(format!("{from}  carry: {error:#}"))),
        }
    }
}

/// Runs guests on `machine`, and returns what they were at their exits.
fn save(image: &Image, machine: &Machine) -> anyhow::Result<Vec<u8>> {
    let run = boot(image, machine, SAVING, "carry=out", None)?;
    let mut bytes = Vec::new();
    for line in run.lines.iter().filter_map(|line| line.strip_prefix("carry ")) {
        bytes.extend(decode(line)?);
    }
    ensure!(!bytes.is_empty(), "nothing was saved");
    Ok(bytes)
}

/// Runs them to their end on `to`.
fn restore(image: &Image, from: &Machine, to: &Machine, bytes: &[u8]) -> Result<(), String> {
    let began = Instant::now();
    let argument = format!("carry={}", bytes.len());
    let run = boot(image, to, RESTORING, &argument, Some(bytes)).map_err(|error| {
        let failure = format!("{from} to {to}  carry: {error:#}");
        output::line(&failure);
        failure
    })?;
    let restored = run.lines.iter().find(|line| line.starts_with("restored ")).map_or("", String::as_str);
    output::line(format_args!(
        "pass  {from} to {to}: {restored}, {} bytes, {:.2} s",
        bytes.len(),
        began.elapsed().as_secs_f64()
    ));
    Ok(())
}

fn boot(image: &Image, machine: &Machine, take: u8, argument: &str, carried: Option<&[u8]>) -> anyhow::Result<Run> {
    let arguments = [argument];
    let hardware = Hardware::default();
    let boot = Boot { image, machine, cpus: 1, take, arguments: &arguments, carried, limit: LIMIT, hardware };
    let run = boot.run(|_| ())?;
    if let Err(reason) = run.judge() {
        bail!("{reason}\n{}", run.describe());
    }
    Ok(run)
}

/// The bytes of a line of hexadecimal digits.
fn decode(line: &str) -> anyhow::Result<Vec<u8>> {
    ensure!(line.len().is_multiple_of(2), "a line with half a byte: {line}");
    let digits: Vec<_> = line.chars().collect();
    let bytes = digits.chunks_exact(2).map(|pair| {
        let text: String = pair.iter().collect();
        u8::from_str_radix(&text, 16).with_context(|| format!("not hexadecimal: {text}"))
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_lines_are_bytes() {
        assert_eq!(decode("00ff7e").unwrap(), [0, 0xff, 0x7e]);
        assert!(decode("0").is_err());
        assert!(decode("zz").is_err());
    }

    #[test]
    fn each_machine_is_in_the_matrix() {
        let rows = crate::matrix::rows();
        for machine in machines() {
            assert!(rows.iter().any(|row| row.machine == machine), "{machine}");
        }
    }
}
