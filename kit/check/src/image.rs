//! The rules for an image: what each consumer reads from it.

use std::collections::BTreeMap;

use proxy_wasm_image::manifest::{self, Manifest};
use proxy_wasm_image::read::{Content, Entries, Entry, Image};
use proxy_wasm_image::{ISTIO_MODULE, WASM_CONFIG_LAYER, WASM_CONTENT_LAYER};

use crate::report::{Reading, Report, excerpt};
use crate::{manifest_file, module_file};

/// The most unknown files that are listed.
const MAX_COUNT: usize = 10;

/// Checks an image.
pub fn image(report: &mut Report, image: &Image) {
    if image.other_images > 0 {
        report.warning(
            "index.json",
            format!("{} more images stand beside this one", image.other_images),
            "keep one: a module runs on every machine, and each consumer picks by its own rule",
        );
    }
    let wasm = image
        .layers
        .iter()
        .any(|layer| layer.media_type.starts_with("application/vnd.module.wasm."));
    if wasm {
        artifact(report, image);
        return;
    }
    let count = image.layers.len();
    if count != 1 {
        report.warning(
            "image",
            format!("it has {count} layers"),
            "put the files into one: Istio reads only the last layer",
        );
    }
    for (number, layer) in (1..).zip(&image.layers) {
        if !layer.is_gzip() {
            report.error(
                format!("layer {number}"),
                format!("its media type is {}", excerpt(&layer.media_type)),
                "compress it with gzip, as application/vnd.oci.image.layer.v1.tar+gzip: Istio \
                 reads no other",
            );
        }
    }
    root(report, &image.root());
    // In a directory, Istio's module is found by its path. In an image, only the last layer counts.
    report.reads.retain(|reading| reading.consumer != "Istio");
    if let Some(last) = image.layers.last()
        && let Some(entries) = last.entries()
    {
        istio(report, &format!("layer {count}"), entries);
    }
}

/// Istio reads the first entry of the last layer with the right base name, in any directory.
fn istio(report: &mut Report, place: &str, entries: &Entries) {
    let found = entries
        .iter()
        .find(|(path, _)| path.rsplit('/').next() == Some(ISTIO_MODULE));
    let Some((path, entry)) = found else {
        report.error(
            place,
            format!("the last layer holds no {ISTIO_MODULE}"),
            "add the module under this name to the last layer, the only one Istio reads",
        );
        return;
    };
    if path != ISTIO_MODULE {
        report.warning(
            place,
            format!("Istio reads {}, the first of this name", excerpt(path)),
            format!("put {ISTIO_MODULE} at the root, and no other file of this name before it"),
        );
    }
    if let Entry::File(bytes) = entry {
        report.reads.push(Reading::new("Istio", path, bytes));
    }
}

/// Checks the files at the root of a container that is made from the image.
pub fn root(report: &mut Report, root: &BTreeMap<String, Entry>) {
    let manifest = checked_manifest(report, root);
    let module_path = manifest.as_ref().map(|manifest| manifest.module.as_str());
    let module = module_path.and_then(|path| {
        let bytes = file(report, root, path, "Maistra reads the module there")?;
        report.reads.push(Reading::new("Maistra", path, bytes));
        Some(bytes)
    });
    let plugin = file(report, root, ISTIO_MODULE, "Istio reads the module there");
    if let Some(bytes) = plugin {
        report
            .reads
            .push(Reading::new("Istio", ISTIO_MODULE, bytes));
    }
    if let (Some(path), Some(bytes)) = (module_path, module) {
        module_file::check(report, path, bytes);
    }
    match (module, plugin) {
        (Some(module), Some(plugin)) if module != plugin => {
            report.error(
                ISTIO_MODULE,
                format!(
                    "it is not the same module as {}",
                    module_path.unwrap_or_default()
                ),
                "make both the same: Maistra runs the one, and Istio the other",
            );
            // The findings are of both modules, the facts of the first.
            let facts = report.module.take();
            module_file::check(report, ISTIO_MODULE, plugin);
            report.module = facts;
        }
        (None, Some(plugin)) => module_file::check(report, ISTIO_MODULE, plugin),
        _ => {}
    }
    unknown_files(report, root, module_path);
}

fn checked_manifest(report: &mut Report, root: &BTreeMap<String, Entry>) -> Option<Manifest> {
    let bytes = file(report, root, manifest::FILE_NAME, "Maistra reads it first")?;
    if bytes.len() as u64 > manifest_file::MAX_LENGTH {
        report.error(
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
    root: &'a BTreeMap<String, Entry>,
    path: &str,
    why: &str,
) -> Option<&'a [u8]> {
    match root.get(path) {
        Some(Entry::File(bytes)) => return Some(bytes),
        Some(entry) => report.error(
            path,
            not_a_file(entry).unwrap_or_default(),
            format!("put a file in its place: {why}, and follows no link"),
        ),
        None => report.error(path, "it is missing", format!("add it: {why}")),
    }
    None
}

fn unknown_files(report: &mut Report, root: &BTreeMap<String, Entry>, module: Option<&str>) {
    let expected = |path: &str| {
        let directory = format!("{path}/");
        [manifest::FILE_NAME, ISTIO_MODULE].contains(&path)
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

/// Checks an image of the *oci* variant, which has no root: a configuration, and a bare module.
fn artifact(report: &mut Report, image: &Image) {
    let mut modules = 0;
    let mut configurations = 0;
    for (number, layer) in (1..).zip(&image.layers) {
        let place = format!("layer {number}");
        match (&layer.content, layer.media_type.as_str()) {
            (Content::Bytes(bytes), WASM_CONTENT_LAYER) => {
                modules += 1;
                report.reads.push(Reading::new("Istio", &place, bytes));
                module_file::check(report, &place, bytes);
            }
            (Content::Bytes(bytes), WASM_CONFIG_LAYER) => {
                configurations += 1;
                configuration(report, &place, bytes);
            }
            (_, media_type) => report.error(
                place,
                format!("its media type is {}", excerpt(media_type)),
                format!("the oci variant has {WASM_CONFIG_LAYER} and {WASM_CONTENT_LAYER}"),
            ),
        }
    }
    if modules != 1 || configurations != 1 {
        report.error(
            "image",
            format!("it has {configurations} configurations and {modules} modules"),
            "the oci variant has one of each, in two layers",
        );
    }
    report.warning(
        "image",
        "it is of the oci variant, which Maistra does not read",
        "package it without --variant oci to serve Maistra, too",
    );
}

/// The configuration of the *oci* variant: the type, the ABI versions, and the root ids.
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
        report.error(
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
