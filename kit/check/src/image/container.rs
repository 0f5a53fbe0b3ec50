//! What Maistra reads: files of a container that podman creates from the image.

use proxy_wasm_image::manifest;
use proxy_wasm_image::read::{ContainerRoot, Entry, FileContent, Image, PodmanChoice, find};
use proxy_wasm_image::{CONFIG, DOCKER_GZIP_LAYER, DOCKER_TAR_LAYER, Error};

use crate::consumers::{self, ModuleSource};
use crate::image::found_module::FoundModule;
use crate::image::last_layer::{REPACK_REMEDY, is_artifact, is_docker};
use crate::manifest_file;
use crate::report::{Report, excerpt};

/// The media types of layers that podman pulls with a Docker manifest.
const DOCKER_LAYERS: [&str; 2] = [DOCKER_GZIP_LAYER, DOCKER_TAR_LAYER];

/// The root file system of a container, if podman creates one.
pub fn root(report: &mut Report, image: &Image) -> Option<ContainerRoot> {
    let readers = consumers::reading(ModuleSource::Manifest);
    match &image.podman {
        PodmanChoice::None(reason) => report.error(
            &readers,
            "index.json",
            format!("podman, which Maistra uses, selects no image: {reason}"),
            "push the image without an index, or in one index that lists it for linux/amd64",
        ),
        PodmanChoice::Other => report.not_checked(
            &readers,
            "index.json",
            "podman, which Maistra uses, selects a different image than Istio",
            "keep one image: a module runs on every platform",
        ),
        _ if is_artifact(image) => report.error(
            &readers,
            "image",
            "it is of the oci variant, which Maistra does not read",
            "package it without --variant oci if Maistra has to read it",
        ),
        _ => {
            if has_known_media_types(report, image) {
                return unpack(report, image);
            }
        }
    }
    None
}

/// Whether podman pulls an image with these media types.
fn has_known_media_types(report: &mut Report, image: &Image) -> bool {
    let readers = consumers::reading(ModuleSource::Manifest);
    if is_docker(image) {
        let unknown = (1..)
            .zip(&image.layers)
            .find(|(_, layer)| !DOCKER_LAYERS.contains(&layer.media_type.as_str()));
        if let Some((number, layer)) = unknown {
            report.error(
                &readers,
                format!("layer {number}"),
                format!(
                    "its media type is {} in a Docker manifest",
                    excerpt(&layer.media_type)
                ),
                format!(
                    "use media types of one format for manifest and layers, here {DOCKER_GZIP_LAYER}"
                ),
            );
        }
        return unknown.is_none();
    }
    let is_known = image.config_media_type == CONFIG;
    if !is_known {
        report.error(
            &readers,
            "configuration",
            format!(
                "its media type is {} in an OCI manifest",
                excerpt(&image.config_media_type)
            ),
            format!("write {CONFIG}: podman, which Maistra uses, requires it"),
        );
    }
    is_known
}

fn unpack(report: &mut Report, image: &Image) -> Option<ContainerRoot> {
    let readers = consumers::reading(ModuleSource::Manifest);
    let error = match image.root() {
        Ok(root) => return Some(root),
        Err(error) => error,
    };
    let text = error.to_string();
    let (place, problem) = text.split_once(": ").unwrap_or(("image", &text));
    if matches!(error, Error::Limit(_)) {
        let remedy = "leave out what no proxy or mesh reads, or compress with gzip";
        report.not_checked(&readers, place, problem, remedy);
    } else {
        report.error(&readers, place, problem, REPACK_REMEDY);
    }
    None
}

/// The module that the manifest at the root names, and the paths of the files that Maistra reads.
pub fn module(report: &mut Report, root: &ContainerRoot) -> (Option<FoundModule>, Vec<String>) {
    let mut read = Vec::new();
    let module = module_path(report, root, &mut read).and_then(|path| {
        let content = file(
            report,
            root,
            &path,
            "Maistra reads the module there",
            &mut read,
        )?;
        let content = content.clone();
        Some(FoundModule { path, content })
    });
    (module, read)
}

fn module_path(
    report: &mut Report,
    root: &ContainerRoot,
    read: &mut Vec<String>,
) -> Option<String> {
    let path = manifest::FILE_NAME;
    let content = file(report, root, path, "Maistra reads it first", read)?;
    let Some(bytes) = content.bytes() else {
        report.not_checked(
            &consumers::reading(ModuleSource::Manifest),
            path,
            format!("it has {} bytes", content.length()),
            format!(
                "keep it below {} bytes: a manifest has only seven keys",
                manifest_file::MAX_LENGTH
            ),
        );
        return None;
    };
    manifest_file::check(report, path, bytes)
}

/// A file in the root file system. Reports a finding if there is none.
fn file<'a>(
    report: &mut Report,
    root: &'a ContainerRoot,
    path: &str,
    why: &str,
    read: &mut Vec<String>,
) -> Option<&'a FileContent> {
    let readers = consumers::reading(ModuleSource::Manifest);
    read.push(path.to_owned());
    let in_its_place = format!("put a file in its place: {why}");
    match find(root, path) {
        Some((resolved, Entry::File(content))) => {
            if resolved != path {
                report.warning(
                    path,
                    format!(
                        "it is a link to {}, which only Maistra follows",
                        excerpt(&resolved)
                    ),
                    "put the file in its place",
                );
            }
            read.push(resolved);
            return Some(content);
        }
        Some((_, Entry::Directory)) => {
            report.error(&readers, path, "is a directory", in_its_place);
        }
        Some(_) => report.error(
            &readers,
            path,
            "is a device, a pipe or a socket",
            in_its_place,
        ),
        None => match root.get(path) {
            Some(Entry::SymbolicLink { target }) => report.error(
                &readers,
                path,
                format!("is a link to {}, which is not a file", excerpt(target)),
                in_its_place,
            ),
            _ => report.error(&readers, path, "it is missing", format!("add it: {why}")),
        },
    }
    None
}
