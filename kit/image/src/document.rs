//! The JSON documents of an image (OCI image specification), with the fields that this crate reads
//! or writes.

use serde::{Deserialize, Serialize};

use crate::annotations::Annotations;

/// A reference from a document to a blob (`descriptor.md`).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// `sha256:…`
    pub digest: String,
    #[serde(default)]
    pub media_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// The blob's length in bytes.
    pub size: u64,
}

/// The machines that an image of an index is for (`image-index.md`).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// An image index (`image-index.md`): the images of a layout, or one image for several platforms.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageIndex {
    pub manifests: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub schema_version: u32,
}

/// An image manifest (`manifest.md`).
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    pub schema_version: u32,
}

/// An image configuration (`config.md`).
#[derive(Debug, Serialize)]
pub struct ImageConfig {
    pub architecture: &'static str,
    pub os: &'static str,
    /// How a container runs: a module's image has nothing to run.
    pub config: Empty,
    pub rootfs: RootFs,
}

/// An image in `manifest.json` of an archive of `docker save` or `podman save` (Docker image
/// specification 1.2, "Combined Image JSON + Filesystem Changeset Format").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SavedImage {
    /// The path of the image configuration.
    pub config: String,
    /// The paths of the layers, tar archives, from the lowest to the last.
    #[serde(default)]
    pub layers: Vec<String>,
}

/// An image configuration, with the digests of the layers that are not compressed.
#[derive(Debug, Deserialize)]
pub struct SavedConfig {
    pub rootfs: Option<SavedRootFs>,
}

/// The layers of an image, not compressed.
#[derive(Debug, Deserialize)]
pub struct SavedRootFs {
    /// Their digests.
    #[serde(default)]
    pub diff_ids: Vec<String>,
}

/// An object without members.
#[derive(Debug, Serialize)]
pub struct Empty {}

/// The layers of an image, not compressed.
#[derive(Debug, Serialize)]
pub struct RootFs {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Their digests.
    pub diff_ids: Vec<String>,
}
