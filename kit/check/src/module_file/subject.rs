//! A module that is checked, and what is found in it.

use proxy_wasm_abi::{AbiVersion, EnvoyVersion, Function};
use proxy_wasm_module::{Item, Module};

use crate::consumers::{Consumer, Consumers};
use crate::report::Report;

/// The most errors of one kind that are listed.
pub const MAX_COUNT: usize = 20;

/// How to fix what only another ABI version allows.
pub const BUILD_FOR_CURRENT_ABI: &str = "build it with an SDK for ABI 0.2.1";

/// A module that some consumers read.
pub struct Subject<'a> {
    /// Where findings go.
    pub report: &'a mut Report,
    /// Who reads the module.
    pub readers: &'a [&'static Consumer],
    /// The module's path.
    pub place: &'a str,
    /// The module.
    pub module: &'a Module,
    /// The ABI version with which a proxy runs it.
    pub version: AbiVersion,
}

impl Subject<'_> {
    /// Adds what makes every reader reject the module.
    pub fn error(&mut self, problem: impl Into<String>, remedy: impl Into<String>) {
        self.report.error(self.readers, self.place, problem, remedy);
    }

    /// Adds what Envoy has rejected since some release.
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

    /// Adds errors of a kind of parts, such as imports, and lists only the first of them.
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
                format!("{more} more {kind} are of that kind"),
                "fix the ones above first",
            );
        }
    }

    /// Adds what no reader rejects.
    pub fn warning(&mut self, problem: impl Into<String>, remedy: impl Into<String>) {
        self.report.warning(self.place, problem, remedy);
    }

    /// Adds what releases of the readers with an older Envoy than `since` lack: an error for the
    /// readers that have no newer one, or else, if `warns`, a warning.
    pub fn needs(&mut self, since: EnvoyVersion, warns: bool, problem: String, remedy: &str) {
        let finding = (self.place, problem, remedy);
        self.report.needs(self.readers, since, warns, finding);
    }
}

/// Whether an import or export is this function of the ABI.
pub fn fits(item: &Item, function: &Function) -> bool {
    matches!(item, Item::Function(signature) if signature.matches(&function.signature))
}
