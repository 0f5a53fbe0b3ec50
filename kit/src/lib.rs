//! The workshop of a proxy extension.
//!
//! - [`manifest`]: the `manifest.yaml` format that Maistra reads;
//! - [`project`]: the Cargo package that holds the extension, and its build;
//! - [`shrink`]: making a module pay for what it uses alone;
//! - [`strip`]: taking out of a module what only people read;
//! - [`testing`]: what an extension's tests begin with;
//! - [`toolchain`]: a Rust toolchain that compiles to WebAssembly, found or brought here;
//! - [`image`]: the container format, written without a container engine;
//! - [`engine`]: podman, buildah and docker;
//! - [`proxy`]: an embedded Proxy-Wasm host, for tests in milliseconds;
//! - [`envoy`]: a real Envoy: find it, configure it, start it, stop it;
//! - [`http`]: a client that shows the header lines as they are on the wire.
//!
//! The kit knows nothing of the extension that it is used on but what it is told.

pub mod engine;
pub mod envoy;
pub mod http;
pub mod image;
pub mod manifest;
pub mod project;
pub mod proxy;
pub mod shrink;
pub mod strip;
pub mod testing;
pub mod toolchain;
