//! Modules in images.

use proxy_wasm_abi::EnvoyVersion;
use proxy_wasm_image::read::FileContent;
use proxy_wasm_module as module;

use crate::consumers::{Consumer, Consumers};
use crate::module_file;
use crate::report::Report;

/// A module in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundModule {
    pub path: String,
    pub content: FileContent,
}

impl FoundModule {
    /// Checks the module for the consumers that read it. Returns the oldest Envoy that loads it,
    /// once its errors are fixed.
    pub fn check(&self, report: &mut Report, readers: &[&'static Consumer]) -> EnvoyVersion {
        let (path, content) = (self.path.as_str(), &self.content);
        let start = content.start();
        if let Some(bytes) = content.bytes() {
            module_file::check(report, readers, path, bytes)
        } else if !start.is_empty() && !start.starts_with(module::MAGIC) {
            // Only the first bytes are kept, and they show that it is not a module.
            module_file::check(report, readers, path, start)
        } else {
            self.too_large(report, readers);
            EnvoyVersion::OLDEST
        }
    }

    fn too_large(&self, report: &mut Report, readers: &[&'static Consumer]) {
        let length = self.content.length();
        module_file::check_length(report, readers, &self.path, length);
        let others: Consumers = readers
            .iter()
            .copied()
            .filter(|consumer| {
                consumer
                    .max_module_length
                    .is_none_or(|limit| length <= limit)
            })
            .collect();
        if !others.is_empty() {
            report.not_checked(
                &others,
                &self.path,
                format!("it is longer than this check reads, or a sparse file ({length} bytes)"),
                "check the .wasm file itself",
            );
        }
    }
}
