//! gRPC over HTTP/1.1, as a listener of Envoy translates it.

use crate::cases::format::GrpcCallResponse;
use crate::cases::messages::fields;
use crate::cases::observed::ObservedGrpcCall;
use crate::cases::pattern::Bytes;
use crate::message::{Message, Reply};

/// Distinguishes the service of a gRPC cluster from an HTTP service of the same name.
const PREFIX: &str = "grpc:";

/// The length of the prefix of each message: a byte for compression, and four for the length.
const FRAME_HEAD: usize = 5;

/// The name of the service of a gRPC cluster.
pub fn key(cluster: &str) -> String {
    format!("{PREFIX}{cluster}")
}

/// The gRPC cluster of a service.
pub fn cluster(key: &str) -> Option<&str> {
    key.strip_prefix(PREFIX)
}

/// The call that a service has received.
pub fn received(message: &Message) -> ObservedGrpcCall {
    let path = message.headers.first(":path").unwrap_or_default();
    let path = String::from_utf8_lossy(path);
    let path = path.trim_start_matches('/');
    let (service, method) = path.split_once('/').unwrap_or((path, ""));
    let mut metadata = message.headers.clone();
    metadata.remove(":path");
    metadata.remove(":method");
    ObservedGrpcCall {
        service: service.to_owned(),
        method: method.to_owned(),
        metadata,
        message: unframed(&message.body),
    }
}

/// The response of a service.
pub fn reply(response: &GrpcCallResponse) -> Reply {
    let mut reply = Reply::new(200).header("content-type", "application/grpc");
    for (name, value) in fields(&response.metadata).bytes() {
        reply = reply.header(name, value);
    }
    for Bytes(message) in &response.message.0 {
        reply = reply.body(framed(message));
    }
    if response.message.0.is_empty() && response.status == 0 {
        reply = reply.body(framed(&[]));
    }
    reply = reply.trailer("grpc-status", response.status.to_string());
    if let Some(message) = &response.status_message {
        reply = reply.trailer("grpc-message", message);
    }
    for (name, value) in fields(&response.trailers).bytes() {
        reply = reply.trailer(name, value);
    }
    reply
}

fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat()
}

/// The messages of a body, one after another. An incomplete frame is left out.
fn unframed(mut body: &[u8]) -> Vec<u8> {
    let mut messages = Vec::new();
    while let Some(([_, length @ ..], rest)) = body.split_first_chunk::<FRAME_HEAD>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((message, after)) = rest.split_at_checked(length) else {
            break;
        };
        messages.extend_from_slice(message);
        body = after;
    }
    messages
}
