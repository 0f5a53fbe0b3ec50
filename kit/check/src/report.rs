//! What a check reports: findings, facts of the module, and what each consumer reads.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No current proxy or mesh accepts it.
    Error,
    /// Some proxies or meshes do not accept it, or it is probably a mistake.
    Warning,
}

/// Something that would go wrong.
///
/// Its text is one line: `error: manifest.yaml:5:8: phase is missing; write one of …`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is: a file, with line and column if they are known, or a part of the image.
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong.
    #[serde(rename = "what")]
    pub problem: String,
    /// How to fix it.
    #[serde(rename = "how")]
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        // What was read may have line breaks and escape sequences.
        let line = format!("{}: {}; {}", self.place, self.problem, self.remedy);
        write!(formatter, "{severity}: ")?;
        for character in line.chars() {
            if character.is_control() {
                write!(formatter, "{}", character.escape_default())?;
            } else {
                write!(formatter, "{character}")?;
            }
        }
        Ok(())
    }
}

/// What a consumer reads from the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Reading {
    /// The consumer: Maistra or Istio.
    pub consumer: &'static str,
    /// The module's path.
    pub path: String,
    /// The module's size in bytes.
    pub bytes: usize,
    /// The module's digest, `sha256:…`.
    pub digest: String,
}

impl Reading {
    pub(crate) fn new(consumer: &'static str, path: &str, module: &[u8]) -> Self {
        Self {
            consumer,
            path: path.to_owned(),
            bytes: module.len(),
            digest: format!("sha256:{:x}", Sha256::digest(module)),
        }
    }
}

/// The facts of the module that consumers read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModuleFacts {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// The ABI versions whose markers it exports.
    pub abi: Vec<String>,
    /// The callbacks that it exports.
    pub callbacks: Vec<String>,
    /// The WebAssembly proposals that it needs.
    pub proposals: Vec<&'static str>,
    /// The oldest releases of Envoy, Istio and Maistra that load it.
    pub oldest: String,
    /// The size of its memory when it starts, in bytes.
    pub memory: Option<u64>,
    /// The size to which its memory can grow, in bytes. `None` if the module sets no limit.
    pub memory_bound: Option<u64>,
}

/// The result of a check.
///
/// Its text has the findings, one a line, and then the facts.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What would go wrong, in the order in which the parts are read.
    pub findings: Vec<Finding>,
    /// The facts of the module, if there is a valid one.
    pub module: Option<ModuleFacts>,
    /// What each consumer reads.
    pub reads: Vec<Reading>,
}

impl Report {
    /// The number of errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// The number of warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }

    pub(crate) fn error(
        &mut self,
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity: Severity::Error,
            place: place.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }

    pub(crate) fn warning(
        &mut self,
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity: Severity::Warning,
            place: place.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        for finding in &self.findings {
            writeln!(formatter, "{finding}")?;
        }
        if let Some(module) = &self.module {
            writeln!(
                formatter,
                "Module:  {}, {} bytes, ABI {}, {} callbacks",
                module.path.escape_debug(),
                module.bytes,
                module.abi.join(" and ").escape_debug(),
                module.callbacks.len()
            )?;
            let needs = if module.proposals.is_empty() {
                "nothing beyond the first WebAssembly".to_owned()
            } else {
                module.proposals.join(", ")
            };
            writeln!(formatter, "Needs:   {needs}")?;
            writeln!(formatter, "Loads:   from {} on", module.oldest)?;
            if let Some(memory) = module.memory {
                let bound = module.memory_bound.map_or_else(
                    || "without a bound".to_owned(),
                    |bound| format!("up to {bound} bytes"),
                );
                writeln!(
                    formatter,
                    "Memory:  {memory} bytes at the start of each VM, {bound}"
                )?;
            }
        }
        for reading in &self.reads {
            writeln!(
                formatter,
                "{:<9}reads /{}, {} bytes, {}",
                format!("{}:", reading.consumer),
                reading.path.escape_debug(),
                reading.bytes,
                reading.digest
            )?;
        }
        let counted = |count: usize, what: &str| {
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} {what}{plural}")
        };
        write!(
            formatter,
            "Checked: {}, {}",
            counted(self.errors(), "error"),
            counted(self.warnings(), "warning")
        )
    }
}

/// A text from outside, for a finding: in quotes, escaped, and shortened.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_LENGTH: usize = 64;
    match text.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
