//! The root file system of a container that is created from an image.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::read::entry::Entry;
use crate::read::image::Image;
use crate::read::layer::LayerContent;
use crate::read::tarball::{Tar, normalize_path};

/// The maximum number of symbolic links in a path, as in Linux.
const MAX_LINKS: usize = 40;

/// The entries of a container's root file system, by path.
pub type ContainerRoot = BTreeMap<String, Entry>;

impl Image {
    /// The root file system of a container that podman creates from the image: each layer is
    /// applied to the layers below it (OCI image specification, `layer.md`, "Applying Changesets").
    ///
    /// # Errors
    ///
    /// [`Error::Image`] if podman does not unpack a layer, and [`Error::Limit`] if a layer was not
    /// read completely.
    pub fn root(&self) -> Result<ContainerRoot> {
        let mut root = ContainerRoot::new();
        for (number, layer) in (1..).zip(&self.layers) {
            let applied = match &layer.content {
                LayerContent::Tar(tar) => apply(&mut root, tar),
                LayerContent::Bytes(_) => Err(Error::Image("it is not a tar archive".to_owned())),
            };
            applied.map_err(|error| error.in_part(&format!("layer {number}")))?;
        }
        Ok(root)
    }
}

/// The entry at a path, and its own path. Symbolic links are followed. `None` if there is none.
pub fn find<'a>(root: &'a ContainerRoot, path: &str) -> Option<(String, &'a Entry)> {
    let path = resolve(root, path, true)?;
    let entry = root.get(&path)?;
    Some((path, entry))
}

fn apply(root: &mut ContainerRoot, tar: &Tar) -> Result<()> {
    let mut own = BTreeSet::new();
    for item in &tar.entries {
        let path = item.path.as_str();
        let shown = path.escape_debug();
        if !own.insert(path) {
            return Err(Error::Image(format!(
                "it has {shown} twice, which podman does not unpack"
            )));
        }
        let (directory, name) = match path.rfind('/') {
            Some(slash) => path.split_at(slash + 1),
            None => ("", path),
        };
        match name.strip_prefix(".wh.") {
            // An opaque directory hides what lower layers have in it.
            Some(".wh..opq") => remove_below(root, directory, |path| !own.contains(path)),
            Some(name) if name.starts_with(".wh.") => {}
            // A whiteout also removes entries before it in its own layer.
            Some(name) => {
                let path = format!("{directory}{name}");
                root.remove(&path);
                remove_below(root, &format!("{path}/"), |_| true);
            }
            None => insert(root, path, &item.entry)?,
        }
    }
    match &tar.problem {
        None => Ok(()),
        Some(Error::Limit(problem)) => Err(Error::Limit(problem.clone())),
        Some(problem) => Err(Error::Image(problem.to_string())),
    }
}

fn insert(root: &mut ContainerRoot, path: &str, entry: &Entry) -> Result<()> {
    let shown = path.escape_debug();
    let missing_directory =
        || Error::Image(format!("{shown} is in a directory that does not exist"));
    let given = path;
    let path = resolve(root, given, false).ok_or_else(missing_directory)?;
    // Missing directories are created, but not behind a link.
    let (directory, _) = path.rsplit_once('/').unwrap_or_default();
    if path != given && !directory.is_empty() && !is_directory(root, directory) {
        return Err(missing_directory());
    }
    let entry = match entry {
        Entry::HardLink { target } => resolve(root, target, false)
            .and_then(|target| root.get(&target))
            .filter(|entry| **entry != Entry::Directory)
            .cloned()
            .ok_or_else(|| {
                Error::Image(format!(
                    "{shown} is a hard link to {target:?}, which does not exist"
                ))
            })?,
        Entry::Unusual(_) => {
            return Err(Error::Image(format!(
                "{shown} is a sparse file, or has a type that podman does not unpack"
            )));
        }
        entry => entry.clone(),
    };
    if entry != Entry::Directory {
        remove_below(root, &format!("{path}/"), |_| true);
    }
    root.insert(path, entry);
    Ok(())
}

/// Whether there is a directory at a path. A directory need not have its own entry.
fn is_directory(root: &ContainerRoot, path: &str) -> bool {
    let below = format!("{path}/");
    let mut inside = root.range(below.clone()..);
    root.get(path) == Some(&Entry::Directory)
        || inside
            .next()
            .is_some_and(|(path, _)| path.starts_with(&below))
}

/// Resolves the symbolic links in the directories of a path, and, if `follow` is set, in its last
/// part. `None` if a part is not a directory, or if there are more than [`MAX_LINKS`] links.
fn resolve(root: &ContainerRoot, path: &str, follow: bool) -> Option<String> {
    let path = normalize_path(path.as_bytes());
    let mut remaining: Vec<&str> = path.split('/').rev().collect();
    let mut at = String::new();
    let mut links = 0;
    while let Some(part) = remaining.pop() {
        match part {
            "" | "." => continue,
            ".." => {
                at.truncate(at.rfind('/').unwrap_or_default());
                continue;
            }
            _ => {}
        }
        let length = at.len();
        if !at.is_empty() {
            at.push('/');
        }
        at.push_str(part);
        match root.get(&at) {
            Some(Entry::SymbolicLink { target }) if follow || !remaining.is_empty() => {
                links += 1;
                if links > MAX_LINKS {
                    return None;
                }
                at.truncate(if target.starts_with('/') { 0 } else { length });
                remaining.extend(target.split('/').rev());
            }
            None | Some(Entry::Directory | Entry::SymbolicLink { .. }) => {}
            Some(_) if remaining.is_empty() => {}
            Some(_) => return None,
        }
    }
    Some(at)
}

/// Removes all paths that begin with `prefix` and meet a condition.
fn remove_below(root: &mut ContainerRoot, prefix: &str, condition: impl Fn(&str) -> bool) {
    let paths: Vec<_> = root
        .range(prefix.to_owned()..)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(prefix))
        .filter(|path| condition(path))
        .cloned()
        .collect();
    for path in paths {
        root.remove(&path);
    }
}
