#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod check;
mod error;
mod image;
mod manifest_file;
mod module_file;
mod releases;
mod report;

pub use check::{check, check_manifest, check_module};
pub use report::{Finding, ModuleFacts, Reading, Report, Severity};
