//! The result of a check: a verdict for each consumer, findings, and facts about the module.

use std::fmt;

use proxy_wasm_abi::EnvoyVersion;
use serde::Serialize;

use crate::consumers::{CONSUMERS, Consumer, Consumers};
#[cfg(feature = "trial")]
use crate::trial::{Trial, Trials};

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The newest known release of a consumer rejects the input, or files of the project contradict
    /// each other.
    Error,
    /// A consumer may accept the input: the check reads it only in part, or not at all.
    NotChecked,
    /// Older releases reject the input, or there is probably a mistake.
    Warning,
}

/// A problem that a check found.
///
/// It is displayed as one line: `error: manifest.yaml:6:11: priority is "high"; write a whole …`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Its severity.
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
    /// The names of the consumers that reject the input because of it. Empty for a warning, and for
    /// an error in a project's files.
    pub rejected_by: Vec<&'static str>,
    /// The names of the consumers that may or may not reject the input because of it.
    pub not_checked_for: Vec<&'static str>,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        self.write_line(formatter)?;
        for (what, names) in [
            ("rejected by", &self.rejected_by),
            ("not checked for", &self.not_checked_for),
        ] {
            if !names.is_empty() && names.len() < CONSUMERS.len() {
                write!(formatter, " ({what} {})", names.join(", "))?;
            }
        }
        Ok(())
    }
}

impl Finding {
    /// A finding that concerns no consumer.
    fn new(
        severity: Severity,
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            place: place.into(),
            problem: problem.into(),
            remedy: remedy.into(),
            rejected_by: Vec::new(),
            not_checked_for: Vec::new(),
        }
    }

    /// Writes the finding without its consumers.
    pub(crate) fn write_line(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::NotChecked => "not checked",
            Severity::Warning => "warning",
        };
        write!(formatter, "{severity}: {}", self.line())
    }

    /// Whether the consumer rejects the input because of it, or may do so.
    pub(crate) fn concerns(&self, consumer: &str) -> bool {
        self.rejected_by.contains(&consumer) || self.not_checked_for.contains(&consumer)
    }

    /// Whether it is an error in a project's files, which no consumer rejects.
    pub(crate) fn is_of_project(&self) -> bool {
        self.severity == Severity::Error && self.rejected_by.is_empty()
    }

    /// Place, problem and remedy in one line without control characters.
    fn line(&self) -> String {
        escaped(&format!(
            "{}: {}; {}",
            self.place, self.problem, self.remedy
        ))
    }
}

/// Escapes control characters: text from the input may have line breaks and escape sequences.
pub(crate) fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// What a consumer does with the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// The consumer's name: see [`CONSUMERS`].
    pub name: &'static str,
    /// Whether the newest of the consumer's [known releases](Consumer::releases) accepts the input.
    pub accepts: bool,
    /// The oldest known release that accepts it. `None` if it is not accepted.
    pub since: Option<&'static str>,
    /// The last release that accepts it. `None` if it is not accepted, or if newer releases accept it,
    /// too.
    pub until: Option<&'static str>,
    /// The module that it reads: a path in the image, a layer, or the file. `None` if there is none.
    pub reads: Option<String>,
    /// Why it does not accept the input, or why that is not known, and how to fix it.
    pub reasons: Vec<String>,
}

/// Facts about the module that consumers read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModuleFacts {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub bytes: usize,
    /// Its digest, `sha256:…`.
    pub digest: String,
    /// The ABI versions whose markers it exports.
    pub abi: Vec<String>,
    /// The callbacks that it exports.
    pub callbacks: Vec<String>,
    /// The capabilities that it needs, as in Envoy's `allowed_capabilities`: host calls, WASI
    /// functions, and callbacks.
    pub capabilities: Vec<&'static str>,
    /// The WebAssembly proposals that it needs.
    pub proposals: Vec<&'static str>,
    /// The oldest release of Envoy that loads it, once its errors are fixed.
    pub oldest: String,
    /// The size of its memory when it starts, in bytes. `None` if it has none.
    pub memory: Option<u64>,
    /// The size to which its memory can grow, in bytes. `None` if the module sets no limit.
    pub memory_bound: Option<u64>,
    /// What it did in the embedded proxy. `None` if it was not tried, because all consumers reject
    /// it.
    #[cfg(feature = "trial")]
    pub trial: Option<Trial>,
}

/// The files of a project that were compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProjectFacts {
    /// The files under `deploy/`, by their paths in the project.
    pub files: Vec<String>,
}

/// The result of a check.
///
/// It is displayed with the verdicts and their reasons, the warnings, and the facts.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What each consumer does, in the order of [`CONSUMERS`]. Empty for the check of a manifest
    /// or of a deployment.
    pub consumers: Vec<Verdict>,
    /// The problems, in the order in which the input is read.
    pub findings: Vec<Finding>,
    /// Facts about the module, if there is a valid one.
    pub module: Option<ModuleFacts>,
    /// The files that were compared, if a project was checked.
    pub project: Option<ProjectFacts>,
    /// The settings of trials, and the results of earlier ones.
    #[cfg(feature = "trial")]
    #[serde(skip)]
    pub(crate) trials: Trials,
    /// The module that each consumer reads, and the oldest Envoy that loads it.
    #[serde(skip)]
    reads: Vec<(&'static Consumer, String, EnvoyVersion)>,
}

impl Report {
    /// Whether at least one mesh accepts the input.
    pub fn is_accepted(&self) -> bool {
        CONSUMERS
            .iter()
            .filter(|consumer| consumer.is_mesh)
            .any(|consumer| self.accepts(consumer.name))
    }

    /// Whether the consumer of this name accepts the input.
    pub fn accepts(&self, consumer: &str) -> bool {
        self.consumers
            .iter()
            .any(|verdict| verdict.name == consumer && verdict.accepts)
    }

    /// Records which module some consumers read.
    pub(crate) fn read(
        &mut self,
        consumers: &[&'static Consumer],
        path: &str,
        oldest: EnvoyVersion,
    ) {
        for consumer in consumers {
            self.reads.push((consumer, path.to_owned(), oldest));
        }
    }

    /// Adds the verdicts that follow from the findings.
    pub(crate) fn conclude(mut self) -> Self {
        let without_module: Consumers = CONSUMERS
            .iter()
            .filter(|consumer| !self.has_read(consumer) && self.reasons(consumer).is_empty())
            .collect();
        if !without_module.is_empty() {
            self.error(
                &without_module,
                "image",
                "there is no module to load",
                "fix the other findings first",
            );
        }
        self.consumers = CONSUMERS
            .iter()
            .map(|consumer| self.verdict(consumer))
            .collect();
        self
    }

    fn has_read(&self, consumer: &Consumer) -> bool {
        self.reads.iter().any(|read| read.0.name == consumer.name)
    }

    fn reasons(&self, consumer: &Consumer) -> Vec<String> {
        self.findings
            .iter()
            .filter(|finding| finding.concerns(consumer.name))
            .map(Finding::line)
            .collect()
    }

    fn verdict(&self, consumer: &'static Consumer) -> Verdict {
        let read = self.reads.iter().find(|read| read.0.name == consumer.name);
        let reasons = self.reasons(consumer);
        let since = read
            .filter(|_| reasons.is_empty())
            .and_then(|(_, _, oldest)| consumer.since(*oldest));
        Verdict {
            name: consumer.name,
            accepts: since.is_some(),
            since,
            until: since.and(consumer.until()),
            reads: read.map(|(_, path, _)| path.clone()),
            reasons,
        }
    }

    /// The number of errors.
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// The number of warnings.
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    /// The number of errors in a project's files, which no consumer rejects.
    pub fn project_errors(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.is_of_project())
            .count()
    }

    /// The number of findings about parts that the check does not read.
    pub fn unchecked(&self) -> usize {
        self.count(Severity::NotChecked)
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }

    /// Adds an error: these consumers reject the input.
    pub(crate) fn error(
        &mut self,
        consumers: &[&'static Consumer],
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Finding {
            rejected_by: names(consumers),
            ..Finding::new(Severity::Error, place, problem, remedy)
        });
    }

    /// Adds a problem of the check: it does not know whether these consumers accept the input.
    pub(crate) fn not_checked(
        &mut self,
        consumers: &[&'static Consumer],
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Finding {
            not_checked_for: names(consumers),
            ..Finding::new(Severity::NotChecked, place, problem, remedy)
        });
    }

    /// Adds an error in a project's files. It does not change what consumers do with the image.
    pub(crate) fn project_error(
        &mut self,
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.error(&[], place, problem, remedy);
    }

    /// Adds a warning.
    pub(crate) fn warning(
        &mut self,
        place: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(Finding::new(Severity::Warning, place, problem, remedy));
    }

    /// Adds a finding. If the report has it already, its consumers are added.
    fn add(&mut self, finding: Finding) {
        let known = self.findings.iter_mut().find(|known| {
            (known.severity, &known.place, &known.problem, &known.remedy)
                == (
                    finding.severity,
                    &finding.place,
                    &finding.problem,
                    &finding.remedy,
                )
        });
        let Some(known) = known else {
            self.findings.push(finding);
            return;
        };
        for (all, more) in [
            (&mut known.rejected_by, finding.rejected_by),
            (&mut known.not_checked_for, finding.not_checked_for),
        ] {
            all.extend(more);
            *all = in_consumer_order(all);
        }
    }

    /// Adds a problem of releases with an older Envoy than `since`: an error for the readers whose
    /// newest release is one of them. If there are no such readers and `warns` is set, a warning.
    pub(crate) fn needs(
        &mut self,
        readers: &[&'static Consumer],
        since: EnvoyVersion,
        warns: bool,
        finding: (&str, String, &str),
    ) {
        let older: Vec<_> = readers
            .iter()
            .filter_map(|consumer| consumer.before(since))
            .collect();
        let rejecting: Consumers = readers
            .iter()
            .copied()
            .filter(|consumer| consumer.since(since).is_none())
            .collect();
        if older.is_empty() || (rejecting.is_empty() && !warns) {
            return;
        }
        let (place, problem, remedy) = finding;
        let problem = format!("{problem}, so these releases reject it: {}", listed(&older));
        if rejecting.is_empty() {
            self.warning(place, problem, remedy);
        } else {
            self.error(&rejecting, place, problem, remedy);
        }
    }
}

/// Joins items: `a, b, and c`.
fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [items @ .., last] => format!("{}, and {last}", items.join(", ")),
    }
}

/// The names of consumers.
fn names(consumers: &[&'static Consumer]) -> Vec<&'static str> {
    let names: Vec<_> = consumers.iter().map(|consumer| consumer.name).collect();
    in_consumer_order(&names)
}

/// Sorts names in the order of [`CONSUMERS`], and removes duplicates.
fn in_consumer_order(names: &[&'static str]) -> Vec<&'static str> {
    CONSUMERS
        .iter()
        .map(|consumer| consumer.name)
        .filter(|name| names.contains(name))
        .collect()
}

/// Text from the input, for a finding: in quotes, escaped, and truncated.
pub(crate) fn excerpt(text: &str) -> String {
    const MAX_LENGTH: usize = 64;
    match text.char_indices().nth(MAX_LENGTH) {
        Some((end, _)) => format!("{:?}…", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
