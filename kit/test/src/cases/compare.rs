//! Compares what is expected with what was observed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::format::{Expect, ExpectGrpc, ExpectRequest, ExpectResponse, MessageKind};
use super::line::{ExpectLine, LineLevel};
use super::observed::{
    Held, ObservedExchange, ObservedGrpcCall, ObservedMetrics, ObservedRequest, ObservedResponse,
};
use super::pattern::{BodyPattern, Pattern};
use super::text::{Map, OneOrMany, Text};
use crate::headers::Headers;
use crate::records::{LogLine, Metric};
use proxy_wasm_abi::LogLevel;

/// How much of a body a failure shows, in characters.
const MAX_SHOWN: usize = 400;

/// An expectation that is not met.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// What is compared, for example `response.status`.
    pub expectation: String,
    pub expected: String,
    pub observed: String,
}

/// An expectation that the proxy cannot check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub expectation: String,
    pub reason: &'static str,
}

/// The results of the comparisons of a case.
#[derive(Clone, Debug, Default)]
pub struct Results {
    pub mismatches: Vec<Mismatch>,
    pub skipped: Vec<Skipped>,
    /// The beginning of the names of expectations: `step 2: `, or nothing.
    pub prefix: String,
}

/// What expectations are compared with.
pub struct Scope<'a> {
    /// What the extension logged when it rejected the configuration. `None`: it accepted it.
    pub rejected: Option<&'a str>,
    pub exchange: Option<&'a ObservedExchange>,
    pub log: &'a [LogLine],
    pub metrics: &'a ObservedMetrics,
    /// `None` if the proxy does not count them.
    pub host_calls: Option<&'a BTreeMap<&'static str, u64>>,
}

impl Results {
    /// Adds a mismatch.
    pub fn fail(&mut self, name: &str, expected: impl Into<String>, observed: impl Into<String>) {
        self.mismatches.push(Mismatch {
            expectation: format!("{}{name}", self.prefix),
            expected: expected.into(),
            observed: observed.into(),
        });
    }

    fn skip(&mut self, name: &str, reason: &'static str) {
        self.skipped.push(Skipped {
            expectation: format!("{}{name}", self.prefix),
            reason,
        });
    }

    /// Compares what is expected of a case, or of a step.
    pub fn compare(&mut self, expect: &Expect, scope: &Scope) {
        match (&expect.rejected, scope.rejected) {
            (None, None) => {}
            (Some(pattern), Some(log)) if pattern.as_part().accepts(log) => {}
            (Some(pattern), log) => self.fail(
                "rejected",
                pattern.as_part().to_string(),
                match log {
                    None => "the configuration is accepted",
                    Some("") => "the extension logs nothing",
                    Some(log) => log,
                },
            ),
            (None, Some(log)) => self.fail(
                "configuration",
                "the configuration is accepted",
                match log {
                    "" => "it is rejected, and the extension logs nothing".to_owned(),
                    log => format!("it is rejected: {log}"),
                },
            ),
        }
        if let Some(exchange) = scope.exchange {
            self.exchange(expect, exchange);
        }
        self.log(&expect.log.0, scope.log);
        for pattern in &expect.not_logged.0 {
            let pattern = pattern.as_part();
            if let Some(line) = scope.log.iter().find(|line| pattern.accepts(&line.message)) {
                self.fail("not_logged", format!("no line {pattern}"), line.to_string());
            }
        }
        self.metrics(&expect.metrics, scope.metrics);
        self.host_calls(&expect.host_calls, scope.host_calls);
    }

    fn exchange(&mut self, expect: &Expect, exchange: &ObservedExchange) {
        if let Some(expected) = &expect.response {
            match &exchange.response {
                Some(response) => self.response(expected, response),
                None => self.fail("response", "a response", describe_missing(exchange)),
            }
        }
        if let Some(expected) = &expect.upstream_request {
            match &exchange.upstream_request {
                Some(request) => self.request("upstream_request", expected, request),
                None => {
                    let observed = "the upstream receives nothing";
                    self.fail("upstream_request", "a request", observed);
                }
            }
        }
        if let Some(expected) = expect.forwarded {
            let observed = exchange.upstream_request.is_some();
            self.equal("forwarded", &expected, &observed);
        }
        if let Some(expected) = expect.reset {
            self.equal("reset", &expected, &exchange.is_reset);
        }
        match (expect.held, exchange.held) {
            (None, _) => {}
            (Some(_), None) => self.skip("held", "Envoy does not report what an extension holds"),
            (Some(expected), Some(observed)) => {
                let expected = match expected {
                    MessageKind::Request => Held::Request,
                    MessageKind::Response => Held::Response,
                };
                if expected != observed {
                    self.fail("held", expected.name(), observed.name());
                }
            }
        }
        match (expect.fuel_at_most, exchange.fuel) {
            (Some(limit), Some(fuel)) if fuel > limit => {
                self.fail("fuel_at_most", limit.to_string(), fuel.to_string());
            }
            (Some(_), None) => self.skip("fuel_at_most", "only the embedded proxy counts fuel"),
            _ => {}
        }
    }

    fn response(&mut self, expected: &ExpectResponse, observed: &ObservedResponse) {
        if let Some(status) = expected.status {
            self.equal("response.status", &status, &observed.status);
        }
        self.fields("response.headers", &expected.headers, &observed.headers);
        self.absent("response.absent", &expected.absent, &observed.headers);
        self.body("response.body", expected.body.as_ref(), &observed.body);
        self.fields("response.trailers", &expected.trailers, &observed.trailers);
        match (expected.local, observed.is_local) {
            (Some(expected), Some(observed)) => self.equal("response.local", &expected, &observed),
            (Some(_), None) => self.skip(
                "response.local",
                "Envoy does not report who sent a response if the upstream got the request",
            ),
            (None, _) => {}
        }
    }

    /// Compares a request that was received.
    pub fn request(&mut self, name: &str, expected: &ExpectRequest, observed: &ObservedRequest) {
        self.text(
            &format!("{name}.method"),
            expected.method.as_ref(),
            &observed.method,
        );
        self.text(
            &format!("{name}.path"),
            expected.path.as_ref(),
            &observed.path,
        );
        self.fields(
            &format!("{name}.headers"),
            &expected.headers,
            &observed.headers,
        );
        self.absent(
            &format!("{name}.absent"),
            &expected.absent,
            &observed.headers,
        );
        self.body(
            &format!("{name}.body"),
            expected.body.as_ref(),
            &observed.body,
        );
        self.fields(
            &format!("{name}.trailers"),
            &expected.trailers,
            &observed.trailers,
        );
    }

    /// Compares a gRPC call that was received.
    pub fn grpc_call(&mut self, name: &str, expected: &ExpectGrpc, observed: &ObservedGrpcCall) {
        self.text(
            &format!("{name}.service"),
            expected.service.as_ref(),
            &observed.service,
        );
        self.text(
            &format!("{name}.method"),
            expected.method.as_ref(),
            &observed.method,
        );
        self.fields(
            &format!("{name}.metadata"),
            &expected.metadata,
            &observed.metadata,
        );
        self.body(
            &format!("{name}.message"),
            expected.message.as_ref(),
            &observed.message,
        );
    }

    fn equal<T: PartialEq + ToString>(&mut self, name: &str, expected: &T, observed: &T) {
        if expected != observed {
            self.fail(name, expected.to_string(), observed.to_string());
        }
    }

    fn text(&mut self, name: &str, expected: Option<&Pattern>, observed: &str) {
        if let Some(expected) = expected
            && !expected.accepts(observed)
        {
            self.fail(name, expected.to_string(), observed);
        }
    }

    fn fields(&mut self, name: &str, expected: &Map<OneOrMany<Pattern>>, observed: &Headers) {
        for (header, OneOrMany(patterns)) in &expected.0 {
            let values = observed.values(header_name(header));
            let is_equal = patterns.len() == values.len()
                && patterns
                    .iter()
                    .zip(&values)
                    .all(|(pattern, value)| pattern.accepts(value));
            if !is_equal {
                self.fail(
                    &format!("{name}.{header}"),
                    list(patterns.iter().map(ToString::to_string)),
                    list(values.iter().map(Cow::to_string)),
                );
            }
        }
    }

    fn absent(&mut self, name: &str, names: &OneOrMany<Text>, observed: &Headers) {
        for Text(header) in &names.0 {
            let values = observed.values(header_name(header));
            if !values.is_empty() {
                let values = list(values.iter().map(Cow::to_string));
                self.fail(&format!("{name}.{header}"), "no such header", values);
            }
        }
    }

    fn body(&mut self, name: &str, expected: Option<&BodyPattern>, observed: &[u8]) {
        if let Some(expected) = expected
            && !expected.accepts(observed)
        {
            let observed = String::from_utf8_lossy(observed);
            self.fail(name, excerpt(&expected.to_string()), excerpt(&observed));
        }
    }

    /// The lines have to occur in this order, among others.
    fn log(&mut self, expected: &[ExpectLine], observed: &[LogLine]) {
        let mut rest = observed.iter();
        for line in expected {
            if !rest.by_ref().any(|other| line.accepts(other)) {
                let observed = match observed.len() {
                    0 => "the log is empty".to_owned(),
                    _ => "no such line, or not in this order".to_owned(),
                };
                self.fail("log", line.to_string(), observed);
                return;
            }
        }
    }

    fn metrics(&mut self, expected: &Map<OneOrMany<u64>>, observed: &ObservedMetrics) {
        for (name, OneOrMany(values)) in &expected.0 {
            let name_of_expectation = format!("metrics.{name}");
            let observed = match observed.get(name) {
                Some(Some(Metric::Counter(value) | Metric::Gauge(value))) => vec![*value],
                Some(Some(Metric::Histogram(recorded))) => recorded.clone(),
                Some(None) => {
                    self.fail(&name_of_expectation, numbers(values), "no such metric");
                    continue;
                }
                None => {
                    let reason = "Envoy does not report the values of a histogram";
                    self.skip(&name_of_expectation, reason);
                    continue;
                }
            };
            if *values != observed {
                self.fail(&name_of_expectation, numbers(values), numbers(&observed));
            }
        }
    }

    fn host_calls(&mut self, expected: &Map<u64>, observed: Option<&BTreeMap<&'static str, u64>>) {
        for (name, times) in &expected.0 {
            let expectation = format!("host_calls.{name}");
            let Some(observed) = observed else {
                self.skip(&expectation, "only the embedded proxy counts host calls");
                continue;
            };
            let observed = observed.get(name.as_str()).copied().unwrap_or_default();
            self.equal(&expectation, times, &observed);
        }
    }
}

/// The name under which a header is observed.
fn header_name(name: &str) -> &str {
    if name == ":authority" { "host" } else { name }
}

fn describe_missing(exchange: &ObservedExchange) -> &'static str {
    match exchange.held {
        _ if exchange.is_reset => "the stream is reset",
        Some(Held::Request) => "none: the extension holds the request",
        Some(Held::Response) => "none: the extension holds the response",
        _ => "none",
    }
}

impl Held {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

impl ExpectLine {
    fn accepts(&self, line: &LogLine) -> bool {
        self.level.is_none_or(|level| level.is(line.level))
            && self
                .message
                .as_ref()
                .is_none_or(|pattern| pattern.accepts(&line.message))
    }
}

impl std::fmt::Display for ExpectLine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("a line")?;
        if let Some(level) = self.level {
            write!(formatter, " [{level:?}]")?;
        }
        match &self.message {
            Some(pattern) => write!(formatter, " that {pattern}"),
            None => Ok(()),
        }
    }
}

impl LineLevel {
    fn is(self, level: LogLevel) -> bool {
        let own = match self {
            Self::Trace => LogLevel::Trace,
            Self::Debug => LogLevel::Debug,
            Self::Info => LogLevel::Info,
            Self::Warn => LogLevel::Warn,
            Self::Error => LogLevel::Error,
            Self::Critical => LogLevel::Critical,
        };
        own == level
    }
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn numbers(values: &[u64]) -> String {
    match values {
        [value] => value.to_string(),
        _ => list(values.iter().map(ToString::to_string)),
    }
}

fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}
