//! The workspace, and cargo as a child.

use core::fmt;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::output;
use crate::process::Process;

/// How an image is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Debug => "debug",
            Self::Release => "release",
        })
    }
}

/// Where the sources and the products are.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// The workspace around the current directory.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let output = Command::new(program())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed ({})", output.status);
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        let path = |key| {
            metadata
                .get(key)
                .and_then(Value::as_str)
                .map(PathBuf::from)
                .with_context(|| format!("cargo metadata has no {key}"))
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")? })
    }

    /// Where the sources are: the root of the workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where the products are.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The folder with the sources of a package that the workspace depends on for x86-64.
    pub(crate) fn package_folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let output = self
            .cargo(["metadata", "--format-version", "1", "--filter-platform", "x86_64-unknown-linux-gnu"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot run cargo metadata")?;
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        folder_of(&metadata, name).with_context(|| format!("no package {name} in the workspace"))
    }

    /// A call of cargo in the root.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(&self.root).stdin(Stdio::null());
        command
    }

    /// The folder for everything this tool writes, held by one xtask at a time.
    pub(crate) fn lock_folder(&self) -> anyhow::Result<Folder> {
        let path = self.target.join("xtask");
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let lock = File::create(path.join("lock")).with_context(|| format!("cannot write to {}", path.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                output::progress(format_args!("waiting for another xtask that uses {}", path.display()));
                lock.lock()?;
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        Ok(Folder { path, _lock: lock })
    }

    /// Builds the image of each package; `None` where that failed.
    pub(crate) fn build_images(&self, packages: &[&str], profile: Profile) -> anyhow::Result<Vec<Option<PathBuf>>> {
        let mut command = self.cargo(["build", "--keep-going", "--message-format=json-render-diagnostics"]);
        for package in packages {
            command.args(["-p", package]);
        }
        if profile == Profile::Release {
            command.arg("--release");
        }
        let mut process = Process::start(command.stdout(Stdio::piped())).context("cannot run cargo build")?;
        let mut built = Vec::new();
        if let Some(stdout) = process.take_stdout() {
            for line in BufReader::new(stdout).lines() {
                built.extend(executable(&line?));
            }
        }
        process.wait()?;
        let find = |package: &&str| built.iter().find(|(name, _)| name == package).map(|(_, path)| path.clone());
        Ok(packages.iter().map(find).collect())
    }
}

/// The folder for everything this tool writes; dropped, another xtask may have it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The cargo that runs this program, or that of the user.
fn program() -> OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The folder of the package `name` in what cargo tells.
fn folder_of(metadata: &Value, name: &str) -> Option<PathBuf> {
    let packages = metadata.get("packages")?.as_array()?;
    let package = packages.iter().find(|package| package.get("name").and_then(Value::as_str) == Some(name))?;
    Some(Path::new(package.get("manifest_path")?.as_str()?).parent()?.to_owned())
}

/// Name and place of the executable that one of cargo's messages announces.
pub(crate) fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let name = message.pointer("/target/name")?.as_str()?;
    let path = message.get("executable")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_of_an_artifact_is_found() {
        let message =
            r#"{"reason":"compiler-artifact","target":{"name":"demo","kind":["bin"]},"executable":"/t/release/demo"}"#;
        assert_eq!(executable(message), Some(("demo".to_owned(), PathBuf::from("/t/release/demo"))));
    }

    #[test]
    fn a_package_is_found_by_its_name() {
        let metadata = serde_json::json!({"packages": [
            {"name": "a", "manifest_path": "/r/a-1/Cargo.toml"},
            {"name": "b", "manifest_path": "/r/b-2/Cargo.toml"},
        ]});
        assert_eq!(folder_of(&metadata, "b"), Some(PathBuf::from("/r/b-2")));
        assert_eq!(folder_of(&metadata, "c"), None);
    }

    #[test]
    fn other_messages_announce_none() {
        assert_eq!(executable(r#"{"reason":"compiler-artifact","target":{"name":"machine"},"executable":null}"#), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
        assert_eq!(executable("not json"), None);
    }
}
