#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod capabilities;
mod check;
mod consumers;
mod error;
mod image;
mod manifest_file;
mod module_file;
mod project;
mod report;
mod report_text;
mod similar;
#[cfg(feature = "trial")]
mod trial;
#[cfg(feature = "trial")]
mod trial_findings;
mod yaml;

pub use capabilities::restriction;
pub use check::{CheckOptions, check, check_manifest, check_module, check_with};
pub use consumers::{CONSUMERS, Consumer, ModuleSource, Release};
pub use project::{ProjectDescription, check_deployment, check_project};
pub use report::{Finding, ModuleFacts, ProjectFacts, Report, Severity, Verdict};
#[cfg(feature = "trial")]
pub use trial::{Trial, TrialLogLine};
