//! A request in the embedded proxy, and the upstream that responds to it.

use std::collections::VecDeque;

use proxy_wasm_test::{Error, Headers, Message, Stream};

use crate::messages::{Reaction, Reply, Request};
use crate::observation::{Received, Response};

use super::messages::received;

/// A request, and its response so far.
pub struct Exchange {
    /// Until it has ended.
    stream: Option<Stream>,
    is_head: bool,
    has_reply: bool,
    /// What the upstream has not sent yet.
    parts: VecDeque<ReplyPart>,
    response: Response,
    upstream: Option<Message>,
}

/// What an upstream sends at a time.
enum ReplyPart {
    /// Headers, which other parts follow.
    Headers(proxy_wasm_test::Reply),
    /// A reply without a body and trailers.
    Whole(proxy_wasm_test::Reply),
    Body(String),
    End,
    Trailers(Headers),
    Disconnect,
}

impl Exchange {
    pub fn new(stream: Stream, request: &Request) -> Self {
        Self {
            stream: Some(stream),
            is_head: request.method == "HEAD",
            has_reply: false,
            parts: VecDeque::new(),
            response: Response::Waiting,
            upstream: None,
        }
    }

    pub fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    pub fn response(&self) -> &Response {
        &self.response
    }

    /// What the client and the upstream have received.
    pub fn observe(self) -> (Response, Option<Received>) {
        let upstream = self.stream.as_ref().and_then(Stream::upstream);
        let upstream = upstream.or(self.upstream);
        (self.response, upstream.map(received))
    }

    /// Lets the upstream send one part of its reply. Returns whether it has sent one.
    pub fn proceed(&mut self, reaction: &Reaction) -> Result<bool, Error> {
        if self.is_upstream_ready() {
            self.has_reply = true;
            match reaction {
                Reaction::Reply(reply) => self.parts = parts(reply, self.is_head),
                Reaction::Reset => self.parts.push_back(ReplyPart::Disconnect),
                Reaction::Silence => {}
            }
        }
        let Some(part) = self.parts.pop_front() else {
            return Ok(false);
        };
        self.send(part)?;
        Ok(true)
    }

    /// Whether the upstream has the whole request, and neither it nor the proxy has responded.
    fn is_upstream_ready(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| {
            let is_complete = stream.upstream().is_some_and(|request| request.is_complete);
            is_complete && !self.has_reply && !stream.has_local_response()
        })
    }

    /// Ends the stream if its response has ended.
    pub fn finish(&mut self) -> Result<bool, Error> {
        let Some(stream) = &self.stream else {
            return Ok(false);
        };
        self.upstream = stream.upstream();
        let result = stream.finish();
        self.store(result)
    }

    /// Stores the result of the response. Returns whether the stream has ended.
    fn store(&mut self, result: Result<proxy_wasm_test::Response, Error>) -> Result<bool, Error> {
        self.response = match result {
            Ok(response) => Response::Complete(received(Message {
                headers: response.headers().clone(),
                body: response.body().to_vec(),
                trailers: response.trailers().clone(),
                is_complete: true,
            })),
            Err(Error::StreamReset) => Response::CutOff,
            // The extension holds it, or it has not arrived.
            Err(Error::Paused(_) | Error::InvalidState(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.stream = None;
        self.parts.clear();
        Ok(true)
    }

    /// The upstream sends a part of its reply.
    fn send(&mut self, part: ReplyPart) -> Result<(), Error> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        match part {
            ReplyPart::Headers(headers) => stream.begin_response(headers),
            ReplyPart::Whole(headers) => {
                self.upstream = stream.upstream();
                let result = stream.respond(headers);
                self.store(result).map(drop)
            }
            ReplyPart::Body(_) | ReplyPart::End | ReplyPart::Trailers(_)
                if stream.has_local_response() =>
            {
                Ok(())
            }
            ReplyPart::Body(part) => stream.send_response_body(part, false),
            ReplyPart::End => stream.send_response_body("", true),
            ReplyPart::Trailers(trailers) => stream.send_response_trailers(trailers),
            ReplyPart::Disconnect => stream.reset_upstream(),
        }
    }

    /// The client disconnects, if it still waits.
    pub fn disconnect(&mut self) -> Result<(), Error> {
        let Some(stream) = self.stream.take() else {
            return Ok(());
        };
        self.upstream = stream.upstream();
        stream.reset()
    }
}

/// A reply of the upstream, part by part.
fn parts(reply: &Reply, is_head: bool) -> VecDeque<ReplyPart> {
    let mut headers = proxy_wasm_test::Reply::new(reply.status);
    for (name, value) in reply.all_fields() {
        headers = headers.header(name, value);
    }
    if !reply.has_body() || is_head {
        return [ReplyPart::Whole(headers)].into();
    }
    let body = reply.body.iter().cloned().map(ReplyPart::Body);
    let end = if reply.is_cut_off {
        ReplyPart::Disconnect
    } else if reply.trailers.is_empty() {
        // Over HTTP/1.1, the end of a body is an empty part.
        ReplyPart::End
    } else {
        ReplyPart::Trailers(reply.trailers.iter().cloned().collect())
    };
    [ReplyPart::Headers(headers)]
        .into_iter()
        .chain(body)
        .chain([end])
        .collect()
}
