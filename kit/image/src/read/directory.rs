//! The files of a directory.

use std::fs::{self, File};
use std::path::Path;

use crate::error::{Error, Result};
use crate::read::budget::Budget;
use crate::read::entry::{Entries, Entry, FileContent};

/// The maximum depth of nested directories.
const MAX_DEPTH: usize = 32;

/// Reads the files of a directory, sorted by path.
pub fn read(directory: &Path) -> Result<Entries> {
    let mut entries = Entries::new();
    let budget = Budget::default();
    collect(directory, "", MAX_DEPTH, &budget, &mut entries)?;
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(entries)
}

fn collect(
    directory: &Path,
    prefix: &str,
    depth: usize,
    budget: &Budget,
    entries: &mut Entries,
) -> Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Error::Limit(format!(
            "{prefix} is more than {MAX_DEPTH} directories deep"
        )));
    };
    let listing = fs::read_dir(directory).map_err(Error::file("read", directory))?;
    for item in listing {
        let item = item.map_err(Error::file("read", directory))?;
        let path = item.path();
        let name = format!("{prefix}{}", item.file_name().to_string_lossy());
        budget.take_entry(&name)?;
        let kind = item.file_type().map_err(Error::file("read", &path))?;
        let entry = if kind.is_dir() {
            collect(&path, &format!("{name}/"), depth, budget, entries)?;
            Entry::Directory
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).map_err(Error::file("read", &path))?;
            Entry::SymbolicLink {
                target: target.display().to_string(),
            }
        } else if kind.is_file() {
            let content = File::open(&path)
                .and_then(|file| FileContent::read(file, budget))
                .map_err(|error| budget.error(error, Error::file("read", &path)))?;
            Entry::File(content)
        } else {
            Entry::Special
        };
        entries.push((name, entry));
    }
    Ok(())
}
