//! Packages of Debian, unpacked and not installed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::setup::find_program;

/// What apt-cache tells of the dependencies of a package.
pub(super) fn dependencies(package: &str) -> anyhow::Result<String> {
    if !find_program("apt-cache") {
        bail!("{package} is a package of Debian, and there is no apt-cache");
    }
    let told = Command::new("apt-cache")
        .args(["depends", "--important", package])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .context("cannot run apt-cache")?;
    Ok(String::from_utf8_lossy(&told.stdout).into_owned())
}

/// The rest of the first dependency whose name begins with `prefix`.
pub(super) fn dependency<'a>(told: &'a str, prefix: &str) -> Option<&'a str> {
    told.lines().find_map(|line| line.trim().strip_prefix("Depends: ")?.strip_prefix(prefix))
}

/// Gets packages and unpacks them below `root`, which is emptied first.
pub(super) fn unpack(packages: &[String], root: &Path) -> anyhow::Result<()> {
    let download = root.join("download");
    // What an earlier attempt left.
    let _ = fs::remove_dir_all(root);
    fs::create_dir_all(&download).with_context(|| format!("cannot make {}", download.display()))?;
    // As root apt-get would run as another user, who cannot write here.
    let mut apt_get = Command::new("apt-get");
    apt_get.args(["-q", "-o", "APT::Sandbox::User=root", "download"]).args(packages).current_dir(&download);
    perform(&mut apt_get)?;
    for package in fs::read_dir(&download)?.flatten() {
        perform(Command::new("dpkg-deb").arg("-x").arg(package.path()).arg(root))?;
    }
    fs::remove_dir_all(&download)?;
    Ok(())
}

/// Runs a command to its end; its output goes to standard error.
pub(super) fn perform(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_found_by_their_beginning() {
        let told = "linux-headers-6.1.0-57-cloud-amd64\n  Depends: linux-headers-6.1.0-57-common\n  Depends: linux-kbuild-6.1\n |Depends: linux-compiler-gcc-12-x86\n";
        assert_eq!(dependency(told, "linux-headers-"), Some("6.1.0-57-common"));
        assert_eq!(dependency(told, "linux-kbuild-"), Some("6.1"));
        assert_eq!(dependency(told, "linux-image-"), None);
        assert_eq!(dependency("", "linux-"), None);
    }
}
