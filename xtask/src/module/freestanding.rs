//! The library for `x86_64-unknown-none`, the target without an operating system, vector registers or a red zone.
//!
//! No distribution ships its `core` compiled. Debian's package of a newer rustc comes with the sources, from which cargo's `-Zbuild-std`
//! makes it; compiler and sources must be of one version.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::kernel::dependency;
use crate::cargo::Workspace;
use crate::process::Process;
use crate::{output, packages};

const COMPILER: &str = "rustc-web";
const SOURCES: &str = "rust-web-src";
const HOST_LIBRARY: &str = "libstd-rust-web-dev";
const HOST_LIBRARY_PREFIX: &str = "libstd-rust-web-";
const TARGET: &str = "x86_64-unknown-none";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Builds the library, with every feature that goes without `std`.
pub(super) fn build(workspace: &Workspace, folder: &Path) -> anyhow::Result<()> {
    let version = dependency(HOST_LIBRARY, HOST_LIBRARY_PREFIX)?;
    let root = folder.join(format!("rust-{version}"));
    let complete = root.join("complete");
    if !complete.is_file() {
        output::progress(format_args!("unpacking rustc {version} below {}", root.display()));
        let library = format!("{HOST_LIBRARY_PREFIX}{version}");
        let llvm = format!("libllvm{}", dependency(&library, "libllvm")?);
        let _ = fs::remove_dir_all(&root);
        packages::unpack(&[COMPILER, SOURCES, HOST_LIBRARY, &llvm, &library], &root)?;
        fs::write(&complete, "")?;
    }
    output::progress(format_args!("building the library for {TARGET} with rustc {version}"));
    let mut cargo = workspace.cargo(["build", "--quiet", "--release", "-Zbuild-std=core,alloc", "--target", TARGET]);
    cargo.args(["-p", "x86-virt", "--features", "decode,provisional", "--target-dir"]).arg(folder.join("none"));
    cargo.env("RUSTC", root.join("usr/bin/rustc")).env("LD_LIBRARY_PATH", root.join(LIBRARIES));
    // `-Z` is not for stable compilers otherwise.
    cargo.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if !Process::start(&mut cargo).context("cannot run cargo build")?.wait()?.success() {
        bail!("the library does not build for {TARGET}");
    }
    Ok(())
}
