//! Limits the time and the memory for reading an image.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};

use crate::error::{Error, Result};

/// The maximum number of bytes that are read and unpacked. No extension is that large, and reading
/// them takes a few seconds.
const MAX_LENGTH: u64 = 1024 * 1024 * 1024;

/// The maximum number of bytes of paths and files that are kept in memory: enough for two large
/// modules.
const MAX_KEPT_LENGTH: u64 = 96 * 1024 * 1024;

/// The maximum number of entries of a directory, of an archive, or of all layers of an image.
const MAX_ENTRIES: usize = 100_000;

/// What may still be read of an image.
#[derive(Debug)]
pub struct Budget {
    bytes: Cell<u64>,
    kept: Cell<u64>,
    entries: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(MAX_LENGTH, MAX_ENTRIES)
    }
}

impl Budget {
    pub fn new(bytes: u64, entries: usize) -> Self {
        Self {
            bytes: Cell::new(bytes),
            kept: Cell::new(MAX_KEPT_LENGTH),
            entries: Cell::new(entries),
        }
    }

    /// A reader whose bytes count against the budget. It fails when the budget is used up.
    pub fn meter<R: Read>(&self, reader: R) -> Metered<'_, R> {
        Metered::new(reader, &self.bytes)
    }

    /// Counts bytes that were read without [`Budget::meter`].
    pub fn spend(&self, count: u64) -> Result<()> {
        let left = self.bytes.get().checked_sub(count);
        self.bytes.set(left.unwrap_or_default());
        left.map(|_| ()).ok_or_else(too_long)
    }

    /// Translates the error of a reader: an [`Error::Limit`] if the budget is used up, otherwise
    /// the result of `problem`.
    pub fn error(&self, error: io::Error, problem: impl FnOnce(io::Error) -> Error) -> Error {
        if self.bytes.get() == 0 {
            too_long()
        } else {
            problem(error)
        }
    }

    /// How many bytes may still be kept.
    pub fn remaining_kept(&self) -> u64 {
        self.kept.get()
    }

    /// Counts the memory for a file's content, as far as the budget allows.
    pub fn keep(&self, count: u64) {
        self.kept.set(self.kept.get().saturating_sub(count));
    }

    /// Counts an entry, and the memory for its path.
    pub fn take_entry(&self, path: &str) -> Result<()> {
        let entries = self.entries.get().checked_sub(1);
        let kept = self.kept.get().checked_sub(path.len() as u64);
        let (Some(entries), Some(kept)) = (entries, kept) else {
            self.entries.set(0);
            return Err(Error::Limit(
                "it has more entries than this check reads".to_owned(),
            ));
        };
        self.entries.set(entries);
        self.kept.set(kept);
        Ok(())
    }
}

fn too_long() -> Error {
    Error::Limit("it unpacks to more than this check reads".to_owned())
}

/// A reader with a limit.
pub struct Metered<'a, R> {
    reader: R,
    left: &'a Cell<u64>,
}

impl<'a, R> Metered<'a, R> {
    pub fn new(reader: R, left: &'a Cell<u64>) -> Self {
        Self { reader, left }
    }

    pub fn into_inner(self) -> R {
        self.reader
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other("it is too long"));
        }
        let length = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = match buffer.get_mut(..length) {
            Some(part) => self.reader.read(part)?,
            None => 0,
        };
        self.left.set(left.saturating_sub(count as u64));
        Ok(count)
    }
}

impl<R: Seek> Seek for Metered<'_, R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.reader.seek(position)
    }
}
