//! Packages an image in memory, without a container engine.
//!
//! The same files and annotations give the same bytes: there are no times and no owners, and the
//! order is fixed.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use flate2::{Compression, GzBuilder};
use serde::Serialize;
use serde_json::json;

use crate::annotations::Annotations;
use crate::blob::{Blob, sha256};
use crate::document::{Empty, ImageConfig, ImageManifest, RootFs};
use crate::error::{Error, Result};
use crate::media_types::{CONFIG, GZIP_LAYER, MANIFEST, WASM_CONFIG_LAYER, WASM_CONTENT_LAYER};
use crate::tar_writer::TarWriter;

/// An image in memory.
#[derive(Clone, Debug)]
pub struct Package {
    manifest: Blob,
    config: Blob,
    layers: Vec<Blob>,
}

/// The configuration layer of the *oci* variant (Wasm image specification).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WasmConfig {
    /// The ABI versions whose markers the module exports, for example `v0.2.1`.
    pub abi_versions: Vec<String>,
    /// The root IDs that the module supports. Most modules ignore the root ID.
    pub root_ids: Vec<String>,
}

impl Package {
    /// Packages the files of a directory as a container image with one layer (the *compat*
    /// variant). Maistra, Istio and Envoy Gateway read it.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if a file cannot be read, or if its path does not fit into a tar archive.
    pub fn compat(directory: &Path, annotations: &Annotations) -> Result<Self> {
        let tarball = layer(directory)?;
        let layer = Blob::new(GZIP_LAYER, gzip(&tarball)?);
        Self::new(vec![layer], vec![sha256(&tarball)], annotations)
    }

    /// Packages a module as an artifact of the Wasm image specification (the *oci* variant): a
    /// configuration and the module. Istio and Envoy Gateway read it; Maistra does not.
    ///
    /// # Errors
    ///
    /// [`Error::Image`] if the configuration cannot be written as JSON. Writing to memory does not
    /// fail.
    pub fn oci(module: &[u8], config: &WasmConfig, annotations: &Annotations) -> Result<Self> {
        let config = to_json(&json!({
            "abiVersions": config.abi_versions,
            "config": { "rootIds": config.root_ids },
            "type": "envoy_proxy",
        }))?;
        let layers = vec![
            Blob::new(WASM_CONFIG_LAYER, config),
            Blob::new(WASM_CONTENT_LAYER, module.to_vec()),
        ];
        // The layers are not compressed, so the digest of a layer is also the digest of its
        // content.
        let diff_ids = layers
            .iter()
            .map(|layer| layer.digest().to_owned())
            .collect();
        Self::new(layers, diff_ids, annotations)
    }

    fn new(layers: Vec<Blob>, diff_ids: Vec<String>, annotations: &Annotations) -> Result<Self> {
        let config = ImageConfig {
            // The format requires a platform. A module runs on every platform, and consumers ignore
            // this one.
            architecture: "amd64",
            os: "linux",
            config: Empty {},
            rootfs: RootFs {
                kind: "layers",
                diff_ids,
            },
        };
        let config = Blob::new(CONFIG, to_json(&config)?);
        let manifest = ImageManifest {
            annotations: (!annotations.is_empty()).then(|| annotations.clone()),
            config: config.descriptor(),
            layers: layers.iter().map(Blob::descriptor).collect(),
            media_type: Some(MANIFEST.to_owned()),
            schema_version: 2,
        };
        Ok(Self {
            manifest: Blob::new(MANIFEST, to_json(&manifest)?),
            config,
            layers,
        })
    }

    /// The image's digest, which is the digest of its manifest: `sha256:…`. A registry reports the
    /// same digest.
    pub fn digest(&self) -> &str {
        self.manifest.digest()
    }

    /// The image manifest.
    pub fn manifest(&self) -> &Blob {
        &self.manifest
    }

    /// The image configuration.
    pub fn config(&self) -> &Blob {
        &self.config
    }

    /// The layers, lowest first.
    pub fn layers(&self) -> &[Blob] {
        &self.layers
    }
}

fn to_json(document: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| Error::Image(error.to_string()))
}

/// A tar of the directory's files, in the order of their names.
fn layer(directory: &Path) -> Result<Vec<u8>> {
    let mut names = Vec::new();
    collect(directory, "", &mut names)?;
    names.sort();
    let mut tar = TarWriter::new();
    for name in names {
        let path = directory.join(&name);
        let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
        tar.append(&name, &bytes)
            .map_err(Error::file("package", &path))?;
    }
    tar.finish().map_err(Error::file("package", directory))
}

fn collect(directory: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
    let listing = fs::read_dir(directory).map_err(Error::file("read", directory))?;
    for entry in listing {
        let entry = entry.map_err(Error::file("read", directory))?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|_| io::Error::other("its name is not UTF-8"))
            .map_err(Error::file("package", entry.path()))?;
        let name = format!("{prefix}{name}");
        let kind = entry
            .file_type()
            .map_err(Error::file("read", entry.path()))?;
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(bytes)
        .and_then(|()| gzip.finish())
        .map_err(|error| Error::Image(format!("cannot compress the layer: {error}")))
}
