//! The contexts of plugins and streams (ABI: "Contexts").

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::filter_state::FilterState;
use crate::headers::Headers;
use crate::message::Reply;
use crate::records::HostCall;

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
pub(crate) enum Event {
    Headers(Headers, bool),
    Body(Vec<u8>, bool),
    Trailers(Headers),
}

impl Event {
    /// The events of a complete message.
    pub(crate) fn of_message(
        headers: Headers,
        chunks: Vec<Vec<u8>>,
        trailers: Option<Headers>,
    ) -> Vec<Self> {
        let mut events = vec![Self::Headers(headers, false)];
        events.extend(chunks.into_iter().map(|chunk| Self::Body(chunk, false)));
        match trailers {
            Some(trailers) => events.push(Self::Trailers(trailers)),
            None => {
                if let Some(Self::Headers(_, is_last) | Self::Body(_, is_last)) = events.last_mut()
                {
                    *is_last = true;
                }
            }
        }
        events
    }

    /// The events of a message that goes on.
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

/// The state of a request, or of a response, while it goes through the extension.
#[derive(Debug, Default)]
pub(crate) struct DirectionState {
    /// What has arrived and the extension has not seen yet.
    pub(crate) events: VecDeque<Event>,
    /// What the extension sees: the maps, and the body that it holds.
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<Headers>,
    /// How much of the body the extension has been shown, whatever it has made of it.
    pub(crate) shown: u64,
    /// The parts that the extension can read and change now.
    open: [bool; 3],
    /// The part at which the extension has paused.
    pub(crate) paused: Option<Part>,
    pub(crate) end_of_stream: bool,
    /// What has left the extension.
    pub(crate) forwarded_headers: Option<Headers>,
    pub(crate) forwarded_body: Vec<u8>,
    pub(crate) forwarded_trailers: Option<Headers>,
    pub(crate) forwarded_all: bool,
}

impl DirectionState {
    /// The state of a response that has left already.
    pub(crate) fn of_forwarded(reply: Reply) -> Self {
        Self {
            headers: reply.headers.clone(),
            forwarded_headers: Some(reply.headers),
            forwarded_body: reply.chunks.concat(),
            forwarded_all: true,
            ..Self::default()
        }
    }

    /// Whether the extension can read and change a part now.
    pub(crate) fn is_open(&self, part: Part) -> bool {
        self.open[part as usize]
    }

    /// "They can be added in proxy_on_request_body, but only when the proxied request doesn't have
    /// trailers", and likewise for responses.
    pub(crate) fn can_add_trailers(&self) -> bool {
        self.is_open(Part::Body) && self.end_of_stream
    }

    /// Opens a part to the extension.
    pub(crate) fn open(&mut self, part: Part) {
        self.open[part as usize] = true;
    }

    /// Closes all parts to the extension.
    pub(crate) fn close(&mut self) {
        self.open = [false; 3];
    }

    /// How much of the body has arrived.
    pub(crate) fn received(&self) -> u64 {
        let held = self.paused.is_some().then_some(&self.events);
        let held = held.into_iter().flatten().map(|event| match event {
            Event::Body(chunk, _) => u64::try_from(chunk.len()).unwrap_or(u64::MAX),
            _ => 0,
        });
        self.shown.saturating_add(held.sum())
    }

    /// Forwards a part of the message, and what was held before it.
    pub(crate) fn forward(&mut self, part: Part) {
        self.paused = None;
        self.close();
        if part == Part::Headers {
            self.forwarded_headers = Some(self.headers.clone());
        } else {
            self.forwarded_body.append(&mut self.body);
        }
        if self.end_of_stream {
            self.forwarded_trailers = self.trailers.take();
            self.forwarded_all = true;
        }
    }

    /// Joins adjacent pieces of the body into one, as Envoy does with what held headers have held
    /// up.
    pub(crate) fn join_bodies(&mut self) {
        for event in std::mem::take(&mut self.events) {
            if let Event::Body(chunk, end) = &event
                && let Some(Event::Body(body, has_ended)) = self.events.back_mut()
            {
                body.extend(chunk);
                *has_ended |= end;
            } else {
                self.events.push_back(event);
            }
        }
    }
}

/// The values of properties, by their encoded paths.
pub(crate) type Properties = BTreeMap<Vec<u8>, Vec<u8>>;

/// The properties that a context has declared (foreign function `declare_property`), and whether they
/// are read-only.
pub(crate) type Declarations = BTreeMap<Vec<u8>, bool>;

/// The context of a plugin (ABI: "Plugin Context").
#[derive(Debug, Default)]
pub(crate) struct PluginContext {
    /// Only during `proxy_on_configure`.
    pub(crate) configuration: Option<Vec<u8>>,
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
    pub(crate) request: DirectionState,
    pub(crate) response: DirectionState,
    /// When the request began, and when the stream ended.
    pub(crate) started: Duration,
    pub(crate) ended: Option<Duration>,
    /// The code of the response as it has arrived.
    pub(crate) response_code: Option<u16>,
    /// The details of the extension's own response.
    pub(crate) response_details: Option<Vec<u8>>,
    /// What a test has set.
    pub(crate) properties: Properties,
    pub(crate) filter_state: FilterState,
    pub(crate) declarations: Declarations,
    /// The response that the extension has asked for and the host has not begun to send.
    pub(crate) local_response: Option<Reply>,
    /// Whether the extension has sent the response itself.
    pub(crate) is_local: bool,
    pub(crate) is_closed: bool,
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
}

/// The encoding of a property's path: its parts, separated by zero bytes (ABI: "Properties").
pub(crate) fn property_path(parts: &[&str]) -> Vec<u8> {
    parts.join("\0").into_bytes()
}
