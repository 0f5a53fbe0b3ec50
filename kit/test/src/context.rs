//! The contexts of plugins and streams (ABI: "Contexts").

use std::collections::BTreeMap;
use std::time::Duration;

use proxy_wasm_abi::BufferType;

use crate::filter_state::FilterState;
use crate::header_map::MapKind;
use crate::headers::Headers;
use crate::local_response::LocalResponse;
use crate::message::Reply;
use crate::records::HostCall;
use crate::tcp::TcpState;

/// A direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Request,
    Response,
}

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Headers,
    Body,
    Trailers,
}

/// A part of a message that arrives. The flag says that it is the last one.
#[derive(Debug)]
pub(crate) enum MessagePart {
    Headers(Headers, bool),
    Body(Vec<u8>, bool),
    Trailers(Headers),
}

impl MessagePart {
    /// The events of a complete message, as HTTP/1.1 has them: if the message ends with its body, the
    /// end is an empty chunk.
    pub(crate) fn of_message(
        headers: Headers,
        chunks: Vec<Vec<u8>>,
        trailers: Option<Headers>,
    ) -> Vec<Self> {
        if chunks.is_empty() && trailers.is_none() {
            return vec![Self::Headers(headers, true)];
        }
        let mut events = Self::of_beginning(headers, chunks);
        match (trailers, events.last_mut()) {
            (Some(trailers), _) => events.push(Self::Trailers(trailers)),
            (None, Some(Self::Body(chunk, is_last))) if chunk.is_empty() => *is_last = true,
            _ => events.push(Self::Body(Vec::new(), true)),
        }
        events
    }

    /// The events of a message that is not complete.
    pub(crate) fn of_beginning(headers: Headers, chunks: Vec<Vec<u8>>) -> Vec<Self> {
        let mut events = vec![Self::Headers(headers, false)];
        events.extend(chunks.into_iter().map(|chunk| Self::Body(chunk, false)));
        events
    }

    /// The events of a complete reply.
    pub(crate) fn of_reply(reply: Reply) -> Vec<Self> {
        Self::of_message(reply.headers, reply.chunks, reply.trailers)
    }
}

/// Whether a message continues through the extension ("iteration state" in Envoy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Iteration {
    #[default]
    Continues,
    /// The extension still sees what arrives.
    Stopped,
    /// The extension sees nothing of what arrives until it resumes the message.
    StoppedAll,
}

/// The state of a request, or of a response, while it goes through the extension.
#[derive(Debug, Default)]
pub(crate) struct DirectionState {
    /// Whether the headers have arrived.
    pub(crate) has_begun: bool,
    pub(crate) headers: Headers,
    pub(crate) trailers: Option<Headers>,
    /// The chunk of the body that the extension sees.
    pub(crate) data: Vec<u8>,
    /// What is held of the body. After it has been forwarded, it is empty, and not `None`.
    pub(crate) buffer: Option<Vec<u8>>,
    /// Whether the last part has arrived.
    pub(crate) end_of_stream: bool,
    /// How much of the body has arrived.
    pub(crate) received: usize,
    /// The `content-length` with which the message has arrived.
    pub(crate) received_length: Option<Vec<u8>>,
    /// Whether it has arrived with `x-forwarded-proto`.
    pub(crate) has_forwarded_proto: bool,

    pub(crate) iteration: Iteration,
    /// Whether the headers callback has continued, or the message has been resumed.
    pub(crate) headers_continued: bool,
    /// While the message is resumed: whether the held body and trailers pass through the extension,
    /// which has not seen them (Envoy: `iterate_from_current_filter_`).
    pub(crate) from_extension: bool,
    /// Whether the extension has seen the last part.
    pub(crate) has_seen_end: bool,
    /// Whether the message was last resumed in one of its own callbacks.
    pub(crate) resumed_itself: bool,
    /// Whether the extension, or Envoy, has responded instead of the upstream.
    pub(crate) is_aborted: bool,

    /// The parts that the module can read and change.
    open: [bool; 3],
    /// Whether the body that the module can read and change is what is held.
    pub(crate) shows_buffer: bool,

    /// What has been forwarded after the extension.
    pub(crate) forwarded_headers: Option<Headers>,
    pub(crate) forwarded_body: Vec<u8>,
    pub(crate) forwarded_trailers: Option<Headers>,
    pub(crate) forwarded_all: bool,
}

impl DirectionState {
    /// Begins a message.
    pub(crate) fn begin(&mut self, kind: MapKind, headers: Headers, end: bool) {
        self.has_begun = true;
        self.end_of_stream = end;
        self.received_length = headers.first("content-length").map(<[u8]>::to_vec);
        self.has_forwarded_proto = headers.first("x-forwarded-proto").is_some();
        self.headers = kind.receive(headers);
    }

    /// Whether the module can read and change a part.
    pub(crate) fn is_open(&self, part: Part) -> bool {
        self.open[part as usize]
    }

    /// Opens a part to the module.
    pub(crate) fn open(&mut self, part: Part) {
        self.open[part as usize] = true;
    }

    /// Closes a part to the module.
    pub(crate) fn close(&mut self, part: Part) {
        self.open[part as usize] = false;
    }

    /// Closes all parts to the module.
    pub(crate) fn close_all(&mut self) {
        self.open = [false; 3];
    }

    /// The body that the module can read and change.
    pub(crate) fn body(&mut self) -> Option<&mut Vec<u8>> {
        if self.shows_buffer {
            self.buffer.as_mut()
        } else {
            self.is_open(Part::Body).then_some(&mut self.data)
        }
    }

    /// Holds a chunk of the body. Returns how much is held.
    pub(crate) fn hold(&mut self, data: Vec<u8>) -> usize {
        let buffer = self.buffer.get_or_insert_default();
        buffer.extend(data);
        buffer.len()
    }

    /// Whether the extension holds the message.
    pub(crate) fn is_paused(&self) -> bool {
        self.iteration != Iteration::Continues && !self.is_aborted && !self.forwarded_all
    }

    /// Whether the whole message has arrived, and the extension holds it after it had resumed it.
    pub(crate) fn is_held_forever(&self) -> bool {
        self.is_paused() && self.resumed_itself && self.end_of_stream
    }
}

/// The values of properties, by their encoded paths.
pub(crate) type Properties = BTreeMap<Vec<u8>, Vec<u8>>;

/// The properties that a context has declared (foreign function `declare_property`), and whether they
/// are read-only.
pub(crate) type Declarations = BTreeMap<Vec<u8>, bool>;

/// The buffer that a context has asked for last. As in Envoy, that is what the module gets as the
/// arguments of a foreign function.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum LastBuffer {
    /// None, or one that did not exist.
    #[default]
    Absent,
    ReadOnly(BufferType),
    /// One that could be changed, and may not exist any more.
    Changeable(BufferType),
}

/// The context of a plugin (ABI: "Plugin Context").
#[derive(Debug, Default)]
pub(crate) struct PluginContext {
    pub(crate) configuration: Option<Vec<u8>>,
    /// Whether the module can read the configuration: in `proxy_on_context_create` and
    /// `proxy_on_configure`.
    pub(crate) is_configuration_open: bool,
    pub(crate) last_buffer: LastBuffer,
    /// What a test has set, for the plugin and its streams.
    pub(crate) properties: Properties,
    pub(crate) declarations: Declarations,
    pub(crate) tick_period: Duration,
    pub(crate) next_tick: Duration,
    /// Only during `proxy_on_http_call_response`.
    pub(crate) call_response: Option<Reply>,
    /// Only during the callbacks of a gRPC call.
    pub(crate) grpc_response: GrpcResponse,
    /// What `proxy_get_status` returns.
    pub(crate) status: (u32, String),
    /// `proxy_on_done` returned false: the plugin will call `proxy_done`.
    pub(crate) awaits_done: bool,
}

impl PluginContext {
    /// The configuration, if the module can read it now.
    pub(crate) fn open_configuration(&self) -> Option<&[u8]> {
        let configuration = self.configuration.as_deref();
        configuration.filter(|_| self.is_configuration_open)
    }
}

/// The part of a gRPC response that the extension can read now.
#[derive(Debug, Default)]
pub(crate) struct GrpcResponse {
    pub(crate) initial_metadata: Option<Headers>,
    pub(crate) message: Option<Vec<u8>>,
    pub(crate) trailing_metadata: Option<Headers>,
}

/// The context of a stream (ABI: "Stream Context").
#[derive(Debug, Default)]
pub(crate) struct StreamContext {
    /// The plugin that it belongs to.
    pub(crate) plugin: u32,
    pub(crate) last_buffer: LastBuffer,
    /// Of a TCP connection: its state. Such a stream has no request and no response.
    pub(crate) tcp: Option<TcpState>,
    pub(crate) request: DirectionState,
    pub(crate) response: DirectionState,
    /// When the request began, and when the stream ended.
    pub(crate) started: Duration,
    pub(crate) ended: Option<Duration>,
    /// What a test has set.
    pub(crate) properties: Properties,
    pub(crate) filter_state: FilterState,
    pub(crate) declarations: Declarations,
    pub(crate) is_grpc: bool,
    pub(crate) is_head: bool,
    /// Whether `proxy_on_context_create` has returned.
    pub(crate) is_created: bool,
    /// The callback that runs.
    pub(crate) callback: Option<(Direction, Part)>,
    /// `end_of_stream` of the last callback, whether of the request or of the response.
    pub(crate) shows_end: bool,
    /// The response that is sent when the running callback of the request has returned.
    pub(crate) pending_reply: Option<LocalResponse>,
    /// The code of the response as it has arrived.
    pub(crate) response_code: Option<u64>,
    /// Why the response is what it is (Envoy: "response code details"), if it is not the upstream's.
    pub(crate) response_details: Option<Vec<u8>>,
    /// Whether the extension, or Envoy, has responded instead of the upstream.
    pub(crate) is_local: bool,
    pub(crate) is_closed: bool,
    /// Whether `proxy_on_log` has been called, or is being called.
    pub(crate) has_ended: bool,
    /// Whether `proxy_on_log` runs, which can read all maps.
    pub(crate) is_logging: bool,
    pub(crate) fuel: u64,
    pub(crate) host_calls: Vec<HostCall>,
}

impl StreamContext {
    /// The state of a direction.
    pub(crate) fn state(&mut self, direction: Direction) -> &mut DirectionState {
        match direction {
            Direction::Request => &mut self.request,
            Direction::Response => &mut self.response,
        }
    }

    /// Whether the status of the response is not the upstream's.
    pub(crate) fn has_own_status(&self) -> bool {
        self.is_local || self.response.headers.status() != self.response_code
    }
}

/// The encoding of a property's path: its parts, separated by zero bytes (ABI: "Properties").
pub(crate) fn property_path(parts: &[&str]) -> Vec<u8> {
    parts.join("\0").into_bytes()
}
