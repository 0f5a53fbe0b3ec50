//! The entries of a tar archive.

use std::cell::Cell;
use std::io::{self, Read};

use crate::error::{Error, Result};
use crate::read::budget::{Budget, Metered};
use crate::read::entry::{Entry, FileContent};

/// The length of a block, in bytes.
const BLOCK_LENGTH: u64 = 512;

/// The maximum length of the headers of one entry, in bytes, including long names and extended
/// attributes. Go's reader, which Istio, Envoy Gateway and podman use, allows 1 MiB for each of
/// them.
pub const MAX_HEADER_LENGTH: u64 = 4 * 1024 * 1024;

/// The maximum length of a path, as in Linux.
const MAX_PATH_LENGTH: usize = 4096;

/// The maximum number of directories in a path. It limits the time for following links.
const MAX_PATH_DEPTH: usize = 128;

/// The entries of a tar archive.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Tar {
    /// Its entries, in their order.
    pub entries: Vec<TarEntry>,
    /// The error that ended reading, if there was one: [`Error::Image`] if the archive is damaged,
    /// and [`Error::Limit`] if it exceeds a limit.
    pub problem: Option<Error>,
}

/// An entry of a tar archive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TarEntry {
    /// Its path, relative to the root.
    pub path: String,
    /// Where its content ends in the archive, in bytes.
    pub end: u64,
    /// What it is.
    pub entry: Entry,
}

impl Tar {
    /// Reads an uncompressed tar archive, to the end of the reader.
    pub(crate) fn read(reader: impl Read, budget: &Budget) -> Self {
        let mut entries = Vec::new();
        let problem = collect(reader, budget, &mut entries).err();
        Self { entries, problem }
    }
}

fn collect(reader: impl Read, budget: &Budget, found: &mut Vec<TarEntry>) -> Result<()> {
    let failed = |error| budget.error(error, incomplete);
    // Between two entries, only headers are read.
    let header = Cell::new(0);
    let mut archive = tar::Archive::new(Metered::new(reader, &header));
    let mut entries = archive.entries().map_err(failed)?;
    loop {
        header.set(MAX_HEADER_LENGTH);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(|error| match header.get() {
            0 => Error::Image(format!(
                "it is not a complete tar archive: it has a header of more than \
                 {MAX_HEADER_LENGTH} bytes"
            )),
            _ => incomplete(error),
        })?;
        budget.spend(MAX_HEADER_LENGTH.saturating_sub(header.get()))?;
        header.set(u64::MAX);
        if entry.header().entry_type().is_pax_global_extensions() {
            continue;
        }
        let sparse = sparse_file(&mut entry);
        let path = match &sparse {
            Some((path, _)) => path.clone(),
            None => normalize_path(&entry.path_bytes()),
        };
        check_path(&path)?;
        budget.take_entry(&path)?;
        let packed = entry.header().entry_size().unwrap_or_default();
        let end = entry.raw_file_position().saturating_add(packed);
        let kind = kind_of(&mut entry, &path, budget)?;
        let entry = match sparse {
            Some((_, length)) => Entry::File(FileContent::unread(length)),
            None => kind,
        };
        found.push(TarEntry { path, end, entry });
    }
    header.set(u64::MAX);
    let mut rest = budget.meter(archive.into_inner().into_inner());
    let mut block = Vec::new();
    let mut second = rest.by_ref().take(BLOCK_LENGTH);
    second.read_to_end(&mut block).map_err(failed)?;
    if block.iter().any(|byte| *byte != 0) {
        return Err(Error::Image(
            "it is not a complete tar archive: it continues after one block of zeros".to_owned(),
        ));
    }
    // podman also decompresses what follows the end of the archive.
    io::copy(&mut rest, &mut io::sink()).map_err(failed)?;
    Ok(())
}

/// The kind and the content of an entry.
fn kind_of(entry: &mut tar::Entry<impl Read>, path: &str, budget: &Budget) -> Result<Entry> {
    let kind = entry.header().entry_type();
    Ok(match kind {
        // In formats before POSIX, the path of a directory ends with a slash.
        tar::EntryType::Regular
            if entry.header().as_bytes().get(156) == Some(&0)
                && entry.path_bytes().ends_with(b"/") =>
        {
            Entry::Directory
        }
        tar::EntryType::Directory => Entry::Directory,
        tar::EntryType::Regular => Entry::File(content(entry, path, budget)?),
        tar::EntryType::Symlink | tar::EntryType::Link => {
            let target = text(&entry.link_name_bytes().unwrap_or_default());
            check_path(&target)?;
            if kind.is_symlink() {
                Entry::SymbolicLink { target }
            } else {
                Entry::HardLink {
                    target: normalize_path(target.as_bytes()),
                }
            }
        }
        tar::EntryType::Char | tar::EntryType::Block | tar::EntryType::Fifo => Entry::Special,
        _ => Entry::Unusual(content(entry, path, budget)?),
    })
}

fn content(entry: &mut tar::Entry<impl Read>, path: &str, budget: &Budget) -> Result<FileContent> {
    let size = entry.size();
    let content = FileContent::read(entry, budget).map_err(|error| {
        budget.error(error, |error| {
            Error::Image(format!("{path} cannot be read: {error}"))
        })
    })?;
    if content.length() == size {
        Ok(content)
    } else {
        Err(Error::Image(format!("{path} is cut off")))
    }
}

/// The path and the length of a sparse file in a pax archive of GNU tar. Consumers unpack such
/// files. They are not read here, because no tool that packages images writes them.
fn sparse_file(entry: &mut tar::Entry<impl Read>) -> Option<(String, u64)> {
    let own_path = normalize_path(&entry.path_bytes());
    let mut path = None;
    let mut length = None;
    let mut is_sparse = false;
    for record in entry.pax_extensions().ok()??.flatten() {
        let Some(key) = record.key_bytes().strip_prefix(b"GNU.sparse.") else {
            continue;
        };
        is_sparse = true;
        match key {
            b"name" => path = Some(normalize_path(record.value_bytes())),
            b"size" | b"realsize" => {
                length = record.value().ok().and_then(|text| text.parse().ok())
            }
            _ => {}
        }
    }
    is_sparse.then(|| (path.unwrap_or(own_path), length.unwrap_or(u64::MAX)))
}

/// No consumer that unpacks an archive accepts a path that Linux does not allow.
fn check_path(path: &str) -> Result<()> {
    if path.len() > MAX_PATH_LENGTH {
        return Err(Error::Image(format!(
            "it has a path of {} bytes; Linux allows {MAX_PATH_LENGTH}",
            path.len()
        )));
    }
    if path.split('/').count() > MAX_PATH_DEPTH {
        return Err(Error::Limit(format!(
            "it has a path with more than {MAX_PATH_DEPTH} directories"
        )));
    }
    Ok(())
}

/// An error of the tar reader. Its message contains the message of the underlying reader.
pub fn incomplete(error: io::Error) -> Error {
    Error::Image(format!("it is not a complete tar archive: {error}"))
}

/// A path of an archive, relative to its root, without `.` and `..`.
pub fn normalize_path(path: &[u8]) -> String {
    let path = text(path);
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        // Different names stay different.
        Err(_) => bytes.escape_ascii().to_string(),
    }
}
