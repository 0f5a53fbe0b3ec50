//! What Istio and Envoy Gateway read: the last layer, or the module of an artifact.

use proxy_wasm_image::read::{Compression, Entry, Image, Layer, LayerContent, Tar};
use proxy_wasm_image::{
    CNCF_WASM_LAYER, DOCKER_GZIP_LAYER, DOCKER_MANIFEST, DOCKER_TAR_LAYER, Error, GZIP_LAYER,
    ISTIO_MODULE, TAR_LAYER, WASM_CONFIG_LAYER, WASM_CONTENT_LAYER,
};

use crate::consumers::{self, ModuleSource};
use crate::image::found_module::FoundModule;
use crate::report::{Report, excerpt};

/// The remedy for a layer that cannot be unpacked.
pub const REPACK_REMEDY: &str =
    "package the files as a gzip-compressed tar, application/vnd.oci.image.layer.v1.tar+gzip";

/// Why a consumer does not find a module.
struct Rejection {
    place: String,
    problem: String,
    remedy: String,
    /// Whether this check reached a limit. If it did, the consumer may find the module.
    is_limit: bool,
}

impl Rejection {
    fn new(place: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            problem: problem.into(),
            remedy: remedy.into(),
            is_limit: false,
        }
    }
}

/// The module that Istio and Envoy Gateway read from an image.
pub fn find(report: &mut Report, image: &Image) -> Option<FoundModule> {
    let rejection = match of_container(report, image) {
        Ok(found) => return Some(found),
        Err(rejection) => rejection,
    };
    if !is_docker(image)
        && let Some(found) = of_artifact(report, image)
    {
        return Some(found);
    }
    let rejection = if is_artifact(image) {
        artifact_rejection(image)
    } else {
        rejection
    };
    reject(report, rejection);
    None
}

/// The module that they read from a layer of these files.
pub fn find_in(report: &mut Report, place: &str, files: &[(String, Entry)]) -> Option<FoundModule> {
    let paths = files.iter().map(|(path, entry)| (path.as_str(), entry));
    match first_plugin(report, place, paths) {
        Ok(Some(found)) => return Some(found),
        Ok(None) => reject(
            report,
            Rejection::new(
                ISTIO_MODULE,
                "it is missing",
                "add it: Istio and Envoy Gateway read the module there",
            ),
        ),
        Err(rejection) => reject(report, rejection),
    }
    None
}

/// Whether an image is an artifact: it has a module in place of a file system.
pub fn is_artifact(image: &Image) -> bool {
    let media_types = image.layers.iter().map(|layer| layer.media_type.as_str());
    media_types
        .chain([image.config_media_type.as_str()])
        .any(|media_type| {
            media_type.starts_with("application/vnd.module.wasm.") || media_type == CNCF_WASM_LAYER
        })
}

/// Whether it has a Docker manifest.
pub fn is_docker(image: &Image) -> bool {
    image.media_type.as_deref() == Some(DOCKER_MANIFEST)
}

fn reject(report: &mut Report, rejection: Rejection) {
    let readers = consumers::reading(ModuleSource::LastLayer);
    let Rejection {
        place,
        problem,
        remedy,
        is_limit,
    } = rejection;
    if is_limit {
        report.not_checked(&readers, place, problem, remedy);
    } else {
        report.error(&readers, place, problem, remedy);
    }
}

/// The module of a container image.
fn of_container(report: &mut Report, image: &Image) -> Result<FoundModule, Rejection> {
    let number = image.layers.len();
    let Some(layer) = image.layers.last() else {
        let remedy = format!("add one with {ISTIO_MODULE}");
        return Err(Rejection::new("image", "it has no layers", remedy));
    };
    let place = format!("layer {number}");
    media_type(report, image, layer, &place)?;
    let LayerContent::Tar(tar) = &layer.content else {
        return Err(Rejection::new(
            &place,
            "it is not a tar archive",
            REPACK_REMEDY,
        ));
    };
    in_tar(report, &place, tar, image)
}

/// Checks that the last layer has the media type that its kind of manifest requires.
fn media_type(
    report: &mut Report,
    image: &Image,
    layer: &Layer,
    place: &str,
) -> Result<(), Rejection> {
    let (manifest, expected, other) = if is_docker(image) {
        ("a Docker manifest", DOCKER_GZIP_LAYER, GZIP_LAYER)
    } else {
        ("an OCI manifest", GZIP_LAYER, DOCKER_GZIP_LAYER)
    };
    // If several layers have the same content, the type of the first one counts.
    let stated = image
        .layers
        .iter()
        .find(|other| other.digest == layer.digest)
        .map_or(layer.media_type.as_str(), |first| first.media_type.as_str());
    let is_plain = [TAR_LAYER, DOCKER_TAR_LAYER].contains(&stated);
    if image.is_saved && (is_plain || stated == expected) {
        if layer.compression != Compression::Gzip {
            report.warning(
                place,
                "it is not compressed, because docker save or podman save wrote it",
                "push it with podman, docker or skopeo, which compress it: Istio and Envoy Gateway \
                 require gzip for the last layer",
            );
        }
        return Ok(());
    }
    if stated != expected {
        let remedy = if stated == other {
            format!("use media types of one format for manifest and layers, here {expected}")
        } else if is_plain {
            format!(
                "compress it with gzip, as {expected}; podman, docker and skopeo do it when they push"
            )
        } else {
            format!("compress it with gzip, as {expected}: Istio and Envoy Gateway require it")
        };
        let problem = format!("its media type is {} in {manifest}", excerpt(stated));
        return Err(Rejection::new(place, problem, remedy));
    }
    if layer.compression != Compression::Gzip {
        return Err(Rejection::new(
            place,
            "its media type says gzip, but it is not compressed with gzip",
            REPACK_REMEDY,
        ));
    }
    Ok(())
}

fn in_tar(
    report: &mut Report,
    place: &str,
    tar: &Tar,
    image: &Image,
) -> Result<FoundModule, Rejection> {
    let paths = tar
        .entries
        .iter()
        .map(|item| (item.path.as_str(), &item.entry));
    if let Some(found) = first_plugin(report, place, paths)? {
        let end = tar.entries.iter().find(|item| item.path == found.path);
        let end = end.map_or(0, |item| item.end);
        let readers = consumers::reading(ModuleSource::LastLayer);
        let limits = readers.iter().filter_map(|reader| reader.max_module_length);
        return match limits.min() {
            Some(limit) if end > limit => Err(Rejection::new(
                place,
                format!("{} ends {end} bytes into the layer", excerpt(&found.path)),
                format!("put it before other files: at most {limit} bytes are read"),
            )),
            _ => Ok(found),
        };
    }
    match &tar.problem {
        Some(Error::Limit(problem)) => Err(Rejection {
            is_limit: true,
            ..Rejection::new(place, problem, "put the module into a small last layer")
        }),
        Some(problem) => Err(Rejection::new(place, problem.to_string(), REPACK_REMEDY)),
        None => {
            let has_plugin = |layer: &Layer| {
                let tar = layer.tar();
                tar.is_some_and(|tar| tar.entries.iter().any(|item| is_plugin(&item.path)))
            };
            let below = (1..)
                .zip(&image.layers)
                .find(|(_, layer)| has_plugin(layer));
            let remedy = match below {
                Some((number, _)) => format!(
                    "add the module to the last layer, too: layer {number} has it, but Istio and \
                     Envoy Gateway read only the last one"
                ),
                None => {
                    "add the module under this name to the last layer, the only one that Istio \
                         and Envoy Gateway read"
                        .to_owned()
                }
            };
            let problem = format!("the last layer has no {ISTIO_MODULE}");
            Err(Rejection::new(place, problem, remedy))
        }
    }
}

fn is_plugin(path: &str) -> bool {
    path.rsplit('/').next() == Some(ISTIO_MODULE)
}

/// The first entry with the file name `plugin.wasm`, in any directory.
fn first_plugin<'a>(
    report: &mut Report,
    place: &str,
    mut entries: impl Iterator<Item = (&'a str, &'a Entry)>,
) -> Result<Option<FoundModule>, Rejection> {
    let Some((path, entry)) = entries.find(|(path, _)| is_plugin(path)) else {
        return Ok(None);
    };
    if path != ISTIO_MODULE {
        report.warning(
            place,
            format!(
                "Istio and Envoy Gateway read {}, the first file of this name",
                excerpt(path)
            ),
            format!("put {ISTIO_MODULE} at the root, and no other file of this name before it"),
        );
    }
    let what = match entry {
        Entry::File(content) | Entry::Unusual(content) => {
            return Ok(Some(FoundModule {
                path: path.to_owned(),
                content: content.clone(),
            }));
        }
        Entry::Directory => "is a directory".to_owned(),
        Entry::SymbolicLink { target } => format!("is a link to {}", excerpt(target)),
        Entry::HardLink { target } => format!("is a hard link to {}", excerpt(target)),
        Entry::Special => "is a device, a pipe or a socket".to_owned(),
    };
    Err(Rejection::new(
        path,
        what,
        "put a file in its place: Istio and Envoy Gateway read the module there, and do not follow links",
    ))
}

/// The module of an artifact, which has two layers: the first one with the right media type.
fn of_artifact(report: &mut Report, image: &Image) -> Option<FoundModule> {
    if image.layers.len() != 2 {
        return None;
    }
    let mut layers = (1..).zip(&image.layers);
    let (module, content) = layers.find_map(|(number, layer)| match &layer.content {
        LayerContent::Bytes(content) if layer.media_type == WASM_CONTENT_LAYER => {
            Some((number, content))
        }
        _ => None,
    })?;
    for (number, layer) in (1..).zip(&image.layers) {
        let place = format!("layer {number}");
        match &layer.content {
            _ if number == module => {}
            LayerContent::Bytes(content) if layer.media_type == WASM_CONFIG_LAYER => {
                configuration(report, &place, content.bytes().unwrap_or_default());
            }
            _ => report.warning(
                place,
                format!(
                    "its media type is {}, and no proxy or mesh reads it",
                    excerpt(&layer.media_type)
                ),
                format!("replace it with a layer {WASM_CONFIG_LAYER}"),
            ),
        }
    }
    Some(FoundModule {
        path: format!("layer {module}"),
        content: content.clone(),
    })
}

/// Why an artifact is not read.
fn artifact_rejection(image: &Image) -> Rejection {
    let of_type = |media_type: &str| {
        let layers = image.layers.iter();
        layers
            .filter(|layer| layer.media_type == media_type)
            .count()
    };
    let modules = of_type(WASM_CONTENT_LAYER);
    let count = image.layers.len();
    if is_docker(image) && modules > 0 && count == 2 {
        return Rejection::new(
            "image",
            "it is an artifact with a Docker manifest",
            "give the manifest the media type application/vnd.oci.image.manifest.v1+json",
        );
    }
    if of_type(CNCF_WASM_LAYER) > 0 {
        return Rejection::new(
            "image",
            format!("it is an artifact with a module of type {CNCF_WASM_LAYER}"),
            format!(
                "package the module as {WASM_CONTENT_LAYER}, or as {ISTIO_MODULE} in a container \
                 image"
            ),
        );
    }
    Rejection::new(
        "image",
        format!("it is an artifact with {count} layers, {modules} of them modules"),
        format!("write two layers, {WASM_CONFIG_LAYER} and {WASM_CONTENT_LAYER}"),
    )
}

/// Checks the configuration of an artifact: the type, the ABI versions, and the root IDs. Consumers
/// ignore it.
fn configuration(report: &mut Report, place: &str, bytes: &[u8]) {
    let strings = |value: &serde_json::Value| {
        value
            .as_array()
            .is_some_and(|list| list.iter().all(serde_json::Value::is_string))
    };
    let right = serde_json::from_slice::<serde_json::Value>(bytes).is_ok_and(|json| {
        json["type"] == "envoy_proxy"
            && strings(&json["abiVersions"])
            && strings(&json["config"]["rootIds"])
    });
    if !right {
        report.warning(
            place,
            "it is not a configuration of the Wasm image specification",
            "write {\"type\": \"envoy_proxy\", \"abiVersions\": [\"v0.2.1\"], \"config\": \
             {\"rootIds\": [\"…\"]}}",
        );
    }
}
