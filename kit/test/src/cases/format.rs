//! The types of a file with cases. [`schema`](super::schema) has its JSON Schema.

use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use super::json::{CaseConfiguration, PropertyValue};
use super::line::ExpectLine;
use super::pattern::{BodyPattern, Bytes, Pattern, Time};
use super::text::{Map, OneOrMany, Text};

/// What happens in a proxy, and what is expected.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What the case shows, in a sentence.
    #[serde(rename = "case")]
    #[cfg_attr(test, schemars(with = "super::schema::Text"))]
    pub name: Text,
    /// The configuration of the extension. A string is passed unchanged, anything else as JSON.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Configuration"))]
    pub configuration: CaseConfiguration,
    /// The configuration as bytes, in base64.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub configuration_base64: Option<Text>,
    /// How the proxy is set up.
    #[serde(default)]
    pub options: ProxyOptions,
    /// Properties by their paths, with a dot between the parts. The extension reads a string as its
    /// bytes, an integer as an `int`, and `true` and `false` as a `bool`.
    #[serde(default)]
    #[cfg_attr(
        test,
        schemars(with = "std::collections::BTreeMap<String, super::schema::Property>")
    )]
    pub properties: Map<PropertyValue>,
    /// The request that a client sends.
    #[serde(default, deserialize_with = "present")]
    pub request: Option<Request>,
    /// How the upstream responds. The default is status 200.
    #[serde(default, deserialize_with = "present")]
    pub upstream: Option<Reply>,
    /// What happens after the request has been sent, and before the upstream responds.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Step>"))]
    pub meanwhile: Vec<Spanned<Step>>,
    /// The HTTP calls of the extension, and how the services respond.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// The gRPC calls of the extension, and how the services respond.
    #[serde(default)]
    pub grpc_calls: Vec<GrpcCall>,
    /// Steps that run one after another, in place of one request.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<Vec<Step>>"))]
    pub steps: Option<Vec<Spanned<Step>>>,
    /// What is expected. Without it, the case passes, and reports what was observed.
    #[serde(default, deserialize_with = "present")]
    pub expect: Option<Expect>,
}

/// A step: a request, a new configuration, or passing time.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The request that a client sends.
    #[serde(default, deserialize_with = "present")]
    pub request: Option<Request>,
    /// How the upstream responds. The default is status 200.
    #[serde(default, deserialize_with = "present")]
    pub upstream: Option<Reply>,
    /// What happens after the request has been sent, and before the upstream responds.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Step>"))]
    pub meanwhile: Vec<Spanned<Step>>,
    /// The HTTP calls that the extension makes in this step, and how the services respond.
    #[serde(default)]
    pub calls: Vec<Call>,
    /// The gRPC calls that the extension makes in this step, and how the services respond.
    #[serde(default)]
    pub grpc_calls: Vec<GrpcCall>,
    /// A new configuration, which applies to new requests.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Configuration>"))]
    pub configure: Option<CaseConfiguration>,
    /// Time that passes, for example `5s` or `200ms`: timers run, and calls time out.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Time>"))]
    pub advance: Option<Time>,
    /// What is expected of this step.
    #[serde(default, deserialize_with = "present")]
    pub expect: Option<Expect>,
}

/// What a case and a step have in common.
#[derive(Clone, Copy, Debug)]
pub struct CasePart<'a> {
    pub request: Option<&'a Request>,
    pub upstream: Option<&'a Reply>,
    pub meanwhile: &'a [Spanned<Step>],
    pub calls: &'a [Call],
    pub grpc_calls: &'a [GrpcCall],
    pub expect: Option<&'a Expect>,
}

impl Case {
    /// The case without its steps.
    pub fn part(&self) -> CasePart<'_> {
        CasePart {
            request: self.request.as_ref(),
            upstream: self.upstream.as_ref(),
            meanwhile: &self.meanwhile,
            calls: &self.calls,
            grpc_calls: &self.grpc_calls,
            expect: self.expect.as_ref(),
        }
    }

    /// Its steps, if it has any.
    pub fn steps(&self) -> &[Spanned<Step>] {
        self.steps.as_deref().unwrap_or_default()
    }
}

impl Step {
    /// What the step has in common with a case.
    pub fn part(&self) -> CasePart<'_> {
        CasePart {
            request: self.request.as_ref(),
            upstream: self.upstream.as_ref(),
            meanwhile: &self.meanwhile,
            calls: &self.calls,
            grpc_calls: &self.grpc_calls,
            expect: self.expect.as_ref(),
        }
    }
}

/// How the proxy is set up.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ProxyOptions {
    /// The root ID of the plugin.
    pub root_id: Option<String>,
    /// The name of the plugin.
    pub plugin_name: Option<String>,
    /// The configuration of the VM.
    pub vm_configuration: Option<String>,
    /// Environment variables.
    #[serde(default)]
    #[cfg_attr(
        test,
        schemars(with = "std::collections::BTreeMap<String, super::schema::Text>")
    )]
    pub environment: Map<Text>,
    /// Whether a headers callback that pauses holds only the headers (Envoy 1.35 and later).
    #[serde(default)]
    pub allow_on_headers_stop_iteration: bool,
    /// How much of a body the extension can hold, in bytes.
    pub buffer_limit: Option<u32>,
    /// Clusters that the proxy does not have.
    #[serde(default)]
    pub missing_clusters: Vec<String>,
}

/// A request that a client sends.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The method. The default is GET.
    pub method: Option<String>,
    /// The path, with the query. The default is `/`.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Text>"))]
    pub path: Option<Text>,
    /// Headers: a value, or a list of values.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Fields"))]
    pub headers: Map<OneOrMany<Text>>,
    /// The body: a string, `{base64: …}`, or a list of chunks that arrive one after another.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Body"))]
    pub body: OneOrMany<Bytes>,
    /// Trailers.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Fields"))]
    pub trailers: Map<OneOrMany<Text>>,
    /// Whether the client disconnects before its request is complete.
    #[serde(default)]
    pub reset: bool,
}

/// What an upstream, or a service that the extension calls, does with a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The status. The default is 200.
    #[serde(default, deserialize_with = "present")]
    pub status: Option<u16>,
    /// Headers: a value, or a list of values.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Fields"))]
    pub headers: Map<OneOrMany<Text>>,
    /// The body: a string, `{base64: …}`, or a list of chunks that are sent one after another.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Body"))]
    pub body: OneOrMany<Bytes>,
    /// Trailers.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Fields"))]
    pub trailers: Map<OneOrMany<Text>>,
    /// How long it takes to respond.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Time>"))]
    pub delay: Time,
    /// How it fails.
    #[serde(default, deserialize_with = "present")]
    pub failure: Option<FailureKind>,
}

/// How a service fails.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Nothing listens there.
    Unreachable,
    /// The connection breaks: after the response has begun if there is a status, otherwise before.
    Reset,
    /// It does not respond before the timeout of the call.
    Timeout,
}

/// An HTTP call of the extension.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The cluster that the extension calls.
    pub cluster: String,
    /// What is expected of the call.
    #[serde(default, deserialize_with = "present")]
    pub expect: Option<ExpectRequest>,
    /// How the service responds. The default is status 200.
    #[serde(default)]
    pub response: Reply,
}

/// A gRPC call of the extension.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GrpcCall {
    /// The cluster that the extension calls.
    pub cluster: String,
    /// What is expected of the call.
    #[serde(default, deserialize_with = "present")]
    pub expect: Option<ExpectGrpc>,
    /// How the service responds. The default is an empty message and the status 0.
    #[serde(default)]
    pub response: GrpcCallResponse,
}

/// How a gRPC service responds.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GrpcCallResponse {
    /// The gRPC status. The default is 0 (OK).
    #[serde(default)]
    pub status: u32,
    /// The message of the status.
    pub status_message: Option<String>,
    /// The encoded message, or the messages of a stream.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Body"))]
    pub message: OneOrMany<Bytes>,
    /// Initial metadata.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Fields"))]
    pub metadata: Map<OneOrMany<Text>>,
    /// Trailing metadata.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Fields"))]
    pub trailers: Map<OneOrMany<Text>>,
    /// How long it takes to respond.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Time>"))]
    pub delay: Time,
    /// Whether the call times out.
    #[serde(default)]
    pub timeout: bool,
}

/// What is expected. What is not mentioned is not compared.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// The configuration is rejected, and this is a part of what the extension logs.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Pattern>"))]
    pub rejected: Option<Pattern>,
    /// What the client receives.
    #[serde(default, deserialize_with = "present")]
    pub response: Option<ExpectResponse>,
    /// What the upstream receives.
    #[serde(default, deserialize_with = "present")]
    pub upstream_request: Option<ExpectRequest>,
    /// Whether the upstream receives the request.
    #[serde(default, deserialize_with = "present")]
    pub forwarded: Option<bool>,
    /// Which message the extension holds at the end.
    #[serde(default, deserialize_with = "present")]
    pub held: Option<MessageKind>,
    /// Whether the client's stream is reset before the response is complete.
    #[serde(default, deserialize_with = "present")]
    pub reset: Option<bool>,
    /// Log lines that occur in this order, among others. A string is a part of the message.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::LogLines"))]
    pub log: OneOrMany<ExpectLine>,
    /// What no log line contains.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Patterns"))]
    pub not_logged: OneOrMany<Pattern>,
    /// The values of counters and gauges, by name. For a histogram, the recorded values.
    #[serde(default)]
    #[cfg_attr(
        test,
        schemars(with = "std::collections::BTreeMap<String, super::schema::Metric>")
    )]
    pub metrics: Map<OneOrMany<u64>>,
    /// How often the extension makes these host calls: for the request, or, without a request, since
    /// the module was loaded.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, u64>"))]
    pub host_calls: Map<u64>,
    /// The most fuel that the request may need.
    #[serde(default, deserialize_with = "present")]
    pub fuel_at_most: Option<u64>,
}

/// A request or a response.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// The request.
    Request,
    /// The response.
    Response,
}

/// What is expected of a response.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExpectResponse {
    /// The status.
    #[serde(default, deserialize_with = "present")]
    pub status: Option<u16>,
    /// Headers, each with all its values in order.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::FieldPatterns"))]
    pub headers: Map<OneOrMany<Pattern>>,
    /// Headers that do not exist.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Names"))]
    pub absent: OneOrMany<Text>,
    /// The body.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::BodyPattern>"))]
    pub body: Option<BodyPattern>,
    /// Trailers, each with all its values in order.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::FieldPatterns"))]
    pub trailers: Map<OneOrMany<Pattern>>,
    /// Whether the extension, or the proxy, sends the response in place of the upstream.
    #[serde(default, deserialize_with = "present")]
    pub local: Option<bool>,
}

/// What is expected of a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExpectRequest {
    /// The method.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Pattern>"))]
    pub method: Option<Pattern>,
    /// The path, with the query.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Pattern>"))]
    pub path: Option<Pattern>,
    /// Headers, each with all its values in order.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::FieldPatterns"))]
    pub headers: Map<OneOrMany<Pattern>>,
    /// Headers that do not exist.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::Names"))]
    pub absent: OneOrMany<Text>,
    /// The body.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::BodyPattern>"))]
    pub body: Option<BodyPattern>,
    /// Trailers, each with all its values in order.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::FieldPatterns"))]
    pub trailers: Map<OneOrMany<Pattern>>,
}

/// What is expected of a gRPC call.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ExpectGrpc {
    /// The full name of the service.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Pattern>"))]
    pub service: Option<Pattern>,
    /// The name of the method.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::Pattern>"))]
    pub method: Option<Pattern>,
    /// The initial metadata.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "super::schema::FieldPatterns"))]
    pub metadata: Map<OneOrMany<Pattern>>,
    /// The encoded message; for a stream, all messages, concatenated.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(test, schemars(with = "Option<super::schema::BodyPattern>"))]
    pub message: Option<BodyPattern>,
}

/// Reads a key that is given. Without a value, it is an error of the value's type.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}
