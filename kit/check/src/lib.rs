//! Predicts what proxies and meshes do with a Proxy-Wasm module or its image.

#![warn(missing_docs)]

mod check;
mod image;
mod manifest_file;
mod module_file;
mod report;

pub use check::{check, manifest, module};
pub use report::{Finding, ModuleFacts, Reading, Report, Severity};
