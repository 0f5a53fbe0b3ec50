//! Limits of what is read of one image.

use std::io::{self, Read};

use crate::error::{Error, Result};

/// The content of an image, in bytes: two modules of the greatest length, and some more.
const MAX_CONTENT_LENGTH: u64 = 96 * 1024 * 1024;

/// The entries of a directory, an archive or an image's layers.
pub const MAX_ENTRIES: usize = 10_000;

/// How much may still be read.
#[derive(Debug, Default)]
pub struct Budget {
    pub bytes: ByteBudget,
    pub entries: EntryBudget,
}

/// How many bytes may still be read.
#[derive(Debug)]
pub struct ByteBudget {
    left: u64,
}

impl Default for ByteBudget {
    fn default() -> Self {
        Self {
            left: MAX_CONTENT_LENGTH,
        }
    }
}

impl ByteBudget {
    pub fn left(&self) -> u64 {
        self.left
    }

    pub fn take(&mut self, count: u64) -> Result<()> {
        // Beyond the limit nothing is left, for later layers either.
        let left = self.left.checked_sub(count);
        self.left = left.unwrap_or_default();
        left.map(|_| ()).ok_or_else(|| {
            Error::Image(format!(
                "it unpacks to more than {MAX_CONTENT_LENGTH} bytes; an extension is smaller"
            ))
        })
    }

    /// A reader that takes what is read from the budget, and fails where it ends.
    pub fn meter<R: Read>(&mut self, reader: R) -> Metered<'_, R> {
        Metered {
            reader,
            budget: self,
        }
    }
}

/// How many entries may still be read.
#[derive(Debug)]
pub struct EntryBudget {
    left: usize,
}

impl Default for EntryBudget {
    fn default() -> Self {
        Self { left: MAX_ENTRIES }
    }
}

impl EntryBudget {
    pub fn take(&mut self) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Error::Image(format!(
                "it has more than {MAX_ENTRIES} entries; an extension needs three"
            ))
        })?;
        Ok(())
    }
}

/// A reader with a budget.
pub struct Metered<'a, R> {
    reader: R,
    budget: &'a mut ByteBudget,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // One byte beyond the budget tells the end of the data from too much of it.
        let limit = usize::try_from(self.budget.left.saturating_add(1)).unwrap_or(usize::MAX);
        let length = buffer.len().min(limit);
        let count = match buffer.get_mut(..length) {
            Some(part) => self.reader.read(part)?,
            None => 0,
        };
        self.budget.take(count as u64).map_err(io::Error::other)?;
        Ok(count)
    }
}
