//! An image written without a container engine: in memory, and from there into an OCI archive (a
//! tar of an OCI image layout), or to a registry.
//!
//! The same files and annotations give the same bytes: no times, no owners, a fixed order.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use flate2::{Compression, GzBuilder};
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, ImageConfigurationBuilder,
    ImageIndexBuilder, ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, RootFsBuilder,
    Sha256Digest,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use proxy_wasm_module::Module;

use crate::annotations::Annotations;
use crate::media_types::{WASM_CONFIG_LAYER, WASM_CONTENT_LAYER};

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The image's digest: that of its manifest, `sha256:…`.
    pub digest: String,
    /// The archive's size in bytes.
    pub size: u64,
}

/// An image in memory: its documents and layers as a registry stores them.
#[derive(Debug)]
pub struct Package {
    /// The manifest.
    pub manifest: Blob,
    /// The configuration that the manifest names.
    pub config: Blob,
    /// The layers, from the lowest to the last.
    pub layers: Vec<Blob>,
}

/// Some bytes, and how an image refers to them.
#[derive(Debug)]
pub struct Blob {
    /// Media type, size and digest.
    pub descriptor: Descriptor,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Package {
    /// Packages the files of `folder` as an image of one layer, which Maistra and Istio read.
    ///
    /// # Errors
    ///
    /// When a file can't be read.
    pub fn compat(folder: &Path, annotations: &Annotations) -> Result<Self> {
        let tarball = layer(folder)?;
        let diff_id = digest(&tarball);
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        gzip.write_all(&tarball)?;
        let layer = Blob::new(MediaType::ImageLayerGzip, gzip.finish()?)?;
        Self::new(vec![layer], vec![diff_id], annotations)
    }

    /// Packages a module as the Wasm image specification's *oci* variant has it: a configuration
    /// and the bare module, which Istio and WebAssemblyHub's tools read.
    ///
    /// # Errors
    ///
    /// When the bytes are no module.
    pub fn oci(module: &[u8], root_id: &str, annotations: &Annotations) -> Result<Self> {
        let versions: Vec<_> = Module::read(module)?
            .abi
            .iter()
            .map(|version| format!("v{version}"))
            .collect();
        let config = json!({
            "type": "envoy_proxy",
            "abiVersions": versions,
            "config": { "rootIds": [root_id] },
        });
        let layers = [
            (WASM_CONFIG_LAYER, config.to_string().into_bytes()),
            (WASM_CONTENT_LAYER, module.to_vec()),
        ];
        let diff_ids = layers.iter().map(|(_, bytes)| digest(bytes)).collect();
        let layers = layers
            .into_iter()
            .map(|(media_type, bytes)| Blob::new(MediaType::from(media_type), bytes))
            .collect::<Result<_>>()?;
        Self::new(layers, diff_ids, annotations)
    }

    fn new(layers: Vec<Blob>, diff_ids: Vec<String>, annotations: &Annotations) -> Result<Self> {
        // The format wants an architecture. A module runs on any; consumers look at none.
        let config = ImageConfigurationBuilder::default()
            .os(Os::Linux)
            .architecture(Arch::Amd64)
            .config(ConfigBuilder::default().build()?)
            .rootfs(
                RootFsBuilder::default()
                    .typ("layers")
                    .diff_ids(diff_ids)
                    .build()?,
            )
            .build()?;
        let config = Blob::new(MediaType::ImageConfig, config.to_string()?.into_bytes())?;
        let mut manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config.descriptor.clone())
            .layers(
                layers
                    .iter()
                    .map(|layer| layer.descriptor.clone())
                    .collect::<Vec<_>>(),
            )
            .build()?;
        if !annotations.is_empty() {
            manifest.set_annotations(Some(HashMap::from_iter(annotations.clone())));
        }
        // A map without an order would give another digest each time; a JSON value's map has one.
        let manifest = serde_json::to_vec(&serde_json::to_value(&manifest)?)?;
        Ok(Self {
            manifest: Blob::new(MediaType::ImageManifest, manifest)?,
            config,
            layers,
        })
    }

    /// The image's digest: that of its manifest, `sha256:…`.
    pub fn digest(&self) -> String {
        self.manifest.descriptor.digest().to_string()
    }

    /// Writes the image, called `reference`, into the OCI archive `archive`, which appears whole
    /// or not at all.
    ///
    /// # Errors
    ///
    /// When it can't be written.
    pub fn write_archive(&self, reference: &str, archive: &Path) -> Result<Written> {
        let mut descriptor = self.manifest.descriptor.clone();
        descriptor.set_annotations(Some(
            [(
                "org.opencontainers.image.ref.name".to_owned(),
                reference.to_owned(),
            )]
            .into(),
        ));
        let index = ImageIndexBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageIndex)
            .manifests(vec![descriptor])
            .build()?;
        let layout = OciLayoutBuilder::default()
            .image_layout_version("1.0.0")
            .build()?;

        let parent = archive
            .parent()
            .context("the archive's path has no folder")?;
        fs::create_dir_all(parent)?;
        let file = tempfile::Builder::new()
            .prefix("oci-")
            .tempfile_in(parent)?;
        let mut builder = tar::Builder::new(BufWriter::new(file));
        append(&mut builder, "oci-layout", layout.to_string()?.as_bytes())?;
        append(&mut builder, "index.json", index.to_string()?.as_bytes())?;
        for blob in self.layers.iter().chain([&self.config, &self.manifest]) {
            let path = format!(
                "blobs/{}",
                blob.descriptor.digest().to_string().replace(':', "/")
            );
            append(&mut builder, &path, &blob.bytes)?;
        }
        let file = builder
            .into_inner()?
            .into_inner()
            .map_err(|error| anyhow!("{error}"))?;
        let size = file.as_file().metadata()?.len();
        file.persist(archive)
            .with_context(|| format!("cannot write {}", archive.display()))?;
        make_readable(archive)?;
        Ok(Written {
            digest: self.digest(),
            size,
        })
    }
}

impl Blob {
    fn new(media_type: MediaType, bytes: Vec<u8>) -> Result<Self> {
        let hex = digest(&bytes);
        let digest: Sha256Digest = hex.trim_start_matches("sha256:").parse()?;
        let descriptor = DescriptorBuilder::default()
            .media_type(media_type)
            .size(bytes.len() as u64)
            .digest(digest)
            .build()?;
        Ok(Self { descriptor, bytes })
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{:x}", Sha256::digest(bytes))
}

/// A tar of the folder's files, in the order of their names.
fn layer(folder: &Path) -> Result<Vec<u8>> {
    let mut files = Vec::new();
    collect(folder, "", &mut files).with_context(|| format!("cannot read {}", folder.display()))?;
    files.sort();
    let mut builder = tar::Builder::new(Vec::new());
    for name in files {
        append(&mut builder, &name, &fs::read(folder.join(&name))?)?;
    }
    Ok(builder.into_inner()?)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.push(name);
        }
    }
    Ok(())
}

/// Appends a file with the header that podman and buildah write, so that the tar is theirs to the
/// byte: POSIX ustar, the type among the mode's bits, devices zero, and a checksum of six digits.
fn append(builder: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8]) -> Result<()> {
    const REGULAR: u32 = 0o100_000;
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_path(path)?;
    header.set_size(bytes.len() as u64);
    header.set_mode(REGULAR | 0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_device_major(0)?;
    header.set_device_minor(0)?;
    header.set_cksum();
    let sum = format!("{:06o}\0 ", header.cksum()?);
    header.as_old_mut().cksum.copy_from_slice(sum.as_bytes());
    Ok(builder.append(&header, bytes)?)
}

/// Temporary files are for their owner alone; an archive is for whoever loads it.
#[cfg(unix)]
fn make_readable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    Ok(File::open(path)?.set_permissions(fs::Permissions::from_mode(0o644))?)
}

#[cfg(not(unix))]
fn make_readable(_path: &Path) -> Result<()> {
    Ok(())
}
