//! The container format: an image written without a container engine, and images read as whoever
//! made them left them.

pub mod read;
mod write;

pub use write::{Annotations, Blob, Package, Written};

/// The *oci* variant's configuration layer (Wasm image specification).
pub const WASM_CONFIG_LAYER: &str = "application/vnd.module.wasm.config.v1+json";

/// The *oci* variant's module layer (Wasm image specification).
pub const WASM_CONTENT_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";
