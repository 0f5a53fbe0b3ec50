//! A request and its response, while they go through the extension.

use std::cell::RefCell;
use std::rc::Rc;

use crate::context::{Direction, MessagePart, Properties, StreamContext, property_path};
use crate::core::Core;
use crate::error::Error;
use crate::header_map::is_pseudo;
use crate::headers::Headers;
use crate::message::{Message, Reply, Response};

/// A request that a client sends over HTTP/1.1 ("downstream request" in Envoy).
///
/// The extension sees the headers in Envoy's order: `:authority`, `:path`, `:method` and `:scheme`, then
/// those that the test adds. As in Envoy, the values of some repeated headers are joined with commas.
pub struct Request {
    core: Rc<RefCell<Core>>,
    plugin: u32,
    headers: Headers,
    chunks: Vec<Vec<u8>>,
    trailers: Option<Headers>,
    properties: Properties,
}

impl Request {
    pub(crate) fn new(core: Rc<RefCell<Core>>, plugin: u32, method: &str, path: &str) -> Self {
        Self {
            core,
            plugin,
            headers: Headers::from_iter([
                (":authority", "localhost"),
                (":path", path),
                (":method", method),
                (":scheme", "http"),
            ]),
            chunks: Vec::new(),
            trailers: None,
            properties: Properties::new(),
        }
    }

    /// Adds a header. A pseudo-header, such as `:authority`, replaces its default, and so does
    /// `host`, which is `:authority` to Envoy.
    pub fn header(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        if name.as_ref().eq_ignore_ascii_case(b"host") {
            self.headers.replace(":authority", value);
        } else if is_pseudo(name.as_ref()) {
            self.headers.replace(name, value);
        } else {
            self.headers.append(name, value);
        }
        self
    }

    /// Adds a chunk of the body. The extension's body callback is called for each chunk.
    pub fn body(mut self, chunk: impl AsRef<[u8]>) -> Self {
        self.chunks.push(chunk.as_ref().to_vec());
        self
    }

    /// Adds a trailer.
    pub fn trailer(mut self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let trailers = self.trailers.get_or_insert_with(Headers::default);
        trailers.append(name, value);
        self
    }

    /// Sets a property that the stream sees from its beginning: see [`properties`](crate::properties).
    pub fn property(mut self, path: &[&str], value: impl AsRef<[u8]>) -> Self {
        self.properties
            .insert(property_path(path), value.as_ref().to_vec());
        self
    }

    /// Sends the whole request. If it ends with a body, the extension sees the end as an empty chunk.
    ///
    /// # Errors
    ///
    /// [`Error::Trap`] if the module traps, [`Error::BreaksEnvoy`] if the extension does something
    /// that breaks Envoy, [`Error::InvalidState`] if the plugin has been shut down.
    pub fn send(self) -> Result<Stream, Error> {
        let stream = Stream::open(self.core, self.plugin, self.properties)?;
        let events = MessagePart::of_message(self.headers, self.chunks, self.trailers);
        stream.receive(Direction::Request, events)?;
        Ok(stream)
    }

    /// Sends the headers and the chunks of the body that were added. [`Stream::send_body`] or
    /// [`Stream::send_trailers`] continues the request.
    ///
    /// # Errors
    ///
    /// As for [`Request::send`].
    pub fn begin(self) -> Result<Stream, Error> {
        let stream = Stream::open(self.core, self.plugin, self.properties)?;
        let events = MessagePart::of_beginning(self.headers, self.chunks);
        stream.receive(Direction::Request, events)?;
        Ok(stream)
    }

    /// Sends the whole request, responds to it, and returns what the client receives.
    ///
    /// # Errors
    ///
    /// As for [`Stream::respond`].
    pub fn respond(self, reply: impl Into<Reply>) -> Result<Response, Error> {
        self.send()?.respond(reply)
    }
}

/// A stream (Envoy: "HTTP stream"): a request that was sent, and its response.
///
/// It ends, and `proxy_on_log`, `proxy_on_done` and `proxy_on_delete` are called, when its response
/// has been sent, or one side closes its connection. If it is dropped before, it is reset.
pub struct Stream {
    core: Rc<RefCell<Core>>,
    id: u32,
}

impl Stream {
    fn open(core: Rc<RefCell<Core>>, plugin: u32, properties: Properties) -> Result<Self, Error> {
        let id = core.borrow_mut().open(plugin, properties)?;
        Ok(Self { core, id })
    }

    fn receive(&self, direction: Direction, events: Vec<MessagePart>) -> Result<(), Error> {
        let mut core = self.core.borrow_mut();
        core.receive(self.id, direction, events)
    }

    /// Reads the stream's context. If the stream has ended, returns the default.
    fn with_context<T: Default>(&self, read: impl FnOnce(&StreamContext) -> T) -> T {
        let core = self.core.borrow();
        let host = core.host();
        let stream = host.streams.get(&self.id);
        let stream = stream.or_else(|| host.ended_streams.get(&self.id));
        stream.map(read).unwrap_or_default()
    }

    /// Sends a chunk of the request's body. If `end` is true, the request ends with this chunk, as
    /// over HTTP/2. If the response has been sent, Envoy ignores the chunk.
    ///
    /// # Errors
    ///
    /// [`Error::Trap`] if the module traps, [`Error::BreaksEnvoy`] if the extension does something
    /// that breaks Envoy, [`Error::InvalidState`] if the stream has been reset or finished.
    pub fn send_body(&self, chunk: impl AsRef<[u8]>, end: bool) -> Result<(), Error> {
        let chunk = chunk.as_ref().to_vec();
        self.receive(Direction::Request, vec![MessagePart::Body(chunk, end)])
    }

    /// Sends the request's trailers, which end it.
    ///
    /// # Errors
    ///
    /// As for [`Stream::send_body`].
    pub fn send_trailers(&self, trailers: Headers) -> Result<(), Error> {
        self.receive(Direction::Request, vec![MessagePart::Trailers(trailers)])
    }

    /// Whether the extension holds the request, or a part of it: a callback has paused, and no
    /// `proxy_continue_stream` and no later callback has resumed it.
    pub fn is_request_paused(&self) -> bool {
        self.with_context(|stream| stream.request.is_paused() && !stream.has_ended)
    }

    /// Whether the extension holds the response, or a part of it.
    pub fn is_response_paused(&self) -> bool {
        self.with_context(|stream| stream.response.is_paused() && !stream.has_ended)
    }

    /// Whether there is a local response: a response that the extension, or Envoy, has sent instead of
    /// the upstream's.
    pub fn has_local_response(&self) -> bool {
        self.with_context(|stream| stream.is_local)
    }

    /// What the upstream has received of the request. `None` if nothing has been forwarded.
    pub fn upstream(&self) -> Option<Message> {
        self.with_context(|stream| {
            Some(Message {
                headers: stream.request.forwarded_headers.clone()?,
                body: stream.request.forwarded_body.clone(),
                trailers: stream
                    .request
                    .forwarded_trailers
                    .clone()
                    .unwrap_or_default(),
                is_complete: stream.request.forwarded_all,
            })
        })
    }

    /// Sets a property that this stream sees from now on: see [`properties`](crate::properties).
    pub fn set_property(&self, path: &[&str], value: impl AsRef<[u8]>) {
        if let Ok(stream) = self.core.borrow_mut().stream(self.id) {
            let value = value.as_ref().to_vec();
            stream.properties.insert(property_path(path), value);
        }
    }

    /// A value of the stream's filter state, which all filters of a stream share: what the extension has
    /// set with the foreign function `set_envoy_filter_state`, or with `proxy_set_property`. The key of a
    /// property is `wasm.` and its path.
    pub fn filter_state(&self, key: &str) -> Option<Vec<u8>> {
        let key = key.as_bytes();
        self.with_context(|stream| stream.filter_state.get(key).map(<[u8]>::to_vec))
    }

    /// Responds to the request, as the upstream does, and returns what the client receives. If
    /// there is a local response, returns that.
    ///
    /// # Errors
    ///
    /// [`Error::Paused`] if the extension holds the request's headers, or the response. The stream
    /// continues. If the request is held, the reply is not sent: respond again when the extension
    /// has resumed the request. If the response is held, [`Stream::finish`] returns it when the
    /// extension has resumed it.
    ///
    /// [`Error::StreamReset`] if the stream is reset before the response is complete,
    /// [`Error::BreaksEnvoy`] if the extension does something that breaks Envoy, [`Error::Trap`] if it
    /// traps.
    pub fn respond(&self, reply: impl Into<Reply>) -> Result<Response, Error> {
        self.receive_reply(MessagePart::of_reply(reply.into()))?;
        self.finish()
    }

    /// Begins a response: sends the headers and the chunks of the body of `reply`.
    /// [`Stream::send_response_body`] or [`Stream::send_response_trailers`] continues the response.
    ///
    /// # Errors
    ///
    /// As for [`Stream::respond`].
    pub fn begin_response(&self, reply: impl Into<Reply>) -> Result<(), Error> {
        let reply = reply.into();
        self.receive_reply(MessagePart::of_beginning(reply.headers, reply.chunks))
    }

    fn receive_reply(&self, events: Vec<MessagePart>) -> Result<(), Error> {
        self.core.borrow_mut().check_is_forwarded(self.id)?;
        self.receive(Direction::Response, events)
    }

    /// Sends a chunk of the response's body. If `end` is true, the response ends with this chunk.
    ///
    /// # Errors
    ///
    /// As for [`Stream::send_body`].
    pub fn send_response_body(&self, chunk: impl AsRef<[u8]>, end: bool) -> Result<(), Error> {
        let chunk = chunk.as_ref().to_vec();
        self.receive(Direction::Response, vec![MessagePart::Body(chunk, end)])
    }

    /// Sends the response's trailers, which end it.
    ///
    /// # Errors
    ///
    /// As for [`Stream::send_body`].
    pub fn send_response_trailers(&self, trailers: Headers) -> Result<(), Error> {
        self.receive(Direction::Response, vec![MessagePart::Trailers(trailers)])
    }

    /// Closes the connection to the upstream, as an upstream that fails does. If no response has
    /// begun, Envoy responds with status 503, and its response passes through the extension.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if the request has not been forwarded, or the stream has ended;
    /// [`Error::Trap`] if the module traps.
    pub fn reset_upstream(&self) -> Result<(), Error> {
        self.core.borrow_mut().reset_upstream(self.id)
    }

    /// Returns the response that the client has received. It can be called once.
    ///
    /// # Errors
    ///
    /// As for [`Stream::respond`]; [`Error::InvalidState`] if the response has not ended.
    pub fn finish(&self) -> Result<Response, Error> {
        self.core.borrow_mut().finish(self.id)
    }

    /// Resets the stream, as a client that closes its connection does (Envoy: "downstream remote
    /// disconnect").
    ///
    /// # Errors
    ///
    /// [`Error::Trap`] if the module traps.
    pub fn reset(self) -> Result<(), Error> {
        let mut core = self.core.borrow_mut();
        core.reset(self.id)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // An error is ignored: the stream has ended before, or it is a trap, after which each call fails.
        if let Ok(mut core) = self.core.try_borrow_mut() {
            let _ = core.reset(self.id);
        }
    }
}
