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

/// How long to wait after a change for another one: to save a file, an editor writes, renames and
/// removes several.
const QUIET: Duration = Duration::from_millis(50);

/// How long to wait for the end of a series of changes.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The files outside `src/` from which the extension is built.
pub const OTHER_FILES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "manifest.yaml"];

/// Files that were changed, created or removed together.
#[derive(Debug, Default)]
pub struct Changes {
    /// Files of the extension, relative to its directory.
    pub code: Vec<PathBuf>,
    /// Configuration files.
    pub settings: Vec<PathBuf>,
}

/// Watches files until it is dropped.
#[derive(Debug)]
pub struct Watch {
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches the extension's files in the directory `root`, and configuration files. Calls
    /// `on_change` if the content of a file has changed. Backup files do not count.
    ///
    /// # Errors
    ///
    /// If the system cannot watch the files.
    pub fn start(
        root: &Path,
        settings: &[PathBuf],
        on_change: impl FnMut(Changes) + Send + 'static,
    ) -> Result<Self> {
        let root = fs::canonicalize(root)?;
        let files = WatchedFiles {
            directories: vec![root.join("src")],
            files: OTHER_FILES.iter().map(|name| root.join(name)).collect(),
            settings: settings.to_vec(),
            root,
        };
        Self::watch_files(files, on_change)
    }

    /// Watches the extension's files in the directory `root`, if one is given, and other files and
    /// directories. Calls `on_change` if the content of a file has changed.
    ///
    /// # Errors
    ///
    /// If a path does not exist, or the system cannot watch the files.
    pub fn start_with(
        root: Option<&Path>,
        others: &[PathBuf],
        on_change: impl FnMut(Changes) + Send + 'static,
    ) -> Result<Self> {
        let mut files = WatchedFiles::default();
        if let Some(root) = root {
            files.root = fs::canonicalize(root)?;
            files.directories.push(files.root.join("src"));
            files
                .files
                .extend(OTHER_FILES.iter().map(|name| files.root.join(name)));
        }
        for path in others {
            let path = fs::canonicalize(path)
                .with_context(|| format!("cannot watch {}", path.display()))?;
            if path.is_dir() {
                files.directories.push(path);
            } else {
                files.files.push(path);
            }
        }
        Self::watch_files(files, on_change)
    }

    fn watch_files(
        files: WatchedFiles,
        mut on_change: impl FnMut(Changes) + Send + 'static,
    ) -> Result<Self> {
        let (sender, events) = mpsc::channel();
        let mut watcher = watcher(sender)?;
        for (directory, mode) in files.watched_directories() {
            watcher
                .watch(&directory, mode)
                .with_context(|| format!("cannot watch {}", directory.display()))?;
        }
        // Read before this returns, so that no later change is missed.
        let mut known = files.contents();
        thread::spawn(move || {
            while wait_for_quiet(&events) {
                let now = files.contents();
                let changes = files.difference(&known, &now);
                known = now;
                if !(changes.code.is_empty() && changes.settings.is_empty()) {
                    on_change(changes);
                }
            }
        });
        Ok(Self { _watcher: watcher })
    }
}

fn watcher(sender: Sender<()>) -> Result<RecommendedWatcher> {
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error means that events may have been lost: look at the files then, too.
        let is_read = event.is_ok_and(|event| event.kind.is_access());
        if !is_read {
            // At the end of the program, the receiver is gone.
            let _ = sender.send(());
        }
    })
    .context("cannot watch files here")
}

/// Waits for a change, and until no other one follows. Returns `false` if the watcher has ended.
fn wait_for_quiet(events: &Receiver<()>) -> bool {
    if events.recv().is_err() {
        return false;
    }
    let deadline = Instant::now() + MAX_WAIT;
    while Instant::now() < deadline {
        match events.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
    true
}

/// The hashes of the contents of files.
type FileHashes = BTreeMap<PathBuf, u64>;

/// The watched files.
#[derive(Debug, Default)]
struct WatchedFiles {
    /// The names of code files are relative to it.
    root: PathBuf,
    /// Directories of code, with all that is below.
    directories: Vec<PathBuf>,
    /// Other files of code.
    files: Vec<PathBuf>,
    settings: Vec<PathBuf>,
}

impl WatchedFiles {
    /// Their directories. A watch on a file ends when an editor replaces the file.
    fn watched_directories(&self) -> BTreeMap<PathBuf, RecursiveMode> {
        let files = self.files.iter().chain(&self.settings);
        let mut directories: BTreeMap<PathBuf, RecursiveMode> = files
            .filter_map(|file| file.parent())
            .filter_map(|directory| {
                let directory = match directory.as_os_str().is_empty() {
                    true => Path::new("."),
                    false => directory,
                };
                let directory = fs::canonicalize(directory).ok()?;
                Some((directory, RecursiveMode::NonRecursive))
            })
            .collect();
        for directory in &self.directories {
            directories.insert(directory.clone(), RecursiveMode::Recursive);
        }
        directories
    }

    fn contents(&self) -> FileHashes {
        let mut open: Vec<PathBuf> = self.directories.clone();
        let mut files: Vec<PathBuf> = self.files.iter().chain(&self.settings).cloned().collect();
        while let Some(directory) = open.pop() {
            // The directory may have been removed.
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
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

    fn difference(&self, before: &FileHashes, now: &FileHashes) -> Changes {
        let all: BTreeSet<&PathBuf> = before.keys().chain(now.keys()).collect();
        let mut changes = Changes::default();
        for file in all {
            if before.get(file) == now.get(file) {
                continue;
            }
            if self.settings.contains(file) {
                changes.settings.push(file.clone());
            } else {
                let name = file.strip_prefix(&self.root).unwrap_or(file);
                changes.code.push(name.to_owned());
            }
        }
        changes
    }
}

/// Whether an editor uses files of this name while it saves.
fn is_backup(name: &str) -> bool {
    name.starts_with(['.', '#']) || name.ends_with('~')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Watches the files of a package.
    fn watched(directory: &Path) -> Result<(Watch, Receiver<Changes>)> {
        fs::create_dir_all(directory.join("src/inner"))?;
        fs::write(directory.join("src/lib.rs"), "one")?;
        fs::write(directory.join("settings.json"), "{}")?;
        let (sender, saved) = mpsc::channel();
        let settings = [directory.join("settings.json")];
        let watch = Watch::start(directory, &settings, move |saved| {
            let _ = sender.send(saved);
        })?;
        Ok((watch, saved))
    }

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[test]
    fn save_by_rename_is_one_change() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let (_watch, saved) = watched(directory.path())?;
        let source = directory.path().join("src/lib.rs");
        fs::write(directory.path().join("src/lib.rs~"), "one")?;
        fs::write(directory.path().join("src/.lib.rs.swp"), "two")?;
        fs::rename(directory.path().join("src/.lib.rs.swp"), &source)?;
        let first = saved.recv_timeout(TIMEOUT)?;
        assert_eq!(first.code, [Path::new("src/lib.rs")]);
        assert!(first.settings.is_empty());

        // The next event is about the next change: there was none in between.
        fs::write(directory.path().join("src/inner/more.rs"), "new")?;
        let second = saved.recv_timeout(TIMEOUT)?;
        assert_eq!(second.code, [Path::new("src/inner/more.rs")]);
        Ok(())
    }

    #[test]
    fn file_with_the_same_content_has_not_changed() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let (_watch, saved) = watched(directory.path())?;
        fs::write(directory.path().join("src/lib.rs"), "one")?;
        fs::write(directory.path().join("README.md"), "not watched")?;
        fs::write(directory.path().join("settings.json"), "{ }")?;
        let changes = saved.recv_timeout(TIMEOUT)?;
        assert!(changes.code.is_empty(), "{changes:?}");
        assert_eq!(changes.settings, [directory.path().join("settings.json")]);
        Ok(())
    }

    #[test]
    fn removed_file_has_changed() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let (_watch, saved) = watched(directory.path())?;
        fs::remove_file(directory.path().join("src/lib.rs"))?;
        let changes = saved.recv_timeout(TIMEOUT)?;
        assert_eq!(changes.code, [Path::new("src/lib.rs")]);
        Ok(())
    }
}
