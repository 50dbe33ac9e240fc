//! The tests: guests that test themselves, guests that cannot be, and guests that go wrong.

use core::iter;
use core::time::Duration;

use super::bad;
use super::files::Kernel;
use super::guest::{self, Apics, Files, Guest, Interface};
use super::{judge, shell, timeline};
use crate::boot::{Run, Time};
use crate::cargo::Workspace;
use crate::machine::{Machine, Vendor};
use crate::output;
use crate::runs::{self, Results};
use crate::tally::Tally;

/// Begins the names of these runs, for `cargo xtask test --filter`.
pub(crate) const FILTER: &str = "linux";
/// The most memory that a guest can have.
const MOST_MIB: u64 = 3072;
/// How many exits of each processor the guest with a timeline has in it.
const SLICES: u32 = 2000;
/// The time limit of a run: the longest takes a minute of a core that it has for itself.
pub(super) const TEST_LIMIT: Duration = Duration::from_secs(600);

/// The machines: one of each vendor.
fn machines() -> [Machine; 2] {
    [Machine::bochs("corei7_haswell_4770", Vendor::Intel), Machine::qemu("max")]
}

/// Boots the guests that there are tests for, on those machines whose names with [`FILTER`] before them contain `filter`.
pub(crate) fn test(workspace: &Workspace, filter: Option<&str>, tally: &mut Tally) -> anyhow::Result<()> {
    let is_wanted = |machine: &Machine| filter.is_none_or(|filter| format!("{FILTER} {machine}").contains(filter));
    let machines: Vec<_> = machines().into_iter().filter(is_wanted).collect();
    on(workspace, &machines, tally)
}

/// The same on those of `machines` that they are for: each test that a guest makes counts, and each run.
pub(super) fn on(workspace: &Workspace, machines: &[Machine], tally: &mut Tally) -> anyhow::Result<()> {
    let [bochs, qemu] = self::machines();
    let (cloud, stock) = (Kernel::Cloud, Kernel::Stock);
    let guest = |machine, kernel, cpus| Guest { cpus, kernel, ..Guest::usual(machine) };
    // The longest first.
    let mut guests = vec![
        guest(&bochs, &cloud, 1),
        Guest { apics: Apics::Software, ..guest(&bochs, &cloud, 1) },
        Guest { slices: SLICES, ..guest(&qemu, &cloud, 2) },
        Guest { interface: Interface::Memory, ..guest(&qemu, &cloud, 2) },
        guest(&qemu, &stock, 1),
        Guest { memory_mib: MOST_MIB, ..guest(&qemu, &cloud, 1) },
        guest(&qemu, &cloud, 1),
    ];
    guests.retain(|guest| machines.contains(guest.machine));
    if guests.is_empty() {
        return Ok(());
    }
    let folder = workspace.lock_folder()?;
    let elf = guest::build(workspace)?;
    let usual = Files::obtain(workspace, folder.path(), &cloud, None)?;
    let loaded = |guest: &Guest<'_>| {
        let name = guest.image_name();
        match guest.kernel {
            Kernel::Cloud => usual.image(&elf, &name, folder.path()),
            kernel => Files::obtain(workspace, folder.path(), kernel, None)?.image(&elf, &name, folder.path()),
        }
    };
    let images = guests.iter().map(loaded).collect::<anyhow::Result<Vec<_>>>()?;
    let bad = if machines.contains(&qemu) { bad::prepare(&usual, &elf, folder.path())? } else { Vec::new() };

    let mut runs = Vec::new();
    for (guest, loaded) in iter::zip(&guests, &images) {
        let (cpus, slices) = (guest.cpus, guest.slices);
        runs.push(guest.single(
            guest.to_string(),
            loaded,
            TEST_LIMIT,
            Box::new(move |run| results(run, cpus, slices)),
        )?);
    }
    for case in &bad {
        runs.push(case.run(&qemu)?);
    }
    output::progress(format_args!("{} guests that are Linux", runs.len()));
    runs::perform(&runs, tally);
    if machines.contains(&qemu) {
        // Its time is the host's, so it has the host for itself.
        let guest = Guest { has_shell: true, time: Time::Real, ..Guest::usual(&qemu) };
        tally.add(shell::test(&loaded(&guest)?, &guest));
    }
    Ok(())
}

/// Each test that the guest makes, the timeline if it has one, and the run as a whole.
fn results(run: &Run, cpus: u8, slices: u32) -> Results {
    let tests = judge::tests(&run.lines).into_iter();
    let tests = tests.map(|test| test.outcome.map_err(|reason| format!("test {}: {reason}", test.name)));
    let timeline = (slices != 0).then(|| timeline::judge(&run.lines, cpus, slices));
    tests.chain(timeline).chain([judge::judge(run, cpus)]).collect()
}
