//! The steps that lead to the guest that is Linux, each an example, on a processor of each vendor.

use core::time::Duration;

use crate::boot::Hardware;
use crate::cargo::{Profile, Workspace};
use crate::image::Image;
use crate::machine::Machine;
use crate::output;
use crate::runs::{self, Single};
use crate::tally::Tally;

/// The examples, and on how many processors each runs. `minimal` is one of the images of the matrix, and Linux has tests of its own.
const STEPS: [(&str, u8); 7] =
    [("detect", 1), ("enter", 1), ("faults", 1), ("exits", 1), ("events", 1), ("time", 1), ("processors", 2)];
const LIMIT: Duration = Duration::from_secs(60);
/// Begins the names of these runs, for `cargo xtask test --filter`.
pub(crate) const FILTER: &str = "ladder";

/// Builds the examples and runs them on the machines whose names, with [`FILTER`] before them, contain `filter`.
pub(crate) fn test(workspace: &Workspace, filter: Option<&str>, tally: &mut Tally) -> anyhow::Result<()> {
    let mut machines = Machine::choose(None, None)?;
    machines.retain(|machine| filter.is_none_or(|filter| format!("{FILTER} {machine}").contains(filter)));
    if machines.is_empty() {
        return Ok(());
    }
    let names = STEPS.map(|(name, _)| name);
    output::progress(format_args!("building {} ({})", names.join(", "), Profile::Release));
    let folder = workspace.lock_folder()?;
    let mut images = Vec::new();
    for ((name, cpus), elf) in STEPS.into_iter().zip(workspace.build_images(&names, Profile::Release)?) {
        match elf {
            Some(elf) => images.push((Image::convert(&elf, name, Profile::Release, folder.path())?, cpus)),
            None => tally.add(Err(format!("{name} was not built"))),
        }
    }
    let runs: Vec<_> = images
        .iter()
        .flat_map(|(image, cpus)| machines.iter().map(move |machine| (image, *cpus, machine)))
        .map(|(image, cpus, machine)| Single {
            title: format!("{machine:32} {:14} {:7} cpus={cpus}", image.name, image.profile),
            image,
            machine,
            cpus,
            words: Vec::new(),
            hardware: Hardware::default(),
            limit: LIMIT,
            judge: Box::new(|run| vec![run.judge()]),
        })
        .collect();
    runs::perform(&runs, tally);
    Ok(())
}
