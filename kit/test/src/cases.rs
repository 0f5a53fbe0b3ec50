//! Cases: tests of an extension in YAML files, for modules in any language. `docs/cases.md` of the toolkit
//! describes the format.
//!
//! A case says what a client sends, how the upstream responds, and what is expected:
//!
//! ```yaml
//! - case: the header is appended after the upstream's
//!   configuration: {custom-header: test}
//!   request: {path: /}
//!   upstream: {headers: {custom-header: upstream}}
//!   expect: {response: {headers: {custom-header: [upstream, test]}}}
//! ```
//!
//! [`check`] runs the cases of a directory in a test:
//!
//! ```no_run
//! use proxy_wasm_test::{cases, extension};
//!
//! #[test]
//! fn cases_pass() -> Result<(), cases::Failed> {
//!     cases::check(&extension(), "tests/cases")
//! }
//! ```

use std::fmt;
use std::path::Path;

#[cfg(feature = "envoy")]
mod client;
mod compare;
mod embedded;
#[cfg(feature = "envoy")]
mod envoy;
mod file;
mod format;
mod json;
mod line;
mod messages;
mod observed;
mod pattern;
#[cfg(feature = "envoy")]
mod record;
mod report;
mod run;
#[cfg(test)]
mod schema;
#[cfg(feature = "envoy")]
mod secrets;
mod session;
mod text;
mod validate;
#[cfg(feature = "envoy")]
mod write;

use crate::error::Error;
use crate::module::Module;
pub use file::ReadError;
#[cfg(feature = "envoy")]
#[doc(hidden)] // for the toolkit's own commands
pub use record::Recorder;
pub use report::{CaseOutcome, Summary};

use embedded::EmbeddedSession;
use file::LocatedCase;
use run::CaseResult;

/// Cases that have been read from files.
#[derive(Clone, Debug, Default)]
pub struct Cases(Vec<LocatedCase>);

impl Cases {
    /// Reads the cases of a file, or those of all `.yaml` and `.yml` files below a directory.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or is not valid, or there is no case.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        file::read(path.as_ref()).map(Self)
    }

    /// Adds other cases.
    pub fn append(&mut self, mut others: Self) {
        self.0.append(&mut others.0);
    }

    /// Runs each case in the embedded proxy, with a VM of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Load`] or [`Error::Unsupported`] if the proxy does not load the module.
    pub fn run_embedded(
        &self,
        module: &Module,
        mut on_outcome: impl FnMut(CaseOutcome),
    ) -> Result<(), Error> {
        module.compile()?;
        for located in &self.0 {
            let result = match EmbeddedSession::load(module, &located.case) {
                Ok(mut session) => run::run(&located.case, &mut session),
                Err(stop) => CaseResult::not_started(&located.case, stop),
            };
            on_outcome(CaseOutcome::new(located, "embedded", result));
        }
        Ok(())
    }
}

#[cfg(feature = "envoy")]
impl Cases {
    /// Runs each case in Envoy, with a VM of its own. [`find_or_fetch`](crate::envoy::find_or_fetch)
    /// finds Envoy.
    ///
    /// # Errors
    ///
    /// If there is no Envoy, or it does not start.
    pub fn run_in_envoy(
        &self,
        module: &Path,
        mut on_outcome: impl FnMut(CaseOutcome),
    ) -> Result<(), Error> {
        let binary = crate::envoy::find_or_fetch()?;
        let mut runner = envoy::EnvoyRunner::new(binary, module);
        for located in &self.0 {
            let result = runner.run(&located.case)?;
            on_outcome(CaseOutcome::new(located, "envoy", result));
        }
        Ok(())
    }
}

/// Runs the cases of a file or a directory in Envoy, for a test.
///
/// # Errors
///
/// As for [`check`], and if there is no Envoy.
#[cfg(feature = "envoy")]
pub fn check_in_envoy(module: &Path, path: impl AsRef<Path>) -> Result<(), Failed> {
    let mut report = Collector::default();
    let cases = Cases::read(path)?;
    cases.run_in_envoy(module, |outcome| report.add(&outcome))?;
    report.result()
}

/// Runs the cases of a file or a directory in the embedded proxy, for a test.
///
/// # Errors
///
/// If a case fails, a file is not valid, or the module does not load.
pub fn check(module: &Module, path: impl AsRef<Path>) -> Result<(), Failed> {
    let mut report = Collector::default();
    let cases = Cases::read(path)?;
    cases.run_embedded(module, |outcome| report.add(&outcome))?;
    report.result()
}

/// The error of [`check`] and `check_in_envoy`. If cases have failed, its text contains, for each
/// of them, what was expected and what was observed.
pub struct Failed(String);

impl fmt::Debug for Failed {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Self {
        Self(error.to_string())
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

/// Collects failures, and prints everything else.
#[derive(Default)]
struct Collector {
    summary: Summary,
    failures: Vec<String>,
}

impl Collector {
    fn add(&mut self, outcome: &CaseOutcome) {
        self.summary.add(outcome);
        if outcome.has_passed() {
            println!("{outcome}");
        } else {
            self.failures.push(outcome.to_string());
        }
    }

    fn result(self) -> Result<(), Failed> {
        println!("{}", self.summary);
        if self.failures.is_empty() {
            return Ok(());
        }
        let failures = self.failures.join("\n\n");
        Err(Failed(format!("{}\n\n{failures}\n", self.summary)))
    }
}
