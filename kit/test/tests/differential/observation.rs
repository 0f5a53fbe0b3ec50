//! What can be observed of a scenario.

use std::collections::BTreeMap;

use crate::checksum::checksum;
use crate::messages::Field;
use crate::tcp::Stream;

/// What one proxy did in a scenario.
#[derive(Debug, Default)]
pub struct Observation {
    /// Whether the plugin started: the module loads, and accepts its configuration.
    pub has_started: bool,
    pub failure: Option<Failure>,
    /// The lines that the module logged: level and text.
    pub log: Vec<String>,
    /// The callback that trapped. Nothing after it is observed.
    pub trap: Option<String>,
    /// What the client of each request received.
    pub responses: Vec<Response>,
    /// What the upstream received.
    pub upstream: Vec<Received>,
    /// What the service that the module calls received.
    pub calls: Vec<Received>,
    pub metrics: BTreeMap<String, u64>,
    /// What the client of each TCP connection received.
    pub tcp_clients: Vec<Stream>,
    /// What the upstream received over each TCP connection.
    pub tcp_upstreams: Vec<Stream>,
}

/// Why a proxy did not get to the end of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Envoy crashes.
    Crash,
    /// The embedded proxy returns an error that says that Envoy would not survive.
    SaysCrash,
    /// The embedded proxy returns another error.
    Error(String),
}

/// What a client received.
#[derive(Debug)]
pub enum Response {
    Complete(Received),
    /// The connection was closed, or the stream reset, before the end.
    CutOff,
    /// The end has not arrived.
    Waiting,
}

/// A message, as far as its receiver got it.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// Method, path and authority of a request, or the status of a response.
    pub start: String,
    pub fields: Vec<Field>,
    pub body: Vec<u8>,
    pub trailers: Vec<Field>,
    pub is_complete: bool,
    /// Whether something follows that is not a message.
    pub has_rest: bool,
}

/// The fields that HTTP/1.1 or Envoy adds, whatever the module does: framing, and what the router
/// and the connection manager add after the filters.
const ADDED_FIELDS: [&str; 11] = [
    "connection",
    "date",
    "server",
    "transfer-encoding",
    "x-envoy-attempt-count",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-internal",
    "x-envoy-upstream-service-time",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
];

impl Observation {
    /// Lines to compare and to print.
    pub fn lines(&self, is_unfiltered: bool) -> Vec<String> {
        let mut lines = self.log_lines();
        match &self.trap {
            _ if !self.has_started => lines.push("the plugin does not start".to_owned()),
            Some(callback) => lines.push(format!("trap in {callback}")),
            None => {}
        }
        lines.extend(self.failure.as_ref().map(|failure| match failure {
            Failure::Crash => "Envoy crashes".to_owned(),
            Failure::SaysCrash => "an error says that Envoy does not survive".to_owned(),
            Failure::Error(error) => format!("an error: {error}"),
        }));
        if self.trap.is_some() || self.failure.is_some() {
            return lines;
        }
        for (number, response) in (1..).zip(&self.responses) {
            match response {
                Response::Complete(received) => {
                    received.print(&format!("response {number}"), is_unfiltered, &mut lines);
                }
                Response::CutOff => lines.push(format!("response {number} is cut off")),
                Response::Waiting => lines.push(format!("response {number} does not end")),
            }
        }
        for (name, messages) in [("upstream", &self.upstream), ("call", &self.calls)] {
            for (number, message) in (1..).zip(messages) {
                message.print(&format!("{name} {number}"), is_unfiltered, &mut lines);
            }
        }
        for (name, streams) in [
            ("client", &self.tcp_clients),
            ("upstream", &self.tcp_upstreams),
        ] {
            for (number, stream) in (1..).zip(streams) {
                stream.print(&format!("{name} {number}"), escape, &mut lines);
            }
        }
        let metrics = self.metrics.iter();
        lines.extend(metrics.map(|(name, value)| format!("metric {name}: {value}")));
        lines
    }

    /// The lines of the log.
    pub fn log_lines(&self) -> Vec<String> {
        let log = self.log.iter();
        log.map(|line| format!("log {}", escape(line.as_bytes())))
            .collect()
    }

    /// Whether Envoy has crashed, or a message has no end or does not fit its headers.
    pub fn is_broken(&self) -> bool {
        let mut responses = self.responses.iter();
        let mut requests = self.upstream.iter();
        self.failure.is_some()
            || self.upstream.len() > self.responses.len()
            || requests.any(|request| !request.is_valid())
            || responses.any(|response| match response {
                Response::Complete(response) => !response.is_valid(),
                _ => true,
            })
    }
}

impl Received {
    /// Whether the receiver can tell where it ends.
    fn is_valid(&self) -> bool {
        let has_length = self.fields.iter().any(|(name, _)| name == "content-length");
        let has_no_body = ["101", "204", "304"].contains(&self.start.as_str());
        self.is_complete && !self.has_rest && !(has_no_body && has_length)
    }

    fn print(&self, title: &str, is_unfiltered: bool, lines: &mut Vec<String>) {
        lines.push(format!("{title}: {}", self.start));
        for (name, value) in &self.fields {
            // HTTP/1.1 also declares that there is no body.
            let is_added = ADDED_FIELDS.contains(&name.as_str())
                || (name == "content-length" && value == "0" && self.body.is_empty());
            if is_unfiltered || !is_added {
                lines.push(format!(
                    "{title} header {name}: {}",
                    escape(value.as_bytes())
                ));
            }
        }
        if !self.body.is_empty() {
            lines.push(format!("{title} body {}", escape(&self.body)));
        }
        for (name, value) in &self.trailers {
            lines.push(format!(
                "{title} trailer {name}: {}",
                escape(value.as_bytes())
            ));
        }
        if !self.is_complete {
            lines.push(format!("{title} does not end"));
        }
        if self.has_rest {
            lines.push(format!("{title} is followed by something else"));
        }
    }
}

/// Text on one line. Of a long one, the length, a checksum and the beginning.
fn escape(bytes: &[u8]) -> String {
    const MAX_LENGTH: usize = 1000;
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .map(|character| match character {
            '\0' => "\\0".to_owned(),
            '\x01'..='\x1f' | '\\' => character.escape_default().to_string(),
            _ => character.to_string(),
        })
        .collect();
    if text.chars().count() <= MAX_LENGTH {
        return text;
    }
    let beginning: String = text.chars().take(MAX_LENGTH).collect();
    let checksum = checksum(bytes);
    format!("({} bytes, {checksum:08x}) {beginning}...", bytes.len())
}
