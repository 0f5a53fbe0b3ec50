//! Tests of the rules for images, one at a time. Each test builds its own image.
//!
//! The expected verdicts are those of the consumers: the image fetchers of Istio and Envoy Gateway,
//! and podman 4 with yaml.v2 for Maistra.

mod artifacts;
mod files;
mod hostile;
mod indexes;
mod layout;
mod links;
mod media_types;
mod saved;
mod text;
mod whiteouts;
