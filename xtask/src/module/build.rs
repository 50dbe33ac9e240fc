//! The module: Rust's part compiled with the kernel's flags, linked, checked, and built with the shim by Kbuild.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::kernel::Kernel;
use super::{check, relax};
use crate::cargo::Workspace;
use crate::packages::perform;
use crate::process::Process;
use crate::{output, setup};

/// Flags for code of the kernel: at a fixed address in the upper 2 GiB, without a red zone, without vector registers, and with frame
/// pointers for its stack traces.
///
/// They go to `core` as well, whose library has bitcode that link-time optimization compiles anew.
const FLAGS: &str = "-Crelocation-model=static -Ccode-model=kernel -Cno-redzone=yes -Ctarget-feature=-sse,-sse2,-mmx -Cforce-frame-pointers=yes";
const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROFILE: &str = "module";
/// What the shim calls; all else is kept only if these need it.
const ENTRIES: [&str; 4] = ["demo_warm_up", "demo_enter", "demo_leave", "demo_run"];
/// Few sections instead of one for each function.
const SECTIONS: &str = "SECTIONS {
    .text 0 : { *(.text .text.*) }
    .rodata 0 : { *(.rodata .rodata.*) }
    .data 0 : { *(.data .data.*) }
    .bss 0 : { *(.bss .bss.*) }
    /DISCARD/ : { *(.llvmbc .llvmcmd .comment .eh_frame .debug* .note.GNU-stack) }
}
";
/// Frames that are shown.
const SHOWN_FRAMES: usize = 8;
const SHIM: &str = "examples/linux-module/kernel";
const KBUILD_FILES: [&str; 4] = ["Kbuild", "abi.h", "shim.h", "shim.c"];
/// The name of the module.
pub(super) const NAME: &str = "x86_virt_demo";

/// What was built.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) module: PathBuf,
    /// The program that uses the device, and tests it.
    pub(super) program: PathBuf,
}

/// Builds module and program in `folder`.
pub(super) fn build(workspace: &Workspace, kernel: &Kernel, folder: &Path) -> anyhow::Result<Built> {
    setup::run_for("make", "make")?;
    setup::run_for("gcc-12", "gcc-12")?;
    let rust = folder.join("rust");
    output::progress("building Rust's part of the module");
    let archive = library(workspace, &rust)?;
    let object = link(&archive, folder)?;
    output::progress(format_args!("building the module for Linux {}", kernel.version));
    let module = kbuild(workspace, kernel, &object, folder)?;
    let program = program(workspace, &rust)?;
    Ok(Built { module, program })
}

/// The static library.
fn library(workspace: &Workspace, target: &Path) -> anyhow::Result<PathBuf> {
    compile(workspace, target, "linux-module", PROFILE, FLAGS)?;
    Ok(target.join(TARGET).join(PROFILE).join("liblinux_module.a"))
}

/// The program, which needs no library: there is none beside it.
fn program(workspace: &Workspace, target: &Path) -> anyhow::Result<PathBuf> {
    compile(workspace, target, "linux-module-user", "release", "-Ctarget-feature=+crt-static")?;
    Ok(target.join(TARGET).join("release").join("x86-virt-demo"))
}

fn compile(workspace: &Workspace, target: &Path, package: &str, profile: &str, flags: &str) -> anyhow::Result<()> {
    let mut cargo = workspace.cargo(["build", "--quiet", "--target", TARGET, "--profile", profile, "-p", package]);
    cargo.arg("--target-dir").arg(target).env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
    if !Process::start(&mut cargo).context("cannot run cargo build")?.wait()?.success() {
        bail!("cargo build of {package} failed");
    }
    Ok(())
}

/// One relocatable file, checked.
fn link(archive: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let script = folder.join("sections.ld");
    fs::write(&script, SECTIONS)?;
    let object = folder.join("rust.o");
    let mut ld = Command::new("ld");
    ld.args(["-m", "elf_x86_64", "-r", "--gc-sections", "--strip-debug", "-T"]).arg(&script);
    for entry in ENTRIES {
        ld.args(["-u", entry]);
    }
    perform(ld.args(["-e", "demo_run", "-o"]).arg(&object).arg(archive))?;
    let mut bytes = fs::read(&object)?;
    let relaxed = relax::relax(&mut bytes)?;
    fs::write(&object, &bytes)?;
    let report = check::check(&bytes)?;
    output::progress(format_args!(
        "Rust's part: {} functions, {} instructions; {relaxed} uses of a table of addresses made direct; the largest frames:",
        report.functions, report.instructions
    ));
    for (bytes, function) in report.frames.iter().take(SHOWN_FRAMES) {
        output::progress(format_args!("  {bytes:6} bytes: {function}"));
    }
    if !report.findings.is_empty() {
        for finding in report.findings.iter().take(20) {
            output::progress(format_args!("  {finding}"));
        }
        bail!("Rust's part of the module has {} things that must not be in the kernel", report.findings.len());
    }
    Ok(object)
}

/// The module, by the kernel's own makefiles.
fn kbuild(workspace: &Workspace, kernel: &Kernel, object: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let place = folder.join("kbuild");
    fs::create_dir_all(&place)?;
    for file in KBUILD_FILES {
        copy_if_changed(&workspace.root().join(SHIM).join(file), &place.join(file))?;
    }
    copy_if_changed(object, &place.join("rust.o_shipped"))?;
    let mut make = Command::new("make");
    make.arg("-C").arg(kernel.tree()).arg(format!("M={}", place.display())).args(["--no-print-directory", "modules"]);
    // A warning of the compiler is an error here; what makefiles say stays.
    let log = make.env("KCFLAGS", "-Werror").stdin(Stdio::null()).output().context("cannot run make")?;
    if !log.status.success() {
        output::progress(String::from_utf8_lossy(&log.stdout));
        output::progress(String::from_utf8_lossy(&log.stderr));
        bail!("make failed ({})", log.status);
    }
    Ok(place.join(format!("{NAME}.ko")))
}

/// Leaves the time of a file alone that stays the same, by which make decides.
fn copy_if_changed(from: &Path, to: &Path) -> anyhow::Result<()> {
    let contents = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).ok().as_ref() != Some(&contents) {
        fs::write(to, contents).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}
