//! Names that the formats fix.

/// The name under which Istio and Envoy Gateway look for the module.
pub const ISTIO_MODULE: &str = "plugin.wasm";

/// The *oci* variant's configuration layer (Wasm image specification).
pub const WASM_CONFIG_LAYER: &str = "application/vnd.module.wasm.config.v1+json";

/// The *oci* variant's module layer (Wasm image specification).
pub const WASM_CONTENT_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
