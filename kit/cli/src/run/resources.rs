//! What Envoy reads, and the files that it speaks of.

use std::path::Path;

use serde_json::Value;

/// What Envoy reads.
#[derive(Debug)]
pub struct Resources {
    /// When it starts.
    pub bootstrap: Value,
    /// When it starts, and each time it has changed.
    pub listeners: Value,
}

/// The files that Envoy's settings speak of.
#[derive(Debug)]
pub struct Files<'a> {
    /// The module to load.
    pub module: &'a Path,
    /// The module's file name in the image.
    pub module_name: &'a str,
    /// The file with the listeners.
    pub listeners: &'a Path,
}
