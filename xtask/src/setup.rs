//! What must be installed, and its installation.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use nix::unistd::Uid;

use crate::output;
use crate::{bochs, qemu};

/// Installs what is missing; cheap where nothing is.
pub(crate) fn run() -> anyhow::Result<()> {
    provide(missing)
}

/// Installs the compilers that are missing: all that fuzzing, and the lints of the whole workspace, need.
pub(crate) fn compilers() -> anyhow::Result<()> {
    provide(missing_compilers)
}

/// Installs the package of a program that is not in the PATH.
pub(crate) fn run_for(program: &str, package: &'static str) -> anyhow::Result<()> {
    provide(|| if find_program(program) { Vec::new() } else { vec![package] })
}

/// Installs the packages that `missing` lists.
fn provide(missing: impl Fn() -> Vec<&'static str>) -> anyhow::Result<()> {
    let packages = missing();
    let facts =
        Facts { is_root: Uid::effective().is_root(), has_sudo: find_program("sudo"), has_apt: find_program("apt-get") };
    match plan(&packages, facts) {
        Plan::Nothing => return Ok(()),
        Plan::Impossible(reason) => bail!("{reason}"),
        Plan::Install(privilege) => install(&packages, privilege)?,
    }
    match missing().as_slice() {
        [] => Ok(()),
        still => bail!("apt-get installed {}, yet this program does not find them", still.join(" ")),
    }
}

/// Gets the lists of packages, where there is apt-get and the right to.
pub(crate) fn update_lists() -> anyhow::Result<()> {
    let privilege = if Uid::effective().is_root() { Privilege::Root } else { Privilege::Sudo };
    if !apt_get(privilege, &["update"])? {
        bail!("apt-get update failed");
    }
    Ok(())
}

/// Whether a program is in the PATH.
pub(crate) fn find_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

#[derive(Debug, Clone, Copy)]
struct Facts {
    is_root: bool,
    has_sudo: bool,
    has_apt: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    Install(Privilege),
    Impossible(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Privilege {
    Root,
    Sudo,
}

fn plan(missing: &[&str], facts: Facts) -> Plan {
    let packages = missing.join(" ");
    match facts {
        _ if missing.is_empty() => Plan::Nothing,
        Facts { has_apt: false, .. } => Plan::Impossible(format!(
            "missing are the packages {packages} (their names in Debian), and there is no apt-get: install them"
        )),
        Facts { is_root: true, .. } => Plan::Install(Privilege::Root),
        Facts { has_sudo: true, .. } => Plan::Install(Privilege::Sudo),
        _ => Plan::Impossible(format!("missing are the packages {packages}; as root: apt-get install {packages}")),
    }
}

/// The packages whose files are not there.
fn missing() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !bochs::PROGRAMS.into_iter().any(find_program) {
        missing.push("bochs");
    }
    if !has_terminal_display() {
        missing.push("bochs-term");
    }
    if !find_program(qemu::PROGRAM) {
        missing.push("qemu-system-x86");
    }
    missing.extend(missing_compilers());
    missing
}

/// The packages of compilers that are not there. A C++ compiler builds libFuzzer.
fn missing_compilers() -> Vec<&'static str> {
    let mut missing = Vec::new();
    if !find_program("cc") {
        missing.extend(["gcc", "libc6-dev"]);
    }
    if !find_program("c++") {
        missing.push("g++");
    }
    missing
}

/// Whether Bochs has its headless display `term`, which Debian packages apart.
fn has_terminal_display() -> bool {
    let listed = env::var_os("LTDL_LIBRARY_PATH").unwrap_or_default();
    let usual = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let below = usual.iter().flat_map(|folder| entries(folder)).chain(usual.iter().cloned());
    env::split_paths(&listed)
        .chain(below.map(|folder| folder.join("bochs/plugins")))
        .flat_map(|folder| entries(&folder))
        .any(|file| is_terminal_display(&file))
}

fn is_terminal_display(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with("libbx_") && name.contains("term") && name.ends_with(".so")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn install(packages: &[&str], privilege: Privilege) -> anyhow::Result<()> {
    let note = match privilege {
        Privilege::Root => "",
        Privilege::Sudo => " with sudo",
    };
    output::progress(format_args!("installing {}{note}, with apt-get", packages.join(" ")));
    if !apt_get(privilege, &["update"])? {
        output::progress("apt-get update failed; going on with the lists that are here");
    }
    let options = ["install", "--yes", "--no-install-recommends"];
    let arguments: Vec<_> = options.into_iter().chain(packages.iter().copied()).collect();
    if !apt_get(privilege, &arguments)? {
        bail!(
            "apt-get cannot install {} (on Ubuntu they are in `universe`: add-apt-repository universe)",
            packages.join(" ")
        );
    }
    Ok(())
}

/// Runs apt-get in the foreground, where sudo may ask for a password; whether it succeeded. Its output goes to standard
/// error.
fn apt_get(privilege: Privilege, arguments: &[&str]) -> anyhow::Result<bool> {
    let (program, prefix) = match privilege {
        Privilege::Root => ("env", None),
        Privilege::Sudo => ("sudo", Some("env")),
    };
    // A machine that has just started may be updating itself.
    let apt_get = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"];
    let status = Command::new(program)
        .args(prefix.into_iter().chain(apt_get).chain(arguments.iter().copied()))
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: [&str; 2] = ["bochs", "bochs-term"];

    #[test]
    fn nothing_is_done_where_nothing_is_missing() {
        let facts = Facts { is_root: false, has_sudo: false, has_apt: false };
        assert_eq!(plan(&[], facts), Plan::Nothing);
    }

    #[test]
    fn root_installs_as_it_is_and_others_with_sudo() {
        for (is_root, has_sudo, privilege) in
            [(true, false, Privilege::Root), (true, true, Privilege::Root), (false, true, Privilege::Sudo)]
        {
            let facts = Facts { is_root, has_sudo, has_apt: true };
            assert_eq!(plan(&MISSING, facts), Plan::Install(privilege), "{facts:?}");
        }
    }

    #[test]
    fn where_nothing_can_be_installed_the_packages_are_named() {
        for facts in [
            Facts { is_root: true, has_sudo: true, has_apt: false },
            Facts { is_root: false, has_sudo: true, has_apt: false },
            Facts { is_root: false, has_sudo: false, has_apt: true },
        ] {
            let Plan::Impossible(reason) = plan(&MISSING, facts) else { panic!("{facts:?}") };
            assert!(reason.contains("bochs bochs-term"), "{reason}");
        }
    }

    #[test]
    fn the_terminal_display_is_known_by_its_name() {
        assert!(is_terminal_display(Path::new("/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_term_gui.so")));
        assert!(!is_terminal_display(Path::new("/usr/lib/x86_64-linux-gnu/bochs/plugins/libbx_rfb_gui.so")));
    }
}
