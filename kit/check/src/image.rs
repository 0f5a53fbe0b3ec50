//! The rules for images: what each consumer reads.

mod container;
mod found_module;
mod last_layer;

use proxy_wasm_image::ISTIO_MODULE;
use proxy_wasm_image::manifest;
use proxy_wasm_image::read::{ContainerRoot, Entries, Image};

use crate::consumers::{self, Consumers, ModuleSource};
use crate::image::found_module::FoundModule;
use crate::report::{Report, excerpt};

/// The maximum number of unknown files that are listed.
const MAX_COUNT: usize = 10;

/// Checks an image.
pub fn image(report: &mut Report, image: &Image) {
    siblings(report, image);
    let is_artifact = last_layer::is_artifact(image);
    let count = image.layers.len();
    if count > 1 && !is_artifact {
        report.warning(
            "image",
            format!("it has {count} layers"),
            "put the files into one: Istio and Envoy Gateway read only the last layer",
        );
    }
    let root = container::root(report, image);
    let plugin = last_layer::find(report, image);
    files(report, root, plugin);
}

/// Checks a directory with the files of an image's root, as if they were its only layer.
pub fn directory(report: &mut Report, entries: &Entries) {
    let plugin = last_layer::find_in(report, ISTIO_MODULE, entries);
    files(report, Some(entries.iter().cloned().collect()), plugin);
}

/// Reports other images and attestations in the same index.
fn siblings(report: &mut Report, image: &Image) {
    if image.other_images > 0 {
        report.warning(
            "index.json",
            format!("other images in the same layout or index: {}", image.other_images),
            "keep one image: a module runs on every platform, and each mesh selects by its own rule",
        );
    }
    if image.attestations > 0 {
        report.warning(
            "index.json",
            "the image is in an index, because it has an attestation",
            "build with BUILDX_NO_DEFAULT_ATTESTATIONS=1: an image without an index is read on \
             every machine",
        );
    }
}

/// Checks the modules that consumers read. `root` is the root file system of a container, if podman
/// creates one.
fn files(report: &mut Report, root: Option<ContainerRoot>, plugin: Option<FoundModule>) {
    let with_manifest = consumers::reading(ModuleSource::Manifest);
    let from_last_layer = consumers::reading(ModuleSource::LastLayer);
    let from_file = consumers::reading(ModuleSource::File);
    // Envoy reads the module that the manifest names, if there are two.
    let of_module = [with_manifest, from_file.clone()].concat();
    let (module, mut read) = match &root {
        Some(root) => container::module(report, root),
        None => (None, Vec::new()),
    };
    match (&module, &plugin) {
        (Some(module), Some(plugin)) if module.content == plugin.content => {
            let oldest = module.check(report, &consumers::all());
            report.read(&of_module, &module.path, oldest);
            report.read(&from_last_layer, &plugin.path, oldest);
        }
        (Some(module), Some(plugin)) => {
            report.warning(
                &plugin.path,
                format!("it is not the same module as {}", module.path),
                format!(
                    "make both the same: Maistra runs {}, and Istio and Envoy Gateway run {}",
                    module.path, plugin.path
                ),
            );
            check_module(report, of_module, module);
            // Both modules have findings. The report has the facts of the first one.
            let facts = report.module.take();
            check_module(report, from_last_layer, plugin);
            report.module = facts.or(report.module.take());
        }
        (Some(module), None) => check_module(report, of_module, module),
        (None, Some(plugin)) => check_module(report, [from_last_layer, from_file].concat(), plugin),
        (None, None) => {}
    }
    if let Some(root) = &root {
        read.extend([manifest::FILE_NAME, ISTIO_MODULE].map(str::to_owned));
        read.extend(plugin.map(|plugin| plugin.path));
        unknown_files(report, root, &read, module.is_some());
    }
}

fn check_module(report: &mut Report, readers: Consumers, module: &FoundModule) {
    let oldest = module.check(report, &readers);
    report.read(&readers, &module.path, oldest);
}

/// Warns of files that no consumer reads. Without a manifest, the module's name is not known, so
/// modules are not reported.
fn unknown_files(report: &mut Report, root: &ContainerRoot, read: &[String], knows_module: bool) {
    let is_read = |path: &str| {
        let directory = format!("{path}/");
        read.iter()
            .any(|read| read == path || read.starts_with(&directory))
    };
    let may_be_the_module = |path: &str| !knows_module && path.ends_with(".wasm");
    let others: Vec<_> = root
        .keys()
        .filter(|path| !path.is_empty() && !is_read(path) && !may_be_the_module(path))
        .collect();
    for path in others.iter().take(MAX_COUNT) {
        report.warning(
            excerpt(path),
            "no proxy or mesh reads it",
            "leave it out of the image",
        );
    }
    if others.len() > MAX_COUNT {
        report.warning(
            "image",
            format!(
                "{} more files that no proxy or mesh reads",
                others.len() - MAX_COUNT
            ),
            "leave them out of the image",
        );
    }
}
