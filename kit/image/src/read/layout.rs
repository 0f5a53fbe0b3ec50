//! OCI image layouts and archives of container engines: finds their documents and blobs.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::document::Descriptor;
use crate::error::{Error, Result};
use crate::read::budget::{Budget, Metered};
use crate::read::tarball::{MAX_HEADER_LENGTH, incomplete, normalize_path};

/// The maximum number of links to a file in an archive.
const MAX_LINKS: usize = 8;

/// A directory or an archive with the documents and blobs of images.
pub enum Layout {
    Directory(PathBuf),
    Archive {
        reader: Box<dyn ReadSeek>,
        files: BTreeMap<String, ArchiveFile>,
    },
}

/// A file or a link in an archive.
pub enum ArchiveFile {
    File {
        start: u64,
        /// The length in the archive's header.
        length: u64,
    },
    /// A link to another path of the archive. `docker save` writes one for a layer that occurs
    /// twice.
    Link(String),
}

pub trait ReadSeek: Read + Seek {}
impl<R: Read + Seek> ReadSeek for R {}

impl Layout {
    pub fn directory(path: &Path) -> Self {
        Self::Directory(path.to_owned())
    }

    /// Lists the files of an archive.
    pub fn archive(mut reader: impl Read + Seek + 'static) -> Result<Self> {
        let mut start = Vec::new();
        reader
            .by_ref()
            .take(2)
            .read_to_end(&mut start)
            .and_then(|_| reader.rewind())
            .map_err(unreadable)?;
        if start == [0x1f, 0x8b] {
            return Err(Error::Limit("it is compressed with gzip".to_owned()));
        }
        let mut files = BTreeMap::new();
        let budget = Budget::default();
        // Only headers are read here, not the content of entries.
        let header = Cell::new(u64::MAX);
        let mut archive = tar::Archive::new(Metered::new(reader, &header));
        let mut entries = archive.entries_with_seek().map_err(incomplete)?;
        loop {
            header.set(MAX_HEADER_LENGTH);
            let Some(entry) = entries.next() else { break };
            let entry = entry.map_err(incomplete)?;
            let path = normalize_path(&entry.path_bytes());
            budget.take_entry(&path)?;
            let kind = entry.header().entry_type();
            if kind.is_file() {
                let file = ArchiveFile::File {
                    start: entry.raw_file_position(),
                    length: entry.size(),
                };
                files.insert(path, file);
            } else if kind.is_symlink() {
                let target = entry.link_name_bytes().unwrap_or_default();
                let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
                let target = [directory.as_bytes(), b"/", &target].concat();
                files.insert(path, ArchiveFile::Link(normalize_path(&target)));
            }
        }
        Ok(Self::Archive {
            reader: Box::new(archive.into_inner().into_inner()),
            files,
        })
    }

    /// Whether a path exists.
    pub fn contains(&self, path: &str) -> bool {
        match self {
            Self::Directory(directory) => directory.join(path).exists(),
            Self::Archive { files, .. } => files.contains_key(path),
        }
    }

    /// Reads a document of at most `limit` bytes.
    pub fn read(&mut self, path: &str, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > limit {
            return Err(Error::Image(format!("{path} is longer than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// Reads a document of at most `limit` bytes. Its digest and size must match its descriptor.
    pub fn document(&mut self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        let budget = Budget::default();
        let mut blob = self.blob(descriptor, &budget)?;
        let mut bytes = Vec::new();
        blob.by_ref()
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > limit {
            let path = &blob.path;
            return Err(Error::Image(format!("{path} is longer than {limit} bytes")));
        }
        blob.check(descriptor)?;
        Ok(bytes)
    }

    /// Opens a blob of an OCI layout.
    pub fn blob<'a>(
        &'a mut self,
        descriptor: &Descriptor,
        budget: &'a Budget,
    ) -> Result<HashingReader<'a>> {
        let digest = &descriptor.digest;
        let hex = digest
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .ok_or_else(|| Error::Image(format!("digest {digest:?} is not a sha256 digest")))?;
        self.file(&format!("blobs/sha256/{hex}"), budget)
    }

    /// Opens a file.
    pub fn file<'a>(&'a mut self, path: &str, budget: &'a Budget) -> Result<HashingReader<'a>> {
        Ok(HashingReader {
            path: path.to_owned(),
            reader: self.open(path)?,
            budget,
            hash: Sha256::new(),
            length: 0,
        })
    }

    fn open(&mut self, path: &str) -> Result<Box<dyn Read + '_>> {
        match self {
            Self::Directory(directory) => open_regular_file(&directory.join(path), path),
            Self::Archive { reader, files } => {
                let (start, length) = locate(files, path)?;
                let end = reader.seek(SeekFrom::End(0)).map_err(unreadable)?;
                if end.saturating_sub(start) < length {
                    return Err(Error::Image(format!("{path} is cut off")));
                }
                reader.seek(SeekFrom::Start(start)).map_err(unreadable)?;
                Ok(Box::new(reader.take(length)))
            }
        }
    }
}

/// A file that is being read and hashed.
pub struct HashingReader<'a> {
    path: String,
    reader: Box<dyn Read + 'a>,
    budget: &'a Budget,
    hash: Sha256,
    length: u64,
}

impl Read for HashingReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.budget.meter(&mut self.reader).read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        self.length += count as u64;
        Ok(count)
    }
}

impl HashingReader<'_> {
    /// Reads the rest, and compares the size and the digest with the descriptor.
    pub fn check(self, descriptor: &Descriptor) -> Result<()> {
        let (path, length, digest) = self.finish()?;
        let size = descriptor.size;
        if length != size {
            return Err(Error::Image(format!(
                "{path} has {length} bytes, but its descriptor says {size}"
            )));
        }
        check_digest(&path, &digest, &descriptor.digest)
    }

    /// Reads the rest, and compares the digest.
    pub fn check_digest(self, expected: &str) -> Result<()> {
        let (path, _, digest) = self.finish()?;
        check_digest(&path, &digest, expected)
    }

    /// The path, the length and the digest.
    fn finish(mut self) -> Result<(String, u64, String)> {
        io::copy(&mut self, &mut io::sink())
            .map_err(|error| self.budget.error(error, unreadable))?;
        let digest = format!("sha256:{:x}", self.hash.finalize());
        Ok((self.path, self.length, digest))
    }
}

fn check_digest(path: &str, digest: &str, expected: &str) -> Result<()> {
    if digest == expected {
        return Ok(());
    }
    Err(Error::Image(format!(
        "the content of {path} does not match its digest"
    )))
}

/// The start and the length of a file in an archive. Links are followed.
fn locate(files: &BTreeMap<String, ArchiveFile>, path: &str) -> Result<(u64, u64)> {
    let mut at = path;
    for _ in 0..MAX_LINKS {
        match files.get(at) {
            Some(ArchiveFile::File { start, length }) => return Ok((*start, *length)),
            Some(ArchiveFile::Link(target)) => at = target,
            None => break,
        }
    }
    Err(missing(path))
}

fn open_regular_file(file: &Path, path: &str) -> Result<Box<dyn Read>> {
    let kind = fs::symlink_metadata(file).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => missing(path),
        _ => Error::file("read", file)(error),
    })?;
    if !kind.is_file() {
        return Err(Error::Image(format!("{path} is not a regular file")));
    }
    Ok(Box::new(
        File::open(file).map_err(Error::file("read", file))?,
    ))
}

fn missing(path: &str) -> Error {
    Error::Image(format!("{path} is missing"))
}

fn unreadable(error: io::Error) -> Error {
    Error::Image(format!("it cannot be read: {error}"))
}
