//! Images as whoever made them left them: folders, OCI layouts, OCI archives.
//!
//! Nothing here trusts what it reads, and nothing is written: files end in memory, of which there
//! is as much as [`Budget`] grants. Links are not followed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use flate2::read::MultiGzDecoder;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType};
use sha2::{Digest, Sha256};

/// The longest archive that is read, in bytes.
const LONGEST_ARCHIVE: u64 = 128 * 1024 * 1024;

/// All that is unpacked of one image, in bytes: two of the longest modules, and what is between.
const LONGEST_CONTENT: u64 = 96 * 1024 * 1024;

/// The longest JSON document of an image, in bytes; registries draw the same line.
const LONGEST_DOCUMENT: u64 = 4 * 1024 * 1024;

/// The most entries of a folder, an archive or a layer.
const MOST_ENTRIES: usize = 10_000;

/// The most layers that container engines stack.
const MOST_LAYERS: usize = 127;

/// The deepest folder in a folder that is read.
const DEEPEST: usize = 32;

/// Layers that consumers take for a compressed tar.
const GZIP_LAYERS: [&str; 2] = [
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

/// Layers that are a tar, not compressed.
const TAR_LAYERS: [&str; 2] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
];

/// What a path of a folder or a layer leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A regular file's bytes.
    File(Vec<u8>),
    /// A folder.
    Folder,
    /// A symbolic or a hard link.
    Link {
        /// Where it leads.
        target: String,
    },
    /// A device, a pipe, a socket, or a sparse file.
    Special,
}

/// Paths without a leading `/` or `./`, and what they lead to, in the order of the archive.
pub type Entries = Vec<(String, Entry)>;

/// A layer, as it is in the image.
#[derive(Debug)]
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
    /// The bytes of a layer that is no tar.
    Bytes(Vec<u8>),
}

impl Layer {
    /// Whether its media type is one of a tar compressed with gzip.
    pub fn is_gzip(&self) -> bool {
        GZIP_LAYERS.contains(&self.media_type.as_str())
    }

    /// Its entries, if it is a tar.
    pub fn entries(&self) -> Option<&Entries> {
        match &self.content {
            Content::Tar(entries) => Some(entries),
            Content::Bytes(_) => None,
        }
    }
}

/// An image.
#[derive(Debug)]
pub struct Image {
    /// The digest of its manifest, `sha256:…`.
    pub digest: String,
    /// Its manifest.
    pub manifest: ImageManifest,
    /// Its layers, from the lowest to the last.
    pub layers: Vec<Layer>,
    /// How many images there are beside it, in the layout.
    pub others: usize,
}

impl Image {
    /// What a container made of the image has at its root: the layers, one upon the other
    /// (OCI image specification, `layer.md`, "Whiteouts").
    pub fn root(&self) -> BTreeMap<String, Entry> {
        let mut root = BTreeMap::new();
        for entries in self.layers.iter().filter_map(Layer::entries) {
            for (path, entry) in entries {
                let (folder, name) = match path.rsplit_once('/') {
                    Some((folder, name)) => (format!("{folder}/"), name),
                    None => (String::new(), path.as_str()),
                };
                if name == ".wh..wh..opq" {
                    root.retain(|path: &String, _| !path.starts_with(&folder));
                } else if let Some(gone) = name.strip_prefix(".wh.") {
                    let gone = format!("{folder}{gone}");
                    let below = format!("{gone}/");
                    root.retain(|path, _| *path != gone && !path.starts_with(&below));
                } else {
                    root.insert(path.clone(), entry.clone());
                }
            }
        }
        root
    }
}

/// How much may still be read.
#[derive(Debug)]
pub struct Budget {
    bytes: u64,
    entries: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            bytes: LONGEST_CONTENT,
            entries: MOST_ENTRIES,
        }
    }
}

impl Budget {
    fn entry(&mut self) -> Result<()> {
        self.entries = self.entries.checked_sub(1).with_context(|| {
            format!("more than {MOST_ENTRIES} entries; no extension has as many")
        })?;
        Ok(())
    }
}

/// A reader that fails where the budget ends.
struct Metered<'a, R> {
    reader: R,
    left: &'a mut u64,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // One byte beyond the budget tells an end from a breach.
        let most = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX);
        let length = buffer.len().min(most);
        let count = match buffer.get_mut(..length) {
            Some(part) => self.reader.read(part)?,
            None => 0,
        };
        match self.left.checked_sub(count as u64) {
            Some(left) => {
                *self.left = left;
                Ok(count)
            }
            None => Err(io::Error::other(format!(
                "it unpacks to more than {LONGEST_CONTENT} bytes, which no extension has"
            ))),
        }
    }
}

/// Reads the files of a folder, links and all.
///
/// # Errors
///
/// When a file can't be read, or when the budget ends.
pub fn folder(folder: &Path) -> Result<Entries> {
    let mut entries = Entries::new();
    let mut budget = Budget::default();
    collect(folder, "", DEEPEST, &mut budget, &mut entries)?;
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(entries)
}

fn collect(
    folder: &Path,
    prefix: &str,
    depth: usize,
    budget: &mut Budget,
    entries: &mut Entries,
) -> Result<()> {
    ensure!(depth > 0, "{prefix:?} lies too deep");
    let listing =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for item in listing {
        let item = item?;
        budget.entry()?;
        let path = format!("{prefix}{}", item.file_name().to_string_lossy());
        let kind = item.file_type()?;
        let entry = if kind.is_dir() {
            collect(
                &item.path(),
                &format!("{path}/"),
                depth - 1,
                budget,
                entries,
            )?;
            Entry::Folder
        } else if kind.is_symlink() {
            Entry::Link {
                target: fs::read_link(item.path())?.display().to_string(),
            }
        } else if kind.is_file() {
            let mut bytes = Vec::new();
            Metered {
                reader: File::open(item.path())?,
                left: &mut budget.bytes,
            }
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {}", item.path().display()))?;
            Entry::File(bytes)
        } else {
            Entry::Special
        };
        entries.push((path, entry));
    }
    Ok(())
}

/// Whether the folder is an OCI image layout.
pub fn is_layout(folder: &Path) -> bool {
    folder.join("oci-layout").exists()
}

/// Reads the image of an OCI image layout in a folder.
///
/// # Errors
///
/// What is wrong with it, and where.
pub fn layout(folder: &Path) -> Result<Image> {
    image(&mut Layout::Folder(folder.to_owned()))
}

/// Reads the image of an OCI archive.
///
/// # Errors
///
/// As [`layout`], and when the file is no archive, or is one of docker's own format.
pub fn archive(path: &Path) -> Result<Image> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    archive_of(file)
}

/// Reads the image of an OCI archive from anything that can be read twice.
///
/// # Errors
///
/// As [`archive`].
pub fn archive_of(mut reader: impl Read + Seek + 'static) -> Result<Image> {
    let length = reader.seek(SeekFrom::End(0))?;
    ensure!(
        length <= LONGEST_ARCHIVE,
        "{length} bytes, and archives of more than {LONGEST_ARCHIVE} are not read"
    );
    reader.rewind()?;
    let mut files = BTreeMap::new();
    let mut budget = Budget::default();
    let mut archive = tar::Archive::new(reader);
    for entry in archive
        .entries_with_seek()
        .context("it is no tar archive")?
    {
        let entry = entry.context("it is no whole tar archive")?;
        budget.entry()?;
        if entry.header().entry_type().is_file() {
            let path = plain(&entry.path_bytes())?;
            files.insert(path, (entry.raw_file_position(), entry.size()));
        }
    }
    if !files.contains_key("index.json") && files.contains_key("manifest.json") {
        bail!(
            "it is an archive of docker's own format; save it as an OCI archive: \
             podman save --format oci-archive"
        );
    }
    image(&mut Layout::Archive {
        reader: Box::new(archive.into_inner()),
        files,
    })
}

trait Seekable: Read + Seek {}
impl<R: Read + Seek> Seekable for R {}

/// Where the documents and blobs of a layout are.
enum Layout {
    Folder(PathBuf),
    Archive {
        reader: Box<dyn Seekable>,
        /// Where in the archive each file begins, and how long it says that it is.
        files: BTreeMap<String, (u64, u64)>,
    },
}

impl Layout {
    fn read(&mut self, path: &str, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::Folder(folder) => {
                let file = folder.join(path);
                let kind = fs::symlink_metadata(&file)
                    .with_context(|| format!("{path} is missing"))?
                    .file_type();
                ensure!(kind.is_file(), "{path} is no regular file");
                File::open(&file)?
                    .take(limit.saturating_add(1))
                    .read_to_end(&mut bytes)?;
            }
            Self::Archive { reader, files } => {
                let (position, size) = files
                    .get(path)
                    .with_context(|| format!("{path} is missing"))?;
                reader.seek(SeekFrom::Start(*position))?;
                reader
                    .take(limit.saturating_add(1).min(*size))
                    .read_to_end(&mut bytes)?;
                ensure!(
                    bytes.len() as u64 == *size || bytes.len() as u64 > limit,
                    "{path} is cut off"
                );
            }
        }
        ensure!(
            bytes.len() as u64 <= limit,
            "{path} is longer than {limit} bytes"
        );
        Ok(bytes)
    }

    /// A blob, which has to be what its descriptor says.
    fn blob(&mut self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        let digest = descriptor.digest().to_string();
        let hex = digest
            .strip_prefix("sha256:")
            .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .with_context(|| format!("digest {digest:?} is not one of sha256"))?;
        let path = format!("blobs/sha256/{hex}");
        let bytes = self.read(&path, limit)?;
        ensure!(
            bytes.len() as u64 == descriptor.size(),
            "{path} has {} bytes, and its descriptor says {}",
            bytes.len(),
            descriptor.size()
        );
        ensure!(
            format!("{:x}", Sha256::digest(&bytes)) == hex,
            "{path} holds other bytes than its digest says"
        );
        Ok(bytes)
    }
}

fn image(layout: &mut Layout) -> Result<Image> {
    let index = layout.read("index.json", LONGEST_DOCUMENT)?;
    let mut index =
        ImageIndex::from_reader(index.as_slice()).context("index.json is no image index")?;
    // An image for several machines is an index of its own. There is one such step, not a ladder.
    if let [descriptor] = index.manifests().as_slice()
        && is_index(descriptor)
    {
        let descriptor = descriptor.clone();
        let bytes = layout.blob(&descriptor, LONGEST_DOCUMENT)?;
        index = ImageIndex::from_reader(bytes.as_slice()).context("the image's index is none")?;
    }
    let (descriptor, others) = chosen(index.manifests())?;
    let bytes = layout.blob(descriptor, LONGEST_DOCUMENT)?;
    let manifest =
        ImageManifest::from_reader(bytes.as_slice()).context("the image's manifest is none")?;
    ensure!(
        manifest.layers().len() <= MOST_LAYERS,
        "{} layers; container engines stack {MOST_LAYERS}",
        manifest.layers().len()
    );
    layout
        .blob(manifest.config(), LONGEST_DOCUMENT)
        .context("the image's configuration")?;
    let mut budget = Budget::default();
    let mut layers = Vec::new();
    for (number, descriptor) in (1..).zip(manifest.layers()) {
        let layer = read_layer(layout, descriptor, &mut budget);
        layers.push(layer.with_context(|| format!("layer {number}"))?);
    }
    Ok(Image {
        digest: descriptor.digest().to_string(),
        manifest,
        layers,
        others,
    })
}

fn is_index(descriptor: &Descriptor) -> bool {
    *descriptor.media_type() == MediaType::ImageIndex
        || descriptor.media_type().to_string()
            == "application/vnd.docker.distribution.manifest.list.v2+json"
}

/// The image that a consumer on linux/amd64 takes, and how many there are beside it.
fn chosen(manifests: &[Descriptor]) -> Result<(&Descriptor, usize)> {
    let usual = manifests.iter().find(|descriptor| {
        descriptor.platform().as_ref().is_some_and(|platform| {
            platform.os().to_string() == "linux" && platform.architecture().to_string() == "amd64"
        })
    });
    let descriptor = usual
        .or_else(|| manifests.first())
        .ok_or_else(|| anyhow!("index.json names no image"))?;
    ensure!(
        !is_index(descriptor),
        "an index in an index; name one image"
    );
    Ok((descriptor, manifests.len() - 1))
}

fn read_layer(layout: &mut Layout, descriptor: &Descriptor, budget: &mut Budget) -> Result<Layer> {
    let media_type = descriptor.media_type().to_string();
    let bytes = layout.blob(descriptor, LONGEST_CONTENT)?;
    let content = if GZIP_LAYERS.contains(&media_type.as_str()) {
        Content::Tar(tarball(MultiGzDecoder::new(bytes.as_slice()), budget)?)
    } else if TAR_LAYERS.contains(&media_type.as_str()) {
        Content::Tar(tarball(bytes.as_slice(), budget)?)
    } else {
        Content::Bytes(bytes)
    };
    Ok(Layer {
        media_type,
        content,
    })
}

/// Reads the entries of a layer's tar, unpacked.
///
/// # Errors
///
/// When it is no whole tar, when an entry's path climbs out of the root, or when the budget ends.
pub fn tarball(reader: impl Read, budget: &mut Budget) -> Result<Entries> {
    let Budget { bytes, entries } = budget;
    let mut left = *entries;
    let mut archive = tar::Archive::new(Metered {
        reader,
        left: bytes,
    });
    let mut found = Entries::new();
    for entry in archive.entries()? {
        let mut entry = entry.map_err(|error| told(error, "it is no whole tar archive"))?;
        left = left.checked_sub(1).with_context(|| {
            format!("more than {MOST_ENTRIES} entries; no extension has as many")
        })?;
        let path = plain(&entry.path_bytes())?;
        let kind = entry.header().entry_type();
        let item = if kind.is_dir() {
            Entry::Folder
        } else if kind.is_file() {
            let mut content = Vec::new();
            let size = entry.size();
            entry
                .read_to_end(&mut content)
                .map_err(|error| told(error, &format!("{path} cannot be read")))?;
            ensure!(content.len() as u64 == size, "{path} is cut off");
            Entry::File(content)
        } else if kind.is_symlink() || kind.is_hard_link() {
            let target = entry.link_name_bytes().unwrap_or_default();
            Entry::Link {
                target: String::from_utf8_lossy(&target).into_owned(),
            }
        } else if kind.is_pax_global_extensions() {
            continue;
        } else {
            Entry::Special
        };
        found.push((path, item));
    }
    *entries = left;
    Ok(found)
}

/// The reason below the tar reader's own words, if there is one: a breach of the budget.
fn told(error: io::Error, problem: &str) -> anyhow::Error {
    anyhow!("{problem}: {error}")
}

/// A path of an archive, as seen from the root.
fn plain(path: &[u8]) -> Result<String> {
    let path = String::from_utf8_lossy(path);
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => bail!("entry {path:?} climbs out of the root"),
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests;
