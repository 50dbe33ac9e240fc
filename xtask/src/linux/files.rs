//! What the guest is made of: a kernel of Debian, and a first file system around Busybox.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};

use super::cpio::Archive;
use crate::cargo::Workspace;
use crate::output;
use crate::packages;

/// Names a bzImage, where apt has none.
const KERNEL_VARIABLE: &str = "X86_VIRT_LINUX";
/// Names a Busybox that is linked statically, where apt has none.
const BUSYBOX_VARIABLE: &str = "X86_VIRT_BUSYBOX";
const BUSYBOX_PACKAGE: &str = "busybox-static";
/// The package with the tests that take more than a shell.
const GUEST_PACKAGE: &str = "linux-guest";
const INIT: &str = include_str!("init.sh");

/// Which kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kernel {
    /// Debian's for virtual machines: packed with LZ4, quick to unpack.
    Cloud,
    /// Debian's for any machine: packed with XZ.
    Stock,
    /// A file.
    File(PathBuf),
}

impl core::str::FromStr for Kernel {
    type Err = core::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "cloud" => Self::Cloud,
            "stock" => Self::Stock,
            file => Self::File(file.into()),
        })
    }
}

impl core::fmt::Display for Kernel {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Cloud => formatter.write_str("cloud"),
            Self::Stock => formatter.write_str("stock"),
            Self::File(path) => path.display().fmt(formatter),
        }
    }
}

impl Kernel {
    /// The kernel's file, fetched to below `folder` if it is not there.
    pub(crate) fn obtain(&self, folder: &Path) -> anyhow::Result<PathBuf> {
        let package = match self {
            Self::File(path) => {
                return fs::canonicalize(path).with_context(|| format!("cannot find {}", path.display()));
            }
            Self::Cloud => "linux-image-cloud-amd64",
            Self::Stock => "linux-image-amd64",
        };
        if let Some(path) = env::var_os(KERNEL_VARIABLE) {
            return Ok(path.into());
        }
        let folder = folder.join(self.to_string());
        let find = || file_in(&folder.join("boot"), "vmlinuz-");
        if let Some(found) = find() {
            return Ok(found);
        }
        // The package of any version depends on that of the newest.
        let names = packages::dependencies(package, "linux-image-")
            .with_context(|| format!("set {KERNEL_VARIABLE} to the bzImage of a kernel"))?;
        let name = names.first().with_context(|| {
            format!("apt knows no package {package}; set {KERNEL_VARIABLE} to the bzImage of a kernel")
        })?;
        packages::unpack(&[name], &folder)?;
        find().with_context(|| format!("{name} has no boot/vmlinuz-*"))
    }
}

/// The first file of a folder whose name begins so.
fn file_in(folder: &Path, prefix: &str) -> Option<PathBuf> {
    let files = fs::read_dir(folder).ok()?.flatten();
    files
        .map(|file| file.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)))
}

/// The first file system: Busybox, the script that tests the guest, and the program with the rest of the tests.
pub(crate) fn file_system(workspace: &Workspace, folder: &Path) -> anyhow::Result<Vec<u8>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let mut archive = Archive::default();
    for name in ["bin", "dev", "proc", "sys", "tmp"] {
        archive.add_folder(name)?;
    }
    archive.add_device("dev/console", 5, 1)?;
    archive.add_program("bin/busybox", &read(&busybox(folder)?)?)?;
    archive.add_program("bin/guest-test", &read(&guest_program(workspace)?)?)?;
    archive.add_program("init", INIT.as_bytes())?;
    archive.finish()
}

fn busybox(folder: &Path) -> anyhow::Result<PathBuf> {
    if let Some(path) = env::var_os(BUSYBOX_VARIABLE) {
        return Ok(path.into());
    }
    let folder = folder.join("busybox");
    let find =
        || ["bin/busybox", "usr/bin/busybox"].map(|name| folder.join(name)).into_iter().find(|path| path.is_file());
    if let Some(found) = find() {
        return Ok(found);
    }
    packages::unpack(&[BUSYBOX_PACKAGE], &folder)
        .with_context(|| format!("set {BUSYBOX_VARIABLE} to a busybox that is linked statically"))?;
    find().with_context(|| format!("{BUSYBOX_PACKAGE} has no bin/busybox"))
}

/// Builds the program, with the C library in it.
fn guest_program(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    output::progress(format_args!("building {GUEST_PACKAGE}"));
    let folder = workspace.target().join("guest");
    let status = workspace
        .cargo(["build", "--release", "-p", GUEST_PACKAGE, "--target-dir"])
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .stdout(Stdio::null())
        .status()
        .context("cannot run cargo build")?;
    if !status.success() {
        bail!("{GUEST_PACKAGE} was not built ({status})");
    }
    Ok(folder.join("release").join(GUEST_PACKAGE))
}

#[cfg(test)]
mod tests {
    use super::Kernel;

    #[test]
    fn a_kernel_is_named_or_a_file() {
        for (text, kernel) in [("cloud", Kernel::Cloud), ("stock", Kernel::Stock), ("/k", Kernel::File("/k".into()))] {
            assert_eq!(text.parse(), Ok(kernel.clone()));
            assert_eq!(kernel.to_string(), text);
        }
    }
}
