//! Where the headers of Linux are, and how they come here.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::{packages, setup};

/// The variable that names the folder of a Linux source tree, or of its headers.
const VARIABLE: &str = "X86_VIRT_HEADERS";
/// The headers of the architecture in a source tree.
const ARCHITECTURE: &str = "arch/x86/include";
/// The package of the headers for programs.
const PROGRAMS: &str = "linux-libc-dev";

/// The folder in which `asm/vmx.h` and `uapi/asm/vmx.h` are: where [`VARIABLE`] says, or those installed, or, unpacked below `folder`,
/// those of the newest package.
pub(crate) fn kernel(folder: &Path) -> anyhow::Result<PathBuf> {
    if let Some(tree) = env::var_os(VARIABLE) {
        let tree = PathBuf::from(tree);
        let below = tree.join(ARCHITECTURE);
        return match (has_headers(&below), has_headers(&tree)) {
            (true, _) => Ok(below),
            (_, true) => Ok(tree),
            _ => bail!("{VARIABLE} names {}, where asm/vmx.h and asm/svm.h are not", tree.display()),
        };
    }
    let unpacked = folder.join("kernel");
    for place in [Path::new("/usr/src"), &unpacked.join("usr/src")] {
        if let Some(found) = newest_tree(place) {
            return Ok(found);
        }
    }
    let mut known = known()?;
    if known.is_empty() {
        setup::update_lists()?;
        known = self::known()?;
    }
    let package = newest(known).with_context(|| {
        format!("no package linux-headers-*-common is known; set {VARIABLE} to a source tree of Linux")
    })?;
    unpack(&package, &unpacked)?;
    newest_tree(&unpacked.join("usr/src")).with_context(|| format!("{package} has no {ARCHITECTURE}/asm/vmx.h"))
}

/// The folder in which the `asm/vmx.h` for programs is.
pub(crate) fn programs(folder: &Path) -> anyhow::Result<PathBuf> {
    let unpacked = folder.join("programs");
    let find = || {
        [Path::new("/"), &unpacked]
            .into_iter()
            .flat_map(|root| ["usr/include/x86_64-linux-gnu", "usr/include"].map(|include| root.join(include)))
            .find(|include| has_headers(include))
    };
    if let Some(found) = find() {
        return Ok(found);
    }
    unpack(PROGRAMS, &unpacked)?;
    find().with_context(|| format!("{PROGRAMS} has no asm/svm.h"))
}

fn has_headers(include: &Path) -> bool {
    ["asm/vmx.h", "asm/svm.h"].into_iter().all(|file| include.join(file).is_file())
}

/// The headers of the newest kernel in `place`.
fn newest_tree(place: &Path) -> Option<PathBuf> {
    let trees = fs::read_dir(place).into_iter().flatten().flatten();
    let names = trees.map(|tree| tree.file_name().to_string_lossy().into_owned());
    let trees = names.filter(|name| has_headers(&place.join(name).join(ARCHITECTURE)));
    newest(trees.collect()).map(|name| place.join(name).join(ARCHITECTURE))
}

/// The packages with headers of kernels that apt knows.
fn known() -> anyhow::Result<Vec<String>> {
    if !setup::find_program("apt-cache") {
        bail!("the headers of Linux are missing, and there is no apt: set {VARIABLE} to a source tree of Linux");
    }
    let output = Command::new("apt-cache")
        .args(["search", "--names-only", "^linux-headers-[0-9].*-common$"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run apt-cache")?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(lines.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
}

/// The name with the highest version in it.
fn newest(names: Vec<String>) -> Option<String> {
    names.into_iter().max_by_key(|name| version(name))
}

/// The numbers in a name.
fn version(name: &str) -> Vec<u64> {
    name.split(|letter: char| !letter.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// Gets a package and unpacks it into `folder`; nothing is installed.
fn unpack(package: &str, folder: &Path) -> anyhow::Result<()> {
    packages::unpack(&[package], folder).with_context(|| format!("set {VARIABLE} to a source tree of Linux"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_that_with_the_highest_version() {
        let names = ["6.1.0-56", "6.12.117+deb12", "6.12.96+deb12", "6.1.0-9"];
        let names = names.map(|version| format!("linux-headers-{version}-common"));
        assert_eq!(newest(names.to_vec()).unwrap(), "linux-headers-6.12.117+deb12-common");
        assert_eq!(newest(Vec::new()), None);
    }
}
