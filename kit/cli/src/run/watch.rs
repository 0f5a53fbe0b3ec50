//! Which files have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

/// How long it has to be quiet after a save: an editor writes, renames and removes.
const QUIET: Duration = Duration::from_millis(50);

/// How long a series of saves is waited for at most.
const LONGEST: Duration = Duration::from_secs(1);

/// The files beside `src/` that make the extension.
pub const BESIDE_SOURCE: [&str; 3] = ["Cargo.toml", "Cargo.lock", "manifest.yaml"];

/// Files that were changed, made or removed together.
#[derive(Debug, Default)]
pub struct Saved {
    /// Files of the extension, relative to its folder.
    pub code: Vec<PathBuf>,
    /// Files of settings.
    pub settings: Vec<PathBuf>,
}

/// Watches until it is dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches the extension's files in the folder `root`, and files of settings. What has changed
    /// is told when its content has: neither a touch nor a backup file counts.
    ///
    /// # Errors
    ///
    /// When the system does not tell of changes.
    pub fn start(
        root: &Path,
        settings: &[PathBuf],
        mut tell: impl FnMut(Saved) + Send + 'static,
    ) -> Result<Self> {
        let files = Files {
            root: fs::canonicalize(root)?,
            settings: settings.to_vec(),
        };
        let (sender, changes) = mpsc::channel();
        let mut watcher = watcher(sender)?;
        for (folder, mode) in files.folders() {
            watcher
                .watch(&folder, mode)
                .with_context(|| format!("cannot watch {}", folder.display()))?;
        }
        // What is saved from here on is told.
        let mut known = files.contents();
        thread::spawn(move || {
            while wait_for_quiet(&changes) {
                let now = files.contents();
                let saved = files.difference(&known, &now);
                known = now;
                if !(saved.code.is_empty() && saved.settings.is_empty()) {
                    tell(saved);
                }
            }
        });
        Ok(Self { _watcher: watcher })
    }
}

fn watcher(sender: Sender<()>) -> Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error means that events may be lost, which is a reason to look, too.
        let is_read = event.is_ok_and(|event| event.kind.is_access());
        if !is_read {
            // Nobody listens any more when this program ends.
            let _ = sender.send(());
        }
    })
    .context("cannot watch files here")
}

/// Waits for a change and until no other follows it. `false` when there will be no more.
fn wait_for_quiet(changes: &Receiver<()>) -> bool {
    if changes.recv().is_err() {
        return false;
    }
    let deadline = Instant::now() + LONGEST;
    while Instant::now() < deadline {
        match changes.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

/// The hashes of the contents of files that are there.
type Contents = BTreeMap<PathBuf, u64>;

/// The files that are watched.
#[derive(Debug)]
struct Files {
    root: PathBuf,
    settings: Vec<PathBuf>,
}

impl Files {
    /// The folders that hold them. Files alone are lost from sight when an editor replaces them.
    fn folders(&self) -> BTreeMap<PathBuf, RecursiveMode> {
        let beside = self.settings.iter().filter_map(|file| file.parent());
        let mut folders: BTreeMap<PathBuf, RecursiveMode> = beside
            .filter_map(|folder| {
                let folder = match folder.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => folder,
                };
                Some((fs::canonicalize(folder).ok()?, RecursiveMode::NonRecursive))
            })
            .collect();
        folders.insert(self.root.clone(), RecursiveMode::NonRecursive);
        folders.insert(self.root.join("src"), RecursiveMode::Recursive);
        folders
    }

    fn contents(&self) -> Contents {
        let beside = BESIDE_SOURCE.iter().map(|name| self.root.join(name));
        let mut open: Vec<PathBuf> = vec![self.root.join("src")];
        let mut files: Vec<PathBuf> = beside.chain(self.settings.iter().cloned()).collect();
        while let Some(folder) = open.pop() {
            // A folder that is gone by now holds nothing.
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.file_type() {
                    _ if is_backup(&entry.file_name().to_string_lossy()) => {}
                    Ok(kind) if kind.is_dir() => open.push(entry.path()),
                    _ => files.push(entry.path()),
                }
            }
        }
        files
            .into_iter()
            .filter_map(|file| {
                let content = fs::read(&file).ok()?;
                let mut hasher = DefaultHasher::new();
                content.hash(&mut hasher);
                Some((file, hasher.finish()))
            })
            .collect()
    }

    fn difference(&self, before: &Contents, now: &Contents) -> Saved {
        let all: BTreeSet<&PathBuf> = before.keys().chain(now.keys()).collect();
        let mut saved = Saved::default();
        for file in all {
            if before.get(file) == now.get(file) {
                continue;
            }
            if self.settings.contains(file) {
                saved.settings.push(file.clone());
            } else {
                let name = file.strip_prefix(&self.root).unwrap_or(file);
                saved.code.push(name.to_owned());
            }
        }
        saved
    }
}

/// Whether a name is one of those that editors give to files that they need while they save.
fn is_backup(name: &str) -> bool {
    name.starts_with(['.', '#']) || name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A package's files, watched, and what is told of them.
    fn watched(folder: &Path) -> Result<(Watch, Receiver<Saved>)> {
        fs::create_dir_all(folder.join("src/inner"))?;
        fs::write(folder.join("src/lib.rs"), "one")?;
        fs::write(folder.join("settings.json"), "{}")?;
        let (sender, saved) = mpsc::channel();
        let settings = [folder.join("settings.json")];
        let watch = Watch::start(folder, &settings, move |saved| {
            let _ = sender.send(saved);
        })?;
        Ok((watch, saved))
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    #[test]
    fn a_save_by_rename_is_one_change_of_the_file() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (_watch, saved) = watched(folder.path())?;
        let source = folder.path().join("src/lib.rs");
        fs::write(folder.path().join("src/lib.rs~"), "one")?;
        fs::write(folder.path().join("src/.lib.rs.swp"), "two")?;
        fs::rename(folder.path().join("src/.lib.rs.swp"), &source)?;
        let first = saved.recv_timeout(PATIENCE)?;
        assert_eq!(first.code, [Path::new("src/lib.rs")]);
        assert!(first.settings.is_empty());

        // What follows is a change of its own: nothing was told in between.
        fs::write(folder.path().join("src/inner/more.rs"), "new")?;
        let second = saved.recv_timeout(PATIENCE)?;
        assert_eq!(second.code, [Path::new("src/inner/more.rs")]);
        Ok(())
    }

    #[test]
    fn a_save_without_a_change_is_none() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (_watch, saved) = watched(folder.path())?;
        fs::write(folder.path().join("src/lib.rs"), "one")?;
        fs::write(folder.path().join("README.md"), "not watched")?;
        fs::write(folder.path().join("settings.json"), "{ }")?;
        let told = saved.recv_timeout(PATIENCE)?;
        assert!(told.code.is_empty(), "{told:?}");
        assert_eq!(told.settings, [folder.path().join("settings.json")]);
        Ok(())
    }

    #[test]
    fn a_removed_file_is_a_change() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (_watch, saved) = watched(folder.path())?;
        fs::remove_file(folder.path().join("src/lib.rs"))?;
        let told = saved.recv_timeout(PATIENCE)?;
        assert_eq!(told.code, [Path::new("src/lib.rs")]);
        Ok(())
    }
}
