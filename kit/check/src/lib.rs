#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod capabilities;
mod check;
mod consumers;
mod error;
mod image;
mod manifest_file;
mod module_file;
mod report;
mod report_text;

pub use capabilities::restriction;
pub use check::{check, check_manifest, check_module};
pub use consumers::{CONSUMERS, Consumer, Reads, Release};
pub use report::{Finding, ModuleFacts, Report, Severity, Verdict};
