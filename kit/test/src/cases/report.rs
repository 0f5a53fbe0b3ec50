//! Reports on cases, as text and as JSON.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::compare::{Mismatch, Skipped};
use super::file::LocatedCase;
use super::observed::Observed;
use super::run::{CaseResult, name};

/// The width of the columns of a failure, in characters.
const WIDTH: usize = 46;

/// The result of a case in a proxy, with the place of the case.
#[derive(Clone, Debug)]
pub struct CaseOutcome {
    file: PathBuf,
    line: u64,
    case: String,
    proxy: &'static str,
    result: CaseResult,
}

impl CaseOutcome {
    pub(super) fn new(case: &LocatedCase, proxy: &'static str, result: CaseResult) -> Self {
        Self {
            file: case.file.clone(),
            line: case.line,
            case: name(&case.case).to_owned(),
            proxy,
            result,
        }
    }

    /// The file of the case.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The name of the case.
    pub fn case(&self) -> &str {
        &self.case
    }

    /// `embedded` or `envoy`.
    pub fn proxy(&self) -> &'static str {
        self.proxy
    }

    /// Whether everything that the proxy can check is as expected. A case that the proxy cannot run
    /// has passed, and is [skipped](Self::skip_reason).
    pub fn has_passed(&self) -> bool {
        self.result.has_passed()
    }

    /// Why the proxy cannot run the case.
    pub fn skip_reason(&self) -> Option<&'static str> {
        self.result.unsupported
    }

    /// The report as JSON.
    pub fn to_json(&self) -> Value {
        let results = &self.result.results;
        let failures = results.mismatches.iter().map(|mismatch| {
            json!({
                "expectation": mismatch.expectation,
                "expected": mismatch.expected,
                "observed": mismatch.observed,
            })
        });
        let whole = self
            .result
            .unsupported
            .map(|reason| json!({"expectation": "the case", "reason": reason}));
        let skipped = results
            .skipped
            .iter()
            .map(|skipped| json!({"expectation": skipped.expectation, "reason": skipped.reason}));
        json!({
            "case": self.case,
            "file": self.file,
            "line": self.line,
            "proxy": self.proxy,
            "passed": self.has_passed(),
            "failures": failures.collect::<Vec<_>>(),
            "skipped": whole.into_iter().chain(skipped).collect::<Vec<_>>(),
            "observed": self.result.observed.to_json(),
        })
    }
}

/// One line, and for a failure what was expected and observed, and the log.
impl fmt::Display for CaseOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let results = &self.result.results;
        let verdict = match self.result.unsupported {
            Some(_) => "skipped",
            None if self.has_passed() => "ok",
            None => "FAILED",
        };
        write!(
            formatter,
            "test {} ({}) ... {verdict}",
            self.case, self.proxy
        )?;
        if let Some(reason) = self.result.unsupported {
            write!(formatter, ": {reason}")?;
        }
        for Skipped {
            expectation,
            reason,
        } in &results.skipped
        {
            write!(formatter, "\n    {expectation} is skipped: {reason}")?;
        }
        if self.has_passed() {
            return Ok(());
        }
        write!(formatter, "\n  {}:{}", self.file.display(), self.line)?;
        for mismatch in &results.mismatches {
            write!(formatter, "\n  {}", mismatch.expectation)?;
            write_columns(formatter, mismatch)?;
        }
        write_log(formatter, &self.result.observed)
    }
}

/// Expected and observed value, side by side.
fn write_columns(formatter: &mut fmt::Formatter, mismatch: &Mismatch) -> fmt::Result {
    let mut left = wrap("expected: ", &mismatch.expected).into_iter();
    let mut right = wrap("observed: ", &mismatch.observed).into_iter();
    loop {
        let (one, other) = (left.next(), right.next());
        if one.is_none() && other.is_none() {
            return Ok(());
        }
        let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
        let line = format!("    {one:WIDTH$}  {other}");
        write!(formatter, "\n{}", line.trim_end())?;
    }
}

/// The lines of a column. They end between words, if a word is not too long.
fn wrap(title: &str, text: &str) -> Vec<String> {
    let indent = " ".repeat(title.len());
    let width = WIDTH - title.len();
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let mut rest: Vec<char> = escape(line).chars().collect();
        loop {
            let is_long = rest.len() > width;
            let space = rest
                .iter()
                .take(width + 1)
                .rposition(|letter| *letter == ' ');
            let end = match space {
                _ if !is_long => rest.len(),
                Some(space @ 1..) => space,
                _ => width,
            };
            let margin = if lines.is_empty() { title } else { &indent };
            let (line, after) = rest.split_at(end);
            lines.push(format!("{margin}{}", line.iter().collect::<String>()));
            if !is_long {
                break;
            }
            let spaces = after.iter().take_while(|letter| **letter == ' ').count();
            rest = after.iter().skip(spaces).copied().collect();
        }
    }
    lines
}

fn write_log(formatter: &mut fmt::Formatter, observed: &Observed) -> fmt::Result {
    if observed.log.is_empty() {
        return formatter.write_str("\n  the log is empty");
    }
    formatter.write_str("\n  log:")?;
    for line in &observed.log {
        for line in line.to_string().lines() {
            write!(formatter, "\n    {}", escape(line))?;
        }
    }
    Ok(())
}

/// Escapes control characters, which a terminal would obey.
fn escape(line: &str) -> String {
    let mut escaped = String::new();
    for letter in line.chars() {
        if letter.is_control() {
            escaped.extend(letter.escape_default());
        } else {
            escaped.push(letter);
        }
    }
    escaped
}

/// The number of cases that passed, failed, and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Cases in which everything is as expected.
    pub passed: usize,
    /// Cases in which something is not.
    pub failed: usize,
    /// Cases that the proxy cannot run.
    pub skipped: usize,
}

impl Summary {
    /// Counts an outcome.
    pub fn add(&mut self, outcome: &CaseOutcome) {
        if outcome.skip_reason().is_some() {
            self.skipped += 1;
        } else if outcome.has_passed() {
            self.passed += 1;
        } else {
            self.failed += 1;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let verdict = if self.failed == 0 { "ok" } else { "FAILED" };
        let (passed, failed, skipped) = (self.passed, self.failed, self.skipped);
        write!(
            formatter,
            "result: {verdict}. {passed} passed; {failed} failed; {skipped} skipped"
        )
    }
}
