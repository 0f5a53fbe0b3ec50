//! Images: manifest, layers, and the image of an index that Istio and Envoy Gateway select.

use serde::de::DeserializeOwned;

use crate::document::{Descriptor, ImageIndex, ImageManifest, Platform, SavedConfig, SavedImage};
use crate::error::{Error, Result};
use crate::media_types::{DOCKER_GZIP_LAYER, DOCKER_INDEX, DOCKER_MANIFEST, INDEX, MANIFEST};
use crate::read::budget::Budget;
use crate::read::layer::Layer;
use crate::read::layout::Layout;

/// The maximum length of a JSON document, in bytes. Registries have the same limit.
const MAX_DOCUMENT_LENGTH: u64 = 4 * 1024 * 1024;

/// The maximum depth of nested indexes.
const MAX_DEPTH: usize = 8;

/// The maximum number of platforms that an error lists.
const MAX_LISTED: usize = 8;

/// The platform whose image Istio and Envoy Gateway select from an index, on any machine.
const CONSUMERS_PLATFORM: &str = "linux/amd64";

/// The list of images in an archive of `docker save` or `podman save`.
const SAVED_IMAGES: &str = "manifest.json";

/// An image. From an index, it is the one that Istio and Envoy Gateway select.
#[derive(Debug)]
#[non_exhaustive]
pub struct Image {
    /// The digest of its manifest, `sha256:…`. `None` for an archive of a container engine that is
    /// not an OCI layout: only a push writes the manifest.
    pub digest: Option<String>,
    /// The media type in its manifest. It is always present in a Docker manifest.
    pub media_type: Option<String>,
    /// The media type of its configuration.
    pub config_media_type: String,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
    /// The number of other images in the same layout or index.
    pub other_images: usize,
    /// The number of attestations in the same index. Docker's BuildKit adds them.
    pub attestations: usize,
    /// The image that podman selects from the same index.
    pub podman: PodmanChoice,
    /// Whether `docker save` or `podman save` wrote it. A push from the engine compresses
    /// uncompressed layers.
    pub is_saved: bool,
}

/// The image that podman selects from an index on linux/amd64.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PodmanChoice {
    /// The same as Istio and Envoy Gateway, or the image has no index.
    Same,
    /// Another image.
    Other,
    /// No image, for this reason.
    None(&'static str),
}

impl Image {
    /// Reads the image of a layout.
    pub(crate) fn read(layout: &mut Layout) -> Result<Self> {
        let is_saved = layout.contains(SAVED_IMAGES);
        if is_saved && !layout.contains("index.json") {
            return saved(layout);
        }
        let bytes = layout.read("index.json", MAX_DOCUMENT_LENGTH)?;
        let mut index: ImageIndex = parse(&bytes, "index.json is not an image index")?;
        let mut others = OtherManifests::default();
        let mut podman = None;
        let mut depth = 0;
        let descriptor = loop {
            // A push of the layout writes the only entry of index.json to a registry.
            let selected = match index.manifests.as_slice() {
                [_] if depth == 0 => 0,
                manifests => {
                    if podman.is_none() {
                        let is_docker = index.media_type.as_deref() == Some(DOCKER_INDEX);
                        podman = Some(podman_choice(manifests, is_docker));
                    }
                    select(manifests)?
                }
            };
            others.count(&index.manifests, selected);
            let descriptor = index.manifests.swap_remove(selected);
            if !is_index(&descriptor) {
                break descriptor;
            }
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(Error::Limit(format!(
                    "its indexes are nested more than {MAX_DEPTH} deep; keep one image"
                )));
            }
            let bytes = layout.document(&descriptor, MAX_DOCUMENT_LENGTH)?;
            index = parse(&bytes, "the nested index is not an image index")?;
        };
        let bytes = layout.document(&descriptor, MAX_DOCUMENT_LENGTH)?;
        let manifest: ImageManifest = parse(&bytes, "the image has no valid manifest")?;
        layout
            .document(&manifest.config, MAX_DOCUMENT_LENGTH)
            .map_err(|error| error.in_part("configuration"))?;
        let layers = read_layers(&manifest.layers, |layer, budget| {
            let mut blob = layout.blob(layer, budget)?;
            let (media_type, digest) = (layer.media_type.clone(), layer.digest.clone());
            let read = Layer::read(media_type, digest, &mut blob, budget)?;
            read.with_digest_check(blob.check(layer))
        })?;
        Ok(Self {
            podman: match podman {
                None => PodmanChoice::Same,
                Some(Ok(digest)) if digest == descriptor.digest => PodmanChoice::Same,
                Some(Ok(_)) => PodmanChoice::Other,
                Some(Err(reason)) => PodmanChoice::None(reason),
            },
            digest: Some(descriptor.digest),
            media_type: manifest.media_type,
            config_media_type: manifest.config.media_type,
            layers,
            other_images: others.images,
            attestations: others.attestations,
            is_saved,
        })
    }
}

/// Reads the first image of an archive in Docker's own format. The result is the image that a push
/// of the archive writes: a Docker manifest, and gzip-compressed layers.
fn saved(layout: &mut Layout) -> Result<Image> {
    let bytes = layout.read(SAVED_IMAGES, MAX_DOCUMENT_LENGTH)?;
    let mut images: Vec<SavedImage> = parse(&bytes, "manifest.json is not a list of images")?;
    if images.is_empty() {
        return Err(Error::Image("manifest.json has no images".to_owned()));
    }
    let other_images = images.len() - 1;
    let image = images.swap_remove(0);
    let bytes = layout.read(&image.config, MAX_DOCUMENT_LENGTH)?;
    let config: SavedConfig = parse(&bytes, "the configuration is not valid")?;
    let digests = config.rootfs.map(|rootfs| rootfs.diff_ids);
    let digests = digests.unwrap_or_default();
    if digests.len() != image.layers.len() {
        return Err(Error::Image(format!(
            "it has {} layers, but the configuration lists {}",
            image.layers.len(),
            digests.len()
        )));
    }
    let paths: Vec<_> = image.layers.into_iter().zip(digests).collect();
    let layers = read_layers(&paths, |(path, digest), budget| {
        let mut blob = layout.file(path, budget)?;
        let media_type = DOCKER_GZIP_LAYER.to_owned();
        let read = Layer::read(media_type, digest.clone(), &mut blob, budget)?;
        if read.is_compressed() {
            return Ok(read);
        }
        read.with_digest_check(blob.check_digest(digest))
    })?;
    Ok(Image {
        digest: None,
        media_type: Some(DOCKER_MANIFEST.to_owned()),
        config_media_type: String::new(),
        layers,
        other_images,
        attestations: 0,
        podman: PodmanChoice::Same,
        is_saved: true,
    })
}

/// Reads layers with one budget. The last layer is read first, because most consumers read only
/// that one.
fn read_layers<T>(
    layers: &[T],
    mut read: impl FnMut(&T, &Budget) -> Result<Layer>,
) -> Result<Vec<Layer>> {
    let budget = Budget::default();
    let mut found = Vec::new();
    for (index, layer) in layers.iter().enumerate().rev() {
        let part = format!("layer {}", index + 1);
        found.push(read(layer, &budget).map_err(|error| error.in_part(&part))?);
    }
    found.reverse();
    Ok(found)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], problem: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::Image(format!("{problem}: {error}")))
}

fn is_index(descriptor: &Descriptor) -> bool {
    [INDEX, DOCKER_INDEX].contains(&descriptor.media_type.as_str())
}

/// The other manifests in the indexes of an image.
#[derive(Default)]
struct OtherManifests {
    images: usize,
    attestations: usize,
}

impl OtherManifests {
    fn count(&mut self, manifests: &[Descriptor], selected: usize) {
        for (number, descriptor) in manifests.iter().enumerate() {
            if number == selected {
                continue;
            }
            if platform(descriptor) == "unknown/unknown" {
                self.attestations += 1;
            } else {
                self.images += 1;
            }
        }
    }
}

/// The position of the image that Istio and Envoy Gateway select from an index: the first for
/// linux/amd64.
fn select(manifests: &[Descriptor]) -> Result<usize> {
    if manifests.is_empty() {
        return Err(Error::Image("its index has no images".to_owned()));
    }
    manifests
        .iter()
        .position(|descriptor| platform(descriptor) == CONSUMERS_PLATFORM)
        .ok_or_else(|| {
            let mut platforms: Vec<_> = manifests.iter().map(platform).take(MAX_LISTED).collect();
            platforms.dedup();
            Error::Platform {
                platforms: platforms.join(", "),
            }
        })
}

/// The digest of the image that podman selects from an index, or why it selects none.
fn podman_choice(manifests: &[Descriptor], is_docker: bool) -> Result<String, &'static str> {
    let fits = |platform: &Platform| {
        let variant = platform.variant.as_deref().unwrap_or_default();
        platform.os == "linux" && platform.architecture == "amd64" && variant.is_empty()
    };
    let chosen = manifests
        .iter()
        .find(|descriptor| descriptor.platform.as_ref().is_some_and(fits))
        .or_else(|| {
            let mut others = manifests.iter();
            others.find(|descriptor| descriptor.platform.is_none() && !is_docker)
        })
        .ok_or("its index has no image whose platform is exactly linux/amd64")?;
    match chosen.media_type.as_str() {
        MANIFEST | DOCKER_MANIFEST => Ok(chosen.digest.clone()),
        INDEX | DOCKER_INDEX => Err("its index is nested in another index"),
        _ => Err("its index does not list the image with the media type of an image manifest"),
    }
}

/// The platform of a descriptor. Without one, it counts as the platform that consumers look for.
fn platform(descriptor: &Descriptor) -> String {
    match &descriptor.platform {
        Some(platform) => format!("{}/{}", platform.os, platform.architecture),
        None => CONSUMERS_PLATFORM.to_owned(),
    }
}
