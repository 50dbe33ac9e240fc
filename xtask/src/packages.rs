//! Files out of packages: they are fetched and unpacked, and nothing is installed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use crate::{output, setup};

/// The packages that `package` depends on and whose names begin with `prefix`: the newest version of what `package` stands for. None if
/// apt knows no such package.
pub(crate) fn dependencies(package: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
    if !setup::find_program("apt-cache") {
        bail!("there is no apt, from which {package} would come");
    }
    let found = ask(package, prefix)?;
    if !found.is_empty() {
        return Ok(found);
    }
    setup::update_lists()?;
    ask(package, prefix)
}

fn ask(package: &str, prefix: &str) -> anyhow::Result<Vec<String>> {
    let output = Command::new("apt-cache")
        .args(["depends", package])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .context("cannot run apt-cache")?;
    Ok(named(&String::from_utf8_lossy(&output.stdout), prefix))
}

/// The names in what apt-cache prints.
fn named(text: &str, prefix: &str) -> Vec<String> {
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
}

/// Gets packages and unpacks them into `folder`.
pub(crate) fn unpack(packages: &[&str], folder: &Path) -> anyhow::Result<()> {
    output::progress(format_args!("unpacking {} below {}", packages.join(", "), folder.display()));
    let download = folder.with_extension("download");
    for folder in [folder, &download] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let fetch = || {
        // As root apt-get would run as another user, who cannot write here.
        let options = ["-q", "-o", "APT::Sandbox::User=root", "download"];
        perform(Command::new("apt-get").args(options).args(packages).current_dir(&download))
    };
    // A machine that has just been made has no lists, and old ones name what is not there any more.
    if fetch().is_err() {
        setup::update_lists()?;
        fetch()?;
    }
    for file in fs::read_dir(&download)?.flatten() {
        perform(Command::new("dpkg-deb").arg("-x").arg(file.path()).arg(folder))?;
    }
    fs::remove_dir_all(&download)?;
    Ok(())
}

/// Runs a command to its end; its output goes to standard error.
pub(crate) fn perform(command: &mut Command) -> anyhow::Result<()> {
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
    use super::named;

    #[test]
    fn dependencies_are_read() {
        let text = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-57-cloud-amd64\n  Conflicts: other\n";
        assert_eq!(named(text, "linux-image-"), ["linux-image-6.1.0-57-cloud-amd64"]);
        // One that something else can stand for is none.
        let text =
            "linux-headers-6.1.0-57-cloud-amd64\n  Depends: linux-kbuild-6.1\n |Depends: linux-compiler-gcc-12-x86\n";
        assert_eq!(named(text, "linux-"), ["linux-kbuild-6.1"]);
        assert!(named("E: No packages found\n", "linux-image-").is_empty());
    }
}
