//! The messages of scenarios and of the embedded proxy.

use proxy_wasm_test::{GrpcReply, Headers, Message};

use crate::messages::Reply;
use crate::observation::Received;

/// A reply to a call, with its chunks joined.
pub fn whole(reply: &Reply) -> proxy_wasm_test::Reply {
    let mut whole = proxy_wasm_test::Reply::new(reply.status);
    for (name, value) in reply.all_fields() {
        whole = whole.header(name, value);
    }
    // Envoy's router adds it.
    whole = whole.header("x-envoy-upstream-service-time", "0");
    if reply.has_body() {
        whole = whole.body(reply.body.concat());
    }
    for (name, value) in &reply.trailers {
        whole = whole.trailer(name, value);
    }
    whole
}

/// The messages and the status of a gRPC service's reply.
pub fn grpc_reply(reply: &Reply) -> GrpcReply {
    let mut grpc = GrpcReply::new();
    for (name, value) in reply
        .fields
        .iter()
        .filter(|(name, _)| name != "content-type")
    {
        grpc = grpc.metadata(name, value);
    }
    for name in ["date", "server", "x-envoy-upstream-service-time"] {
        grpc = grpc.metadata(name, "of Envoy");
    }
    for chunk in &reply.body {
        grpc = grpc.message(chunk.get(5..).unwrap_or_default());
    }
    let trailer = |name: &str| {
        let mut trailers = reply.trailers.iter();
        trailers
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    // Without a gRPC status, the HTTP status is mapped to one: 503 to 14.
    let status = trailer("grpc-status").and_then(|status| status.parse().ok());
    grpc = grpc.status(
        status.unwrap_or(14),
        trailer("grpc-message").unwrap_or_default(),
    );
    let own = reply
        .trailers
        .iter()
        .filter(|(name, _)| !name.starts_with("grpc-"));
    own.fold(grpc, |grpc, (name, value)| grpc.trailer(name, value))
}

/// A message as HTTP/1.1 encodes it: pseudo-headers are in its first line.
pub fn received(message: Message) -> Received {
    let first = |name: &str| {
        let values = message.headers.values(name);
        values.first().map(|value| value.to_string())
    };
    let start = first(":status").unwrap_or_else(|| {
        let parts = [":method", ":path", ":authority"];
        parts.map(|name| first(name).unwrap_or_default()).join(" ")
    });
    // HTTP/1.1 has no trailers after a body whose length it declares.
    let trailers = match first("content-length") {
        Some(_) => Vec::new(),
        None => fields(&message.trailers),
    };
    Received {
        start,
        fields: fields(&message.headers),
        body: message.body,
        trailers,
        is_complete: message.is_complete,
        has_rest: false,
    }
}

/// Fields that are not pseudo-headers.
pub fn fields(headers: &Headers) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = headers.bytes().filter(|(name, _)| !name.starts_with(b":"));
    fields
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}
