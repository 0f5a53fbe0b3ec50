//! The files of a project: those that git tracks or would track, or all where there is no git.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The mark of a folder that can be made anew, such as Cargo's `target`.
const CACHE_MARK: &str = "CACHEDIR.TAG";

/// Which files a project has.
#[derive(Debug)]
pub struct Files {
    /// Their paths, from the project's root.
    pub paths: BTreeSet<PathBuf>,
    /// What git calls changed, a line each.
    uncommitted: String,
    /// Whether git knows the project.
    pub in_git: bool,
}

impl Files {
    /// Lists the files under `root`.
    ///
    /// # Errors
    ///
    /// When git fails in a repository, or when a folder cannot be read.
    pub fn of(root: &Path) -> Result<Self> {
        if let Some(listed) = git(
            root,
            &[
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ],
        )? {
            let paths: BTreeSet<_> = listed
                .split('\0')
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .collect();
            // An archive may have been unpacked where a repository around it ignores it.
            if paths.contains(Path::new("Cargo.toml")) {
                let uncommitted = git(root, &["status", "--porcelain", "--", "."])?;
                return Ok(Self {
                    paths,
                    uncommitted: uncommitted.unwrap_or_default(),
                    in_git: true,
                });
            }
        }
        let mut paths = BTreeSet::new();
        walk(root, root, &mut paths)?;
        Ok(Self {
            paths,
            uncommitted: String::new(),
            in_git: false,
        })
    }

    /// Makes sure that git could undo whatever is done to the files now.
    ///
    /// # Errors
    ///
    /// When something is not committed.
    pub fn ensure_committed(&self) -> Result<()> {
        let first = self.uncommitted.lines().next().unwrap_or_default();
        ensure!(
            first.is_empty(),
            "not everything here is committed (`{first}`), and it would be mixed up with the new name; \
             commit it first, or pass --force"
        );
        Ok(())
    }

    /// The files that are text, with their contents. Licences are not the project's own words.
    ///
    /// # Errors
    ///
    /// When one cannot be read.
    pub fn texts(&self, root: &Path) -> Result<Vec<(PathBuf, String)>> {
        let mut texts = Vec::new();
        for path in &self.paths {
            let is_licence = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("LICENSE"));
            let whole = root.join(path);
            // Git also lists links, repositories within this one, and what was removed.
            let is_file = fs::symlink_metadata(&whole).is_ok_and(|found| found.is_file());
            if is_licence || !is_file {
                continue;
            }
            let bytes =
                fs::read(&whole).with_context(|| format!("cannot read {}", path.display()))?;
            if let Ok(text) = String::from_utf8(bytes)
                && !text.contains('\0')
            {
                texts.push((path.clone(), text));
            }
        }
        Ok(texts)
    }
}

/// What git prints, or nothing where it knows no repository.
fn git(root: &Path, arguments: &[&str]) -> Result<Option<String>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .env("LC_ALL", "C")
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if root.join(".git").exists() => {
            return Err(error)
                .context("this is a git repository, and git does not run; install it");
        }
        Err(_) => return Ok(None),
    };
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && said.contains("not a git repository") {
        return Ok(None);
    }
    ensure!(
        output.status.success(),
        "git {} failed: {}",
        arguments.join(" "),
        said.trim()
    );
    Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Adds the files under a folder, without those that can be made anew.
fn walk(root: &Path, folder: &Path, paths: &mut BTreeSet<PathBuf>) -> Result<()> {
    let unreadable = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        let entry = entry.with_context(unreadable)?;
        let path = entry.path();
        // Links are not followed.
        if !entry.file_type()?.is_dir() {
            paths.insert(path.strip_prefix(root)?.to_owned());
        } else if entry.file_name() != ".git" && !path.join(CACHE_MARK).exists() {
            walk(root, &path, paths)?;
        }
    }
    Ok(())
}
