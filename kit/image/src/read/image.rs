//! Images: manifest, layers, and what a container would have at its root.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;

use crate::document::{Descriptor, ImageIndex, ImageManifest};
use crate::error::{Error, Result};
use crate::media_types::{
    DOCKER_GZIP_LAYER, DOCKER_INDEX, DOCKER_TAR_LAYER, GZIP_LAYER, INDEX, TAR_LAYER,
};
use crate::read::budget::Budget;
use crate::read::entry::{Entries, Entry};
use crate::read::layout::Layout;
use crate::read::tarball;

/// The length of a JSON document, in bytes. Registries have the same limit.
const MAX_DOCUMENT_LENGTH: u64 = 4 * 1024 * 1024;

/// The number of layers that container engines support.
const MAX_LAYERS: usize = 127;

/// How deep indexes may be nested.
const MAX_DEPTH: usize = 8;

/// The most platforms of an index that an error lists.
const MAX_LISTED: usize = 8;

/// The platform whose image Istio and Envoy Gateway take from an index, on any machine.
const CONSUMERS_PLATFORM: &str = "linux/amd64";

/// An image.
#[derive(Debug)]
#[non_exhaustive]
pub struct Image {
    /// The digest of its manifest, `sha256:…`.
    pub digest: String,
    /// The media type that its manifest states. Docker's own manifests always state it.
    pub media_type: Option<String>,
    /// Its layers, from the lowest to the last.
    pub layers: Vec<Layer>,
    /// The number of other images in the same layout or index.
    pub other_images: usize,
    /// The number of attestations in the same index. Docker's BuildKit adds them.
    pub attestations: usize,
}

/// A layer of an image.
#[derive(Debug)]
#[non_exhaustive]
pub struct Layer {
    /// Its media type.
    pub media_type: String,
    /// What it holds.
    pub content: Content,
}

/// What a layer holds.
#[derive(Debug)]
pub enum Content {
    /// The entries of a tar.
    Tar(Entries),
    /// The bytes of a layer that is not a tar.
    Bytes(Vec<u8>),
    /// Why a layer whose media type is that of a tar cannot be read.
    Unreadable(String),
}

impl Layer {
    /// Its entries, if it is a tar.
    pub fn entries(&self) -> Option<&Entries> {
        match &self.content {
            Content::Tar(entries) => Some(entries),
            Content::Bytes(_) | Content::Unreadable(_) => None,
        }
    }

    fn read(layout: &mut Layout, descriptor: &Descriptor, budget: &mut Budget) -> Result<Self> {
        let media_type = descriptor.media_type.clone();
        let bytes = layout.blob(descriptor, budget.bytes.left())?;
        let content = if is_gzip(&media_type) {
            tar(MultiGzDecoder::new(bytes.as_slice()), budget)
        } else if [TAR_LAYER, DOCKER_TAR_LAYER].contains(&media_type.as_str()) {
            tar(bytes.as_slice(), budget)
        } else {
            budget.bytes.take(bytes.len() as u64)?;
            Content::Bytes(bytes)
        };
        Ok(Self {
            media_type,
            content,
        })
    }
}

impl Image {
    /// What a container of the image has at its root: the layers, each applied to those below
    /// (OCI image specification, `layer.md`, "Applying Changesets").
    pub fn root(&self) -> BTreeMap<String, Entry> {
        let mut root = BTreeMap::new();
        for entries in self.layers.iter().filter_map(Layer::entries) {
            // A whiteout removes what lower layers have, and nothing of its own layer.
            for (path, _) in entries {
                let (directory, name) = match path.rfind('/') {
                    Some(slash) => path.split_at(slash + 1),
                    None => ("", path.as_str()),
                };
                if name == ".wh..wh..opq" {
                    remove_below(&mut root, directory);
                } else if let Some(name) = name.strip_prefix(".wh.") {
                    let path = format!("{directory}{name}");
                    root.remove(&path);
                    remove_below(&mut root, &format!("{path}/"));
                }
            }
            for (path, entry) in entries {
                if path
                    .rsplit('/')
                    .next()
                    .is_some_and(|name| name.starts_with(".wh."))
                {
                    continue;
                }
                if *entry != Entry::Directory {
                    remove_below(&mut root, &format!("{path}/"));
                }
                root.insert(path.clone(), entry.clone());
            }
        }
        root
    }

    /// Reads the image of a layout.
    pub(crate) fn read(layout: &mut Layout) -> Result<Self> {
        let bytes = layout.read("index.json", MAX_DOCUMENT_LENGTH)?;
        let mut index: ImageIndex = parse(&bytes, "index.json is not an image index")?;
        let mut siblings = Siblings::default();
        let mut depth = 0;
        let descriptor = loop {
            // The only entry of index.json is what a push of the layout writes to a registry.
            let selected = match index.manifests.as_slice() {
                [_] if depth == 0 => 0,
                manifests => select(manifests)?,
            };
            siblings.count(&index.manifests, selected);
            let descriptor = index.manifests.swap_remove(selected);
            if !is_index(&descriptor) {
                break descriptor;
            }
            depth += 1;
            if depth > MAX_DEPTH {
                return Err(Error::Image(format!(
                    "its indexes are nested more than {MAX_DEPTH} deep; keep one image"
                )));
            }
            let bytes = layout.blob(&descriptor, MAX_DOCUMENT_LENGTH)?;
            index = parse(&bytes, "the image is not an image index")?;
        };
        let bytes = layout.blob(&descriptor, MAX_DOCUMENT_LENGTH)?;
        let manifest: ImageManifest = parse(&bytes, "the image has no valid manifest")?;
        let count = manifest.layers.len();
        if count > MAX_LAYERS {
            return Err(Error::Image(format!(
                "it has {count} layers; container engines support {MAX_LAYERS}"
            )));
        }
        layout
            .blob(&manifest.config, MAX_DOCUMENT_LENGTH)
            .map_err(|error| error.in_part("configuration"))?;
        let mut budget = Budget::default();
        let mut layers = Vec::new();
        for (number, descriptor) in (1..).zip(&manifest.layers) {
            let layer = Layer::read(layout, descriptor, &mut budget)
                .map_err(|error| error.in_part(&format!("layer {number}")))?;
            layers.push(layer);
        }
        Ok(Self {
            digest: descriptor.digest,
            media_type: manifest.media_type,
            layers,
            other_images: siblings.images,
            attestations: siblings.attestations,
        })
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8], problem: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| Error::Image(format!("{problem}: {error}")))
}

fn is_gzip(media_type: &str) -> bool {
    [GZIP_LAYER, DOCKER_GZIP_LAYER].contains(&media_type)
}

fn is_index(descriptor: &Descriptor) -> bool {
    [INDEX, DOCKER_INDEX].contains(&descriptor.media_type.as_str())
}

/// What stands beside the image in its indexes.
#[derive(Default)]
struct Siblings {
    images: usize,
    attestations: usize,
}

impl Siblings {
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

/// The position of the image that consumers take from an index: the first for linux/amd64.
fn select(manifests: &[Descriptor]) -> Result<usize> {
    if manifests.is_empty() {
        return Err(Error::Image("its index names no image".to_owned()));
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

/// The platform of a descriptor. One that states none counts as the one that consumers look for.
fn platform(descriptor: &Descriptor) -> String {
    match &descriptor.platform {
        Some(platform) => format!("{}/{}", platform.os, platform.architecture),
        None => CONSUMERS_PLATFORM.to_owned(),
    }
}

/// The entries of a tar, or why it cannot be read. Consumers do not read every layer.
fn tar(reader: impl Read, budget: &mut Budget) -> Content {
    match tarball::read(reader, budget) {
        Ok(entries) => Content::Tar(entries),
        Err(error) => Content::Unreadable(error.to_string()),
    }
}

/// Removes all paths that begin with `prefix`.
fn remove_below(root: &mut BTreeMap<String, Entry>, prefix: &str) {
    let paths: Vec<_> = root
        .range(prefix.to_owned()..)
        .map(|(path, _)| path)
        .take_while(|path| path.starts_with(prefix))
        .cloned()
        .collect();
    for path in paths {
        root.remove(&path);
    }
}
