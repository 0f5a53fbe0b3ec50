//! Reads images that others built: directories, OCI image layouts and OCI archives.
//!
//! Nothing that is read is trusted. Digests and sizes are checked, links are not followed, nothing
//! is written to disk, and what is kept in memory is limited: 96 MiB of content and 10,000 entries
//! of one image.

mod budget;
mod directory;
mod entry;
mod image;
mod layout;
mod tarball;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::error::{Error, Result};
use budget::Budget;
use layout::Layout;

pub use entry::{Entries, Entry};
pub use image::{Content, Image, Layer};

/// Reads the files of a directory, without following links.
///
/// # Errors
///
/// [`Error::File`] if a file can't be read, and [`Error::Image`] if there are too many or too long
/// ones.
pub fn directory(path: &Path) -> Result<Entries> {
    directory::read(path)
}

/// Whether a directory is an OCI image layout.
pub fn is_layout(directory: &Path) -> bool {
    directory.join("oci-layout").exists()
}

/// Reads the image of an OCI image layout in a directory.
///
/// # Errors
///
/// [`Error::Image`] if it is not a valid image of an extension, and [`Error::File`] if a file can't
/// be read.
pub fn layout(directory: &Path) -> Result<Image> {
    Image::read(&mut Layout::directory(directory))
}

/// Reads the image of an OCI archive.
///
/// # Errors
///
/// As [`layout`]. An archive in Docker's own format is an error, too.
pub fn archive(path: &Path) -> Result<Image> {
    archive_from(File::open(path).map_err(Error::file("read", path))?)
}

/// Reads the image of an OCI archive from a file in memory or on disk.
///
/// # Errors
///
/// As [`archive`].
pub fn archive_from(reader: impl Read + Seek + 'static) -> Result<Image> {
    Image::read(&mut Layout::archive(reader)?)
}

/// Reads the entries of a layer, a tar archive that is not compressed.
///
/// # Errors
///
/// [`Error::Image`] if it is not a complete tar archive, if the path of an entry leads out of the
/// image's root, or if there are too many or too long entries.
pub fn tarball(reader: impl Read) -> Result<Entries> {
    tarball::read(reader, &mut Budget::default())
}

#[cfg(test)]
mod tests;
