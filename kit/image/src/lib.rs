//! Container images of Proxy-Wasm extensions: written, read, built by engines, and pushed.

#![warn(missing_docs)]

mod annotations;
#[cfg(feature = "push")]
pub mod credentials;
mod engine;
pub mod manifest;
mod media_types;
#[cfg(feature = "push")]
mod push;
pub mod read;
mod reference;
mod write;

pub use annotations::{Annotations, VARIANT, annotations};
pub use engine::{Engine, Stored};
pub use media_types::{ISTIO_MODULE, WASM_CONFIG_LAYER, WASM_CONTENT_LAYER};
#[cfg(feature = "push")]
pub use push::push;
pub use reference::{Target, is_local};
pub use write::{Blob, Package, Written};
