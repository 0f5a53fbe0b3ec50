//! Reads images: directories, OCI image layouts, OCI archives, and archives of `docker save` and
//! `podman save`.
//!
//! Images may come from anyone: digests and sizes are checked, links do not lead out of an image,
//! and nothing is written to disk. At most 1 GiB and 100,000 entries of an image are read, and 96
//! MiB are kept in memory: the content of modules and of short files, and the first bytes of
//! others. A larger image is an [`Error::Limit`].

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
pub use layer::{Compression, Layer, LayerContent};
pub use root::{ContainerRoot, find};
pub use tarball::{Tar, TarEntry, normalize_path};

/// Reads the files of a directory, without following links.
///
/// # Errors
///
/// [`Error::File`] if a file cannot be read, and [`Error::Limit`] if the files are too many or too
/// long.
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
/// [`Error::Image`] if it is not a valid image, [`Error::Platform`] if it is an index without an
/// image that Istio and Envoy Gateway select, [`Error::Limit`] if it is too large, and
/// [`Error::File`] if a file cannot be read.
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

/// Reads a layer from its blob. The digest of the blob is not checked.
///
/// # Errors
///
/// [`Error::Image`] if the blob cannot be read, and [`Error::Limit`] if it is too large. Errors in a
/// tar archive are in [`Tar::problem`].
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
