//! Layers: their compression, and what they hold.

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
    /// The digest of its blob, or, in an archive of an engine that is not an OCI layout, of its tar:
    /// `sha256:…`.
    pub digest: String,
    /// Its media type.
    pub media_type: String,
    /// How its bytes are compressed, whatever the media type says.
    pub compression: Compression,
    /// What it holds.
    pub content: Content,
}

/// How bytes are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// They are not compressed.
    None,
    /// With gzip.
    Gzip,
    /// With zstd.
    Zstd,
    /// With bzip2, which is not unpacked.
    Bzip2,
    /// With xz, which is not unpacked.
    Xz,
}

/// What a layer holds.
#[derive(Debug)]
pub enum Content {
    /// The entries of a tar.
    Tar(Tar),
    /// The bytes of a layer of the Wasm image specification, which is not a tar.
    Bytes(FileContent),
}

impl Compression {
    /// The compression of bytes that begin like this, by the rules of podman and buildah.
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
    /// Its entries, as far as they can be read, if it is a tar.
    pub fn tar(&self) -> Option<&Tar> {
        match &self.content {
            Content::Tar(tar) => Some(tar),
            Content::Bytes(_) => None,
        }
    }

    /// Whether its bytes are compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.compression != Compression::None
    }

    /// The layer, if its blob has the right digest. If the budget ended before that of the blob was
    /// known, it is a problem of the content.
    pub(crate) fn unless_limited(mut self, checked: Result<()>) -> Result<Self> {
        match (checked, &mut self.content) {
            (Err(error @ Error::Limit(_)), Content::Tar(tar)) => {
                tar.problem.get_or_insert(error);
            }
            (checked, _) => checked?,
        }
        Ok(self)
    }

    /// Reads a layer. The end of the budget is a problem of its content, unless that has only bytes.
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
            Content::Bytes(FileContent::read(blob, budget).map_err(unreadable)?)
        } else {
            Content::Tar(match compression {
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
