//! The rules for an image: what each consumer reads from it.

use std::collections::BTreeMap;

use proxy_wasm_image::manifest;
use proxy_wasm_image::read::{Content, Entries, Entry, Image, Layer};
use proxy_wasm_image::{
    DOCKER_GZIP_LAYER, DOCKER_MANIFEST, GZIP_LAYER, ISTIO_MODULE, WASM_CONFIG_LAYER,
    WASM_CONTENT_LAYER,
};

use crate::consumers::{self, Consumer, Reads};
use crate::report::{Report, excerpt};
use crate::{manifest_file, module_file};

/// The most unknown files that are listed.
const MAX_COUNT: usize = 10;

/// The layer of an artifact in the format of the CNCF, which no known mesh reads.
const CNCF_WASM_LAYER: &str = "application/wasm";

/// A module in an image: its path, and its bytes.
#[derive(Clone, Copy)]
struct Found<'a> {
    path: &'a str,
    bytes: &'a [u8],
}

/// Checks an image.
pub fn image(report: &mut Report, image: &Image) {
    siblings(report, image);
    let is_wasm = |layer: &Layer| {
        let media_type = layer.media_type.as_str();
        media_type.starts_with("application/vnd.module.wasm.") || media_type == CNCF_WASM_LAYER
    };
    if image.layers.iter().any(is_wasm) {
        artifact(report, image);
        return;
    }
    let count = image.layers.len();
    if count > 1 {
        report.warning(
            "image",
            format!("it has {count} layers"),
            "put the files into one: Istio and Envoy Gateway read only the last layer",
        );
    }
    for (number, layer) in (1..).zip(&image.layers) {
        unpackable(report, number, layer, number == count);
    }
    let plugin = last_layer(report, image);
    files(report, &image.root(), plugin);
}

/// Checks a directory with the files of an image's root: they become the only layer.
pub fn directory(report: &mut Report, entries: &Entries) {
    let root = entries.iter().cloned().collect();
    let plugin = first_plugin(report, ISTIO_MODULE, entries);
    files(report, &root, plugin);
}

/// What stands beside the image in its index.
fn siblings(report: &mut Report, image: &Image) {
    if image.other_images > 0 {
        report.warning(
            "index.json",
            format!("{} more images stand beside this one", image.other_images),
            "keep one: a module runs on every machine, and each consumer picks by its own rule",
        );
    }
    if image.attestations > 0 {
        report.warning(
            "index.json",
            "an attestation stands beside the image, so that the image needs an index",
            "build with BUILDX_NO_DEFAULT_ATTESTATIONS=1: an image without an index is read on \
             every machine",
        );
    }
}

/// Maistra's podman unpacks every layer, Istio and Envoy Gateway the last one.
fn unpackable(report: &mut Report, number: usize, layer: &Layer, is_last: bool) {
    let (readers, problem) = match &layer.content {
        Content::Tar(_) => return,
        Content::Unreadable(problem) if is_last => (consumers::meshes(), problem.clone()),
        Content::Unreadable(problem) => (consumers::that_read(Reads::Manifest), problem.clone()),
        Content::Bytes(_) => (
            consumers::that_read(Reads::Manifest),
            format!(
                "its media type is {}, which this check does not unpack",
                excerpt(&layer.media_type)
            ),
        ),
    };
    report.error(
        &readers,
        format!("layer {number}"),
        problem,
        format!("pack the files as a tar with gzip, {GZIP_LAYER}"),
    );
}

/// What Istio and Envoy Gateway read from the last layer.
fn last_layer<'a>(report: &mut Report, image: &'a Image) -> Option<Found<'a>> {
    let readers = consumers::that_read(Reads::LastLayer);
    let count = image.layers.len();
    let Some(layer) = image.layers.last() else {
        report.error(
            &consumers::meshes(),
            "image",
            "it has no layers",
            format!("add one with {ISTIO_MODULE}"),
        );
        return None;
    };
    let place = format!("layer {count}");
    let (manifest, expected) = if image.media_type.as_deref() == Some(DOCKER_MANIFEST) {
        ("a manifest of Docker's", DOCKER_GZIP_LAYER)
    } else {
        ("an OCI manifest", GZIP_LAYER)
    };
    if layer.media_type != expected {
        report.error(
            &readers,
            place,
            format!(
                "its media type is {} in {manifest}",
                excerpt(&layer.media_type)
            ),
            format!(
                "compress it with gzip, as {expected}: Istio and Envoy Gateway read no other last \
                 layer there (a push with docker or podman does it)"
            ),
        );
        return None;
    }
    match &layer.content {
        Content::Tar(entries) => first_plugin(report, &place, entries),
        Content::Unreadable(_) | Content::Bytes(_) => None,
    }
}

/// Istio and Envoy Gateway read the first entry with the right base name, in any directory.
fn first_plugin<'a>(report: &mut Report, place: &str, entries: &'a Entries) -> Option<Found<'a>> {
    let readers = consumers::that_read(Reads::LastLayer);
    let found = entries
        .iter()
        .find(|(path, _)| path.rsplit('/').next() == Some(ISTIO_MODULE));
    let Some((path, entry)) = found else {
        if place == ISTIO_MODULE {
            report.error(
                &readers,
                place,
                "it is missing",
                "add it: Istio and Envoy Gateway read the module there",
            );
        } else {
            report.error(
                &readers,
                place,
                format!("the last layer holds no {ISTIO_MODULE}"),
                "add the module under this name to the last layer, the only one that Istio and \
                 Envoy Gateway read",
            );
        }
        return None;
    };
    if path != ISTIO_MODULE {
        report.warning(
            place,
            format!(
                "Istio and Envoy Gateway read {}, the first of this name",
                excerpt(path)
            ),
            format!("put {ISTIO_MODULE} at the root, and no other file of this name before it"),
        );
    }
    match entry {
        Entry::File(bytes) => Some(Found { path, bytes }),
        entry => {
            report.error(
                &readers,
                path,
                not_a_file(entry).unwrap_or_default(),
                "put a file in its place: Istio and Envoy Gateway read the module there, and \
                 follow no link",
            );
            None
        }
    }
}

/// Checks the files at the root of a container that is made from the image, and the module that
/// Istio and Envoy Gateway read.
fn files(report: &mut Report, root: &BTreeMap<String, Entry>, plugin: Option<Found>) {
    let with_manifest = consumers::that_read(Reads::Manifest);
    let from_last_layer = consumers::that_read(Reads::LastLayer);
    let from_file = consumers::that_read(Reads::File);
    let module_path = checked_manifest(report, root);
    let module = module_path.as_deref().and_then(|path| {
        let why = "Maistra reads the module there";
        let bytes = file(report, &with_manifest, root, path, why)?;
        Some(Found { path, bytes })
    });
    match (module, plugin) {
        (Some(module), Some(plugin)) if module.bytes == plugin.bytes => {
            let oldest = module_file::check(report, &consumers::all(), module.path, module.bytes);
            let rest = [with_manifest, from_file].concat();
            report.read(&rest, module.path, oldest);
            report.read(&from_last_layer, plugin.path, oldest);
        }
        (Some(module), Some(plugin)) => {
            report.warning(
                plugin.path,
                format!("it is not the same module as {}", module.path),
                "make both the same: Maistra runs the one, and Istio and Envoy Gateway the other",
            );
            check_module(report, [with_manifest, from_file].concat(), module);
            // The findings are of both modules, the facts of the first.
            let facts = report.module.take();
            check_module(report, from_last_layer, plugin);
            report.module = facts.or(report.module.take());
        }
        (Some(module), None) => {
            check_module(report, [with_manifest, from_file].concat(), module);
        }
        (None, Some(plugin)) => {
            check_module(report, [from_last_layer, from_file].concat(), plugin);
        }
        (None, None) => {}
    }
    let plugin_path = plugin.map_or(ISTIO_MODULE, |plugin| plugin.path);
    unknown_files(report, root, module_path.as_deref(), plugin_path);
}

fn check_module(report: &mut Report, readers: Vec<&'static Consumer>, module: Found) {
    let oldest = module_file::check(report, &readers, module.path, module.bytes);
    report.read(&readers, module.path, oldest);
}

fn checked_manifest(report: &mut Report, root: &BTreeMap<String, Entry>) -> Option<String> {
    let readers = consumers::that_read(Reads::Manifest);
    let bytes = file(
        report,
        &readers,
        root,
        manifest::FILE_NAME,
        "Maistra reads it first",
    )?;
    if bytes.len() as u64 > manifest_file::MAX_LENGTH {
        report.error(
            &readers,
            manifest::FILE_NAME,
            format!("{} bytes", bytes.len()),
            format!(
                "keep it below {}: it has seven lines",
                manifest_file::MAX_LENGTH
            ),
        );
        return None;
    }
    manifest_file::check(report, manifest::FILE_NAME, bytes)
}

/// A file at the root, or a finding.
fn file<'a>(
    report: &mut Report,
    readers: &[&'static Consumer],
    root: &'a BTreeMap<String, Entry>,
    path: &str,
    why: &str,
) -> Option<&'a [u8]> {
    match root.get(path) {
        Some(Entry::File(bytes)) => return Some(bytes),
        Some(entry) => report.error(
            readers,
            path,
            not_a_file(entry).unwrap_or_default(),
            format!("put a file in its place: {why}, and follows no link"),
        ),
        None => report.error(readers, path, "it is missing", format!("add it: {why}")),
    }
    None
}

fn unknown_files(
    report: &mut Report,
    root: &BTreeMap<String, Entry>,
    module: Option<&str>,
    plugin: &str,
) {
    let expected = |path: &str| {
        let directory = format!("{path}/");
        [manifest::FILE_NAME, ISTIO_MODULE, plugin].contains(&path)
            || plugin.starts_with(&directory)
            || module.is_some_and(|module| module == path || module.starts_with(&directory))
    };
    // Without a manifest, the module's name is unknown, so any module may be the one.
    let excused = |path: &str| module.is_none() && path.ends_with(".wasm");
    let others: Vec<_> = root
        .keys()
        .filter(|path| !path.is_empty() && !expected(path) && !excused(path))
        .collect();
    for path in others.iter().take(MAX_COUNT) {
        report.warning(
            excerpt(path),
            "no consumer reads it",
            "leave it out of the image",
        );
    }
    if others.len() > MAX_COUNT {
        report.warning(
            "image",
            format!(
                "{} more files that no consumer reads",
                others.len() - MAX_COUNT
            ),
            "leave them out of the image",
        );
    }
}

/// Checks an artifact, which has no root: of two layers one is the bare module.
fn artifact(report: &mut Report, image: &Image) {
    let readers = consumers::that_read(Reads::LastLayer);
    report.error(
        &consumers::that_read(Reads::Manifest),
        "image",
        "it is of the oci variant, which Maistra does not read",
        "package it without --variant oci to serve Maistra, too",
    );
    // A container image in the last layer is tried first.
    if let Some(layer) = image.layers.last()
        && layer.media_type == GZIP_LAYER
        && let Some(entries) = layer.entries()
    {
        let place = format!("layer {}", image.layers.len());
        if let Some(found) = first_plugin(report, &place, entries) {
            let readers = [readers, consumers::that_read(Reads::File)].concat();
            check_module(report, readers, found);
        }
        return;
    }
    let is_docker = image.media_type.as_deref() == Some(DOCKER_MANIFEST);
    let mut module = None;
    let mut modules = 0;
    let mut configurations = 0;
    for (number, layer) in (1..).zip(&image.layers) {
        let place = format!("layer {number}");
        match (&layer.content, layer.media_type.as_str()) {
            (Content::Bytes(bytes), WASM_CONTENT_LAYER) => {
                modules += 1;
                module = Some((place, bytes));
            }
            (Content::Bytes(bytes), WASM_CONFIG_LAYER) => {
                configurations += 1;
                configuration(report, &place, bytes);
            }
            (_, media_type) => report.warning(
                place,
                format!("its media type is {}", excerpt(media_type)),
                format!("the oci variant has {WASM_CONFIG_LAYER} and {WASM_CONTENT_LAYER}"),
            ),
        }
    }
    if image.layers.len() != 2 || modules != 1 {
        report.error(
            &readers,
            "image",
            format!("it has {configurations} configurations and {modules} modules"),
            format!(
                "the oci variant has one of each, in two layers, {WASM_CONFIG_LAYER} and \
                 {WASM_CONTENT_LAYER}"
            ),
        );
    } else if is_docker {
        report.error(
            &readers,
            "image",
            "it is an artifact with a manifest of Docker's",
            "give the manifest the media type application/vnd.oci.image.manifest.v1+json",
        );
    }
    if let Some((path, bytes)) = &module {
        let readers = [readers, consumers::that_read(Reads::File)].concat();
        check_module(report, readers, Found { path, bytes });
    }
}

/// The configuration of the *oci* variant: the type, the ABI versions, and the root ids. Consumers
/// do not look at it.
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

/// Why an entry of an image cannot be read as a file.
fn not_a_file(entry: &Entry) -> Option<String> {
    match entry {
        Entry::File(_) => None,
        Entry::Directory => Some("is a directory".to_owned()),
        Entry::Link { target } => Some(format!("is a link to {target:?}")),
        Entry::Special => Some("is a device, a pipe, a socket or a sparse file".to_owned()),
    }
}
