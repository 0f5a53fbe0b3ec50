//! Envoy's configuration, and the files that it refers to.

use std::path::Path;

use serde_json::Value;

/// Envoy's configuration.
#[derive(Debug)]
pub struct Resources {
    /// Envoy reads it once, at startup.
    pub bootstrap: Value,
    /// Envoy reads them at startup, and again after each change.
    pub listeners: Value,
}

/// The files that Envoy's configuration refers to.
#[derive(Debug)]
pub struct EnvoyFiles<'a> {
    /// The module to load.
    pub module: &'a Path,
    /// The module's file name in the image.
    pub module_name: &'a str,
    /// The file with the listeners.
    pub listeners: &'a Path,
}
