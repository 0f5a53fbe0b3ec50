//! What the module did and a test can assert on: log lines, host calls, metrics and HTTP calls.

use std::fmt;
use std::time::Duration;

use proxy_wasm_abi::{LogLevel, Status};

use crate::headers::Headers;

/// A line of the module's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: LogLevel,
    /// Its text. Bytes that are not UTF-8 are replaced by `U+FFFD`.
    pub message: String,
}

/// Level and text: `[Info] configured`.
impl fmt::Display for LogLine {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "[{:?}] {}", self.level, self.message)
    }
}

/// A host call that the module made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCall {
    /// The name of the import, for example `proxy_log`.
    pub name: &'static str,
    /// What it returned.
    pub status: Status,
}

/// A call of a foreign function (ABI: `proxy_call_foreign_function`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignCall {
    /// The name of the function, for example `clear_route_cache`.
    pub name: String,
    /// The arguments, as the function encodes them.
    pub arguments: Vec<u8>,
    /// What the host call returned.
    pub status: Status,
}

/// The value of a metric (ABI: "Metrics"): a counter, gauge or histogram of Envoy's statistics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metric {
    /// A number that only grows.
    Counter(u64),
    /// A number that can go up and down.
    Gauge(u64),
    /// All values that were recorded, in order.
    Histogram(Vec<u64>),
}

/// An HTTP call that waits for its response (ABI: `proxy_http_call`): a request that Envoy sends to a
/// cluster for the extension.
#[derive(Clone, Debug)]
pub struct HttpCall {
    /// Its identifier, for [`Proxy::respond_to_call`](crate::Proxy::respond_to_call).
    pub id: u32,
    /// The name of the cluster that it goes to.
    pub cluster: String,
    /// Its headers, including `:method`, `:path` and `:authority`.
    pub headers: Headers,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: Headers,
    /// How long it may take. Zero: there is no limit.
    pub timeout: Duration,
    /// The plugin that made it.
    pub(crate) plugin: u32,
    /// The time at which it fails.
    pub(crate) deadline: Option<Duration>,
}
