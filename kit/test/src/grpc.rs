//! gRPC calls, and the replies of a test.

use std::time::Duration;

use crate::headers::Headers;

/// A gRPC call or stream to which a test can respond (ABI: `proxy_grpc_call`, `proxy_grpc_stream`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GrpcCall {
    /// Its identifier, for [`Proxy::respond_to_grpc_call`](crate::Proxy::respond_to_grpc_call).
    pub id: u32,
    /// The name of the cluster that it goes to.
    pub cluster: String,
    /// The full name of the service, for example `envoy.service.auth.v3.Authorization`.
    pub service: String,
    /// The name of the method.
    pub method: String,
    /// The initial metadata.
    pub metadata: Headers,
    /// The messages that the extension has sent, encoded. A call has one, a stream any number.
    pub messages: Vec<Vec<u8>>,
    /// How long a call may take. Zero: the service gets a timeout of zero, and most services respond
    /// with `DEADLINE_EXCEEDED` (4). `None`: a stream, which has no limit.
    pub timeout: Option<Duration>,
    /// Whether the extension sends no more messages.
    pub end_of_stream: bool,
    /// The plugin that made it.
    pub(crate) plugin: u32,
    /// The time at which it fails.
    pub(crate) deadline: Option<Duration>,
    /// Whether the extension has closed its side, by `proxy_grpc_close`.
    pub(crate) is_closed_by_module: bool,
    /// Whether the service has closed its side.
    pub(crate) is_closed_by_service: bool,
    /// Whether the initial metadata of the response has arrived.
    pub(crate) has_response: bool,
}

impl GrpcCall {
    /// Whether it is a stream.
    pub fn is_stream(&self) -> bool {
        self.timeout.is_none()
    }
}

/// What a gRPC service responds: initial metadata, messages, trailing metadata, and a status, which
/// is 0 (`OK`) if not set.
///
/// ```
/// use proxy_wasm_test::GrpcReply;
///
/// let allowed = GrpcReply::new().message([0x0a, 0x00]);
/// let denied = GrpcReply::new().status(7, "permission denied");
/// ```
#[derive(Clone, Debug)]
pub struct GrpcReply {
    pub(crate) metadata: Headers,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) trailers: Headers,
    pub(crate) status: Option<(u32, String)>,
}

impl Default for GrpcReply {
    fn default() -> Self {
        Self {
            metadata: Headers::default(),
            messages: Vec::new(),
            trailers: Headers::default(),
            status: Some((0, String::new())),
        }
    }
}

impl GrpcReply {
    /// A reply with the status 0 and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds initial metadata. An extension gets it only for a stream.
    pub fn metadata(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.metadata.append(name, value);
        self
    }

    /// Adds an encoded message. If a reply to a call has several, the extension gets the last one.
    pub fn message(mut self, message: impl AsRef<[u8]>) -> Self {
        self.messages.push(message.as_ref().to_vec());
        self
    }

    /// Adds trailing metadata. An extension gets it only for a stream.
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.trailers.append(name, value);
        self
    }

    /// Sets the status, and the message that explains it.
    pub fn status(mut self, code: u32, message: impl Into<String>) -> Self {
        self.status = Some((code, message.into()));
        self
    }

    /// Leaves the stream open: another reply follows. A call always ends with its reply.
    pub fn keep_open(mut self) -> Self {
        self.status = None;
        self
    }
}
