//! OCI image layouts, in a directory or in an archive: where documents and blobs are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::blob::sha256;
use crate::document::Descriptor;
use crate::error::{Error, Result};
use crate::read::budget::EntryBudget;
use crate::read::tarball::{incomplete, normalize_path};

/// The length of an archive, in bytes.
const MAX_ARCHIVE_LENGTH: u64 = 128 * 1024 * 1024;

/// An OCI image layout.
pub enum Layout {
    Directory(PathBuf),
    Archive {
        reader: Box<dyn ReadSeek>,
        files: BTreeMap<String, Position>,
    },
}

/// Where a file is in an archive.
pub struct Position {
    start: u64,
    /// Its length as the archive claims.
    length: u64,
}

pub trait ReadSeek: Read + Seek {}
impl<R: Read + Seek> ReadSeek for R {}

impl Layout {
    pub fn directory(path: &Path) -> Self {
        Self::Directory(path.to_owned())
    }

    /// Lists the files of an archive.
    pub fn archive(mut reader: impl Read + Seek + 'static) -> Result<Self> {
        let length = reader
            .seek(SeekFrom::End(0))
            .and_then(|length| reader.rewind().map(|()| length))
            .map_err(unreadable)?;
        if length > MAX_ARCHIVE_LENGTH {
            return Err(Error::Image(format!(
                "it has {length} bytes; archives of more than {MAX_ARCHIVE_LENGTH} are not read"
            )));
        }
        let mut files = BTreeMap::new();
        let mut budget = EntryBudget::default();
        let mut archive = tar::Archive::new(reader);
        for entry in archive.entries_with_seek().map_err(incomplete)? {
            let entry = entry.map_err(incomplete)?;
            budget.take()?;
            if entry.header().entry_type().is_file() {
                let position = Position {
                    start: entry.raw_file_position(),
                    length: entry.size(),
                };
                files.insert(normalize_path(&entry.path_bytes())?, position);
            }
        }
        if !files.contains_key("index.json") && files.contains_key("manifest.json") {
            return Err(Error::Image(
                "it is an archive in Docker's own format; save it as an OCI archive: podman save \
                 --format oci-archive"
                    .to_owned(),
            ));
        }
        Ok(Self::Archive {
            reader: Box::new(archive.into_inner()),
            files,
        })
    }

    /// Reads a file of at most `limit` bytes.
    pub fn read(&mut self, path: &str, limit: u64) -> Result<Vec<u8>> {
        let bytes = match self {
            Self::Directory(directory) => read_regular_file(&directory.join(path), path, limit)?,
            Self::Archive { reader, files } => {
                let position = files.get(path).ok_or_else(|| missing(path))?;
                read_position(reader, position, path, limit)?
            }
        };
        if bytes.len() as u64 > limit {
            return Err(Error::Image(format!("{path} is longer than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// Reads a blob of at most `limit` bytes, whose digest and size must be those of its descriptor.
    pub fn blob(&mut self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        let digest = &descriptor.digest;
        let hex = digest
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| Error::Image(format!("digest {digest:?} is not a sha256 digest")))?;
        let path = format!("blobs/sha256/{hex}");
        let bytes = self.read(&path, limit)?;
        if bytes.len() as u64 != descriptor.size {
            return Err(Error::Image(format!(
                "{path} has {} bytes, but its descriptor says {}",
                bytes.len(),
                descriptor.size
            )));
        }
        if sha256(&bytes) != *digest {
            return Err(Error::Image(format!(
                "{path} has other content than its digest says"
            )));
        }
        Ok(bytes)
    }
}

/// Reads up to one byte more than `limit`.
fn read_regular_file(file: &Path, path: &str, limit: u64) -> Result<Vec<u8>> {
    let kind = fs::symlink_metadata(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(path),
        _ => Error::file("read", file)(error),
    })?;
    if !kind.is_file() {
        return Err(Error::Image(format!("{path} is not a regular file")));
    }
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(Error::file("read", file))?;
    Ok(bytes)
}

/// Reads up to one byte more than `limit`.
fn read_position(
    reader: &mut dyn ReadSeek,
    position: &Position,
    path: &str,
    limit: u64,
) -> Result<Vec<u8>> {
    let length = position.length.min(limit.saturating_add(1));
    let mut bytes = Vec::new();
    reader
        .seek(SeekFrom::Start(position.start))
        .and_then(|_| reader.take(length).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if (bytes.len() as u64) < length {
        return Err(Error::Image(format!("{path} is cut off")));
    }
    Ok(bytes)
}

fn missing(path: &str) -> Error {
    Error::Image(format!("{path} is missing"))
}

fn unreadable(error: io::Error) -> Error {
    Error::Image(format!("the archive cannot be read: {error}"))
}
