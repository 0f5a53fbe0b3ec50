//! Renames a project: replaces its name in all files outside `kit/`, which does not contain it.
//!
//! A later rename does the same, so the new name must not occur in the files yet. To check this
//! before anything is changed, each line is renamed back and compared with the original.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tempfile::NamedTempFile;

/// The maximum length of a label in Kubernetes (RFC 1123), in bytes.
const MAX_LENGTH: usize = 63;
/// Rust's keywords, then names that Cargo reserves for libraries, directories and Windows devices.
const RESERVED: &str = "abstract as async await become box break const continue crate do dyn else \
    enum extern false final fn for gen if impl in let loop macro match mod move mut override priv \
    pub ref return self static struct super trait true try type typeof unsafe unsized use virtual \
    where while yield alloc core proc-macro std test build deps examples incremental aux con nul prn";
/// The files with sections about the template, and the lines that begin and end such a section.
const FILES: &str = "README.md CHANGELOG.md .ci/run .github/workflows/ci.yml";
const BEGIN: &str = "<!-- template -->";
const END: &str = "<!-- /template -->";

/// The result of a rename.
#[derive(Debug)]
pub struct Renamed {
    /// The old name.
    pub from: String,
    /// The number of files that were changed or removed.
    pub files: usize,
    /// Whether git can show and undo the changes.
    pub in_git: bool,
}

/// Gives the project in the directory `root` a new name, and removes the sections about the
/// template.
///
/// # Errors
///
/// If the name is not valid, or renaming back would not restore a file; if a section about the
/// template has no end; and, without `force`, if there are uncommitted changes. Then nothing is changed.
pub fn rename(root: &Path, to: &str, force: bool) -> Result<Renamed> {
    ensure_valid(to)?;
    let from = package_name(root)?;
    ensure!(from != to, "Cargo.toml: the name is already {to}");
    let (mut paths, in_git) = files(root).context("cannot list the project's files")?;
    if in_git && !force {
        let dirty = git(root, "status --porcelain --untracked-files=normal -- .")?;
        ensure!(
            dirty.is_empty(),
            "there are uncommitted changes; commit them, or pass --force:\n{dirty}"
        );
    }
    let is_template = paths.remove(Path::new("cargo-generate.toml"));
    let mut written = Vec::new();
    for path in paths {
        let (shown, path) = (path.display().to_string(), root.join(path));
        let bytes = fs::read(&path).with_context(|| format!("cannot read {shown}"))?;
        let text = String::from_utf8(bytes).ok();
        if let Some(before) = text.filter(|text| !text.contains('\0')) {
            let after = rename_text(&shown, &before, &from, to)?;
            if after != before {
                let failed =
                    || format!("cannot write to the directory of {shown}; nothing is changed");
                written.push((write_beside(&path, &after).with_context(failed)?, path));
            }
        }
    }
    let files = written.len() + usize::from(is_template);
    for (file, path) in written {
        let failed = "cannot replace every file, and some may be changed; restore them, for example with `git restore .`";
        file.persist(path).context(failed)?;
    }
    if is_template {
        fs::remove_file(root.join("cargo-generate.toml"))
            .context("cannot remove cargo-generate.toml")?;
    }
    Ok(Renamed {
        from,
        files,
        in_git,
    })
}

/// Checks that Cargo, registries and Kubernetes accept a name.
fn ensure_valid(name: &str) -> Result<()> {
    let is_valid = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(is_valid);
    let has_valid_start = name.starts_with(char::is_alphabetic) && name.len() <= MAX_LENGTH;
    ensure!(
        name.split('-').all(is_word) && has_valid_start,
        "the name {name:?} is not valid; use at most {MAX_LENGTH} characters: a letter from a to z, then a-z, 0-9, and single dashes between them"
    );
    if RESERVED.split(' ').any(|reserved| reserved == name) {
        bail!("{name} is a keyword of Rust or reserved by Cargo; choose another name");
    }
    Ok(())
}

/// Reads the package's name from Cargo.toml.
fn package_name(root: &Path) -> Result<String> {
    let manifest = fs::read_to_string(root.join("Cargo.toml"))
        .context("cannot read Cargo.toml; run this in the project's root directory")?;
    let package = manifest.split("[package]").nth(1);
    let name = package.and_then(|package| package.split("\nname").nth(1)?.split('"').nth(1));
    let name = name.context("Cargo.toml: [package] has no name; add it")?;
    Ok(name.to_owned())
}

/// Lists the project's files, relative to its root, and whether git tracks them.
fn files(root: &Path) -> Result<(BTreeSet<PathBuf>, bool)> {
    let mut listed = String::new();
    let above = fs::canonicalize(root)?;
    if above.ancestors().any(|above| above.join(".git").exists()) {
        listed = git(root, "ls-files -z --cached --others --exclude-standard")?;
    }
    // Git lists nothing if a repository around the project ignores it.
    let in_git = !listed.is_empty();
    // Without git, this is an empty path: the root.
    let mut found: Vec<_> = listed.split('\0').map(PathBuf::from).collect();
    let mut files = BTreeSet::new();
    while let Some(path) = found.pop() {
        let place = root.join(&path);
        let is_other = ["kit", "target", "LICENSE"].map(|other| path.starts_with(other));
        let is_own = !is_other.contains(&true) && !path.ends_with(".git") && !place.is_symlink();
        if is_own && place.is_file() {
            files.insert(path);
        } else if is_own && !in_git && place.is_dir() && !place.join("CACHEDIR.TAG").exists() {
            for entry in
                fs::read_dir(&place).with_context(|| format!("cannot read {}", place.display()))?
            {
                found.push(path.join(entry?.file_name()));
            }
        }
    }
    Ok((files, in_git))
}

/// Runs git with arguments that are separated by spaces.
fn git(root: &Path, arguments: &str) -> Result<String> {
    let mut command = Command::new("git");
    command.current_dir(root).args(arguments.split(' '));
    let output = command.output().context("cannot run git; install it")?;
    let message = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {arguments} failed: {message}");
    String::from_utf8(output.stdout).context("git printed a path that is not UTF-8")
}

/// Renames the text of a file. Removes sections about the template, and sorts a lock file.
fn rename_text(path: &str, text: &str, from: &str, to: &str) -> Result<String> {
    let is_page = FILES.split(' ').any(|file| file == path);
    let (mut renamed, mut section) = (String::new(), 0);
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        match line.trim().trim_start_matches("# ") {
            BEGIN if is_page => section = number,
            END if section > 0 => section = 0,
            _ if section > 0 => {}
            shown => {
                let new = replace(line, from, to);
                if replace(&new, to, from) != line {
                    bail!(
                        "{path}:{number}: nothing is changed: after renaming to {to}, renaming back would not restore `{shown}`; choose another name"
                    );
                }
                renamed += &new;
            }
        }
    }
    ensure!(section == 0, "{path}:{section}: add the missing `{END}`");
    let is_lock = path.ends_with("Cargo.lock");
    Ok(if is_lock { sorted(&renamed) } else { renamed })
}

/// Replaces a name where it is a whole word: in `a-b-c` and `a_b::c`, but not in `ba-b`.
fn replace(text: &str, from: &str, to: &str) -> String {
    let (dashed, from) = (text.replace('_', "-"), from.replace('_', "-"));
    let (mut replaced, mut done) = (String::new(), 0);
    for (start, _) in dashed.match_indices(&from) {
        let end = start + from.len();
        let (before, old, after) = (&text[..start], &text[start..end], &text[end..]);
        if before.ends_with(char::is_alphanumeric) || after.starts_with(char::is_alphanumeric) {
            continue;
        }
        let dash = if old.contains('_') { "_" } else { "-" };
        replaced = replaced + &text[done..start] + &to.replace('-', dash);
        done = end;
    }
    replaced + &text[done..]
}

/// Sorts a lock file by package name. With `--locked`, Cargo rejects any other order.
fn sorted(lock: &str) -> String {
    let mut packages: Vec<_> = lock.split("\n[[package]]\n").collect();
    packages.sort_by_key(|text| text.lines().next().filter(|line| line.starts_with("name")));
    packages.join("\n[[package]]\n")
}

/// Writes a temporary file in the directory of a file, with the same permissions.
fn write_beside(path: &Path, text: &str) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(path.parent().unwrap_or(path))?;
    file.write_all(text.as_bytes())?;
    fs::set_permissions(file.path(), fs::metadata(path)?.permissions())?;
    Ok(file)
}

#[cfg(test)]
mod tests;
