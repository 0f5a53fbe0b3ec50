//! How a request and its response pass through the extension.
//!
//! This is Envoy's chain of HTTP filters, in which the extension is the only filter before the
//! router. A message goes through the extension in parts, and the extension's callbacks say whether
//! it continues. What the extension requests in a callback is done when the callback has returned,
//! before the action that it returned.

use proxy_wasm_abi::BufferType;

use super::breaks::{ENDLESS_CALLS, NO_RESPONSE};
use super::{Core, length};
use crate::context::{Direction, Iteration, LastBuffer, Part};
use crate::error::Error;
use crate::headers::Headers;
use crate::local_response::LocalResponse;

/// The actions that a callback returns.
const CONTINUE: u32 = 0;
const STOP: u32 = 1;
/// If a headers callback returns it, Envoy continues. If a body callback returns it, Envoy holds the
/// body without showing it again.
const CONTINUE_OR_WATERMARK: u32 = 2;
/// Replaces the action if the extension has sent a response. It differs from all actions.
const STOPPED: u32 = u32::MAX;

impl Core {
    /// Calls a callback, and then does what the module has asked for in it.
    pub(super) fn call(
        &mut self,
        callback: &'static str,
        context: u32,
        arguments: &[u32],
    ) -> Result<Option<u32>, Error> {
        let Some(result) = self.vm.call(callback, context, arguments)? else {
            return Ok(None);
        };
        self.run_actions()?;
        Ok(Some(result))
    }

    /// As [`Core::call`], for a callback of a message. If the extension has sent a response, the result
    /// does not count.
    fn call_filter(
        &mut self,
        callback: &'static str,
        context: u32,
        arguments: &[u32],
    ) -> Result<u32, Error> {
        let Some(result) = self.vm.call(callback, context, arguments)? else {
            return Ok(CONTINUE);
        };
        let stops = std::mem::take(&mut self.host_mut().stops_iteration);
        self.run_actions()?;
        Ok(if stops { STOPPED } else { result })
    }

    /// Calls the callback of a part of a message. Returns its result, or `None` if the message does
    /// not continue, because the stream has ended, or the extension has responded itself.
    fn filter(
        &mut self,
        id: u32,
        direction: Direction,
        part: Part,
        size: usize,
        end: bool,
    ) -> Result<Option<u32>, Error> {
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            return Ok(None);
        };
        stream.shows_end = end;
        let outer = stream.callback.replace((direction, part));
        stream.state(direction).open(part);
        if part == Part::Body {
            let buffer = match direction {
                Direction::Request => BufferType::RequestBody,
                Direction::Response => BufferType::ResponseBody,
            };
            stream.last_buffer = LastBuffer::Changeable(buffer);
        }
        let arguments = [length(size), u32::from(end)];
        let arguments = match part {
            Part::Headers | Part::Body => &arguments[..],
            Part::Trailers => &arguments[..1],
        };
        let result = self.call_filter(callback(direction, part), id, arguments)?;
        let continues =
            result == CONTINUE || (part == Part::Headers && result == CONTINUE_OR_WATERMARK);
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            self.check_ended_in(id, direction, continues)?;
            return Ok(None);
        };
        stream.callback = outer;
        if continues {
            stream.state(direction).close(part);
        }
        if direction == Direction::Request
            && let Some(reply) = stream.pending_reply.take()
        {
            self.send_through_extension(id, reply)?;
            return Ok(None);
        }
        Ok(Some(result))
    }

    pub(super) fn filter_headers(
        &mut self,
        id: u32,
        direction: Direction,
        end: bool,
    ) -> Result<(), Error> {
        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        let size = state.headers.len();
        let Some(result) = self.filter(id, direction, Part::Headers, size, end)? else {
            return Ok(());
        };
        let stops_headers_only = self.host().options.allow_on_headers_stop_iteration;
        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        match result {
            CONTINUE | CONTINUE_OR_WATERMARK => {
                state.headers_continued = true;
                self.forward_headers(id, direction, end)
            }
            STOP if stops_headers_only => {
                state.iteration = Iteration::Stopped;
                Ok(())
            }
            _ => {
                state.iteration = Iteration::StoppedAll;
                Ok(())
            }
        }
    }

    /// Shows the extension a chunk of the body: one that has arrived, or what is held.
    pub(super) fn filter_data(
        &mut self,
        id: u32,
        direction: Direction,
        is_held: bool,
        end: bool,
    ) -> Result<(), Error> {
        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        if state.has_seen_end {
            return Ok(());
        }
        if is_held {
            state.data = state.buffer.take().unwrap_or_default();
        } else if state.shows_buffer {
            let data = std::mem::take(&mut state.data);
            self.hold(id, direction, data, Some((direction, Part::Body)))?;
        }
        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        let had_trailers = state.trailers.is_some();
        state.has_seen_end = end && !had_trailers;
        let size = match (&state.buffer, state.shows_buffer) {
            (Some(buffer), true) => buffer.len(),
            _ => state.data.len(),
        };
        let Some(result) = self.filter(id, direction, Part::Body, size, end)? else {
            return Ok(());
        };

        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        state.shows_buffer = result == STOP;
        let data = std::mem::take(&mut state.data);
        let has_added_trailers = !had_trailers && state.trailers.is_some();
        if result == CONTINUE && state.iteration == Iteration::Stopped {
            state.hold(data);
            self.resume(id, direction)?;
            if direction == Direction::Response {
                return Ok(());
            }
        } else if result == CONTINUE {
            if is_held {
                state.buffer = Some(Vec::new());
            }
            self.forward_data(id, direction, data, end && !has_added_trailers)?;
        } else {
            state.iteration = Iteration::Stopped;
            match result {
                _ if is_held => state.buffer = Some(data),
                STOP => self.hold(id, direction, data, None)?,
                CONTINUE_OR_WATERMARK => drop(state.hold(data)),
                _ if state.end_of_stream && state.trailers.is_none() => {
                    state.buffer.get_or_insert_default();
                }
                _ => {}
            }
            if direction == Direction::Response {
                return Ok(());
            }
        }
        if has_added_trailers {
            self.forward_trailers(id, direction)?;
        }
        Ok(())
    }

    pub(super) fn filter_trailers(&mut self, id: u32, direction: Direction) -> Result<(), Error> {
        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        let size = state.trailers.as_ref().map_or(0, Headers::len);
        let shows_end = self.stream(id)?.shows_end;
        let Some(result) = self.filter(id, direction, Part::Trailers, size, shows_end)? else {
            return Ok(());
        };
        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        state.has_seen_end = true;
        if result != CONTINUE {
            if state.iteration == Iteration::Continues {
                state.iteration = Iteration::Stopped;
            }
            Ok(())
        } else if state.iteration == Iteration::Stopped {
            self.resume(id, direction)
        } else {
            self.forward_trailers(id, direction)
        }
    }

    /// Holds a chunk of the body, up to the limit. The callback is the one that is about to run.
    fn hold(
        &mut self,
        id: u32,
        direction: Direction,
        data: Vec<u8>,
        callback: Option<(Direction, Part)>,
    ) -> Result<(), Error> {
        let limit = self.host().options.buffer_limit;
        let Ok(stream) = self.stream(id) else {
            return Ok(());
        };
        if stream.state(direction).hold(data) <= limit {
            return Ok(());
        }
        let outer = std::mem::replace(&mut stream.callback, callback);
        let reply = match direction {
            Direction::Request => {
                LocalResponse::of_envoy(413, "Payload Too Large", "request_payload_too_large")
            }
            Direction::Response => {
                LocalResponse::of_envoy(500, "Internal Server Error", "response_payload_too_large")
            }
        };
        self.send_local_response(id, reply)?;
        if let Ok(stream) = self.stream(id) {
            stream.callback = outer;
        }
        Ok(())
    }

    /// Resumes a message (Envoy: `commonContinue`).
    pub(super) fn resume(&mut self, id: u32, direction: Direction) -> Result<(), Error> {
        let Some(state) = self.state(id, direction).filter(|state| !state.is_aborted) else {
            return Ok(());
        };
        if !state.has_begun {
            return Err(self.breaks_envoy_error(id, NO_RESPONSE));
        }
        if state.from_extension && !state.has_seen_end {
            return Err(self.breaks_envoy_error(id, ENDLESS_CALLS));
        }
        state.from_extension |= state.iteration == Iteration::StoppedAll;
        state.iteration = Iteration::Continues;
        state.shows_buffer = false;
        if !state.headers_continued {
            state.headers_continued = true;
            let end = state.end_of_stream && state.buffer.is_none() && state.trailers.is_none();
            self.forward_headers(id, direction, end)?;
        }
        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        let has_trailers = state.trailers.is_some();
        if let Some(buffer) = &mut state.buffer {
            let end = state.end_of_stream && !has_trailers;
            if state.from_extension {
                self.filter_data(id, direction, true, end)?;
            } else {
                let data = std::mem::take(buffer);
                self.forward_data(id, direction, data, end)?;
            }
        }
        if has_trailers && let Some(state) = self.state(id, direction) {
            if state.from_extension {
                self.filter_trailers(id, direction)?;
            } else {
                self.forward_trailers(id, direction)?;
            }
        }
        if let Some(state) = self.state(id, direction) {
            state.from_extension = false;
        }
        Ok(())
    }
}

fn callback(direction: Direction, part: Part) -> &'static str {
    match (direction, part) {
        (Direction::Request, Part::Headers) => "proxy_on_request_headers",
        (Direction::Request, Part::Body) => "proxy_on_request_body",
        (Direction::Request, Part::Trailers) => "proxy_on_request_trailers",
        (Direction::Response, Part::Headers) => "proxy_on_response_headers",
        (Direction::Response, Part::Body) => "proxy_on_response_body",
        (Direction::Response, Part::Trailers) => "proxy_on_response_trailers",
    }
}
