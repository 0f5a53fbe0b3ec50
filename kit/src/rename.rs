//! A project given a name of its own, in every file and in every spelling.
//!
//! A name can be told from the words around it only if it is none of them. So a new name is taken
//! only if putting the old one back would give the same files again, which is tried before anything
//! is written. That also makes a second rename as good as the first.

pub mod files;
mod lock;
mod name;
mod text;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use cargo_metadata::{Metadata, MetadataCommand};
use tempfile::NamedTempFile;

use files::Files;
use name::Name;

/// What was done.
#[derive(Debug)]
pub struct Renamed {
    /// The name before.
    pub from: String,
    /// How many files are changed.
    pub files: usize,
    /// Whether git can show the changes.
    pub in_git: bool,
}

/// A file that changes.
struct Change {
    from: PathBuf,
    to: PathBuf,
    contents: String,
}

/// Renames the package in `folder`: its name in all text files that git tracks or would track, in
/// each of its spellings, and in their paths. Licences stay as they are. Outside git, all files but
/// build folders are taken.
///
/// # Errors
///
/// When Cargo, a registry or Kubernetes would not take the name; when another package has it; when
/// it is a word of the project; and, unless `force` is set, when something is not committed. Nothing
/// is changed then. When the disk is full, too.
pub fn rename(folder: &Path, to: &str, force: bool) -> Result<Renamed> {
    let metadata = MetadataCommand::new()
        .current_dir(folder)
        .no_deps()
        .other_options(["--offline".to_owned()])
        .exec()
        .context("cannot read the Cargo package")?;
    let root = metadata.workspace_root.as_std_path();
    let package = metadata
        .root_package()
        .with_context(|| format!("{} holds no package", root.display()))?;
    let from = Name::of_package(&package.name)?;
    let to = Name::new(to)?;
    ensure!(
        from != to,
        "{to} is the name of this project already, by Cargo.toml"
    );
    let files = Files::of(root)?;
    if !force {
        files.ensure_committed()?;
    }
    let changes = changes(root, &files, &from, &to, &others(&metadata))?;
    write(root, &changes)?;
    Ok(Renamed {
        from: from.to_string(),
        files: changes.len(),
        in_git: files.in_git,
    })
}

/// The folders of the workspace's other packages, from the root.
fn others(metadata: &Metadata) -> Vec<PathBuf> {
    let folders = metadata
        .workspace_packages()
        .into_iter()
        .filter_map(|package| {
            let folder = package.manifest_path.parent()?;
            let folder = folder.strip_prefix(&metadata.workspace_root).ok()?;
            (!folder.as_str().is_empty()).then(|| folder.as_std_path().to_owned())
        });
    folders.collect()
}

/// Every file that changes, with what it is to hold.
fn changes(
    root: &Path,
    files: &Files,
    from: &Name,
    to: &Name,
    others: &[PathBuf],
) -> Result<Vec<Change>> {
    let texts = files.texts(root)?;
    for (path, text) in &texts {
        if path.file_name() == Some("Cargo.lock".as_ref()) {
            lock::ensure_free(text, from, to).with_context(|| format!("{}", path.display()))?;
        }
    }
    let mut changes = Vec::new();
    for (path, before) in texts {
        let Some(shown) = path.to_str() else {
            continue;
        };
        let new_path = text::replace(shown, from, to);
        let contents = text::replace(&before, from, to);
        ensure_told_apart(shown, shown, &new_path, from, to)?;
        ensure_told_apart(shown, &before, &contents, from, to)?;
        if new_path == shown && contents == before {
            continue;
        }
        // Whoever wrote the name into Cargo.toml by hand may have taken a word of the workspace.
        ensure!(
            !from.is_one_word() || !others.iter().any(|folder| path.starts_with(folder)),
            "{from} is not the name of this project alone, but also a word in {shown}, so that it \
             cannot be replaced; write a name into Cargo.toml and manifest.yaml by hand"
        );
        ensure!(
            new_path == shown || !root.join(&new_path).exists(),
            "{shown} would become {new_path}, which is there already; move one of them"
        );
        let is_lock = path.file_name() == Some("Cargo.lock".as_ref());
        changes.push(Change {
            to: new_path.into(),
            contents: if is_lock {
                lock::sorted(&contents)
            } else {
                contents
            },
            from: path,
        });
    }
    Ok(changes)
}

/// Makes sure that the old name could be put back, and so that nothing else has the new one.
fn ensure_told_apart(file: &str, before: &str, after: &str, from: &Name, to: &Name) -> Result<()> {
    let back = text::replace(after, to, from);
    if back == before {
        return Ok(());
    }
    // In prose, a name of several words means the extension, whoever wrote it.
    if file.ends_with(".md") && !to.is_one_word() {
        return Ok(());
    }
    let differs = before.lines().zip(back.lines()).position(|(a, b)| a != b);
    let line = differs.unwrap_or_default();
    let text = before.lines().nth(line).unwrap_or_default();
    let place = format!("{file}:{}", line + 1);
    if text::replace(text, to, from) == text {
        bail!(
            "{to} is one word, and {place} needs a spelling of several (`{}`): a later rename could \
             not tell which; take a name of several words, such as my-{to}",
            text.trim()
        );
    }
    bail!(
        "{to} is a word of this project already, in {place} (`{}`): a later rename could not tell the \
         two apart; take a name that is no word of it",
        text.trim()
    );
}

/// Writes all files beside their places, and moves them there when all are written.
fn write(root: &Path, changes: &[Change]) -> Result<()> {
    let mut written = Vec::new();
    for change in changes {
        let path = root.join(&change.to);
        let folder = path.parent().context("a file without a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = beside(&root.join(&change.from), folder, &change.contents)
            .with_context(|| format!("cannot write in {}; nothing is changed", folder.display()))?;
        written.push((file, path, change));
    }
    for (file, path, change) in written {
        file.persist(&path).with_context(|| {
            format!(
                "cannot write {}, and some of the others are written; `git restore .` takes them back",
                path.display()
            )
        })?;
        if change.from != change.to {
            let old = root.join(&change.from);
            fs::remove_file(&old).with_context(|| format!("cannot remove {}", old.display()))?;
            // A folder that is empty now goes, too; one that is not stays.
            let _ = old.parent().map(fs::remove_dir);
        }
    }
    Ok(())
}

/// A file in `folder` with the permissions of `like`, for `.ci/run` stays a program.
fn beside(like: &Path, folder: &Path, contents: &str) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(contents.as_bytes())?;
    fs::set_permissions(file.path(), fs::metadata(like)?.permissions())?;
    Ok(file)
}

#[cfg(test)]
mod tests;
