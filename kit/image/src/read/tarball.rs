//! The entries of a tar archive.

use std::io::{self, Read};

use crate::error::{Error, Result};
use crate::read::budget::Budget;
use crate::read::entry::{Entries, Entry};

/// Reads the entries of a tar archive that is not compressed.
pub fn read(reader: impl Read, budget: &mut Budget) -> Result<Entries> {
    let mut found = Entries::new();
    let mut archive = tar::Archive::new(budget.bytes.meter(reader));
    for entry in archive.entries().map_err(incomplete)? {
        let mut entry = entry.map_err(incomplete)?;
        budget.entries.take()?;
        let path = normalize_path(&entry.path_bytes())?;
        let kind = entry.header().entry_type();
        let item = if kind.is_dir() {
            Entry::Directory
        } else if kind.is_file() {
            let size = entry.size();
            let mut bytes = Vec::new();
            entry
                .read_to_end(&mut bytes)
                .map_err(|error| Error::Image(format!("{path} cannot be read: {error}")))?;
            if bytes.len() as u64 != size {
                return Err(Error::Image(format!("{path} is cut off")));
            }
            Entry::File(bytes)
        } else if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default();
            Entry::Link {
                target: String::from_utf8_lossy(&target).into_owned(),
            }
        } else if kind.is_pax_global_extensions() {
            continue;
        } else {
            Entry::Special
        };
        found.push((path, item));
    }
    Ok(found)
}

/// An error of the tar reader. Its message contains that of the reader below.
pub fn incomplete(error: io::Error) -> Error {
    Error::Image(format!("it is not a complete tar archive: {error}"))
}

/// A path of an archive, relative to its root.
pub fn normalize_path(path: &[u8]) -> Result<String> {
    let path = String::from_utf8_lossy(path);
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                return Err(Error::Image(format!(
                    "entry {path:?} leads out of the root"
                )));
            }
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}
