//! The files of an image, as its consumers read them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::run;

/// Files by their paths in the image.
pub type Files = BTreeMap<String, Vec<u8>>;

fn untar(archive: impl Read) -> Result<Files> {
    let mut files = Files::new();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        ensure!(
            entry.header().entry_type().is_file(),
            "{:?} is not a file",
            entry.path()?
        );
        let path = entry.path()?.to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.insert(path, bytes);
    }
    Ok(files)
}

/// An OCI archive, unpacked.
pub struct Archive {
    files: Files,
}

impl Archive {
    /// Unpacks an archive.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let file = fs::File::open(path).with_context(|| format!("no {}", path.display()))?;
        let files = untar(file)?;
        Ok(Self { files })
    }

    fn blob(&self, descriptor: &Value) -> Result<&[u8]> {
        let digest = descriptor["digest"]
            .as_str()
            .context("a descriptor without a digest")?;
        let path = format!("blobs/{}", digest.replace(':', "/"));
        let bytes = self.files.get(&path);
        Ok(bytes.with_context(|| format!("{path} is missing"))?)
    }

    /// The image manifest.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn manifest(&self) -> Result<Value> {
        let index = self.files.get("index.json").context("no index.json")?;
        let index: Value = serde_json::from_slice(index)?;
        Ok(serde_json::from_slice(self.blob(&index["manifests"][0])?)?)
    }

    /// The files of the only layer, which must have the media type that Istio requires of the last
    /// layer.
    ///
    /// # Errors
    ///
    /// If there are several layers, or if the layer has another media type.
    pub fn layer_files(&self) -> Result<Files> {
        let manifest = self.manifest()?;
        let layers = manifest["layers"].as_array().context("no layers")?;
        ensure!(layers.len() == 1, "{} layers", layers.len());
        ensure!(
            layers[0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip",
            "{}",
            layers[0]
        );
        untar(flate2::read::GzDecoder::new(self.blob(&layers[0])?))
    }

    /// What a consumer of the oci variant reads: two layers with different media types.
    ///
    /// # Errors
    ///
    /// If the image is not of that variant.
    pub fn wasm_artifact(&self) -> Result<(Value, &[u8])> {
        let manifest = self.manifest()?;
        let layers = manifest["layers"].as_array().context("no layers")?;
        ensure!(layers.len() == 2, "{} layers", layers.len());
        let layer = |media_type: &str| {
            let layer = layers.iter().find(|layer| layer["mediaType"] == media_type);
            self.blob(layer.with_context(|| format!("no layer of {media_type}"))?)
        };
        let config = layer("application/vnd.module.wasm.config.v1+json")?;
        let module = layer("application/vnd.module.wasm.content.layer.v1+wasm")?;
        Ok((serde_json::from_slice(config)?, module))
    }
}

/// Copies the files out of a container, with the same commands as Maistra's controller. `engine`
/// can also be docker.
///
/// # Errors
///
/// If the engine fails, or if a file is missing.
pub fn copy_out(engine: &str, image: &str) -> Result<Files> {
    let container = run(engine, &["create", image, "."])?;
    let directory = tempfile::tempdir()?;
    let mut files = Files::new();
    for name in ["manifest.yaml", "extension.wasm", "plugin.wasm"] {
        let from = format!("{container}:/{name}");
        let to = directory.path().join(name);
        run(engine, &["cp", &from, &to.to_string_lossy()])?;
        files.insert(name.to_owned(), fs::read(to)?);
    }
    run(engine, &["rm", &container])?;
    Ok(files)
}
