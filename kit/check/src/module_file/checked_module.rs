//! A module that is checked.

use proxy_wasm_abi::{AbiVersion, EnvoyVersion, Function};
use proxy_wasm_module::{Item, ModuleInfo};

use crate::consumers::{Consumer, Consumers};
use crate::report::Report;

/// The maximum number of errors of one kind that are listed.
pub const MAX_COUNT: usize = 20;

/// The remedy for what only another ABI version allows.
pub const BUILD_FOR_CURRENT_ABI: &str = "build it with an SDK for ABI 0.2.1";

/// A module that is checked for the consumers that read it.
pub struct CheckedModule<'a> {
    /// The report that gets the findings.
    pub report: &'a mut Report,
    /// The consumers that read the module.
    pub readers: &'a [&'static Consumer],
    /// The module's path.
    pub place: &'a str,
    /// The module.
    pub module: &'a ModuleInfo,
    /// The ABI version with which a proxy runs it.
    pub version: AbiVersion,
}

impl CheckedModule<'_> {
    /// Adds an error: every reader rejects the module.
    pub fn error(&mut self, problem: impl Into<String>, remedy: impl Into<String>) {
        self.report.error(self.readers, self.place, problem, remedy);
    }

    /// Adds an error: Envoy rejects the module since this release.
    pub fn error_since(
        &mut self,
        since: EnvoyVersion,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let has_it = |reader: &&Consumer| reader.newest_envoy() >= since;
        let rejecting: Consumers = self.readers.iter().copied().filter(has_it).collect();
        if !rejecting.is_empty() {
            self.report.error(&rejecting, self.place, problem, remedy);
        }
    }

    /// Adds errors of one kind, such as imports, and lists only the first of them.
    pub fn errors(&mut self, kind: &str, errors: impl Iterator<Item = (String, &'static str)>) {
        let mut count = 0_usize;
        for (problem, remedy) in errors {
            count += 1;
            if count <= MAX_COUNT {
                self.error(problem, remedy);
            }
        }
        let more = count.saturating_sub(MAX_COUNT);
        if more > 0 {
            self.error(
                format!("{more} more {kind} have such errors"),
                "fix the ones above first",
            );
        }
    }

    /// Adds a warning: no reader rejects the module.
    pub fn warning(&mut self, problem: impl Into<String>, remedy: impl Into<String>) {
        self.report.warning(self.place, problem, remedy);
    }

    /// Adds a problem of releases with an older Envoy than `since`: see [`Report::needs`].
    pub fn needs(&mut self, since: EnvoyVersion, warns: bool, problem: String, remedy: &str) {
        let finding = (self.place, problem, remedy);
        self.report.needs(self.readers, since, warns, finding);
    }
}

/// Whether an import or export has the signature of this ABI function.
pub fn has_signature(item: &Item, function: &Function) -> bool {
    matches!(item, Item::Function(signature) if signature.matches(&function.signature))
}
