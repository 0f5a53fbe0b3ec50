//! OCI annotations of an image (OCI image specification, "Pre-Defined Annotation Keys").

use std::collections::BTreeMap;

/// Annotations of an image's manifest, by name.
pub type Annotations = BTreeMap<String, String>;

/// The annotation that tells Istio that an image is a container image with the module in a layer.
pub const VARIANT: &str = "module.wasm.image/variant";
