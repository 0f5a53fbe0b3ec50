//! Tries a module: starts and configures it in the embedded proxy.
//!
//! A module may come from anyone, so time and memory are limited.

use std::fmt::Write;

use proxy_wasm_test::{Error, Limit, LogLevel, LogLine, Options, Trap};
use serde::Serialize;

/// The fuel for each step: starting, and configuring. An instruction uses about one unit.
const FUEL: u64 = 1_000_000_000;

/// The maximum length of a module, in bytes: compiling a longer one takes too long.
const MAX_LENGTH: usize = 64 << 20;

/// The maximum number of log lines in a report, and their maximum length in characters.
const MAX_LINES: usize = 100;
const MAX_LINE_LENGTH: usize = 1_000;

/// The maximum number of log lines that a finding quotes, and their maximum length in characters.
const MAX_QUOTED: usize = 5;
const MAX_QUOTED_LENGTH: usize = 300;

/// What the module did in the embedded proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Trial {
    /// Whether it starts. `None` if that is not known.
    pub started: Option<bool>,
    /// Whether it accepts the configuration. `None` without a configuration, or if that is not
    /// known.
    pub configured: Option<bool>,
    /// The last 100 lines that it logged.
    pub log: Vec<TrialLogLine>,
    /// Why it was not tried, or not completely.
    pub not_tried: Option<String>,
}

/// A line that the module logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TrialLogLine {
    /// `trace`, `debug`, `info`, `warn`, `error` or `critical`.
    pub level: &'static str,
    /// Its text.
    pub message: String,
}

/// The settings of a trial. The defaults are those of Envoy.
#[derive(Clone, Debug, Default)]
pub struct TrialSettings {
    /// The configuration. Without it, the module is only started.
    pub configuration: Option<Vec<u8>>,
    /// `None` if it is not known: it is empty then, as by default in Envoy.
    pub root_id: Option<String>,
    pub vm_configuration: Vec<u8>,
    pub environment: Vec<(String, String)>,
}

/// A problem that a trial found.
#[derive(Clone, Debug)]
pub struct TrialProblem {
    /// Whether a proxy rejects the module. Otherwise it may.
    pub is_error: bool,
    /// What is wrong with the module or its configuration.
    pub what: String,
    pub how: String,
}

/// The settings of trials, and the results of earlier ones.
#[derive(Debug, Default)]
pub struct Trials {
    pub settings: TrialSettings,
    /// By module digest.
    results: Vec<(String, Trial, Option<TrialProblem>)>,
}

impl Trials {
    /// Tries a module, or returns the result of an earlier trial.
    pub fn run(&mut self, digest: &str, bytes: &[u8]) -> (Trial, Option<TrialProblem>) {
        let known = self.results.iter().find(|(other, ..)| *other == digest);
        if let Some((_, trial, problem)) = known {
            return (trial.clone(), problem.clone());
        }
        let (trial, problem) = run(bytes, &self.settings);
        self.results
            .push((digest.to_owned(), trial.clone(), problem.clone()));
        (trial, problem)
    }
}

/// Starts a module, and configures it if there is a configuration.
pub fn run(bytes: &[u8], settings: &TrialSettings) -> (Trial, Option<TrialProblem>) {
    let mut trial = Trial::default();
    if bytes.len() > MAX_LENGTH {
        trial.not_tried = Some(format!("it has more than {MAX_LENGTH} bytes"));
        return (trial, None);
    }
    let mut options = Options::new()
        .fuel_limit(FUEL)
        .root_id(settings.root_id.as_deref().unwrap_or_default())
        .vm_configuration(&settings.vm_configuration);
    for (name, value) in &settings.environment {
        options = options.environment(name, value);
    }
    let proxy = match options.load(bytes) {
        Ok(proxy) => proxy,
        Err(error) => {
            let problem = match error {
                Error::Trap(trap) if may_need_root_id(bytes, settings, &trap) => {
                    Some(without_root_id(&mut trial, trap))
                }
                error => failed(&mut trial, error, |trial| &mut trial.started),
            };
            return (trial, problem);
        }
    };
    trial.started = Some(true);
    let mut problem = None;
    if let Some(configuration) = &settings.configuration {
        match proxy.reconfigure(configuration) {
            Ok(()) => trial.configured = Some(true),
            Err(error) => problem = failed(&mut trial, error, |trial| &mut trial.configured),
        }
    }
    trial.log = lines(&proxy.log());
    (trial, problem)
}

/// Records what an error means for a step of the trial.
fn failed(
    trial: &mut Trial,
    error: Error,
    step: impl Fn(&mut Trial) -> &mut Option<bool>,
) -> Option<TrialProblem> {
    let (log, what, how) = match error {
        Error::Trap(trap) => {
            if let Some(limit) = trap.limit {
                trial.log = lines(&trap.log);
                trial.not_tried = Some(describe_limit(&trap.callback, limit));
                return (limit == Limit::Fuel).then(|| may_not_return(&trap.callback));
            }
            trap_problem(trap)
        }
        Error::Rejected { callback, log } => {
            let (what, how) = if callback == "proxy_on_configure" {
                (
                    "the module rejects the configuration",
                    "write a configuration that it accepts",
                )
            } else {
                (
                    "the module's proxy_on_vm_start returns false, so a proxy does not load it",
                    "return true for every VM configuration",
                )
            };
            (log, what.to_owned(), how.to_owned())
        }
        Error::Load(reason) => {
            // Some reasons already say what to do.
            let (reason, how) = reason.split_once("; ").unwrap_or((&reason, INVESTIGATE));
            *step(trial) = Some(false);
            return Some(TrialProblem {
                is_error: true,
                what: format!("the module does not load: {reason}"),
                how: how.to_owned(),
            });
        }
        error => {
            trial.not_tried = Some(error.to_string());
            return None;
        }
    };
    let what = format!("{what}{}", quote_log(&log));
    trial.log = lines(&log);
    *step(trial) = Some(false);
    Some(TrialProblem {
        is_error: true,
        what,
        how,
    })
}

/// Whether the trap may be due to the root ID, which is not known. If a configuration is given, the
/// root ID is known: without `--root-id`, it is empty.
fn may_need_root_id(bytes: &[u8], settings: &TrialSettings, trap: &Trap) -> bool {
    trap.callback == "proxy_on_context_create"
        && trap.limit.is_none()
        && settings.root_id.is_none()
        && settings.configuration.is_none()
        && names_root_id(bytes)
}

/// Whether the module contains the name of the property that has the root ID. AssemblyScript stores
/// text as UTF-16.
fn names_root_id(bytes: &[u8]) -> bool {
    const NAME: &str = "plugin_root_id";
    let utf16: Vec<u8> = NAME.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [NAME.as_bytes(), &utf16]
        .iter()
        .any(|name| bytes.windows(name.len()).any(|window| window == *name))
}

fn without_root_id(trial: &mut Trial, trap: Trap) -> TrialProblem {
    trial.not_tried = Some("its root ID is not known".to_owned());
    let (log, what, how) = trap_problem(trap);
    trial.log = lines(&log);
    TrialProblem {
        is_error: false,
        what: format!("without a root ID, {what}{}", quote_log(&log)),
        how,
    }
}

fn trap_problem(trap: Trap) -> (Vec<LogLine>, String, String) {
    let mut how = if trap.log.is_empty() {
        INVESTIGATE.to_owned()
    } else {
        "fix the error in its log".to_owned()
    };
    if trap.callback == "proxy_on_context_create" {
        how += "; if it needs its root ID, pass --root-id";
    }
    let what = format!("the module's {} traps: {}", trap.callback, trap.reason);
    (trap.log, what, how)
}

const INVESTIGATE: &str = "load it in a test with proxy-wasm-test, whose error has a backtrace";

/// Describes the limit that a trial reached.
fn describe_limit(callback: &str, limit: Limit) -> String {
    match limit {
        Limit::Fuel => format!("{callback} did not return within {FUEL} instructions"),
        Limit::Memory => format!("{callback} needs more memory than the embedded proxy has"),
        _ => format!("{callback} needs a larger call stack than the embedded proxy has"),
    }
}

fn may_not_return(callback: &str) -> TrialProblem {
    TrialProblem {
        is_error: false,
        what: format!(
            "{}, so it may never return",
            describe_limit(&format!("the module's {callback}"), Limit::Fuel)
        ),
        how: "make sure that it returns: a proxy waits for it without a timeout".to_owned(),
    }
}

/// Quotes log lines: errors if there are any, otherwise the last lines.
fn quote_log(log: &[LogLine]) -> String {
    let errors: Vec<_> = log
        .iter()
        .filter(|line| line.level >= LogLevel::Error)
        .collect();
    let lines: Vec<_> = if errors.is_empty() {
        log.iter().rev().take(MAX_QUOTED).rev().collect()
    } else {
        errors.into_iter().take(MAX_QUOTED).collect()
    };
    let mut text = String::new();
    for line in lines {
        let separator = if text.is_empty() { "; it logs " } else { ", " };
        let message = line.message.trim();
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "{separator}{:?}",
            truncate(message, MAX_QUOTED_LENGTH)
        );
    }
    if text.is_empty() {
        text.push_str("; it logs nothing");
    }
    text
}

fn lines(log: &[LogLine]) -> Vec<TrialLogLine> {
    let skipped = log.len().saturating_sub(MAX_LINES);
    log.iter()
        .skip(skipped)
        .map(|line| TrialLogLine {
            level: level(line.level),
            message: truncate(&line.message, MAX_LINE_LENGTH),
        })
        .collect()
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Trace => "trace",
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
        LogLevel::Critical => "critical",
    }
}

fn truncate(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
