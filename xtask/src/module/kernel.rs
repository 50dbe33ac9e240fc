//! Debian's kernel: its image, its modules and the tree that modules are built in.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::{output, packages, setup};

/// The package that depends on the newest headers of the kernel for virtual machines, which boots fastest.
const NEWEST: &str = "linux-headers-cloud-amd64";
const HEADERS: &str = "linux-headers-";
const TOOLS: &str = "linux-kbuild-";
/// Where packages of Debian put the tree.
const SOURCES: &str = "usr/src";
/// Written when all packages are unpacked.
const COMPLETE: &str = "complete";

/// A kernel, unpacked.
#[derive(Debug)]
pub(super) struct Kernel {
    /// `6.1.0-57-cloud-amd64`, for example.
    pub(super) version: String,
    root: PathBuf,
}

/// The newest kernel that apt knows, below `folder`. Nothing is installed.
pub(super) fn obtain(folder: &Path) -> anyhow::Result<Kernel> {
    let version = newest()?;
    let root = folder.join(&version);
    let kernel = Kernel { version, root };
    if !kernel.root.join(COMPLETE).is_file()
        && let Err(error) = kernel.unpack()
    {
        // The lists may be older than the archive.
        output::progress(format_args!("{error:#}; getting new lists of packages"));
        setup::update_lists()?;
        return obtain_again(folder);
    }
    Ok(kernel)
}

fn obtain_again(folder: &Path) -> anyhow::Result<Kernel> {
    let version = newest()?;
    let kernel = Kernel { root: folder.join(&version), version };
    kernel.unpack()?;
    Ok(kernel)
}

/// The version of the newest kernel that apt knows.
fn newest() -> anyhow::Result<String> {
    dependency(NEWEST, HEADERS)
}

/// The rest of the first dependency of `package` whose name begins with `prefix`.
pub(super) fn dependency(package: &str, prefix: &str) -> anyhow::Result<String> {
    let found = packages::dependencies(package, prefix)?;
    let rest = found.first().and_then(|name| name.strip_prefix(prefix));
    rest.map(str::to_owned)
        .with_context(|| format!("apt knows no {package} that depends on {prefix}*; this needs Debian"))
}

impl Kernel {
    /// The image that a boot loader loads.
    pub(super) fn image(&self) -> PathBuf {
        self.root.join("boot").join(format!("vmlinuz-{}", self.version))
    }

    /// The tree that modules are built in.
    pub(super) fn tree(&self) -> PathBuf {
        self.root.join(SOURCES).join(format!("{HEADERS}{}", self.version))
    }

    /// A module of the kernel's own, by its path below `kernel`.
    pub(super) fn module(&self, path: &str) -> PathBuf {
        self.root.join("lib/modules").join(&self.version).join("kernel").join(path)
    }

    fn unpack(&self) -> anyhow::Result<()> {
        output::progress(format_args!("unpacking Linux {} below {}", self.version, self.root.display()));
        let headers = format!("{HEADERS}{}", self.version);
        let common = dependency(&headers, HEADERS)?;
        let tools = dependency(&headers, TOOLS)?;
        // What an earlier attempt left.
        let _ = fs::remove_dir_all(&self.root);
        let (all, tools) = (format!("{HEADERS}{common}"), format!("{TOOLS}{tools}"));
        packages::unpack(&[&all, &tools, &format!("linux-image-{}", self.version), &headers], &self.root)?;
        self.point_to_common(&common)?;
        fs::write(self.root.join(COMPLETE), "")?;
        Ok(())
    }

    /// Lets the tree include the common part where that is now.
    fn point_to_common(&self, common: &str) -> anyhow::Result<()> {
        let makefile = self.tree().join("Makefile");
        let text = fs::read_to_string(&makefile).with_context(|| format!("cannot read {}", makefile.display()))?;
        let sources = self.root.join(SOURCES);
        let text = text.replace("/usr/src/", &format!("{}/", sources.display()));
        if !text.contains(&format!("{HEADERS}{common}")) {
            bail!("{} does not include {HEADERS}{common}", makefile.display());
        }
        fs::write(&makefile, text)?;
        Ok(())
    }
}
