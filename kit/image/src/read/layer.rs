//! Layers: their compression and their content.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::media_types::{CNCF_WASM_LAYER, WASM_CONFIG_LAYER, WASM_CONTENT_LAYER};
use crate::read::budget::Budget;
use crate::read::entry::FileContent;
use crate::read::tarball::Tar;
use crate::read::zstd::ZstdReader;

/// A layer of an image.
#[derive(Debug)]
#[non_exhaustive]
pub struct Layer {
    /// The digest of its blob: `sha256:…`. In an archive of a container engine that is not an OCI
    /// layout, it is the digest of the uncompressed tar.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// The compression of its bytes, independent of the media type.
    pub compression: Compression,
    /// Its content.
    pub content: LayerContent,
}

/// The compression of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not compressed.
    None,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// bzip2, which is not unpacked.
    Bzip2,
    /// xz, which is not unpacked.
    Xz,
}

/// The content of a layer.
#[derive(Debug)]
pub enum LayerContent {
    /// The entries of a tar.
    Tar(Tar),
    /// The bytes of a layer of the Wasm image specification, which is not a tar.
    Bytes(FileContent),
}

impl Compression {
    /// Detects the compression by the first bytes, with the rules of podman and buildah.
    fn of(start: &[u8]) -> Self {
        if start.starts_with(&[0x1f, 0x8b, 0x08]) {
            Self::Gzip
        } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Self::Zstd
        } else if start.starts_with(b"BZh") {
            Self::Bzip2
        } else if start.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
            Self::Xz
        } else {
            Self::None
        }
    }
}

impl Layer {
    /// Its entries, as far as they can be read. `None` if it is not a tar.
    pub fn tar(&self) -> Option<&Tar> {
        match &self.content {
            LayerContent::Tar(tar) => Some(tar),
            LayerContent::Bytes(_) => None,
        }
    }

    /// Whether its bytes are compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    /// The layer, if its blob has the right digest. If the budget was used up before the digest was
    /// known, the error is in the content.
    pub(crate) fn with_digest_check(mut self, checked: Result<()>) -> Result<Self> {
        match (checked, &mut self.content) {
            (Err(error @ Error::Limit(_)), LayerContent::Tar(tar)) => {
                tar.problem.get_or_insert(error);
            }
            (checked, _) => checked?,
        }
        Ok(self)
    }

    /// Reads a layer. If the budget is used up, a tar has an error in its content.
    pub(crate) fn read(
        media_type: String,
        digest: String,
        mut blob: impl Read,
        budget: &Budget,
    ) -> Result<Self> {
        let mut start = Vec::new();
        let unreadable = |error| {
            budget.error(error, |error| {
                Error::Image(format!("it cannot be read: {error}"))
            })
        };
        blob.by_ref()
            .take(8)
            .read_to_end(&mut start)
            .map_err(unreadable)?;
        let compression = Compression::of(&start);
        let blob = Cursor::new(start).chain(blob);
        let is_bytes =
            [WASM_CONFIG_LAYER, WASM_CONTENT_LAYER, CNCF_WASM_LAYER].contains(&media_type.as_str());
        let content = if is_bytes {
            LayerContent::Bytes(FileContent::read(blob, budget).map_err(unreadable)?)
        } else {
            LayerContent::Tar(match compression {
                Compression::None => Tar::read(blob, budget),
                Compression::Gzip => Tar::read(MultiGzDecoder::new(blob), budget),
                Compression::Zstd => Tar::read(ZstdReader::new(blob), budget),
                Compression::Bzip2 | Compression::Xz => Tar {
                    entries: Vec::new(),
                    problem: Some(Error::Limit(
                        "it is compressed with bzip2 or xz, which this check does not unpack"
                            .to_owned(),
                    )),
                },
            })
        };
        Ok(Self {
            digest,
            media_type,
            compression,
            content,
        })
    }
}
