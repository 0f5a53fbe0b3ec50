//! The entries of a directory or a layer.

use std::io::{self, Read};
use std::sync::Arc;

use crate::read::budget::Budget;

/// How many bytes of every file are kept.
const START_LENGTH: u64 = 64;

/// The maximum length of a file that is kept although it is not a module, in bytes.
const MAX_TEXT_LENGTH: u64 = 64 * 1024;

/// The first bytes of every module.
const MODULE_MAGIC: &[u8] = b"\0asm";

/// A file, a directory, a link, or another entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File(FileContent),
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink {
        /// The target of the link.
        target: String,
    },
    /// A hard link of an archive.
    HardLink {
        /// The path of the file in the archive, or in a lower layer.
        target: String,
    },
    /// A device, a pipe, or a socket.
    Special,
    /// An archive entry that only some tools unpack, for example a sparse file of GNU tar, and its
    /// content.
    Unusual(FileContent),
}

/// The content of a file. Only the length and the first bytes of a large file are kept, unless it
/// may be a module. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileContent {
    length: u64,
    bytes: Arc<[u8]>,
}

impl FileContent {
    /// The length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// All bytes, if they are kept.
    pub fn bytes(&self) -> Option<&[u8]> {
        (self.bytes.len() as u64 == self.length).then_some(&self.bytes)
    }

    /// The bytes that are kept, from the first one.
    pub fn start(&self) -> &[u8] {
        &self.bytes
    }

    /// A file whose content is not read.
    pub(crate) fn unread(length: u64) -> Self {
        Self {
            // An empty file would count as read.
            length: length.max(1),
            bytes: Arc::default(),
        }
    }

    /// Reads a file to its end.
    pub(crate) fn read(reader: impl Read, budget: &Budget) -> io::Result<Self> {
        let mut reader = budget.meter(reader);
        let mut bytes = Vec::new();
        reader.by_ref().take(START_LENGTH).read_to_end(&mut bytes)?;
        let more = if bytes.starts_with(MODULE_MAGIC) {
            budget.remaining_kept()
        } else {
            budget.remaining_kept().min(MAX_TEXT_LENGTH)
        };
        reader.by_ref().take(more).read_to_end(&mut bytes)?;
        let rest = io::copy(&mut reader, &mut io::sink())?;
        let length = bytes.len() as u64 + rest;
        if rest > 0 {
            bytes.truncate(START_LENGTH as usize);
        }
        budget.keep(bytes.len() as u64);
        Ok(Self {
            length,
            bytes: bytes.into(),
        })
    }
}

impl<T: AsRef<[u8]>> From<T> for FileContent {
    fn from(bytes: T) -> Self {
        let bytes = bytes.as_ref();
        Self {
            length: bytes.len() as u64,
            bytes: bytes.into(),
        }
    }
}

/// Paths without a leading `/` or `./`, and their entries, sorted by path.
pub type Entries = Vec<(String, Entry)>;
