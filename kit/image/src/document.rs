//! The JSON documents of an image (OCI image specification). They have only the fields that this
//! crate reads or writes.

use serde::{Deserialize, Serialize};

use crate::annotations::Annotations;

/// A descriptor: a document's reference to a blob (`descriptor.md`).
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

/// The platform of an image in an index (`image-index.md`).
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Platform {
    #[serde(default)]
    pub architecture: String,
    #[serde(default)]
    pub os: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// An image index (`image-index.md`): lists the images of a layout, or one image for each platform.
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

/// An image configuration that this crate writes (`config.md`).
#[derive(Debug, Serialize)]
pub struct ImageConfig {
    pub architecture: &'static str,
    pub os: &'static str,
    /// How a container runs. Empty, because a module's image has nothing to run.
    pub config: Empty,
    pub rootfs: RootFs,
}

/// An image in the `manifest.json` that `docker save` and `podman save` write (Docker image
/// specification 1.2, "Combined Image JSON + Filesystem Changeset Format").
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SavedImage {
    /// The path of the image configuration.
    pub config: String,
    /// The paths of the layers, which are tar archives, lowest first.
    #[serde(default)]
    pub layers: Vec<String>,
}

/// What this crate reads of the image configuration that a [`SavedImage`] names.
#[derive(Debug, Deserialize)]
pub struct SavedConfig {
    pub rootfs: Option<SavedRootFs>,
}

/// The uncompressed layers in a [`SavedConfig`].
#[derive(Debug, Deserialize)]
pub struct SavedRootFs {
    /// Their digests.
    #[serde(default)]
    pub diff_ids: Vec<String>,
}

/// An object without members.
#[derive(Debug, Serialize)]
pub struct Empty {}

/// The uncompressed layers in an [`ImageConfig`].
#[derive(Debug, Serialize)]
pub struct RootFs {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Their digests.
    pub diff_ids: Vec<String>,
}
