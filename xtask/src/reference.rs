//! The pages in `docs/reference`, made from the tables of encodings.

mod page;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::cargo::Workspace;
use crate::tables;

/// The command that makes the pages anew.
const COMMAND: &str = "cargo xtask dump reference";

/// Writes every page, takes those away that have no table any more, and returns the places of those that changed.
pub(crate) fn write(workspace: &Workspace) -> anyhow::Result<Vec<String>> {
    let folder = folder(workspace);
    let pages = pages()?;
    let stale = stale(&present(&folder)?, &pages);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in &stale {
        let path = folder.join(name);
        match pages.get(name) {
            Some(text) => fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?,
            None => fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?,
        }
    }
    Ok(stale.iter().map(|name| format!("docs/reference/{name}")).collect())
}

/// Fails if a page is not that of the tables.
pub(crate) fn check(workspace: &Workspace) -> anyhow::Result<()> {
    let stale = stale(&present(&folder(workspace))?, &pages()?);
    if !stale.is_empty() {
        bail!("stale in docs/reference: {}; run `{COMMAND}`", stale.join(", "));
    }
    Ok(())
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.root().join("docs/reference")
}

fn pages() -> anyhow::Result<BTreeMap<String, String>> {
    if !cfg!(feature = "provisional") {
        bail!("the reference has provisional rows, and this program does not: run `{COMMAND}`");
    }
    Ok(page::pages(tables::all()))
}

/// The pages that are there.
fn present(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut present = BTreeMap::new();
    if folder.is_dir() {
        for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".md") {
                present.insert(name, fs::read_to_string(entry.path())?);
            }
        }
    }
    Ok(present)
}

/// The names of the pages that differ, are missing, or are too many.
fn stale(present: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> Vec<String> {
    let changed = wanted.iter().filter(|&(name, text)| present.get(name) != Some(text));
    let superfluous = present.iter().filter(|&(name, _)| !wanted.contains_key(name));
    changed.chain(superfluous).map(|(name, _)| name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_missing_and_superfluous_pages_are_stale() {
        let pages = |pages: &[(&str, &str)]| {
            pages.iter().map(|&(name, text)| (name.to_owned(), text.to_owned())).collect::<BTreeMap<_, _>>()
        };
        let wanted = pages(&[("a.md", "1"), ("b.md", "2"), ("c.md", "3")]);
        assert_eq!(stale(&wanted, &wanted), Vec::<String>::new());
        let present = pages(&[("a.md", "1"), ("b.md", "old"), ("d.md", "4")]);
        assert_eq!(stale(&present, &wanted), ["b.md", "c.md", "d.md"]);
    }
}
