//! The first program of Linux: mounts, tests, and ends the machine.

use nix::mount::{MsFlags, mount};

use crate::{ports, tests};

/// Does not return.
pub(crate) fn run() -> ! {
    let outcome = prepare().and_then(|()| tests::all());
    let has_passed = match outcome {
        Ok(has_passed) => has_passed,
        Err(error) => {
            ports::line(&format!("error: {error:#}"));
            false
        }
    };
    // Does not come back where there is firmware.
    if has_passed && let Err(error) = tests::restart() {
        ports::line(&format!("error: {error:#}"));
        ports::end(false);
    }
    ports::end(has_passed)
}

fn prepare() -> anyhow::Result<()> {
    ports::allow()?;
    for (kind, place) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)?;
    }
    Ok(())
}
