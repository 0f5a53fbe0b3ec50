//! What a proxy did in a case.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::headers::Headers;
use crate::records::{LogLine, Metric};

/// What was observed of a case.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Whether the first configuration was accepted.
    pub accepted: bool,
    /// Why the configuration was rejected, or the case ended early.
    pub error: Option<String>,
    /// The responses to the requests. `None`: there was none, or it was not complete.
    pub responses: Vec<Option<ObservedResponse>>,
    /// The requests that the upstream received.
    pub upstream_requests: Vec<ObservedRequest>,
    /// The log lines of the extension.
    pub log: Vec<LogLine>,
    /// The fuel of all requests. `None` if the proxy does not count it.
    pub fuel: Option<u64>,
}

/// A response that a client received.
#[derive(Clone, Debug, Default)]
pub struct ObservedResponse {
    pub status: u16,
    /// Without `:status`.
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
    /// Whether it is not the upstream's. `None` if the proxy does not report it.
    pub is_local: Option<bool>,
}

/// A request that an upstream or a service received.
#[derive(Clone, Debug, Default)]
pub struct ObservedRequest {
    pub method: String,
    pub path: String,
    /// Without pseudo-headers. The authority is in `host`.
    pub headers: Headers,
    pub body: Vec<u8>,
    pub trailers: Headers,
}

/// A gRPC call that a service received.
#[derive(Clone, Debug, Default)]
pub struct ObservedGrpcCall {
    pub service: String,
    pub method: String,
    pub metadata: Headers,
    pub message: Vec<u8>,
}

/// What was observed of a request and its response.
#[derive(Clone, Debug, Default)]
pub struct ObservedExchange {
    /// What the upstream received.
    pub upstream_request: Option<ObservedRequest>,
    /// What the client received.
    pub response: Option<ObservedResponse>,
    /// Whether the stream was reset before the response was complete.
    pub is_reset: bool,
    /// Which message the extension holds. `None` if the proxy does not report it.
    pub held: Option<Held>,
    /// The host calls of the extension for the request. `None` if the proxy does not count them.
    pub host_calls: Option<BTreeMap<&'static str, u64>>,
    /// The fuel of the request. `None` if the proxy does not count it.
    pub fuel: Option<u64>,
}

/// Whether the extension holds a message at the end of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Nothing,
    Request,
    Response,
}

/// The metrics that a case mentions, by name. `None` if a metric does not exist.
pub type ObservedMetrics = BTreeMap<String, Option<Metric>>;

impl ObservedRequest {
    /// Takes the pseudo-headers out of the headers.
    pub fn new(mut headers: Headers, body: Vec<u8>, trailers: Headers) -> Self {
        let text = |name: &str| {
            let value = headers.first(name).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        let (method, path, authority) = (text(":method"), text(":path"), text(":authority"));
        for name in [":method", ":path", ":authority", ":scheme"] {
            headers.remove(name);
        }
        if headers.first("host").is_none() && !authority.is_empty() {
            headers
                .fields_mut()
                .insert(0, (b"host".to_vec(), authority.into_bytes()));
        }
        Self {
            method,
            path,
            headers,
            body,
            trailers,
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "method": self.method,
            "path": self.path,
            "headers": fields(&self.headers),
            "body": String::from_utf8_lossy(&self.body),
            "trailers": fields(&self.trailers),
        })
    }
}

impl ObservedResponse {
    fn to_json(&self) -> Value {
        json!({
            "status": self.status,
            "headers": fields(&self.headers),
            "body": String::from_utf8_lossy(&self.body),
            "trailers": fields(&self.trailers),
        })
    }
}

impl Observed {
    /// The JSON of a report.
    pub fn to_json(&self) -> Value {
        let responses = self
            .responses
            .iter()
            .map(|response| response.as_ref().map(ObservedResponse::to_json));
        let requests = self.upstream_requests.iter().map(ObservedRequest::to_json);
        let log = self.log.iter().map(|line| {
            json!({
                "level": format!("{:?}", line.level).to_lowercase(),
                "message": line.message,
            })
        });
        json!({
            "accepted": self.accepted,
            "error": self.error,
            "responses": responses.collect::<Vec<_>>(),
            "upstream_requests": requests.collect::<Vec<_>>(),
            "log": log.collect::<Vec<_>>(),
            "fuel": self.fuel,
        })
    }
}

fn fields(headers: &Headers) -> Vec<[String; 2]> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = headers.bytes();
    fields
        .map(|(name, value)| [text(name), text(value)])
        .collect()
}
