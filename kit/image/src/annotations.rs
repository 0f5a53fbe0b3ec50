//! The OCI annotations of an image (OCI image specification, "Pre-Defined Annotation Keys").

use std::collections::BTreeMap;

/// The annotations of an image manifest, by key.
pub type Annotations = BTreeMap<String, String>;

/// The annotation for the variant of the Wasm image specification. `compat` is a container image
/// with the module in a layer.
pub const VARIANT: &str = "module.wasm.image/variant";
