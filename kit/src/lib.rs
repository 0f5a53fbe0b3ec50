//! The workshop of a proxy extension.
//!
//! - [`mod@bench`]: what an extension costs a proxy;
//! - [`check`]: everything that would go wrong in a mesh, before the mesh says it;
//! - [`manifest`]: the `manifest.yaml` format that Maistra reads;
//! - [`module`]: the facts of a module: ABI, exports, imports, what it needs;
//! - [`project`]: the Cargo package that holds the extension, and its build;
//! - [`shrink`]: making a module pay for what it uses alone;
//! - [`strip`]: taking out of a module what only people read;
//! - [`testing`]: what an extension's tests begin with;
//! - [`toolchain`]: a Rust toolchain that compiles to WebAssembly, found or brought here;
//! - [`image`]: the container format: images written without a container engine, and images read;
//! - [`staged`]: what is ready to be packaged;
//! - [`provenance`]: what an image says of itself;
//! - [`registry`]: images pushed without a container engine;
//! - [`engine`]: podman, buildah and docker;
//! - [`mod@rename`]: a project given a name of its own;
//! - [`proxy`]: an embedded Proxy-Wasm host, for tests in milliseconds;
//! - [`deploy`]: a mesh told to use the extension;
//! - [`envoy`]: a real Envoy: find it, configure it, start it, stop it;
//! - [`mod@run`]: the extension running while it is written;
//! - [`http`]: a client that shows the header lines as they are on the wire;
//! - `upstream`: a service behind a proxy, for tests and for [`run`](mod@run).
//!
//! The kit knows nothing of the extension that it is used on but what it is told.

#![warn(missing_docs)]

pub mod bench;
pub mod check;
pub mod deploy;
pub mod engine;
pub mod envoy;
pub mod http;
pub mod image;
pub mod manifest;
pub mod module;
pub mod project;
pub mod provenance;
pub mod proxy;
pub mod registry;
pub mod rename;
pub mod run;
pub mod shrink;
pub mod staged;
pub mod strip;
pub mod testing;
pub mod toolchain;
#[cfg(feature = "run")]
pub mod upstream;
