#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod annotations;
mod archive;
mod blob;
#[cfg(feature = "push")]
pub mod credentials;
mod document;
mod engine;
mod error;
pub mod manifest;
mod media_types;
mod package;
#[cfg(feature = "push")]
mod push;
pub mod read;
mod reference;
mod tar_writer;

pub use annotations::{Annotations, VARIANT};
pub use blob::{Blob, sha256};
pub use engine::{Engine, StoredImage};
pub use error::{Error, Result};
pub use media_types::{
    CNCF_WASM_LAYER, CONFIG, DOCKER_GZIP_LAYER, DOCKER_MANIFEST, DOCKER_TAR_LAYER, GZIP_LAYER,
    ISTIO_MODULE, TAR_LAYER, WASM_CONFIG_LAYER, WASM_CONTENT_LAYER,
};
pub use package::{Package, WasmConfig};
#[cfg(feature = "push")]
pub use push::{PushEvent, push};
pub use reference::{ImageReference, is_repository_component, is_tag};
