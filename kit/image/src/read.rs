//! Reads images that others built: directories, OCI image layouts, OCI archives, and archives of
//! `docker save` and `podman save`.
//!
//! Nothing that is read is trusted. Digests and sizes are checked, links do not lead out of an image,
//! and nothing is written to disk. Of one image, 1 GiB and 100,000 entries are read, and 96 MiB are
//! kept in memory: the content of modules and of short files, and the start of others. What is beyond
//! that is an [`Error::Limit`].

mod budget;
mod directory;
mod entry;
mod image;
mod layer;
mod layout;
mod root;
mod tarball;
mod zstd;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::error::{Error, Result};
use budget::Budget;
use layout::Layout;

pub use entry::{Entries, Entry, FileContent};
pub use image::{Image, PodmanChoice};
pub use layer::{Compression, Content, Layer};
pub use root::{Root, find};
pub use tarball::{Tar, TarEntry, normalize_path};

/// Reads the files of a directory, without following links.
///
/// # Errors
///
/// [`Error::File`] if a file can't be read, and [`Error::Limit`] if there are too many or too long
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
/// [`Error::Image`] if it is not a valid image, [`Error::Platform`] if it is an index without an image
/// that Istio and Envoy Gateway take, [`Error::Limit`] if it is too large, and [`Error::File`] if a
/// file can't be read.
pub fn layout(directory: &Path) -> Result<Image> {
    Image::read(&mut Layout::directory(directory))
}

/// Reads the image of an OCI archive, or of an archive of `docker save` or `podman save`.
///
/// # Errors
///
/// As [`layout`].
pub fn archive(path: &Path) -> Result<Image> {
    archive_from(File::open(path).map_err(Error::file("read", path))?)
}

/// Reads the image of an archive in memory or on disk.
///
/// # Errors
///
/// As [`archive`].
pub fn archive_from(reader: impl Read + Seek + 'static) -> Result<Image> {
    Image::read(&mut Layout::archive(reader)?)
}

/// Reads a layer from its blob, whose digest is not checked.
///
/// # Errors
///
/// [`Error::Image`] if the blob can't be read. What is wrong with a tar is in [`Tar::problem`].
pub fn layer(media_type: &str, blob: impl Read) -> Result<Layer> {
    Layer::read(
        media_type.to_owned(),
        String::new(),
        blob,
        &Budget::default(),
    )
}

#[cfg(test)]
mod tests;
