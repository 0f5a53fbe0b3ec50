//! OCI annotations of an image (OCI image specification, "Pre-Defined Annotation Keys").

use std::collections::BTreeMap;

use crate::manifest::Manifest;

/// Annotations of an image's manifest, by name.
pub type Annotations = BTreeMap<String, String>;

/// The annotation that tells Istio that an image is a container image with the module in a layer.
pub const VARIANT: &str = "module.wasm.image/variant";

/// The annotations that a manifest provides: title, version and description, each if the manifest
/// has it, and Istio's variant.
pub fn annotations(manifest: &Manifest) -> Annotations {
    [
        ("title", &manifest.name),
        ("version", &manifest.version),
        ("description", &manifest.description),
    ]
    .into_iter()
    .filter_map(|(key, value)| {
        let value = value.clone()?;
        Some((format!("org.opencontainers.image.{key}"), value))
    })
    .chain([(VARIANT.to_owned(), "compat".to_owned())])
    .collect()
}
