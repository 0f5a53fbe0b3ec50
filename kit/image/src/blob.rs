//! The blobs of an image.

use sha2::{Digest, Sha256};

use crate::document::Descriptor;

/// A document or a layer of an image, as a registry stores it.
#[derive(Clone, Debug)]
pub struct Blob {
    media_type: &'static str,
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    pub(crate) fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self {
            media_type,
            digest: sha256(&bytes),
            bytes,
        }
    }

    /// The media type, for example `application/vnd.oci.image.manifest.v1+json`.
    pub fn media_type(&self) -> &str {
        self.media_type
    }

    /// The digest of the bytes, `sha256:…`.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The number of bytes.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn descriptor(&self) -> Descriptor {
        Descriptor {
            annotations: None,
            digest: self.digest.clone(),
            media_type: self.media_type.to_owned(),
            platform: None,
            size: self.size(),
        }
    }
}

/// The digest of bytes, `sha256:…`.
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}
