//! The container format, written without a container engine.
//!
//! An OCI archive (a tar of an OCI image layout) that holds one image of one gzip layer. The same
//! files give the same bytes: no times, no owners, a fixed order.

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
use sha2::{Digest, Sha256};

/// What was written.
#[derive(Debug)]
pub struct Written {
    /// The image's digest: that of its manifest, `sha256:…`.
    pub digest: String,
    /// The archive's size in bytes.
    pub size: u64,
}

/// Writes the files of `folder` as an image called `reference` into the OCI archive `archive`,
/// which appears whole or not at all.
///
/// # Errors
///
/// When a file can't be read or written.
pub fn write_archive(folder: &Path, reference: &str, archive: &Path) -> Result<Written> {
    let tarball = layer(folder)?;
    let diff_id = digest(&tarball);
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(&tarball)?;
    let layer = Blob::new(MediaType::ImageLayerGzip, gzip.finish()?)?;

    // The format wants an architecture. A module runs on any; consumers look at none.
    let config = ImageConfigurationBuilder::default()
        .os(Os::Linux)
        .architecture(Arch::Amd64)
        .config(ConfigBuilder::default().build()?)
        .rootfs(
            RootFsBuilder::default()
                .typ("layers")
                .diff_ids(vec![format!("sha256:{diff_id}")])
                .build()?,
        )
        .build()?;
    let config = Blob::new(MediaType::ImageConfig, config.to_string()?.into_bytes())?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(config.descriptor.clone())
        .layers(vec![layer.descriptor.clone()])
        .build()?;
    let mut manifest = Blob::new(MediaType::ImageManifest, manifest.to_string()?.into_bytes())?;
    let image_digest = manifest.descriptor.digest().to_string();
    manifest.descriptor.set_annotations(Some(
        [(
            "org.opencontainers.image.ref.name".to_owned(),
            reference.to_owned(),
        )]
        .into(),
    ));
    let index = ImageIndexBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageIndex)
        .manifests(vec![manifest.descriptor.clone()])
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
    for blob in [&layer, &config, &manifest] {
        let path = format!("blobs/sha256/{}", digest(&blob.bytes));
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
        digest: image_digest,
        size,
    })
}

struct Blob {
    descriptor: Descriptor,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(media_type: MediaType, bytes: Vec<u8>) -> Result<Self> {
        let digest: Sha256Digest = digest(&bytes).parse()?;
        let descriptor = DescriptorBuilder::default()
            .media_type(media_type)
            .size(bytes.len() as u64)
            .digest(digest)
            .build()?;
        Ok(Self { descriptor, bytes })
    }
}

fn digest(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
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

fn append(builder: &mut tar::Builder<impl Write>, path: &str, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    Ok(builder.append_data(&mut header, path, bytes)?)
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
